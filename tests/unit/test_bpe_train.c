/* Training a BPE: by hand, and against Hugging Face on the golden text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/base/mem.h"
#include "runtime/base/text.h"
#include "runtime/text/spec.h"
#include "runtime/text/spec_impl.h"
#include "runtime/text/tokenizer.h"
#include "runtime/text/train.h"

#define GOLDEN "tests/golden/tokenizer/"

static void train(const char *text, int64_t vocab, spec *out)
{
    bpe_trainer *t = NULL;

    assert_int_equal(bpe_trainer_create(&t), ST_OK);
    assert_int_equal(bpe_trainer_add(t, "text", (const uint8_t *)text,
                                     (int64_t)strlen(text)),
                     ST_OK);
    assert_int_equal(bpe_trainer_run(t, vocab, out), ST_OK);
    bpe_trainer_destroy(t);
}

static void expect_name(const spec *s, int32_t id, const char *name)
{
    const word w = wordmap_at(&s->names, id);

    assert_int_equal(w.len, strlen(name));
    assert_memory_equal(w.bytes, name, strlen(name));
    assert_int_equal(s->ids[id], id);
}

/*
 * Words: ab 3 times, abc 2, bc 2. Pairs: a b 5, b c 4. First "ab" (5), which
 * leaves ab c 2 and b c 2. Of equals the lower ids: b c comes first, then
 * "abc".
 */
static void test_by_hand(void **state)
{
    spec s;
    (void)state;

    train("ab\nab\nab\nabc\nabc\nbc\nbc", 1000, &s);
    assert_int_equal(s.names.n, 260);
    expect_name(&s, 0, "<|endoftext|>");
    expect_name(&s, 1, "!");
    expect_name(&s, 257, "ab");
    expect_name(&s, 258, "bc");
    expect_name(&s, 259, "abc");
    assert_int_equal(s.nmerges, 3);
    assert_int_equal(s.nadded, 1);
    spec_fini(&s);
    train("ab\nab\nab\nabc\nabc\nbc\nbc", 258, &s); /* no more than asked */
    assert_int_equal(s.names.n, 258);
    spec_fini(&s);
    train("aaaa aaaa", 1000, &s); /* a run is joined from the left */
    expect_name(&s, 257, "aa");
    expect_name(&s, 258, "aaaa");
    spec_fini(&s);
}

static void expect_equal(const spec *a, const spec *b)
{
    assert_int_equal(a->names.n, b->names.n);
    for (int32_t i = 0; i < a->names.n; i++) {
        const word w = wordmap_at(&a->names, i);
        assert_int_equal(spec_id(b, (const char *)w.bytes, w.len), a->ids[i]);
    }
    assert_int_equal(a->nmerges, b->nmerges);
    assert_memory_equal(a->merges, b->merges,
                        (size_t)a->nmerges * sizeof(*a->merges));
    assert_int_equal(a->nadded, b->nadded);
}

static void test_golden(void **state)
{
    char *text = NULL;
    spec ours, theirs;
    (void)state;

    assert_int_equal(text_read_file(GOLDEN "text.txt", 1 << 20, &text, NULL),
                     ST_OK);
    train(text, 900, &ours);
    assert_int_equal(spec_read(GOLDEN "gpt2.json", &theirs), ST_OK);
    expect_equal(&ours, &theirs);
    spec_fini(&theirs);
    spec_fini(&ours);
    mem_free(text);
}

/* What is written is what is read. */
static void test_file(void **state)
{
    char path[] = "/tmp/weft_bpe_XXXXXX";
    spec s, back;
    (void)state;

    train("\"quoted\" \"quoted\" \\back \\back caf\xc3\xa9 caf\xc3\xa9\n\n\n\n",
          300, &s);
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(spec_write(&s, path), ST_OK);
    assert_int_equal(spec_read(path, &back), ST_OK);
    expect_equal(&s, &back);
    assert_true(back.added[0].special);
    assert_false(back.nfc);
    spec_fini(&back);
    spec_fini(&s);
    unlink(path);
}

