/*
 * The strict parser of one safetensors file. Order of the checks: lengths,
 * then JSON, then each entry alone (shape x dtype = end - begin, inside the
 * file), then all entries together (sorted by begin, each starts where the
 * one before ended). Nothing is read at an offset before it was checked.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/text.h"
#include "runtime/io/safetensors_impl.h"

enum {
    PREFIX_BYTES = 8,
    HEADER_MAX = 100000000 /* the format's own limit */
};

static const struct {
    const char *name;
    int bits;
} dtypes[] = {
    [SAFETENSORS_BOOL] = {"BOOL", 8},
    [SAFETENSORS_F4] = {"F4", 4},
    [SAFETENSORS_F6_E2M3] = {"F6_E2M3", 6},
    [SAFETENSORS_F6_E3M2] = {"F6_E3M2", 6},
    [SAFETENSORS_U8] = {"U8", 8},
    [SAFETENSORS_I8] = {"I8", 8},
    [SAFETENSORS_F8_E5M2] = {"F8_E5M2", 8},
    [SAFETENSORS_F8_E4M3] = {"F8_E4M3", 8},
    [SAFETENSORS_F8_E8M0] = {"F8_E8M0", 8},
    [SAFETENSORS_I16] = {"I16", 16},
    [SAFETENSORS_U16] = {"U16", 16},
    [SAFETENSORS_F16] = {"F16", 16},
    [SAFETENSORS_BF16] = {"BF16", 16},
    [SAFETENSORS_I32] = {"I32", 32},
    [SAFETENSORS_U32] = {"U32", 32},
    [SAFETENSORS_F32] = {"F32", 32},
    [SAFETENSORS_C64] = {"C64", 64},
    [SAFETENSORS_F64] = {"F64", 64},
    [SAFETENSORS_I64] = {"I64", 64},
    [SAFETENSORS_U64] = {"U64", 64},
};

enum { DTYPES = sizeof(dtypes) / sizeof(dtypes[0]) };

const char *safetensors_dtype_name(safetensors_dtype dtype)
{
    return dtypes[dtype].name;
}

/* ---- one entry ----------------------------------------------------------- */

static status parse_dtype(json_val entry, safetensors_info *info)
{
    json_val value;
    const char *text;

    TRY(json_get(entry, "dtype", &value));
    if (json_kind(value) != JSON_KIND_STR) {
        return json_fail(value, ST_BADFILE, "must be text such as \"F32\"");
    }
    TRY(json_as_str(value, &text));
    for (int i = 0; i < DTYPES; i++) {
        if (strcmp(text, dtypes[i].name) == 0) {
            info->dtype = (safetensors_dtype)i;
            return ST_OK;
        }
    }
    return json_fail(value, ST_BADFILE, "\"%.*s\" is not a dtype of the format",
                     text_fit(text, 40), text);
}

/* A whole number >= 0, written as one: 1.0 and 1e3 are not sizes. */
static status parse_natural(json_val value, int64_t *out)
{
    if (json_kind(value) != JSON_KIND_INT) {
        return json_fail(value, ST_BADFILE, "must be a whole number");
    }
    TRY(json_as_i64(value, INT64_MIN, INT64_MAX, out));
    if (*out < 0) {
        return json_fail(value, ST_BADFILE, "%" PRId64 " is negative", *out);
    }
    return ST_OK;
}

static status parse_shape(json_val entry, safetensors_info *info)
{
    json_val shape;

    TRY(json_get(entry, "shape", &shape));
    if (json_kind(shape) != JSON_KIND_ARR) {
        return json_fail(shape, ST_BADFILE, "must be a list of sizes");
    }
    const size_t n_dims = json_len(shape);
    if (n_dims > SAFETENSORS_DIMS_MAX) {
        return json_fail(shape, ST_BADFILE,
                         "has %zu dimensions, at most %d are read", n_dims,
                         SAFETENSORS_DIMS_MAX);
    }
    info->n_dims = (int)n_dims;
    info->count = 1;
    for (size_t i = 0; i < n_dims; i++) {
        TRY(parse_natural(json_at(shape, i), &info->dim[i]));
        if (__builtin_mul_overflow(info->count, info->dim[i], &info->count)) {
            return json_fail(shape, ST_BADFILE, "overflows 64 bits");
        }
    }
    info->rows = n_dims == 0 ? 1 : info->dim[0];
    return ST_OK;
}

