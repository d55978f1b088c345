/*
 * The help text of a command, from its table.
 */
#include <string.h>

#include "runtime/base/opt_impl.h"

enum { HELP_COLUMN = 26, HELP_WIDTH = 78 };

static bool is_number(opt_kind kind)
{
    return kind != OPT_KIND_FLAG && kind != OPT_KIND_STR &&
           kind != OPT_KIND_CHOICE;
}

static const char *value_name(const opt_row *row)
{
    if (row->value != NULL) {
        return row->value;
    }
    switch (row->kind) {
    case OPT_KIND_I64:
        return "N";
    case OPT_KIND_F64:
        return "X";
    case OPT_KIND_STR:
        return "TEXT";
    case OPT_KIND_SIZE:
        return "SIZE";
    case OPT_KIND_RATE:
        return "RATE";
    case OPT_KIND_TIME:
        return "TIME";
    case OPT_KIND_CHOICE:
        return "WHICH";
    case OPT_KIND_FLAG:
        break;
    }
    return "";
}

/* The words of text from `column` on, which is where b stands now. */
static void add_wrapped(strbuf *b, size_t column, const char *text)
{
    size_t at = column;
    while (*text != '\0') {
        size_t word = strcspn(text, " \n");
        if (at > column && at + 1 + word > HELP_WIDTH) {
            strbuf_add(b, "\n");
            strbuf_fill(b, ' ', column);
            at = column;
        } else if (at > column) {
            strbuf_add(b, " ");
            at++;
        }
        strbuf_add_bytes(b, text, word);
        at += word;
        text += word;
        text += strspn(text, " \n");
    }
}

void opt_add_details(strbuf *b, const opt_row *row)
{
    strbuf_add(b, row->help != NULL ? row->help : "");
    if (row->kind == OPT_KIND_CHOICE) {
        strbuf_add(b, ": ");
        text_add_list(b, row->choices);
    }
    strbuf notes = {0};
    if (row->unit != NULL) {
        strbuf_printf(&notes, "; %s", row->unit);
    }
    if (is_number(row->kind) && (row->min != 0 || row->max != 0)) {
        strbuf_add(&notes, "; ");
        opt_add_range(&notes, row);
    }
    if (row->def != NULL && row->kind != OPT_KIND_FLAG) {
        strbuf_printf(&notes, "; default %s", row->def);
    }
    if (notes.len > 0) {
        strbuf_printf(b, " (%s)", strbuf_view(&notes) + 2);
    }
    strbuf_fini(&notes);
}

void opt_add_head(strbuf *b, const opt_row *row)
{
    if (row->letter != '\0') {
        strbuf_printf(b, "-%c, ", row->letter);
    }
    strbuf_printf(b, "--%s", row->name);
    if (row->kind != OPT_KIND_FLAG) {
        strbuf_printf(b, " %s", value_name(row));
    }
}

static void help_row(strbuf *b, const opt_row *row)
{
    strbuf line = {0};
    strbuf_add(&line, "  ");
    opt_add_head(&line, row);
    if (line.len + 2 > HELP_COLUMN) {
        strbuf_add(&line, "\n");
        strbuf_fill(&line, ' ', HELP_COLUMN);
    } else {
        strbuf_fill(&line, ' ', HELP_COLUMN - line.len);
    }
    strbuf_add(b, strbuf_view(&line));
    strbuf_fini(&line);
    strbuf details = {0};
    opt_add_details(&details, row);
    add_wrapped(b, HELP_COLUMN, strbuf_view(&details));
    strbuf_add(b, "\n");
    strbuf_fini(&details);
}

/* Each line of `text` with two spaces in front. */
static void add_indented(strbuf *b, const char *text)
{
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        strbuf_add(b, "  ");
        strbuf_add_bytes(b, text, len);
        strbuf_add(b, "\n");
        text += len + (text[len] == '\n' ? 1 : 0);
    }
}

void opt_help(const opt_command *cmd, strbuf *b)
{
    strbuf_printf(b, "Usage: weft %s %s\n", cmd->name,
                  cmd->usage != NULL ? cmd->usage : "[options]");
    if (cmd->about != NULL) {
        strbuf_add(b, "\n");
        add_wrapped(b, 0, cmd->about);
        strbuf_add(b, "\n");
    }
    const char *group = "Options";
    const char *above = NULL; /* the last heading */
    for (size_t i = 0; i < cmd->nrows; i++) {
        const opt_row *row = &cmd->rows[i];
        group = row->group != NULL ? row->group : group;
        if (!opt_is_shown(cmd, row)) {
            continue;
        }
        if (above == NULL || strcmp(group, above) != 0) {
            strbuf_printf(b, "\n%s:\n", group);
        }
        above = group;
        help_row(b, row);
    }
    strbuf_add(b, "\n  -h, --help              this text\n");
    if (cmd->example != NULL) {
        strbuf_printf(b, "\nExample%s:\n",
                      strchr(cmd->example, '\n') != NULL ? "s" : "");
        add_indented(b, cmd->example);
    }
    strbuf_printf(b, "\nSee also: weft help WORD for %s%sexit-codes\n",
                  cmd->see != NULL ? cmd->see : "",
                  cmd->see != NULL ? ", " : "");
}
