#include "runtime/io/megatron.h"

#include <inttypes.h>
#include <string.h>

enum {
    MAGIC_BYTES = 9,
    AT_VERSION = 9,
    AT_TYPE = 17,
    AT_SEQUENCES = 18,
    AT_DOCUMENTS = 26,
    HEAD_BYTES = 34,
    SEQUENCE_BYTES = 4 + 8, /* a length and an offset */
    DOCUMENT_BYTES = 8
};

typedef struct counts {
    int64_t sequences;
    int64_t documents;
} counts;

bool megatron_is_index(const mapfile *f)
{
    return f->bytes >= MAGIC_BYTES &&
           memcmp(f->data, "MMIDIDX\0\0", MAGIC_BYTES) == 0;
}

bool megatron_is_old_index(const mapfile *f)
{
    return f->bytes >= 8 && memcmp(f->data, "TNTIDX\0\0", 8) == 0;
}

static uint64_t u64_at(const mapfile *f, int64_t at)
{
    uint64_t value;
    memcpy(&value, f->data + at, sizeof(value));
    return value;
}

static status read_type(const mapfile *f, int *bytes)
{
    static const struct {
        const char *name;
        int bytes; /* 0: tokens are not kept so */
    } types[] = {[1] = {"uint8", 1},   [2] = {"int8", 0},  [3] = {"int16", 0},
                 [4] = {"int32", 4},   [5] = {"int64", 0}, [6] = {"float64", 0},
                 [7] = {"float32", 0}, [8] = {"uint16", 2}};
    const int code = f->data[AT_TYPE];
    const bool known = code >= 1 && code <= 8;

    REQUIRE(known && types[code].bytes != 0, ST_BADFILE,
            "%s: its tokens have type %d (%s), known are uint8, uint16 and "
            "int32; make it again with another dtype",
            f->path, code, known ? types[code].name : "unknown");
    *bytes = types[code].bytes;
    return ST_OK;
}

/* Counts that the length of the file bears out, so that no product of them
 * can overflow. */
static status read_counts(const mapfile *f, counts *out)
{
    const uint64_t s = u64_at(f, AT_SEQUENCES);
    const uint64_t d = u64_at(f, AT_DOCUMENTS);
    const uint64_t left = (uint64_t)f->bytes - HEAD_BYTES;

    REQUIRE(s >= 1 && s <= left / SEQUENCE_BYTES && d >= 2 &&
                d <= (left - s * SEQUENCE_BYTES) / DOCUMENT_BYTES,
            ST_BADFILE,
            "%s: says it has %" PRIu64 " sequences and %" PRIu64
            " document marks, which its %" PRId64
            " bytes cannot hold; copy it again",
            f->path, s, d, f->bytes);
    const uint64_t rest = left - s * SEQUENCE_BYTES - d * DOCUMENT_BYTES;
    REQUIRE(rest == 0 || rest == s, ST_BADFILE,
            "%s: has %" PRIu64 " bytes behind its arrays, expected none, or "
            "%" PRIu64 " of modes; it is of another kind or damaged",
            f->path, rest, s);
    *out = (counts){(int64_t)s, (int64_t)d};
    return ST_OK;
}

/* Sequences one after another; their tokens are counted. */
static status read_sequences(const mapfile *f, counts c, int item_bytes,
                             int64_t bin_bytes, int64_t *tokens)
{
    const uint8_t *lengths = f->data + HEAD_BYTES;
    const uint8_t *offsets = lengths + 4 * c.sequences;
    const int64_t room = bin_bytes / item_bytes;
    int64_t n = 0;

    for (int64_t i = 0; i < c.sequences; i++) {
        int32_t length;
        int64_t offset;
        memcpy(&length, lengths + 4 * i, sizeof(length));
        memcpy(&offset, offsets + 8 * i, sizeof(offset));
        REQUIRE(offset == n * item_bytes, ST_BADFILE,
                "%s: sequence %" PRId64 " begins at byte %" PRId64
                " of the .bin, the one before ends at %" PRId64
                "; they must lie one after another: merge the data set anew",
                f->path, i, offset, n * item_bytes);
        REQUIRE(length >= 0 && length <= room - n, ST_BADFILE,
                "%s: sequence %" PRId64 " has %" PRId32 " tokens, %" PRId64
                " are left in the .bin; copy both again",
                f->path, i, length, room - n);
        n += length;
    }
    *tokens = n;
    return ST_OK;
}

/* Marks ascend from the first sequence to behind the last. */
static status check_documents(const mapfile *f, counts c)
{
    const uint8_t *marks = f->data + HEAD_BYTES + SEQUENCE_BYTES * c.sequences;
    int64_t before = 0;

    for (int64_t i = 0; i < c.documents; i++) {
        int64_t mark;
        memcpy(&mark, marks + 8 * i, sizeof(mark));
        REQUIRE((i > 0 || mark == 0) && mark >= before && mark <= c.sequences &&
                    (i < c.documents - 1 || mark == c.sequences),
                ST_BADFILE,
                "%s: document mark %" PRId64 " is %" PRId64
                ", marks ascend from 0 to the %" PRId64
                " sequences; copy it again",
                f->path, i, mark, c.sequences);
        before = mark;
    }
    return ST_OK;
}

status megatron_read(const mapfile *idx, const char *bin, int64_t bin_bytes,
                     megatron_index *out)
{
    megatron_index m = {0};
    counts c;

    REQUIRE(megatron_is_index(idx), ST_BADFILE,
            "%s: is no Megatron index; give PREFIX.idx with its PREFIX.bin",
            idx->path);
    REQUIRE(idx->bytes >= HEAD_BYTES, ST_BADFILE,
            "%s: is a truncated Megatron index: %" PRId64
            " bytes, its header alone has %d; copy it again",
            idx->path, idx->bytes, HEAD_BYTES);
    REQUIRE(u64_at(idx, AT_VERSION) == 1, ST_BADFILE,
            "%s: is a Megatron index of version %" PRIu64 ", known is 1",
            idx->path, u64_at(idx, AT_VERSION));
    TRY(read_type(idx, &m.item_bytes));
    TRY(read_counts(idx, &c));
    TRY(read_sequences(idx, c, m.item_bytes, bin_bytes, &m.count));
    TRY(check_documents(idx, c));
    REQUIRE(m.count >= 1 && m.count * m.item_bytes == bin_bytes, ST_BADFILE,
            "%s: has %" PRId64 " bytes, its index %s says %" PRId64
            " tokens, which take %" PRId64 "; copy both again",
            bin, bin_bytes, idx->path, m.count, m.count * m.item_bytes);
    *out = m;
    return ST_OK;
}