/* Bytes that shape and dtype ask for. */
static status needed_bytes(json_val entry, const safetensors_info *info,
                           int64_t *out)
{
    int64_t bits;

    if (__builtin_mul_overflow(info->count, dtypes[info->dtype].bits, &bits)) {
        return json_fail(entry, ST_BADFILE, "its size overflows 64 bits");
    }
    if (bits % 8 != 0) {
        return json_fail(entry, ST_BADFILE,
                         "its size is not a whole number of bytes");
    }
    *out = bits / 8;
    return ST_OK;
}

static status parse_offsets(json_val entry, const mapfile *file,
                            int64_t data_at, safetensors_info *info)
{
    const int64_t room = file->bytes - data_at;
    json_val offsets;
    int64_t begin, end, need = 0;

    TRY(json_get(entry, "data_offsets", &offsets));
    if (json_kind(offsets) != JSON_KIND_ARR || json_len(offsets) != 2) {
        return json_fail(offsets, ST_BADFILE, "must be [begin, end]");
    }
    TRY(parse_natural(json_at(offsets, 0), &begin));
    TRY(parse_natural(json_at(offsets, 1), &end));
    if (begin > end) {
        return json_fail(offsets, ST_BADFILE,
                         "begins at %" PRId64 " after its end %" PRId64, begin,
                         end);
    }
    TRY(needed_bytes(entry, info, &need));
    if (end - begin != need) {
        return json_fail(entry, ST_BADFILE,
                         "its offsets span %" PRId64
                         " bytes, its shape and dtype take %" PRId64,
                         end - begin, need);
    }
    if (end > room) {
        return json_fail(entry, ST_BADFILE,
                         "ends at byte %" PRId64 " of the data, the file has "
                         "%" PRId64 "; it is truncated, copy it again",
                         end, room);
    }
    info->bytes = need;
    info->data = file->data + data_at + begin;
    return ST_OK;
}

static status parse_entry(json_val entry, const char *name, const mapfile *file,
                          int64_t data_at, safetensors_info *info)
{
    static const char *const keys[] = {"dtype", "shape", "data_offsets"};
    json_iter it = {0};
    json_val value;
    const char *key;

    if (json_kind(entry) != JSON_KIND_OBJ) {
        return json_fail(entry, ST_BADFILE, "must be an object");
    }
    for (int i = 0; i < 3; i++) {
        if (!json_has(entry, keys[i])) {
            return json_fail(entry, ST_BADFILE, "%s is missing", keys[i]);
        }
    }
    while (json_next(entry, &it, &key, &value)) {
        if (strcmp(key, keys[0]) != 0 && strcmp(key, keys[1]) != 0 &&
            strcmp(key, keys[2]) != 0) {
            return json_fail(value, ST_BADFILE, "unknown key");
        }
    }
    info->name = name;
    info->path = file->path;
    TRY(parse_dtype(entry, info));
    TRY(parse_shape(entry, info));
    return parse_offsets(entry, file, data_at, info);
}

static status parse_metadata(json_val metadata)
{
    json_iter it = {0};
    json_val value;
    const char *key;

    if (json_kind(metadata) != JSON_KIND_OBJ) {
        return json_fail(metadata, ST_BADFILE, "must be an object");
    }
    while (json_next(metadata, &it, &key, &value)) {
        if (json_kind(value) != JSON_KIND_STR) {
            return json_fail(value, ST_BADFILE, "must be text");
        }
    }
    return ST_OK;
}

/* ---- all entries --------------------------------------------------------- */

