/*
 * How far the operations of a run have come, who sleeps until then, and the
 * trace.
 *
 * done[i] >= serial says that operation i has been passed in run `serial`. A
 * thread that must wait goes to sleep on `moved`; whoever finishes an awaited
 * operation wakes sleepers, if there are any. A thread that fails sets
 * `failed` and wakes everybody; all leave, and the step fails as a whole.
 */
#include "runtime/exec/exec_impl.h"

bool exec_takes(const flight *f, const prog_op *o)
{
    return !f->forward_only || prog_is_forward(o);
}

bool exec_is_done(const exec *e, int32_t op, int serial)
{
    return serial <= e->settled || atomic_load(&e->done[op]) >= serial;
}

void exec_wake(exec *e)
{
    if (atomic_load(&e->sleepers) > 0) {
        pthread_mutex_lock(&e->mutex);
        pthread_cond_broadcast(&e->moved);
        pthread_mutex_unlock(&e->mutex);
    }
}

bool exec_chosen(const flight *f, const prog_op *o)
{
    return o->tail == TAIL_ALWAYS || atomic_load(&f->tail) == o->tail;
}

void exec_set_done(exec *e, const flight *f, int32_t op)
{
    atomic_store(&e->done[op], f->serial);
    if (e->p->ops[op].awaited) {
        exec_wake(e);
    }
}

bool exec_sleep_until_done(exec *e, int32_t op, int serial)
{
    pthread_mutex_lock(&e->mutex);
    atomic_fetch_add(&e->sleepers, 1);
    while (!exec_is_done(e, op, serial) && !atomic_load(&e->failed)) {
        pthread_cond_wait(&e->moved, &e->mutex);
    }
    atomic_fetch_sub(&e->sleepers, 1);
    pthread_mutex_unlock(&e->mutex);
    return exec_is_done(e, op, serial);
}

/* The trace is of training steps; validation leaves it alone. */
static exec_trace *row_of(const flight *f, int32_t i)
{
    return f->forward_only ? NULL : &f->trace[i];
}

void exec_note_start(const flight *f, int32_t i, int64_t now)
{
    exec_trace *row = row_of(f, i);
    if (row != NULL) {
        row->start = now - f->begin_ns;
    }
}

void exec_note_end(const flight *f, int32_t i, int64_t now, int64_t cpu)
{
    exec_trace *row = row_of(f, i);
    if (row != NULL) {
        row->end = now - f->begin_ns;
        row->cpu = cpu;
        row->busy = row->end - row->start;
    }
}

void exec_note_passed(const flight *f, int32_t i, int64_t now)
{
    exec_note_start(f, i, now);
    exec_note_end(f, i, now, 0);
}

void exec_note_message(const flight *f, int32_t i, int64_t busy, int64_t cpu)
{
    exec_trace *row = row_of(f, i);
    if (row != NULL) {
        row->busy = busy;
        row->cpu = cpu;
    }
}
