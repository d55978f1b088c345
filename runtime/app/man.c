/*
 * The manual, from the same tables as all other help. roff takes a period or
 * an apostrophe at the start of a line for a request, a backslash for an
 * escape, and a plain '-' for a hyphen that may become another character.
 */
#include <ctype.h>

#include "runtime/app/commands.h"
#include "runtime/app/help.h"
#include "runtime/results/format.h"

/* Text that must come out as it is, with its own line ends. */
static void add_text(strbuf *b, const char *text)
{
    bool line_start = true;
    for (const char *c = text; *c != '\0'; c++) {
        if (line_start && (*c == '.' || *c == '\'')) {
            strbuf_add(b, "\\&");
        }
        line_start = *c == '\n';
        if (*c == '\\') {
            strbuf_add(b, "\\e");
        } else if (*c == '-') {
            strbuf_add(b, "\\-");
        } else {
            strbuf_add_bytes(b, c, 1);
        }
    }
}

/* Lines kept as they are; empty ones are vertical space. */
static void add_lines(strbuf *b, const char *text)
{
    strbuf_add(b, ".nf\n");
    add_text(b, text);
    strbuf_add(b, "\n.fi\n");
}

static void add_row(strbuf *b, const opt_row *row)
{
    strbuf part = {0};
    opt_add_head(&part, row);
    strbuf_add(b, ".TP\n.B ");
    add_text(b, strbuf_view(&part));
    strbuf_cut(&part, 0);
    opt_add_details(&part, row);
    strbuf_add(b, "\n");
    add_text(b, strbuf_view(&part));
    strbuf_add(b, "\n");
    strbuf_fini(&part);
}

static void add_command(strbuf *b, const command *c)
{
    const opt_command *o = c->options;
    strbuf_printf(b, ".SS weft %s\n.B weft %s\n", o->name, o->name);
    add_text(b, o->usage);
    strbuf_add(b, "\n.PP\n");
    add_text(b, o->about);
    strbuf_add(b, "\n");
    for (size_t i = 0; i < o->nrows; i++) {
        if (opt_is_shown(o, &o->rows[i])) {
            add_row(b, &o->rows[i]);
        }
    }
    strbuf_add(b, ".PP\nFor example:\n.PP\n.RS 4\n");
    add_lines(b, o->example);
    strbuf_add(b, ".RE\n");
}

static void add_topic(strbuf *b, const help_topic *t)
{
    strbuf text = {0};
    strbuf_add(b, ".SH ");
    for (const char *c = t->name; *c != '\0'; c++) {
        char upper = *c == '-' ? ' ' : (char)toupper((unsigned char)*c);
        strbuf_add_bytes(b, &upper, 1);
    }
    strbuf_add(b, "\n");
    t->write(&text);
    strbuf_cut(&text, text.len - 1); /* add_lines ends the last line */
    add_lines(b, strbuf_view(&text));
    strbuf_fini(&text);
}

void help_write_man(strbuf *b)
{
    strbuf_add(b, ".\\\" Made by weft help --man.\n");
    strbuf_printf(b, ".TH WEFT 1 \"\" \"weft %s\" \"Weft\"\n", WEFT_VERSION);
    strbuf_add(b, ".SH NAME\nweft \\- train the same GPT streamed and "
                  "partitioned, and compare\n"
                  ".SH SYNOPSIS\n.B weft\n.I COMMAND\n[options]\n"
                  ".SH DESCRIPTION\n"
                  "Weft trains the same GPT model in two ways, with the same "
                  "bits, and measures\nboth: streamed past one device with "
                  "little memory, or cut over many devices by\na plan.\n"
                  ".SH COMMANDS\n");
    for (const command *c = commands; c->name != NULL; c++) {
        add_command(b, c);
    }
    for (const help_topic *t = help_topics; t->name != NULL; t++) {
        if (t->in_manual) {
            add_topic(b, t);
        }
    }
    strbuf_add(b, ".SH SEE ALSO\n.BR mpirun (1),\n.BR h5dump (1)\n");
}
