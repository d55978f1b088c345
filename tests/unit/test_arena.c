/* Device memory: nothing beyond its end, and what was touched is known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/device/arena.h"

static void quiet_end(int sig)
{
    _exit(128 + sig);
}

/* Writes n bytes from the arena's beginning in a process of its own; true if
 * that process came to its end alive. */
static bool survives_write(const arena *a, int64_t n)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        /* Not cmocka's handler, nor a core dump. */
        (void)signal(SIGSEGV, quiet_end);
        volatile char *p = a->base;
        for (int64_t i = 0; i < n; i++) {
            p[i] = 1;
        }
        _exit(0);
    }
    int st = 0;
    assert_int_equal(waitpid(pid, &st, 0), pid);
    return WIFEXITED(st) && WEXITSTATUS(st) == 0;
}

static void test_guard(void **state)
{
    (void)state;
    static const int64_t sizes[] = {64, 4096, 4160, 1 << 20};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        arena a;
        assert_int_equal(arena_init(&a, sizes[i], sizes[i]), ST_OK);
        assert_int_equal(a.bytes, sizes[i]);
        assert_int_equal((uintptr_t)a.base % 64, 0);
        assert_true(survives_write(&a, sizes[i]));
        assert_false(survives_write(&a, sizes[i] + 1));
        arena_fini(&a);
    }
}

/* What was touched is known to the page, also just behind large pages. */
static void test_touched(void **state)
{
    (void)state;
    static const int64_t planned[] = {0, 64, 5000, 3 << 20, (9 << 20) + 4160};
    int64_t page = sysconf(_SC_PAGESIZE);
    for (size_t i = 0; i < sizeof(planned) / sizeof(planned[0]); i++) {
        arena a;
        int64_t bytes = planned[i] + (4 << 20) + 64;
        assert_int_equal(arena_init(&a, bytes, planned[i]), ST_OK);
        assert_int_equal(arena_touched(&a), 0);
        volatile char *p = a.base;
        for (int64_t at = planned[i]; at < bytes; at += 777777) {
            p[at] = 1;
            assert_in_range(arena_touched(&a), at + 1, at + page);
        }
        p[bytes - 1] = 1;
        assert_int_equal(arena_touched(&a), bytes);
        arena_fini(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_guard),
        cmocka_unit_test(test_touched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
