/* Text: the growing string, files, distances, near words, paths. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/hash.h"
#include "runtime/base/mem.h"
#include "runtime/base/text.h"

static char folder[4096];

static int make_folder(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    snprintf(folder, sizeof(folder), "%s/weft-text-XXXXXX",
             tmp != NULL ? tmp : "/tmp");
    return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

static void in_folder(const char *name, char out[8192])
{
    snprintf(out, 8192, "%s/%s", folder, name);
}

static void test_strbuf(void **state)
{
    (void)state;
    strbuf b = {0};
    assert_string_equal(strbuf_view(&b), "");
    for (int i = 0; i < 1000; i++) {
        strbuf_printf(&b, "%d,", i);
    }
    assert_int_equal(b.len, 10 * 2 + 90 * 3 + 900 * 4);
    assert_int_equal(strlen(strbuf_view(&b)), b.len);
    strbuf_cut(&b, 4);
    strbuf_add(&b, "x");
    strbuf_fill(&b, '-', 3);
    strbuf_add_bytes(&b, "yz", 1);
    assert_string_equal(strbuf_view(&b), "0,1,x---y");
    char *text = NULL;
    assert_int_equal(strbuf_take(&b, &text), ST_OK);
    assert_string_equal(text, "0,1,x---y");
    assert_string_equal(strbuf_view(&b), "");
    mem_free(text);
    assert_int_equal(strbuf_take(&b, &text), ST_OK);
    assert_string_equal(text, "");
    mem_free(text);
}

/* A shell takes every word as it was, whatever is in it. */
static void test_words(void **state)
{
    static const char *const words[] = {"train",
                                        "--plan=dp2.tp2",
                                        "a b",
                                        "",
                                        "it's",
                                        "$HOME",
                                        "~",
                                        "a\nb",
                                        "*",
                                        "\"q\" \\ `x`",
                                        "'",
                                        "a;b&c|d",
                                        "#x",
                                        "{a,b}",
                                        "b\xc3\xb6ok.txt",
                                        "/tmp/x-1",
                                        "me@host:/a_b%c+d,e"};
    enum { N = sizeof(words) / sizeof(words[0]) };
    strbuf b = {0};
    (void)state;

    strbuf_add_word(&b, "a/b-c.txt");
    strbuf_add(&b, " ");
    strbuf_add_word(&b, "it's 1");
    assert_string_equal(strbuf_view(&b), "a/b-c.txt 'it'\\''s 1'");
    strbuf_cut(&b, 0);
    strbuf_add(&b, "printf '%s\\0'");
    for (int i = 0; i < N; i++) {
        strbuf_add(&b, " ");
        strbuf_add_word(&b, words[i]);
    }
    FILE *said = popen(strbuf_view(&b), "r");
    assert_non_null(said);
    for (int i = 0; i < N; i++) {
        for (size_t k = 0; k <= strlen(words[i]); k++) {
            assert_int_equal(getc(said), (unsigned char)words[i][k]);
        }
    }
    assert_int_equal(getc(said), EOF);
    assert_int_equal(pclose(said), 0);
    strbuf_fini(&b);
    assert_int_equal(mem_live(), 0);
}

static void test_strbuf_out_of_memory(void **state)
{
    (void)state;
    strbuf b = {0};
    strbuf_add(&b, "kept");
    mem_fail_after(1);
    strbuf_fill(&b, 'x', 1000);
    strbuf_add(&b, "lost");
    assert_string_equal(strbuf_view(&b), "kept");
    assert_int_equal(strbuf_check(&b), ST_SYSTEM);
    char *text = NULL;
    assert_int_equal(strbuf_take(&b, &text), ST_SYSTEM);
    assert_null(text);
    assert_int_equal(mem_live(), 0);
}

