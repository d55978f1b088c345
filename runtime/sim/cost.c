#include "runtime/sim/cost.h"

#include <math.h>
#include <string.h>

#include "runtime/base/mem.h"

enum { BLOCKS_MOST = 1 << 14, BLOCK_LEAST = 4096 };

/* Memory of the device and, behind it, of its store, in blocks. */
typedef struct touched {
    double *when; /* bytes touched before the last use, -1: never          */
    int64_t blocks;
    int64_t block;  /* bytes */
    double now;     /* bytes touched so far                               */
    int64_t arena;  /* bytes of the device                                */
    int64_t *param; /* where a parameter begins in the store: w g m v      */
} touched;

typedef struct pricing {
    const sim_setup *in;
    const program *p;
    touched mem;
} pricing;

/* --- laws ----------------------------------------------------------------- */

double sim_curve_at(const sim_curve *c, double x)
{
    int n = c->points;
    if (n == 0) {
        return 0;
    }
    if (x <= c->x[0]) {
        return c->y[0];
    }
    for (int i = 1; i < n; i++) {
        if (x < c->x[i]) {
            double part = log(x / c->x[i - 1]) / log(c->x[i] / c->x[i - 1]);
            return c->y[i - 1] + part * (c->y[i] - c->y[i - 1]);
        }
    }
    return c->y[n - 1];
}

double sim_law_seconds(const sim_law *law, const double count[TERM_COUNT],
                       double items, double item_s)
{
    double s = items * item_s;
    for (int t = 0; t < TERM_COUNT; t++) {
        s += law->term[t] * count[t];
    }
    return s;
}

static double units(double n, double unit)
{
    return ceil(n / unit);
}

/* Result of rows x cols, segments in turn. */
static void box_counts(const machine *m, const sim_product *p, double rows,
                       double cols, double count[TERM_COUNT])
{
    double tiles =
        units(rows, m->tile_m) * m->tile_m * units(cols, m->tile_n) * m->tile_n;
    for (int i = 0; i < p->nsegs; i++) {
        double k = (double)(p->segs[i].k1 - p->segs[i].k0);
        if (k > 0) {
            count[TERM_CALL] += 1;
            count[TERM_FLOP] += 2 * tiles * k;
            count[TERM_A] += rows * k;
            count[TERM_B] += cols * k;
            count[TERM_C] += rows * cols * units(k, m->tile_k);
        }
    }
}

/* Times that the sum adds one entry of its stack to another by itself; a
 * short leaf is added by its product. */
static int joins_of(const machine *m, const sim_product *p)
{
    tree_state s = p->state;
    int joins = 0;
    for (int i = 0; i < p->nsegs; i++) {
        const tree_seg *sg = &p->segs[i];
        int depth = s.depth + (sg->first ? 1 : 0);
        int after = tree_state_after(&s, sg, 1);
        bool is_free = sg->first && sg->last && sg->k1 - sg->k0 <= m->tile_k;
        int here = depth - after;
        joins += here - (is_free && here > 0 ? 1 : 0);
    }
    return joins;
}

/* A result in `parts` parts: the grid that costs least; the largest part. */
static void grid_counts(const machine *m, const sim_law *law,
                        const sim_product *p, int parts, double rows,
                        double cols, double count[TERM_COUNT])
{
    double best_s = INFINITY;
    for (int pm = 1; pm <= parts; pm++) {
        if (parts % pm != 0) {
            continue;
        }
        double c[TERM_COUNT] = {0};
        double r = units(units(rows, m->tile_m), pm) * m->tile_m;
        double w = units(units(cols, m->tile_n), parts / pm) * m->tile_n;
        box_counts(m, p, fmin(r, rows), fmin(w, cols), c);
        double s = sim_law_seconds(law, c, 0, 0);
        if (s < best_s) {
            best_s = s;
            memcpy(count, c, sizeof(c));
        }
    }
}

void sim_product_counts(const machine *m, const sim_law *law,
                        const sim_product *p, int threads,
                        double count[TERM_COUNT])
{
    grid_counts(m, law, p, threads, p->m, p->n, count);
    count[TERM_OP] = 1;
    if (!p->sum) {
        return;
    }
    double mine = p->m * p->n / threads;
    int joins = joins_of(m, p);
    count[TERM_JOIN] = mine * joins;
    /* Sums that keep entries aside work on a part of the result at a time:
     * the other operand is packed again for each. */
    double boxes = joins > 0 ? units(mine, (double)m->sum_floats) : 1;
    count[TERM_CALL] *= boxes;
    count[TERM_A] *= sqrt(boxes);
    count[TERM_B] *= sqrt(boxes);
}

