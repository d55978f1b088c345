/* Prices of all of a program, transfers between ranks among them. */
#include <math.h>
#include <string.h>

#include "runtime/sim/cost_impl.h"

/* The gradient of a table is cleared before rows are added to it. */
static status add_clearing(const cost_pricing *pr, const prog_op *o,
                           int threads, const sim_shape *like, double *s)
{
    sim_shape t = *like;
    double more = 0;
    cost_shape_clearing(pr, o, threads, &t);
    TRY(cost_seconds(pr->in, &t, &more));
    *s += more;
    return ST_OK;
}

/* Of the operation on that many threads. */
static status price_on(const cost_pricing *pr, const prog_op *o, int threads,
                       sim_shape *t, double *s)
{
    cost_shape(pr, o, threads, t);
    TRY(cost_seconds(pr->in, t, s));
    return o->kind == OP_DEMBED ? add_clearing(pr, o, threads, t, s) : ST_OK;
}

/* --- between ranks -------------------------------------------------------- */

const sim_link *sim_link_for(const machine *m, int ranks, bool shared)
{
    const sim_link *best = NULL;
    for (int i = 0; i < m->nlinks; i++) {
        const sim_link *l = &m->link[i];
        bool fits = best == NULL || (l->shared_cores == shared) >
                                        (best->shared_cores == shared);
        bool nearer =
            best != NULL && l->shared_cores == best->shared_cores &&
            (best->ranks < ranks ? l->ranks > best->ranks
                                 : l->ranks >= ranks && l->ranks < best->ranks);
        best = fits || nearer ? l : best;
    }
    return best;
}

double sim_transfer_seconds(const sim_transfer *t, double messages,
                            double bytes, const double ago[SIM_AGO])
{
    double byte = t->byte + cost_by_ago(&t->far, ago);
    return t->op + t->message * messages + byte * bytes;
}

static double transfer_of(const cost_pricing *pr, const prog_op *o,
                          const sim_link *l, const double ago[SIM_AGO])
{
    if (o->kind == OP_SEND || o->kind == OP_RECV) {
        return sim_transfer_seconds(&l->p2p, 1, o->bytes, ago);
    }
    int64_t size = o->arg;
    if (o->kind != OP_ALLREDUCE) {
        double slots = (double)(pr->in->ps->n * pr->in->sh.S + pr->in->sh.D);
        return sim_transfer_seconds(&l->sum, 1, 8 * slots, ago);
    }
    const prog_view *v = &pr->p->view[o->view0 + o->views - 1];
    double count = (double)((v->rows - 1) * v->ld + v->cols);
    double sends = 1.0 + pr->p->stack[o->stack0].planes;
    double parts = (double)(size - 1);
    return sim_transfer_seconds(&l->tree,
                                ceil(count / TREE_CHUNK_FLOATS) * parts * sends,
                                4 * count * parts / (double)size * sends, ago);
}

static bool is_transfer(const prog_op *o)
{
    return o->kind == OP_SEND || o->kind == OP_RECV || o->group != GROUP_NONE;
}

static status price_transfer(const cost_pricing *pr, const prog_op *o,
                             const double ago[SIM_AGO], sim_work *w)
{
    const machine *m = pr->in->m;
    int ranks = o->kind == OP_ALLREDUCE ? (int)o->arg : pr->in->ranks;
    if (ranks == 1) {
        return ST_OK;
    }
    const sim_link *l = sim_link_for(m, ranks, false);
    REQUIRE(l != NULL, ST_CONFIG,
            "machine %s: has no links, but the plan has %d ranks that "
            "communicate; add \"links\"",
            m->name, ranks);
    w->s = transfer_of(pr, o, l, ago);
    l = sim_link_for(m, ranks, pr->in->shared_cores);
    w->cpu_s = transfer_of(pr, o, l, ago);
    return ST_OK;
}

/* --- all of a program ----------------------------------------------------- */

static bool has_law(const cost_pricing *pr, const prog_op *o)
{
    sim_shape t;
    cost_shape(pr, o, 1, &t);
    return t.kernel != KERNEL_COUNT;
}

static status price(cost_pricing *pr, const prog_op *o, sim_work *w)
{
    sim_shape t = {0};
    *w = (sim_work){0};
    cost_touch(pr, o, t.ago);
    if (is_transfer(o)) {
        return price_transfer(pr, o, t.ago, w);
    }
    if (!has_law(pr, o)) {
        return ST_OK;
    }
    TRY(price_on(pr, o, 1, &t, &w->cpu_s));
    TRY(price_on(pr, o, pr->in->threads, &t, &w->s));
    if (o->stream == STREAM_LOAD || o->stream == STREAM_DRAIN) {
        w->link_bytes = o->kind == OP_BATCH ? 0 : 4 * t.items;
    }
    return ST_OK;
}

/* Every operation twice: the second time the memory is as a step leaves it.
 * `out` or `shapes` is NULL. */
static status walk(const sim_setup *in, const program *p, sim_work *out,
                   sim_shape *shapes)
{
    cost_pricing pr = {.in = in, .p = p};
    status st = cost_memory_init(&pr);
    for (int64_t k = 0; st == ST_OK && k < 2 * (int64_t)p->nops; k++) {
        int32_t i = (int32_t)(k % p->nops);
        const prog_op *o = &p->ops[i];
        if (out != NULL) {
            st = price(&pr, o, &out[i]);
            continue;
        }
        memset(&shapes[i], 0, sizeof(shapes[i]));
        cost_touch(&pr, o, shapes[i].ago);
        if (!is_transfer(o)) {
            cost_shape(&pr, o, in->threads, &shapes[i]);
        }
    }
    cost_memory_fini(&pr);
    return st;
}

status sim_costs(const sim_setup *in, const program *p, sim_work *out)
{
    return walk(in, p, out, NULL);
}

status sim_shapes(const sim_setup *in, const program *p, sim_shape *out)
{
    return walk(in, p, NULL, out);
}
