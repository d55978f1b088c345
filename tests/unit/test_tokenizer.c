/*
 * Tokenizers: ids of Hugging Face (tests/golden/tokenizer), merging against
 * the plain way, there and back, long words, damaged and foreign files.
 */
#include "runtime/base/rng.h"
#include "runtime/base/text.h"
#include "runtime/io/tokens.h"
#include "runtime/text/merge.h"
#include "runtime/text/tokenizer.h"
#include "tests/common/scratch.h"

#define GOLDEN "tests/golden/tokenizer/"

/* ---- ids as they come ---------------------------------------------------- */

typedef struct id_list {
    int32_t *ids;
    int64_t n;
} id_list;

static status take(void *self, const int32_t *ids, int64_t n)
{
    id_list *l = self;

    TRY(mem_resize((size_t)(l->n + n), sizeof(*ids), "test", (void **)&l->ids));
    memcpy(l->ids + l->n, ids, (size_t)n * sizeof(*ids));
    l->n += n;
    return ST_OK;
}

static id_list encode(const tokenizer *t, const void *text, int64_t len)
{
    id_list l = {0};
    encoder *e = NULL;

    assert_int_equal(encoder_create(t, &e), ST_OK);
    assert_int_equal(encoder_text(e, "text", text, len, take, &l), ST_OK);
    encoder_destroy(e);
    return l;
}

static void expect_ids(const tokenizer *t, const char *text, const int32_t *ids,
                       int64_t n)
{
    id_list l = encode(t, text, (int64_t)strlen(text));

    assert_int_equal(l.n, n);
    assert_memory_equal(l.ids, ids, (size_t)n * sizeof(*ids));
    mem_free(l.ids);
}

static void expect_back(const tokenizer *t, const id_list *l, const void *text,
                        size_t len)
{
    strbuf b = {0};

    assert_int_equal(tokenizer_decode(t, l->ids, l->n, &b), ST_OK);
    assert_int_equal(b.len, len);
    assert_memory_equal(strbuf_view(&b), text, len);
    strbuf_fini(&b);
}

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

/* ---- kinds --------------------------------------------------------------- */

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

/* ids: 256 bytes in the map's order, then merges, then end of text. */
static void test_merges_file(void **state)
{
    const int32_t h = 'h' - 33, e = 'e' - 33, l = 'l' - 33;
    const int32_t hello[] = {257, 258, 'o' - 33};
    const int32_t spaced[] = {220, 257, l};
    const int32_t marked[] = {h, 259, e, 'X' - 33};
    tokenizer *t = NULL;
    (void)state;

    const char *path = put_text("merges.txt", "#version: 0.2\nh x\nh e\nl l\n");
    assert_int_equal(tokenizer_open(path, &t), ST_OK);
    assert_int_equal(tokenizer_vocab(t), 260);
    assert_int_equal(tokenizer_eot(t), 259);
    expect_ids(t, "hello", hello, 3);
    expect_ids(t, " hel", spaced, 3);
    expect_ids(t, "h<|endoftext|>eX", marked, 4);
    assert_int_equal(tokenizer_token(t, 257).len, 2);
    assert_memory_equal(tokenizer_token(t, 257).bytes, "he", 2);
    assert_int_equal(tokenizer_token(t, 260).len, 0);
    assert_int_equal(tokenizer_token(t, -1).len, 0);
    tokenizer_close(t);
    /* Windows' line ends, no version line, no newline at the end. */
    assert_int_equal(tokenizer_open(put_text("crlf.bpe", "h e\r\nl l"), &t),
                     ST_OK);
    assert_int_equal(tokenizer_vocab(t), 259);
    tokenizer_close(t);
}

