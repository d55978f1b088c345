/* Token sources: kinds, wrong files, ranges, windows, order. */
#include <sys/stat.h>

#include "runtime/base/hash.h"
#include "runtime/base/rng.h"
#include "runtime/io/tokens.h"
#include "runtime/io/tokens_write.h"
#include "tests/common/scratch.h"

/* An llm.c file with `count` in its header and `have` tokens behind it. */
static const char *put_llmc(const char *name, int32_t magic, int32_t version,
                            int32_t count, int have, int item_bytes)
{
    static uint8_t file[1024 + 4 * 100];
    const int32_t head[3] = {magic, version, count};

    memset(file, 0, sizeof(file));
    memcpy(file, head, sizeof(head));
    for (int i = 0; i < have; i++) {
        const uint32_t value = (uint32_t)(i * 7 + 1);
        memcpy(file + 1024 + i * item_bytes, &value, (size_t)item_bytes);
    }
    return put(name, file, (size_t)(1024 + have * item_bytes));
}

static void expect_values(tokens *t)
{
    int32_t out[100];

    assert_int_equal(tokens_count(t), 100);
    assert_int_equal(tokens_get(t, 0, 100, out), ST_OK);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(out[i], i * 7 + 1);
    }
    assert_int_equal(tokens_get(t, 97, 3, out), ST_OK);
    assert_int_equal(out[0], 97 * 7 + 1);
    assert_int_equal(tokens_max(t), 99 * 7 + 1);
    assert_int_equal(tokens_check(t, 99 * 7 + 2), ST_OK);
    assert_int_equal(tokens_check(t, 99 * 7 + 1), ST_CONFIG);
    tokens_close(t);
}

static void test_nanogpt(void **state)
{
    uint16_t data[100];
    tokens *t = NULL;
    (void)state;

    for (int i = 0; i < 100; i++) {
        data[i] = (uint16_t)(i * 7 + 1);
    }
    const char *path = put("train.bin", data, sizeof(data));
    assert_int_equal(tokens_open(path, &t), ST_OK);
    assert_int_equal(tokens_kind(t), TOKENS_NANOGPT);
    assert_true(tokens_hash(t) == hash64(data, sizeof(data)));
    expect_values(t);
}

static void test_llmc(void **state)
{
    tokens *t = NULL;
    (void)state;

    /* The magic decides, whatever the name. */
    assert_int_equal(
        tokens_open(put_llmc("l.bin", 20240520, 1, 100, 100, 2), &t), ST_OK);
    assert_int_equal(tokens_kind(t), TOKENS_LLMC);
    expect_values(t);
    assert_int_equal(
        tokens_open(put_llmc("l.txt", 20240801, 7, 100, 100, 4), &t), ST_OK);
    assert_int_equal(tokens_kind(t), TOKENS_LLMC32);
    expect_values(t);
}

static void test_text(void **state)
{
    const char text[] = "In the beginning\n\xc3\xa9";
    tokens *t = NULL;
    int32_t out[19];
    (void)state;

    assert_int_equal(tokens_open(put("kjv.txt", text, 19), &t), ST_OK);
    assert_int_equal(tokens_kind(t), TOKENS_TEXT);
    assert_int_equal(tokens_count(t), 19);
    assert_int_equal(tokens_get(t, 0, 19, out), ST_OK);
    assert_int_equal(out[0], 'I');
    assert_int_equal(out[17], 0xc3);
    assert_int_equal(tokens_check(t, 256), ST_OK);
    assert_int_equal(tokens_check(t, 128), ST_CONFIG);
    assert_non_null(strstr(status_text(), "token 195 at position 17 "));
    assert_non_null(strstr(status_text(), "kjv.txt"));
    tokens_close(t);
}

