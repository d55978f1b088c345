/*
 * The seal at the end of a file. First byte 0: the rest is a file, which may
 * claim to have one. Else the rest after three bytes is sealed, and the byte
 * at a place (two bytes) is changed by the first: nothing but the part that
 * is passed over may change unseen.
 */
#define _GNU_SOURCE /* memfd_create */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime/io/seal.h"
#include "tests/fuzz/fuzz.h"

static void put(int fd, const uint8_t *data, size_t size)
{
    ASSERT(pwrite(fd, data, size, 0) == (ssize_t)size);
    ASSERT(ftruncate(fd, (off_t)size) == 0);
}

static void try_claim(int fd, const uint8_t *data, size_t size)
{
    int64_t bytes = 0;

    put(fd, data, size);
    const status st = seal_check(fd, "x.h5", &bytes);
    if (st != ST_OK) {
        fuzz_check_refusal(st);
        return;
    }
    ASSERT(bytes == -1 || (bytes >= 0 && bytes < (int64_t)size));
    ASSERT(seal_cut(fd, "x.h5") == ST_OK);
    ASSERT(lseek(fd, 0, SEEK_END) == (bytes < 0 ? (off_t)size : bytes));
}

/* Passes over the second quarter. */
static void try_change(int fd, const uint8_t *data, size_t size, size_t place,
                       uint8_t by)
{
    const int64_t n = (int64_t)size;
    seal_range skip = {n / 4, n / 4};
    int64_t bytes = 0;
    uint8_t was;

    put(fd, data, size);
    ASSERT(seal_write(fd, "x.h5", &skip, skip.bytes > 0) == ST_OK);
    ASSERT(seal_check(fd, "x.h5", &bytes) == ST_OK && bytes == n);
    const int64_t end = lseek(fd, 0, SEEK_END);
    const int64_t at = (int64_t)place % end;
    ASSERT(pread(fd, &was, 1, at) == 1);
    was ^= by;
    ASSERT(pwrite(fd, &was, 1, at) == 1);
    const bool passed = at >= skip.offset && at < skip.offset + skip.bytes;
    const bool mark = at >= end - 8;
    const status st = seal_check(fd, "x.h5", &bytes);
    ASSERT(st == (passed || mark ? ST_OK : ST_CORRUPT));
    ASSERT(bytes == (passed ? n : -1));
}

FUZZ_TARGET(seal)
{
    static int fd = -1;

    if (fd < 0) {
        fd = memfd_create("seal", MFD_CLOEXEC);
        ASSERT(fd >= 0);
    }
    if (size > 3 && data[0] != 0) {
        try_change(fd, data + 3, size - 3,
                   (size_t)data[1] | (size_t)data[2] << 8, data[0]);
    } else if (size > 1) {
        try_claim(fd, data + 1, size - 1);
    }
}
