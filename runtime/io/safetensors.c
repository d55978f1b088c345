#include "runtime/io/safetensors.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/text.h"
#include "runtime/io/safetensors_impl.h"

static const char *single_name = "model.safetensors";
static const char *index_name = "model.safetensors.index.json";

struct safetensors {
    safetensors_shard *shards;
    int n_shards;
    const safetensors_info **list;    /* in file order, shard by shard */
    const safetensors_info **by_name; /* the same, sorted              */
    int64_t count;
};

/* ---- opening ------------------------------------------------------------- */

static int compare_names(const void *left, const void *right)
{
    const safetensors_info *const *a = left;
    const safetensors_info *const *b = right;

    return strcmp((*a)->name, (*b)->name);
}

/* Room for all tensors of all shards. */
static status lists_new(safetensors *s)
{
    int64_t most = 1;

    for (int i = 0; i < s->n_shards; i++) {
        most += s->shards[i].count;
    }
    TRY(MEM_NEW(&s->list, most, "safetensors"));
    return MEM_NEW(&s->by_name, most, "safetensors");
}

static void lists_sort(safetensors *s)
{
    for (int64_t i = 0; i < s->count; i++) {
        s->by_name[i] = s->list[i];
    }
    qsort(s->by_name, (size_t)s->count, sizeof(s->by_name[0]), compare_names);
}

static status open_single(const char *path, safetensors *s)
{
    TRY(MEM_NEW(&s->shards, 1, "safetensors"));
    TRY(safetensors_shard_open(path, &s->shards[0]));
    s->n_shards = 1;
    TRY(lists_new(s));
    for (int64_t i = 0; i < s->shards[0].count; i++) {
        s->list[s->count++] = &s->shards[0].infos[i];
    }
    lists_sort(s);
    return ST_OK;
}

/* An index may only name files beside it: no way out of the folder. */
static status check_shard_name(json_val value, const char **name)
{
    if (json_kind(value) != JSON_KIND_STR) {
        return json_fail(value, ST_BADFILE, "must be a file name");
    }
    TRY(json_as_str(value, name));
    if (strchr(*name, '/') != NULL || (*name)[0] == '.' ||
        !text_ends(*name, ".safetensors")) {
        return json_fail(value, ST_BADFILE,
                         "\"%.*s\" is not the name of a .safetensors file "
                         "in the folder of the index",
                         text_fit(*name, 80), *name);
    }
    return ST_OK;
}

/* Opens the shard unless it is open. */
static status add_shard(safetensors *s, const char *folder, const char *name)
{
    char *path = NULL;

    for (int i = 0; i < s->n_shards; i++) {
        if (strcmp(text_path_base(s->shards[i].file.path), name) == 0) {
            return ST_OK;
        }
    }
    REQUIRE(s->n_shards < SAFETENSORS_SHARDS_MAX, ST_BADFILE,
            "%s/%s: names more than %d files", folder, index_name,
            SAFETENSORS_SHARDS_MAX);
    TRY(text_path_join(folder, name, &path));
    const status st = safetensors_shard_open(path, &s->shards[s->n_shards]);
    mem_free(path);
    s->n_shards += st == ST_OK;
    return st;
}

/* Lists the tensors that the index wants from the file they are in. */
static void list_wanted(safetensors *s, json_val map)
{
    for (int i = 0; i < s->n_shards; i++) {
        const safetensors_shard *shard = &s->shards[i];
        const char *base = text_path_base(shard->file.path);
        for (int64_t k = 0; k < shard->count; k++) {
            const char *wanted = NULL;
            if (json_has(map, shard->infos[k].name) &&
                json_get_str(map, shard->infos[k].name, &wanted) == ST_OK &&
                strcmp(wanted, base) == 0) {
                s->list[s->count++] = &shard->infos[k];
            }
        }
    }
}