/* A tokenizer of one long token and `n` merges that have its name. */
static void make_long(spec *s, int64_t n)
{
    enum { LONG = 1 << 20 };
    char *name = NULL;
    bool is_new;

    assert_int_equal(MEM_NEW(&name, LONG + 1, "test"), ST_OK);
    memset(name, 'a', LONG + 1);
    *s = (spec){0};
    assert_int_equal(spec_add_bytes(s, 0), ST_OK);
    assert_int_equal(spec_add_name(s, name, LONG, 256, &is_new), ST_OK);
    assert_int_equal(spec_add_name(s, name, LONG + 1, 257, &is_new), ST_OK);
    for (int64_t i = 0; i < n; i++) {
        const spec_merge m = {.left = 256, .right = 'a' - '!', .made = 257};
        assert_int_equal(spec_add_merge(s, m), ST_OK);
    }
    mem_free(name);
}

/* What is written can be read: longer than other JSON may be, and with room
 * for all that can be trained (some 45 bytes a token of English, twice that of
 * scripts whose bytes are two characters each in the map). */
static void test_limits(void **state)
{
    char path[] = "/tmp/weft-test-XXXXXX";
    struct stat info;
    spec s, back;
    (void)state;

    assert_true(SPEC_FILE_MAX / BPE_TRAIN_MOST >= 100);
    assert_true((int)BPE_TRAIN_MOST <= (int)SPEC_VOCAB_MAX);
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    make_long(&s, 20);
    assert_int_equal(spec_write(&s, path), ST_OK);
    assert_int_equal(stat(path, &info), 0);
    assert_true(info.st_size > JSON_BYTES_MAX);
    assert_int_equal(spec_read(path, &back), ST_OK);
    assert_int_equal(back.nmerges, 20);
    spec_fini(&back);
    spec_fini(&s);
    make_long(&s, SPEC_FILE_MAX >> 20);
    unlink(path);
    assert_int_equal(spec_write(&s, path), ST_CONFIG);
    assert_non_null(strstr(status_text(), "train fewer tokens"));
    assert_int_equal(stat(path, &info), -1);
    spec_fini(&s);
}

static void test_refused(void **state)
{
    const uint8_t wrong[] = "ab\xff";
    bpe_trainer *t = NULL;
    spec s = {0};
    (void)state;

    assert_int_equal(bpe_trainer_create(&t), ST_OK);
    assert_int_equal(bpe_trainer_add(t, "b.txt", wrong, 3), ST_BADFILE);
    assert_non_null(strstr(status_text(), "b.txt: byte 2 (0xff)"));
    assert_int_equal(bpe_trainer_run(t, 257, &s), ST_CONFIG);
    assert_non_null(strstr(status_text(), "258"));
    assert_int_equal(bpe_trainer_run(t, BPE_TRAIN_MOST + 1, &s), ST_CONFIG);
    assert_int_equal(bpe_trainer_add(t, "c.txt", wrong, 2), ST_OK);
    assert_int_equal(bpe_trainer_run(t, 1000, &s), ST_BADFILE);
    assert_non_null(strstr(status_text(), "no pair stands in the texts twice"));
    assert_int_equal(s.names.n, 0);
    bpe_trainer_destroy(t);
}

/* Each allocation fails once. */
static void test_memory(void **state)
{
    const char text[] = "the cat and the hat and the bat";
    const int64_t live = mem_live();
    bool done = false;
    int failures = 0;
    (void)state;

    for (int n = 1; !done && n < 5000; n++) {
        bpe_trainer *t = NULL;
        spec s = {0};
        mem_fail_after(n);
        status st = bpe_trainer_create(&t);
        if (st == ST_OK) {
            st = bpe_trainer_add(t, "t", (const uint8_t *)text,
                                 sizeof(text) - 1);
        }
        if (st == ST_OK) {
            st = bpe_trainer_run(t, 280, &s);
        }
        mem_fail_after(0);
        done = st == ST_OK;
        failures += !done;
        assert_true(done || st == ST_SYSTEM);
        spec_fini(&s);
        bpe_trainer_destroy(t);
        assert_int_equal(mem_live(), live);
    }
    assert_true(done);
    assert_true(failures > 20);
}

static int tear_down(void **state)
{
    (void)state;
    return mem_live() != 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_hand), cmocka_unit_test(test_golden),
        cmocka_unit_test(test_file),    cmocka_unit_test(test_limits),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_memory),
    };

    return cmocka_run_group_tests(tests, NULL, tear_down) != 0;
}
