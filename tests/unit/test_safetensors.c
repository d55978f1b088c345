/* safetensors: round trips, dtypes, shards, and files made to do harm. */
#include <math.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "runtime/base/text.h"
#include "runtime/io/safetensors.h"
#include "tests/common/scratch.h"

/* A file of this header and `data_bytes` bytes of data. */
static const char *put_tensors(const char *name, const char *header,
                               const void *data, size_t data_bytes)
{
    static uint8_t file[70000];
    const uint64_t n = strlen(header);

    assert_true(8 + n + data_bytes <= sizeof(file));
    memcpy(file, &n, 8);
    memcpy(file + 8, header, n);
    if (data != NULL) {
        memcpy(file + 8 + n, data, data_bytes);
    } else {
        memset(file + 8 + n, 0, data_bytes);
    }
    return put(name, file, 8 + n + data_bytes);
}

static void test_round_trip(void **state)
{
    const safetensors_entry entries[] = {
        {"transformer.wte.weight", 2, {3, 2}},
        {"empty", 2, {0, 5}},
        {"transformer.h.0.ln_1.bias", 1, {4}},
        {"scalar", 0, {0}},
    };
    const float values[] = {1, 2, 3, 4, 5, 6, -1, -2, -3, -4, 0.5f};
    safetensors_writer *w = NULL;
    safetensors *s = NULL;
    float out[6];
    char path[128];
    (void)state;

    snprintf(path, sizeof(path), "%s", path_of("model.safetensors"));
    assert_int_equal(safetensors_create(path, entries, 4, &w), ST_OK);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(safetensors_write(w, values, 4), ST_OK);
    assert_int_equal(safetensors_write(w, values + 4, 7), ST_OK);
    assert_int_equal(safetensors_write(w, values, 1), ST_INTERNAL);
    assert_int_equal(safetensors_commit(&w), ST_OK);
    assert_null(w);

    assert_int_equal(safetensors_open(path, &s), ST_OK);
    assert_int_equal(safetensors_count(s), 4);
    assert_string_equal(safetensors_metadata(s, "format"), "pt");
    assert_null(safetensors_metadata(s, "other"));
    assert_string_equal(safetensors_at(s, 0)->name, "transformer.wte.weight");
    const safetensors_info *info =
        safetensors_find(s, "transformer.wte.weight");
    assert_non_null(info);
    assert_int_equal(info->dtype, SAFETENSORS_F32);
    assert_int_equal(info->n_dims, 2);
    assert_int_equal(info->dim[0], 3);
    assert_int_equal(info->dim[1], 2);
    assert_int_equal((uintptr_t)info->data % 4, 0);
    assert_int_equal(safetensors_read_all(info, 6, out), ST_OK);
    assert_memory_equal(out, values, 6 * sizeof(float));
    assert_int_equal(safetensors_read(info, 1, 2, out), ST_OK);
    assert_memory_equal(out, values + 2, 4 * sizeof(float));
    assert_int_equal(safetensors_read(info, 2, 2, out), ST_INTERNAL);
    assert_int_equal(safetensors_read(info, -1, 1, out), ST_INTERNAL);
    assert_int_equal(safetensors_read_all(info, 5, out), ST_BADFILE);
    info = safetensors_find(s, "scalar");
    assert_int_equal(safetensors_read_all(info, 1, out), ST_OK);
    assert_true(out[0] == 0.5f);
    info = safetensors_find(s, "empty");
    assert_int_equal(info->count, 0);
    assert_int_equal(safetensors_read_all(info, 0, out), ST_OK);
    assert_null(safetensors_find(s, "transformer.wte"));
    safetensors_close(s);

    /* A folder means the model in it. */
    assert_int_equal(safetensors_open(folder, &s), ST_OK);
    assert_int_equal(safetensors_count(s), 4);
    safetensors_close(s);
    assert_int_equal(unlink(path), 0);
}

