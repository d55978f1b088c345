/*
 * What a checkpoint says about itself: its attributes and its config.json
 * with any values. The HDF5 file around them is sound, since a broken one is
 * the library's to refuse, and its faults are not ours to find.
 *
 *   byte 0: which attribute is left out | 8 bytes each: the numbers |
 *   texts, each ended by a newline: sums, both hashes, model; then the config
 */
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/results/checkpoint.h"
#include "runtime/results/format.h"
#include "tests/fuzz/fuzz.h"

static const char *const numbers[] = {
    "layers",      "weights_only",  "step",  "adam_step", "seed",
    "data_leaves", "tensor_leaves", "batch", "seq",       "tokens"};
static const char *const texts[] = {"sums", "arch_hash", "data_hash", "model"};
enum { NUMBERS = 10, TEXTS = 4, TEXT_MAX = 200 };

/* The rest of the input. */
typedef struct rest {
    const uint8_t *data;
    size_t size;
} rest;

static int64_t take_number(rest *r)
{
    int64_t value = 0;
    const size_t n = r->size < 8 ? r->size : 8;

    memcpy(&value, r->data, n);
    r->data += n;
    r->size -= n;
    return value;
}

static void take_line(rest *r, char out[TEXT_MAX])
{
    size_t n = 0;

    while (r->size > 0 && *r->data != '\n') {
        if (n < TEXT_MAX - 1 && *r->data != '\0') {
            out[n++] = (char)*r->data;
        }
        r->data++;
        r->size--;
    }
    if (r->size > 0) {
        r->data++;
        r->size--;
    }
    out[n] = '\0';
}

static status write_all(h5_file *f, int left_out, rest *r)
{
    TRY(format_write(f, "weft-checkpoint"));
    for (int i = 0; i < NUMBERS; i++) {
        const int64_t value = take_number(r);
        if (i != left_out) {
            TRY(h5_attr_set_i64(f, "/", numbers[i], value));
        }
    }
    for (int i = 0; i < TEXTS; i++) {
        char line[TEXT_MAX];
        take_line(r, line);
        if (NUMBERS + i != left_out) {
            TRY(h5_attr_set_text(f, "/", texts[i], line));
        }
    }
    char *config = NULL;
    TRY(MEM_NEW(&config, r->size + 1, "fuzz"));
    memcpy(config, r->data, r->size);
    const status st = NUMBERS + TEXTS != left_out
                          ? h5_text_write(f, "/config", config)
                          : ST_OK;
    mem_free(config);
    return st;
}

FUZZ_TARGET(checkpoint)
{
    rest r = {data + 1, size - 1};
    h5_file *f = NULL;
    ckpt_info info;
    arch a;

    if (size < 1) {
        return;
    }
    const char *path = fuzz_file("x.h5", data, 0);
    ASSERT(h5_create(path, H5_PLAIN, &f) == ST_OK);
    if (write_all(f, data[0], &r) != ST_OK) {
        h5_abandon(&f); /* a text that HDF5 does not take */
        return;
    }
    ASSERT(h5_commit(&f) == ST_OK);
    status st = ckpt_peek(path, &info);
    if (st != ST_OK) {
        fuzz_check_refusal(st);
    } else {
        ASSERT(info.layers >= 1 && info.step >= 0 && info.batch >= 0);
        ckpt_info_fini(&info);
    }
    st = ckpt_arch(path, &a);
    if (st != ST_OK) {
        fuzz_check_refusal(st);
    } else {
        ASSERT(a.L >= 1 && a.L <= ARCH_LAYERS_MAX);
    }
}
