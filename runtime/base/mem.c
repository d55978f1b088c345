/*
 * One header of 64 bytes stands in front of every block: its size for the
 * counters, its tag for bug reports, and a magic word that catches a free of
 * foreign or already freed memory. 64 keeps the block itself aligned.
 */
#include "runtime/base/mem.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/cgroup.h"

enum { ALIGN = 64 };

#define MAGIC_LIVE 0x5745465442304c4bULL
#define MAGIC_DEAD 0xdeadb10cdeadb10cULL

typedef struct head {
    uint64_t magic;
    size_t bytes;
    const char *tag;
    char pad[ALIGN - 24];
} head;

_Static_assert(sizeof(head) == ALIGN, "a block follows its head, aligned");

static _Atomic int64_t count;      /* allocations since start */
static _Atomic int64_t live;       /* blocks not yet freed */
static _Atomic int64_t live_bytes; /* bytes in them */
static _Atomic int64_t fail_after; /* 0: off; else allocations to go */

/* True if the test hook wants this allocation to fail. */
static bool hook_says_fail(void)
{
    int64_t left = atomic_load(&fail_after);
    while (left > 0) {
        if (atomic_compare_exchange_weak(&fail_after, &left, left - 1)) {
            return left == 1;
        }
    }
    return false;
}

/* Bytes of n * size, or a status if a block of that size cannot exist. */
static status total_bytes(size_t n, size_t size, const char *tag, size_t *out)
{
    size_t bytes = 0;
    bool over = __builtin_mul_overflow(n, size, &bytes);
    REQUIRE(!over && bytes <= (size_t)PTRDIFF_MAX - 2 * ALIGN, ST_SYSTEM,
            "out of memory: %zu x %zu bytes for '%s' is more than can exist", n,
            size, tag);
    *out = bytes;
    return ST_OK;
}

/* Bytes of a block with its head. */
static size_t rounded(size_t bytes)
{
    return (sizeof(head) + bytes + ALIGN - 1) / ALIGN * ALIGN;
}

/* A block as it comes; the counters know it. */
static status block_create(size_t bytes, const char *tag, void **out)
{
    atomic_fetch_add(&count, 1);
    head *h = NULL;
    if (!hook_says_fail()) {
        h = aligned_alloc(ALIGN, rounded(bytes));
    }
    REQUIRE(h != NULL, ST_SYSTEM, "out of memory: %zu bytes for '%s'", bytes,
            tag);
    h->magic = MAGIC_LIVE;
    h->bytes = bytes;
    h->tag = tag;
    atomic_fetch_add(&live, 1);
    atomic_fetch_add(&live_bytes, (int64_t)bytes);
    *out = h + 1;
    return ST_OK;
}

status mem_alloc(size_t n, size_t size, const char *tag, void **out)
{
    size_t bytes = 0;
    void *block = NULL;
    TRY(total_bytes(n, size, tag, &bytes));
    TRY(block_create(bytes, tag, &block));
    memset(block, 0, bytes);
    *out = block;
    return ST_OK;
}

status mem_resize(size_t n, size_t size, const char *tag, void **block)
{
    size_t bytes = 0;
    void *grown = NULL;
    TRY(total_bytes(n, size, tag, &bytes));
    TRY(block_create(bytes, tag, &grown));
    size_t kept = 0;
    if (*block != NULL) {
        const head *old = (const head *)*block - 1;
        ASSERT(old->magic == MAGIC_LIVE);
        kept = old->bytes < bytes ? old->bytes : bytes;
        memcpy(grown, *block, kept);
        mem_free(*block);
    }
    memset((char *)grown + kept, 0, bytes - kept);
    *block = grown;
    return ST_OK;
}

/* realloc moves large blocks by their pages, which keeps them aligned; what
 * else comes out askew is copied. On failure the block is as it was, but may
 * have moved. */
static status block_extend(head **block, size_t all)
{
    head *moved = realloc(*block, all);
    if (moved == NULL) {
        return ST_SYSTEM;
    }
    *block = moved;
    if ((uintptr_t)moved % ALIGN == 0) {
        return ST_OK;
    }
    head *aligned = aligned_alloc(ALIGN, all);
    if (aligned == NULL) {
        return ST_SYSTEM;
    }
    memcpy(aligned, moved, all);
    free(moved);
    *block = aligned;
    return ST_OK;
}

status mem_extend(size_t n, size_t size, const char *tag, void **block)
{
    size_t bytes = 0;
    TRY(total_bytes(n, size, tag, &bytes));
    if (*block == NULL) {
        return block_create(bytes, tag, block);
    }
    head *h = (head *)*block - 1;
    ASSERT(h->magic == MAGIC_LIVE && bytes >= h->bytes);
    atomic_fetch_add(&count, 1);
    status st = hook_says_fail() ? ST_SYSTEM : block_extend(&h, rounded(bytes));
    *block = h + 1;
    REQUIRE(st == ST_OK, ST_SYSTEM, "out of memory: %zu bytes for '%s'", bytes,
            tag);
    atomic_fetch_add(&live_bytes, (int64_t)(bytes - h->bytes));
    h->bytes = bytes;
    h->tag = tag;
    return ST_OK;
}

void mem_free(void *block)
{
    if (block == NULL) {
        return;
    }
    head *h = (head *)block - 1;
    ASSERT(h->magic == MAGIC_LIVE);
    h->magic = MAGIC_DEAD;
    atomic_fetch_sub(&live, 1);
    atomic_fetch_sub(&live_bytes, (int64_t)h->bytes);
    free(h);
}

status mem_strdup(const char *text, char **out)
{
    size_t len = strlen(text);
    char *copy = NULL;
    TRY(MEM_NEW(&copy, len + 1, "text"));
    memcpy(copy, text, len + 1);
    *out = copy;
    return ST_OK;
}

int64_t mem_count(void)
{
    return atomic_load(&count);
}

int64_t mem_live(void)
{
    return atomic_load(&live);
}

int64_t mem_live_bytes(void)
{
    return atomic_load(&live_bytes);
}

void mem_fail_after(int64_t n)
{
    atomic_store(&fail_after, n);
}

int64_t mem_proc_bytes(const char *path, const char *key)
{
    char line[256];
    int64_t kib = -1;
    FILE *f = fopen(path, "r");
    while (f != NULL && kib < 0 && fgets(line, sizeof(line), f) != NULL) {
        if (strncmp(line, key, strlen(key)) == 0) {
            kib = strtoll(line + strlen(key), NULL, 10);
        }
    }
    if (f != NULL) {
        (void)fclose(f);
    }
    return kib < 0 ? -1 : kib * 1024;
}

/* INT64_MAX: it does not say. */
static int64_t of_machine(const char *key)
{
    int64_t bytes = mem_proc_bytes("/proc/meminfo", key);
    return bytes < 0 ? INT64_MAX : bytes;
}

int64_t mem_host_available(void)
{
    int64_t machine = of_machine("MemAvailable:");
    int64_t group = cgroup_read("").memory_free;
    return group < machine ? group : machine;
}

int64_t mem_host_total(void)
{
    int64_t machine = of_machine("MemTotal:");
    int64_t group = cgroup_read("").memory_limit;
    return group < machine ? group : machine;
}

int64_t mem_library_bytes(void)
{
    struct mallinfo2 all = mallinfo2();
    int64_t others = (int64_t)(all.uordblks + all.hblkhd) - mem_live_bytes();
    return others > 0 ? others : 0;
}