static void test_writer_misuse(void **state)
{
    const safetensors_entry twice[] = {{"a", 1, {1}}, {"a", 1, {1}}};
    const safetensors_entry quoted[] = {{"a\"b", 1, {1}}};
    const safetensors_entry huge[] = {{"a", 2, {1LL << 40, 1LL << 40}}};
    const safetensors_entry one[] = {{"a", 1, {2}}};
    safetensors_writer *w = NULL;
    const float value = 1;
    char path[128];
    (void)state;

    snprintf(path, sizeof(path), "%s", path_of("bad.safetensors"));
    assert_int_equal(safetensors_create(path, twice, 2, &w), ST_INTERNAL);
    assert_int_equal(safetensors_create(path, quoted, 1, &w), ST_INTERNAL);
    assert_int_equal(safetensors_create(path, huge, 1, &w), ST_INTERNAL);
    assert_null(w);
    /* An unfinished file does not replace an older one. */
    put("bad.safetensors", "old", 3);
    assert_int_equal(safetensors_create(path, one, 1, &w), ST_OK);
    assert_int_equal(safetensors_write(w, &value, 1), ST_OK);
    assert_int_equal(safetensors_commit(&w), ST_INTERNAL);
    assert_null(w);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_size, 3);
    assert_int_equal(access(path_of("bad.safetensors.tmp"), F_OK), -1);
    assert_int_equal(safetensors_create(path_of("no/such/folder"), one, 1, &w),
                     ST_CANTCREATE);
    assert_int_equal(safetensors_create(folder, one, 1, &w), ST_CANTCREATE);
    safetensors_abandon(&w);
}

/* Two writers of one target: the second is told. */
static void test_writer_lock(void **state)
{
    const safetensors_entry none[] = {{"a", 1, {0}}};
    safetensors_writer *first = NULL, *second = NULL;
    char path[128];
    (void)state;

    snprintf(path, sizeof(path), "%s", path_of("lock.safetensors"));
    assert_int_equal(safetensors_create(path, none, 1, &first), ST_OK);
    assert_int_equal(safetensors_create(path, none, 1, &second), ST_LOCKED);
    assert_null(second);
    assert_int_equal(safetensors_commit(&first), ST_OK);
    assert_int_equal(safetensors_create(path, none, 1, &second), ST_OK);
    safetensors_abandon(&second);
    assert_int_equal(access(path, F_OK), 0);
}

/* In the place of libc's: a file system that takes nothing and says no error;
 * for who asks again and again, one at last. */
static int nothing_taken = -1;

ssize_t write(int fd, const void *data, size_t bytes)
{
    if (nothing_taken >= 0 && nothing_taken++ < 3) {
        return 0;
    }
    return syscall(SYS_write, fd, data, bytes);
}

static void test_nothing_taken(void **state)
{
    const safetensors_entry one[] = {{"a", 1, {1}}};
    safetensors_writer *w = NULL;
    (void)state;

    nothing_taken = 0;
    const status st =
        safetensors_create(path_of("none.safetensors"), one, 1, &w);
    nothing_taken = -1;
    assert_int_equal(st, ST_IO);
    has_text("none.safetensors: cannot be written: nothing was taken");
    assert_int_equal(access(path_of("none.safetensors"), F_OK), -1);
}

static void test_half_floats(void **state)
{
    const uint16_t half[] = {0x0000, 0x8000, 0x3c00, 0xc000, 0x7bff, 0x0400,
                             0x0001, 0x83ff, 0x7c00, 0xfc00, 0x7e00, 0x3555};
    const float expected[] = {0.0f,     -0.0f,     1.0f,     -2.0f,
                              65504.0f, 0x1p-14f,  0x1p-24f, -1023 * 0x1p-24f,
                              INFINITY, -INFINITY, NAN,      0x1.554p-2f};
    safetensors *s = NULL;
    float out[12];
    (void)state;

    /* A header of 63 bytes leaves the data at an odd address. */
    const char *path = put_tensors(
        "h.safetensors",
        "{\"a\":{\"dtype\":\"F16\",\"shape\":[12],\"data_offsets\":[0,24]}}  ",
        half, sizeof(half));
    assert_int_equal(safetensors_open(path, &s), ST_OK);
    assert_int_equal(safetensors_read_all(safetensors_find(s, "a"), 12, out),
                     ST_OK);
    for (int i = 0; i < 12; i++) {
        assert_true(isnan(expected[i]) ? isnan(out[i]) : out[i] == expected[i]);
        assert_int_equal(signbit(out[i]) != 0, signbit(expected[i]) != 0);
    }
    safetensors_close(s);
}

