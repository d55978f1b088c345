/*
 * Names in the report: two set-ups are never called the same, and a name that
 * is too long is cut without becoming what a browser cannot read.
 */
#include "tests/unit/runfile_make.h"

#include "benchmarks/report.h"
#include "runtime/base/text.h"
#include "runtime/text/utf8.h"

#define U10 "\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc" /* 10 bytes */
#define U60 U10 U10 U10 U10 U10 U10

static char *page; /* of the test at hand */

/* The page of one run or two, whose plan has this name. */
static void open_page(char *plan, const char *first, const char *second)
{
    char path[3][256] = {""};
    const char *files[3] = {path[0], second != NULL ? path[1] : NULL, NULL};
    const char *const names[2] = {first, second};
    run_info info = info_of();
    runfile *f = NULL;
    info.plan = plan;
    for (int i = 0; i < 2 && names[i] != NULL; i++) {
        snprintf(path[i], sizeof(path[i]), "%s", path_of(names[i]));
        OK(runfile_create(path[i], &info, &f));
        put_step(f, 0);
        put_ends(f);
        OK(runfile_close(&f, true));
    }
    snprintf(path[2], sizeof(path[2]), "%s", path_of("page.html"));
    OK(report_run(&(report_config){.files = files, .out = path[2]}));
    OK(text_read_file(path[2], 1 << 26, &page, NULL));
    int64_t wrong = utf8_check((const uint8_t *)page, (int64_t)strlen(page));
    if (wrong >= 0) {
        fail_msg("not UTF-8: %.80s", page + (wrong > 40 ? wrong - 40 : 0));
    }
    for (int i = 0; i < 2 && names[i] != NULL; i++) {
        unlink(path[i]); /* one may have been there twice */
    }
    unlink(path[2]);
}

static void has_label(const char *label)
{
    char entry[300];
    snprintf(entry, sizeof(entry), "\"label\": \"%s\"", label);
    char *at = strstr(page, entry);
    if (at == NULL || strstr(at + 1, entry) != NULL) {
        fail_msg("%s is not there once", entry);
    }
}

/* As much of the path as tells the files apart. */
static void test_alike(void **state)
{
    char plan[] = "dp1";
    (void)state;
    OK(text_make_dirs(path_of("r1/x")));
    OK(text_make_dirs(path_of("r2/x")));
    open_page(plan, "a.h5", NULL);
    has_label("dp1");
    mem_free(page);
    open_page(plan, "a.h5", "b.h5");
    has_label("dp1 (a.h5)");
    has_label("dp1 (b.h5)");
    mem_free(page);
    open_page(plan, "r1/run.h5", "r2/run.h5");
    has_label("dp1 (r1/run.h5)");
    has_label("dp1 (r2/run.h5)");
    mem_free(page);
    open_page(plan, "r1/x/run.h5", "r2/x/run.h5");
    has_label("dp1 (r1/x/run.h5)");
    has_label("dp1 (r2/x/run.h5)");
    mem_free(page);
    /* One path is the end of the other. */
    open_page(plan, "x.h5", "r1/x.h5");
    has_label("dp1 (r1/x.h5)");
    mem_free(page);
    open_page(plan, "a.h5", "a.h5");
    has_label("dp1 (a.h5, file 1)");
    has_label("dp1 (a.h5, file 2)");
    mem_free(page);
    rmdir(path_of("r1/x"));
    rmdir(path_of("r2/x"));
    rmdir(path_of("r1"));
    rmdir(path_of("r2"));
}

/* Odd and even offsets: one of both has a character where the cut is. */
static void test_cut(void **state)
{
    char even[] = U60 U10 U10 U10;
    char odd[] = "x" U60 U10 U10 U10;
    char dp1[] = "dp1";
    (void)state;
    open_page(even, "run.h5", NULL);
    mem_free(page);
    open_page(odd, "run.h5", NULL);
    has_label("x" U60 "\xc3\xbc"); /* 63 bytes are the room */
    mem_free(page);
    open_page(even, "a.h5", "b.h5");
    mem_free(page);
    open_page(odd, "a.h5", "b.h5");
    has_label("x" U60 "\xc3\xbc (a.h5)");
    has_label("x" U60 "\xc3\xbc (b.h5)");
    mem_free(page);

    open_page(dp1, "a" U60 U10 U10 ".h5", "b" U60 U10 U10 ".h5");
    has_label("dp1 (a" U60 U10 U10 ".h5)");
    mem_free(page);
    open_page(dp1, "a" U60 U60 ".h5", "b" U60 U60 ".h5");
    has_label("dp1 (a" U60 U10 U10 U10 "\xc3\xbc\xc3\xbc..., file 1)");
    has_label("dp1 (b" U60 U10 U10 U10 "\xc3\xbc\xc3\xbc..., file 2)");
    mem_free(page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_alike, no_leak),
        cmocka_unit_test_teardown(test_cut, no_leak),
    };
    return cmocka_run_group_tests(tests, make_folder, drop_folder) != 0;
}
