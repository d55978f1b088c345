/*
 * tokenizer.json: other ways of writing the same, what is refused, and bytes
 * that change anywhere.
 */
#include "runtime/base/rng.h"
#include "tests/unit/tokenizer_make.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_difference),
        cmocka_unit_test(test_bytes_not_in_text),
        cmocka_unit_test(test_bad_json),
        cmocka_unit_test(test_mutations),
    };

    return cmocka_run_group_tests(tests, make_folder, wipe_folder) != 0;
}