/* Other ids stand in vocab.json beside it. */
static void test_vocab_beside(void **state)
{
    static const char *const files[] = {"neu/vocab.json", "neu/merges.txt"};
    char path[128];
    tokenizer *t = NULL;
    strbuf b = {0};
    spec s = {0};
    (void)state;

    assert_int_equal(spec_add_bytes(&s, 0), ST_OK);
    strbuf_add(&b, "{");
    for (int32_t i = 0; i < 256; i++) {
        const word w = wordmap_at(&s.names, i);
        strbuf_printf(&b, "\"%s%.*s\": %d, ",
                      w.bytes[0] == '"' || w.bytes[0] == '\\' ? "\\" : "",
                      (int)w.len, (const char *)w.bytes, 300 + i);
    }
    strbuf_add(&b, "\"he\": 7, \"<|endoftext|>\": 9}");
    snprintf(path, sizeof(path), "%s/neu", folder);
    assert_int_equal(text_make_dirs(path), ST_OK);
    (void)put_text(files[0], strbuf_view(&b));
    (void)put_text(files[1], "#version: 0.2\nh e\n");
    snprintf(path, sizeof(path), "%s/neu", folder); /* the folder will do */
    assert_int_equal(tokenizer_open(path, &t), ST_OK);
    assert_int_equal(tokenizer_vocab(t), 556);
    assert_int_equal(tokenizer_eot(t), 9);
    const int32_t ids[] = {7, 300 + 'y' - 33, 9};
    expect_ids(t, "hey<|endoftext|>", ids, 3);
    tokenizer_close(t);
    spec_fini(&s);
    strbuf_fini(&b);
}

/* A vocabulary of 256 bytes and "he", 256; its folder. */
static const char *put_he(const char *added)
{
    strbuf b = {0};
    spec s = {0};

    assert_int_equal(spec_add_bytes(&s, 0), ST_OK);
    for (int32_t i = 0; i < 256; i++) {
        const word w = wordmap_at(&s.names, i);
        strbuf_printf(&b, "%s\"%s%.*s\": %d", i == 0 ? "{" : ", ",
                      w.bytes[0] == '"' || w.bytes[0] == '\\' ? "\\" : "",
                      (int)w.len, (const char *)w.bytes, i);
    }
    strbuf_add(&b, ", \"he\": 256}");
    assert_int_equal(text_make_dirs(path_of("he")), ST_OK);
    (void)put_text("he/vocab.json", strbuf_view(&b));
    (void)put_text("he/merges.txt", "#version: 0.2\nh e\n");
    (void)put_text("he/added_tokens.json", added);
    spec_fini(&s);
    strbuf_fini(&b);
    return path_of("he");
}

static void expect_added_refused(const char *added, const char *words)
{
    tokenizer *t = NULL;

    assert_int_equal(tokenizer_open(put_he(added), &t), ST_CONFIG);
    has_text("added_tokens.json:");
    has_text(words);
    assert_null(t);
}

/* Ids of transformers 5.23 for these files (AutoTokenizer, GPT2Tokenizer). */
static void test_added_file(void **state)
{
    const int32_t ids[] = {'a' - 33, 257, 256, 'a' - 33, 258, 259, 220};
    const int32_t own[] = {'t' - 33, 256, 220, 256};
    tokenizer *t = NULL;
    (void)state;

    const char *path =
        put_he("{\"<x>\": 257, \" ab\": 259, \"<|endoftext|>\": 258}");
    assert_int_equal(tokenizer_open(path, &t), ST_OK);
    assert_int_equal(tokenizer_vocab(t), 260);
    assert_int_equal(tokenizer_eot(t), 258);
    expect_ids(t, "a<x>hea<|endoftext|> ab ", ids, 7);
    assert_int_equal(tokenizer_token(t, 259).len, 3);
    tokenizer_close(t);
    /* One that the vocabulary has is cut out too. */
    assert_int_equal(tokenizer_open(put_he("{\"he\": 256}"), &t), ST_OK);
    assert_int_equal(tokenizer_vocab(t), 257);
    expect_ids(t, "the he", own, 4);
    tokenizer_close(t);
    assert_int_equal(tokenizer_open(put_he("{}"), &t), ST_OK);
    assert_int_equal(tokenizer_vocab(t), 257);
    assert_int_equal(tokenizer_eot(t), -1);
    tokenizer_close(t);
    expect_added_refused("{\"<x>\": 300}", "is 300; added tokens follow");
    expect_added_refused("{\"<x>\": 258}", "their ids are 257 to 257");
    expect_added_refused("{\"<x>\": 5}", "their ids are 257 to 257");
    expect_added_refused("{\"a<\": 257, \"b<\": 257}", "each once");
    expect_added_refused("{\"he\": 257}", "is 257, the vocabulary has 256");
    expect_added_refused("{\"\": 257}", "empty text");
    expect_added_refused("{\"<x>\": -1}", "-1");
    expect_added_refused("[]", "object");
}