static void test_out_of_range(void **state)
{
    tokens *t = NULL;
    int32_t out[4];
    (void)state;

    assert_int_equal(tokens_open(put("r.txt", "abc", 3), &t), ST_OK);
    assert_int_equal(tokens_get(t, 0, 4, out), ST_INTERNAL);
    assert_int_equal(tokens_get(t, -1, 1, out), ST_INTERNAL);
    assert_int_equal(tokens_get(t, INT64_MAX, 2, out), ST_INTERNAL);
    assert_int_equal(tokens_get(t, 3, 0, out), ST_OK);
    assert_int_equal(tokens_check(t, 0), ST_CONFIG);
    tokens_close(t);
}

/* A uint32 token beyond int32 is an error, not a negative index. */
static void test_huge_token(void **state)
{
    uint8_t file[1024 + 8] = {0};
    const int32_t head[3] = {20240801, 7, 2};
    const uint32_t huge = 0xffffffffu;
    tokens *t = NULL;
    int32_t out[2];
    (void)state;

    memcpy(file, head, sizeof(head));
    memcpy(file + 1024 + 4, &huge, sizeof(huge));
    assert_int_equal(tokens_open(put("h.bin", file, sizeof(file)), &t), ST_OK);
    assert_int_equal(tokens_get(t, 0, 1, out), ST_OK);
    assert_int_equal(tokens_get(t, 0, 2, out), ST_BADFILE);
    assert_int_equal(tokens_check(t, 128256), ST_CONFIG);
    assert_non_null(strstr(status_text(), "token 4294967295 at position 1 "));
    assert_int_equal(tokens_max(t), 4294967295);
    tokens_close(t);
}

/* The first token outside is found behind the first block of the scan. */
static void test_check_position(void **state)
{
    static uint16_t data[20000];
    tokens *t = NULL;
    (void)state;

    data[12345] = 600;
    data[15000] = 601;
    assert_int_equal(tokens_open(put("p.bin", data, sizeof(data)), &t), ST_OK);
    assert_int_equal(tokens_check(t, 601), ST_CONFIG);
    assert_non_null(strstr(status_text(), "token 601 at position 15000 "));
    assert_int_equal(tokens_check(t, 600), ST_CONFIG);
    assert_non_null(strstr(status_text(), "token 600 at position 12345 "));
    tokens_close(t);
}

static void expect_refused(const char *path, status code, const char *text)
{
    tokens *t = NULL;
    const status st = tokens_open(path, &t);

    if (st != code || strstr(status_text(), text) == NULL) {
        fail_msg("%s: status %d, \"%s\", expected %d and \"%s\"", path, st,
                 status_text(), code, text);
    }
    assert_null(t);
    assert_null(strchr(status_text(), '\n'));
}

static void test_wrong_files(void **state)
{
    (void)state;
    expect_refused(path_of("none.txt"), ST_NOINPUT, "No such file");
    (void)put("data_document.bin", "1234", 4);
    expect_refused(path_of("data_document"), ST_NOINPUT,
                   "data_document.bin is there; give that name");
    expect_refused(folder, ST_BADFILE, "is a folder");
    expect_refused("/dev/null", ST_BADFILE, "not a regular file");
    expect_refused(put("e.txt", "", 0), ST_BADFILE, "is empty");
    expect_refused(put("e.bin", "", 0), ST_BADFILE, "is empty");
    expect_refused(put("o.bin", "abc", 3), ST_BADFILE, "odd length of 3");
    expect_refused(put_llmc("c.bin", 20240520, 1, 100, 99, 2), ST_BADFILE,
                   "has 1222 bytes");
    expect_refused(put_llmc("d.bin", 20240520, 1, 98, 99, 2), ST_BADFILE,
                   "98 tokens, which take 1220");
    expect_refused(put_llmc("v.bin", 20240520, 2, 10, 10, 2), ST_BADFILE,
                   "version 2, known is 1");
    expect_refused(put_llmc("w.bin", 20240801, 1, 10, 10, 4), ST_BADFILE,
                   "version 1, known is 7");
    expect_refused(put_llmc("n.bin", 20240520, 1, -5, 0, 2), ST_BADFILE,
                   "says it has -5 tokens");
    expect_refused(put_llmc("z.bin", 20240520, 1, 0, 0, 2), ST_BADFILE,
                   "says it has 0 tokens");
    expect_refused(put("t.bin", "\x88\xd8\x34\x01\x01\0\0\0", 8), ST_BADFILE,
                   "truncated llm.c token file");
    expect_refused(put_llmc("m.bin", 20240326, 3, 10, 10, 2), ST_BADFILE,
                   "llm.c model checkpoint");
    expect_refused(put("x.h5", "\211HDF\r\n\032\n....", 12), ST_BADFILE,
                   "HDF5");
    expect_refused(put("x.gz", "\037\213\010\0", 4), ST_BADFILE, "gzip");
    expect_refused(put("x.old", "TNTIDX\0\0", 8), ST_BADFILE, "fairseq");
    expect_refused(put("x.index", "MMIDIDX\0\0", 9), ST_BADFILE,
                   "index of a Megatron data set");
    expect_refused(put("x.pt", "PK\003\004", 4), ST_BADFILE, "zip");
    expect_refused(put("x.npy", "\223NUMPY\1\0", 8), ST_BADFILE, "NumPy");
    expect_refused(put("x.parquet", "PAR1....", 8), ST_BADFILE, "Parquet");
    expect_refused(put("x.safetensors", "\2\0\0\0\0\0\0\0{}", 10), ST_BADFILE,
                   "safetensors");
}