static void test_other_floats(void **state)
{
    uint8_t data[2 + 24 + 8];
    const uint16_t bf = 0xc049; /* -3.140625 */
    const double real[] = {0.1, -INFINITY, -1e300};
    safetensors *s = NULL;
    float out[2];
    (void)state;

    memcpy(data, &bf, 2);
    memcpy(data + 2, real, 24);
    memset(data + 26, 0, 8);
    const char *path = put_tensors(
        "o.safetensors",
        "{\"i\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[26,34]},"
        "\"b\":{\"dtype\":\"BF16\",\"shape\":[],\"data_offsets\":[0,2]},"
        "\"d\":{\"dtype\":\"F64\",\"shape\":[3,1],\"data_offsets\":[2,26]}}",
        data, sizeof(data));
    assert_int_equal(safetensors_open(path, &s), ST_OK);
    /* Listed by place, not by the order of the header. */
    assert_string_equal(safetensors_at(s, 0)->name, "b");
    assert_string_equal(safetensors_at(s, 2)->name, "i");
    assert_int_equal(safetensors_read_all(safetensors_at(s, 0), 1, out), ST_OK);
    assert_true(out[0] == -3.140625f);
    assert_int_equal(safetensors_read(safetensors_at(s, 1), 0, 2, out), ST_OK);
    assert_true(out[0] == 0.1f && out[1] == -INFINITY);
    /* No infinity of ours. */
    assert_int_equal(safetensors_read(safetensors_at(s, 1), 1, 2, out),
                     ST_BADFILE);
    assert_non_null(strstr(status_text(), "o.safetensors: d: holds -1e+300"));
    assert_int_equal(safetensors_read_all(safetensors_at(s, 2), 1, out),
                     ST_BADFILE);
    assert_non_null(strstr(status_text(), "dtype I64"));
    safetensors_close(s);
}

static void expect_refused(const char *path, const char *text)
{
    safetensors *s = NULL;
    const int64_t live = mem_live();
    const status st = safetensors_open(path, &s);

    if (st != ST_BADFILE || strstr(status_text(), text) == NULL) {
        fail_msg("%s: status %d, \"%s\", expected \"%s\"", path, st,
                 status_text(), text);
    }
    assert_null(s);
    assert_null(strchr(status_text(), '\n'));
    assert_non_null(strstr(status_text(), path));
    assert_int_equal(mem_live(), live);
}

/* One tensor `x` of 8 bytes of data with this entry. */
static void expect_entry_refused(const char *entry, const char *text)
{
    char header[1024];

    snprintf(header, sizeof(header), "{\"x\":%s}", entry);
    expect_refused(put_tensors("e.safetensors", header, NULL, 8), text);
}

static void test_hostile_entries(void **state)
{
    static const char *const cases[][2] = {
        {"{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,12]}", "span"},
        {"{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,12]}",
         "truncated"},
        {"{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}",
         "4 bytes follow the last"},
        {"{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}",
         "hole of 4 bytes before x"},
        {"{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}",
         "after its end"},
        {"{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[-8,0]}",
         "-8 is negative"},
        {"{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}",
         "-2 is negative"},
        {"{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],"
         "\"data_offsets\":[0,8]}",
         "overflows"},
        {"{\"dtype\":\"F32\",\"shape\":[4611686018427387906],"
         "\"data_offsets\":[0,8]}",
         "overflows"},
        {"{\"dtype\":\"F32\",\"shape\":[2],"
         "\"data_offsets\":[9223372036854775800,9223372036854775807]}",
         "span 7 bytes"},
        {"{\"dtype\":\"F32\",\"shape\":[18446744073709551618],"
         "\"data_offsets\":[0,8]}",
         "e.safetensors"},
        {"{\"dtype\":\"F32\",\"shape\":[2.0],\"data_offsets\":[0,8]}",
         "whole number"},
        {"{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8.0]}",
         "whole number"},
        {"{\"dtype\":\"F32\",\"shape\":[\"2\"],\"data_offsets\":[0,8]}",
         "whole number"},
        {"{\"dtype\":\"F32\",\"shape\":2,\"data_offsets\":[0,8]}", "list"},
        {"{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,2],"
         "\"data_offsets\":[0,8]}",
         "9 dimensions"},
        {"{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8,16]}",
         "[begin, end]"},
        {"{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":8}",
         "[begin, end]"},
        {"{\"dtype\":\"F33\",\"shape\":[2],\"data_offsets\":[0,8]}",
         "\"F33\" is not a dtype"},
        {"{\"dtype\":32,\"shape\":[2],\"data_offsets\":[0,8]}", "must be text"},
        {"{\"dtype\":\"F4\",\"shape\":[15],\"data_offsets\":[0,8]}",
         "whole number of bytes"},
        {"{\"shape\":[2],\"data_offsets\":[0,8]}", "dtype is missing"},
        {"{\"dtype\":\"F32\",\"data_offsets\":[0,8]}", "shape is missing"},
        {"{\"dtype\":\"F32\",\"shape\":[2]}", "data_offsets is missing"},
        {"{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8],\"z\":1}",
         "unknown key"},
        {"{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[2],"
         "\"data_offsets\":[0,8]}",
         "duplicate"},
        {"[1,2]", "must be an object"},
        {"null", "must be an object"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        expect_entry_refused(cases[i][0], cases[i][1]);
    }
}

