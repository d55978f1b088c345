/*
 * The fuzz targets without a fuzzer: every seed, and mutations of the seeds
 * that are a function of the target and a number, so that a failure can be
 * seen again:
 *
 *     test_replay TARGET           one target, all of its inputs
 *     test_replay TARGET FILE...   these files, such as a fuzzer's finding
 *
 * Run from the top of the repository.
 * timeout: 120
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/base/rng.h"
#include "runtime/base/text.h"
#include "tests/fuzz/fuzz.h"

typedef void target_fn(const uint8_t *data, size_t size);
target_fn fuzz_checkpoint, fuzz_config, fuzz_experiment, fuzz_index, fuzz_json,
    fuzz_machine, fuzz_megatron, fuzz_plan, fuzz_safetensors, fuzz_seal,
    fuzz_text, fuzz_tokenizer, fuzz_tokens;

/* Seeds are in seeds/<name>, and in folders where good files are. */
typedef struct target {
    const char *name;
    target_fn *one;
    int mutations; /* half a second of them, or less */
    const char *more[2];
} target;

static const target targets[] = {
    {"checkpoint", fuzz_checkpoint, 300, {NULL}},
    {"config", fuzz_config, 3000, {"configs/models", "tests/configs"}},
    {"experiment", fuzz_experiment, 3000, {"configs/experiments"}},
    {"index", fuzz_index, 3000, {NULL}},
    {"json", fuzz_json, 3000, {"configs/models"}},
    {"machine", fuzz_machine, 3000, {NULL}},
    {"megatron", fuzz_megatron, 10000, {NULL}},
    {"plan", fuzz_plan, 3000, {"configs/plans"}},
    {"safetensors", fuzz_safetensors, 3000, {NULL}},
    {"seal", fuzz_seal, 5000, {NULL}},
    {"text", fuzz_text, 3000, {NULL}},
    {"tokenizer", fuzz_tokenizer, 300, {NULL}},
    {"tokens", fuzz_tokens, 3000, {NULL}},
};
enum {
    TARGETS = sizeof(targets) / sizeof(targets[0]),
    SEEDS_MAX = 64,
    SEED_BYTES_MAX = 1 << 16,
    GROWTH = 64 /* bytes that one mutation may add */
};

typedef struct seed {
    uint8_t *bytes;
    size_t size;
} seed;

typedef struct seeds {
    seed list[SEEDS_MAX];
    int n;
} seeds;

/* --- seeds ---------------------------------------------------------------- */

