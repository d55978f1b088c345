/*
 * popt finds options and their texts; what a text means is in opt_value.c.
 */
#include "runtime/base/opt_impl.h"

#include <popt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/mem.h"

/* popt returns `val` of a row: its index + VAL_ROW; 0 would mean "handled". */
enum { VAL_HELP = 1, VAL_ROW = 2 };

static bool takes(const opt_command *cmd, const opt_row *row)
{
    bool found = cmd->only == NULL;
    for (int i = 0; !found && cmd->only[i] != NULL; i++) {
        found = strcmp(cmd->only[i], row->name) == 0;
    }
    return found;
}

bool opt_is_shown(const opt_command *cmd, const opt_row *row)
{
    return !row->hidden && takes(cmd, row);
}

/* NULL-terminated names of all options, for hints. */
static status option_names(const opt_command *cmd, const char ***out)
{
    const char **names = NULL;
    size_t n = 0;
    TRY(MEM_NEW(&names, cmd->nrows + 2, "option names"));
    for (size_t i = 0; i < cmd->nrows; i++) {
        if (opt_is_shown(cmd, &cmd->rows[i])) {
            names[n++] = cmd->rows[i].name;
        }
    }
    names[n] = "help";
    *out = names;
    return ST_OK;
}

static status unknown_option(const opt_command *cmd, const char *option)
{
    const char **names = NULL;
    TRY(option_names(cmd, &names));
    const char *near = text_nearest(option + strspn(option, "-"), names);
    status st =
        near != NULL
            ? FAIL(ST_USAGE,
                   "unknown option '%s', did you mean --%s? "
                   "(weft %s --help lists all)",
                   option, near, cmd->name)
            : FAIL(ST_USAGE, "unknown option '%s' (weft %s --help lists all)",
                   option, cmd->name);
    mem_free(names);
    return st;
}

static status popt_failed(const opt_command *cmd, poptContext con, int rc)
{
    const char *option = poptBadOption(con, POPT_BADOPTION_NOALIAS);
    /* Without the "=value" that popt leaves on it. */
    int len = option != NULL ? (int)strcspn(option, "=") : 0;
    char word[64];
    text_print(word, sizeof(word), "%.*s", len, option != NULL ? option : "");
    switch (rc) {
    case POPT_ERROR_BADOPT:
        return unknown_option(cmd, word);
    case POPT_ERROR_NOARG:
        return FAIL(ST_USAGE, "option '%s' needs a value", word);
    case POPT_ERROR_UNWANTEDARG:
        return FAIL(ST_USAGE, "option '%s' takes no value", word);
    default:
        return FAIL(ST_USAGE, "option '%s': %s", word, poptStrerror(rc));
    }
}

/* "--out --steps 5": popt takes "--steps" for the value of --out. */
static bool is_option(const opt_command *cmd, const char *text)
{
    for (size_t i = 0; i < cmd->nrows; i++) {
        if (text_starts(text, "--") && takes(cmd, &cmd->rows[i]) &&
            strcmp(text + 2, cmd->rows[i].name) == 0) {
            return true;
        }
    }
    return false;
}

/* How many texts row i was given so far. */
static int texts_of(const opt_parsed *p, size_t i)
{
    int n = 0;
    while (p->texts[i] != NULL && p->texts[i][n] != NULL) {
        n++;
    }
    return n;
}

/* Remembers that row i was given, and its text. Takes over popt's string. */
static status remember(opt_parsed *p, size_t i, char *text)
{
    const opt_row *row = &p->cmd->rows[i];
    p->given[i] = true;
    if (row->kind == OPT_KIND_FLAG) {
        free(text);
        return ST_OK;
    }
    if (is_option(p->cmd, text)) {
        free(text);
        return FAIL(ST_USAGE, "option '--%s' needs a value", row->name);
    }
    const int n = texts_of(p, i);
    status st = mem_resize((size_t)n + 2, sizeof(*p->texts[i]), "options",
                           (void **)&p->texts[i]);
    if (st == ST_OK) {
        p->texts[i][n] = NULL;
        p->texts[i][n + 1] = NULL;
        st = mem_strdup(text, &p->texts[i][n]);
    }
    free(text);
    return st;
}

/* Moves the positional arguments out of popt. */
static status take_args(opt_parsed *p, poptContext con)
{
    const char **args = poptGetArgs(con);
    int n = 0;
    while (args != NULL && args[n] != NULL) {
        n++;
    }
    TRY(MEM_NEW(&p->args, n + 1, "arguments"));
    while (p->nargs < n) {
        TRY(mem_strdup(args[p->nargs], &p->args[p->nargs]));
        p->nargs++;
    }
    return ST_OK;
}

static status read_options(opt_parsed *p, poptContext con)
{
    int rc = 0;
    while ((rc = poptGetNextOpt(con)) >= 0) {
        if (rc == VAL_HELP) {
            p->help = true;
            return ST_OK;
        }
        TRY(remember(p, (size_t)(rc - VAL_ROW), poptGetOptArg(con)));
    }
    if (rc != -1) {
        return popt_failed(p->cmd, con, rc);
    }
    return take_args(p, con);
}

