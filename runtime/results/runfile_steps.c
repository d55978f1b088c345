/*
 * Steps of a run file: the columns of /steps and /validation, and /ledger.
 *
 * Invariants: all columns of a group have the same number of rows between
 * calls, and so have /steps and /ledger where there is one, unless a write
 * failed, after which no step is written; steps rise;
 * last_step is the last of waiting[] or, with none waiting, of /steps.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/results/runfile_impl.h"

/* Steps wait at most so long to be written together. */
#define WAIT_NS ((int64_t)200 * 1000 * 1000)

/* ---- groups of columns --------------------------------------------------- */

static void column_path(const char *group, const char *name,
                        char out[RUN_PATH_SIZE])
{
    const int n = snprintf(out, RUN_PATH_SIZE, "%s/%s", group, name);
    ASSERT(n > 0 && n < RUN_PATH_SIZE);
}

/* h5web, silx and NeXpy then show the curve when they open the file. */
static status describe_plot(h5_file *f, const char *group)
{
    TRY(h5_attr_set_text(f, group, "NX_class", "NXdata"));
    TRY(h5_attr_set_text(f, group, "signal", "loss"));
    return h5_attr_set_text(f, group, "axes", "step");
}

static status columns_create(h5_file *f, const char *group,
                             const char *step_name, const run_column *columns,
                             int n)
{
    char scale[RUN_PATH_SIZE], path[RUN_PATH_SIZE];

    column_path(group, "step", scale);
    TRY(h5_column_create(f, scale, H5_I64, 0, NULL));
    TRY(h5_describe(f, scale, "1", step_name));
    TRY(h5_scale_set(f, scale, "step"));
    for (int i = 0; i < n; i++) {
        column_path(group, columns[i].name, path);
        TRY(h5_column_create(f, path, H5_F64, 0, NULL));
        TRY(h5_describe(f, path, columns[i].units, columns[i].long_name));
        TRY(h5_scale_attach(f, path, 0, scale));
    }
    return describe_plot(f, group);
}

/* Rows of `row_bytes` that begin with the step. The step is written last, as
 * readers take its length for the group's. */
static status columns_append(h5_file *f, const char *group, const void *rows,
                             size_t row_bytes, int nrows,
                             const run_column *columns, int n)
{
    char path[RUN_PATH_SIZE];
    double values[RUN_WAIT_STEPS];
    int64_t steps[RUN_WAIT_STEPS];

    ASSERT(nrows <= RUN_WAIT_STEPS);
    for (int i = 0; i < n; i++) {
        for (int r = 0; r < nrows; r++) {
            const char *row = (const char *)rows + (size_t)r * row_bytes;
            memcpy(&values[r], row + columns[i].offset, sizeof(double));
            memcpy(&steps[r], row, sizeof(int64_t));
        }
        column_path(group, columns[i].name, path);
        TRY(h5_column_append(f, path, H5_F64, nrows, values));
    }
    column_path(group, "step", path);
    return h5_column_append(f, path, H5_I64, nrows, steps);
}

/* Rows of /GROUP/step below `step`; steps rise. */
static status rows_before(h5_file *f, const char *group, int64_t step,
                          int64_t *rows, int64_t *last)
{
    char path[RUN_PATH_SIZE];
    h5_info info;
    int64_t *steps = NULL;
    status st = ST_OK;

    column_path(group, "step", path);
    TRY(h5_data_info(f, path, &info));
    TRY(MEM_NEW(&steps, info.rows + 1, "runfile"));
    TRY_GOTO(h5_data_read_all(f, path, H5_I64, info.rows, steps), done);
    *rows = 0;
    while (*rows < info.rows && steps[*rows] < step) {
        (*rows)++;
    }
    *last = *rows > 0 ? steps[*rows - 1] : -1;
done:
    mem_free(steps);
    return st;
}

static status columns_cut(h5_file *f, const char *group, int64_t rows,
                          const run_column *columns, int n)
{
    char path[RUN_PATH_SIZE];

    for (int i = 0; i < n; i++) {
        column_path(group, columns[i].name, path);
        TRY(h5_column_cut(f, path, rows));
    }
    column_path(group, "step", path);
    return h5_column_cut(f, path, rows);
}
/* ---- ledgers of the ranks ------------------------------------------------ */

static void ledgers_blank(run_ledger *ledgers, int64_t n)
{
    const double nan = (double)NAN;

    for (int64_t i = 0; i < n; i++) {
        ledgers[i] = (run_ledger){nan, nan, nan, nan, nan, nan};
    }
}

static status ledgers_alloc(runfile *f, int64_t nranks)
{
    TRY(mem_alloc((size_t)nranks, RUN_WAIT_STEPS * sizeof(run_ledger),
                  "runfile", (void **)&f->ledgers));
    f->ledger_ranks = nranks;
    ledgers_blank(f->ledgers, RUN_WAIT_STEPS * nranks);
    return ST_OK;
}

/* Steps written before have blank rows. No dimension scale: netCDF looks for
 * scales in the dataset's group and those above it, not in /steps, and refuses
 * the whole file if one is elsewhere. */
static status ledger_create(runfile *f)
{
    const int64_t dim[2] = {f->ledger_ranks, RUN_ACCOUNTS};
    h5_info steps;

    TRY(h5_data_info(f->h5, "/steps/step", &steps));
    TRY(h5_column_create(f->h5, "/ledger", H5_F64, 2, dim));
    TRY(h5_describe(f->h5, "/ledger", "s",
                    "time ledger by step (as /steps/step), rank and account"));
    TRY(h5_attr_set_text(f->h5, "/ledger", "accounts",
                         "compute load comm bubble optimizer other"));
    for (int64_t at = 0; at < steps.rows; at += RUN_WAIT_STEPS) {
        const int64_t left = steps.rows - at;
        TRY(h5_column_append(f->h5, "/ledger", H5_F64,
                             left < RUN_WAIT_STEPS ? left : RUN_WAIT_STEPS,
                             f->ledgers));
    }
    return ST_OK;
}