/* ---- Megatron ------------------------------------------------------------ */

/* A data set of two documents, sequences of 3, 0 and 2 tokens; tests change
 * it before it is put. */
typedef struct dataset {
    uint8_t idx[34 + 3 * 12 + 3 * 8 + 3];
    size_t idx_bytes;
    uint8_t bin[5 * 4];
    size_t bin_bytes;
} dataset;

enum {
    AT_VERSION = 9,
    AT_TYPE = 17,
    AT_SEQUENCES = 18,
    AT_DOCUMENTS = 26,
    AT_LENGTHS = 34,
    AT_OFFSETS = 34 + 3 * 4,
    AT_MARKS = 34 + 3 * 12
};

static void set_i64(dataset *d, int at, int64_t value)
{
    memcpy(d->idx + at, &value, sizeof(value));
}

static void set_i32(dataset *d, int at, int32_t value)
{
    memcpy(d->idx + at, &value, sizeof(value));
}

static dataset make_dataset(uint8_t type, int item)
{
    static const int32_t lengths[3] = {3, 0, 2};
    dataset d = {.idx_bytes = AT_MARKS + 24, .bin_bytes = 5 * (size_t)item};
    int32_t at = 0;

    memcpy(d.idx, "MMIDIDX\0\0", 9);
    set_i64(&d, AT_VERSION, 1);
    d.idx[AT_TYPE] = type;
    set_i64(&d, AT_SEQUENCES, 3);
    set_i64(&d, AT_DOCUMENTS, 3);
    for (int i = 0; i < 3; i++) {
        set_i32(&d, AT_LENGTHS + 4 * i, lengths[i]);
        set_i64(&d, AT_OFFSETS + 8 * i, at * item);
        at += lengths[i];
    }
    set_i64(&d, AT_MARKS, 0);
    set_i64(&d, AT_MARKS + 8, 2);
    set_i64(&d, AT_MARKS + 16, 3);
    for (int i = 0; i < 5; i++) {
        const int32_t token = 50 + i;
        memcpy(d.bin + i * item, &token, (size_t)item);
    }
    return d;
}

/* Leaves m.bin and m.idx; the name of one of them. */
static const char *put_dataset(const dataset *d, const char *name)
{
    (void)put("m.bin", d->bin, d->bin_bytes);
    (void)put("m.idx", d->idx, d->idx_bytes);
    return path_of(name);
}