/* The end of text by its name: an added token, one of the vocabulary. */
static void test_set_eot(void **state)
{
    const int32_t h = 'h' - 33;
    tokenizer *t = NULL;
    (void)state;

    OK(tokenizer_open(put_he("{\"<a>\": 257, \"he\": 256}"), &t));
    assert_int_equal(tokenizer_eot(t), -1);
    OK(tokenizer_set_eot(t, "<a>"));
    assert_int_equal(tokenizer_eot(t), 257);
    OK(tokenizer_set_eot(t, "he"));
    assert_int_equal(tokenizer_eot(t), 256);
    OK(tokenizer_set_eot(t, "h"));
    assert_int_equal(tokenizer_eot(t), h);
    assert_int_equal(tokenizer_set_eot(t, "<b>"), ST_CONFIG);
    has_text("added tokens: \"<a>\", \"he\"");
    assert_int_equal(tokenizer_set_eot(t, ""), ST_CONFIG);
    assert_int_equal(tokenizer_eot(t), h);
    tokenizer_close(t);
    OK(tokenizer_open(put_he("{}"), &t));
    assert_int_equal(tokenizer_set_eot(t, "<b>"), ST_CONFIG);
    has_text("added tokens: none");
    tokenizer_close(t);
    OK(tokenizer_open(GOLDEN "neox.json", &t));
    assert_int_equal(tokenizer_set_eot(t, "<b>"), ST_CONFIG);
    has_text("more");
    tokenizer_close(t);
    OK(tokenizer_open("bytes", &t));
    assert_int_equal(tokenizer_set_eot(t, "a"), ST_CONFIG);
    assert_int_equal(tokenizer_eot(t), 256);
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

/* ---- texts and files that are wrong -------------------------------------- */

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

static void expect_refused(const char *path, status code, const char *words)
{
    tokenizer *t = NULL;
    const status st = tokenizer_open(path, &t);

    if (st != code || strstr(status_text(), words) == NULL) {
        fail_msg("%s: status %d, \"%s\", expected %d and \"%s\"", path, st,
                 status_text(), code, words);
    }
    assert_null(t);
    assert_null(strchr(status_text(), '\n'));
}

/* The golden file with one text of it replaced by another. */
static const char *changed(const char *from, const char *to)
{
    char *text = NULL;
    strbuf b = {0};

    assert_int_equal(text_read_file(GOLDEN "gpt2.json", 1 << 20, &text, NULL),
                     ST_OK);
    const char *at = strstr(text, from);
    assert_non_null(at);
    strbuf_add_bytes(&b, text, (size_t)(at - text));
    strbuf_add(&b, to);
    strbuf_add(&b, at + strlen(from));
    const char *path = put_text("changed.json", strbuf_view(&b));
    strbuf_fini(&b);
    mem_free(text);
    return path;
}

/* GPT-NeoX's own file has no tokens for the 13 bytes that UTF-8 never has. */
static void test_bytes_not_in_text(void **state)
{
    tokenizer *t = NULL;
    (void)state;

    assert_int_equal(tokenizer_open(changed("\"\xc3\x80\": 125,", ""), &t),
                     ST_OK);
    tokenizer_close(t);
}

/* Other ways of writing the same, as tokenizers 0.23 saves them; `form` says
 * that text which is not in NFC is refused. */
static void test_no_difference(void **state)
{
    static const struct {
        const char *from, *to;
        bool form;
    } cases[] = {
        {"\"dropout\": null", "\"dropout\": 0.0", false},
        {"\"dropout\": null", "\"dropout\": 0", false},
        {"\"normalizer\": null",
         "\"normalizer\": {\"type\": \"Sequence\", \"normalizers\": []}",
         false},
        {"\"normalizer\": null",
         "\"normalizer\": {\"type\": \"Sequence\", \"normalizers\": "
         "[{\"type\": \"NFC\"}]}",
         true},
        {"\"pre_tokenizer\": {",
         "\"pre_tokenizer\": {\"type\": \"Sequence\", \"pretokenizers\": "
         "[{\"type\": \"ByteLevel\", \"add_prefix_space\": false}]}, "
         "\"was\": {",
         false},
    };
    const uint8_t apart[] = "cafe\xcc\x81";
    tokenizer *plain = NULL;
    (void)state;

    assert_int_equal(tokenizer_open(GOLDEN "gpt2.json", &plain), ST_OK);
    id_list want = encode(plain, "In the beginning", 16);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        tokenizer *t = NULL;
        encoder *e = NULL;
        id_list none = {0};
        OK(tokenizer_open(changed(cases[i].from, cases[i].to), &t));
        expect_ids(t, "In the beginning", want.ids, want.n);
        OK(encoder_create(t, &e));
        assert_int_equal(encoder_text(e, "t", apart, 6, take, &none),
                         cases[i].form ? ST_BADFILE : ST_OK);
        mem_free(none.ids);
        encoder_destroy(e);
        tokenizer_close(t);
    }
    mem_free(want.ids);
    tokenizer_close(plain);
}

