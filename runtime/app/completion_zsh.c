/*
 * A completion function for zsh, from the same tables as that for bash. zsh's
 * own _arguments does the work: it is handed one specification an option,
 *
 *     '--device-memory=[what it is for]:SIZE: '
 *
 * with the value's name and what to offer for it: words, files, or a space,
 * which is nothing.
 */
#include <string.h>

#include "runtime/app/commands.h"
#include "runtime/app/help.h"

/* Text within single quotes, and there within brackets, where _arguments
 * reads ']' as their end and '\' as an escape. */
static void add_quoted(strbuf *b, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\'') {
            strbuf_add(b, "'\\''");
        } else if (strchr("[]\\:", *text) != NULL) {
            strbuf_printf(b, "\\%c", *text);
        } else {
            strbuf_printf(b, "%c", *text);
        }
    }
}

/* The function that offers it; of names on the shelf one for each mixture
 * that there is. */
static const char *action(int offer)
{
    switch (offer) {
    case OFFER_NOTHING:
        return " ";
    case OFFER_FILES | OFFER_MODELS:
        return "_weft_models";
    case OFFER_FILES | OFFER_PLANS:
        return "_weft_plans";
    case OFFER_FILES | OFFER_MODELS | OFFER_PLANS:
        return "_weft_models_plans";
    case OFFER_FILES | OFFER_EXPERIMENTS:
        return "_weft_experiments";
    default:
        return "_files";
    }
}

/* What follows an option's name. */
static void add_rest(strbuf *b, const opt_row *row)
{
    strbuf_add(b, "[");
    add_quoted(b, row->help);
    strbuf_add(b, "]");
    if (row->kind == OPT_KIND_FLAG) {
        return;
    }
    strbuf_add(b, ":");
    add_quoted(b, row->value != NULL ? row->value : "value");
    strbuf_add(b, ":");
    if (row->kind != OPT_KIND_CHOICE) {
        strbuf_add(b, action(help_offer_of(row->value)));
        return;
    }
    for (int i = 0; row->choices[i] != NULL; i++) {
        strbuf_printf(b, "%s%s", i > 0 ? " " : "(", row->choices[i]);
    }
    strbuf_add(b, ")");
}

/* The '=' of '--steps=' says that the value may follow it or stand alone, the
 * '+' of '-o+' that it may follow at once. */
static void add_option(strbuf *b, const opt_row *row)
{
    const bool flag = row->kind == OPT_KIND_FLAG;

    strbuf_printf(b, " \\\n            '--%s%s", row->name, flag ? "" : "=");
    add_rest(b, row);
    strbuf_add(b, "'");
    if (row->letter != '\0') {
        strbuf_printf(b, " \\\n            '-%c%s", row->letter,
                      flag ? "" : "+");
        add_rest(b, row);
        strbuf_add(b, "'");
    }
}

static void add_command(strbuf *b, const command *c)
{
    strbuf_printf(b, "    %s)\n        _arguments", c->name);
    for (size_t i = 0; i < c->options->nrows; i++) {
        if (opt_is_shown(c->options, &c->options->rows[i])) {
            add_option(b, &c->options->rows[i]);
        }
    }
    strbuf_add(b, " \\\n            '--help[explain the options]' \\\n"
                  "            '*:");
    add_quoted(b, c->options->usage);
    strbuf_add(b, ":");
    if (strcmp(c->name, "help") == 0) {
        strbuf_add(b, "_weft_words");
    } else {
        strbuf_add(b, action(help_offer_of(c->options->usage)));
    }
    strbuf_add(b, "'\n        ;;\n");
}

/* Commands, and for `help` topics, too: what _describe shows. */
static void add_lists(strbuf *b)
{
    strbuf_add(b, "_weft_commands() {\n    local -a list=(");
    for (const command *c = commands; c->name != NULL; c++) {
        strbuf_printf(b, "\n        '%s:", c->name);
        add_quoted(b, c->about);
        strbuf_add(b, "'");
    }
    strbuf_add(b, ")\n    _describe command list\n}\n"
                  "_weft_words() {\n    _weft_commands\n    local -a topics=(");
    for (const help_topic *t = help_topics; t->name != NULL; t++) {
        strbuf_printf(b, "%s'%s'", t == help_topics ? "" : " ", t->name);
    }
    strbuf_add(b, ")\n    _describe topic topics\n}\n");
}

void help_write_zsh(strbuf *b)
{
    strbuf_add(b, "#compdef weft\n"
                  "# Completion of weft for zsh, made by weft help "
                  "--completion zsh.\n"
                  "_weft_names() {\n"
                  "    local kind found=1\n"
                  "    local -a names\n"
                  "    for kind; do\n"
                  "        names=(${(f)\"$($_weft_program help --names $kind "
                  "2>/dev/null)\"})\n"
                  "        _describe ${kind%s} names && found=0\n"
                  "    done\n    _files && found=0\n    return found\n}\n"
                  "_weft_models() { _weft_names models; }\n"
                  "_weft_plans() { _weft_names plans; }\n"
                  "_weft_models_plans() { _weft_names models plans; }\n"
                  "_weft_experiments() { _weft_names experiments; }\n");
    add_lists(b);
    strbuf_add(b, "_weft() {\n"
                  "    local _weft_program=$words[1]\n"
                  "    if ((CURRENT == 2)); then\n"
                  "        _arguments '--help[list commands and topics]' \\\n"
                  "            '--version[say which version]' "
                  "'1:command:_weft_commands'\n"
                  "        return\n    fi\n"
                  "    local name=$words[2]\n"
                  "    shift words\n"
                  "    ((CURRENT--))\n"
                  "    case $name in\n");
    for (const command *c = commands; c->name != NULL; c++) {
        add_command(b, c);
    }
    strbuf_add(b, "    esac\n}\n_weft \"$@\"\n");
}
