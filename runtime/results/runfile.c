/*
 * Writing of run files. The tables that say what is where are in
 * runfile_layout.c.
 *
 * Invariants: all columns of a group have the same number of rows between
 * calls, and so have /steps and /ledger where there is one, unless a write
 * failed, after which no step is written; steps rise;
 * last_step is the last of waiting[] or, with none waiting, of /steps.
 */
#include "runtime/results/runfile.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/hash.h"
#include "runtime/base/mem.h"
#include "runtime/base/text.h"
#include "runtime/results/format.h"
#include "runtime/results/runfile_impl.h"

/* Steps wait at most so long, and so many, to be written together. */
#define WAIT_NS ((int64_t)200 * 1000 * 1000)
enum { WAIT_STEPS = 256 };

struct runfile {
    h5_file *h5;
    int64_t last_step;  /* recorded, -1: none yet     */
    bool is_new;        /* of runfile_create          */
    bool has_steps;     /* that a reader can see      */
    bool has_trace;     /* this object wrote to it    */
    int64_t written_ns; /* when steps were, last      */
    bool broken;        /* columns may differ in length */
    int nwaiting;
    run_step waiting[WAIT_STEPS];
    int64_t ledger_ranks; /* of /ledger                 */
    run_ledger *ledgers;  /* [WAIT_STEPS][ledger_ranks] of waiting[]; NULL:
                             there is no /ledger        */
};

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
    double values[WAIT_STEPS];
    int64_t steps[WAIT_STEPS];

    ASSERT(nrows <= WAIT_STEPS);
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
    TRY(mem_alloc((size_t)nranks, WAIT_STEPS * sizeof(run_ledger), "runfile",
                  (void **)&f->ledgers));
    f->ledger_ranks = nranks;
    ledgers_blank(f->ledgers, WAIT_STEPS * nranks);
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
    for (int64_t at = 0; at < steps.rows; at += WAIT_STEPS) {
        const int64_t left = steps.rows - at;
        TRY(h5_column_append(f->h5, "/ledger", H5_F64,
                             left < WAIT_STEPS ? left : WAIT_STEPS,
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

/* ---- opening and closing ------------------------------------------------- */

static status write_info(h5_file *f, const run_info *info)
{
    char now[FORMAT_TIME_SIZE];
    run_info said = *info;

    format_time(now);
    said.created = now;
    said.complete = false;
    TRY(format_write(f, run_format));
    TRY(h5_attr_set_text(f, "/", "NX_class", "NXroot"));
    TRY(h5_attr_set_text(f, "/", "default", "steps"));
    TRY(run_attrs_write(f, "/", &run_info_attrs, &said));
    TRY(h5_attr_set_text(f, "/", "sums", info->exact_sums ? "exact" : "fast"));
    return info->config != NULL ? h5_text_write(f, "/config", info->config)
                                : ST_OK;
}

static status create_all(runfile *f, const run_info *info)
{
    TRY(write_info(f->h5, info));
    TRY(columns_create(f->h5, "/steps", "number of the step, from 0",
                       run_step_columns, RUN_STEP_COLUMNS));
    TRY(columns_create(f->h5, "/validation", "steps done before",
                       &run_validation_column, 1));
    return h5_live_show(f->h5);
}

static void release(runfile **f)
{
    mem_free((*f)->ledgers);
    mem_free(*f);
    *f = NULL;
}

status runfile_create(const char *path, const run_info *info, runfile **out)
{
    runfile *f = NULL;
    status st = ST_OK;

    TRY(MEM_NEW(&f, 1, "runfile"));
    f->last_step = -1;
    TRY_GOTO(h5_live_create(path, &f->h5), fail);
    f->is_new = true;
    TRY_GOTO(create_all(f, info), fail);
    *out = f;
    return ST_OK;
fail:
    runfile_give_up(&f);
    return st;
}

static status cut_all(runfile *f, int64_t step)
{
    int64_t rows = 0, last = -1;

    TRY(rows_before(f->h5, "/steps", step, &rows, &last));
    REQUIRE(step == 0 || last == step - 1, ST_BADFILE,
            "%s: ends at step %lld, cannot go on from step %lld; start a new "
            "results file with --out",
            h5_path(f->h5), (long long)last, (long long)step);
    TRY(columns_cut(f->h5, "/steps", rows, run_step_columns, RUN_STEP_COLUMNS));
    TRY(ledger_resume(f, rows));
    f->last_step = last;
    /* A validation after `step` steps belongs to what is kept. */
    TRY(rows_before(f->h5, "/validation", step + 1, &rows, &last));
    TRY(columns_cut(f->h5, "/validation", rows, &run_validation_column, 1));
    TRY(h5_attr_set_i64(f->h5, "/", "complete", 0));
    return h5_flush(f->h5);
}

static status same_number(const h5_file *f, const char *name, int64_t now)
{
    int64_t was = now;

    TRY(h5_attr_get_i64(f, "/", name, now, &was));
    REQUIRE(was == now, ST_CONFIG,
            "%s: holds another run: its %s is %lld, this one's is %lld; give "
            "another --out",
            h5_path(f), name, (long long)was, (long long)now);
    return ST_OK;
}

static status same_model(const h5_file *f, const run_info *now)
{
    char *hash = NULL, *model = NULL;
    uint64_t was = now->arch_hash;

    TRY(h5_attr_get_text(f, "/", "arch_hash", "", &hash));
    status st = hash[0] != '\0' ? hash_parse(hash, &was) : ST_OK;
    mem_free(hash);
    TRY(st);
    if (was == now->arch_hash) {
        return ST_OK;
    }
    TRY(h5_attr_get_text(f, "/", "model", "", &model));
    st = FAIL(ST_CONFIG,
              "%s: holds another run: its model is %.*s, this one's is "
              "%.*s of another architecture; give another --out",
              h5_path(f), text_fit(model, 60), model, text_fit(now->model, 60),
              now->model);
    mem_free(model);
    return st;
}

static status same_run(const h5_file *f, const run_info *now)
{
    TRY(format_check(f, "/", run_format));
    TRY(same_model(f, now));
    TRY(same_number(f, "seed", (int64_t)now->seed));
    TRY(same_number(f, "batch", now->batch));
    return same_number(f, "seq", now->seq);
}

/* "pp2" that goes on as tp2 becomes "pp2, then tp2". */
static status add_plan(h5_file *f, const char *now)
{
    static const char then[] = ", then ";
    char *was = NULL;
    strbuf both = {0};
    status st = ST_OK;

    TRY(h5_attr_get_text(f, "/", "plan", "", &was));
    const char *last = was;
    for (const char *s = was; (s = strstr(s, then)) != NULL;) {
        last = s += strlen(then);
    }
    if (strcmp(last, now) != 0) {
        strbuf_printf(&both, "%s%s%s", was, then, now);
        st = strbuf_check(&both);
        if (st == ST_OK) {
            st = h5_attr_set_text(f, "/", "plan", strbuf_view(&both));
        }
    }
    strbuf_fini(&both);
    mem_free(was);
    return st;
}

static status take_over(h5_file *f, const run_info *info)
{
    TRY(add_plan(f, info->plan));
    TRY(h5_attr_set_text(f, "/", "cmdline",
                         info->cmdline != NULL ? info->cmdline : ""));
    TRY(h5_attr_set_i64(f, "/", "ranks", info->ranks));
    return h5_attr_set_i64(f, "/", "oversubscribed", info->oversubscribed);
}

status runfile_resume(const char *path, const run_info *info, int64_t step,
                      runfile **out)
{
    runfile *f = NULL;
    status st = ST_OK;

    TRY(MEM_NEW(&f, 1, "runfile"));
    TRY_GOTO(h5_live_open(path, &f->h5), fail);
    TRY_GOTO(same_run(f->h5, info), fail);
    TRY_GOTO(cut_all(f, step), fail);
    TRY_GOTO(take_over(f->h5, info), fail);
    *out = f;
    return ST_OK;
fail:
    runfile_give_up(&f);
    return st;
}

status runfile_close(runfile **f, bool complete)
{
    status st = ST_OK;

    if (*f == NULL) {
        return ST_OK;
    }
    st = runfile_flush(*f);
    if (st == ST_OK && complete) {
        st = h5_attr_set_i64((*f)->h5, "/", "complete", 1);
    }
    const status closed = st == ST_OK && (*f)->is_new ? h5_commit(&(*f)->h5)
                                                      : h5_close(&(*f)->h5);
    release(f);
    return st != ST_OK ? st : closed;
}

void runfile_give_up(runfile **f)
{
    if (*f == NULL) {
        return;
    }
    /* The error that led here is the one to report. */
    char why[STATUS_TEXT_MAX];
    snprintf(why, sizeof(why), "%s", status_text());
    status st = runfile_flush(*f);
    if ((*f)->is_new && !(*f)->has_steps) {
        h5_abandon(&(*f)->h5); /* it says nothing */
    } else {
        const status closed = h5_close(&(*f)->h5);
        st = st == ST_OK ? closed : st;
    }
    if (st != ST_OK) {
        status_set(st, why);
    }
    release(f);
}

const char *runfile_path(const runfile *f)
{
    return f->has_steps || !f->is_new ? h5_path_now(f->h5) : NULL;
}

/* ---- records ------------------------------------------------------------- */

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
    if (f->nwaiting < WAIT_STEPS && clock_wall_ns() - f->written_ns < WAIT_NS) {
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

/* A table with these rows alone. */
static status table_put(h5_file *f, const char *path, const h5_layout *layout,
                        int64_t rows, const void *data)
{
    if (h5_has(f, path)) {
        TRY(h5_column_cut(f, path, 0));
    } else {
        TRY(h5_table_create(f, path, layout));
    }
    return format_table_append(f, path, layout, rows, data);
}

status runfile_ranks(runfile *f, const run_rank *ranks, int n)
{
    TRY(table_put(f->h5, "/ranks", &run_rank_layout, n, ranks));
    TRY(h5_describe(f->h5, "/ranks", NULL,
                    "one row a rank; sizes in bytes, traffic of all steps"));
    return h5_flush(f->h5);
}

status runfile_traffic(runfile *f, const run_traffic *t, int64_t n)
{
    TRY(table_put(f->h5, "/traffic", &run_traffic_layout, n, t));
    TRY(h5_describe(f->h5, "/traffic", NULL,
                    "bytes from rank to rank, in all steps"));
    return h5_flush(f->h5);
}

status runfile_setup(runfile *f, const run_setup *s)
{
    TRY(h5_group_create(f->h5, "/setup"));
    TRY(run_attrs_write(f->h5, "/setup", &run_setup_attrs, s));
    TRY(table_put(f->h5, "/setup/decisions", &run_decision_layout,
                  s->ndecisions, s->decisions));
    TRY(table_put(f->h5, "/setup/operations", &run_op_layout, s->nops, s->ops));
    TRY(h5_describe(f->h5, "/setup/operations", NULL,
                    "operations of one step, all ranks"));
    return h5_flush(f->h5);
}

status runfile_host(runfile *f, const run_host *h)
{
    run_host said = *h;

    snprintf(said.hdf5, sizeof(said.hdf5), "%s", h5_library());
    TRY(h5_group_create(f->h5, "/host"));
    TRY(run_attrs_write(f->h5, "/host", &run_host_attrs, &said));
    return h5_flush(f->h5);
}

status runfile_prediction(runfile *f, const run_prediction *p)
{
    double said[RUN_ACCOUNTS], measured[RUN_ACCOUNTS];
    run_account rows[RUN_ACCOUNTS] = {0};

    memcpy(said, &p->ledger, sizeof(said));
    memcpy(measured, &p->measured_ledger, sizeof(measured));
    for (int i = 0; i < RUN_ACCOUNTS; i++) {
        snprintf(rows[i].account, sizeof(rows[i].account), "%s",
                 run_account_names[i]);
        rows[i].predicted_s = said[i];
        rows[i].measured_s = measured[i];
    }
    TRY(h5_group_create(f->h5, "/prediction"));
    TRY(run_attrs_write(f->h5, "/prediction", &run_prediction_attrs, p));
    TRY(table_put(f->h5, "/prediction/kinds", &run_kind_layout, p->nkinds,
                  p->kinds));
    TRY(h5_describe(f->h5, "/prediction/kinds", NULL,
                    "operations of the traced step by kind, all ranks"));
    TRY(table_put(f->h5, "/prediction/ledger", &run_account_layout,
                  RUN_ACCOUNTS, rows));
    TRY(h5_describe(f->h5, "/prediction/ledger", NULL,
                    "where the wall time of a step goes, mean over ranks"));
    return h5_flush(f->h5);
}

status runfile_trace(runfile *f, int64_t step, const run_trace *rows, int64_t n)
{
    if (f->has_trace) {
        TRY(format_table_append(f->h5, "/trace", &run_trace_layout, n, rows));
    } else {
        TRY(table_put(f->h5, "/trace", &run_trace_layout, n, rows));
        TRY(h5_attr_set_i64(f->h5, "/trace", "step", step));
        TRY(h5_describe(f->h5, "/trace", NULL,
                        "one row an operation of one step; times since its "
                        "start"));
        f->has_trace = true;
    }
    return h5_flush(f->h5);
}

/* ---- rows from programs -------------------------------------------------- */

void run_rank_describe(const program *p, const prog_place *place, run_rank *r)
{
    r->data = place->data;
    r->pipe = place->pipe;
    r->tensor = place->tensor;
    r->class_index = place->class_index;
    r->peak_bytes = p->peak_bytes;
    memcpy(r->class_bytes, p->class_bytes, sizeof(r->class_bytes));
}

void run_trace_describe(const program *p, const prog_place *place, int rank,
                        run_trace *rows)
{
    for (int32_t i = 0; i < p->nops; i++) {
        const prog_op *op = &p->ops[i];
        const bool is_message = op->kind == OP_SEND || op->kind == OP_RECV;
        const int32_t stage = op->peer < 0 ? place->prev : place->next;
        rows[i] = (run_trace){
            .rank = rank,
            .op = i,
            .layer = op->layer,
            .seq0 = op->seq0,
            .seqs = op->seqs,
            .peer = is_message ? stage : -1,
            .tag = is_message ? (int32_t)op->arg : -1,
            .flops = op->flops,
            .bytes = op->bytes,
            .predicted_ns = (double)NAN,
            .predicted_start_ns = (double)NAN,
        };
        snprintf(rows[i].kind, sizeof(rows[i].kind), "%s",
                 op_kind_name((op_kind)op->kind));
        snprintf(rows[i].stream, sizeof(rows[i].stream), "%s",
                 op_stream_name((op_stream)op->stream));
    }
}

void run_setup_describe(const program_set *set, run_op_count *ops, run_setup *s)
{
    int64_t count[OP_KIND_COUNT] = {0};
    double flops[OP_KIND_COUNT] = {0}, bytes[OP_KIND_COUNT] = {0};

    s->programs = set->nclasses;
    s->messages = 0;
    s->bytes = 0;
    for (int r = 0; r < set->nranks; r++) {
        prog_totals t;
        prog_count(&set->classes[set->places[r].class_index], &t);
        for (int k = 0; k < OP_KIND_COUNT; k++) {
            count[k] += t.ops[k];
            flops[k] += t.flops[k];
            bytes[k] += t.bytes[k];
        }
        s->messages += t.messages;
        s->bytes += t.pipe_bytes + t.tensor_bytes + t.data_bytes;
    }
    s->ops = ops;
    s->nops = 0;
    for (int k = 0; k < OP_KIND_COUNT; k++) {
        if (count[k] > 0) {
            run_op_count *row = &ops[s->nops++];
            *row = (run_op_count){
                .count = count[k], .flops = flops[k], .bytes = bytes[k]};
            snprintf(row->kind, sizeof(row->kind), "%s",
                     op_kind_name((op_kind)k));
        }
    }
}
