/* Seals: what they find, what they pass over, how they are taken off. */
#define _GNU_SOURCE /* memfd_create */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/base/mem.h"
#include "runtime/io/seal.h"

enum { BYTES = 1000, SEALED_BYTES = BYTES + 2 * 16 + 40 };

static int make(void)
{
    char bytes[BYTES];
    const int fd = memfd_create("seal", MFD_CLOEXEC);

    for (int i = 0; i < BYTES; i++) {
        bytes[i] = (char)(i * 7);
    }
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, BYTES), BYTES);
    return fd;
}

/* Passes over [100, 150) and [300, 301). */
static int make_sealed(void)
{
    const int fd = make();
    seal_range skip[] = {{300, 1}, {100, 50}}; /* in any order */

    assert_int_equal(seal_write(fd, "x", skip, 2), ST_OK);
    assert_int_equal(lseek(fd, 0, SEEK_END), SEALED_BYTES);
    return fd;
}

static void flip(int fd, int64_t at)
{
    char byte;

    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 0x10;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
}

static void test_every_byte(void **state)
{
    const int fd = make_sealed();
    int64_t bytes = 0;
    (void)state;

    assert_int_equal(seal_check(fd, "x", &bytes), ST_OK);
    assert_int_equal(bytes, BYTES);
    for (int64_t at = 0; at < SEALED_BYTES; at++) {
        const bool passed = (at >= 100 && at < 150) || at == 300;
        const bool mark = at >= SEALED_BYTES - 8;
        flip(fd, at);
        const status st = seal_check(fd, "x", &bytes);
        assert_int_equal(st, passed || mark ? ST_OK : ST_CORRUPT);
        assert_int_equal(bytes, passed ? BYTES : -1);
        flip(fd, at);
    }
    assert_int_equal(seal_check(fd, "x", &bytes), ST_OK);
    close(fd);
    assert_int_equal(mem_live(), 0);
}

static void test_every_length(void **state)
{
    int64_t bytes = 0;
    (void)state;

    for (int64_t n = 0; n < SEALED_BYTES; n++) {
        const int fd = make_sealed();
        assert_int_equal(ftruncate(fd, n), 0);
        assert_int_equal(seal_check(fd, "x", &bytes), ST_OK);
        assert_int_equal(bytes, -1);
        close(fd);
    }
    /* Longer than it was sealed: somebody wrote behind it. */
    const int fd = make_sealed();
    assert_int_equal(pwrite(fd, "more", 4, SEALED_BYTES), 4);
    assert_int_equal(seal_check(fd, "x", &bytes), ST_OK);
    assert_int_equal(bytes, -1);
    close(fd);
}

static void test_cut(void **state)
{
    const int fd = make_sealed();
    seal_range none[1];
    int64_t bytes = 0;
    (void)state;

    assert_int_equal(seal_cut(fd, "x"), ST_OK);
    assert_int_equal(lseek(fd, 0, SEEK_END), BYTES);
    assert_int_equal(seal_cut(fd, "x"), ST_OK);
    assert_int_equal(seal_check(fd, "x", &bytes), ST_OK);
    assert_int_equal(bytes, -1);
    assert_int_equal(seal_write(fd, "x", none, 0), ST_OK);
    assert_int_equal(seal_check(fd, "x", &bytes), ST_OK);
    assert_int_equal(bytes, BYTES);
    close(fd);
}

static void test_bad_ranges(void **state)
{
    static const seal_range bad[][2] = {
        {{0, 10}, {9, 2}},         {{0, 10}, {990, 11}},
        {{0, 0}, {20, 1}},         {{-1, 5}, {20, 1}},
        {{0, 10}, {INT64_MAX, 1}}, {{0, 10}, {20, INT64_MAX}},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const int fd = make();
        seal_range skip[2] = {bad[i][0], bad[i][1]};
        assert_int_equal(seal_write(fd, "x", skip, 2), ST_INTERNAL);
        assert_int_equal(lseek(fd, 0, SEEK_END), BYTES);
        close(fd);
    }
}

static void test_no_memory(void **state)
{
    const int fd = make_sealed();
    int64_t bytes = 0;
    int failed = 0;
    (void)state;

    for (int n = 1; n < 8; n++) {
        mem_fail_after(n);
        const status st = seal_check(fd, "x", &bytes);
        mem_fail_after(0);
        assert_true(st == ST_OK || st == ST_SYSTEM);
        failed += st != ST_OK;
        assert_int_equal(mem_live(), 0);
    }
    assert_true(failed > 1 && failed < 7);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_byte), cmocka_unit_test(test_every_length),
        cmocka_unit_test(test_cut),        cmocka_unit_test(test_bad_ranges),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