void sim_attention_counts(const machine *m, int64_t T, int64_t window,
                          int64_t head_dim, int64_t heads, bool backward,
                          int threads, double count[TERM_COUNT])
{
    double scores = 0;
    double blocks = 0;
    for (int64_t q0 = 0; q0 < T; q0 += m->query_block) {
        int64_t q1 = q0 + m->query_block < T ? q0 + m->query_block : T;
        int64_t lo = window > 0 && q0 >= window ? q0 - window + 1 : 0;
        scores += (double)(q1 - q0) * (double)(q1 - lo);
        blocks++;
    }
    /* A task is a head of a sequence, forward one of its blocks. */
    double tasks = (double)heads * (backward ? 1 : blocks);
    double share = units(tasks, threads) / tasks * (double)heads;
    count[TERM_OP] = 1;
    count[TERM_CALL] = blocks * share;
    count[TERM_C] = scores * share;
    count[TERM_FLOP] =
        2 * scores * (double)head_dim * (backward ? 5 : 2) * share;
}

/* Mean price of what was touched so long ago as the shape says. */
static double price_by_ago(const sim_curve *c, const double ago[SIM_AGO])
{
    double s = 0;
    for (int i = 0; i < SIM_AGO; i++) {
        if (ago[i] > 0) {
            s += ago[i] * sim_curve_at(c, sim_ago_bytes(i));
        }
    }
    return s;
}

double sim_shape_seconds(const sim_law *law, const sim_shape *t)
{
    return sim_law_seconds(law, t->count, t->items,
                           price_by_ago(&law->items, t->ago));
}

/* The level of as many ranks at once, or of the most there are; NULL: one
 * rank, or the machine does not say. */
static const sim_level *level_at_once(const machine *m, int ranks)
{
    const sim_level *best = NULL;
    for (int i = 0; ranks > 1 && i < m->nlevels; i++) {
        const sim_level *l = &m->level[i];
        if (l->ranks > 1 && (best == NULL || best->ranks < ranks)) {
            best = l;
        }
    }
    return best;
}

/* How many times as long an operation takes while other ranks of the node
 * work, too: what one thread loses. */
static double slower_at_once(const sim_setup *in, const sim_shape *t)
{
    const sim_level *l = level_at_once(in->m, in->ranks);
    const sim_law *alone = &in->m->level[0].law[t->kernel];
    if (l == NULL || !l->law[t->kernel].known || !alone->known) {
        return 1;
    }
    double s = sim_shape_seconds(alone, t);
    return s > 0 ? sim_shape_seconds(&l->law[t->kernel], t) / s : 1;
}

/* The laws of one rank on that many threads, or of the next fewer. */
static const sim_level *level_alone(const machine *m, int threads)
{
    const sim_level *best = &m->level[0];
    for (int i = 1; i < m->nlevels && m->level[i].ranks <= 1; i++) {
        best = m->level[i].threads <= threads ? &m->level[i] : best;
    }
    return best;
}

double sim_slower_pace(const sim_setup *in)
{
    const sim_level *alone = level_alone(in->m, in->threads);
    const sim_level *l = level_at_once(in->m, in->ranks);
    double now = in->pace > 0 ? in->pace : l != NULL ? l->pace : alone->pace;
    return now > 0 && alone->pace > 0 ? now / alone->pace : 1;
}

bool sim_is_product(sim_kernel k)
{
    return k <= KERNEL_DATTENTION;
}

