/* Files that appear whole or not at all, and claims on them: what was there
 * stays, and two processes do not write one file. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/base/mem.h"
#include "runtime/base/text.h"
#include "runtime/io/newfile.h"
#include "tests/common/inside.h"

#define OK(expr) assert_int_equal((expr), ST_OK)

static bool is_there(const char *name)
{
    struct stat info;
    return lstat(name, &info) == 0;
}

static void put(const char *name, const char *text)
{
    FILE *f = fopen(name, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void holds(const char *name, const char *text)
{
    char *have = NULL;
    OK(text_read_file(name, 4096, &have, NULL));
    assert_string_equal(have, text);
    mem_free(have);
}

static void fill(newfile *f, const char *text)
{
    assert_int_equal(write(f->fd, text, strlen(text)), strlen(text));
}

static void says(const char *words)
{
    if (strstr(status_text(), words) == NULL) {
        fail_msg("no \"%s\" in \"%s\"", words, status_text());
    }
}

/* ---- names --------------------------------------------------------------- */

static void test_whole_or_not(void **state)
{
    newfile f;
    (void)state;
    put("a", "old");
    OK(newfile_create("a", &f));
    fill(&f, "new");
    holds("a", "old");
    newfile_abandon(&f);
    holds("a", "old");
    assert_false(is_there("a.tmp"));
    OK(newfile_create("a", &f));
    fill(&f, "new");
    OK(newfile_commit(&f));
    holds("a", "new");
    assert_false(is_there("a.tmp"));
}

static void test_show(void **state)
{
    newfile f;
    (void)state;
    OK(newfile_create("free", &f));
    fill(&f, "1");
    OK(newfile_show(&f));
    holds("free", "1");
    newfile_leave(&f);
    holds("free", "1");

    OK(newfile_create("free", &f)); /* now it is taken */
    fill(&f, "2");
    OK(newfile_show(&f));
    holds("free", "1");
    holds("free.part", "2");
    /* Readers lock what they read, as HDF5 does. */
    const int reader = open("free.part", O_RDONLY);
    assert_int_equal(flock(reader, LOCK_SH | LOCK_NB), 0);
    close(reader);
    OK(newfile_commit(&f));
    holds("free", "2");
    assert_false(is_there("free.part"));

    OK(newfile_create("free", &f)); /* never shown: nothing is left */
    newfile_leave(&f);
    assert_false(is_there("free.tmp"));
    holds("free", "2");
}

/* A link stays a link; what it leads to is replaced, or made. */
static void test_links(void **state)
{
    newfile f;
    char to[64] = "";
    (void)state;
    assert_int_equal(mkdir("runs", 0777), 0);
    put("runs/7", "old");
    assert_int_equal(symlink("runs/7", "latest"), 0);
    OK(newfile_create("latest", &f));
    assert_true(is_there("runs/7.tmp"));
    fill(&f, "new");
    OK(newfile_commit(&f));
    assert_int_equal(readlink("latest", to, sizeof(to) - 1), 6);
    holds("runs/7", "new");
    OK(text_write_file("latest", "text", 4));
    assert_int_equal(readlink("latest", to, sizeof(to) - 1), 6);
    holds("runs/7", "text");

    assert_int_equal(symlink("8", "runs/next"), 0);
    assert_int_equal(symlink("runs/next", "next"), 0);
    OK(newfile_create("next", &f));
    fill(&f, "8");
    OK(newfile_show(&f));
    holds("runs/8", "8");
    OK(newfile_commit(&f));

    assert_int_equal(symlink("circle", "circle"), 0);
    assert_int_equal(newfile_check("circle"), ST_CANTCREATE);
}

static void test_read_only(void **state)
{
    newfile f;
    (void)state;
    put("precious", "old");
    assert_int_equal(chmod("precious", 0444), 0);
    assert_int_equal(newfile_check("precious"), ST_LOCKED);
    says("precious: is there and is read-only");
    assert_int_equal(newfile_create("precious", &f), ST_LOCKED);
    assert_int_equal(text_write_file("precious", "x", 1), ST_LOCKED);
    holds("precious", "old");
    assert_int_equal(newfile_check("-"), ST_USAGE);
    assert_int_equal(text_write_file("-", "x", 1), ST_USAGE);
    assert_false(is_there("-"));
    OK(newfile_check("./-"));
}

