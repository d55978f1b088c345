/*
 * Files of tokenizers as GPT-2 has them: merges.txt, vocab.json and
 * added_tokens.json beside it, the end of text, wrong files, memory.
 */
#include "tests/unit/tokenizer_make.h"

/* ---- merges, vocabulary, added tokens ------------------------------------ */

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

/* ---- wrong files, and memory --------------------------------------------- */

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
        cmocka_unit_test(test_merges_file), cmocka_unit_test(test_vocab_beside),
        cmocka_unit_test(test_added_file),  cmocka_unit_test(test_set_eot),
        cmocka_unit_test(test_bad_files),   cmocka_unit_test(test_memory),
    };

    return cmocka_run_group_tests(tests, make_folder, wipe_folder) != 0;
}
