/* Reading run files back, also those in a comparison or still being written. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/text.h"
#include "runtime/results/format.h"
#include "runtime/results/runfile.h"
#include "runtime/results/runfile_impl.h"

/* A file and the group in it that is a run: "" for a run file. */
typedef struct place {
    h5_file *h5;
    const char *group;
} place;

static status path_in(const place *at, const char *rest,
                      char out[RUN_PATH_SIZE])
{
    const int n = snprintf(out, RUN_PATH_SIZE, "%s%s", at->group, rest);

    REQUIRE(n < RUN_PATH_SIZE, ST_BADFILE, "%s: %.*s...: the path is too long",
            h5_path(at->h5), text_fit(out, 60), out);
    return ST_OK;
}

/* ---- columns ------------------------------------------------------------- */

/* A column may be ahead of the step, never behind it. */
static status rows_check(const place *at, const char *path, int64_t rows,
                         int64_t steps)
{
    REQUIRE(rows >= steps, ST_BADFILE,
            "%s: %s has %lld rows and the step %lld; the file is damaged, "
            "copy it again",
            h5_path(at->h5), path, (long long)rows, (long long)steps);
    return ST_OK;
}

/* Reads one column into a member of every row. */
static status column_read(const place *at, const char *group,
                          const run_column *column, int64_t rows,
                          double *values, char *to, size_t row_bytes)
{
    char rest[RUN_PATH_SIZE], path[RUN_PATH_SIZE];
    h5_info info;

    snprintf(rest, sizeof(rest), "%s/%s", group, column->name);
    TRY(path_in(at, rest, path));
    TRY(h5_data_check(at->h5, path, H5_KIND_FLOAT, 1, (const int64_t[]){-1}));
    TRY(h5_data_info(at->h5, path, &info));
    TRY(rows_check(at, path, info.rows, rows));
    TRY(h5_data_read(at->h5, path, H5_F64, 0, rows, values));
    for (int64_t i = 0; i < rows; i++) {
        memcpy(to + (size_t)i * row_bytes + column->offset, &values[i],
               sizeof(double));
    }
    return ST_OK;
}

/* Columns of a group into rows of `row_bytes`, whose first member is the
 * step. The step was appended last: a crash may leave it a row behind. */
static status columns_read(const place *at, const char *group,
                           const run_column *columns, int ncolumns,
                           size_t row_bytes, void **out, int64_t *n)
{
    char rest[RUN_PATH_SIZE], path[RUN_PATH_SIZE];
    h5_info info;
    int64_t *steps = NULL;
    double *values = NULL;
    char *rows = NULL;
    status st = ST_OK;

    snprintf(rest, sizeof(rest), "%s/step", group);
    TRY(path_in(at, rest, path));
    TRY(h5_data_info(at->h5, path, &info));
    TRY_GOTO(
        mem_alloc((size_t)info.rows + 1, row_bytes, "runfile", (void **)&rows),
        done);
    TRY_GOTO(MEM_NEW(&steps, info.rows + 1, "runfile"), done);
    TRY_GOTO(MEM_NEW(&values, info.rows + 1, "runfile"), done);
    TRY_GOTO(h5_data_read_all(at->h5, path, H5_I64, info.rows, steps), done);
    for (int64_t i = 0; i < info.rows; i++) {
        memcpy(rows + (size_t)i * row_bytes, &steps[i], sizeof(int64_t));
    }
    for (int i = 0; i < ncolumns; i++) {
        TRY_GOTO(column_read(at, group, &columns[i], info.rows, values, rows,
                             row_bytes),
                 done);
    }
    *out = rows;
    *n = info.rows;
    rows = NULL;
done:
    mem_free(rows);
    mem_free(values);
    mem_free(steps);
    return st;
}

_Static_assert(offsetof(run_step, step) == 0 &&
                   offsetof(run_validation, step) == 0,
               "columns_read puts the step first");

/* The first step warms up: rates are of those after it, and so is this. */
static void mean_ledger(run_summary *s)
{
    const int64_t first = s->nsteps > 1 ? 1 : 0;
    double sum[RUN_ACCOUNTS] = {0};
    double one[RUN_ACCOUNTS];

    for (int64_t i = first; i < s->nsteps; i++) {
        memcpy(one, &s->steps[i].mean, sizeof(one));
        for (int k = 0; k < RUN_ACCOUNTS; k++) {
            sum[k] += one[k];
        }
    }
    for (int k = 0; k < RUN_ACCOUNTS && s->nsteps > 0; k++) {
        sum[k] /= (double)(s->nsteps - first);
    }
    memcpy(&s->ledger, sum, sizeof(sum));
}

