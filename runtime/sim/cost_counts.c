/* Counts of matrix products and attention. */
#include <math.h>
#include <string.h>

#include "runtime/sim/cost.h"

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
