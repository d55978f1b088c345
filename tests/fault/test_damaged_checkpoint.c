/*
 * Damaged checkpoints: every flipped bit and every cut is found out or
 * changes nothing; scrambled files do not take the program down.
 *
 *     test_damaged_checkpoint          a sample
 *     test_damaged_checkpoint all      every byte (long_damage.sh)
 *
 * timeout: 120
 */
#include <fcntl.h>

#include "runtime/base/hash.h"
#include "runtime/io/seal.h"
#include "tests/common/damage.h"
#include "tests/unit/checkpoint_make.h"

static const char folder_of_model[] = "tests/golden/gpt2_three_heads";

/* What a reader is told, and the hash of what it finds. */
typedef struct reading {
    model m;
    hash_state *h;
    int64_t every, tries;
} reading;

static status hash_values(void *self, int par, store_state which,
                          const float *full)
{
    const reading *r = self;
    const param *p = &r->m.ps.list[par];

    hash_add(r->h, &which, sizeof(which));
    hash_add(r->h, full, (size_t)(p->rows * p->cols) * sizeof(*full));
    return ST_OK;
}

static void hash_word(hash_state *h, const char *word)
{
    hash_add(h, word, strlen(word) + 1);
}

static void hash_info(hash_state *h, const ckpt_info *i)
{
    const int64_t numbers[] = {i->layers,
                               i->weights_only,
                               i->step,
                               i->adam_step,
                               (int64_t)i->seed,
                               i->data_leaves,
                               i->tensor_leaves,
                               i->exact_sums,
                               i->batch,
                               i->seq,
                               i->tokens,
                               (int64_t)i->data_hash,
                               (int64_t)i->arch_hash};

    hash_add(h, numbers, sizeof(numbers));
    hash_word(h, i->model);
    hash_word(h, i->data_path);
    hash_word(h, i->config);
    hash_word(h, i->run_config);
    hash_word(h, i->software);
}

static status read_all(void *self, const char *path, uint64_t *hash)
{
    reading *r = self;
    const ckpt_sink sink = {r, hash_values};
    ckpt_info info;

    hash_reset(r->h);
    TRY(ckpt_peek(path, &info));
    hash_info(r->h, &info);
    ckpt_info_fini(&info);
    TRY(ckpt_load(path, &r->m.a, &r->m.ps, CKPT_WEIGHTS, &sink));
    *hash = hash_value(r->h);
    return ST_OK;
}

/* A file of some 60 KiB; without its seal it is anybody's. */
static void make_small(reading *r, bool sealed)
{
    ckpt_info info = info_of(&r->m);

    info.weights_only = true;
    OK(save(&r->m, path_of("a.h5"), &info));
    if (!sealed) {
        const int fd = open(path_of("a.h5"), O_RDWR);
        OK(seal_cut(fd, path_of("a.h5")));
        assert_int_equal(close(fd), 0);
    }
}

static void test_flips(void **state)
{
    reading *r = *state;
    const damage_reader reader = {r, read_all};

    make_small(r, true);
    const damage_count c = damage_flip(path_of("a.h5"), r->every, &reader);
    damage_report("checkpoint, flipped", &c);
    /* Only the seal's own mark may be lost and nothing come of it. */
    assert_true(c.same <= 8);
}

static void test_cuts(void **state)
{
    reading *r = *state;
    const damage_reader reader = {r, read_all};

    make_small(r, true);
    const damage_count c = damage_cut(path_of("a.h5"), 16 * r->every, &reader);
    damage_report("checkpoint, cut", &c);
}

static void test_scrambled(void **state)
{
    reading *r = *state;
    const damage_reader reader = {r, read_all};

    make_small(r, false);
    const damage_count c = damage_scramble(path_of("a.h5"), r->tries, &reader);
    damage_report("checkpoint, scrambled", &c);
    assert_true(c.same + c.changed < c.tried); /* some were refused */
}

int main(int argc, char **argv)
{
    const bool all = argc > 1 && strcmp(argv[1], "all") == 0;
    reading r = {.every = all ? 1 : 97, .tries = all ? 3000 : 50};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate_setup_teardown(test_flips, note_live,
                                                 drop_files, &r),
        cmocka_unit_test_prestate_setup_teardown(test_cuts, note_live,
                                                 drop_files, &r),
        cmocka_unit_test_prestate_setup_teardown(test_scrambled, note_live,
                                                 drop_files, &r),
    };

    model_init(&r.m, folder_of_model, 1);
    OK(hash_create(&r.h));
    const int failed = cmocka_run_group_tests(tests, begin, end);
    hash_destroy(r.h);
    model_fini(&r.m);
    return failed != 0;
}