static void test_megatron(void **state)
{
    static const struct {
        uint8_t type;
        int item;
        const char *name, *file;
    } kinds[] = {{1, 1, "Megatron uint8", "m.idx"},
                 {8, 2, "Megatron uint16", "m.bin"},
                 {4, 4, "Megatron int32", "m.idx"}};
    (void)state;

    for (int k = 0; k < 3; k++) {
        dataset d = make_dataset(kinds[k].type, kinds[k].item);
        tokens *t = NULL;
        int32_t out[5];
        d.idx_bytes += k == 1 ? 3 : 0; /* with modes */
        assert_int_equal(tokens_open(put_dataset(&d, kinds[k].file), &t),
                         ST_OK);
        assert_int_equal(tokens_kind(t), TOKENS_MEGATRON);
        assert_string_equal(tokens_kind_name(t), kinds[k].name);
        assert_int_equal(tokens_count(t), 5);
        assert_int_equal(tokens_get(t, 0, 5, out), ST_OK);
        for (int i = 0; i < 5; i++) {
            assert_int_equal(out[i], 50 + i);
        }
        assert_int_equal(tokens_check(t, 54), ST_CONFIG);
        assert_true(tokens_hash(t) == hash64(d.bin, d.bin_bytes));
        tokens_close(t);
    }
}

static void expect_bad(const dataset *d, const char *text)
{
    expect_refused(put_dataset(d, "m.idx"), ST_BADFILE, text);
    expect_refused(path_of("m.bin"), ST_BADFILE, text);
}

