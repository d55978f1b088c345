#include "runtime/io/seal.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/hash.h"
#include "runtime/base/mem.h"

static const char magic[8] = "weftseal"; /* without the final zero */

/* The last bytes of a sealed file. */
typedef struct footer {
    int64_t bytes; /* of the file without seal */
    int64_t skips;
    uint64_t hash; /* of what is not skipped */
    uint64_t own;  /* of the seal before this word */
    char magic[sizeof(magic)];
} footer;

enum { FOOTER_BYTES = 40, PART_BYTES = 1 << 20 };
_Static_assert(sizeof(footer) == FOOTER_BYTES, "a footer has no holes");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "seals are little-endian");

/* --- whole transfers ------------------------------------------------------ */

static status read_at(int fd, const char *path, void *out, size_t n, int64_t at)
{
    for (size_t done = 0; done < n;) {
        const ssize_t k =
            pread(fd, (char *)out + done, n - done, at + (int64_t)done);
        if (k < 0 && errno == EINTR) {
            continue;
        }
        REQUIRE(k > 0, ST_IO, "%s: cannot be read at byte %lld: %s", path,
                (long long)(at + (int64_t)done),
                k == 0 ? "the file has become shorter" : strerror(errno));
        done += (size_t)k;
    }
    return ST_OK;
}

static status write_at(int fd, const char *path, const void *data, size_t n,
                       int64_t at)
{
    for (size_t done = 0; done < n;) {
        const ssize_t k =
            pwrite(fd, (const char *)data + done, n - done, at + (int64_t)done);
        if (k < 0 && errno == EINTR) {
            continue;
        }
        REQUIRE(k > 0, ST_IO, "%s: cannot be written: %s", path,
                k == 0 ? "no room" : strerror(errno));
        done += (size_t)k;
    }
    return ST_OK;
}

static status length_of(int fd, const char *path, int64_t *out)
{
    struct stat info;

    REQUIRE(fstat(fd, &info) == 0, ST_IO, "%s: %s", path, strerror(errno));
    *out = info.st_size;
    return ST_OK;
}

/* --- hashing -------------------------------------------------------------- */

/* Sorted, inside the file, apart. */
static bool ranges_fit(const seal_range *skip, int64_t n, int64_t bytes)
{
    int64_t end = 0;

    for (int64_t i = 0; i < n; i++) {
        const seal_range *r = &skip[i];
        if (r->bytes <= 0 || r->offset < end || r->offset > bytes ||
            r->bytes > bytes - r->offset) {
            return false;
        }
        end = r->offset + r->bytes;
    }
    return true;
}

static int64_t kept_bytes(const seal_range *skip, int64_t n, int64_t bytes)
{
    for (int64_t i = 0; i < n; i++) {
        bytes -= skip[i].bytes;
    }
    return bytes;
}

static status add_stretch(int fd, const char *path, int64_t from, int64_t end,
                          char *part, hash_state *h)
{
    while (from < end) {
        const int64_t left = end - from;
        const int64_t n = left < PART_BYTES ? left : PART_BYTES;
        TRY(read_at(fd, path, part, (size_t)n, from));
        hash_add(h, part, (size_t)n);
        from += n;
    }
    return ST_OK;
}

static status hash_kept(int fd, const char *path, const seal_range *skip,
                        int64_t n, int64_t bytes, uint64_t *out)
{
    hash_state *h = NULL;
    char *part = NULL;
    int64_t at = 0;
    const int64_t kept = kept_bytes(skip, n, bytes);
    status st = ST_OK;

    TRY(hash_create(&h));
    const int64_t room = kept < PART_BYTES ? kept + 1 : PART_BYTES;
    TRY_GOTO(MEM_NEW(&part, (size_t)room, "seal"), destroy_hash);
    for (int64_t i = 0; i < n; i++) {
        TRY_GOTO(add_stretch(fd, path, at, skip[i].offset, part, h), free_part);
        at = skip[i].offset + skip[i].bytes;
    }
    TRY_GOTO(add_stretch(fd, path, at, bytes, part, h), free_part);
    *out = hash_value(h);
free_part:
    mem_free(part);
destroy_hash:
    hash_destroy(h);
    return st;
}

/* Of the ranges and of the footer up to its own hash. */
static status hash_seal(const seal_range *skip, const footer *foot,
                        uint64_t *out)
{
    hash_state *h = NULL;

    TRY(hash_create(&h));
    if (foot->skips > 0) {
        hash_add(h, skip, (size_t)foot->skips * sizeof(*skip));
    }
    hash_add(h, foot, offsetof(footer, own));
    *out = hash_value(h);
    hash_destroy(h);
    return ST_OK;
}

/* --- writing -------------------------------------------------------------- */

static int by_offset(const void *a, const void *b)
{
    const seal_range *x = a, *y = b;

    return (x->offset > y->offset) - (x->offset < y->offset);
}

