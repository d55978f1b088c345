/*
 * The same bits: every plan whose product is the number of ranks, and
 * streaming, give the judge's losses, gradient norms and weights, bit for
 * bit. Each rank runs the judge alone (a world of one), then all run plans.
 *
 * timeout: 240
 */
#include <stdio.h>
#include <string.h>

#include "benchmarks/setup.h"
#include "runtime/base/rng.h"
#include "runtime/exec/exec.h"
#include "runtime/train/state.h"
#include "tests/mpi/mpi_test.h"

enum { STEPS = 3 };

typedef struct outcome {
    double loss[STEPS];
    double norm[STEPS];
    uint64_t hash;
} outcome;

static status random_batch(void *self, int64_t step, int64_t seq0, int64_t seqs,
                           int32_t *ids, int32_t *targets)
{
    const gpt_shape *sh = self;
    for (int64_t s = 0; s < seqs; s++) {
        for (int64_t t = 0; t < sh->T; t++) {
            uint64_t i = (uint64_t)((seq0 + s) * (sh->T + 1) + t);
            /* Few ids, so that rows of the embedding repeat. */
            ids[s * sh->T + t] = (int32_t)rng_below(7, (uint64_t)step, i, 61);
            targets[s * sh->T + t] =
                (int32_t)rng_below(7, (uint64_t)step, i + 1, 61);
        }
    }
    return ST_OK;
}

static status run(const setup_options *o, comm *world, outcome *out)
{
    setup s;
    store *st = NULL;
    exec *e = NULL;
    TRY(comm_agree(world, setup_open(o, comm_size(world), &s)));
    TRY(setup_share(&s, comm_rank(world)));
    TRY(setup_store_create(&s, o, 1, &st));
    exec_config c = {.a = &s.a,
                     .ps = &s.ps,
                     .set = &s.set,
                     .sh = s.sh,
                     .math = s.math,
                     .threads = s.sh.threads,
                     .world = world,
                     .store = st,
                     .device_memory = o->device_memory,
                     .batch = random_batch,
                     .batch_self = &s.sh};
    TRY(exec_create(&c, &e));
    train_state t = {e, &s.a, &s.ps, st, world};
    TRY(train_state_init(&t, 42));
    for (int i = 0; i < STEPS; i++) {
        exec_scalars sc = {.lr = 1e-2F,
                           .beta1 = 0.9F,
                           .beta2 = 0.95F,
                           .eps = 1e-8F,
                           .weight_decay = 0.1F,
                           .grad_clip = 1.0,
                           .adam_step = i + 1};
        exec_result r;
        TRY(exec_step(e, i, &sc, &r));
        out->loss[i] = r.loss;
        out->norm[i] = r.grad_norm;
    }
    TRY(train_state_hash(&t, &out->hash));
    comm_bcast(world, &out->hash, sizeof(out->hash), 0);
    exec_destroy(e);
    if (st != NULL) {
        st->ops->destroy(st);
    }
    setup_close(&s);
    return ST_OK;
}

static void compare(mpi_test *t, const setup_options *o, comm *world,
                    const outcome *judge, const char *model)
{
    outcome mine;
    memset(&mine, 0, sizeof(mine));
    status st = run(o, world, &mine);
    if (!MPI_TEST(t, st == ST_OK)) {
        fprintf(stderr, "%s %s: %s\n", model, o->plan ? o->plan : "streamed",
                status_text());
        return;
    }
    bool same = memcmp(judge, &mine, sizeof(mine)) == 0;
    if (!MPI_TEST(t, same)) {
        fprintf(stderr,
                "%s %s: loss %.17g %.17g, norm %.17g %.17g, step 3 loss "
                "%.17g %.17g\n",
                model, o->plan ? o->plan : "streamed", mine.loss[0],
                judge->loss[0], mine.norm[0], judge->norm[0], mine.loss[2],
                judge->loss[2]);
    }
}

