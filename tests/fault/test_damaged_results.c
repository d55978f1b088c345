/*
 * Damaged files of results: as test_damaged_checkpoint.c. A run that has
 * ended has a seal; one that is being written, or was killed, has none.
 *
 *     test_damaged_results          a sample
 *     test_damaged_results all      every byte (long_damage.sh)
 *
 * timeout: 120
 */
#include <fcntl.h>

#include "runtime/base/hash.h"
#include "runtime/io/seal.h"
#include "tests/common/damage.h"
#include "tests/unit/runfile_make.h"

typedef struct reading {
    hash_state *h;
    int64_t every, tries;
} reading;

static void hash_text_of(hash_state *h, const char *text)
{
    hash_add(h, text, strlen(text) + 1);
}

static void hash_info(hash_state *h, const run_info *i)
{
    const int64_t numbers[] = {(int64_t)i->arch_hash,
                               (int64_t)i->seed,
                               i->parameters,
                               i->batch,
                               i->seq,
                               i->ranks,
                               i->data_leaves,
                               i->tensor_leaves,
                               i->exact_sums,
                               i->oversubscribed,
                               i->complete};

    hash_add(h, numbers, sizeof(numbers));
    hash_add(h, &i->flops_per_token, sizeof(double));
    hash_text_of(h, i->model);
    hash_text_of(h, i->plan);
    hash_text_of(h, i->cmdline);
    hash_text_of(h, i->commit);
    hash_text_of(h, i->config);
    hash_text_of(h, i->created);
}

/* Rows come in zeroed memory, so their padding is the same each time. */
static void hash_rows(hash_state *h, const run_summary *s)
{
    hash_add(h, &s->nsteps, sizeof(s->nsteps));
    hash_add(h, s->steps, (size_t)s->nsteps * sizeof(*s->steps));
    hash_add(h, s->rank_ledgers,
             (size_t)(s->nsteps * s->ledger_ranks) * sizeof(*s->rank_ledgers));
    hash_add(h, s->validations,
             (size_t)s->nvalidations * sizeof(*s->validations));
    hash_add(h, s->ranks, (size_t)s->nranks * sizeof(*s->ranks));
    hash_add(h, s->traffic, (size_t)s->ntraffic * sizeof(*s->traffic));
    hash_add(h, s->setup.decisions,
             (size_t)s->setup.ndecisions * sizeof(*s->setup.decisions));
    hash_add(h, s->setup.ops, (size_t)s->setup.nops * sizeof(*s->setup.ops));
    hash_add(h, s->prediction.kinds,
             (size_t)s->prediction.nkinds * sizeof(*s->prediction.kinds));
    hash_text_of(h, s->host.cpu);
    hash_add(h, &s->host.matmul_gflops, sizeof(double));
    hash_add(h, &s->setup.launch_s, sizeof(double));
    hash_add(h, &s->prediction.step_s, sizeof(double));
}

static status read_all(void *self, const char *path, uint64_t *hash)
{
    reading *r = self;
    run_summary s;
    run_trace *rows = NULL;
    int64_t n = 0;

    hash_reset(r->h);
    TRY(runfile_read(path, &s));
    hash_info(r->h, &s.info);
    hash_rows(r->h, &s);
    run_summary_fini(&s);
    TRY(runfile_read_trace(path, "/", &rows, &n));
    hash_add(r->h, rows, (size_t)n * sizeof(*rows));
    mem_free(rows);
    *hash = hash_value(r->h);
    return ST_OK;
}

static void make_small(bool sealed)
{
    make_run("run.h5");
    if (!sealed) {
        const int fd = open(path_of("run.h5"), O_RDWR);
        OK(seal_cut(fd, path_of("run.h5")));
        assert_int_equal(close(fd), 0);
    }
}

static void test_flips(void **state)
{
    const reading *r = *state;
    const damage_reader reader = {*state, read_all};

    make_small(true);
    const damage_count c = damage_flip(path_of("run.h5"), r->every, &reader);
    damage_report("results, flipped", &c);
    /* Only the seal's own mark may be lost and nothing come of it. */
    assert_true(c.same <= 8);
}

static void test_cuts(void **state)
{
    const reading *r = *state;
    const damage_reader reader = {*state, read_all};

    make_small(true);
    const damage_count c =
        damage_cut(path_of("run.h5"), 20 * r->every, &reader);
    damage_report("results, cut", &c);
}

static void test_scrambled(void **state)
{
    const reading *r = *state;
    const damage_reader reader = {*state, read_all};

    make_small(false);
    const damage_count c =
        damage_scramble(path_of("run.h5"), r->tries, &reader);
    damage_report("results, scrambled", &c);
    assert_true(c.same + c.changed < c.tried); /* some were refused */
}

static int drop_run(void **state)
{
    (void)state;
    unlink(path_of("run.h5"));
    return 0;
}

int main(int argc, char **argv)
{
    const bool all = argc > 1 && strcmp(argv[1], "all") == 0;
    reading r = {.every = all ? 1 : 91, .tries = all ? 3000 : 60};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate_setup_teardown(test_flips, NULL, drop_run,
                                                 &r),
        cmocka_unit_test_prestate_setup_teardown(test_cuts, NULL, drop_run, &r),
        cmocka_unit_test_prestate_setup_teardown(test_scrambled, NULL, drop_run,
                                                 &r),
    };

    OK(hash_create(&r.h));
    const int failed = cmocka_run_group_tests(tests, make_folder, NULL);
    rmdir(folder);
    hash_destroy(r.h);
    return failed != 0;
}
