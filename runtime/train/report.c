/*
 * What a run tells: lines on the terminal and records in the results file.
 * Rank 0 writes; what other ranks know is gathered in fixed arrays.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/base/text.h"
#include "runtime/base/threads.h"
#include "runtime/base/units.h"
#include "runtime/math/matmul.h"
#include "runtime/train/host.h"
#include "runtime/train/run_impl.h"

static bool root(const train *t)
{
    return comm_rank(t->job->world) == 0;
}

static run_info describe(const train *t)
{
    const train_job *j = t->job;
    return (run_info){
        .model = (char *)j->a->name,
        .plan = (char *)j->plan,
        .cmdline = (char *)j->cmdline,
        .commit = (char *)host_commit(),
        .config = (char *)j->config,
        .store = (char *)(j->store != NULL ? j->store->ops->name : ""),
        .kernels = (char *)j->math->name,
        .arch_hash = arch_hash(j->a),
        .data_hash = tokens_hash(t->data.file),
        .seed = j->recipe.seed,
        .parameters = j->ps->total,
        .flops_per_token = arch_flops_per_token(j->a, j->sh.T),
        .batch = j->sh.N,
        .seq = j->sh.T,
        .ranks = comm_size(j->world),
        .data_leaves = j->sh.D,
        .tensor_leaves = j->sh.S,
        .exact_sums = j->exact_sums,
        .oversubscribed = j->oversubscribed,
    };
}

/* Of memory: what the fullest rank needs, of what it may take. */
static void print_head(const train *t)
{
    const train_job *j = t->job;
    const int64_t peak = prog_set_peak(j->set);
    const int64_t arena = j->device_memory > 0 ? j->device_memory : peak;
    log_out("%s: %s parameters, %s, %lld x %lld tokens a step, %d rank%s x "
            "%d thread%s\n",
            j->a->name, units_count((double)j->ps->total).s, j->plan,
            (long long)j->sh.N, (long long)j->sh.T, comm_size(j->world),
            comm_size(j->world) == 1 ? "" : "s", j->sh.threads,
            j->sh.threads == 1 ? "" : "s");
    log_out("device memory %s of %s; model state %s\n",
            units_bytes((double)peak).s, units_bytes((double)arena).s,
            units_bytes(16.0 * (double)j->ps->total).s);
}

static status begin_file(train *t)
{
    const bool older = text_path_exists(t->job->out);
    run_info info = describe(t);
    run_host host;
    const bool goes_on = t->first > 0 && older;
    TRY(goes_on ? runfile_resume(t->job->out, &info, t->first, &t->file)
                : runfile_create(t->job->out, &info, &t->file));
    if (older && !goes_on && !t->job->quiet) {
        log_out("results are in %s.part until the run has ended, the older "
                "%s stays until then\n",
                t->job->out, t->job->out);
    }
    host_describe(&host);
    return runfile_host(t->file, &host);
}

/* What this rank does alone. */
static status begin_local(train *t)
{
    int size = comm_size(t->job->world);
    TRY(MEM_NEW(&t->ledgers, size, "report"));
    TRY(MEM_NEW(&t->gathered, size, "report"));
    if (root(t) && !t->job->quiet) {
        print_head(t);
    }
    if (root(t) && t->job->out != NULL) {
        TRY(begin_file(t));
    }
    return t->job->machine != NULL ? predict_begin(t) : ST_OK;
}

status report_begin(train *t)
{
    status st = begin_local(t);
    comm_barrier_sleeping(t->job->world);
    return comm_agree(t->job->world, st);
}

static run_ledger seconds_of(const exec_ledger *l)
{
    return (run_ledger){.compute = (double)l->compute * 1e-9,
                        .load = (double)l->load * 1e-9,
                        .comm = (double)l->comm * 1e-9,
                        .bubble = (double)l->bubble * 1e-9,
                        .optimizer = (double)l->optimizer * 1e-9,
                        .other = (double)l->other * 1e-9};
}

/* Not "-nan": the sign of a NaN says nothing. */
static double no_sign(double value)
{
    return isnan(value) ? (double)NAN : value;
}

static void print_step(const train *t, const run_step *s, bool skipped)
{
    const train_job *j = t->job;
    double flops = arch_flops_per_token(j->a, j->sh.T) * s->tokens_per_s;
    int64_t left = j->recipe.steps - s->step - 1;
    double each = t->timed > 0 ? t->wall_done / (double)t->timed : s->wall_s;
    log_out("step %5lld/%lld | loss %.6f | gnorm %.4f | lr %.2e | %s | "
            "%s tok/s | %.1f GF/s | left %s%s\n",
            (long long)s->step + 1, (long long)j->recipe.steps,
            no_sign(s->loss), no_sign(s->grad_norm), s->lr,
            units_seconds(s->wall_s).s, units_count(s->tokens_per_s).s,
            flops * 1e-9, units_clock(each * (double)left).s,
            skipped ? " | skipped: not finite, no weight changed" : "");
}