static void test_bad_json(void **state)
{
    static const struct {
        const char *from, *to, *words;
        status code;
    } cases[] = {
        {"\"type\": \"BPE\"", "\"type\": \"Unigram\"", "Unigram", ST_CONFIG},
        {"\"dropout\": null", "\"dropout\": 0.1", "model.dropout: is set",
         ST_CONFIG},
        {"\"byte_fallback\": false", "\"byte_fallback\": true",
         "model.byte_fallback: is set", ST_CONFIG},
        {"\"ignore_merges\": false", "\"ignore_merges\": true",
         "model.ignore_merges: is set", ST_CONFIG},
        {"\"normalizer\": null", "\"normalizer\": {\"type\": \"NFKC\"}",
         "normalizer.type: ", ST_CONFIG},
        {"\"normalizer\": null",
         "\"normalizer\": {\"type\": \"Sequence\", \"normalizers\": "
         "[{\"type\": \"NFC\"}, {\"type\": \"Lowercase\"}]}",
         "normalizer.normalizers: has 2 parts", ST_CONFIG},
        {"\"normalizer\": null",
         "\"normalizer\": {\"type\": \"Sequence\", \"normalizers\": "
         "[{\"type\": \"Lowercase\"}]}",
         "normalizer.normalizers[0].type", ST_CONFIG},
        {"\"pre_tokenizer\": {",
         "\"pre_tokenizer\": {\"type\": \"Sequence\", \"pretokenizers\": "
         "[]}, \"was\": {",
         "pre_tokenizer is an empty Sequence", ST_CONFIG},
        {"\"pre_tokenizer\": {",
         "\"pre_tokenizer\": {\"type\": \"Sequence\", \"pretokenizers\": "
         "[7]}, \"was\": {",
         "pre_tokenizer.pretokenizers[0]", ST_CONFIG},
        {"\"add_prefix_space\": false", "\"add_prefix_space\": true",
         "pre_tokenizer.add_prefix_space: is set", ST_CONFIG},
        {"\"use_regex\": true", "\"use_regex\": false", "use_regex is false",
         ST_CONFIG},
        {"\"type\": \"ByteLevel\"", "\"type\": \"Metaspace\"", "Metaspace",
         ST_CONFIG},
        {"\"lstrip\": false", "\"lstrip\": true", "lstrip: is set", ST_CONFIG},
        {"\"content\": \"<|endoftext|>\"", "\"content\": \"\"", "is empty",
         ST_CONFIG},
        {"\"content\": \"<|endoftext|>\"", "\"content\": \"!\"",
         "has id 0 here and 1 elsewhere", ST_CONFIG},
        {"\"id\": 0", "\"id\": 3000000000", "added_tokens[0].id", ST_CONFIG},
        {"\"!\": 1,", "\"!\": -1,", "model.vocab", ST_CONFIG},
        {"\"!\": 1,", "\"!\": 2097152,", "model.vocab", ST_CONFIG},
        {"\"!\": 1,", "\"!\": 2,", "id 2 is that of two tokens", ST_BADFILE},
        {"\"!\": 1,", "", "no token for byte 33", ST_BADFILE},
        {"\"merges\": [", "\"merges\": [\"a\", ", "is no merge", ST_CONFIG},
        {"\"merges\": [", "\"merges\": [[\"a\"], ", "has 1 token strings",
         ST_CONFIG},
        {"\"merges\": [", "\"merges\": [[\"a\", \"zzz\"], ",
         "its right part is not in model.vocab", ST_CONFIG},
        {"\"merges\": [", "\"merges\": [7, ", "model.merges[0]", ST_CONFIG},
        {"\"merges\": [", "\"merges\": [[\"Z\", \"Z\"], ",
         "what it makes is not in model.vocab", ST_CONFIG},
        {"\"merges\"", "\"mergers\"", "model.merges: is missing", ST_CONFIG},
        {"\"pre_tokenizer\"", "\"pre\"", "pre_tokenizer: is missing",
         ST_CONFIG},
        {"\"merges\": [", "", "changed.json:", ST_BADFILE},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        expect_refused(changed(cases[i].from, cases[i].to), cases[i].code,
                       cases[i].words);
    }
}

