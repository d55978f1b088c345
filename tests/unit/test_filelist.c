/* No output is an input, by whatever name. */
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
#include "runtime/io/filelist.h"
#include "tests/common/inside.h"

static void put(const char *name)
{
    FILE *f = fopen(name, "w");
    assert_non_null(f);
    assert_int_equal(fclose(f), 0);
}

/* Checks and frees the list; words: what a refusal must say, NULL: none. */
static void expect(filelist *l, const char *words)
{
    const status st = filelist_check(l, "try");
    filelist_fini(l);
    assert_int_equal(st, words != NULL ? ST_USAGE : ST_OK);
    if (words != NULL && strstr(status_text(), words) == NULL) {
        fail_msg("no \"%s\" in \"%s\"", words, status_text());
    }
}

static void one_pair(const char *output, const char *input, const char *words)
{
    filelist l = {0};
    filelist_output(&l, "--out", output);
    filelist_input(&l, "the plan", input);
    expect(&l, words);
}

static void test_names(void **state)
{
    (void)state;
    put("in");
    assert_int_equal(symlink("in", "soft"), 0);
    assert_int_equal(link("in", "hard"), 0);
    assert_int_equal(symlink("new", "dangling"), 0);
    one_pair("out", "in", NULL);
    one_pair(NULL, "in", NULL);
    one_pair("out", NULL, NULL);
    one_pair("in", "in",
             "try: --out in is the plan in and would be lost; give another");
    one_pair("./in", "in", "./in is the plan in");
    one_pair("soft", "in", "soft is the plan in");
    one_pair("in", "soft", "in is the plan soft");
    one_pair("hard", "in", "hard is the plan in");
    /* Files beside the output are overwritten, too. */
    put("out.part");
    put("out.tmp");
    one_pair("out", "out.part", "out is the plan out.part");
    one_pair("out", "out.tmp", "out.tmp");
    one_pair("out", "out.bak", NULL);
}

static void test_outputs(void **state)
{
    filelist l = {0};
    (void)state;
    filelist_output(&l, "--save", "one");
    filelist_output(&l, "--out", "./one");
    expect(&l, "--save one is --out too");
    filelist_output(&l, "--save", "new");
    filelist_output(&l, "--out", "dangling");
    expect(&l, "and would be lost");
    filelist_output(&l, "--save", "one");
    filelist_output(&l, "--out", "two");
    expect(&l, NULL);
}

/* --resume may be what --save replaces, and nothing else. */
static void test_may_replace(void **state)
{
    filelist l = {0};
    (void)state;
    put("c");
    filelist_output(&l, "--save", "c");
    filelist_input_of(&l, "--resume", "c", "--save");
    expect(&l, NULL);
    filelist_output(&l, "--out", "c");
    filelist_input_of(&l, "--resume", "c", "--save");
    expect(&l, "--out c is --resume too");
}

static void test_groups(void **state)
{
    filelist l = {0};
    (void)state;
    assert_int_equal(mkdir("model", 0777), 0);
    put("model/config.json");
    put("model/weights");
    put("p.bin");
    put("p.idx");
    filelist_output(&l, "--out", "model/weights");
    filelist_folder(&l, "the input", "model/");
    expect(&l, "is the input model/weights");
    filelist_output(&l, "--out", "model/new");
    filelist_folder(&l, "the input", "model");
    expect(&l, NULL);
    filelist_output(&l, "--out", "p.idx");
    filelist_tokens(&l, "--data", "p.bin");
    expect(&l, "p.idx is --data too");
    filelist_output(&l, "--out", "p.bin");
    filelist_tokens(&l, "--data", "p.idx");
    expect(&l, "p.bin is --data too");
}

static void test_memory(void **state)
{
    const int64_t live = mem_live();
    status st = ST_SYSTEM;
    (void)state;
    for (int n = 1; st != ST_OK; n++) {
        filelist l = {0};
        assert_true(n < 100);
        mem_fail_after(n);
        filelist_output(&l, "--out", "q.bin");
        filelist_tokens(&l, "--data", "p.bin");
        filelist_folder(&l, "the input", "model");
        st = filelist_check(&l, "try");
        mem_fail_after(0);
        filelist_fini(&l);
        assert_true(st == ST_OK || st == ST_SYSTEM);
        assert_int_equal(mem_live(), live);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),       cmocka_unit_test(test_outputs),
        cmocka_unit_test(test_may_replace), cmocka_unit_test(test_groups),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, enter, leave) != 0;
}
