/*
 * The executor on several ranks: a step allocates nothing, its ledger adds up
 * on every rank, validation gives the step's loss, and what goes wrong on one
 * rank alone ends the step on all, with no weight changed and no rank left
 * waiting.
 *
 * ranks: 2 3 4
 * timeout: 120
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/common/rig.h"
#include "tests/mpi/mpi_test.h"

enum { STEPS = 3 };

/* The plans of this number of ranks; two layers are three for pp3. */
static const char *plan_of(const mpi_test *t, int i)
{
    static const char *const plans[5][4] = {
        [2] = {"dp2", "tp2", "pp2", NULL},
        [3] = {"dp3", "tp3", "pp3", NULL},
        [4] = {"dp2.tp2", "tp2.pp2", "dp2.pp2", NULL},
    };
    return t->size <= 4 ? plans[t->size][i] : NULL;
}

static bool open_plan(mpi_test *t, int i, rig *r)
{
    setup_options o = rig_options(plan_of(t, i));
    o.layers = t->size == 3 ? 3 : 2;
    o.micro_batch = 1;
    return MPI_TEST_OK(t, rig_open(&o, NULL, t->world, r));
}

static void check_ledger(mpi_test *t, const exec_ledger *l)
{
    MPI_TEST(t, l->compute > 0 && l->optimizer > 0 && l->load >= 0);
    MPI_TEST(t, l->comm >= 0 && l->bubble >= 0 && l->comm + l->bubble > 0);
    MPI_TEST(t, l->other >= 0);
    MPI_TEST(t, l->compute + l->load + l->comm + l->bubble + l->optimizer +
                        l->other ==
                    l->wall);
}

static void test_steps(mpi_test *t)
{
    for (int i = 0; plan_of(t, i) != NULL; i++) {
        rig r;
        if (!open_plan(t, i, &r)) {
            return;
        }
        int64_t before = mem_count();
        for (int k = 0; k < STEPS; k++) {
            exec_result res = {0};
            double loss = 0;
            MPI_TEST_OK(t, exec_evaluate(r.e, k, &loss));
            MPI_TEST_OK(t, rig_step(&r, k, &res));
            MPI_TEST(t, isfinite(loss) && loss > 0);
            MPI_TEST(t, memcmp(&loss, &res.loss, sizeof(loss)) == 0);
            check_ledger(t, &res.ledger);
        }
        MPI_TEST(t, mem_count() == before);
        MPI_TEST(t, exec_arena_bytes(r.e) == exec_program(r.e)->peak_bytes);
        rig_close(&r);
    }
}

/* More messages of a pipeline than may be open at once: those that are waited
 * for to make room are in the ledger once. */
static void test_many_messages(mpi_test *t)
{
    if (t->size != 2) {
        MPI_TEST(t, true);
        return;
    }
    rig r;
    setup_options o = rig_options("pp2");
    o.batch = 160;
    o.seq = 8;
    o.micro_batch = 1;
    if (MPI_TEST_OK(t, rig_open(&o, NULL, t->world, &r))) {
        exec_result res = {0};
        MPI_TEST_OK(t, rig_step(&r, 0, &res));
        check_ledger(t, &res.ledger);
    }
    rig_close(&r);
}

/* All ranks have the same double. */
static bool same_everywhere(mpi_test *t, double x)
{
    double first = x;
    comm_bcast(t->world, &first, sizeof(first), 0);
    return memcmp(&first, &x, sizeof(x)) == 0;
}

/* The last rank loses its batch; the others must not wait for it. Afterwards
 * the run goes on as if nothing had been. */
static void test_batch_fails_on_one(mpi_test *t)
{
    for (int i = 0; plan_of(t, i) != NULL; i++) {
        rig r;
        exec_result plain = {0};
        exec_result res = {0};
        double loss = 0;
        uint64_t before = 0;
        uint64_t after = 0;
        if (!open_plan(t, i, &r)) {
            return;
        }
        MPI_TEST_OK(t, rig_step(&r, 0, &plain));
        MPI_TEST_OK(t, rig_hash(&r, &before));
        r.batch_fails = t->rank == t->size - 1;
        MPI_TEST(t, rig_step(&r, 1, &res) == ST_IO);
        MPI_TEST(t, strstr(status_text(), "the batch of step 1 is lost"));
        MPI_TEST(t, exec_evaluate(r.e, 5, &loss) == ST_IO);
        r.batch_fails = false;
        MPI_TEST_OK(t, rig_hash(&r, &after));
        MPI_TEST(t, before == after);
        MPI_TEST_OK(t, exec_evaluate(r.e, 1, &loss));
        MPI_TEST_OK(t, rig_step(&r, 1, &res));
        MPI_TEST(t, res.loss == loss && same_everywhere(t, loss));
        rig_close(&r);
    }
}

/* A NaN in a weight of one rank: all stop, and no weight has changed. */
static void test_nan_on_one(mpi_test *t)
{
    for (int i = 0; plan_of(t, i) != NULL; i++) {
        rig r;
        exec_result res = {0};
        uint64_t before = 0;
        uint64_t after = 0;
        if (!open_plan(t, i, &r)) {
            return;
        }
        MPI_TEST_OK(t, rig_step(&r, 0, &res));
        for (int p = 0; t->rank == t->size - 1 && p < r.s.ps.n; p++) {
            MPI_TEST_OK(t, rig_poke(&r, p, NAN));
        }
        MPI_TEST_OK(t, rig_hash(&r, &before));
        MPI_TEST(t, rig_step(&r, 1, &res) == ST_NUMERIC);
        MPI_TEST_OK(t, rig_hash(&r, &after));
        MPI_TEST(t, before == after);
        rig_close(&r);
    }
}

int main(void)
{
    static const mpi_case cases[] = {
        MPI_CASE(test_steps), MPI_CASE(test_many_messages),
        MPI_CASE(test_batch_fails_on_one), MPI_CASE(test_nan_on_one)};
    return mpi_test_main(cases, MPI_TEST_COUNT(cases));
}