static void test_bad_files(void **state)
{
    char path[128];
    (void)state;

    snprintf(path, sizeof(path), "%s/none.json", folder);
    expect_refused(path, ST_NOINPUT, "no such file");
    expect_refused("tests/golden", ST_NOINPUT, "has no tokenizer.json");
    expect_refused(put_text("e.txt", ""), ST_BADFILE, "has no merges");
    expect_refused(put_text("e.txt", "#version: 0.2\n"), ST_BADFILE,
                   "no merges");
    expect_refused(put_text("e.txt", "In the beginning God\n"), ST_BADFILE,
                   "e.txt:1: \"In the beginning God\" is no merge");
    expect_refused(put_text("e.txt", "h e\nhe \n"), ST_BADFILE, "e.txt:2:");
    expect_refused(put_text("e.txt", "h e\n h\n"), ST_BADFILE, "e.txt:2:");
    expect_refused(put_text("e.txt", "h e\nh e\n"), ST_BADFILE,
                   "e.txt:2: makes a token that is there already");
    expect_refused(put_text("e.txt", "h e\nhe zz\n"), ST_BADFILE,
                   "e.txt:2: \"he zz\": its right part is not");
    expect_refused(put_text("e.txt", "{\"version\": \"1.0\"}"), ST_CONFIG,
                   "pre_tokenizer");
    expect_refused(put_text("e.txt", "{"), ST_BADFILE, "e.txt:1");
}

/* Whatever bytes change in a file: it is refused with one line, or opens and
 * can be used. */
