/*
 * Logits of sequences of several blocks of attention, with windows, learned
 * and rotary positions: the same bits with a cache and without, for every
 * size of the program, device memory and number of threads, and however the
 * ids came: one by one, all at once, or after others.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/base/mem.h"
#include "runtime/base/rng.h"
#include "runtime/results/checkpoint.h"
#include "ws/infer.h"

enum { IDS = 230, SEED = 11, LEAVES = 3, V = 256 };

static const char *const models[] = {"gpt-neo-tiny", "gpt-j-tiny"};

static comm *world;
static char folder[200];
static int32_t ids[IDS];

static void must(status st)
{
    if (st != ST_OK) {
        fail_msg("%s (%s)", status_text(), status_where());
    }
}

static status initial(void *self, int par, store_state which, float *full)
{
    const params *ps = self;
    (void)which;
    param_init(ps, par, SEED, 0, ps->list[par].rows, full);
    return ST_OK;
}

static void path_of(const char *model, char path[300])
{
    (void)snprintf(path, 300, "%s/%s.h5", folder, model);
}

/* A checkpoint of a run with sequences of `seq` tokens and `leaves` tensor
 * leaves. */
static void save_run(const char *model, int64_t seq, int leaves)
{
    arch a;
    params ps;
    char path[300];
    char *config = NULL;
    path_of(model, path);
    must(arch_open(model, &a));
    must(params_init(&a, &ps));
    must(arch_config_text(model, &config));
    ckpt_info info = {.weights_only = true,
                      .tensor_leaves = leaves,
                      .exact_sums = true,
                      .seq = seq,
                      .config = config};
    must(ckpt_save(NULL, path, &a, &ps, &info, &(ckpt_source){&ps, initial}));
    params_fini(&ps);
    mem_free(config);
}

static void save(const char *model, int64_t seq)
{
    save_run(model, seq, LEAVES);
}

static infer *open_model(const char *model, infer_options o)
{
    char path[300];
    infer *m = NULL;
    path_of(model, path);
    must(infer_open(path, &o, world, &m));
    assert_int_equal(infer_arch(m)->V, V);
    return m;
}

static void logits_of(infer *m, int64_t n, float out[V])
{
    const float *logits;
    must(infer_logits(m, ids, n, &logits));
    memcpy(out, logits, V * sizeof(float));
}

static const int64_t lengths[] = {1, 17, 33, 95, 96, 97, 160, 193, IDS};
enum { LENGTHS = sizeof(lengths) / sizeof(*lengths) };

/* Rows of logits, one a length, in the order given or from the longest. */
static void all_lengths(const char *model, infer_options o, bool backwards,
                        float *out)
{
    infer *m = open_model(model, o);
    for (int i = 0; i < LENGTHS; i++) {
        int k = backwards ? LENGTHS - 1 - i : i;
        logits_of(m, lengths[k], out + k * V);
    }
    infer_close(m);
}

static void test_same_bits(void **state)
{
    static const infer_options ways[] = {
        {.threads = 2},
        {.threads = 3, .context = IDS},
        {.threads = 2, .device_memory = 6 << 20},
        {.threads = 2, .no_cache = true},
        {.threads = 1, .no_cache = true, .least = 3},
        {.threads = 1, .no_cache = true, .least = 192},
        {.threads = 2, .no_cache = true, .device_memory = 6 << 20},
    };
    (void)state;
    for (int i = 0; i < 2; i++) {
        float want[LENGTHS * V];
        float have[LENGTHS * V];
        save(models[i], IDS + 10);
        all_lengths(models[i], (infer_options){.threads = 1, .no_cache = true},
                    false, want);
        for (int k = 1; k < LENGTHS; k++) {
            assert_memory_not_equal(want, want + k * V, V * sizeof(float));
        }
        for (size_t w = 0; w < sizeof(ways) / sizeof(*ways); w++) {
            for (int backwards = 0; backwards < 2; backwards++) {
                memset(have, 0, sizeof(have));
                all_lengths(models[i], ways[w], backwards, have);
                if (memcmp(have, want, sizeof(want)) != 0) {
                    fail_msg("%s: way %d%s has other bits", models[i], (int)w,
                             backwards ? ", from the longest" : "");
                }
            }
        }
    }
}

/* One token a call up to the end of the context, another beginning, and the
 * first again: a cache must not answer with what it had. */
