/*
 * A completion function for bash. What a value may be follows from the option
 * table: choices are words; the name of the value tells files, models, plans
 * and experiments from numbers, for which there is nothing to offer. Names on
 * the shelf are asked for when they are needed, so that a new file there is
 * known.
 */
#include <string.h>

#include "runtime/app/commands.h"
#include "runtime/app/help.h"

/* `word` is one of the words of `text`, as "MODEL" of "[MODEL] [options]". */
static bool has_word(const char *text, const char *word)
{
    size_t n = strlen(word);
    for (const char *at = text; at != NULL && (at = strstr(at, word)) != NULL;
         at++) {
        bool begins = at == text || strchr(" [|", at[-1]) != NULL;
        if (begins && (at[n] == '\0' || strchr(" ]|.", at[n]) != NULL)) {
            return true;
        }
    }
    return false;
}

int help_offer_of(const char *value)
{
    static const struct {
        const char *word;
        int offer;
    } words[] = {{"MODEL", OFFER_MODELS | OFFER_FILES},
                 {"PLAN", OFFER_PLANS | OFFER_FILES},
                 {"EXPERIMENT", OFFER_EXPERIMENTS | OFFER_FILES},
                 {"FILE", OFFER_FILES},
                 {"CKPT", OFFER_FILES},
                 {"DIR", OFFER_FILES},
                 {"PATH", OFFER_FILES},
                 {"FOLDER", OFFER_FILES}};
    int offer = OFFER_NOTHING;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        offer |= has_word(value, words[i].word) ? words[i].offer : 0;
    }
    return offer;
}

/* Sets the shell's variables for a value of this name. */
static void add_offer(strbuf *b, const char *value)
{
    const int offer = help_offer_of(value);
    if (offer == OFFER_NOTHING) {
        strbuf_add(b, "none=1");
        return;
    }
    strbuf_printf(b, "kinds='%s%s%s' files=1",
                  (offer & OFFER_MODELS) != 0 ? " models" : "",
                  (offer & OFFER_PLANS) != 0 ? " plans" : "",
                  (offer & OFFER_EXPERIMENTS) != 0 ? " experiments" : "");
}

static void add_value_case(strbuf *b, const command *c, const opt_row *row)
{
    strbuf_printf(b, "    %s:--%s", c->name, row->name);
    if (row->letter != '\0') {
        strbuf_printf(b, " | %s:-%c", c->name, row->letter);
    }
    if (row->kind == OPT_KIND_CHOICE) {
        strbuf_add(b, ") words='");
        for (int i = 0; row->choices[i] != NULL; i++) {
            strbuf_printf(b, "%s%s", i > 0 ? " " : "", row->choices[i]);
        }
        strbuf_add(b, "' ;;\n");
    } else {
        strbuf_add(b, ") ");
        add_offer(b, row->value);
        strbuf_add(b, " ;;\n");
    }
}

static void add_values(strbuf *b, const command *c)
{
    for (size_t i = 0; i < c->options->nrows; i++) {
        const opt_row *row = &c->options->rows[i];
        if (opt_is_shown(c->options, row) && row->kind != OPT_KIND_FLAG) {
            add_value_case(b, c, row);
        }
    }
}

/* Positional arguments, and options where the word begins with a dash. */
static void add_words(strbuf *b, const command *c)
{
    strbuf_printf(b, "    %s)\n        ", c->name);
    add_offer(b, c->options->usage);
    if (strcmp(c->name, "help") == 0) {
        strbuf_add(b, " words=\"$commands");
        for (const help_topic *t = help_topics; t->name != NULL; t++) {
            strbuf_printf(b, " %s", t->name);
        }
        strbuf_add(b, "\"");
    }
    strbuf_add(b, "\n        options='--help");
    for (size_t i = 0; i < c->options->nrows; i++) {
        if (opt_is_shown(c->options, &c->options->rows[i])) {
            strbuf_printf(b, " --%s", c->options->rows[i].name);
        }
    }
    strbuf_add(b, "'\n        ;;\n");
}

void help_write_bash(strbuf *b)
{
    strbuf_add(b, "# Completion of weft for bash, made by weft help "
                  "--completion bash.\n"
                  "_weft()\n{\n"
                  "    local cur=${COMP_WORDS[COMP_CWORD]}\n"
                  "    local prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
                  "    local words='' options='' kinds='' files='' none=''\n"
                  "    local commands='");
    for (const command *c = commands; c->name != NULL; c++) {
        strbuf_printf(b, "%s%s", c == commands ? "" : " ", c->name);
    }
    strbuf_add(b,
               "'\n    COMPREPLY=()\n"
               "    if ((COMP_CWORD < 2)); then\n"
               "        COMPREPLY=($(compgen -W \"$commands --help --version\""
               " -- \"$cur\"))\n"
               "        return\n    fi\n"
               "    # bash takes the '=' of --option=value for a word.\n"
               "    if [ \"$cur\" = = ]; then\n        cur=''\n"
               "    elif [ \"$prev\" = = ]; then\n"
               "        prev=${COMP_WORDS[COMP_CWORD - 2]}\n    fi\n"
               "    case ${COMP_WORDS[1]}:$prev in\n");
    for (const command *c = commands; c->name != NULL; c++) {
        add_values(b, c);
    }
    strbuf_add(b, "    *)\n    case ${COMP_WORDS[1]} in\n");
    for (const command *c = commands; c->name != NULL; c++) {
        add_words(b, c);
    }
    strbuf_add(b, "    esac\n    ;;\n    esac\n"
                  "    if [[ $cur == -* && -n $options ]]; then\n"
                  "        COMPREPLY=($(compgen -W \"$options\" -- \"$cur\"))\n"
                  "        return\n    fi\n"
                  "    local kind\n"
                  "    for kind in $kinds; do\n"
                  "        words+=\" $(\"${COMP_WORDS[0]}\" help --names $kind "
                  "2>/dev/null)\"\n    done\n"
                  "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
                  "    if [ -n \"$files\" ]; then\n"
                  "        local IFS=$'\\n'\n"
                  "        compopt -o filenames 2>/dev/null\n"
                  "        COMPREPLY+=($(compgen -f -- \"$cur\"))\n    fi\n"
                  "}\n"
                  "complete -F _weft weft\n");
}