static void test_mutations(void **state)
{
    char *good = NULL, *text = NULL;
    size_t len = 0;
    int opened = 0, refused = 0;
    (void)state;

    assert_int_equal(text_read_file(GOLDEN "neox.json", 1 << 20, &good, &len),
                     ST_OK);
    assert_int_equal(MEM_NEW(&text, len + 1, "test"), ST_OK);
    for (uint64_t seed = 0; seed < 300; seed++) {
        tokenizer *t = NULL;
        memcpy(text, good, len + 1);
        for (uint64_t k = 0; k < 1 + seed % 4; k++) {
            const int64_t at = rng_below(seed, 1, k, (int64_t)len);
            const int64_t from = rng_below(seed, 2, k, (int64_t)len);
            text[at] = seed % 2 == 0 ? good[from]
                                     : (char)(1 + rng_below(seed, 3, k, 255));
        }
        if (tokenizer_open(put_text("mutated.json", text), &t) != ST_OK) {
            assert_true(strlen(status_text()) > 0);
            assert_null(strchr(status_text(), '\n'));
            refused++;
            continue;
        }
        id_list l = encode(t, "In the beginning  \n  God's", 26);
        expect_back(t, &l, "In the beginning  \n  God's", 26);
        mem_free(l.ids);
        tokenizer_close(t);
        opened++;
    }
    assert_true(opened > 10 && refused > 10);
    mem_free(text);
    mem_free(good);
}

/* Opens it, with each of its allocations failing once before: more than
 * `least` of them. */
static tokenizer *open_at_last(const char *path, int least)
{
    const int64_t live = mem_live();
    tokenizer *t = NULL;
    int failures = 0;

    for (int n = 1; t == NULL && n < 5000; n++) {
        mem_fail_after(n);
        const status st = tokenizer_open(path, &t);
        mem_fail_after(0);
        if (st != ST_OK && st != ST_SYSTEM) {
            fail_msg("%s", status_text());
        }
        failures += st != ST_OK;
        assert_int_equal(t == NULL ? mem_live() : live, live);
    }
    assert_true(failures > least);
    return t;
}

/* Each allocation fails once: an error, and nothing is lost. */
static void test_memory(void **state)
{
    tokenizer *t = NULL;
    encoder *e = NULL;
    id_list l = {0};
    (void)state;

    tokenizer_close(open_at_last(put_he("{\"<x>\": 257, \"he\": 256}"), 100));
    t = open_at_last(put_text("mem.txt", "h e\nl l\nhe ll\n"), 10);
    for (int n = 1; e == NULL && n < 100; n++) {
        mem_fail_after(n);
        assert_int_equal(encoder_create(t, &e), n <= 4 ? ST_SYSTEM : ST_OK);
        mem_fail_after(0);
    }
    mem_fail_after(1);
    assert_int_equal(
        encoder_text(e, "t", (const uint8_t *)"hello", 5, take, &l), ST_SYSTEM);
    mem_fail_after(0);
    assert_int_equal(
        encoder_text(e, "t", (const uint8_t *)"hello", 5, take, &l), ST_OK);
    expect_back(t, &l, "hello", 5);
    mem_free(l.ids);
    encoder_destroy(e);
    tokenizer_close(t);
    tokenizer_close(NULL);
    encoder_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_merges_file),
        cmocka_unit_test(test_vocab_beside),
        cmocka_unit_test(test_added_file),
        cmocka_unit_test(test_no_difference),
        cmocka_unit_test(test_set_eot),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_cache),
        cmocka_unit_test(test_merge),
        cmocka_unit_test(test_long_word),
        cmocka_unit_test(test_bad_text),
        cmocka_unit_test(test_bytes_not_in_text),
        cmocka_unit_test(test_bad_json),
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_mutations),
        cmocka_unit_test(test_memory),
    };

    return cmocka_run_group_tests(tests, make_folder, wipe_folder) != 0;
}