#define ENTRY(name, begin, end)                                                \
    "\"" name "\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[" #begin   \
    "," #end "]}"

static void test_hostile_headers(void **state)
{
    static const struct {
        const char *header;
        const char *text;
        size_t data_bytes;
    } cases[] = {
        {"{" ENTRY("a", 0, 4) "," ENTRY("b", 2, 6) "}", "overlap", 6},
        {"{" ENTRY("a", 0, 4) "," ENTRY("b", 0, 4) "}", "b overlaps a", 4},
        {"{" ENTRY("a", 0, 4) "," ENTRY("b", 6, 10) "}", "hole of 2", 10},
        {"{" ENTRY("a", 0, 4) "," ENTRY("a", 4, 8) "}", "duplicate", 8},
        {"{" ENTRY("a", 0, 4) "}{}", "end of file expected", 4},
        {"{" ENTRY("a", 0, 4), "end of file", 4},
        {" {" ENTRY("a", 0, 4) "}", "begin with '{'", 4},
        {"[]", "begin with '{'", 0},
        {"{", "begin with '{'", 0},
        {"", "begin with '{'", 0},
        {"{\"\xff\":1}", "unable to decode", 0},
        {"{\"__metadata__\":{\"format\":1}}", "must be text", 0},
        {"{\"__metadata__\":[]}", "must be an object", 0},
        {"{\"__metadata__\":{\"a\":\"b\",\"a\":\"c\"}}", "duplicate", 0},
        {"{}", "3 bytes follow", 3},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        expect_refused(put_tensors("h.safetensors", cases[i].header, NULL,
                                   cases[i].data_bytes),
                       cases[i].text);
    }
}

static void test_hostile_lengths(void **state)
{
    static char deep[60001];
    const uint64_t huge = 100000001, all = UINT64_MAX, beyond = 100;
    uint8_t file[16] = {0};
    (void)state;

    expect_refused(put("l.safetensors", "", 0), "is empty");
    expect_refused(put("l.safetensors", "1234567", 7), "too few");
    memcpy(file, &huge, 8);
    expect_refused(put("l.safetensors", file, 16), "at most 100000000");
    memcpy(file, &all, 8);
    expect_refused(put("l.safetensors", file, 16), "at most 100000000");
    memcpy(file, &beyond, 8);
    expect_refused(put("l.safetensors", file, 16), "is truncated");
    expect_refused(put("l.safetensors", "PK\003\004 zip file....", 18),
                   "not a safetensors file");
    /* Nesting that would overflow the stack of a recursive parser. */
    memset(deep, '[', 60000);
    memcpy(deep, "{\"x\":", 5);
    expect_refused(put_tensors("l.safetensors", deep, NULL, 0),
                   "l.safetensors");
}

static void test_missing(void **state)
{
    safetensors *s = NULL;
    char empty[128];
    (void)state;

    assert_int_equal(safetensors_open(path_of("none"), &s), ST_NOINPUT);
    snprintf(empty, sizeof(empty), "%s", path_of("empty"));
    assert_int_equal(mkdir(empty, 0777), 0);
    assert_int_equal(safetensors_open(empty, &s), ST_NOINPUT);
    assert_non_null(strstr(status_text(), "model.safetensors.index.json"));
    assert_null(s);
}

