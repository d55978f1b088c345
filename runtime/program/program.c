/*
 * Building a program: append-only arrays that grow. A failed allocation is
 * remembered and everything after it is a no-op, so that compilers read as
 * lists of operations and check once, in prog_finish.
 */
#include "runtime/program/program.h"

#include <string.h>

#include "runtime/base/mem.h"

void prog_init(program *p)
{
    memset(p, 0, sizeof(*p));
    p->work_buf = -1;
    p->guard = -1;
}

void prog_fini(program *p)
{
    mem_free(p->ops);
    mem_free(p->bufs);
    mem_free(p->view);
    mem_free(p->seg);
    mem_free(p->stack);
    mem_free(p->dep);
    prog_init(p);
}

void prog_clear(program *p)
{
    program empty;
    prog_init(&empty);
    empty.ops = p->ops;
    empty.cap_ops = p->cap_ops;
    empty.bufs = p->bufs;
    empty.cap_bufs = p->cap_bufs;
    empty.view = p->view;
    empty.cap_views = p->cap_views;
    empty.seg = p->seg;
    empty.cap_segs = p->cap_segs;
    empty.stack = p->stack;
    empty.cap_stacks = p->cap_stacks;
    empty.dep = p->dep;
    empty.cap_deps = p->cap_deps;
    *p = empty;
}

void program_set_fini(program_set *set)
{
    for (int i = 0; i < set->nclasses; i++) {
        prog_fini(&set->classes[i]);
    }
    mem_free(set->classes);
    mem_free(set->places);
    memset(set, 0, sizeof(*set));
}

/* Makes room for one more element; false after a failure. */
static bool grow(program *p, void *array, int32_t n, int32_t *cap, size_t size)
{
    if (p->failed != ST_OK) {
        return false;
    }
    if (n < *cap) {
        return true;
    }
    if (*cap > INT32_MAX / 2) {
        p->failed = FAIL(ST_SYSTEM,
                         "a step of more than %d parts; lower "
                         "--batch",
                         INT32_MAX / 2);
        return false;
    }
    int32_t want = *cap == 0 ? 64 : *cap * 2;
    p->failed = mem_extend((size_t)want, size, "program", (void **)array);
    if (p->failed == ST_OK) {
        *cap = want;
    }
    return p->failed == ST_OK;
}

int32_t prog_buffer(program *p, const char *name, buf_class cls, int layer,
                    int64_t floats, bool persistent)
{
    if (!grow(p, &p->bufs, p->nbufs, &p->cap_bufs, sizeof(prog_buf))) {
        return 0;
    }
    p->bufs[p->nbufs] = (prog_buf){
        .name = name,
        .cls = cls,
        .layer = layer,
        .persistent = persistent,
        .first = -1,
        .last = -1,
        .floats = floats,
        .offset = -1,
    };
    return p->nbufs++;
}

prog_view prog_whole(const program *p, int32_t buf, int64_t rows, int64_t cols,
                     int64_t ld)
{
    (void)p;
    return (prog_view){
        .buf = buf, .mode = 0, .off = 0, .rows = rows, .cols = cols, .ld = ld};
}

prog_view prog_sub(prog_view v, int64_t r0, int64_t rows, int64_t c0,
                   int64_t cols)
{
    v.off += r0 * v.ld + c0;
    v.rows = rows;
    v.cols = cols;
    return v;
}

int32_t prog_add(program *p, op_kind kind, op_stream stream, int layer)
{
    if (!grow(p, &p->ops, p->nops, &p->cap_ops, sizeof(prog_op))) {
        return 0;
    }
    p->ops[p->nops] = (prog_op){
        .kind = (uint8_t)kind,
        .stream = (uint8_t)stream,
        .phase = (uint8_t)p->phase,
        .tail = (uint8_t)p->tail,
        .layer = (int16_t)layer,
        .param = -1,
        .view0 = p->nviews,
        .seg0 = p->nsegs,
        .stack0 = p->nstacks,
    };
    return p->nops++;
}

/* After a failure callers still write into what they get here. */
prog_op *prog_last(program *p)
{
    static _Thread_local prog_op sink;
    return p->failed != ST_OK || p->nops == 0 ? &sink : &p->ops[p->nops - 1];
}

void prog_guard(program *p, op_tail tail)
{
    p->guard = p->nops - 1;
    p->tail = tail;
}

void prog_use(program *p, prog_view v, view_mode mode)
{
    if (!grow(p, &p->view, p->nviews, &p->cap_views, sizeof(prog_view))) {
        return;
    }
    v.mode = mode;
    p->view[p->nviews++] = v;
    prog_last(p)->views++;
}

void prog_segments(program *p, const tree_seg *segs, int n)
{
    for (int i = 0; i < n; i++) {
        if (!grow(p, &p->seg, p->nsegs, &p->cap_segs, sizeof(tree_seg))) {
            return;
        }
        p->seg[p->nsegs++] = segs[i];
        prog_last(p)->segs++;
    }
}

void prog_accumulate(program *p, const prog_stack *s)
{
    if (!grow(p, &p->stack, p->nstacks, &p->cap_stacks, sizeof(prog_stack))) {
        return;
    }
    p->stack[p->nstacks++] = *s;
    prog_last(p)->stacks++;
}

void prog_wait(program *p, int32_t from, int32_t op, int distance)
{
    if (!grow(p, &p->dep, p->ndeps, &p->cap_deps, sizeof(prog_dep))) {
        return;
    }
    p->dep[p->ndeps++] = (prog_dep){from, op, distance};
}

bool prog_is_forward(const prog_op *o)
{
    return o->phase == PHASE_FORWARD || o->kind == OP_CLIP;
}

void prog_count(const program *p, prog_totals *out)
{
    memset(out, 0, sizeof(*out));
    for (int32_t i = 0; i < p->nops; i++) {
        const prog_op *o = &p->ops[i];
        out->ops[o->kind]++;
        out->flops[o->kind] += o->flops;
        out->bytes[o->kind] += o->bytes;
        switch ((op_stream)o->stream) {
        case STREAM_LOAD:
            out->load_bytes += o->bytes;
            break;
        case STREAM_DRAIN:
            out->drain_bytes += o->bytes;
            break;
        case STREAM_PIPE_OUT: /* what comes in was counted by its sender */
            out->pipe_bytes += o->bytes;
            out->messages++;
            break;
        case STREAM_TENSOR:
            out->tensor_bytes += o->bytes;
            out->messages++;
            break;
        case STREAM_DATA:
            out->data_bytes += o->bytes;
            out->messages++;
            break;
        default:
            break;
        }
    }
}

int64_t prog_set_peak(const program_set *set)
{
    int64_t most = 0;
    for (int i = 0; i < set->nclasses; i++) {
        int64_t peak = set->classes[i].peak_bytes;
        most = peak > most ? peak : most;
    }
    return most;
}

int prog_set_groups(const program_set *set)
{
    int n = 0;
    for (int r = 0; set->nranks > 1 && r < set->nranks; r++) {
        const prog_place *at = &set->places[r];
        const program *p = &set->classes[at->class_index];
        bool used[GROUP_COUNT] = {false};
        for (int32_t i = 0; i < p->nops; i++) {
            used[p->ops[i].group] = true;
        }
        n += used[GROUP_TENSOR] && at->tensor == 0;
        n += used[GROUP_DATA] && at->data == 0;
        n += used[GROUP_TIE] && at->pipe == 0;
        n += used[GROUP_WORLD] && r == 0;
    }
    return n;
}
