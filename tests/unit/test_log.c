/* Log: which line goes where, by rank and level; clocks and core counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/log.h"
#include "runtime/base/threads.h"

static char out_text[4096];
static char err_text[4096];

/* Everything the log can say, at one rank and level. */
static void say_all(int rank, log_level level)
{
    log_init(rank, level);
    log_out("table %d\n", 1);
    log_error("e%d", 1);
    log_warn("w%d", 1);
    log_info("i%d", 1);
    log_debug("d%d", 1);
    log_progress("never in a file");
}

static void error_lines(int rank, log_level level)
{
    log_init(rank, level);
    log_error_line(ST_OK);
    log_error_line(FAIL(ST_CONFIG, "mine"));
    log_error_line(status_set(ST_CONFIG, "handed over"));
    log_error_line(status_set(ST_CONFIG, ""));
}

static void read_back(FILE *file, char *text)
{
    rewind(file);
    size_t n = fread(text, 1, 4095, file);
    text[n] = '\0';
}

/* Runs `say` with both streams in files, then reads these. */
static void capture(void (*say)(int, log_level), int rank, log_level level)
{
    FILE *out = tmpfile();
    FILE *err = tmpfile();
    assert_non_null(out);
    assert_non_null(err);
    fflush(stdout);
    int old_out = dup(STDOUT_FILENO);
    int old_err = dup(STDERR_FILENO);
    dup2(fileno(out), STDOUT_FILENO);
    dup2(fileno(err), STDERR_FILENO);
    say(rank, level);
    fflush(stdout);
    fflush(stderr);
    dup2(old_out, STDOUT_FILENO);
    dup2(old_err, STDERR_FILENO);
    close(old_out);
    close(old_err);
    read_back(out, out_text);
    read_back(err, err_text);
    fclose(out);
    fclose(err);
}

static void test_rank_0(void **state)
{
    (void)state;
    capture(say_all, 0, LOG_DEBUG);
    assert_string_equal(out_text, "table 1\n");
    assert_string_equal(err_text, "weft: e1\nweft: warning: w1\ni1\n"
                                  "weft: debug: d1\n");
    capture(say_all, 0, LOG_ERROR);
    assert_string_equal(out_text, "table 1\n");
    assert_string_equal(err_text, "weft: e1\n");
    capture(say_all, 0, LOG_WARN);
    assert_string_equal(err_text, "weft: e1\nweft: warning: w1\n");
}

static void test_other_rank(void **state)
{
    (void)state;
    capture(say_all, 2, LOG_DEBUG);
    assert_string_equal(out_text, "");
    assert_string_equal(err_text, "weft: rank 2: e1\n"
                                  "weft: rank 2: warning: w1\n"
                                  "weft: rank 2: debug: d1\n");
}

static void test_error_line(void **state)
{
    (void)state;
    capture(error_lines, 0, LOG_INFO);
    /* One that comes without a text was said by who handed it over. */
    assert_string_equal(err_text, "weft: mine\nweft: handed over\n");
    /* What all ranks know, rank 0 says; what one knows alone, it says. */
    capture(error_lines, 1, LOG_INFO);
    assert_string_equal(err_text, "weft: rank 1: mine\n");
}

static void long_line(int rank, log_level level)
{
    static char big[10000];
    memset(big, 'x', sizeof(big) - 1);
    log_init(rank, level);
    log_error("%s", big);
}

static void test_long_line(void **state)
{
    (void)state;
    capture(long_line, 3, LOG_INFO);
    size_t n = strlen(err_text);
    assert_true(n > STATUS_TEXT_MAX && n < STATUS_TEXT_MAX + 128);
    assert_int_equal(err_text[n - 1], '\n');
}

static void test_clocks(void **state)
{
    (void)state;
    int64_t wall = clock_wall_ns();
    int64_t process = clock_cpu_process_ns();
    int64_t thread = clock_cpu_thread_ns();
    while (clock_cpu_thread_ns() - thread < 2000000) {
    }
    assert_true(clock_wall_ns() - wall >= 1900000);
    assert_true(clock_cpu_process_ns() - process >= 1900000);
    process = clock_cpu_process_ns();
    wall = clock_wall_ns();
    usleep(20000); /* asleep: wall time goes on, CPU time hardly */
    assert_true(clock_wall_ns() - wall >= 20000000);
    assert_true(clock_cpu_process_ns() - process < 15000000);
}

static void test_cores(void **state)
{
    (void)state;
    assert_true(threads_usable() >= 1);
    assert_true(threads_online() >= 1);
    assert_true(threads_usable() <= threads_online());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rank_0),     cmocka_unit_test(test_other_rank),
        cmocka_unit_test(test_error_line), cmocka_unit_test(test_long_line),
        cmocka_unit_test(test_clocks),     cmocka_unit_test(test_cores),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