/* Empty tensors come before what starts at the same byte. */
static int by_place(const void *left, const void *right)
{
    const safetensors_info *a = left, *b = right;

    if (a->data != b->data) {
        return a->data < b->data ? -1 : 1;
    }
    return (a->bytes > b->bytes) - (a->bytes < b->bytes);
}

static status check_cover(const safetensors_shard *s, int64_t data_at)
{
    const uint8_t *const start = s->file.data + data_at;
    const uint8_t *at = start;

    for (int64_t i = 0; i < s->count; i++) {
        const safetensors_info *info = &s->infos[i];
        REQUIRE(info->data >= at, ST_BADFILE,
                "%s: %s overlaps %s at byte %" PRId64 " of the data",
                s->file.path, info->name, s->infos[i - 1].name,
                (int64_t)(info->data - start));
        REQUIRE(info->data == at, ST_BADFILE,
                "%s: there is a hole of %" PRId64 " bytes before %s",
                s->file.path, (int64_t)(info->data - at), info->name);
        at = info->data + info->bytes;
    }
    const int64_t rest = s->file.data + s->file.bytes - at;
    REQUIRE(rest == 0, ST_BADFILE,
            "%s: %" PRId64 " bytes follow the last tensor and belong to none",
            s->file.path, rest);
    return ST_OK;
}

static status parse_all(safetensors_shard *s, int64_t data_at)
{
    const json_val root = json_root(s->doc);
    json_iter it = {0};
    json_val value;
    const char *key;

    TRY(MEM_NEW(&s->infos, json_len(root) + 1, "safetensors"));
    while (json_next(root, &it, &key, &value)) {
        if (strcmp(key, "__metadata__") == 0) {
            TRY(parse_metadata(value));
            continue;
        }
        TRY(parse_entry(value, key, &s->file, data_at, &s->infos[s->count]));
        s->count++;
    }
    qsort(s->infos, (size_t)s->count, sizeof(s->infos[0]), by_place);
    return check_cover(s, data_at);
}

/* The lengths; *header is N. */
static status check_prefix(const mapfile *file, int64_t *header)
{
    uint64_t n;

    REQUIRE(file->bytes >= PREFIX_BYTES, ST_BADFILE,
            "%s: has %" PRId64 " bytes, too few for a safetensors file",
            file->path, file->bytes);
    memcpy(&n, file->data, sizeof(n));
    REQUIRE(n <= HEADER_MAX, ST_BADFILE,
            "%s: is not a safetensors file: its header would have %" PRIu64
            " bytes, at most %d are allowed",
            file->path, n, HEADER_MAX);
    REQUIRE((int64_t)n <= file->bytes - PREFIX_BYTES, ST_BADFILE,
            "%s: is truncated: its header has %" PRIu64
            " bytes, the file %" PRId64 "; copy it again",
            file->path, n, file->bytes);
    REQUIRE(n >= 2 && file->data[PREFIX_BYTES] == '{', ST_BADFILE,
            "%s: is not a safetensors file: its header does not begin "
            "with '{'",
            file->path);
    *header = (int64_t)n;
    return ST_OK;
}

status safetensors_shard_open(const char *path, safetensors_shard *out)
{
    safetensors_shard s = {0};
    int64_t header = 0;
    status st = ST_OK;

    TRY(mapfile_open(path, &s.file));
    TRY_GOTO(check_prefix(&s.file, &header), close_shard);
    TRY_GOTO(json_parse((const char *)s.file.data + PREFIX_BYTES,
                        (size_t)header, path, &s.doc),
             close_shard);
    TRY_GOTO(parse_all(&s, PREFIX_BYTES + header), close_shard);
    *out = s;
    return ST_OK;
close_shard:
    safetensors_shard_close(&s);
    return st;
}

void safetensors_shard_close(safetensors_shard *s)
{
    mem_free(s->infos);
    json_close(s->doc);
    mapfile_close(&s->file);
    *s = (safetensors_shard){0};
}