/* Seconds by the laws of the numbers of threads on both sides. */
static status seconds_of(const sim_setup *in, const sim_shape *t, double *out)
{
    const machine *m = in->m;
    int hi = 0;
    while (hi + 1 < m->nlevels && m->level[hi + 1].ranks <= 1 &&
           m->level[hi].threads < t->threads) {
        hi++;
    }
    int lo = hi > 0 && m->level[hi].threads > t->threads ? hi - 1 : hi;
    double s[2];
    for (int i = 0; i < 2; i++) {
        const sim_level *l = &m->level[i == 0 ? lo : hi];
        const sim_law *law = &l->law[t->kernel];
        REQUIRE(law->known, ST_CONFIG,
                "machine %s: levels: has no law for the kernel %s on %d "
                "threads; make the file again with weft calibrate",
                m->name, sim_kernel_name(t->kernel), l->threads);
        s[i] = sim_shape_seconds(law, t);
    }
    double x = 0;
    if (hi != lo) {
        x = log((double)t->threads / m->level[lo].threads) /
            log((double)m->level[hi].threads / m->level[lo].threads);
    }
    *out = s[0] > 0 ? s[0] * pow(s[1] / s[0], x) : 0;
    *out *= slower_at_once(in, t);
    *out *= sim_is_product(t->kernel) ? sim_slower_pace(in) : 1;
    return ST_OK;
}

/* --- how long ago bytes were touched -------------------------------------- */

