/*
 * The calling thread: compute, reductions, messages, and everything where
 * there is no store, in issue order.
 */
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/exec/exec_impl.h"

static void finish_request(exec *e, int32_t op)
{
    const flight *f = exec_flight(e);
    comm_wait_ns wait = {0};
    int64_t t = clock_wall_ns();
    int64_t cpu = clock_cpu_thread_ns();
    int64_t posting = f->trace[op].busy;
    int64_t posting_cpu = f->trace[op].cpu;
    comm_req_wait(e->pending[op], &wait);
    e->pending[op] = NULL;
    int64_t now = clock_wall_ns();
    e->ledger.bubble += wait.bubble;
    e->ledger.comm += now - t - wait.bubble;
    e->open--;
    exec_note_end(f, op, now, 0);
    exec_note_message(f, op, posting + now - t,
                      posting_cpu + clock_cpu_thread_ns() - cpu);
    exec_set_done(e, f, op);
}

/* Makes room for one more message: the oldest is waited for. */
static void bound_requests(exec *e, int32_t before)
{
    for (int32_t i = 0; e->open >= COMM_REQS_MAX / 2 && i < before; i++) {
        if (e->pending[i] != NULL) {
            finish_request(e, i);
        }
    }
}

/* How long loads have waited for updates of the step before, until now. */
static int64_t waited_for_host(exec *e)
{
    int64_t sum = 0;
    pthread_mutex_lock(&e->mutex);
    for (int i = 0; i < e->nworkers; i++) {
        const worker *w = &e->workers[i];
        if (w->stream == STREAM_LOAD) {
            sum += w->host_ns;
            sum += w->host_since > 0 ? clock_wall_ns() - w->host_since : 0;
        }
    }
    pthread_mutex_unlock(&e->mutex);
    return sum;
}

/* A wait for another thread: optimizer while that waits for updates, else
 * load. */
static bool wait_for_worker(exec *e, int32_t op, int serial)
{
    int64_t t = clock_wall_ns();
    int64_t host = waited_for_host(e);
    bool ok = exec_sleep_until_done(e, op, serial);
    int64_t took = clock_wall_ns() - t;
    host = waited_for_host(e) - host;
    host = host < took ? host : took;
    e->ledger.optimizer += host;
    e->ledger.load += took - host;
    return ok;
}

/* False if another thread failed. */
static bool wait_for(exec *e, int32_t op, int serial)
{
    if (exec_is_done(e, op, serial)) {
        return true;
    }
    if (e->pending[op] != NULL) {
        finish_request(e, op);
        return true;
    }
    return wait_for_worker(e, op, serial);
}

static void allreduce(exec *e, const prog_op *o)
{
    comm_wait_ns wait = {0};
    const prog_view *work = view(e, o, 0);
    const prog_view *v = view(e, o, 1);
    const prog_stack *s = &e->p->stack[o->stack0];
    int64_t count = (v->rows - 1) * v->ld + v->cols;
    int64_t t = clock_wall_ns();
    comm_tree_allreduce(e->group[o->group], (int)o->rows, at(e, v), s->plane,
                        count, at(e, work), (size_t)work->cols * 4, &wait);
    /* The local tree belongs to the reduction. */
    e->ledger.bubble += wait.bubble;
    e->ledger.comm += clock_wall_ns() - t - wait.bubble;
}

static void start_message(exec *e, const prog_op *o, int32_t i)
{
    const flight *f = exec_flight(e);
    const prog_view *v = view(e, o, 0);
    int rank = o->peer < 0 ? e->place->prev : e->place->next;
    int64_t bytes = v->rows * v->ld * (int64_t)sizeof(float);
    /* More micro-batches than tags: order tells them apart. */
    int tag = (int)(o->arg % COMM_TAGS);
    bound_requests(e, i); /* which has its time in the ledger already */
    int64_t t = clock_wall_ns();
    int64_t cpu = clock_cpu_thread_ns();
    exec_note_start(f, i, t);
    e->open++;
    e->newest = i;
    *(o->kind == OP_SEND ? &e->pipe_sent : &e->pipe_recv) += bytes;
    e->pending[i] = o->kind == OP_SEND
                        ? comm_isend(e->c.world, rank, tag, at(e, v), bytes)
                        : comm_irecv(e->c.world, rank, tag, at(e, v), bytes);
    int64_t took = clock_wall_ns() - t;
    e->ledger.comm += took;
    exec_note_message(f, i, took, clock_cpu_thread_ns() - cpu);
}

/* Large messages move only while both ends are inside MPI, and a rank that
 * computes is not: between operations it looks in. Without this pp2 of
 * gpt-neo-125m, 8 micro-batches, spent a fifth of its time in messages. */
static void move_messages(exec *e)
{
    int64_t t = clock_wall_ns();
    while (e->pending[e->newest] == NULL) {
        e->newest--; /* e->open: there is one */
    }
    (void)comm_req_test(e->pending[e->newest]);
    e->ledger.comm += clock_wall_ns() - t;
}