/* The ledgers of the next step to wait. */
static status ledgers_put(runfile *f, const run_ledger *ledgers, int nranks)
{
    if (f->ledgers == NULL && ledgers != NULL) {
        TRY(ledgers_alloc(f, nranks));
        const status st = ledger_create(f);
        f->broken = f->broken || st != ST_OK;
        TRY(st);
    }
    if (f->ledgers == NULL) {
        return ST_OK;
    }
    run_ledger *row = &f->ledgers[f->nwaiting * f->ledger_ranks];
    if (ledgers != NULL && nranks == f->ledger_ranks) {
        memcpy(row, ledgers, (size_t)nranks * sizeof(*row));
    } else {
        ledgers_blank(row, f->ledger_ranks);
    }
    return ST_OK;
}

/* Goes on with the /ledger of a file that has one, cut to `rows`. */
static status ledger_resume(runfile *f, int64_t rows)
{
    h5_info info;

    if (!h5_has(f->h5, "/ledger")) {
        return ST_OK;
    }
    TRY(h5_data_check(f->h5, "/ledger", H5_KIND_FLOAT, 3,
                      (const int64_t[]){-1, -1, RUN_ACCOUNTS}));
    TRY(h5_column_cut(f->h5, "/ledger", rows));
    TRY(h5_data_info(f->h5, "/ledger", &info));
    return ledgers_alloc(f, info.dim[1]);
}
/* ---- steps --------------------------------------------------------------- */

status run_steps_create(runfile *f)
{
    TRY(columns_create(f->h5, "/steps", "number of the step, from 0",
                       run_step_columns, RUN_STEP_COLUMNS));
    return columns_create(f->h5, "/validation", "steps done before",
                          &run_validation_column, 1);
}

status run_steps_cut(runfile *f, int64_t step)
{
    int64_t rows = 0, last = -1;

    TRY(rows_before(f->h5, "/steps", step, &rows, &last));
    REQUIRE(step == 0 || last == step - 1, ST_BADFILE,
            "%s: ends after step %lld, cannot go on after step %lld; start a "
            "new results file with --out",
            h5_path(f->h5), (long long)last + 1, (long long)step);
    TRY(columns_cut(f->h5, "/steps", rows, run_step_columns, RUN_STEP_COLUMNS));
    TRY(ledger_resume(f, rows));
    f->last_step = last;
    /* A validation after `step` steps belongs to what is kept. */
    TRY(rows_before(f->h5, "/validation", step + 1, &rows, &last));
    return columns_cut(f->h5, "/validation", rows, &run_validation_column, 1);
}

void run_step_summarize(const run_ledger *ledgers, int n, run_step *s)
{
    double sum[RUN_ACCOUNTS] = {0}, max[RUN_ACCOUNTS] = {0};

    for (int r = 0; r < n; r++) {
        double parts[RUN_ACCOUNTS];
        memcpy(parts, &ledgers[r], sizeof(parts));
        for (int i = 0; i < RUN_ACCOUNTS; i++) {
            sum[i] += parts[i];
            max[i] = r == 0 || parts[i] > max[i] ? parts[i] : max[i];
        }
    }
    for (int i = 0; i < RUN_ACCOUNTS; i++) {
        sum[i] /= n;
    }
    memcpy(&s->mean, sum, sizeof(sum));
    memcpy(&s->max, max, sizeof(max));
}

status runfile_step(runfile *f, const run_step *s, const run_ledger *ledgers,
                    int nranks)
{
    run_step row = *s;

    REQUIRE(s->step > f->last_step, ST_INTERNAL,
            "%s: step %lld recorded after step %lld", h5_path(f->h5),
            (long long)s->step, (long long)f->last_step);
    if (ledgers != NULL) {
        ASSERT(nranks > 0);
        run_step_summarize(ledgers, nranks, &row);
    }
    TRY(ledgers_put(f, ledgers, nranks));
    f->waiting[f->nwaiting++] = row;
    f->last_step = row.step;
    f->nsteps++;
    if (f->nwaiting < RUN_WAIT_STEPS &&
        clock_wall_ns() - f->written_ns < WAIT_NS) {
        return ST_OK;
    }
    return runfile_flush(f);
}

status runfile_flush(runfile *f)
{
    const int n = f->nwaiting;

    if (n == 0) {
        return ST_OK;
    }
    REQUIRE(!f->broken, ST_IO, "%s: an earlier write failed, its steps end",
            h5_path(f->h5));
    f->nwaiting = 0;
    f->broken = true; /* unless all columns get their rows */
    if (f->ledgers != NULL) {
        TRY(h5_column_append(f->h5, "/ledger", H5_F64, n, f->ledgers));
    }
    TRY(columns_append(f->h5, "/steps", f->waiting, sizeof(f->waiting[0]), n,
                       run_step_columns, RUN_STEP_COLUMNS));
    f->broken = false;
    f->written_ns = clock_wall_ns();
    TRY(h5_flush(f->h5));
    f->has_steps = true;
    return ST_OK;
}

status runfile_validation(runfile *f, int64_t step, double loss)
{
    const run_validation row = {step, loss};

    TRY(runfile_flush(f));
    TRY(columns_append(f->h5, "/validation", &row, sizeof(row), 1,
                       &run_validation_column, 1));
    return h5_flush(f->h5);
}