/* A pickle is named as what it is, whole or in shards, and left alone. */
static void test_pickles(void **state)
{
    static const char *const names[] = {"pickle/pytorch_model.bin",
                                        "pickle/pytorch_model.bin.index.json"};
    safetensors *s = NULL;
    char dir[128];
    (void)state;

    snprintf(dir, sizeof(dir), "%s", path_of("pickle"));
    assert_int_equal(mkdir(dir, 0777), 0);
    for (int i = 0; i < 2; i++) {
        put(names[i], "\x80\x02}q", 4);
        assert_int_equal(safetensors_open(dir, &s), ST_BADFILE);
        assert_non_null(strstr(status_text(), text_path_base(names[i])));
        assert_non_null(strstr(status_text(), "Python pickle"));
        unlink(path_of(names[i]));
    }
    assert_null(s);
}

/* Buffers of old files: any type of the format may be there unread. */
static void test_types_not_needed(void **state)
{
    safetensors *s = NULL;
    (void)state;

    const char *path = put_tensors(
        "t.safetensors",
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
        "\"m\":{\"dtype\":\"BOOL\",\"shape\":[1,2],\"data_offsets\":[4,6]},"
        "\"f\":{\"dtype\":\"F8_E4M3\",\"shape\":[2],\"data_offsets\":[6,8]},"
        "\"e\":{\"dtype\":\"F4\",\"shape\":[0],\"data_offsets\":[8,8]}}",
        NULL, 8);
    float out[2];
    assert_int_equal(safetensors_open(path, &s), ST_OK);
    assert_int_equal(safetensors_count(s), 4);
    assert_int_equal(safetensors_files(s), 1);
    assert_int_equal(safetensors_read_all(safetensors_find(s, "w"), 1, out),
                     ST_OK);
    assert_int_equal(safetensors_read_all(safetensors_find(s, "f"), 2, out),
                     ST_BADFILE);
    safetensors_close(s);
}

static const char *put_index(const char *map)
{
    char text[1024];
    const int bytes = snprintf(text, sizeof(text),
                               "{\"metadata\":{\"total_size\":12},"
                               "\"weight_map\":%s}",
                               map);

    return put("model.safetensors.index.json", text, (size_t)bytes);
}

static void test_shards(void **state)
{
    const char *one = "model-00001-of-00002.safetensors";
    const char *two = "model-00002-of-00002.safetensors";
    safetensors *s = NULL;
    (void)state;

    put_tensors(one, "{" ENTRY("b", 0, 4) "," ENTRY("a", 4, 8) "}", "BBBBAAAA",
                8);
    put_tensors(two, "{" ENTRY("c", 0, 4) "}", "CCCC", 4);
    put_index("{\"a\":\"model-00001-of-00002.safetensors\","
              "\"b\":\"model-00001-of-00002.safetensors\","
              "\"c\":\"model-00002-of-00002.safetensors\"}");
    assert_int_equal(safetensors_open(folder, &s), ST_OK);
    assert_int_equal(safetensors_count(s), 3);
    assert_string_equal(safetensors_at(s, 0)->name, "b");
    assert_string_equal(safetensors_at(s, 1)->name, "a");
    assert_memory_equal(safetensors_find(s, "a")->data, "AAAA", 4);
    assert_memory_equal(safetensors_find(s, "c")->data, "CCCC", 4);
    assert_non_null(strstr(safetensors_find(s, "c")->path, two));
    safetensors_close(s);

    /* What the index does not list is passed over. */
    assert_int_equal(
        safetensors_open(
            put_index("{\"a\":\"model-00001-of-00002.safetensors\"}"), &s),
        ST_OK);
    assert_int_equal(safetensors_count(s), 1);
    assert_null(safetensors_find(s, "b"));
    safetensors_close(s);
}

