#define _GNU_SOURCE /* O_TMPFILE, O_DIRECT, mkostemp */
#include "runtime/io/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/base/rng.h"
#include "runtime/base/text.h"

enum { CHUNK = 8 << 20, ALIGN = 4096 };

/* Numbers of statfs(2); only kinds whose rate means something special. */
static const struct {
    int64_t magic;
    const char *name;
    bool in_memory;
} kinds[] = {{0x01021994, "tmpfs", true},   {0x858458f6, "ramfs", true},
             {0x6969, "nfs", false},        {0x0bd00bd0, "lustre", false},
             {0x47504653, "gpfs", false},   {0xef53, "ext", false},
             {0x58465342, "xfs", false},    {0x9123683e, "btrfs", false},
             {0x794c7630, "overlay", false}};

static status describe(const char *dir, disk_rates *r)
{
    struct statfs s;
    REQUIRE(statfs(dir, &s) == 0, ST_NOINPUT, "%s: %s", dir, strerror(errno));
    r->kind = "";
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (kinds[i].magic == (int64_t)(uint32_t)s.f_type) {
            r->kind = kinds[i].name;
            r->in_memory = kinds[i].in_memory;
        }
    }
    r->free_bytes = (int64_t)s.f_bavail * (int64_t)s.f_bsize;
    return ST_OK;
}

/* What a person can do about an error of creating or writing. */
static status kind_of(int error)
{
    switch (error) {
    case EACCES:
    case EPERM:
    case EROFS:
        return ST_LOCKED;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return ST_IO;
    default:
        return ST_CANTCREATE;
    }
}

status disk_scratch(const char *dir, int *fd)
{
    int f = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    int error = errno;
    if (f < 0) { /* not every file system can */
        strbuf name = {0};
        strbuf_printf(&name, "%s/.weft-XXXXXX", dir);
        TRY(strbuf_check(&name));
        f = mkostemp(name.text, O_CLOEXEC);
        error = errno;
        if (f >= 0) {
            (void)unlink(name.text);
        }
        strbuf_fini(&name);
    }
    REQUIRE(f >= 0, kind_of(error), "%s: no file can be made there: %s", dir,
            strerror(error));
    *fd = f;
    return ST_OK;
}

static double seconds_since(int64_t begin)
{
    return (double)(clock_wall_ns() - begin) * 1e-9;
}

static status write_all(const char *dir, int fd, const char *block,
                        int64_t bytes, double seconds, disk_rates *r)
{
    int64_t begin = clock_wall_ns();
    int64_t done = 0;
    while (done < bytes && (done == 0 || seconds_since(begin) < seconds)) {
        int64_t want = bytes - done < CHUNK ? bytes - done : CHUNK;
        ssize_t n = pwrite(fd, block, (size_t)want, done);
        int error = n < 0 ? errno : ENOSPC;
        REQUIRE(n > 0, kind_of(error),
                "%s: writing failed after %lld bytes: %s", dir, (long long)done,
                strerror(error));
        done += n;
    }
    int64_t before = clock_wall_ns();
    REQUIRE(fsync(fd) == 0, kind_of(errno), "%s: fsync failed: %s", dir,
            strerror(errno));
    r->fsync_s = seconds_since(before);
    r->write_per_s = (double)done / seconds_since(begin);
    r->bytes = done;
    return ST_OK;
}

/* Past the page cache where the file system can, else with the cache dropped
 * for this file as far as the kernel likes to. */
static status read_all(const char *dir, int fd, char *block, double seconds,
                       disk_rates *r)
{
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    int flags = fcntl(fd, F_GETFL);
    r->direct = flags >= 0 && !r->in_memory && r->bytes % ALIGN == 0 &&
                fcntl(fd, F_SETFL, flags | O_DIRECT) == 0;
    int64_t begin = clock_wall_ns();
    int64_t done = 0;
    while (done < r->bytes && (done == 0 || seconds_since(begin) < seconds)) {
        ssize_t n = pread(fd, block, CHUNK, done);
        REQUIRE(n > 0, ST_CANTCREATE, "%s: reading failed after %lld bytes: %s",
                dir, (long long)done, strerror(n < 0 ? errno : EIO));
        done += n;
    }
    r->read_per_s = (double)done / seconds_since(begin);
    return ST_OK;
}

status disk_measure(const char *dir, int64_t bytes, double seconds,
                    disk_rates *out)
{
    disk_rates r = {0};
    int fd = -1;
    void *block = NULL;
    TRY(describe(dir, &r));
    TRY(disk_scratch(dir, &fd));
    /* Room to align by hand what O_DIRECT wants aligned. */
    status st = mem_alloc(1, CHUNK + ALIGN, "disk", &block);
    if (st == ST_OK) {
        char *at =
            (char *)(((uintptr_t)block + ALIGN - 1) & ~(uintptr_t)(ALIGN - 1));
        /* Random bytes: some disks and file systems pack others. */
        for (int64_t i = 0; i < CHUNK / 8; i++) {
            ((uint64_t *)(void *)at)[i] = rng_u64(1, 2, (uint64_t)i);
        }
        st = write_all(dir, fd, at, bytes, seconds, &r);
        if (st == ST_OK) {
            st = read_all(dir, fd, at, seconds, &r);
        }
    }
    mem_free(block);
    close(fd);
    if (st == ST_OK) {
        *out = r;
    }
    return st;
}
