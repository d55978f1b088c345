/*
 * Moving loads up and drains down in the issue order.
 *
 * Compilers emit a load right before the first operation that needs it, and
 * a drain right after the last that adds to it. Issued like that, the next
 * panel would lie where the last one is still in use, and nothing would
 * overlap. The distance is bounded by bytes, not by a count: a window of
 * 8 MiB holds two large panels or all norm vectors of a layer. Embedding and
 * head have a window of their own, since their panels and what else is in
 * memory then differ from a layer's.
 */
#include "runtime/base/mem.h"
#include "runtime/program/program.h"

typedef struct mover {
    program *p;
    prog_op *out;
    int32_t *index; /* old index -> new index */
    int32_t n;
} mover;

typedef struct windows {
    double layer, outer; /* bytes */
} windows;

static double window_of(const windows *w, const prog_op *o)
{
    return o->layer < 0 ? w->outer : w->layer;
}

static void put(mover *m, int32_t old)
{
    m->index[old] = m->n;
    m->out[m->n++] = m->p->ops[old];
}

static bool is_load(const prog_op *o)
{
    return o->stream == STREAM_LOAD;
}

static bool is_drain(const prog_op *o)
{
    return o->stream == STREAM_DRAIN;
}

static int32_t next_of(const program *p, int32_t i, bool (*is)(const prog_op *))
{
    while (i < p->nops && !is(&p->ops[i])) {
        i++;
    }
    return i;
}

/* `ahead` loads are out before their place in the old order. */
static void move_loads(mover *m, const windows *w)
{
    const program *p = m->p;
    int32_t next = next_of(p, 0, is_load);
    double out = 0;
    for (int32_t i = 0; i < p->nops; i++) {
        while (next < p->nops &&
               (next <= i ||
                out + p->ops[next].bytes <= window_of(w, &p->ops[next]))) {
            out += p->ops[next].bytes;
            put(m, next);
            next = next_of(p, next + 1, is_load);
        }
        if (is_load(&p->ops[i])) {
            out -= p->ops[i].bytes;
        } else {
            put(m, i);
        }
    }
}

/* A drain is put off while less than a window waits; what is left is put
 * before the first operation of the host stream that may wait for it. */
static void move_drains(mover *m, const windows *w)
{
    const program *p = m->p;
    int32_t next = next_of(p, 0, is_drain);
    double held = 0;
    for (int32_t i = 0; i < p->nops; i++) {
        bool flush = p->ops[i].stream == STREAM_HOST;
        if (is_drain(&p->ops[i])) {
            held += p->ops[i].bytes;
        }
        while (next < p->nops && next <= i &&
               (flush || held > window_of(w, &p->ops[next]))) {
            held -= p->ops[next].bytes;
            put(m, next);
            next = next_of(p, next + 1, is_drain);
        }
        if (!is_drain(&p->ops[i])) {
            put(m, i);
        }
    }
    for (; next < p->nops; next = next_of(p, next + 1, is_drain)) {
        put(m, next);
    }
}

static void take_over(mover *m)
{
    program *p = m->p;
    for (int32_t d = 0; d < p->ndeps; d++) {
        p->dep[d].from = m->index[p->dep[d].from];
        p->dep[d].op = m->index[p->dep[d].op];
    }
    p->guard = p->guard >= 0 ? m->index[p->guard] : -1;
    mem_free(p->ops);
    p->ops = m->out;
    p->cap_ops = p->nops;
    m->out = NULL;
}

static status move(program *p, const windows *w,
                   void (*how)(mover *, const windows *))
{
    mover m = {.p = p};
    status st = MEM_NEW(&m.out, p->nops + 1, "program");
    if (st == ST_OK) {
        st = MEM_NEW(&m.index, p->nops + 1, "program");
    }
    if (st == ST_OK) {
        how(&m, w);
        ASSERT(m.n == p->nops);
        take_over(&m);
    }
    mem_free(m.out);
    mem_free(m.index);
    return st;
}

void prog_prefetch(program *p, double layer_bytes, double outer_bytes)
{
    windows w = {.layer = layer_bytes, .outer = outer_bytes};
    if (p->failed == ST_OK) {
        p->failed = move(p, &w, move_loads);
    }
    if (p->failed == ST_OK) {
        p->failed = move(p, &w, move_drains);
    }
}