static void all_plans(mpi_test *t, setup_options base, int heads,
                      const outcome *judge)
{
    static const int64_t mbs[] = {0, 1, 3};
    for (int dp = 1; dp <= t->size; dp++) {
        for (int pp = 1; dp * pp <= t->size; pp++) {
            int tp = t->size / (dp * pp);
            if (dp * pp * tp != t->size || base.layers % pp != 0 ||
                tp > heads) {
                continue;
            }
            char name[64];
            for (int m = 0; m < 3; m++) {
                setup_options o = base;
                (void)snprintf(name, sizeof(name), "dp%d.tp%d.pp%d%s", dp, tp,
                               pp, m == 1 ? ".1f1b" : "");
                o.plan = name;
                o.micro_batch = m == 2 && t->size > 2 ? 2 : mbs[m];
                o.recompute =
                    m == 1 ? SETUP_RECOMPUTE_FULL : SETUP_RECOMPUTE_NONE;
                o.threads = t->size > 2 ? 1 : 1 + m % 2;
                compare(t, &o, t->world, judge, base.model);
            }
        }
    }
}

static void uneven_plan(mpi_test *t, setup_options o, const outcome *judge)
{
    if (t->size == 2 && o.layers == 4) {
        o.plan = "configs/plans/uneven.1f1b.json";
        compare(t, &o, t->world, judge, o.model);
    }
}

static void model(mpi_test *t, const char *name, int64_t batch, int64_t seq,
                  int64_t layers, int heads, int D, int S)
{
    setup_options o = {.model = name,
                       .layers = layers,
                       .plan = "dp1",
                       .batch = batch,
                       .seq = seq,
                       .data_leaves = D,
                       .tensor_leaves = S,
                       .threads = t->size > 2 ? 1 : 2};
    comm *self = NULL;
    outcome judge;
    memset(&judge, 0, sizeof(judge));
    if (!MPI_TEST_OK(t, comm_split(t->world, t->rank, 0, "self", &self)) ||
        !MPI_TEST_OK(t, run(&o, self, &judge))) {
        return;
    }
    if (t->size == 1) {
        setup_options s = o;
        s.plan = NULL;
        s.device_memory = 10 << 20;
        compare(t, &s, self, &judge, name);
        s.micro_batch = 3;
        s.recompute = SETUP_RECOMPUTE_FULL;
        s.threads = 1;
        compare(t, &s, self, &judge, name);
    }
    all_plans(t, o, heads, &judge);
    uneven_plan(t, o, &judge);
    comm_destroy(self);
}

static void test_neo(mpi_test *t)
{
    model(t, "configs/models/gpt-neo-tiny.json", 8, 48, t->size == 3 ? 3 : 4, 4,
          4, 4);
}

static void test_gptj(mpi_test *t)
{
    model(t, "configs/models/gpt-j-tiny.json", 8, 48, t->size == 3 ? 3 : 4, 4,
          4, 4);
}

static void test_odd_leaves(mpi_test *t)
{
    model(t, "configs/models/gpt-neo-tiny.json", 12, 20, t->size == 3 ? 3 : 4,
          4, 6, t->size == 4 ? 4 : 3);
}

/* 61 vocabulary rows and 3 heads: shards of unlike size, padded rows of the
 * vocabulary in the last leaf. */
static void test_odd_vocabulary(mpi_test *t)
{
    model(t, "tests/golden/gptj_full_rotary", 8, 17, 2, 3, 4, 3);
    model(t, "tests/golden/gptj_full_rotary", 8, 17, 2, 2, 8, 2);
}

int main(void)
{
    static const mpi_case cases[] = {MPI_CASE(test_neo), MPI_CASE(test_gptj),
                                     MPI_CASE(test_odd_leaves),
                                     MPI_CASE(test_odd_vocabulary)};
    return mpi_test_main(cases, MPI_TEST_COUNT(cases));
}
