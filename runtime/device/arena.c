#define _GNU_SOURCE
#include "runtime/device/arena.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime/base/units.h"

enum { LARGE = 2 << 20, PAGES_AT_ONCE = 1024 };

/* Large pages where the system has them: fewer TLB misses in matmul. Only such
 * as the plan fills, since one is there as a whole once a byte is touched. */
static void advise(void *map, int64_t bytes, int64_t planned_end)
{
    int64_t skip = -(int64_t)((uintptr_t)map % LARGE);
    skip = skip < 0 ? skip + LARGE : 0;
    int64_t large = (planned_end - skip) / LARGE * LARGE;
    if (planned_end >= skip + LARGE) {
        (void)madvise((char *)map + skip, (size_t)large, MADV_HUGEPAGE);
        skip += large;
    } else {
        skip = 0;
    }
    if (skip < bytes) {
        (void)madvise((char *)map + skip, (size_t)(bytes - skip),
                      MADV_NOHUGEPAGE);
    }
}

status arena_init(arena *a, int64_t bytes, int64_t planned)
{
    ASSERT(planned <= bytes);
    int64_t page = sysconf(_SC_PAGESIZE);
    int64_t want = (bytes + 63) / 64 * 64;
    int64_t body = (want + page - 1) / page * page;
    void *map = mmap(NULL, (size_t)(body + page), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    REQUIRE(map != MAP_FAILED, ST_SYSTEM,
            "cannot map %s of device memory: %s; lower --device-memory",
            units_bytes((double)bytes).s, strerror(errno));
    advise(map, body, body - want + planned);
    if (mprotect((char *)map + body, (size_t)page, PROT_NONE) != 0) {
        (void)munmap(map, (size_t)(body + page));
        return FAIL(ST_SYSTEM, "cannot guard device memory: %s",
                    strerror(errno));
    }
    /* The end of the budget lies at the guard page. */
    *a = (arena){.base = (char *)map + (body - want),
                 .bytes = bytes,
                 .map = map,
                 .map_bytes = body + page,
                 .page_bytes = page};
    return ST_OK;
}

int64_t arena_touched(const arena *a)
{
    unsigned char there[PAGES_AT_ONCE];
    const char *base = a->base;
    char *map = a->map;
    int64_t pages = a->map_bytes / a->page_bytes - 1; /* but the guard */
    while (pages > 0) {
        int64_t n = pages < PAGES_AT_ONCE ? pages : PAGES_AT_ONCE;
        char *from = map + (pages - n) * a->page_bytes;
        if (mincore(from, (size_t)(n * a->page_bytes), there) != 0) {
            return -1;
        }
        for (; n > 0; n--, pages--) {
            if ((there[n - 1] & 1) != 0) {
                int64_t end = map + pages * a->page_bytes - base;
                return end < a->bytes ? end : a->bytes;
            }
        }
    }
    return 0;
}

void arena_fini(arena *a)
{
    if (a->map != NULL) {
        (void)munmap(a->map, (size_t)a->map_bytes);
    }
    memset(a, 0, sizeof(*a));
}