/* ---- claims -------------------------------------------------------------- */

/* What another process is told that tries the same. */
static status elsewhere(const char *path, bool claim)
{
    int code = 0;
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        newfile_claim c = {0};
        newfile f;
        status st = newfile_check(path);
        if (st == ST_OK && claim) {
            st = newfile_claim_take(path, 0, &c);
        } else if (st == ST_OK) {
            st = newfile_create(path, &f);
        }
        _exit((int)st);
    }
    assert_int_equal(waitpid(child, &code, 0), child);
    assert_true(WIFEXITED(code));
    return (status)WEXITSTATUS(code);
}

static void test_claim(void **state)
{
    newfile_claim c = {0};
    newfile_claim second = {0};
    newfile f;
    (void)state;
    put("mine", "old");
    OK(newfile_claim_take("mine", 1, &c));
    assert_true(is_there("mine.lock"));
    assert_false(is_there("mine.tmp"));
    assert_int_equal(elsewhere("mine", true), ST_LOCKED);
    assert_int_equal(elsewhere("mine", false), ST_LOCKED);
    assert_int_equal(elsewhere("./mine", false), ST_LOCKED);
    assert_int_equal(newfile_claim_take("mine", 1, &second), ST_LOCKED);
    says("process");
    /* This process goes through, again and again. */
    for (int i = 0; i < 2; i++) {
        OK(newfile_create("mine", &f));
        fill(&f, "new");
        OK(newfile_commit(&f));
    }
    holds("mine", "new");
    newfile_claim_drop(&c);
    newfile_claim_drop(&c);
    assert_false(is_there("mine.lock"));
    assert_int_equal(elsewhere("mine", false), ST_OK);
}

/* A writer without a claim keeps one off, too. */
static void test_claim_of_written(void **state)
{
    newfile_claim c = {0};
    newfile f;
    (void)state;
    OK(newfile_create("busy", &f));
    assert_int_equal(elsewhere("busy", true), ST_LOCKED);
    assert_int_equal(newfile_claim_take("busy", 1, &c), ST_LOCKED);
    assert_null(c.lock);
    newfile_abandon(&f);
    assert_false(is_there("busy.lock"));
}

/* What a killed process left holds nobody up. */
static void test_claim_left_over(void **state)
{
    newfile_claim c = {0};
    int ready[2];
    char mark = 0;
    (void)state;
    assert_int_equal(pipe(ready), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        mark = newfile_claim_take("dead", 0, &c) == ST_OK ? 'y' : 'n';
        (void)!write(ready[1], &mark, 1);
        pause();
    }
    assert_int_equal(read(ready[0], &mark, 1), 1);
    assert_int_equal(mark, 'y');
    assert_int_equal(newfile_check("dead"), ST_LOCKED);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    close(ready[0]);
    close(ready[1]);
    assert_true(is_there("dead.lock"));
    OK(newfile_claim_take("dead", 0, &c));
    newfile_claim_drop(&c);
    assert_false(is_there("dead.lock"));
}

/* A file of that name that is no lock is somebody's. */
static void test_claim_foreign(void **state)
{
    newfile_claim c = {0};
    (void)state;
    put("package.lock", "versions");
    assert_int_equal(newfile_claim_take("package", 0, &c), ST_CANTCREATE);
    says("package.lock is there and is no lock");
    holds("package.lock", "versions");
    put("package.lock", "");
    OK(newfile_claim_take("package", 0, &c));
    newfile_claim_drop(&c);
}

static void keeps(const char *name, const char *text)
{
    newfile_claim c = {0};
    newfile f;
    put(name, text);
    assert_int_equal(newfile_check("out"), ST_CANTCREATE);
    says("is no left-over of Weft");
    says(name);
    assert_int_equal(newfile_claim_take("out", 0, &c), ST_CANTCREATE);
    assert_int_equal(newfile_create("out", &f), ST_CANTCREATE);
    holds(name, text);
    assert_int_equal(unlink(name), 0);
    assert_false(is_there("out.lock"));
}

