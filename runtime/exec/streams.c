/*
 * Running the streams of a program.
 *
 * done[i] == serial says that operation i ran in this step. A thread that
 * must wait goes to sleep on `moved`; whoever finishes an awaited operation
 * wakes sleepers, if there are any. A thread that fails sets `failed` and
 * wakes everybody; all leave, and the step fails as a whole.
 */
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/exec/exec_impl.h"

bool exec_takes(const exec *e, const prog_op *o)
{
    return !e->forward_only || prog_is_forward(o);
}

static bool is_done(const exec *e, int32_t op)
{
    return atomic_load(&e->done[op]) == e->serial;
}

static void wake(exec *e)
{
    if (atomic_load(&e->sleepers) > 0) {
        pthread_mutex_lock(&e->mutex);
        pthread_cond_broadcast(&e->moved);
        pthread_mutex_unlock(&e->mutex);
    }
}

/* Asked once the guard has run. */
static bool chosen(const exec *e, const prog_op *o)
{
    return o->tail == TAIL_ALWAYS || atomic_load(&e->tail) == o->tail;
}

static void set_done(exec *e, int32_t op)
{
    atomic_store(&e->done[op], e->serial);
    if (e->p->ops[op].awaited) {
        wake(e);
    }
}

/* Sleeps until the operation has run; false if the step failed. */
static bool sleep_until_done(exec *e, int32_t op)
{
    pthread_mutex_lock(&e->mutex);
    atomic_fetch_add(&e->sleepers, 1);
    while (!is_done(e, op) && !atomic_load(&e->failed)) {
        pthread_cond_wait(&e->moved, &e->mutex);
    }
    atomic_fetch_sub(&e->sleepers, 1);
    pthread_mutex_unlock(&e->mutex);
    return is_done(e, op);
}

static void note_start(exec *e, int32_t i, int64_t now)
{
    if (!e->forward_only) {
        e->trace[i].start = now - e->begin_ns;
    }
}

/* The trace is the last training step's; validation leaves it alone. */
static void note_end(exec *e, int32_t i, int64_t now, int64_t cpu)
{
    if (!e->forward_only) {
        e->trace[i].end = now - e->begin_ns;
        e->trace[i].cpu = cpu;
        e->trace[i].busy = e->trace[i].end - e->trace[i].start;
    }
}

/* A message's own time and CPU time, while it is posted or waited for. */
static void note_message(exec *e, int32_t i, int64_t busy, int64_t cpu)
{
    if (!e->forward_only) {
        e->trace[i].busy = busy;
        e->trace[i].cpu = cpu;
    }
}

/* --- worker threads ------------------------------------------------------- */

static bool has_worker(const exec *e, int stream)
{
    return e->c.store != NULL &&
           (stream == STREAM_LOAD || stream == STREAM_DRAIN ||
            stream == STREAM_HOST);
}

/* Rows of a panel without the padding of the vocabulary's last leaf, which
 * the store does not have and the device sees as zeros. */
static int64_t real_rows(const exec *e, const prog_op *o)
{
    int64_t left = e->c.ps->list[o->param].rows - o->row0;
    left = left > 0 ? left : 0;
    return o->rows < left ? o->rows : left;
}

static status move_data(exec *e, worker *w, const prog_op *o)
{
    store *s = e->c.store;
    const store_ops *ops = s->ops;
    float *p = at(e, view(e, o, 0));
    int64_t bytes = (int64_t)o->bytes;
    if (o->kind == OP_LOAD_ROWS || o->kind == OP_DRAIN_ROWS) {
        bytes = e->nunique * e->c.ps->list[o->param].cols * 4;
    }
    w->moved += bytes;
    int64_t until = link_book(&w->link, bytes);
    int64_t rows = real_rows(e, o);
    int64_t cols = e->c.ps->list[o->param].cols;
    switch ((op_kind)o->kind) {
    case OP_LOAD:
        if (rows > 0) {
            TRY(ops->load(s, o->param, o->row0, rows, p));
        }
        memset(p + rows * cols, 0, (size_t)((o->rows - rows) * cols) * 4);
        break;
    case OP_LOAD_ROWS:
        TRY(ops->load_rows(s, o->param, e->unique, e->nunique, p));
        break;
    case OP_DRAIN:
        if (rows > 0) {
            TRY(ops->drain(s, o->param, o->row0, rows, p));
        }
        break;
    default:
        TRY(ops->drain_rows(s, o->param, e->unique, e->nunique, p));
        break;
    }
    link_wait(until);
    return ST_OK;
}

