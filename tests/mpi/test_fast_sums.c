/*
 * --sums fast: without leaves the bits depend on the plan, but losses stay
 * within 1e-5 of the exact ones over ten steps.
 *
 * ranks: 2
 * timeout: 120
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/common/rig.h"
#include "tests/mpi/mpi_test.h"

enum { STEPS = 10 };
static const double MOST = 1e-5;

static const char *const models[] = {"configs/models/gpt-neo-tiny.json",
                                     "configs/models/gpt-j-tiny.json"};

typedef struct curve {
    double loss[STEPS];
} curve;

static setup_options options_of(const char *model, const char *plan_name)
{
    setup_options o = rig_options(plan_name);
    o.model = model;
    o.batch = 8;
    return o;
}

static bool run(mpi_test *t, const setup_options *o, comm *world, curve *out)
{
    rig r;
    bool ok = MPI_TEST_OK(t, rig_open(o, NULL, world, &r));
    if (ok && o->fast_sums) {
        /* As few parts of a sum as the plan has itself. */
        MPI_TEST(t, r.s.sh.D == r.s.sh.dp && r.s.sh.S == r.s.sh.tp);
    } else if (ok) {
        MPI_TEST(t, r.s.sh.D == 4 && r.s.sh.S == 4);
    }
    for (int k = 0; ok && k < STEPS; k++) {
        exec_result res = {0};
        ok = MPI_TEST_OK(t, rig_step(&r, k, &res));
        out->loss[k] = res.loss;
    }
    rig_close(&r);
    return ok;
}

static void check(mpi_test *t, const char *name, const curve *exact,
                  const curve *fast)
{
    double worst = 0;
    for (int k = 0; k < STEPS; k++) {
        double e = fabs(fast->loss[k] - exact->loss[k]) / exact->loss[k];
        worst = !(e <= worst) ? e : worst;
    }
    if (!MPI_TEST(t, worst <= MOST)) {
        fprintf(stderr, "%s: worst relative difference %.2e\n", name, worst);
    }
    /* Else nothing was tested. */
    MPI_TEST(t, memcmp(exact, fast, sizeof(*exact)) != 0);
    MPI_TEST(t, exact->loss[STEPS - 1] < exact->loss[0] - 0.5);
}

static void compare(mpi_test *t, const char *model, const char *plan_name,
                    comm *world, const curve *exact)
{
    curve fast = {{0}};
    setup_options o = options_of(model, plan_name);
    o.fast_sums = true;
    if (run(t, &o, world, &fast)) {
        check(t, plan_name != NULL ? plan_name : "streamed", exact, &fast);
    }
}

static void test_fast_sums(mpi_test *t)
{
    comm *self = NULL;
    if (!MPI_TEST_OK(t, comm_split(t->world, t->rank, 0, "self", &self))) {
        return;
    }
    for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++) {
        curve exact = {{0}};
        setup_options o = options_of(models[i], "dp1");
        if (!run(t, &o, self, &exact)) {
            break;
        }
        compare(t, models[i], "dp1", self, &exact);
        compare(t, models[i], NULL, self, &exact);
        compare(t, models[i], "tp2", t->world, &exact);
        compare(t, models[i], "dp2", t->world, &exact);
        compare(t, models[i], "pp2", t->world, &exact);
    }
    comm_destroy(self);
}

int main(void)
{
    static const mpi_case cases[] = {MPI_CASE(test_fast_sums)};
    return mpi_test_main(cases, MPI_TEST_COUNT(cases));
}