/* Like the columns, /ledger may be a row ahead of the step. */
static status read_ledgers(const place *at, run_summary *s)
{
    char path[RUN_PATH_SIZE];
    h5_info info;

    TRY(path_in(at, "/ledger", path));
    if (!h5_has(at->h5, path)) {
        return ST_OK;
    }
    TRY(h5_data_check(at->h5, path, H5_KIND_FLOAT, 3,
                      (const int64_t[]){-1, -1, RUN_ACCOUNTS}));
    TRY(h5_data_info(at->h5, path, &info));
    TRY(rows_check(at, path, info.rows, s->nsteps));
    TRY(mem_alloc((size_t)info.dim[1],
                  ((size_t)s->nsteps + 1) * sizeof(run_ledger), "runfile",
                  (void **)&s->rank_ledgers));
    s->ledger_ranks = info.dim[1];
    return h5_data_read(at->h5, path, H5_F64, 0, s->nsteps, s->rank_ledgers);
}

/* ---- tables and attributes ----------------------------------------------- */

static status table_read(const place *at, const char *rest,
                         const h5_layout *layout, void **out, int64_t *n)
{
    char path[RUN_PATH_SIZE];

    TRY(path_in(at, rest, path));
    return format_table_read(at->h5, path, layout, out, n);
}

/* Of how many steps the bytes in a table are. Files before 1.2 do not say it:
 * of all that they have. */
static status read_steps_of(const place *at, const char *rest, int64_t all,
                            int64_t *steps)
{
    char path[RUN_PATH_SIZE];

    *steps = all;
    TRY(path_in(at, rest, path));
    if (!h5_has(at->h5, path)) {
        return ST_OK;
    }
    TRY(h5_attr_get_i64(at->h5, path, run_steps_attr, all, steps));
    REQUIRE(*steps >= 0, ST_BADFILE,
            "%s: %s: %s is %lld, allowed is 0 or more; the file is damaged, "
            "copy it again",
            h5_path(at->h5), path, run_steps_attr, (long long)*steps);
    return ST_OK;
}

static status read_info(const place *at, run_info *info)
{
    char path[RUN_PATH_SIZE];
    char *sums = NULL;
    const char *root = at->group[0] != '\0' ? at->group : "/";

    TRY(run_attrs_read(at->h5, root, &run_info_attrs, info));
    TRY(h5_attr_get_text(at->h5, root, "sums", "", &sums));
    info->exact_sums = strcmp(sums, run_sums_text(true)) == 0;
    mem_free(sums);
    TRY(path_in(at, "/config", path));
    return h5_has(at->h5, path) ? h5_text_read(at->h5, path, &info->config)
                                : mem_strdup("", &info->config);
}

static status read_setup(const place *at, run_summary *s)
{
    char path[RUN_PATH_SIZE];
    int64_t n = 0;
    run_setup *out = &s->setup;

    TRY(path_in(at, "/setup", path));
    s->has_setup = h5_has(at->h5, path);
    if (!s->has_setup) {
        return ST_OK;
    }
    TRY(run_attrs_read(at->h5, path, &run_setup_attrs, out));
    TRY(table_read(at, "/setup/decisions", &run_decision_layout,
                   (void **)&out->decisions, &n));
    out->ndecisions = (int32_t)n;
    TRY(table_read(at, "/setup/operations", &run_op_layout, (void **)&out->ops,
                   &n));
    out->nops = (int32_t)n;
    return ST_OK;
}

static status read_host(const place *at, run_summary *s)
{
    char path[RUN_PATH_SIZE];

    TRY(path_in(at, "/host", path));
    s->has_host = h5_has(at->h5, path);
    return s->has_host ? run_attrs_read(at->h5, path, &run_host_attrs, &s->host)
                       : ST_OK;
}