/* Files of those names that are somebody's. */
static void test_foreign(void **state)
{
    struct stat info;
    newfile f;
    (void)state;
    keeps("out.tmp", "precious");
    put("out.part", "precious"); /* no older file: there will be no part */
    OK(newfile_create("out", &f));
    fill(&f, "1");
    OK(newfile_show(&f));
    OK(newfile_commit(&f));
    assert_int_equal(stat("out", &info), 0);
    assert_int_equal(info.st_mode & 07000, 0);
    keeps("out.part", "precious");
    /* It came while we were writing. */
    OK(newfile_create("out", &f));
    put("out.part", "precious");
    assert_int_equal(newfile_show(&f), ST_CANTCREATE);
    says("out.part is there and is no left-over");
    newfile_abandon(&f);
    holds("out.part", "precious");
    holds("out", "1");
    assert_int_equal(unlink("out.part"), 0);
    /* A folder, a link, nothing at all. */
    assert_int_equal(mkdir("out.tmp", 0777), 0);
    assert_int_equal(newfile_create("out", &f), ST_CANTCREATE);
    assert_int_equal(rmdir("out.tmp"), 0);
    assert_int_equal(symlink("out", "out.tmp"), 0);
    assert_int_equal(newfile_create("out", &f), ST_CANTCREATE);
    holds("out", "1");
    assert_int_equal(unlink("out.tmp"), 0);
    put("out.tmp", "");
    OK(newfile_create("out", &f));
    newfile_abandon(&f);
    assert_int_equal(unlink("out"), 0);
}

/* Killed while it wrote, or left when it failed: taken over unasked. */
static void test_left_over(void **state)
{
    int code = 0;
    newfile f;
    (void)state;
    for (int part = 0; part < 2; part++) {
        put("left", "old");
        const pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            if (newfile_create("left", &f) == ST_OK &&
                write(f.fd, "half", 4) == 4 &&
                (part == 0 || newfile_show(&f) == ST_OK)) {
                (void)raise(SIGKILL);
            }
            _exit(1);
        }
        assert_int_equal(waitpid(child, &code, 0), child);
        assert_true(WIFSIGNALED(code));
        const char *name = part == 0 ? "left.tmp" : "left.part";
        holds(name, "half");
        OK(newfile_check("left"));
        OK(newfile_create("left", &f));
        fill(&f, "1");
        OK(newfile_show(&f));
        holds("left.part", "1");
        newfile_leave(&f);
        OK(newfile_create("left", &f));
        fill(&f, "2");
        OK(newfile_show(&f));
        OK(newfile_commit(&f));
        holds("left", "2");
        assert_false(is_there(name));
    }
}

static void test_room(void **state)
{
    struct rlimit old, less = {.rlim_cur = 1 << 20};
    newfile_claim c = {0};
    (void)state;
    assert_int_equal(newfile_claim_take("big", INT64_MAX, &c), ST_IO);
    says("big: takes");
    says("are free");
    assert_false(is_there("big.lock"));
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    less.rlim_max = old.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &less), 0);
    const status st = newfile_claim_take("big", 2 << 20, &c);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(st, ST_IO);
    says("ulimit -f");
    OK(newfile_claim_take("big", 2 << 20, &c));
    newfile_claim_drop(&c);
}

static void test_no_folder(void **state)
{
    newfile_claim c = {0};
    (void)state;
    assert_int_equal(newfile_claim_take("no/such", 0, &c), ST_CANTCREATE);
    /* There is a folder and access() allows it, but no file can be made. */
    assert_int_equal(newfile_claim_take("/proc/x.h5", 0, &c), ST_CANTCREATE);
    assert_null(c.lock);
}

/* ---- frame --------------------------------------------------------------- */

static int no_leak(void **state)
{
    (void)state;
    return mem_live() == 0 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_whole_or_not, no_leak),
        cmocka_unit_test_teardown(test_show, no_leak),
        cmocka_unit_test_teardown(test_links, no_leak),
        cmocka_unit_test_teardown(test_read_only, no_leak),
        cmocka_unit_test_teardown(test_claim, no_leak),
        cmocka_unit_test_teardown(test_claim_of_written, no_leak),
        cmocka_unit_test_teardown(test_claim_left_over, no_leak),
        cmocka_unit_test_teardown(test_claim_foreign, no_leak),
        cmocka_unit_test_teardown(test_foreign, no_leak),
        cmocka_unit_test_teardown(test_left_over, no_leak),
        cmocka_unit_test_teardown(test_room, no_leak),
        cmocka_unit_test_teardown(test_no_folder, no_leak),
    };
    return cmocka_run_group_tests(tests, enter, leave) != 0;
}