/* The first step warms up. A resumed run's steps are fewer than asked for. */
static status keep_step(train *t, const run_step *s, int ranks)
{
    if (t->pace == NULL || s->step == t->first) {
        return ST_OK;
    }
    TRY(predict_room(t));
    run_step *to = &t->kept[t->nkept++];
    *to = *s;
    run_step_summarize(t->ledgers, ranks, to);
    return ST_OK;
}

status report_step(train *t, int64_t step, const exec_result *r)
{
    const train_job *j = t->job;
    int size = comm_size(j->world);
    comm_gather(j->world, &r->ledger, sizeof(r->ledger), t->gathered, 0);
    status st = ST_OK;
    if (root(t)) {
        run_step s = {.step = step,
                      .loss = r->loss,
                      .grad_norm = r->grad_norm,
                      .lr = train_rate(&j->recipe, step),
                      .wall_s = (double)r->ledger.wall * 1e-9};
        for (int i = 0; i < size; i++) {
            t->ledgers[i] = seconds_of(&t->gathered[i]);
            s.cpu_s += (double)t->gathered[i].cpu * 1e-9;
        }
        s.tokens_per_s = (double)(j->sh.N * j->sh.T) / s.wall_s;
        st = keep_step(t, &s, size);
        bool last = step + 1 == j->recipe.steps;
        if (!j->quiet && j->log_every > 0 &&
            (last || r->skipped || step % j->log_every == 0)) {
            print_step(t, &s, r->skipped);
        }
        if (st == ST_OK && t->file != NULL) {
            st = runfile_step(t->file, &s, t->ledgers, size);
        }
    }
    if (st == ST_OK && t->pace != NULL) {
        st = predict_note(t, step == t->first);
    }
    return comm_agree(j->world, st);
}

status report_validation(train *t, int64_t step, double loss)
{
    status st = ST_OK;
    if (root(t)) {
        if (!t->job->quiet) {
            log_out("step %5lld/%lld | validation loss %.6f\n", (long long)step,
                    (long long)t->job->recipe.steps, loss);
        }
        if (t->file != NULL) {
            st = runfile_validation(t->file, step, loss);
        }
    }
    return comm_agree(t->job->world, st);
}

status report_first_step(train *t, double seconds)
{
    t->job->measures.first_step_s = seconds;
    if (!root(t) || t->file == NULL) {
        return ST_OK;
    }
    run_op_count ops[OP_KIND_COUNT];
    run_setup s = t->job->measures;
    run_setup_describe(t->job->set, ops, &s);
    s.ops = ops;
    s.communicators = prog_set_groups(t->job->set);
    return runfile_setup(t->file, &s);
}

static run_rank describe_rank(const train *t)
{
    const train_job *j = t->job;
    const train_traffic *moved = &t->moved;
    run_rank r;
    memset(&r, 0, sizeof(r));
    run_rank_describe(exec_program(t->e), exec_place(t->e), &r);
    r.rank = comm_rank(j->world);
    r.threads = j->sh.threads;
    r.arena_bytes = exec_arena_bytes(t->e);
    host_name(r.host, sizeof(r.host));
    r.loaded_bytes = moved->loaded;
    r.drained_bytes = moved->drained;
    if (j->store != NULL) {
        r.store_bytes = j->store->ops->bytes(j->store);
    }
    for (int g = 0; g < GROUP_COUNT; g++) {
        r.sent_bytes[g] = moved->sent[g];
        r.received_bytes[g] = moved->received[g];
    }
    r.step_allocs = t->step_allocs;
    r.library_bytes = mem_library_bytes();
    r.touched_bytes = exec_arena_touched(t->e);
    return r;
}

/* bytes[size][size] from rank to rank; pairs that sent nothing are left out. */
static status write_traffic(train *t, const int64_t *bytes)
{
    int64_t size = comm_size(t->job->world);
    run_traffic *rows = NULL;
    int64_t n = 0;
    TRY(MEM_NEW(&rows, size * size, "report"));
    for (int64_t i = 0; i < size * size; i++) {
        if (bytes[i] > 0) {
            rows[n++] = (run_traffic){.from = (int32_t)(i / size),
                                      .to = (int32_t)(i % size),
                                      .bytes = bytes[i]};
        }
    }
    status st = runfile_traffic(t->file, rows, n);
    mem_free(rows);
    return st;
}

static status write_ranks(train *t)
{
    comm *w = t->job->world;
    int64_t size = comm_size(w);
    run_rank *all = NULL;
    int64_t *matrix = NULL;
    run_rank mine = describe_rank(t);
    status st = MEM_NEW(&all, size, "report");
    if (st == ST_OK && root(t)) {
        st = MEM_NEW(&matrix, size * size, "report");
    }
    TRY_GOTO(comm_agree(w, st), done);
    comm_gather(w, &mine, sizeof(mine), all, 0);
    comm_gather(w, t->moved.to, size * (int64_t)sizeof(*matrix), matrix, 0);
    if (t->file != NULL) {
        st = runfile_ranks(t->file, all, (int)size);
        st = st == ST_OK ? write_traffic(t, matrix) : st;
    }
    st = comm_agree(w, st);
done:
    mem_free(all);
    mem_free(matrix);
    return st;
}