static status read_prediction(const place *at, run_summary *s)
{
    char path[RUN_PATH_SIZE];
    int64_t n = 0, accounts = 0;
    run_prediction *out = &s->prediction;
    run_account *rows = NULL;
    double said[RUN_ACCOUNTS], measured[RUN_ACCOUNTS];

    TRY(path_in(at, "/prediction", path));
    s->has_prediction = h5_has(at->h5, path);
    if (!s->has_prediction) {
        return ST_OK;
    }
    TRY(run_attrs_read(at->h5, path, &run_prediction_attrs, out));
    TRY(table_read(at, "/prediction/kinds", &run_kind_layout,
                   (void **)&out->kinds, &n));
    out->nkinds = (int32_t)n;
    TRY(table_read(at, "/prediction/ledger", &run_account_layout,
                   (void **)&rows, &accounts));
    for (int i = 0; i < RUN_ACCOUNTS; i++) {
        said[i] = i < accounts ? rows[i].predicted_s : (double)NAN;
        measured[i] = i < accounts ? rows[i].measured_s : (double)NAN;
    }
    mem_free(rows);
    memcpy(&out->ledger, said, sizeof(said));
    memcpy(&out->measured_ledger, measured, sizeof(measured));
    return ST_OK;
}

static status read_trace_info(const place *at, run_summary *s)
{
    char path[RUN_PATH_SIZE];
    h5_info info;

    TRY(path_in(at, "/trace", path));
    s->trace_step = -1;
    if (!h5_has(at->h5, path)) {
        return ST_OK;
    }
    TRY(h5_data_info(at->h5, path, &info));
    s->ntrace = info.rows;
    return h5_attr_get_i64(at->h5, path, "step", -1, &s->trace_step);
}

/* ---- files --------------------------------------------------------------- */

static status read_all(const place *at, run_summary *s)
{
    TRY(format_check(at->h5, at->group[0] != '\0' ? at->group : "/",
                     run_format));
    TRY(read_info(at, &s->info));
    TRY(columns_read(at, "/steps", run_step_columns, RUN_STEP_COLUMNS,
                     sizeof(run_step), (void **)&s->steps, &s->nsteps));
    mean_ledger(s);
    TRY(read_ledgers(at, s));
    TRY(columns_read(at, "/validation", &run_validation_column, 1,
                     sizeof(run_validation), (void **)&s->validations,
                     &s->nvalidations));
    TRY(table_read(at, "/ranks", &run_rank_layout, (void **)&s->ranks,
                   &s->nranks));
    TRY(table_read(at, "/traffic", &run_traffic_layout, (void **)&s->traffic,
                   &s->ntraffic));
    TRY(read_steps_of(at, "/ranks", s->nsteps, &s->ranks_steps));
    TRY(read_steps_of(at, "/traffic", s->nsteps, &s->traffic_steps));
    TRY(read_setup(at, s));
    TRY(read_host(at, s));
    TRY(read_prediction(at, s));
    return read_trace_info(at, s);
}

static status place_open(const char *path, const char *group, place *out)
{
    *out = (place){.group = strcmp(group, "/") == 0 ? "" : group};
    TRY(h5_open(path, &out->h5));
    if (out->group[0] == '\0' || h5_is_group(out->h5, out->group)) {
        return ST_OK;
    }
    status st = FAIL(ST_BADFILE, "%s: has no group %s", path, group);
    const status closed = h5_close(&out->h5);
    (void)closed;
    return st;
}

status runfile_read_at(const char *path, const char *group, run_summary *out)
{
    place at;
    run_summary s = {0};

    TRY(place_open(path, group, &at));
    status st = read_all(&at, &s);
    const status closed = h5_close(&at.h5);
    st = st != ST_OK ? st : closed;
    if (st != ST_OK) {
        run_summary_fini(&s);
        return st;
    }
    *out = s;
    return ST_OK;
}

status runfile_read(const char *path, run_summary *out)
{
    return runfile_read_at(path, "/", out);
}

void run_summary_fini(run_summary *s)
{
    mem_free(s->info.model);
    mem_free(s->info.plan);
    mem_free(s->info.cmdline);
    mem_free(s->info.commit);
    mem_free(s->info.config);
    mem_free(s->info.created);
    mem_free(s->info.store);
    mem_free(s->info.kernels);
    mem_free(s->steps);
    mem_free(s->rank_ledgers);
    mem_free(s->validations);
    mem_free(s->ranks);
    mem_free(s->traffic);
    mem_free(s->setup.decisions);
    mem_free(s->setup.ops);
    mem_free(s->prediction.kinds);
    *s = (run_summary){0};
}

status runfile_read_trace(const char *path, const char *group, run_trace **rows,
                          int64_t *n)
{
    place at;
    void *out = NULL;
    int64_t count = 0;

    TRY(place_open(path, group, &at));
    status st = table_read(&at, "/trace", &run_trace_layout, &out, &count);
    const status closed = h5_close(&at.h5);
    st = st != ST_OK ? st : closed;
    if (st != ST_OK) {
        mem_free(out);
        return st;
    }
    *rows = out;
    *n = count;
    return ST_OK;
}