/* A rank that cannot make its batch goes on with token 0, since the others
 * wait for it in every collective; all leave together when they clip, before
 * any weight is changed. */
static void make_batch(exec *e, const prog_op *o)
{
    status st = exec_make_batch(e, exec_flight(e), o);
    if (st != ST_OK) {
        e->late = st;
        for (int i = 0; i < o->views; i++) {
            const prog_view *v = view(e, o, i);
            memset(at(e, v), 0, (size_t)(v->rows * v->ld) * sizeof(float));
        }
    }
}

/* Runs operation i here. Its time goes to one account of the ledger;
 * communication has its own accounts already. */
static status run_op(exec *e, int32_t i)
{
    flight *f = exec_flight(e);
    const prog_op *o = &e->p->ops[i];
    if (o->kind == OP_SEND || o->kind == OP_RECV) {
        start_message(e, o, i);
        return ST_OK;
    }
    if (e->c.between != NULL && !f->forward_only) {
        e->c.between(e->c.between_self, o);
    }
    int64_t cpu = clock_cpu_thread_ns();
    int64_t t = clock_wall_ns();
    exec_note_start(f, i, t);
    status st = ST_OK;
    int64_t *account = &e->ledger.compute;
    if (o->kind == OP_ALLREDUCE) {
        allreduce(e, o);
        account = NULL;
    } else if (o->kind == OP_BATCH) {
        account = &e->ledger.load;
        make_batch(e, o);
    } else if (o->stream == STREAM_HOST) {
        account = &e->ledger.optimizer;
        st = exec_run_host(e, f, o);
    } else {
        exec_compute(e, o);
    }
    int64_t now = clock_wall_ns();
    if (account != NULL) {
        *account += now - t;
    }
    exec_note_end(f, i, now, clock_cpu_thread_ns() - cpu);
    exec_set_done(e, f, i);
    if (e->open > 0) {
        move_messages(e);
    }
    return st;
}

/* False if another thread failed, which has the error. */
static bool main_ready(exec *e, int32_t i)
{
    const flight *f = exec_flight(e);
    const prog_op *o = &e->p->ops[i];
    for (int32_t d = 0; d < o->deps; d++) {
        const prog_dep *dep = &e->p->dep[o->dep0 + d];
        if (exec_takes(f, &e->p->ops[dep->op]) &&
            !wait_for(e, dep->op, e->serial - dep->distance)) {
            return false;
        }
    }
    return o->tail == TAIL_ALWAYS || wait_for(e, e->p->guard, e->serial);
}

static status run_all(exec *e)
{
    const flight *f = exec_flight(e);
    for (int32_t i = 0; i < e->p->nops; i++) {
        const prog_op *o = &e->p->ops[i];
        if (exec_has_worker(e, o->stream) || !exec_takes(f, o)) {
            continue;
        }
        if (!main_ready(e, i)) {
            return ST_OK;
        }
        if (exec_chosen(f, o)) {
            TRY(run_op(e, i));
        } else {
            exec_note_passed(f, i, clock_wall_ns());
            exec_set_done(e, f, i);
        }
    }
    return ST_OK;
}

/* A step fails on all ranks together and at its clip, so that every message
 * has its partner and can be waited for, whatever came of the step. */
static status run_main(exec *e)
{
    status st = run_all(e);
    for (int32_t i = 0; i < e->p->nops; i++) {
        if (e->pending[i] != NULL) {
            finish_request(e, i);
        }
    }
    return st;
}

/* The end of a step, seen from here: the guard has chosen, or all is done. */
static status end_run(exec *e)
{
    if (exec_flight(e)->forward_only || e->p->guard < 0) {
        int64_t t = clock_wall_ns();
        status st = exec_settle(e, NULL);
        e->ledger.load += clock_wall_ns() - t;
        return st;
    }
    int64_t t = clock_wall_ns();
    bool ok = exec_is_done(e, e->p->guard, e->serial) ||
              exec_sleep_until_done(e, e->p->guard, e->serial);
    e->ledger.optimizer += clock_wall_ns() - t;
    return ok ? ST_OK : exec_settle(e, NULL);
}

status exec_run(exec *e, int64_t step, const exec_scalars *s)
{
    e->late = ST_OK;
    memset(&e->ledger, 0, sizeof(e->ledger));
    memset(e->slots, 0, sizeof(double) * (size_t)e->nslots);
    int64_t cpu = clock_cpu_process_ns();
    exec_start_run(e, step, s);
    status st = run_main(e);
    if (st != ST_OK) {
        atomic_store(&e->failed, 1);
        exec_wake(e);
        char late[STATUS_TEXT_MAX];
        (void)exec_join(e, late); /* the first error is here */
    } else {
        st = end_run(e);
    }
    exec_ledger *l = &e->ledger;
    l->wall = clock_wall_ns() - exec_flight(e)->begin_ns;
    l->cpu = clock_cpu_process_ns() - cpu;
    l->other =
        l->wall - l->compute - l->load - l->comm - l->bubble - l->optimizer;
    return st;
}