static status run_host(exec *e, const prog_op *o)
{
    switch ((op_kind)o->kind) {
    case OP_GRAD_NORM:
        return exec_grad_norm(e, o);
    case OP_CLIP:
        return exec_clip(e);
    default:
        return exec_update(e, o);
    }
}

static status worker_op(exec *e, worker *w, int32_t i)
{
    const prog_op *o = &e->p->ops[i];
    if (w->stream == STREAM_HOST) {
        return run_host(e, o);
    }
    return o->kind == OP_BATCH ? exec_make_batch(e, o) : move_data(e, w, o);
}

static status worker_step(exec *e, worker *w)
{
    for (int32_t i = 0; i < e->p->nops; i++) {
        const prog_op *o = &e->p->ops[i];
        if (o->stream != w->stream || !exec_takes(e, o)) {
            continue;
        }
        if (o->tail != TAIL_ALWAYS && !is_done(e, e->p->guard) &&
            !sleep_until_done(e, e->p->guard)) {
            return ST_OK;
        }
        if (!chosen(e, o)) {
            continue;
        }
        for (int32_t d = 0; d < o->deps; d++) {
            const prog_dep *dep = &e->p->dep[o->dep0 + d];
            if (dep->distance == 0 && exec_takes(e, &e->p->ops[dep->op]) &&
                !is_done(e, dep->op) && !sleep_until_done(e, dep->op)) {
                return ST_OK;
            }
        }
        int64_t cpu = clock_cpu_thread_ns();
        note_start(e, i, clock_wall_ns());
        TRY(worker_op(e, w, i));
        note_end(e, i, clock_wall_ns(), clock_cpu_thread_ns() - cpu);
        set_done(e, i);
    }
    return ST_OK;
}

static void *worker_main(void *arg)
{
    worker *w = arg;
    exec *e = w->e;
    int seen = 0;
    pthread_mutex_lock(&e->mutex);
    for (;;) {
        while (e->serial == seen && !e->quit) {
            pthread_cond_wait(&e->moved, &e->mutex);
        }
        if (e->quit) {
            break;
        }
        seen = e->serial;
        pthread_mutex_unlock(&e->mutex);
        w->st = worker_step(e, w);
        pthread_mutex_lock(&e->mutex);
        if (w->st != ST_OK) {
            (void)strncpy(w->text, status_text(), sizeof(w->text) - 1);
            atomic_store(&e->failed, 1);
        }
        w->running = false;
        pthread_cond_broadcast(&e->moved);
    }
    pthread_mutex_unlock(&e->mutex);
    return NULL;
}

status exec_start_workers(exec *e)
{
    static const op_stream streams[WORKERS] = {STREAM_LOAD, STREAM_DRAIN,
                                               STREAM_HOST};
    for (int i = 0; e->c.store != NULL && i < WORKERS; i++) {
        worker *w = &e->workers[i];
        w->e = e;
        w->stream = streams[i];
        w->link = (link_dir){.bytes_per_s = e->c.link_rate,
                             .latency_s = e->c.link_latency};
        int rc = pthread_create(&w->thread, NULL, worker_main, w);
        REQUIRE(rc == 0, ST_SYSTEM, "cannot start a thread: %s", strerror(rc));
        e->nworkers++;
    }
    return ST_OK;
}

void exec_stop_workers(exec *e)
{
    pthread_mutex_lock(&e->mutex);
    e->quit = true;
    pthread_cond_broadcast(&e->moved);
    pthread_mutex_unlock(&e->mutex);
    for (int i = 0; i < e->nworkers; i++) {
        (void)pthread_join(e->workers[i].thread, NULL);
    }
}

/* --- the calling thread --------------------------------------------------- */