static status open_shards(json_val map, const char *folder, safetensors *s)
{
    json_iter it = {0};
    json_val value;
    const char *key, *name;

    TRY(MEM_NEW(&s->shards, SAFETENSORS_SHARDS_MAX, "safetensors"));
    while (json_next(map, &it, &key, &value)) {
        TRY(check_shard_name(value, &name));
        TRY(add_shard(s, folder, name));
    }
    TRY(lists_new(s));
    list_wanted(s, map);
    lists_sort(s);
    it = (json_iter){0};
    while (json_next(map, &it, &key, &value)) {
        if (safetensors_find(s, key) == NULL) {
            return json_fail(value, ST_BADFILE,
                             "the tensor is not in the file the index names");
        }
    }
    return ST_OK;
}

static status open_index(const char *path, safetensors *s)
{
    json_doc *doc = NULL;
    char *folder = NULL;
    json_val map = {0};
    status st = ST_OK;

    TRY(json_open(path, &doc));
    TRY_GOTO(text_path_dir(path, &folder), close_doc);
    if (!json_has(json_root(doc), "weight_map")) {
        st = FAIL(ST_BADFILE, "%s: weight_map is missing", path);
        goto free_folder;
    }
    TRY_GOTO(json_get(json_root(doc), "weight_map", &map), free_folder);
    if (json_kind(map) != JSON_KIND_OBJ) {
        st = json_fail(map, ST_BADFILE, "must be an object");
        goto free_folder;
    }
    st = open_shards(map, folder, s);
free_folder:
    mem_free(folder);
close_doc:
    json_close(doc);
    return st;
}

/* Says why a folder of pickles is not read. */
static status fail_folder(const char *path)
{
    static const char *const pickles[] = {"pytorch_model.bin",
                                          "pytorch_model.bin.index.json"};

    for (int i = 0; i < 2; i++) {
        char *name = NULL;
        TRY(text_path_join(path, pickles[i], &name));
        const bool there = text_path_exists(name);
        mem_free(name);
        REQUIRE(!there, ST_BADFILE,
                "%s: has %s but no %s; a .bin is a Python pickle, which can "
                "run any code when it is read, so it is not: load and save "
                "the model with transformers, which writes safetensors",
                path, pickles[i], single_name);
    }
    return FAIL(ST_NOINPUT,
                "%s: the folder has neither %s nor %s; convert the model to "
                "safetensors first",
                path, single_name, index_name);
}

static status open_folder(const char *path, safetensors *s)
{
    char *single = NULL, *index = NULL;
    status st = ST_OK;

    TRY(text_path_join(path, single_name, &single));
    TRY_GOTO(text_path_join(path, index_name, &index), free_single);
    if (text_path_exists(single)) {
        st = open_single(single, s);
    } else if (text_path_exists(index)) {
        st = open_index(index, s);
    } else {
        st = fail_folder(path);
    }
    mem_free(index);
free_single:
    mem_free(single);
    return st;
}

status safetensors_open(const char *path, safetensors **out)
{
    safetensors *s;
    status st;

    TRY(MEM_NEW(&s, 1, "safetensors"));
    if (text_is_dir(path)) {
        st = open_folder(path, s);
    } else if (text_ends(path, ".index.json")) {
        st = open_index(path, s);
    } else {
        st = open_single(path, s);
    }
    if (st != ST_OK) {
        safetensors_close(s);
        return st;
    }
    *out = s;
    return ST_OK;
}

void safetensors_close(safetensors *s)
{
    if (s == NULL) {
        return;
    }
    for (int i = 0; i < s->n_shards; i++) {
        safetensors_shard_close(&s->shards[i]);
    }
    mem_free(s->shards);
    mem_free(s->list);
    mem_free(s->by_name);
    mem_free(s);
}

/* ---- looking ------------------------------------------------------------- */

int64_t safetensors_count(const safetensors *s)
{
    return s->count;
}

int64_t safetensors_files(const safetensors *s)
{
    return s->n_shards;
}

const safetensors_info *safetensors_at(const safetensors *s, int64_t i)
{
    ASSERT(i >= 0 && i < s->count);
    return s->list[i];
}

const safetensors_info *safetensors_find(const safetensors *s, const char *name)
{
    const safetensors_info wanted = {.name = name};
    const safetensors_info *key = &wanted;

    const safetensors_info **found =
        bsearch(&key, s->by_name, (size_t)s->count, sizeof(s->by_name[0]),
                compare_names);
    return found != NULL ? *found : NULL;
}