static void test_megatron_numbers(void **state)
{
    static const struct {
        int at;
        int64_t value;
        const char *text;
    } cases[] = {
        {AT_VERSION, 2, "version 2"},
        {AT_SEQUENCES, 0, "says it has 0 sequences"},
        {AT_SEQUENCES, -1, "18446744073709551615 sequences"},
        {AT_SEQUENCES, INT64_MAX, "cannot hold"},
        {AT_SEQUENCES, 0x1555555555555556, "cannot hold"}, /* times 12: 8 */
        {AT_SEQUENCES, 1000, "cannot hold"},
        {AT_SEQUENCES, 2, "bytes behind its arrays"},
        {AT_DOCUMENTS, 0, "0 document marks"},
        {AT_DOCUMENTS, 1, "1 document marks"},
        {AT_DOCUMENTS, 0x2000000000000003, "cannot hold"}, /* times 8: 24 */
        {AT_DOCUMENTS, -1, "cannot hold"},
        {AT_OFFSETS, 2, "sequence 0 begins at byte 2"},
        {AT_OFFSETS + 8, 0, "sequence 1 begins at byte 0"},
        {AT_OFFSETS + 16, INT64_MAX, "one after another"},
        {AT_OFFSETS + 16, -6, "begins at byte -6"},
        {AT_MARKS, 1, "document mark 0 is 1"},
        {AT_MARKS + 8, -1, "document mark 1 is -1"},
        {AT_MARKS + 8, 4, "document mark 1 is 4"},
        {AT_MARKS + 16, 1, "document mark 2 is 1"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        dataset d = make_dataset(8, 2);
        set_i64(&d, cases[i].at, cases[i].value);
        expect_bad(&d, cases[i].text);
    }
}

static void test_megatron_files(void **state)
{
    static const char *const types[] = {
        "unknown", "", "int8", "int16", "", "int64", "float64", "float32"};
    dataset d;
    (void)state;

    for (uint8_t type = 0; type < 8; type++) {
        if (types[type][0] != '\0') {
            d = make_dataset(type, 2);
            expect_bad(&d, types[type]);
        }
    }
    d = make_dataset(200, 2);
    expect_bad(&d, "type 200 (unknown)");
    d = make_dataset(8, 2);
    set_i32(&d, AT_LENGTHS, -3);
    expect_bad(&d, "sequence 0 has -3 tokens");
    d = make_dataset(8, 2);
    set_i32(&d, AT_LENGTHS + 8, INT32_MAX);
    expect_bad(&d, "sequence 2 has 2147483647 tokens, 2 are left");
    d = make_dataset(8, 2);
    d.bin_bytes = 12;
    expect_bad(&d, "m.bin: has 12 bytes");
    d.bin_bytes = 9;
    expect_bad(&d, "sequence 2 has 2 tokens, 1 are left");
    for (size_t cut = 9; cut < AT_MARKS + 24; cut++) {
        d = make_dataset(8, 2);
        d.idx_bytes = cut;
        expect_bad(&d, "m.idx: ");
    }
    /* Without its other half. */
    d = make_dataset(8, 2);
    assert_int_equal(unlink(put_dataset(&d, "m.bin")), 0);
    expect_refused(path_of("m.idx"), ST_NOINPUT, "m.bin: No such file");
}

/* Beside a nanoGPT file it changes nothing, but whoever opens it can tell. */
static void test_other_index(void **state)
{
    const dataset d = make_dataset(8, 2);
    tokens *t = NULL;
    (void)state;

    assert_int_equal(tokens_open(put_dataset(&d, "m.bin"), &t), ST_OK);
    assert_false(tokens_index_ignored(t));
    tokens_close(t);
    (void)put("m.idx", "not an index", 12);
    assert_int_equal(tokens_open(path_of("m.bin"), &t), ST_OK);
    assert_int_equal(tokens_kind(t), TOKENS_NANOGPT);
    assert_true(tokens_index_ignored(t));
    tokens_close(t);
    expect_refused(path_of("m.idx"), ST_BADFILE, "is no Megatron index");
    assert_int_equal(unlink(path_of("m.idx")), 0);
    assert_int_equal(tokens_open(path_of("m.bin"), &t), ST_OK);
    assert_false(tokens_index_ignored(t));
    tokens_close(t);
    (void)put("m.idx", "TNTIDX\0\0\1\0\0\0\0\0\0\0", 16);
    expect_refused(path_of("m.bin"), ST_BADFILE,
                   "m.idx: is an index of the "
                   "older TNTIDX format");
    expect_refused(path_of("m.idx"), ST_BADFILE, "make the data set again");
    assert_int_equal(unlink(path_of("m.bin")), 0);
    expect_refused(path_of("m.idx"), ST_BADFILE, "as MMIDIDX");
    /* No data set at all: a file of that name may be a text. */
    assert_int_equal(tokens_open(put_text("m.idx", "not an index"), &t), ST_OK);
    assert_int_equal(tokens_kind(t), TOKENS_TEXT);
    tokens_close(t);
}

/* int32 has a sign, in the file and in what is said of it. */
static void test_negative(void **state)
{
    const int32_t minus = -3;
    dataset d = make_dataset(4, 4);
    tokens *t = NULL;
    int32_t out[5];
    (void)state;

    memcpy(d.bin + 2 * 4, &minus, sizeof(minus));
    assert_int_equal(tokens_open(put_dataset(&d, "m.bin"), &t), ST_OK);
    assert_int_equal(tokens_check(t, 50257), ST_CONFIG);
    has_text("token -3 at position 2 is outside the vocabulary");
    assert_int_equal(tokens_get(t, 0, 2, out), ST_OK);
    assert_int_equal(tokens_get(t, 0, 5, out), ST_BADFILE);
    has_text("token -3 at position 2 is outside any vocabulary");
    tokens_close(t);
}

/* Any bytes of an index may be anything. */
static void test_megatron_mutations(void **state)
{
    int opened = 0;
    (void)state;

    for (uint64_t seed = 0; seed < 2000; seed++) {
        dataset d = make_dataset(8, 2);
        tokens *t = NULL;
        for (uint64_t k = 0; k < 1 + seed % 3; k++) {
            d.idx[9 + rng_below(seed, 1, k, (int64_t)d.idx_bytes - 9)] =
                (uint8_t)rng_below(seed, 2, k, seed % 2 == 0 ? 256 : 4);
        }
        if (tokens_open(put_dataset(&d, "m.idx"), &t) == ST_OK) {
            assert_int_equal(tokens_count(t), 5);
            tokens_close(t);
            opened++;
        } else {
            assert_null(strchr(status_text(), '\n'));
        }
    }
    assert_true(opened > 0 && opened < 2000);
}

/* ---- writing ------------------------------------------------------------- */

static void expect_written(tokens_format format, int64_t vocab, int64_t n,
                           tokens_kinds kind)
{
    const char *path = path_of("written.bin");
    int32_t *ids = NULL, *back = NULL;
    tokens_writer *w = NULL;
    tokens *t = NULL;

    assert_int_equal(MEM_NEW(&ids, n, "test"), ST_OK);
    assert_int_equal(MEM_NEW(&back, n, "test"), ST_OK);
    for (int64_t i = 0; i < n; i++) {
        ids[i] = (int32_t)(i * 7919 % vocab);
    }
    assert_int_equal(tokens_writer_create(path, format, vocab, &w), ST_OK);
    assert_int_equal(tokens_writer_add(w, ids, n / 3), ST_OK);
    assert_int_equal(tokens_writer_add(w, ids + n / 3, n - n / 3), ST_OK);
    assert_int_equal(tokens_writer_count(w), n);
    assert_int_equal(tokens_writer_commit(w), ST_OK);
    assert_int_equal(tokens_open(path_of("written.bin"), &t), ST_OK);
    assert_int_equal(tokens_kind(t), kind);
    assert_int_equal(tokens_count(t), n);
    assert_int_equal(tokens_get(t, 0, n, back), ST_OK);
    assert_memory_equal(ids, back, (size_t)n * sizeof(*ids));
    tokens_close(t);
    mem_free(ids);
    mem_free(back);
}

static void test_write(void **state)
{
    tokens_writer *w = NULL;
    (void)state;

    expect_written(TOKENS_AS_LLMC, 50257, 200000, TOKENS_LLMC);
    expect_written(TOKENS_AS_LLMC, 65536, 3, TOKENS_LLMC);
    expect_written(TOKENS_AS_LLMC, 65537, 200000, TOKENS_LLMC32);
    expect_written(TOKENS_AS_NANOGPT, 50257, 200000, TOKENS_NANOGPT);
    assert_int_equal(
        tokens_writer_create(path_of("w.bin"), TOKENS_AS_NANOGPT, 65537, &w),
        ST_CONFIG);
    assert_int_equal(
        tokens_writer_create(path_of("w.txt"), TOKENS_AS_NANOGPT, 256, &w),
        ST_CONFIG);
    assert_non_null(strstr(status_text(), "must end in .bin"));
    assert_int_equal(
        tokens_writer_create(path_of("none/w.bin"), TOKENS_AS_LLMC, 256, &w),
        ST_CANTCREATE);
    assert_null(w);
    /* Given up: nothing is left. */
    assert_int_equal(
        tokens_writer_create(path_of("given_up.bin"), TOKENS_AS_LLMC, 256, &w),
        ST_OK);
    tokens_writer_abandon(w);
    tokens_writer_abandon(NULL);
    assert_int_not_equal(access(path_of("given_up.bin"), F_OK), 0);
    assert_int_not_equal(access(path_of("given_up.bin.tmp"), F_OK), 0);
}

static void test_split(void **state)
{
    tokens_split s;
    (void)state;

    /* 13 tokens, seq 3: windows 0-3, 3-6, 6-9, 9-12. */
    assert_int_equal(tokens_split_make(13, 3, 0, &s), ST_OK);
    assert_int_equal(s.train_windows, 4);
    assert_int_equal(s.val_windows, 0);
    assert_int_equal(tokens_split_make(12, 3, 0, &s), ST_OK);
    assert_int_equal(s.train_windows, 3);
    /* 100 tokens, 10 % = 10 for validation: 90 and 10 of them. */
    assert_int_equal(tokens_split_make(100, 4, 0.1, &s), ST_OK);
    assert_int_equal(s.train_windows, 22);
    assert_int_equal(s.val_first, 90);
    assert_int_equal(s.val_windows, 2);
    assert_true((s.train_windows - 1) * 4 + 4 < s.val_first);
    assert_true(s.val_first + (s.val_windows - 1) * 4 + 4 < 100);
    /* Too short a validation part is given to training. */
    assert_int_equal(tokens_split_make(100, 16, 0.1, &s), ST_OK);
    assert_int_equal(s.val_windows, 0);
    assert_int_equal(s.val_first, 100);
    assert_int_equal(s.train_windows, 6);
    assert_int_equal(tokens_split_make(17, 16, 0, &s), ST_OK);
    assert_int_equal(s.train_windows, 1);

    assert_int_equal(tokens_split_make(16, 16, 0, &s), ST_CONFIG);
    assert_int_equal(tokens_split_make(16, 0, 0, &s), ST_CONFIG);
    assert_int_equal(tokens_split_make(16, 2, 1.0, &s), ST_CONFIG);
    assert_int_equal(tokens_split_make(16, 2, -0.1, &s), ST_CONFIG);
    assert_int_equal(tokens_split_make(16, 2, 0.0 / 0.0, &s), ST_CONFIG);
}

/* Every epoch draws each window once; batches cross epochs; the order is a
 * function of (seed, step) and changes with the epoch and the seed. */
static void test_order(void **state)
{
    enum { WINDOWS = 10, BATCH = 4, STEPS = 10 };
    int seen[4][WINDOWS] = {{0}};
    int64_t drawn[BATCH * STEPS];
    int moved = 0, reseeded = 0;
    (void)state;

    for (int64_t step = 0; step < STEPS; step++) {
        for (int64_t k = 0; k < BATCH; k++) {
            const int64_t i = step * BATCH + k;
            drawn[i] = tokens_window(7, step, k, BATCH, WINDOWS);
            assert_in_range(drawn[i], 0, WINDOWS - 1);
            seen[i / WINDOWS][drawn[i]]++;
            reseeded += drawn[i] != tokens_window(8, step, k, BATCH, WINDOWS);
        }
    }
    for (int epoch = 0; epoch < 4; epoch++) {
        for (int w = 0; w < WINDOWS; w++) {
            assert_int_equal(seen[epoch][w], 1);
            moved += drawn[w] != drawn[epoch * WINDOWS + w];
        }
    }
    assert_true(moved > 0);
    assert_true(reseeded > 0);
    /* The i-th sequence is the same however it is cut into batches. */
    for (int64_t i = 0; i < BATCH * STEPS; i++) {
        assert_int_equal(tokens_window(7, i, 0, 1, WINDOWS), drawn[i]);
    }
    assert_int_equal(drawn[13], rng_permute(7, 1, WINDOWS, 3));
}

static void test_memory(void **state)
{
    tokens *t = NULL;
    const char *path = put("mem.txt", "abc", 3);
    const int64_t live = mem_live();
    (void)state;

    for (int n = 1; n <= 2; n++) {
        mem_fail_after(n);
        assert_int_equal(tokens_open(path, &t), ST_SYSTEM);
        mem_fail_after(0);
        assert_null(t);
    }
    assert_int_equal(mem_live(), live);
    assert_int_equal(tokens_open(path, &t), ST_OK);
    tokens_close(t);
    tokens_close(NULL);
    assert_int_equal(mem_live(), live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nanogpt),
        cmocka_unit_test(test_llmc),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_out_of_range),
        cmocka_unit_test(test_huge_token),
        cmocka_unit_test(test_check_position),
        cmocka_unit_test(test_wrong_files),
        cmocka_unit_test(test_megatron),
        cmocka_unit_test(test_megatron_numbers),
        cmocka_unit_test(test_megatron_files),
        cmocka_unit_test(test_other_index),
        cmocka_unit_test(test_negative),
        cmocka_unit_test(test_megatron_mutations),
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_memory),
    };

    return cmocka_run_group_tests(tests, make_folder, wipe_folder) != 0;
}