static status write_seal(int fd, const char *path, const seal_range *skip,
                         footer foot)
{
    const size_t ranges = (size_t)foot.skips * sizeof(*skip);

    TRY(hash_kept(fd, path, skip, foot.skips, foot.bytes, &foot.hash));
    TRY(hash_seal(skip, &foot, &foot.own));
    TRY(write_at(fd, path, skip, ranges, foot.bytes));
    return write_at(fd, path, &foot, sizeof(foot),
                    foot.bytes + (int64_t)ranges);
}

status seal_write(int fd, const char *path, seal_range *skip, int n)
{
    footer foot = {.skips = n};

    REQUIRE(n >= 0 && n <= SEAL_SKIPS_MAX, ST_INTERNAL,
            "%s: a seal skips %d ranges, allowed are 0 to %d", path, n,
            SEAL_SKIPS_MAX);
    memcpy(foot.magic, magic, sizeof(magic));
    TRY(length_of(fd, path, &foot.bytes));
    if (n > 0) {
        qsort(skip, (size_t)n, sizeof(*skip), by_offset);
    }
    REQUIRE(ranges_fit(skip, n, foot.bytes), ST_INTERNAL,
            "%s: ranges that a seal skips overlap or lie outside", path);
    if (kept_bytes(skip, n, foot.bytes) >
        (int64_t)SEAL_KEPT_MIB_MAX * 1048576) {
        return ST_OK;
    }
    const status st = write_seal(fd, path, skip, foot);
    if (st != ST_OK && ftruncate(fd, foot.bytes) != 0) {
        return FAIL(ST_IO, "%s: cannot be cut back: %s", path, strerror(errno));
    }
    return st;
}

/* --- checking ------------------------------------------------------------- */

/* Reads the footer; false where there is none. */
static status footer_read(int fd, const char *path, footer *foot, bool *found)
{
    int64_t bytes = 0;

    *found = false;
    TRY(length_of(fd, path, &bytes));
    if (bytes < FOOTER_BYTES) {
        return ST_OK;
    }
    TRY(read_at(fd, path, foot, sizeof(*foot), bytes - FOOTER_BYTES));
    if (memcmp(foot->magic, magic, sizeof(magic)) != 0) {
        return ST_OK;
    }
    /* First the count alone, so that the sum cannot overflow. */
    REQUIRE(foot->skips >= 0 && foot->skips <= SEAL_SKIPS_MAX &&
                foot->bytes >= 0 &&
                foot->bytes == bytes - FOOTER_BYTES -
                                   foot->skips * (int64_t)sizeof(seal_range),
            ST_CORRUPT,
            "%s: the seal at its end is damaged; copy the file again or use "
            "an older one",
            path);
    *found = true;
    return ST_OK;
}

static status check_seal(int fd, const char *path, const footer *foot,
                         seal_range *skip)
{
    uint64_t own = 0, hash = 0;
    char have[HASH_TEXT_BYTES], want[HASH_TEXT_BYTES];

    if (foot->skips > 0) {
        TRY(read_at(fd, path, skip, (size_t)foot->skips * sizeof(*skip),
                    foot->bytes));
    }
    TRY(hash_seal(skip, foot, &own));
    REQUIRE(own == foot->own && ranges_fit(skip, foot->skips, foot->bytes) &&
                kept_bytes(skip, foot->skips, foot->bytes) <=
                    (int64_t)SEAL_KEPT_MIB_MAX * 1048576,
            ST_CORRUPT,
            "%s: the seal at its end is damaged; copy the file again or use "
            "an older one",
            path);
    TRY(hash_kept(fd, path, skip, foot->skips, foot->bytes, &hash));
    if (hash != foot->hash) {
        hash_text(hash, have);
        hash_text(foot->hash, want);
        return FAIL(ST_CORRUPT,
                    "%s: the file changed after it was written: its checksum "
                    "is %s, stored was %s; copy it again or use an older one",
                    path, have, want);
    }
    return ST_OK;
}

status seal_check(int fd, const char *path, int64_t *bytes)
{
    footer foot;
    seal_range *skip = NULL;
    bool found;

    *bytes = -1;
    TRY(footer_read(fd, path, &foot, &found));
    if (!found) {
        return ST_OK;
    }
    TRY(MEM_NEW(&skip, (size_t)foot.skips + 1, "seal"));
    const status st = check_seal(fd, path, &foot, skip);
    mem_free(skip);
    if (st == ST_OK) {
        *bytes = foot.bytes;
    }
    return st;
}

status seal_cut(int fd, const char *path)
{
    footer foot;
    bool found;

    TRY(footer_read(fd, path, &foot, &found));
    REQUIRE(!found || ftruncate(fd, foot.bytes) == 0, ST_IO,
            "%s: cannot be cut to its data: %s", path, strerror(errno));
    return ST_OK;
}
