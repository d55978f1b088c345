/*
 * Options in files: settings read from a JSON object, effective values
 * written into one.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/opt_impl.h"

enum { KEY_MAX = 64 };

/* The option's name as a key: '_' for '-'. */
static void key_of(const opt_row *row, char key[KEY_MAX])
{
    ASSERT(strlen(row->name) < KEY_MAX);
    snprintf(key, KEY_MAX, "%s", row->name);
    for (char *c = key; *c != '\0'; c++) {
        *c = *c == '-' ? '_' : *c;
    }
}

/* A value of the file as the text a person would type; `room` is used for
 * numbers. */
static status text_of(json_val v, char room[40], const char **out)
{
    bool flag = false;
    double real = 0;
    int64_t whole = 0;
    switch (json_kind(v)) {
    case JSON_KIND_STR:
        return json_as_str(v, out);
    case JSON_KIND_BOOL:
        TRY(json_as_bool(v, &flag));
        *out = flag ? "true" : "false";
        return ST_OK;
    case JSON_KIND_INT:
        TRY(json_as_i64(v, INT64_MIN, INT64_MAX, &whole));
        snprintf(room, 40, "%lld", (long long)whole);
        break;
    case JSON_KIND_REAL:
        TRY(json_as_f64(v, -INFINITY, INFINITY, &real));
        snprintf(room, 40, "%.17g", real);
        break;
    default:
        return json_fail(v, ST_CONFIG,
                         "a number, a string, true or false is "
                         "needed");
    }
    *out = room;
    return ST_OK;
}

static status read_member(const opt_row *row, json_val v, bool given,
                          void *fields)
{
    char room[40];
    const char *text = NULL;
    if (row->kind == OPT_KIND_STR) {
        TRY(json_as_str(v, &text));
    } else {
        TRY(text_of(v, room, &text));
    }
    /* What the command line gave is not overwritten, but a wrong value in the
     * file is an error all the same: check it on a scratch field. */
    union {
        int64_t whole;
        double real;
        const char *text;
        int choice;
        bool flag;
    } scratch;
    opt_row aside = *row;
    aside.offset = 0;
    status st = given ? opt_set_field(&aside, text, true, &scratch)
                      : opt_set_field(row, text, true, fields);
    return st == ST_OK ? ST_OK : json_fail(v, st, "%s", status_text());
}

static status check_keys(const opt_command *cmd, json_val obj,
                         const char *const *skip)
{
    char(*keys)[KEY_MAX] = NULL;
    const char **list = NULL;
    status st = ST_OK;
    size_t n = cmd->nrows;
    for (const char *const *s = skip; s != NULL && *s != NULL; s++) {
        n++;
    }
    TRY_GOTO(MEM_NEW(&keys, cmd->nrows + 1, "option keys"), done);
    TRY_GOTO(MEM_NEW(&list, n + 1, "option keys"), done);
    for (size_t i = 0; i < n; i++) {
        bool row = i < cmd->nrows;
        if (row) {
            key_of(&cmd->rows[i], keys[i]);
        }
        list[i] = row ? keys[i] : skip[i - cmd->nrows];
    }
    st = json_done(obj, list);
done:
    mem_free(list);
    mem_free(keys);
    return st;
}

/* The row of a key of the file, or NULL for a comment ("_..."). */
static const opt_row *row_of(const opt_command *cmd, const char *name)
{
    char key[KEY_MAX];
    for (size_t i = 0; i < cmd->nrows; i++) {
        key_of(&cmd->rows[i], key);
        if (strcmp(key, name) == 0) {
            return &cmd->rows[i];
        }
    }
    return NULL;
}

/* The file's members and not the table's rows lead, so that errors name a key
 * as the file has it. */
status opt_read_json(const opt_command *cmd, json_val obj,
                     const char *const *skip, const opt_parsed *p, void *fields)
{
    json_iter it = {0};
    const char *key = NULL;
    json_val v;
    TRY(check_keys(cmd, obj, skip));
    while (json_next(obj, &it, &key, &v)) {
        const opt_row *row = row_of(cmd, key);
        if (row != NULL && !text_in_list(key, skip)) {
            bool given = p != NULL && p->given[row - cmd->rows];
            TRY(read_member(row, v, given, fields));
        }
    }
    return ST_OK;
}

static void write_row(const opt_row *row, const void *fields, json_writer *w)
{
    const void *at = (const char *)fields + row->offset;
    char key[KEY_MAX];
    key_of(row, key);
    switch (row->kind) {
    case OPT_KIND_FLAG:
        json_write_bool(w, key, *(const bool *)at);
        break;
    case OPT_KIND_I64:
    case OPT_KIND_SIZE:
        json_write_i64(w, key, *(const int64_t *)at);
        break;
    case OPT_KIND_F64:
    case OPT_KIND_RATE:
    case OPT_KIND_TIME:
        json_write_f64(w, key, *(const double *)at);
        break;
    case OPT_KIND_CHOICE:
        json_write_str(w, key, row->choices[*(const int *)at]);
        break;
    case OPT_KIND_STR:
        if (*(const char *const *)at == NULL) {
            json_write_null(w, key);
        } else {
            json_write_str(w, key, *(const char *const *)at);
        }
        break;
    }
}

void opt_write_json(const opt_command *cmd, const void *fields, json_writer *w)
{
    for (size_t i = 0; i < cmd->nrows; i++) {
        write_row(&cmd->rows[i], fields, w);
    }
}