static void test_files(void **state)
{
    (void)state;
    char path[8192];
    in_folder("file", path);
    char *text = NULL;
    size_t len = 0;
    assert_int_equal(text_read_file(path, 100, &text, &len), ST_NOINPUT);
    assert_non_null(strstr(status_text(), path));
    assert_int_equal(text_write_file(path, "a\0b", 3), ST_OK);
    assert_int_equal(text_write_file(path, "c\0de", 4), ST_OK);
    assert_int_equal(text_read_file(path, 4, &text, &len), ST_OK);
    assert_int_equal(len, 4);
    assert_memory_equal(text, "c\0de", 5);
    mem_free(text);
    text = NULL;
    assert_int_equal(text_read_file(path, 3, &text, &len), ST_BADFILE);
    assert_int_equal(text_read_file(folder, 3, &text, &len), ST_BADFILE);
    assert_null(text);
    assert_true(text_path_exists(path));
    assert_false(text_is_dir(path));
    char other[8200];
    snprintf(other, sizeof(other), "%s/./file", folder);
    assert_true(text_path_same(path, other));
    assert_false(text_path_same(path, folder));
    strcat(other, "2"); /* neither exists */
    strcat(path, "2");
    assert_true(text_path_same(path, other));
    path[strlen(path) - 1] = '\0';
    assert_false(text_path_same(path, other));
    assert_int_equal(unlink(path), 0);
    /* No temporary file is left: remove_folder would fail. */
    in_folder("none/file", path);
    assert_int_equal(text_write_file(path, "x", 1), ST_CANTCREATE);
    /* A pipe would be replaced by a file. */
    in_folder("pipe", path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(text_write_file(path, "x", 1), ST_CANTCREATE);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mem_live(), 0);
}

static void test_big_file(void **state)
{
    (void)state;
    char path[8192];
    in_folder("big", path);
    size_t n = 1000003;
    char *data = NULL;
    assert_int_equal(MEM_NEW(&data, n, "test"), ST_OK);
    for (size_t i = 0; i < n; i++) {
        data[i] = (char)(i * 7 % 251);
    }
    assert_int_equal(text_write_file(path, data, n), ST_OK);
    char *back = NULL;
    size_t len = 0;
    assert_int_equal(text_read_file(path, n, &back, &len), ST_OK);
    assert_int_equal(len, n);
    assert_memory_equal(data, back, n);
    mem_free(back);
    mem_free(data);
    assert_int_equal(unlink(path), 0);
}

static void test_dirs(void **state)
{
    (void)state;
    char path[8192];
    in_folder("a/b//c", path);
    assert_int_equal(text_make_dirs(path), ST_OK);
    assert_int_equal(text_make_dirs(path), ST_OK);
    assert_true(text_is_dir(path));
    assert_int_equal(rmdir(path), 0);
    in_folder("a/b", path);
    assert_int_equal(rmdir(path), 0);
    in_folder("a", path);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(text_make_dirs("/dev/null/x"), ST_CANTCREATE);
}

static void expect_distance(const char *a, const char *b, size_t want)
{
    size_t got = 99;
    assert_int_equal(text_distance(a, b, &got), ST_OK);
    assert_int_equal(got, want);
    assert_int_equal(text_distance(b, a, &got), ST_OK);
    assert_int_equal(got, want);
}

static void test_distance(void **state)
{
    (void)state;
    expect_distance("", "", 0);
    expect_distance("", "abc", 3);
    expect_distance("kitten", "sitting", 3);
    expect_distance("flaw", "lawn", 2);
    expect_distance("same", "same", 0);
    expect_distance("gpt-neo-125m", "gpt-j-6b", 7);
}