static void test_hostile_index(void **state)
{
    safetensors *s = NULL;
    (void)state;

    put_tensors("one.safetensors", "{" ENTRY("a", 0, 4) "}", NULL, 4);
    expect_refused(put_index("{\"a\":\"../one.safetensors\"}"), "not the name");
    expect_refused(put_index("{\"a\":\"/etc/passwd\"}"), "not the name");
    expect_refused(put_index("{\"a\":\".safetensors\"}"), "not the name");
    expect_refused(put_index("{\"a\":\"one.bin\"}"), "not the name");
    expect_refused(put_index("{\"a\":1}"), "file name");
    expect_refused(put_index("{\"a\":\"x/../one.safetensors\"}"),
                   "not the name");
    expect_refused(put_index("{\"a\":\"one.safetensors\\u0000\"}"), "NUL");
    expect_refused(put_index("{\"a\":\"one.safetensors\","
                             "\"a\":\"one.safetensors\"}"),
                   "duplicate");
    expect_refused(put_index("[]"), "must be an object");
    expect_refused(put_index("{\"z\":\"one.safetensors\"}"),
                   "weight_map.z: the tensor is not in the file");
    expect_refused(put("x.index.json", "{}", 2), "weight_map is missing");
    expect_refused(put("x.index.json", "[]", 2), "weight_map is missing");
    expect_refused(put("x.index.json", "{", 1), "x.index.json");
    assert_int_equal(
        safetensors_open(put_index("{\"a\":\"gone.safetensors\"}"), &s),
        ST_NOINPUT);
    assert_null(s);
}

/* Any single changed byte of the header is refused or read without harm. */
static void test_flipped_bytes(void **state)
{
    static const char header[] = "{\"__metadata__\":{\"format\":\"pt\"}," ENTRY(
        "a", 0, 4) "," ENTRY("b", 4, 8) "}";
    const size_t bytes = 8 + sizeof(header) - 1 + 8;
    uint8_t file[512];
    int refused = 0;
    (void)state;

    for (size_t at = 0; at < bytes - 8; at++) {
        for (int bit = 0; bit < 8; bit++) {
            const uint64_t n = sizeof(header) - 1;
            safetensors *s = NULL;
            memset(file, 0, sizeof(file));
            memcpy(file, &n, 8);
            memcpy(file + 8, header, n);
            file[at] ^= (uint8_t)(1 << bit);
            const char *path = put("f.safetensors", file, bytes);
            if (safetensors_open(path, &s) != ST_OK) {
                refused++;
                continue;
            }
            for (int64_t i = 0; i < safetensors_count(s); i++) {
                const safetensors_info *info = safetensors_at(s, i);
                int sum = 0;
                for (int64_t k = 0; k < info->bytes; k++) {
                    sum += info->data[k];
                }
                assert_int_equal(sum, 0);
            }
            safetensors_close(s);
        }
    }
    assert_true(refused > 500);
}

/* Each allocation fails once: an error, nothing leaked. (The JSON library
 * reports some of them as syntax errors, so the code is not checked.) */
static void test_memory(void **state)
{
    safetensors *s = NULL;
    const char *path =
        put_tensors("m.safetensors", "{" ENTRY("a", 0, 4) "}", NULL, 4);
    const int64_t live = mem_live();
    int n = 0;
    (void)state;

    do {
        mem_fail_after(++n);
        const status st = safetensors_open(path, &s);
        mem_fail_after(0);
        assert_true((st == ST_OK) == (s != NULL));
        assert_true(s != NULL || mem_live() == live);
    } while (s == NULL && n < 1000);
    assert_true(n > 5);
    safetensors_close(s);
    safetensors_close(NULL);
    assert_int_equal(mem_live(), live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_writer_misuse),
        cmocka_unit_test(test_writer_lock),
        cmocka_unit_test(test_nothing_taken),
        cmocka_unit_test(test_half_floats),
        cmocka_unit_test(test_other_floats),
        cmocka_unit_test(test_hostile_entries),
        cmocka_unit_test(test_hostile_headers),
        cmocka_unit_test(test_hostile_lengths),
        cmocka_unit_test(test_missing),
        cmocka_unit_test(test_pickles),
        cmocka_unit_test(test_types_not_needed),
        cmocka_unit_test(test_shards),
        cmocka_unit_test(test_hostile_index),
        cmocka_unit_test(test_flipped_bytes),
        cmocka_unit_test(test_memory),
    };

    return cmocka_run_group_tests(tests, make_folder, wipe_folder) != 0;
}