static status add_file(const char *path, seeds *s)
{
    char *text = NULL;
    size_t size = 0;

    REQUIRE(s->n < SEEDS_MAX, ST_INTERNAL, "%s: one seed too many", path);
    TRY(text_read_file(path, SEED_BYTES_MAX, &text, &size));
    s->list[s->n].bytes = (uint8_t *)text;
    s->list[s->n++].size = size;
    return ST_OK;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* In the order of their names, which is the same everywhere. */
static status add_folder(const char *folder, seeds *s)
{
    struct dirent **found = NULL;
    const int n = scandir(folder, &found, NULL, by_name);
    status st = ST_OK;

    REQUIRE(n >= 0, ST_NOINPUT, "%s: no such folder", folder);
    for (int i = 0; i < n; i++) {
        char path[512];
        (void)snprintf(path, sizeof(path), "%s/%s", folder, found[i]->d_name);
        if (st == ST_OK && found[i]->d_name[0] != '.') {
            st = add_file(path, s);
        }
        free(found[i]);
    }
    free(found);
    return st;
}

static void drop_seeds(seeds *s)
{
    for (int i = 0; i < s->n; i++) {
        mem_free(s->list[i].bytes);
    }
    s->n = 0;
}

/* --- mutations ------------------------------------------------------------ */

/* Numbers of one mutation: a function of (target, mutation, how many so far).
 */
typedef struct dice {
    uint64_t seed, stream, drawn;
} dice;

static size_t roll(dice *d, size_t n)
{
    return (size_t)rng_below(d->seed, d->stream, d->drawn++, (int64_t)n);
}

/* Bytes that parsers care about. */
static uint8_t odd_byte(dice *d)
{
    static const char odd[] = "\"\\{}[]:,.-+eE0129 \n\t\0\x7f\x80\xff/u";

    return roll(d, 2) == 0 ? (uint8_t)odd[roll(d, sizeof(odd) - 1)]
                           : (uint8_t)roll(d, 256);
}

static void replace_number(dice *d, uint8_t *b, size_t at, size_t n)
{
    static const char *const numbers[] = {
        "0", "-1", "9223372036854775807", "1e308", "4294967296", "0.5"};
    const char *with = numbers[roll(d, 6)];

    for (size_t i = 0; with[i] != '\0' && at + i < n; i++) {
        b[at + i] = (uint8_t)with[i];
    }
}

static size_t copy_stretch(dice *d, uint8_t *b, size_t n)
{
    const size_t from = roll(d, n), to = roll(d, n);
    size_t len = 1 + roll(d, GROWTH - 1);

    len = len < n - from ? len : n - from;
    memmove(b + to + len, b + to, n - to);
    memmove(b + to, b + (from < to ? from : from + len), len);
    return n + len;
}

/* One change of the n bytes at b, which has room for GROWTH more. */
static size_t change(dice *d, uint8_t *b, size_t n)
{
    if (n == 0) {
        b[0] = odd_byte(d);
        return 1;
    }
    const size_t at = roll(d, n);
    switch (roll(d, 7)) {
    case 0:
        b[at] ^= (uint8_t)(1 << roll(d, 8));
        return n;
    case 1:
        b[at] = odd_byte(d);
        return n;
    case 2:
        memmove(b + at + 1, b + at, n - at);
        b[at] = odd_byte(d);
        return n + 1;
    case 3:
        memmove(b + at, b + at + 1, n - at - 1);
        return n - 1;
    case 4:
        return at; /* cut */
    case 5:
        replace_number(d, b, at, n);
        return n;
    default:
        return copy_stretch(d, b, n);
    }
}

static void run_mutation(const target *t, int number, const seeds *s,
                         uint8_t *room)
{
    dice d = {.seed = (uint64_t)(t - targets), .stream = (uint64_t)number};
    const seed *from = &s->list[roll(&d, (size_t)s->n)];
    size_t n = from->size;

    memcpy(room, from->bytes, n);
    for (size_t changes = 1 + roll(&d, 4); changes > 0; changes--) {
        n = change(&d, room, n);
    }
    (void)fuzz_run(t->one, room, n);
}

/* --- the run -------------------------------------------------------------- */

static status run_target(const target *t)
{
    char folder[128];
    seeds s = {.n = 0};
    uint8_t *room = NULL;
    status st = ST_OK;
    const int64_t start = clock_wall_ns();

    (void)snprintf(folder, sizeof(folder), "tests/fuzz/seeds/%s", t->name);
    TRY_GOTO(add_folder(folder, &s), done);
    for (int i = 0; i < 2 && t->more[i] != NULL; i++) {
        TRY_GOTO(add_folder(t->more[i], &s), done);
    }
    TRY_GOTO(MEM_NEW(&room, SEED_BYTES_MAX + 8 * GROWTH, "fuzz"), done);
    for (int i = 0; i < s.n; i++) {
        (void)fuzz_run(t->one, s.list[i].bytes, s.list[i].size);
    }
    for (int i = 0; i < t->mutations; i++) {
        run_mutation(t, i, &s, room);
    }
    printf("%-12s %d seeds, %d mutations, %.2f s\n", t->name, s.n, t->mutations,
           (double)(clock_wall_ns() - start) * 1e-9);
    fflush(stdout);
done:
    mem_free(room);
    drop_seeds(&s);
    return st;
}

static status run_files(const target *t, char **paths, int n)
{
    seeds s = {.n = 0};
    status st = ST_OK;

    for (int i = 0; i < n && st == ST_OK; i++) {
        st = add_file(paths[i], &s);
    }
    for (int i = 0; i < s.n; i++) {
        printf("%s %s\n", t->name, paths[i]);
        fflush(stdout);
        (void)fuzz_run(t->one, s.list[i].bytes, s.list[i].size);
    }
    drop_seeds(&s);
    return st;
}

int main(int argc, char **argv)
{
    status st = ST_OK;
    int ran = 0;

    for (int i = 0; i < TARGETS && st == ST_OK; i++) {
        const target *t = &targets[i];
        if (argc > 1 && strcmp(argv[1], t->name) != 0) {
            continue;
        }
        ran++;
        st = argc > 2 ? run_files(t, argv + 2, argc - 2) : run_target(t);
    }
    if (st != ST_OK || ran == 0) {
        printf("FAIL: %s\n", ran == 0 ? "no such target" : status_text());
        return 1;
    }
    return 0;
}
