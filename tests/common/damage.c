#include "tests/common/damage.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/base/rng.h"
#include "runtime/base/text.h"

enum { SCRAMBLED_MAX = 4, PATH_BYTES = 300, SLOWEST_S = 4 };

/* The file as it was, beside which damaged copies are made. */
typedef struct victim {
    char *bytes;
    size_t n;
    char copy[PATH_BYTES];
    uint64_t hash; /* of what a reader finds */
    const damage_reader *r;
    damage_count count;
} victim;

static void victim_init(victim *v, const char *path, const damage_reader *r)
{
    *v = (victim){.r = r};
    assert_int_equal(text_read_file(path, 1 << 24, &v->bytes, &v->n), ST_OK);
    assert_true(snprintf(v->copy, sizeof(v->copy), "%s.hurt", path) <
                (int)sizeof(v->copy));
    assert_int_equal(r->read(r->self, path, &v->hash), ST_OK);
}

static damage_count victim_fini(victim *v)
{
    mem_free(v->bytes);
    unlink(v->copy);
    return v->count;
}

static void put_copy(const victim *v, const char *bytes, size_t n)
{
    assert_int_equal(text_write_file(v->copy, bytes, n), ST_OK);
}

/* A crash or a hang of the library itself, as h5_probe.c words them. */
static bool is_crasher(const char *text)
{
    return strstr(text, "would crash the HDF5 library") != NULL ||
           strstr(text, "does not come to an end") != NULL;
}

static void read_copy(victim *v, const char *what, int64_t at)
{
    uint64_t hash = 0;
    const int64_t live = mem_live();
    const int64_t start = clock_wall_ns();
    const status st = v->r->read(v->r->self, v->copy, &hash);
    const double s = 1e-9 * (double)(clock_wall_ns() - start);

    v->count.tried++;
    v->count.slowest_s = s > v->count.slowest_s ? s : v->count.slowest_s;
    if (st == ST_OK) {
        v->count.same += hash == v->hash;
        v->count.changed += hash != v->hash;
    } else if (st != ST_BADFILE && st != ST_CORRUPT && st != ST_CONFIG) {
        fail_msg("%s at %lld: status %d: %s", what, (long long)at, st,
                 status_text());
    } else if (strchr(status_text(), '\n') != NULL || status_text()[0] == 0) {
        fail_msg("%s at %lld: not one line: %s", what, (long long)at,
                 status_text());
    } else {
        v->count.crashers += is_crasher(status_text());
    }
    if (mem_live() != live) {
        fail_msg("%s at %lld: leaks", what, (long long)at);
    }
}

damage_count damage_flip(const char *path, int64_t every,
                         const damage_reader *r)
{
    victim v;

    victim_init(&v, path, r);
    for (size_t at = 0; at < v.n; at += (size_t)every) {
        const char was = v.bytes[at];
        const int64_t changed = v.count.changed;
        v.bytes[at] = (char)(was ^ (1 << at / (size_t)every % 8));
        put_copy(&v, v.bytes, v.n);
        read_copy(&v, "flip", (int64_t)at);
        v.bytes[at] = was;
        if (v.count.changed > changed) {
            fail_msg("a flip at byte %zu of %s changes what is read", at, path);
        }
    }
    return victim_fini(&v);
}

damage_count damage_cut(const char *path, int64_t every, const damage_reader *r)
{
    victim v;

    victim_init(&v, path, r);
    for (size_t n = 1; n < v.n; n += (size_t)every) {
        put_copy(&v, v.bytes, v.n - n);
        read_copy(&v, "cut", (int64_t)(v.n - n));
    }
    put_copy(&v, v.bytes, 0);
    read_copy(&v, "cut", 0);
    if (v.count.changed > 0) {
        fail_msg("%s cut short reads as something else", path);
    }
    return victim_fini(&v);
}

/* Bytes that lengths and offsets are made of. */
static char odd_byte(uint64_t draw)
{
    static const unsigned char odd[] = {0, 1, 2, 4, 8, 0x10, 0x7f, 0x80, 0xff};
    const uint64_t pick = draw >> 8;

    return (char)(draw % 2 == 0 ? odd[pick % sizeof(odd)] : pick % 256);
}

damage_count damage_scramble(const char *path, int64_t tries,
                             const damage_reader *r)
{
    victim v;
    char was[SCRAMBLED_MAX];
    size_t at[SCRAMBLED_MAX];

    victim_init(&v, path, r);
    for (int64_t i = 0; i < tries; i++) {
        const uint64_t stream = (uint64_t)i;
        uint64_t drawn = 0;
        const int n = 1 + (int)(rng_u64(1, stream, drawn++) % SCRAMBLED_MAX);
        for (int k = 0; k < n; k++) {
            at[k] = rng_u64(1, stream, drawn++) % v.n;
            was[k] = v.bytes[at[k]];
            v.bytes[at[k]] = odd_byte(rng_u64(1, stream, drawn++));
        }
        put_copy(&v, v.bytes, v.n);
        read_copy(&v, "scrambled, try", i);
        for (int k = n - 1; k >= 0; k--) {
            v.bytes[at[k]] = was[k];
        }
    }
    return victim_fini(&v);
}

void damage_report(const char *what, const damage_count *c)
{
    printf("%-22s %6lld tried, %lld read the same, %lld differently, %lld "
           "would crash or hang HDF5, slowest %.2f s\n",
           what, (long long)c->tried, (long long)c->same, (long long)c->changed,
           (long long)c->crashers, c->slowest_s);
    fflush(stdout);
    assert_true(c->tried > 0);
    assert_true(c->slowest_s < SLOWEST_S);
}