/* One row more than the table: --help, and the end mark. */
static status popt_table(const opt_command *cmd, struct poptOption **out)
{
    struct poptOption *table = NULL;
    size_t n = 0;
    TRY(MEM_NEW(&table, cmd->nrows + 2, "option table"));
    for (size_t i = 0; i < cmd->nrows; i++) {
        const opt_row *row = &cmd->rows[i];
        bool flag = row->kind == OPT_KIND_FLAG;
        ASSERT(row->letter != 'h');
        if (takes(cmd, row)) {
            table[n].longName = row->name;
            table[n].shortName = row->letter;
            table[n].argInfo = flag ? POPT_ARG_NONE : POPT_ARG_STRING;
            table[n++].val = (int)i + VAL_ROW;
        }
    }
    table[n].longName = "help";
    table[n].shortName = 'h';
    table[n].argInfo = POPT_ARG_NONE;
    table[n].val = VAL_HELP;
    *out = table;
    return ST_OK;
}

static status check_args(const opt_parsed *p)
{
    const opt_command *cmd = p->cmd;
    REQUIRE(p->nargs >= cmd->min_args, ST_USAGE,
            "usage: weft %s %s (%d argument%s missing; --help explains)",
            cmd->name, cmd->usage, cmd->min_args - p->nargs,
            cmd->min_args - p->nargs == 1 ? " is" : "s are");
    REQUIRE(p->nargs <= cmd->max_args, ST_USAGE,
            "unexpected argument '%s'; usage: weft %s %s",
            p->args[cmd->max_args], cmd->name, cmd->usage);
    return ST_OK;
}

/* Defaults, then what was given, into fields. */
static status fill(const opt_parsed *p, void *fields)
{
    for (size_t i = 0; i < p->cmd->nrows; i++) {
        const opt_row *row = &p->cmd->rows[i];
        if (row->def != NULL) {
            /* A default that cannot be read is our bug, not the user's. */
            ASSERT(opt_set_field(row, row->def, false, fields) == ST_OK);
        }
        if (!p->given[i]) {
            continue;
        }
        const char *text = row->kind == OPT_KIND_FLAG
                               ? "true"
                               : p->texts[i][texts_of(p, i) - 1];
        REQUIRE(opt_set_field(row, text, true, fields) == ST_OK, ST_USAGE,
                "option '--%s': %s", row->name, status_text());
    }
    return ST_OK;
}

status opt_parse(const opt_command *cmd, int argc, const char *const *argv,
                 void *fields, size_t fields_bytes, opt_parsed **out)
{
    status st = ST_OK;
    opt_parsed *p = NULL;
    struct poptOption *table = NULL;
    void *filled = NULL;
    poptContext con = NULL;
    TRY(MEM_NEW(&p, 1, "options"));
    p->cmd = cmd;
    TRY_GOTO(MEM_NEW(&p->texts, cmd->nrows + 1, "options"), done);
    TRY_GOTO(MEM_NEW(&p->given, cmd->nrows + 1, "options"), done);
    TRY_GOTO(popt_table(cmd, &table), done);
    TRY_GOTO(mem_alloc(1, fields_bytes, "options", &filled), done);
    /* popt reads argv only; its prototype has changed between versions. */
    con = poptGetContext("weft", argc, (const char **)argv, table,
                         POPT_CONTEXT_NO_EXEC);
    if (con == NULL) {
        st = FAIL(ST_SYSTEM, "out of memory: options");
        goto done;
    }
    TRY_GOTO(read_options(p, con), done);
    if (!p->help) {
        TRY_GOTO(fill(p, filled), done);
        TRY_GOTO(check_args(p), done);
        memcpy(fields, filled, fields_bytes);
    }
    *out = p;
    p = NULL;
done:
    poptFreeContext(con);
    mem_free(filled);
    mem_free(table);
    opt_destroy(p);
    return st;
}

void opt_destroy(opt_parsed *p)
{
    if (p == NULL) {
        return;
    }
    for (size_t i = 0; p->texts != NULL && i < p->cmd->nrows; i++) {
        for (int k = texts_of(p, i) - 1; k >= 0; k--) {
            mem_free(p->texts[i][k]);
        }
        mem_free(p->texts[i]);
    }
    for (int i = 0; i < p->nargs; i++) {
        mem_free(p->args[i]);
    }
    mem_free(p->texts);
    mem_free(p->given);
    mem_free(p->args);
    mem_free(p);
}

bool opt_wants_help(const opt_parsed *p)
{
    return p->help;
}

static size_t row_of(const opt_parsed *p, const char *name)
{
    size_t i = 0;
    while (i < p->cmd->nrows && strcmp(p->cmd->rows[i].name, name) != 0) {
        i++;
    }
    ASSERT(i < p->cmd->nrows); /* no option of the table has this name */
    return i;
}

bool opt_given(const opt_parsed *p, const char *name)
{
    return p->given[row_of(p, name)];
}

const char *const *opt_texts(const opt_parsed *p, const char *name)
{
    return (const char *const *)p->texts[row_of(p, name)];
}

int opt_given_count(const opt_parsed *p)
{
    int n = 0;
    for (size_t i = 0; i < p->cmd->nrows; i++) {
        n += p->given[i] ? 1 : 0;
    }
    return n;
}

int opt_args_count(const opt_parsed *p)
{
    return p->nargs;
}

const char *opt_arg(const opt_parsed *p, int i)
{
    return i >= 0 && i < p->nargs ? p->args[i] : NULL;
}