static void test_continued(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        float want[V];
        float have[V];
        save(models[i], IDS);
        infer *cached = open_model(models[i], (infer_options){.threads = 2});
        infer *whole = open_model(models[i], (infer_options){.no_cache = true});
        assert_int_equal(infer_context(cached), IDS);
        for (int64_t n = 1; n <= IDS; n++) {
            logits_of(cached, n, have);
        }
        logits_of(whole, IDS, want);
        assert_memory_equal(have, want, sizeof(want));
        ids[40] = (ids[40] + 1) % V;
        logits_of(cached, 100, have);
        logits_of(whole, 100, want);
        assert_memory_equal(have, want, sizeof(want));
        ids[40] = (ids[40] + V - 1) % V;
        logits_of(cached, IDS, have);
        logits_of(whole, IDS, want);
        assert_memory_equal(have, want, sizeof(want));
        logits_of(cached, IDS, have); /* the same once more */
        assert_memory_equal(have, want, sizeof(want));
        infer_close(cached);
        infer_close(whole);
    }
}

/* Without --context: the run's sequence, but never beyond the model. */
static void test_context(void **state)
{
    arch a;
    infer *m = NULL;
    (void)state;
    must(arch_open(models[0], &a));
    const int64_t seqs[][2] = {
        {48, 48}, {0, a.positions}, {a.positions + 1, a.positions}};
    for (int i = 0; i < 3; i++) {
        save(models[0], seqs[i][0]);
        m = open_model(models[0], (infer_options){.threads = 1});
        assert_int_equal(infer_context(m), seqs[i][1]);
        infer_close(m);
    }
}

/* Keys and values of both layers' positions take more than a tight device
 * has, so the whole kind runs there; nothing fits where that does not. */
static void test_kinds(void **state)
{
    infer *m = NULL;
    char path[300];
    (void)state;
    save(models[0], IDS);
    path_of(models[0], path);
    m = open_model(models[0], (infer_options){.threads = 1});
    assert_true(infer_cached(m));
    infer_close(m);
    m = open_model(models[0], (infer_options){.no_cache = true});
    assert_false(infer_cached(m));
    infer_close(m);
    bool seen = false;
    status st = ST_OK;
    for (int64_t kib = 8192; st == ST_OK; kib = kib * 7 / 8) {
        infer_options o = {.threads = 1, .device_memory = kib << 10};
        st = infer_open(path, &o, world, &m);
        if (st == ST_OK) {
            seen = seen || !infer_cached(m);
            infer_close(m);
        }
    }
    assert_int_equal(st, ST_BUDGET);
    assert_non_null(strstr(status_text(), "raise it, or lower --context"));
    assert_true(seen);
}

/* Sums go by the leaves of the run, 4 where there was none. */
static void test_leaves(void **state)
{
    float logits[3][V];
    const int leaves[3] = {3, 4, 0};
    (void)state;
    for (int i = 0; i < 3; i++) {
        save_run(models[0], 64, leaves[i]);
        infer *m = open_model(models[0], (infer_options){.threads = 1});
        logits_of(m, 30, logits[i]);
        infer_close(m);
    }
    assert_memory_not_equal(logits[0], logits[1], sizeof(logits[0]));
    assert_memory_equal(logits[1], logits[2], sizeof(logits[0]));
}

/* A token that is refused leaves nothing behind. */
static void test_bad_token(void **state)
{
    float want[V];
    float have[V];
    const float *logits;
    int32_t bad[20];
    (void)state;
    save(models[0], 64);
    infer *m = open_model(models[0], (infer_options){.threads = 1});
    logits_of(m, 20, want);
    memcpy(bad, ids, sizeof(bad));
    bad[18] = V;
    assert_int_equal(infer_logits(m, bad, 20, &logits), ST_CONFIG);
    assert_non_null(strstr(status_text(), "token 256 is outside"));
    bad[18] = -7;
    assert_int_equal(infer_logits(m, bad, 20, &logits), ST_CONFIG);
    logits_of(m, 20, have);
    assert_memory_equal(have, want, sizeof(want));
    infer_close(m);
}

static int start(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(folder, sizeof(folder), "%s/weft-infer-XXXXXX",
                   tmp != NULL ? tmp : "/tmp");
    for (int i = 0; i < IDS; i++) {
        ids[i] = (int32_t)rng_below(SEED, 1, (uint64_t)i, V);
    }
    return comm_init(&world) != ST_OK || mkdtemp(folder) == NULL ? -1 : 0;
}

static int end(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        char path[300];
        path_of(models[i], path);
        (void)unlink(path);
    }
    comm_fini(world);
    return rmdir(folder) != 0 || mem_live() != 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits), cmocka_unit_test(test_continued),
        cmocka_unit_test(test_context),   cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_leaves),    cmocka_unit_test(test_bad_token),
    };
    return cmocka_run_group_tests(tests, start, end) != 0;
}
