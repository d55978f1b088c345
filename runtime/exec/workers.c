/*
 * The threads beside the calling one, where there is a store: loads, drains,
 * and the host stream have one each. They take one run after the other; the
 * calling thread starts runs, and settles.
 *
 * A training step is over for the calling thread when its operations are done
 * and the guard has chosen. What the guard chose (updates) runs on here, and
 * the next step's loads wait for what they need of it. gpt-neo-125m, 128
 * tokens: a step of one thread, with a core left for the store, took 1.38 s
 * instead of 1.46; of two on the same two cores 1.14 instead of 1.17.
 */
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/exec/exec_impl.h"

bool exec_has_worker(const exec *e, int stream)
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

status exec_run_host(exec *e, flight *f, const prog_op *o)
{
    switch ((op_kind)o->kind) {
    case OP_GRAD_NORM:
        return exec_grad_norm(e, o);
    case OP_CLIP:
        return exec_clip(e, f);
    default:
        return exec_update(e, f, o);
    }
}

static status worker_op(exec *e, worker *w, flight *f, int32_t i)
{
    const prog_op *o = &e->p->ops[i];
    if (w->stream == STREAM_HOST) {
        return exec_run_host(e, f, o);
    }
    return o->kind == OP_BATCH ? exec_make_batch(e, f, o) : move_data(e, w, o);
}

/* Waits for an operation; how long it waits for updates of the step before is
 * kept. False if a thread failed. */
static bool worker_wait(exec *e, worker *w, int32_t op, int serial)
{
    if (exec_is_done(e, op, serial)) {
        return true;
    }
    if (e->p->ops[op].kind != OP_UPDATE) {
        return exec_sleep_until_done(e, op, serial);
    }
    pthread_mutex_lock(&e->mutex);
    w->host_since = clock_wall_ns();
    pthread_mutex_unlock(&e->mutex);
    bool ok = exec_sleep_until_done(e, op, serial);
    pthread_mutex_lock(&e->mutex);
    w->host_ns += clock_wall_ns() - w->host_since;
    w->host_since = 0;
    pthread_mutex_unlock(&e->mutex);
    return ok;
}

/* What operation i waits for, in its step, the one before, and the guard. An
 * operation of a tail that is not chosen waits as well: who waits for it in
 * the next step relies on what it has waited for. */
static bool worker_ready(exec *e, worker *w, const flight *f, int32_t i)
{
    const prog_op *o = &e->p->ops[i];
    for (int32_t d = 0; d < o->deps; d++) {
        const prog_dep *dep = &e->p->dep[o->dep0 + d];
        if (exec_takes(f, &e->p->ops[dep->op]) &&
            !worker_wait(e, w, dep->op, f->serial - dep->distance)) {
            return false;
        }
    }
    return o->tail == TAIL_ALWAYS || worker_wait(e, w, e->p->guard, f->serial);
}

/* *whole: all operations were passed, nobody failed. */
static status worker_ops(exec *e, worker *w, flight *f, bool *whole)
{
    for (int32_t i = 0; i < e->p->nops; i++) {
        const prog_op *o = &e->p->ops[i];
        if (o->stream != w->stream || !exec_takes(f, o)) {
            continue;
        }
        if (!worker_ready(e, w, f, i)) {
            return ST_OK;
        }
        if (exec_chosen(f, o)) {
            int64_t cpu = clock_cpu_thread_ns();
            exec_note_start(f, i, clock_wall_ns());
            TRY(worker_op(e, w, f, i));
            exec_note_end(f, i, clock_wall_ns(), clock_cpu_thread_ns() - cpu);
        } else {
            exec_note_passed(f, i, clock_wall_ns());
        }
        exec_set_done(e, f, i);
    }
    *whole = true;
    return ST_OK;
}

static status worker_step(exec *e, worker *w, flight *f)
{
    bool whole = false;
    if (atomic_load(&e->failed)) {
        return ST_OK;
    }
    TRY(worker_ops(e, w, f, &whole));
    bool updated = whole && w->stream == STREAM_HOST && !f->forward_only &&
                   atomic_load(&f->tail) == TAIL_SOUND;
    return updated ? e->c.store->ops->end(e->c.store, f->step) : ST_OK;
}

static void *worker_main(void *arg)
{
    worker *w = arg;
    exec *e = w->e;
    pthread_mutex_lock(&e->mutex);
    for (;;) {
        while (w->served == e->serial && !e->quit) {
            pthread_cond_wait(&e->moved, &e->mutex);
        }
        if (w->served == e->serial) {
            break;
        }
        flight *f = &e->flights[(w->served + 1) % FLIGHTS];
        pthread_mutex_unlock(&e->mutex);
        status st = worker_step(e, w, f);
        pthread_mutex_lock(&e->mutex);
        if (st != ST_OK) {
            w->st = st;
            (void)strncpy(w->text, status_text(), sizeof(w->text) - 1);
            atomic_store(&e->failed, 1);
        }
        w->served++;
        pthread_cond_broadcast(&e->moved);
    }
    pthread_mutex_unlock(&e->mutex);
    return NULL;
}

/* --- starting and ending -------------------------------------------------- */

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

/* --- runs, from the calling thread ---------------------------------------- */

/* All are through with all that was started, but for the last `steps`. */
static bool all_served(const exec *e, int steps)
{
    for (int i = 0; i < e->nworkers; i++) {
        if (e->workers[i].served < e->serial - steps) {
            return false;
        }
    }
    return true;
}

/* The flight that the new run takes must have ended. */
void exec_start_run(exec *e, int64_t step, const exec_scalars *s)
{
    pthread_mutex_lock(&e->mutex);
    while (!all_served(e, FLIGHTS - 1)) {
        pthread_cond_wait(&e->moved, &e->mutex);
    }
    flight *f = &e->flights[(e->serial + 1) % FLIGHTS];
    f->serial = e->serial + 1;
    f->step = step;
    f->forward_only = s == NULL;
    f->scalars = s != NULL ? *s : (exec_scalars){0};
    atomic_store(&f->tail, TAIL_ALWAYS);
    f->begin_ns = clock_wall_ns();
    e->serial++;
    pthread_cond_broadcast(&e->moved);
    pthread_mutex_unlock(&e->mutex);
}

status exec_join(exec *e, char *text)
{
    status st = ST_OK;
    pthread_mutex_lock(&e->mutex);
    while (!all_served(e, 0)) {
        pthread_cond_wait(&e->moved, &e->mutex);
    }
    for (int i = 0; i < e->nworkers; i++) {
        worker *w = &e->workers[i];
        if (st == ST_OK && w->st != ST_OK) {
            st = w->st;
            memcpy(text, w->text, STATUS_TEXT_MAX);
        }
        w->st = ST_OK;
    }
    e->settled = e->serial;
    atomic_store(&e->failed, 0);
    pthread_mutex_unlock(&e->mutex);
    return st;
}

status exec_settle(exec *e, exec_ledger *l)
{
    char text[STATUS_TEXT_MAX];
    status st = exec_join(e, text);
    if (l != NULL) {
        /* From where the step's account ends: updates also run while another
         * process has the core between the step and this call. */
        int64_t took = clock_wall_ns() - exec_flight(e)->begin_ns - l->wall;
        l->optimizer += took;
        l->wall += took;
    }
    return st != ST_OK ? status_set(st, text) : ST_OK;
}