static void test_nearest(void **state)
{
    (void)state;
    static const char *const words[] = {"steps", "micro_batches", "stages",
                                        "tensor", NULL};
    assert_string_equal(text_nearest("stps", words), "steps");
    assert_string_equal(text_nearest("micro-batchs", words), "micro_batches");
    assert_string_equal(text_nearest("STAGES", words), "stages");
    assert_string_equal(text_nearest("micro", words), "micro_batches");
    assert_null(text_nearest("banana", words));
    assert_null(text_nearest("", words));
    char big[300];
    memset(big, 's', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    assert_null(text_nearest(big, words));
    strbuf b = {0};
    text_add_list(&b, words);
    assert_string_equal(strbuf_view(&b),
                        "steps, micro_batches, stages, tensor");
    strbuf_fini(&b);
}

static void expect_dir(const char *path, const char *want)
{
    char *dir = NULL;
    assert_int_equal(text_path_dir(path, &dir), ST_OK);
    assert_string_equal(dir, want);
    mem_free(dir);
}

static void expect_join(const char *dir, const char *name, const char *want)
{
    char *path = NULL;
    assert_int_equal(text_path_join(dir, name, &path), ST_OK);
    assert_string_equal(path, want);
    mem_free(path);
}

static void test_paths(void **state)
{
    (void)state;
    expect_dir("a", ".");
    expect_dir("a/b", "a");
    expect_dir("/a", "/");
    expect_dir("/a/b/c", "/a/b");
    expect_join("a", "b", "a/b");
    expect_join("a/", "b", "a/b");
    expect_join("a", "/b", "/b");
    expect_join(".", "b", "b");
    expect_join("", "b", "b");
    assert_string_equal(text_path_base("a/b.json"), "b.json");
    assert_string_equal(text_path_base("b.json"), "b.json");
    assert_true(text_ends("x.json", ".json"));
    assert_false(text_ends("n", ".json"));
    assert_true(text_starts("file:x", "file:"));
    assert_false(text_starts("fil", "file:"));
}

/* The published value for the empty string, and any cut of a longer one. */
static void test_hash(void **state)
{
    (void)state;
    assert_true(hash64("", 0) == 0x2d06800538d394c2ULL);
    static char data[5000];
    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (char)(i * 31 % 127);
    }
    hash_state *h = NULL;
    assert_int_equal(hash_create(&h), ST_OK);
    for (int round = 0; round < 2; round++) {
        for (size_t at = 0; at < sizeof(data);) {
            size_t n = 1 + at % 777;
            n = n < sizeof(data) - at ? n : sizeof(data) - at;
            hash_add(h, data + at, n);
            at += n;
        }
        assert_true(hash_value(h) == hash64(data, sizeof(data)));
        hash_reset(h);
    }
    hash_destroy(h);
    hash_destroy(NULL);
    char text[HASH_TEXT_BYTES];
    hash_text(0x0123456789abcdefULL, text);
    assert_string_equal(text, "0123456789abcdef");
    uint64_t back = 0;
    assert_int_equal(hash_parse(text, &back), ST_OK);
    assert_true(back == 0x0123456789abcdefULL);
    assert_int_equal(hash_parse("0123456789abcdeg", &back), ST_BADFILE);
    assert_int_equal(hash_parse("0123", &back), ST_BADFILE);
    assert_int_equal(mem_live(), 0);
}

/* As much as there is room for, and no part of a character, at any size: the
 * bytes behind the cut begin one. */
static void check_cut(const char *text, int size)
{
    char copy[64];
    char print[64];
    int len = (int)strlen(text);
    memset(copy, '?', sizeof(copy));
    text_copy(copy, (size_t)size, text);
    assert_int_equal(text_print(print, (size_t)size, "%s", text), len);
    assert_string_equal(copy, print);
    int n = (int)strlen(copy);
    assert_true(n < size && (n == len || n + 4 >= size));
    assert_memory_equal(copy, text, n);
    assert_true(((unsigned char)text[n] & 0xc0) != 0x80);
    assert_int_equal(text_fit(text, size - 1), n);
    assert_int_equal(copy[size], '?');
    for (int k = n + 1; k < size && k <= len; k++) {
        assert_true(((unsigned char)text[k] & 0xc0) == 0x80);
    }
}

static void test_cut(void **state)
{
    static const char *const texts[] = {
        "", "abc", "\xc3\xbc\xc3\xbc\xc3\xbc",    /* two bytes each */
        "x\xe2\x82\xac\xe2\x82\xacy\xe2\x82\xac", /* three          */
        "\xf0\x9f\x98\x80\xf0\x9f\x98\x80 a\xc3\xa4\xe2\x82\xac"};
    char out[8];
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        for (int size = 1; size < 40; size++) {
            check_cut(texts[i], size);
        }
    }
    /* No UTF-8: cut where the room ends, once it is clear that no character
     * was begun. */
    text_copy(out, 6, "\x80\x81\x82\x83\x84\x85\x86");
    assert_string_equal(out, "\x80\x81\x82\x83\x84");
    /* Of formatted text it is the whole that counts. */
    assert_int_equal(text_print(out, 6, "%d%s", 123, "\xc3\xbc\xc3\xbc"), 7);
    assert_string_equal(out, "123\xc3\xbc");
    assert_int_equal(text_print(NULL, 0, "%s", "\xc3\xbc"), 2);
    /* The end of one. */
    assert_string_equal(text_tail("abc", 3), "abc");
    assert_string_equal(text_tail("abc", 2), "bc");
    assert_string_equal(text_tail("a\xc3\xbc\xc3\xbc", 4), "\xc3\xbc\xc3\xbc");
    assert_string_equal(text_tail("a\xc3\xbc\xc3\xbc", 3), "\xc3\xbc");
    assert_string_equal(text_tail("\xf0\x9f\x98\x80", 3), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strbuf),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_strbuf_out_of_memory),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_big_file),
        cmocka_unit_test(test_dirs),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_distance),
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_hash),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder) != 0;
}