const char *safetensors_metadata(const safetensors *s, const char *key)
{
    const char *value = NULL;
    json_val metadata;

    if (s->n_shards == 0 ||
        !json_has(json_root(s->shards[0].doc), "__metadata__") ||
        json_get(json_root(s->shards[0].doc), "__metadata__", &metadata) !=
            ST_OK ||
        !json_has(metadata, key) ||
        json_get_str(metadata, key, &value) != ST_OK) {
        return NULL;
    }
    return value;
}

/* ---- reading as float32 -------------------------------------------------- */

static float from_bits(uint32_t bits)
{
    float value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* IEEE half: 1 sign, 5 exponent (bias 15), 10 mantissa bits. Exact. */
static float from_half(uint16_t half)
{
    const uint32_t sign = (uint32_t)(half >> 15) << 31;
    const uint32_t exponent = (half >> 10) & 31u;
    const uint32_t mantissa = half & 1023u;

    if (exponent == 31) { /* infinity, NaN */
        return from_bits(sign | 0x7f800000u | mantissa << 13);
    }
    if (exponent == 0) { /* zero, subnormal: multiples of 2^-24 */
        const float value = (float)mantissa * 0x1p-24f;
        return sign != 0 ? -value : value;
    }
    return from_bits(sign | (exponent + 127 - 15) << 23 | mantissa << 13);
}

/* Rounds n doubles; infinities are taken, but none is made. */
static status round_doubles(const safetensors_info *info, const uint8_t *from,
                            int64_t n, float *out)
{
    double eight;

    for (int64_t i = 0; i < n; i++) {
        memcpy(&eight, from + 8 * i, sizeof(eight));
        out[i] = (float)eight;
        REQUIRE(!isinf(out[i]) || isinf(eight), ST_BADFILE,
                "%s: %s: holds %.9g, float32 ends at 3.4e38; correct the "
                "value where the file was made",
                info->path, info->name, eight);
    }
    return ST_OK;
}

/* n elements from unaligned memory, of the types that float32 holds. */
static void convert(safetensors_dtype dtype, const uint8_t *from, int64_t n,
                    float *out)
{
    uint16_t two;

    if (n == 0) {
        return;
    }
    switch (dtype) {
    case SAFETENSORS_F16:
        for (int64_t i = 0; i < n; i++) {
            memcpy(&two, from + 2 * i, sizeof(two));
            out[i] = from_half(two);
        }
        break;
    case SAFETENSORS_BF16:
        for (int64_t i = 0; i < n; i++) {
            memcpy(&two, from + 2 * i, sizeof(two));
            out[i] = from_bits((uint32_t)two << 16);
        }
        break;
    default:
        memcpy(out, from, (size_t)n * sizeof(float));
        break;
    }
}

status safetensors_read(const safetensors_info *info, int64_t first,
                        int64_t rows, float *out)
{
    REQUIRE(
        info->dtype == SAFETENSORS_F32 || info->dtype == SAFETENSORS_F16 ||
            info->dtype == SAFETENSORS_BF16 || info->dtype == SAFETENSORS_F64,
        ST_BADFILE, "%s: %s: has dtype %s, allowed are F32, F16, BF16 and F64",
        info->path, info->name, safetensors_dtype_name(info->dtype));
    REQUIRE(first >= 0 && rows >= 0 && first <= info->rows - rows, ST_INTERNAL,
            "%s: %s: %" PRId64 " rows from %" PRId64
            " on are outside, there are %" PRId64,
            info->path, info->name, rows, first, info->rows);
    if (info->count == 0) {
        return ST_OK;
    }
    const int64_t row = info->count / info->rows;
    const int64_t item = info->bytes / info->count;
    const uint8_t *from = info->data + first * row * item;
    if (info->dtype == SAFETENSORS_F64) {
        return round_doubles(info, from, rows * row, out);
    }
    convert(info->dtype, from, rows * row, out);
    return ST_OK;
}

status safetensors_read_all(const safetensors_info *info, int64_t count,
                            float *out)
{
    REQUIRE(info->count == count, ST_BADFILE,
            "%s: %s: has %" PRId64 " values, expected %" PRId64, info->path,
            info->name, info->count, count);
    return safetensors_read(info, 0, info->rows, out);
}
