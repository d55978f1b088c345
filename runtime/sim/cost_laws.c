/* Laws: seconds of what an operation asks of one. */
#include <math.h>

#include "runtime/sim/cost_impl.h"

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

/* Mean price of what was touched so long ago as the shape says. */
double cost_by_ago(const sim_curve *c, const double ago[SIM_AGO])
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
                           cost_by_ago(&law->items, t->ago));
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

int sim_law_threads(const machine *m, int threads)
{
    int most = m->level[0].threads;
    int least = most;
    for (int i = 1; i < m->nlevels && m->level[i].ranks <= 1; i++) {
        most = m->level[i].threads;
    }
    return threads < least ? least : threads > most ? most : threads;
}

double sim_slower_pace(const sim_setup *in)
{
    const sim_level *alone = level_alone(in->m, in->threads);
    const sim_level *l = level_at_once(in->m, in->ranks);
    double now = in->pace > 0 ? in->pace : l != NULL ? l->pace : alone->pace;
    return now > 0 && alone->pace > 0 ? now / alone->pace : (double)NAN;
}

bool sim_is_product(sim_kernel k)
{
    return k <= KERNEL_DATTENTION;
}

/* Seconds by the laws of the numbers of threads on both sides. */
status cost_seconds(const sim_setup *in, const sim_shape *t, double *out)
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
    double slower = sim_slower_pace(in);
    *out *= sim_is_product(t->kernel) && !isnan(slower) ? slower : 1;
    return ST_OK;
}
