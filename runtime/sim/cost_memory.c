/* How long ago bytes were touched. */
#include <math.h>

#include "runtime/base/mem.h"
#include "runtime/sim/cost_impl.h"

enum { BLOCKS_MOST = 1 << 14, BLOCK_LEAST = 4096 };

status cost_memory_init(cost_pricing *pr)
{
    cost_memory *t = &pr->mem;
    const params *ps = pr->in->ps;
    int64_t bytes = pr->p->peak_bytes;
    t->arena = bytes;
    TRY(MEM_NEW(&t->param, ps->n + 1, "sim"));
    for (int i = 0; pr->in->store && i < ps->n; i++) {
        t->param[i] = bytes;
        bytes += 16 * ps->list[i].rows * ps->list[i].cols;
    }
    t->block = bytes / BLOCKS_MOST + 1;
    t->block = t->block > BLOCK_LEAST ? t->block : BLOCK_LEAST;
    t->blocks = bytes / t->block + 1;
    TRY(MEM_NEW(&t->when, t->blocks, "sim"));
    for (int64_t i = 0; i < t->blocks; i++) {
        t->when[i] = -1;
    }
    return ST_OK;
}

void cost_memory_fini(cost_pricing *pr)
{
    mem_free(pr->mem.when);
    mem_free(pr->mem.param);
}

/* Notes `bytes` of [at, at + span) in ago[], by how long ago they were
 * touched; then they are touched. */
static void touch(cost_pricing *pr, int64_t at, int64_t span, double bytes,
                  double ago[SIM_AGO])
{
    cost_memory *t = &pr->mem;
    if (span <= 0) {
        return;
    }
    int64_t b0 = at / t->block;
    int64_t b1 = (at + span - 1) / t->block;
    b1 = b1 < t->blocks ? b1 : t->blocks - 1;
    double each = bytes / (double)(b1 - b0 + 1);
    for (int64_t b = b0; b <= b1; b++) {
        double bits = SIM_AGO;
        if (t->when[b] >= 0) {
            bits = log2(t->now - t->when[b] + 1) - SIM_AGO_FIRST;
        }
        bits = bits < 0 ? 0 : bits > SIM_AGO - 1 ? SIM_AGO - 1 : bits;
        int i = bits < SIM_AGO - 2 ? (int)bits : SIM_AGO - 2;
        ago[i] += each * (i + 1 - bits);
        ago[i + 1] += each * (bits - i);
        t->when[b] = t->now;
    }
    t->now += bytes;
}

double sim_ago_bytes(int i)
{
    return ldexp(1, i + SIM_AGO_FIRST);
}

/* All planes of a view's accumulator lie apart; the first stands for them. */
static void touch_view(cost_pricing *pr, const prog_view *v,
                       double ago[SIM_AGO])
{
    int64_t at = pr->p->bufs[v->buf].offset + v->off * 4;
    int64_t span = ((v->rows - 1) * v->ld + v->cols) * 4;
    touch(pr, at, span, 4.0 * (double)(v->rows * v->cols), ago);
}

/* Arrays of a parameter in the store: first, and how many in a row. */
static void touch_store(cost_pricing *pr, const prog_op *o, int first, int n,
                        double ago[SIM_AGO])
{
    const param *q = &pr->in->ps->list[o->param];
    for (int i = first; i < first + n; i++) {
        int64_t at = pr->mem.param[o->param] +
                     4 * (i * q->rows * q->cols + o->row0 * q->cols);
        int64_t left = q->rows - o->row0;
        int64_t bytes = 4 * (left < o->rows ? left : o->rows) * q->cols;
        touch(pr, at, bytes, (double)bytes, ago);
    }
}

/* Touches what the operation touches; shares by how long ago that was. */
void cost_touch(cost_pricing *pr, const prog_op *o, double ago[SIM_AGO])
{
    double all = 0;
    for (int32_t v = 0; v < o->views; v++) {
        touch_view(pr, &pr->p->view[o->view0 + v], ago);
    }
    if (pr->in->store && o->param >= 0) {
        switch ((op_kind)o->kind) {
        case OP_LOAD:
        case OP_LOAD_ROWS:
            touch_store(pr, o, 0, 1, ago);
            break;
        case OP_DRAIN:
        case OP_DRAIN_ROWS:
            touch_store(pr, o, 1, 1, ago);
            break;
        case OP_UPDATE:
            touch_store(pr, o, 0, 4, ago);
            break;
        default:
            break;
        }
    }
    for (int i = 0; i < SIM_AGO; i++) {
        all += ago[i];
    }
    for (int i = 0; all > 0 && i < SIM_AGO; i++) {
        ago[i] /= all;
    }
}