static void finish_request(exec *e, int32_t op)
{
    comm_wait_ns wait = {0};
    int64_t t = clock_wall_ns();
    int64_t cpu = clock_cpu_thread_ns();
    int64_t posting = e->trace[op].busy;
    int64_t posting_cpu = e->trace[op].cpu;
    comm_req_wait(e->pending[op], &wait);
    e->pending[op] = NULL;
    int64_t now = clock_wall_ns();
    e->ledger.bubble += wait.bubble;
    e->ledger.comm += now - t - wait.bubble;
    e->open--;
    note_end(e, op, now, 0);
    note_message(e, op, posting + now - t,
                 posting_cpu + clock_cpu_thread_ns() - cpu);
    set_done(e, op);
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

/* False if another thread failed. */
static bool wait_for(exec *e, int32_t op)
{
    if (is_done(e, op)) {
        return true;
    }
    if (e->pending[op] != NULL) {
        finish_request(e, op);
        return true;
    }
    int64_t t = clock_wall_ns();
    bool ok = sleep_until_done(e, op);
    e->ledger.load += clock_wall_ns() - t;
    return ok;
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
    const prog_view *v = view(e, o, 0);
    int rank = o->peer < 0 ? e->place->prev : e->place->next;
    int64_t bytes = v->rows * v->ld * (int64_t)sizeof(float);
    /* More micro-batches than tags: order tells them apart. */
    int tag = (int)(o->arg % COMM_TAGS);
    bound_requests(e, i); /* which has its time in the ledger already */
    int64_t t = clock_wall_ns();
    int64_t cpu = clock_cpu_thread_ns();
    note_start(e, i, t);
    e->open++;
    e->newest = i;
    *(o->kind == OP_SEND ? &e->pipe_sent : &e->pipe_recv) += bytes;
    e->pending[i] = o->kind == OP_SEND
                        ? comm_isend(e->c.world, rank, tag, at(e, v), bytes)
                        : comm_irecv(e->c.world, rank, tag, at(e, v), bytes);
    int64_t took = clock_wall_ns() - t;
    e->ledger.comm += took;
    note_message(e, i, took, clock_cpu_thread_ns() - cpu);
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
    status st = exec_make_batch(e, o);
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
    const prog_op *o = &e->p->ops[i];
    if (o->kind == OP_SEND || o->kind == OP_RECV) {
        start_message(e, o, i);
        return ST_OK;
    }
    int64_t cpu = clock_cpu_thread_ns();
    int64_t t = clock_wall_ns();
    note_start(e, i, t);
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
        st = run_host(e, o);
    } else {
        exec_compute(e, o);
    }
    int64_t now = clock_wall_ns();
    if (account != NULL) {
        *account += now - t;
    }
    note_end(e, i, now, clock_cpu_thread_ns() - cpu);
    set_done(e, i);
    if (e->open > 0) {
        move_messages(e);
    }
    return st;
}

static status run_all(exec *e)
{
    for (int32_t i = 0; i < e->p->nops; i++) {
        const prog_op *o = &e->p->ops[i];
        if (has_worker(e, o->stream) || !exec_takes(e, o)) {
            continue;
        }
        if (o->tail != TAIL_ALWAYS && !wait_for(e, e->p->guard)) {
            return ST_OK;
        }
        if (!chosen(e, o)) {
            continue;
        }
        for (int32_t d = 0; d < o->deps; d++) {
            const prog_dep *dep = &e->p->dep[o->dep0 + d];
            if (dep->distance == 0 && exec_takes(e, &e->p->ops[dep->op]) &&
                !wait_for(e, dep->op)) {
                return ST_OK; /* the worker has the error */
            }
        }
        TRY(run_op(e, i));
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

static void start_step(exec *e)
{
    pthread_mutex_lock(&e->mutex);
    e->serial++;
    for (int i = 0; i < e->nworkers; i++) {
        e->workers[i].running = true;
        e->workers[i].st = ST_OK;
    }
    pthread_cond_broadcast(&e->moved);
    pthread_mutex_unlock(&e->mutex);
}

/* Waits for a worker to end its step; the time goes to `account`. */
static status join_worker(exec *e, worker *w, int64_t *account)
{
    int64_t t = clock_wall_ns();
    pthread_mutex_lock(&e->mutex);
    while (w->running) {
        pthread_cond_wait(&e->moved, &e->mutex);
    }
    pthread_mutex_unlock(&e->mutex);
    *account += clock_wall_ns() - t;
    return w->st != ST_OK ? status_set(w->st, w->text) : ST_OK;
}

status exec_run(exec *e)
{
    atomic_store(&e->failed, 0);
    atomic_store(&e->tail, TAIL_ALWAYS);
    e->late = ST_OK;
    memset(&e->ledger, 0, sizeof(e->ledger));
    memset(e->slots, 0, sizeof(double) * (size_t)e->nslots);
    int64_t cpu = clock_cpu_process_ns();
    e->begin_ns = clock_wall_ns();
    start_step(e);
    status st = run_main(e);
    if (st != ST_OK) {
        atomic_store(&e->failed, 1);
        wake(e);
    }
    for (int i = 0; i < e->nworkers; i++) {
        bool host = e->workers[i].stream == STREAM_HOST;
        status wst = join_worker(e, &e->workers[i],
                                 host ? &e->ledger.optimizer : &e->ledger.load);
        st = st == ST_OK ? wst : st;
    }
    exec_ledger *l = &e->ledger;
    l->wall = clock_wall_ns() - e->begin_ns;
    l->cpu = clock_cpu_process_ns() - cpu;
    l->other =
        l->wall - l->compute - l->load - l->comm - l->bubble - l->optimizer;
    return st;
}