/* By how many ns this rank began the last step after the first that did. */
static int64_t begun_late(train *t)
{
    comm *w = t->job->world;
    int64_t begin = exec_last_begin(t->e) - comm_clock_ahead(w);
    int64_t first = -begin;
    comm_max_i64(w, &first, 1);
    return begin + first;
}

/* Rank r's operations of the last step, written by rank 0. */
static status write_trace_of(train *t, int r, int64_t late, const predicted *pr)
{
    comm *w = t->job->world;
    const program *p = exec_program(t->e);
    bool mine = comm_rank(w) == r;
    int64_t n = mine ? p->nops : 0;
    comm_max_i64(w, &n, 1);
    run_trace *rows = NULL;
    status st = mine || root(t) ? MEM_NEW(&rows, n, "trace") : ST_OK;
    TRY_GOTO(comm_agree(w, st), done);
    if (mine) {
        const exec_trace *tr = exec_last_trace(t->e);
        run_trace_describe(p, exec_place(t->e), r, rows);
        for (int64_t i = 0; i < n; i++) {
            rows[i].start_ns = late + tr[i].start;
            rows[i].end_ns = late + tr[i].end;
            rows[i].cpu_ns = tr[i].cpu;
        }
    }
    if (r != 0 && mine) {
        comm_send(w, 0, 1, rows, n * (int64_t)sizeof(*rows));
    } else if (r != 0 && root(t)) {
        comm_recv(w, r, 1, rows, n * (int64_t)sizeof(*rows));
    }
    if (t->file != NULL) {
        predict_trace(pr, r, rows, n);
        st = runfile_trace(t->file, t->job->recipe.steps - 1, rows, n);
    }
done:
    mem_free(rows);
    return st;
}

static status write_end(train *t, const predicted *pr)
{
    int64_t wanted = t->file != NULL;
    comm_max_i64(t->job->world, &wanted, 1);
    if (!wanted) {
        return ST_OK;
    }
    TRY(write_ranks(t));
    int64_t late = begun_late(t);
    for (int r = 0; r < comm_size(t->job->world); r++) {
        TRY(comm_agree(t->job->world, write_trace_of(t, r, late, pr)));
    }
    return ST_OK;
}

/* Predictions: on the terminal, and for the trace and the file. */
static status predict(train *t, predicted *pr)
{
    if (t->job->machine == NULL) {
        return ST_OK;
    }
    TRY(predict_run(t, pr));
    status st = ST_OK;
    if (root(t) && !t->job->quiet) {
        strbuf text = {0};
        run_prediction_text(&pr->p, &text);
        st = strbuf_check(&text);
        log_out("%s", strbuf_view(&text));
        strbuf_fini(&text);
    }
    if (st == ST_OK && t->file != NULL) {
        st = runfile_prediction(t->file, &pr->p);
    }
    return comm_agree(t->job->world, st);
}

static void print_summary(const train *t)
{
    const train_job *j = t->job;
    if (t->timed == 0) {
        return;
    }
    double each = t->wall_done / (double)t->timed;
    bool alone = comm_size(j->world) == 1;
    log_out("%lld step%s after the first: %s a step, %s tokens/s%s\n",
            (long long)t->timed, t->timed == 1 ? "" : "s",
            units_seconds(each).s,
            units_count((double)(j->sh.N * j->sh.T) / each).s,
            !j->oversubscribed ? ""
            : alone            ? " (threads share cores)"
                               : " (ranks share cores)");
}

/* Says of a run that has failed where its steps are: an older file of the
 * name is still there. */
static status give_up_file(train *t, status why)
{
    const char *at = t->file != NULL ? runfile_path(t->file) : NULL;
    status st = why;
    if (at != NULL && text_ends(at, ".part")) {
        st = FAIL(why, "%s; %s is as it was, the steps so far are in %s",
                  status_text(), t->job->out, at);
    }
    runfile_give_up(&t->file);
    return st;
}

status report_end(train *t, status ended)
{
    const bool complete = ended == ST_OK;
    status st = ST_OK;
    predicted pr = {0};
    if (!complete && ended != ST_SIGNAL) {
        return give_up_file(t, ended);
    }
    if (complete) {
        if (root(t) && !t->job->quiet) {
            print_summary(t);
        }
        st = predict(t, &pr);
        st = st == ST_OK ? write_end(t, &pr) : st;
        predict_fini(&pr);
    }
    if (st != ST_OK) {
        return give_up_file(t, st);
    }
    return comm_agree(t->job->world, runfile_close(&t->file, complete));
}