static status mem_init(pricing *pr)
{
    touched *t = &pr->mem;
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

static void mem_fini(pricing *pr)
{
    mem_free(pr->mem.when);
    mem_free(pr->mem.param);
}

/* Notes `bytes` of [at, at + span) in ago[], by how long ago they were
 * touched; then they are touched. */
static void touch(pricing *pr, int64_t at, int64_t span, double bytes,
                  double ago[SIM_AGO])
{
    touched *t = &pr->mem;
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
static void touch_view(pricing *pr, const prog_view *v, double ago[SIM_AGO])
{
    int64_t at = pr->p->bufs[v->buf].offset + v->off * 4;
    int64_t span = ((v->rows - 1) * v->ld + v->cols) * 4;
    touch(pr, at, span, 4.0 * (double)(v->rows * v->cols), ago);
}

/* Arrays of a parameter in the store: first, and how many in a row. */
static void touch_store(pricing *pr, const prog_op *o, int first, int n,
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
static void touch_all(pricing *pr, const prog_op *o, double ago[SIM_AGO])
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

/* --- from operations to terms --------------------------------------------- */

static const prog_view *view_of(const pricing *pr, const prog_op *o, int i)
{
    return &pr->p->view[o->view0 + i];
}

static void by_rows(sim_shape *t, sim_kernel k, double rows, double cols)
{
    t->kernel = k;
    t->count[TERM_OP] = 1;
    t->count[TERM_ROW] = rows;
    t->items = rows * cols;
}

static void by_view(const pricing *pr, const prog_op *o, int i, sim_kernel k,
                    sim_shape *t)
{
    const prog_view *v = view_of(pr, o, i);
    by_rows(t, k, (double)v->rows, (double)v->cols);
}

static sim_product product_of(const pricing *pr, const prog_op *o,
                              tree_seg *whole)
{
    const prog_view *a = view_of(pr, o, 0);
    if (o->form == FORM_EXPAND) {
        const prog_view *w = view_of(pr, o, 1);
        *whole = (tree_seg){.k1 = w->cols, .first = 1, .last = 1};
        return (sim_product){.m = (double)a->rows,
                             .n = (double)w->rows,
                             .segs = whole,
                             .nsegs = 1};
    }
    const prog_view *out = view_of(pr, o, o->views - 1);
    bool trans = o->kind == OP_DWEIGHT;
    return (sim_product){.m = (double)(trans ? a->cols : a->rows),
                         .n = (double)out->cols,
                         .segs = &pr->p->seg[o->seg0],
                         .nsegs = o->segs,
                         .state = pr->p->stack[o->stack0].state,
                         .sum = true};
}

static void by_product(const pricing *pr, const prog_op *o, int threads,
                       sim_shape *t)
{
    const machine *m = pr->in->m;
    tree_seg whole;
    sim_product p = product_of(pr, o, &whole);
    t->kernel = o->form == FORM_EXPAND  ? KERNEL_EXPAND
                : o->kind == OP_DWEIGHT ? KERNEL_DWEIGHT
                                        : KERNEL_SUM;
    sim_product_counts(m, &m->level[0].law[t->kernel], &p, threads, t->count);
}

static void by_attention(const pricing *pr, const prog_op *o, int threads,
                         sim_shape *t)
{
    const arch *a = pr->in->a;
    int64_t heads = view_of(pr, o, 0)->cols / (3 * a->D) * o->seqs;
    bool backward = o->kind == OP_DATTENTION;
    t->kernel = backward ? KERNEL_DATTENTION : KERNEL_ATTENTION;
    sim_attention_counts(pr->in->m, pr->in->sh.T, a->window[o->layer], a->D,
                         heads, backward, threads, t->count);
}

/* Rows of an embedding that a batch names: the expectation for tokens that
 * are evenly spread over the vocabulary. */
static double rows_named(const pricing *pr)
{
    double v = pr->in->a->V;
    double n = (double)(pr->in->sh.seqs * pr->in->sh.T);
    return v * (1 - pow(1 - 1 / v, n));
}

static void by_param(const pricing *pr, const prog_op *o, sim_kernel k,
                     sim_shape *t)
{
    if (o->views > 0) {
        by_view(pr, o, 0, k, t);
    } else {
        by_rows(t, k, (double)o->rows, (double)pr->in->ps->list[o->param].cols);
    }
}

static void by_kind(const pricing *pr, const prog_op *o, sim_shape *t)
{
    double cols = o->param >= 0 ? (double)pr->in->ps->list[o->param].cols : 0;
    switch ((op_kind)o->kind) {
    case OP_BATCH:
        by_rows(t, KERNEL_BATCH, (double)(o->seqs * pr->in->sh.T), 1);
        break;
    case OP_LOAD:
        by_rows(t, KERNEL_COPY, 1, (double)o->rows * cols);
        break;
    case OP_LOAD_ROWS:
        by_rows(t, KERNEL_COPY, rows_named(pr), cols);
        break;
    case OP_DRAIN:
        by_rows(t, KERNEL_DRAIN, (double)o->rows, cols);
        break;
    case OP_DRAIN_ROWS:
        by_rows(t, KERNEL_DRAIN, rows_named(pr), cols);
        break;
    case OP_EMBED:
        by_view(pr, o, 2, KERNEL_EMBED, t);
        break;
    case OP_POSITION:
        by_view(pr, o, 1, KERNEL_ADD, t);
        t->count[TERM_OP] = o->seqs;
        break;
    case OP_NORM:
        by_view(pr, o, 0, KERNEL_NORM, t);
        break;
    case OP_BIAS:
        by_view(pr, o, 0, KERNEL_BIAS, t);
        break;
    case OP_ROPE:
        by_view(pr, o, 0, KERNEL_ROPE, t);
        break;
    case OP_ACT:
        by_view(pr, o, 0, KERNEL_ACT, t);
        break;
    case OP_RESIDUAL:
        by_view(pr, o, 0, KERNEL_RESIDUAL, t);
        break;
    case OP_XENT_STATS:
        by_view(pr, o, 0, KERNEL_XENT_STATS, t);
        break;
    case OP_XENT_PICK:
        by_rows(t, KERNEL_XENT_PICK, (double)view_of(pr, o, 0)->rows, 0);
        break;
    case OP_XENT_LOSS:
        by_rows(t, KERNEL_XENT_LOSS, (double)view_of(pr, o, 0)->rows,
                (double)o->arg);
        break;
    case OP_XENT_GRAD:
        by_view(pr, o, 0, KERNEL_XENT_GRAD, t);
        break;
    case OP_DBIAS:
        by_view(pr, o, 0, KERNEL_DBIAS, t);
        break;
    case OP_DNORM:
        by_view(pr, o, 0, KERNEL_DNORM, t);
        break;
    case OP_DNORM_W:
        by_view(pr, o, 0, KERNEL_DNORM_W, t);
        break;
    case OP_DACT:
        by_view(pr, o, 0, KERNEL_DACT, t);
        break;
    case OP_DEMBED:
        by_view(pr, o, 1, KERNEL_DEMBED, t);
        break;
    case OP_ADD:
        by_view(pr, o, 0, KERNEL_ADD, t);
        break;
    case OP_ZERO:
        by_view(pr, o, 0, KERNEL_ZERO, t);
        break;
    case OP_GRAD_NORM:
        if (pr->in->store) {
            by_rows(t, KERNEL_STORE_NORM, (double)o->rows, 0);
        } else {
            by_param(pr, o, KERNEL_GRAD_NORM, t);
        }
        break;
    case OP_UPDATE:
        by_param(pr, o, KERNEL_UPDATE, t);
        break;
    case OP_CACHE:
        by_view(pr, o, 0, KERNEL_COPY, t);
        break;
    case OP_ROW:
        by_view(pr, o, 1, KERNEL_COPY, t);
        break;
    case OP_FORWARD: /* by_product, by_attention */
    case OP_DINPUT:
    case OP_DWEIGHT:
    case OP_ATTENTION:
    case OP_DATTENTION:
    case OP_SEND: /* transfers have links */
    case OP_RECV:
    case OP_ALLREDUCE:
    case OP_LOSS: /* a few additions */
    case OP_CLIP:
    case OP_KIND_COUNT:
        t->kernel = KERNEL_COUNT;
        break;
    }
}

/* Threads that share the operation: copies and what a store does beside
 * compute have one, and so have small element-wise operations. */
static int threads_of(const pricing *pr, const prog_op *o, const sim_shape *t,
                      int all)
{
    switch ((op_kind)o->kind) {
    case OP_BATCH:
    case OP_LOAD:
    case OP_LOAD_ROWS:
    case OP_DRAIN:
    case OP_DRAIN_ROWS:
    case OP_XENT_PICK:
        return 1;
    case OP_GRAD_NORM:
        if (pr->in->store) {
            return 1;
        }
        break;
    default:
        break;
    }
    return t->items < (double)pr->in->m->serial_items ? 1 : all;
}

static void shape_of(const pricing *pr, const prog_op *o, int threads,
                     sim_shape *t)
{
    memset(t->count, 0, sizeof(t->count));
    t->items = 0;
    t->kernel = KERNEL_COUNT;
    t->threads = threads;
    switch ((op_kind)o->kind) {
    case OP_FORWARD:
    case OP_DINPUT:
    case OP_DWEIGHT:
        by_product(pr, o, threads, t);
        break;
    case OP_ATTENTION:
    case OP_DATTENTION:
        by_attention(pr, o, threads, t);
        break;
    default:
        by_kind(pr, o, t);
        t->threads = threads_of(pr, o, t, threads);
        break;
    }
}

/* The gradient of a table is cleared before rows are added to it. */
static status add_clearing(const pricing *pr, const prog_op *o, int threads,
                           const sim_shape *like, double *s)
{
    const prog_view *g = &pr->p->view[o->view0 + 2];
    sim_shape t = *like;
    double more = 0;
    memset(t.count, 0, sizeof(t.count));
    by_rows(&t, KERNEL_ZERO, (double)g->rows, (double)g->cols);
    t.threads = threads_of(pr, o, &t, threads);
    TRY(seconds_of(pr->in, &t, &more));
    *s += more;
    return ST_OK;
}

/* Of the operation on that many threads. */
static status price_on(const pricing *pr, const prog_op *o, int threads,
                       sim_shape *t, double *s)
{
    shape_of(pr, o, threads, t);
    TRY(seconds_of(pr->in, t, s));
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
    double byte = t->byte + price_by_ago(&t->far, ago);
    return t->op + t->message * messages + byte * bytes;
}

static double transfer_of(const pricing *pr, const prog_op *o,
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
    const prog_view *v = view_of(pr, o, o->views - 1);
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

static status price_transfer(const pricing *pr, const prog_op *o,
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

static bool has_law(const pricing *pr, const prog_op *o)
{
    sim_shape t;
    shape_of(pr, o, 1, &t);
    return t.kernel != KERNEL_COUNT;
}

static status price(pricing *pr, const prog_op *o, sim_work *w)
{
    sim_shape t = {0};
    *w = (sim_work){0};
    touch_all(pr, o, t.ago);
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
    pricing pr = {.in = in, .p = p};
    status st = mem_init(&pr);
    for (int64_t k = 0; st == ST_OK && k < 2 * (int64_t)p->nops; k++) {
        int32_t i = (int32_t)(k % p->nops);
        const prog_op *o = &p->ops[i];
        if (out != NULL) {
            st = price(&pr, o, &out[i]);
            continue;
        }
        memset(&shapes[i], 0, sizeof(shapes[i]));
        touch_all(&pr, o, shapes[i].ago);
        if (!is_transfer(o)) {
            shape_of(&pr, o, in->threads, &shapes[i]);
        }
    }
    mem_fini(&pr);
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
