/*
 * Writing of run files: opening and closing, and what is written once. The
 * tables that say what is where are in runfile_layout.c.
 */
#include <stdio.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/results/format.h"
#include "runtime/results/runfile_impl.h"

/* ---- opening and closing ------------------------------------------------- */

const char *run_sums_text(bool exact)
{
    return exact ? "exact" : "fast";
}

status run_info_write(h5_file *f, const run_info *info)
{
    run_info said = *info;

    said.complete = false;
    TRY(format_write(f, run_format));
    TRY(h5_attr_set_text(f, "/", "NX_class", "NXroot"));
    TRY(h5_attr_set_text(f, "/", "default", "steps"));
    TRY(run_attrs_write(f, "/", &run_info_attrs, &said));
    TRY(h5_attr_set_text(f, "/", "sums", run_sums_text(info->exact_sums)));
    return info->config != NULL ? h5_text_write(f, "/config", info->config)
                                : ST_OK;
}

static status create_all(runfile *f, const run_info *info)
{
    char now[FORMAT_TIME_SIZE];
    run_info said = *info;

    format_time(now);
    said.created = now;
    TRY(run_info_write(f->h5, &said));
    TRY(run_steps_create(f));
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

/* Of how many steps the bytes in a table are: a run that goes on counts from
 * where it did. */
static status say_steps(runfile *f, const char *path)
{
    return h5_attr_set_i64(f->h5, path, run_steps_attr, f->nsteps);
}

status runfile_ranks(runfile *f, const run_rank *ranks, int n)
{
    TRY(table_put(f->h5, "/ranks", &run_rank_layout, n, ranks));
    TRY(h5_describe(
        f->h5, "/ranks", NULL,
        "one row a rank; sizes in bytes, traffic of `steps` steps"));
    TRY(say_steps(f, "/ranks"));
    return h5_flush(f->h5);
}

status runfile_traffic(runfile *f, const run_traffic *t, int64_t n)
{
    TRY(table_put(f->h5, "/traffic", &run_traffic_layout, n, t));
    TRY(h5_describe(f->h5, "/traffic", NULL,
                    "bytes from rank to rank, in `steps` steps"));
    TRY(say_steps(f, "/traffic"));
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
