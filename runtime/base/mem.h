/*
 * Memory: the one allocator of our own code, with tags and counters.
 *
 * Everything that Weft allocates outside the device arena goes through here,
 * so that three things can be proven: nothing is allocated during a step
 * (mem_count does not move), nothing leaks (mem_live is 0 at exit of a test),
 * and a failed allocation is handled (mem_fail_after).
 *
 * Blocks are 64-byte aligned. Sizes are bytes. Any thread.
 */
#ifndef WEFT_BASE_MEM_H
#define WEFT_BASE_MEM_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/base/status.h"

/* Zeroed memory of n * size bytes into *out. Owns: caller, mem_free. Fails
 * with ST_SYSTEM, also when n * size overflows. */
MUST_USE status mem_alloc(size_t n, size_t size, const char *tag, void **out);

/* Grows or shrinks; new bytes are zero. *block may point to NULL. */
MUST_USE status mem_resize(size_t n, size_t size, const char *tag,
                           void **block);

/* Grows an array that is written before it is read: new bytes are as they
 * come, and pages that nobody touches cost nothing. *block may point to NULL.
 * On failure the array may have moved, but is whole. */
MUST_USE status mem_extend(size_t n, size_t size, const char *tag,
                           void **block);

/* NULL is fine. */
void mem_free(void *block);

/* Copy of a string; caller frees with mem_free. */
MUST_USE status mem_strdup(const char *text, char **out);

int64_t mem_count(void);      /* allocations since start, resize counts     */
int64_t mem_live(void);       /* blocks not yet freed                       */
int64_t mem_live_bytes(void); /* bytes in them                              */

/* Bytes that this machine could still give out (MemAvailable), at most what
 * the control group leaves; INT64_MAX where neither says. */
int64_t mem_host_available(void);
/* All that it has (MemTotal), at most the limit of the control group; INT64_MAX
 * where neither says. */
int64_t mem_host_total(void);
/* "KEY   123 kB" of a file in /proc, in bytes, such as "MemTotal:"; -1 if it is
 * not there. */
int64_t mem_proc_bytes(const char *path, const char *key);

/* Bytes of the process's heap that are not ours: what libraries hold. */
int64_t mem_library_bytes(void);

/* Test hook: the n-th allocation from now on fails (n = 1 is the next); 0
 * turns it off. */
void mem_fail_after(int64_t n);

/* MEM_NEW(&array, 10, "tag"): typed mem_alloc for `T **`. */
#define MEM_NEW(out, n, tag)                                                   \
    mem_alloc((size_t)(n), sizeof(**(out)), (tag), (void **)(out))

#endif
