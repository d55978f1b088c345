/*
 * Tokenizers: ids of Hugging Face (tests/golden/tokenizer), merging against
 * the plain way, there and back, long words, texts that are wrong.
 */
#include "runtime/base/rng.h"
#include "runtime/io/tokens.h"
#include "runtime/text/merge.h"
#include "tests/unit/tokenizer_make.h"

/* ---- against Hugging Face ------------------------------------------------ */

static void expect_golden(const char *style, int64_t vocab)
{
    char path[128];
    char *text = NULL;
    size_t len = 0;
    tokenizer *t = NULL;
    tokens *want = NULL;
    int32_t *ids = NULL;

    snprintf(path, sizeof(path), GOLDEN "%s.json", style);
    assert_int_equal(tokenizer_open(path, &t), ST_OK);
    assert_int_equal(tokenizer_vocab(t), vocab);
    assert_int_equal(tokenizer_eot(t), 0);
    snprintf(path, sizeof(path), GOLDEN "%s.bin", style);
    assert_int_equal(tokens_open(path, &want), ST_OK);
    assert_int_equal(text_read_file(GOLDEN "text.txt", 1 << 20, &text, &len),
                     ST_OK);
    id_list l = encode(t, text, (int64_t)len);
    assert_int_equal(l.n, tokens_count(want));
    assert_true(l.n > 5000);
    assert_int_equal(MEM_NEW(&ids, l.n, "test"), ST_OK);
    assert_int_equal(tokens_get(want, 0, l.n, ids), ST_OK);
    for (int64_t i = 0; i < l.n; i++) {
        if (ids[i] != l.ids[i]) {
            fail_msg("%s: id %lld is %d, Hugging Face has %d", style,
                     (long long)i, l.ids[i], ids[i]);
        }
    }
    expect_back(t, &l, text, len);
    mem_free(l.ids);
    mem_free(ids);
    mem_free(text);
    tokens_close(want);
    tokenizer_close(t);
}

static void test_golden(void **state)
{
    (void)state;
    expect_golden("gpt2", 900);
    expect_golden("neox", 600 + 23);
}

/* ---- bytes --------------------------------------------------------------- */

static void test_bytes(void **state)
{
    uint8_t all[256];
    tokenizer *t = NULL;
    (void)state;

    for (int i = 0; i < 256; i++) {
        all[i] = (uint8_t)i;
    }
    assert_int_equal(tokenizer_open("bytes", &t), ST_OK);
    assert_true(tokenizer_is_bytes(t));
    assert_int_equal(tokenizer_vocab(t), 257);
    assert_int_equal(tokenizer_eot(t), 256);
    id_list l = encode(t, all, 256);
    assert_int_equal(l.n, 256);
    for (int i = 0; i < 256; i++) {
        assert_int_equal(l.ids[i], i);
    }
    expect_back(t, &l, all, 256);
    assert_int_equal(tokenizer_token(t, 256).len, 0);
    mem_free(l.ids);
    tokenizer_close(t);
}

/* ---- there and back ------------------------------------------------------ */

/* A random character of one to four bytes. */
static size_t random_char(uint64_t seed, uint64_t k, uint8_t *out)
{
    const uint64_t r = rng_u64(seed, 1, k);
    const uint32_t c = (uint32_t)(rng_u64(seed, 2, k) % 0x110000);

    if (r % 4 < 2 || (c >= 0xd800 && c < 0xe000)) {
        out[0] = (uint8_t)(c % 128);
        return 1;
    }
    const uint32_t d = r % 4 == 2 ? 0x80 + c % 0x780 : c;
    if (d < 0x80) {
        out[0] = (uint8_t)d;
        return 1;
    }
    if (d < 0x800) {
        out[0] = (uint8_t)(0xc0 | d >> 6);
        out[1] = (uint8_t)(0x80 | (d & 63));
        return 2;
    }
    const int n = d < 0x10000 ? 3 : 4;
    out[0] = (uint8_t)(n == 3 ? 0xe0 | d >> 12 : 0xf0 | d >> 18);
    for (int i = 1; i < n; i++) {
        out[i] = (uint8_t)(0x80 | (d >> 6 * (n - 1 - i) & 63));
    }
    return (size_t)n;
}

static void test_round_trip(void **state)
{
    static uint8_t text[300000];
    tokenizer *t = NULL;
    (void)state;

    assert_int_equal(tokenizer_open(GOLDEN "gpt2.json", &t), ST_OK);
    for (uint64_t seed = 0; seed < 8; seed++) {
        size_t len = 0;
        for (uint64_t k = 0; len + 4 < sizeof(text); k++) {
            len += random_char(seed, k, text + len);
        }
        id_list l = encode(t, text, (int64_t)len);
        expect_back(t, &l, text, len);
        mem_free(l.ids);
    }
    const int32_t wrong[] = {1, 900};
    strbuf b = {0};
    assert_int_equal(tokenizer_decode(t, wrong, 2, &b), ST_CONFIG);
    assert_non_null(strstr(status_text(), "no token 900"));
    strbuf_fini(&b);
    tokenizer_close(t);
}

/* An encoder's cache must not remember across what differs: pieces of zero
 * bytes of several lengths, and the same text again. */
