#include "runtime/results/comparison.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/text.h"
#include "runtime/io/h5.h"
#include "runtime/results/format.h"

static const char format_name[] = "weft-comparison";
static const char runs_name[] = "/runs";
static const char config_name[] = "/config";

struct comparison {
    h5_file *h5;
    bool has_default; /* a plot that viewers show first */
    bool has_rows;
};

#define TEXT(member)  H5_FIELD(comparison_row, member, H5_TEXT)
#define I64(member)   H5_FIELD(comparison_row, member, H5_I64)
#define F64(member)   H5_FIELD(comparison_row, member, H5_F64)
#define ADDED(member) H5_FIELD_ADDED(comparison_row, member, H5_F64)

static const h5_field fields[] = {
    TEXT(name),
    TEXT(model),
    TEXT(status),
    TEXT(reasons),
    TEXT(group),
    TEXT(clock),
    TEXT(agreement),
    H5_FIELD(comparison_row, devices, H5_I32),
    I64(peak_bytes),
    F64(tokens_per_s),
    F64(flop_per_s),
    F64(host_matmul_share),
    F64(loss_first),
    F64(loss_last),
    F64(loss_difference),
    F64(loaded_bytes),
    F64(drained_bytes),
    F64(pipe_bytes),
    F64(tensor_bytes),
    F64(data_bytes),
    F64(tie_bytes),
    F64(world_bytes),
    F64(compute_share),
    F64(load_share),
    F64(comm_share),
    F64(bubble_share),
    F64(optimizer_share),
    F64(other_share),
    I64(decisions),
    I64(programs),
    I64(communicators),
    I64(messages),
    F64(first_step_s),
    I64(switch_distance),
    ADDED(predicted_tokens_per_s),
    ADDED(prediction_error),
    ADDED(prediction_pace),
};
static const h5_layout layout = {fields, sizeof(fields) / sizeof(fields[0]),
                                 sizeof(comparison_row)};

void comparison_row_init(comparison_row *row)
{
    format_row_blank(&layout, row);
}

/* ---- writing ------------------------------------------------------------- */

static status write_attributes(h5_file *f, const char *cmdline,
                               const char *commit, const char *config)
{
    char now[FORMAT_TIME_SIZE];

    format_time(now);
    TRY(format_write(f, format_name));
    TRY(h5_attr_set_text(f, "/", "NX_class", "NXroot"));
    TRY(h5_attr_set_text(f, "/", "created", now));
    TRY(h5_attr_set_text(f, "/", "cmdline", cmdline));
    TRY(h5_attr_set_text(f, "/", "commit", commit != NULL ? commit : ""));
    if (config != NULL) {
        TRY(h5_text_write(f, config_name, config));
    }
    TRY(h5_table_create(f, runs_name, &layout));
    TRY(h5_describe(f, runs_name, NULL, "one row a set-up"));
    return h5_live_show(f);
}

status comparison_create(const char *path, const char *cmdline,
                         const char *commit, const char *config,
                         comparison **out)
{
    comparison *c = NULL;
    status st = ST_OK;

    TRY(MEM_NEW(&c, 1, "comparison"));
    TRY_GOTO(h5_live_create(path, &c->h5), fail);
    TRY_GOTO(write_attributes(c->h5, cmdline, commit, config), fail);
    *out = c;
    return ST_OK;
fail:;
    const status closed = comparison_close(&c, false);
    (void)closed; /* the first error is the one to report */
    return st;
}

/* Letters, digits and "._-+" stay. A first '.' would be a path of its own. */
void comparison_group(const char *name, char *out, size_t size)
{
    size_t n = 0;
    for (const char *c = name; *c != '\0' && n + 1 < size; c++) {
        const bool stays = isalnum((unsigned char)*c) ||
                           strchr("_-+", *c) != NULL || (*c == '.' && n > 0);
        if (!text_goes_on(*c) || n == 0) {
            out[n++] = stays ? *c : '_';
        }
    }
    snprintf(out + n, size - n, "%s", n == 0 ? "_" : "");
}

bool comparison_reserved(const char *model)
{
    char group[COMPARISON_GROUP_SIZE];

    comparison_group(model, group, sizeof(group));
    return strcmp(group, runs_name + 1) == 0 ||
           strcmp(group, config_name + 1) == 0;
}

static void add_name(char *out, size_t size, const char *name)
{
    const size_t at = strlen(out);

    snprintf(out + at, size - at, "/");
    comparison_group(name, out + at + 1, size - at - 1);
}

/* The copy is an entry of this file's plots, no longer a file's root. */
static status copy_run(comparison *c, const char *group, const char *run_path)
{
    h5_file *from = NULL;

    TRY(h5_open(run_path, &from));
    status st = format_check(from, "/", "weft-run");
    if (st == ST_OK) {
        st = h5_copy(from, "/", c->h5, group);
    }
    const status closed = h5_close(&from);
    TRY(st);
    TRY(closed);
    TRY(h5_attr_set_text(c->h5, group, "NX_class", "NXentry"));
    if (!c->has_default) {
        TRY(h5_attr_set_text(c->h5, "/", "default", group + 1));
        c->has_default = true;
    }
    return ST_OK;
}

status comparison_add(comparison *c, comparison_row *row, const char *run_path)
{
    comparison_row said = *row;

    said.group[0] = '\0';
    if (run_path != NULL) {
        add_name(said.group, sizeof(said.group), row->model);
        add_name(said.group, sizeof(said.group), row->name);
        TRY(copy_run(c, said.group, run_path));
    }
    TRY(format_table_append(c->h5, runs_name, &layout, 1, &said));
    TRY(h5_flush(c->h5));
    c->has_rows = true;
    *row = said;
    return ST_OK;
}

status comparison_close(comparison **c, bool whole)
{
    status st = ST_OK;

    if (*c == NULL) {
        return ST_OK;
    }
    if (whole) {
        st = h5_commit(&(*c)->h5);
    } else if ((*c)->has_rows) {
        st = h5_close(&(*c)->h5);
    } else {
        h5_abandon(&(*c)->h5);
    }
    mem_free(*c);
    *c = NULL;
    return st;
}

const char *comparison_path(const comparison *c)
{
    return c->has_rows ? h5_path_now(c->h5) : NULL;
}

/* ---- reading ------------------------------------------------------------- */

status comparison_read(const char *path, comparison_row **rows, int64_t *n)
{
    h5_file *f = NULL;
    void *out = NULL;
    int64_t count = 0;

    TRY(h5_open(path, &f));
    status st = format_check(f, "/", format_name);
    if (st == ST_OK) {
        st = format_table_read(f, runs_name, &layout, &out, &count);
    }
    const status closed = h5_close(&f);
    st = st != ST_OK ? st : closed;
    if (st != ST_OK) {
        mem_free(out);
        return st;
    }
    *rows = out;
    *n = count;
    return ST_OK;
}
