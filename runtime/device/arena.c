#define _GNU_SOURCE
#include "runtime/device/arena.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime/base/units.h"

status arena_init(arena *a, int64_t bytes)
{
    int64_t page = sysconf(_SC_PAGESIZE);
    int64_t want = (bytes + 63) / 64 * 64;
    int64_t body = (want + page - 1) / page * page;
    void *map = mmap(NULL, (size_t)(body + page), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    REQUIRE(map != MAP_FAILED, ST_SYSTEM,
            "cannot map %s of device memory: %s; lower --device-memory",
            units_bytes((double)bytes).s, strerror(errno));
    /* Large pages where the system has them: fewer TLB misses in matmul. */
    (void)madvise(map, (size_t)body, MADV_HUGEPAGE);
    if (mprotect((char *)map + body, (size_t)page, PROT_NONE) != 0) {
        (void)munmap(map, (size_t)(body + page));
        return FAIL(ST_SYSTEM, "cannot guard device memory: %s",
                    strerror(errno));
    }
    /* The end of the budget lies at the guard page. */
    *a = (arena){.base = (char *)map + (body - want),
                 .bytes = bytes,
                 .map = map,
                 .map_bytes = body + page};
    return ST_OK;
}

void arena_fini(arena *a)
{
    if (a->map != NULL) {
        (void)munmap(a->map, (size_t)a->map_bytes);
    }
    memset(a, 0, sizeof(*a));
}