static void test_cache(void **state)
{
    const char text[] = "\0 \0\0 \0\0\0 the the\0 the the\0 \0";
    tokenizer *t = NULL;
    encoder *e = NULL;
    id_list l[3] = {{0}};
    (void)state;

    assert_int_equal(tokenizer_open(GOLDEN "gpt2.json", &t), ST_OK);
    assert_int_equal(encoder_create(t, &e), ST_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(encoder_text(e, "text", (const uint8_t *)text,
                                      sizeof(text) - 1, take, &l[i]),
                         ST_OK);
        assert_int_equal(l[i].n, l[0].n);
        assert_memory_equal(l[i].ids, l[0].ids,
                            (size_t)l[0].n * sizeof(int32_t));
        expect_back(t, &l[i], text, sizeof(text) - 1);
    }
    for (int i = 0; i < 3; i++) {
        mem_free(l[i].ids);
    }
    encoder_destroy(e);
    tokenizer_close(t);
}

/* ---- merging ------------------------------------------------------------- */

/* The plain way: the leftmost pair of lowest rank, again and again. */
static int64_t merge_plain(const pairmap *merges, int32_t *ids, int64_t n)
{
    for (;;) {
        int64_t best = INT64_MAX, at = -1;
        for (int64_t i = 0; i + 1 < n; i++) {
            const int64_t v = pairmap_find(merges, ids[i], ids[i + 1], -1);
            if (v >= 0 && v >> 32 < best) {
                best = v >> 32;
                at = i;
            }
        }
        if (at < 0) {
            return n;
        }
        ids[at] = (int32_t)(pairmap_find(merges, ids[at], ids[at + 1], -1) &
                            0xffffffff);
        memmove(ids + at + 1, ids + at + 2,
                (size_t)(n - at - 2) * sizeof(*ids));
        n--;
    }
}

/* Random merges over few symbols, where pairs overlap all the time. */
static void test_merge(void **state)
{
    int32_t byte_ids[256], plain[200];
    uint8_t piece[200];
    merger m = {0};
    (void)state;

    for (int i = 0; i < 256; i++) {
        byte_ids[i] = i;
    }
    for (uint64_t seed = 0; seed < 300; seed++) {
        pairmap merges = {0};
        for (int32_t r = 0; r < 40; r++) {
            int64_t *v = NULL;
            const int32_t known = 4 + r;
            int32_t p[2];
            for (int k = 0; k < 2; k++) {
                p[k] =
                    (int32_t)rng_below(seed, (uint64_t)k, (uint64_t)r, known);
                p[k] = p[k] < 4 ? p[k] : 256 + p[k] - 4;
            }
            assert_int_equal(pairmap_at(&merges, p[0], p[1], &v), ST_OK);
            *v = merge_value(r, 256 + r);
        }
        const int64_t len = 1 + rng_below(seed, 5, 0, 200);
        for (int64_t i = 0; i < len; i++) {
            piece[i] = (uint8_t)rng_below(seed, 6, (uint64_t)i, 4);
            plain[i] = piece[i];
        }
        const int32_t *ids = NULL;
        int64_t n = 0;
        assert_int_equal(
            merge_piece(&m, &merges, byte_ids, piece, len, &ids, &n), ST_OK);
        assert_int_equal(n, merge_plain(&merges, plain, len));
        assert_memory_equal(ids, plain, (size_t)n * sizeof(*ids));
        pairmap_fini(&merges);
    }
    merger_fini(&m);
}

/* A million letters without a break: quadratic merging would take hours. */
static void test_long_word(void **state)
{
    enum { LONG = 1000000 };
    uint8_t *text = NULL;
    tokenizer *t = NULL;
    (void)state;

    assert_int_equal(tokenizer_open(GOLDEN "gpt2.json", &t), ST_OK);
    assert_int_equal(MEM_NEW(&text, LONG, "test"), ST_OK);
    for (int kind = 0; kind < 3; kind++) {
        for (int i = 0; i < LONG; i++) {
            text[i] =
                (uint8_t)(kind == 0   ? 'a'
                          : kind == 1 ? "the"[i % 3]
                                      : 'a' + rng_below(3, 0, (uint64_t)i, 26));
        }
        id_list l = encode(t, text, LONG);
        assert_true(l.n < LONG);
        expect_back(t, &l, text, LONG);
        mem_free(l.ids);
    }
    mem_free(text);
    tokenizer_close(t);
}

/* ---- texts that are wrong ------------------------------------------------ */

static void expect_bad_text(const char *tokenizer_file, const char *text,
                            const char *words)
{
    tokenizer *t = NULL;
    encoder *e = NULL;
    id_list l = {0};

    assert_int_equal(tokenizer_open(tokenizer_file, &t), ST_OK);
    assert_int_equal(encoder_create(t, &e), ST_OK);
    assert_int_equal(encoder_text(e, "a.txt", (const uint8_t *)text,
                                  (int64_t)strlen(text), take, &l),
                     ST_BADFILE);
    assert_non_null(strstr(status_text(), words));
    mem_free(l.ids);
    encoder_destroy(e);
    tokenizer_close(t);
}

static void test_bad_text(void **state)
{
    (void)state;
    expect_bad_text(GOLDEN "gpt2.json", "caf\xe9 au lait",
                    "a.txt: byte 3 (0xe9) is not UTF-8");
    expect_bad_text(GOLDEN "neox.json", "na<|endoftext|>cafe\xcc\x81",
                    "a.txt: byte 19: the text is not in Unicode's form NFC");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),     cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_cache),
        cmocka_unit_test(test_merge),      cmocka_unit_test(test_long_word),
        cmocka_unit_test(test_bad_text),
    };

    return cmocka_run_group_tests(tests, make_folder, wipe_folder) != 0;
}
