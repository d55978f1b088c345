/*
 * Conversion back to Hugging Face: folder -> checkpoint -> folder has the
 * same tensors bit for bit, checkpoint -> folder -> checkpoint the same
 * weights, in one file or in shards; a failure leaves nothing. Run from the top
 * of the repository.
 */
#define _GNU_SOURCE /* memmem */
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "runtime/base/json.h"
#include "runtime/base/stop.h"
#include "runtime/base/text.h"
#include "runtime/gpt/arch.h"
#include "runtime/gpt/params.h"
#include "runtime/io/h5.h"
#include "runtime/io/safetensors.h"
#include "runtime/results/checkpoint.h"
#include "runtime/results/convert.h"
#include "tests/common/scratch.h"

enum { WHOLE = 1 << 30 };

static bool is_there(const char *name)
{
    return text_path_exists(path_of(name));
}

static void drop_all(void)
{
    char command[128];

    snprintf(command, sizeof(command), "rm -rf '%s'/*", folder);
    assert_int_equal(system(command), 0);
}

static const char *const goldens[] = {
    "tests/golden/gpt2_three_heads",
    "tests/golden/gpt_neo_local",
    "tests/golden/gpt_neo_odd_heads_untied",
    "tests/golden/gpt_neo_odd_inner",
    "tests/golden/gpt_neox_partial_rotary",
    "tests/golden/gptj_full_rotary",
    "tests/golden/gptj_one_head_tied",
    "tests/golden/gptj_partial_rotary",
    "tests/golden/gpt2_exact_untied",
    "tests/golden/gpt_neox_sequential_tied",
};
enum { GOLDENS = sizeof(goldens) / sizeof(goldens[0]) };

/* ---- round trips --------------------------------------------------------- */

/* The older name of the head, which published files have. */
static const safetensors_info *published(const safetensors *s, const char *name)
{
    const safetensors_info *found = safetensors_find(s, name);

    return found == NULL && strcmp(name, "lm_head.weight") == 0
               ? safetensors_find(s, "embed_out.weight")
               : found;
}

static void same_folders(const char *one, const char *two)
{
    safetensors *a = NULL, *b = NULL;

    OK(safetensors_open(one, &a));
    OK(safetensors_open(two, &b));
    assert_int_equal(safetensors_count(a), safetensors_count(b));
    assert_string_equal(safetensors_metadata(b, "format"), "pt");
    for (int64_t i = 0; i < safetensors_count(a); i++) {
        const safetensors_info *want = safetensors_at(a, i);
        const safetensors_info *have = published(b, want->name);
        assert_non_null(have);
        assert_int_equal(have->dtype, SAFETENSORS_F32);
        assert_int_equal(have->n_dims, want->n_dims);
        assert_memory_equal(have->dim, want->dim,
                            (size_t)want->n_dims * sizeof(want->dim[0]));
        assert_memory_equal(have->data, want->data, (size_t)want->bytes);
    }
    safetensors_close(a);
    safetensors_close(b);
}

static void same_weights(const char *one, const char *two)
{
    h5_file *a = NULL, *b = NULL;
    int64_t count = 0, other = 0;

    OK(h5_open(one, &a));
    OK(h5_open(two, &b));
    OK(h5_group_count(a, "/weights", &count));
    OK(h5_group_count(b, "/weights", &other));
    assert_int_equal(count, other);
    for (int64_t i = 0; i < count; i++) {
        char name[H5_NAME_SIZE];
        char path[H5_NAME_SIZE + 16];
        h5_info info;
        float *x = NULL, *y = NULL;
        int64_t n = 1;
        OK(h5_group_member(a, "/weights", i, name));
        snprintf(path, sizeof(path), "/weights/%s", name);
        OK(h5_data_info(a, path, &info));
        OK(h5_data_check(b, path, H5_KIND_FLOAT, info.n_dims, info.dim));
        for (int d = 0; d < info.n_dims; d++) {
            n *= info.dim[d];
        }
        OK(MEM_NEW(&x, n, "test"));
        OK(MEM_NEW(&y, n, "test"));
        OK(h5_data_read_all(a, path, H5_F32, n, x));
        OK(h5_data_read_all(b, path, H5_F32, n, y));
        assert_memory_equal(x, y, (size_t)n * sizeof(float));
        mem_free(x);
        mem_free(y);
    }
    OK(h5_close(&a));
    OK(h5_close(&b));
}

/* golden -> a.h5 -> hf -> b.h5. */
static void round_trip(const char *golden, int64_t shard_bytes, int64_t shards)
{
    convert_summary read, written;
    arch a, b;

    OK(convert_from_hf(golden, path_of("a.h5"), &read));
    assert_int_equal(read.widened, 0);
    assert_int_equal(read.rounded, 0);
    OK(convert_to_hf(path_of("a.h5"), path_of("hf"), shard_bytes, &written));
    assert_int_equal(written.tensors, read.tensors);
    assert_int_equal(written.parameters, read.parameters);
    if (shards > 0) {
        assert_int_equal(written.shards, shards);
    } else {
        assert_true(written.shards > 1);
    }
    same_folders(golden, path_of("hf"));
    OK(convert_from_hf(path_of("hf"), path_of("b.h5"), &read));
    assert_int_equal(read.shards, written.shards);
    same_weights(path_of("a.h5"), path_of("b.h5"));
    OK(arch_open(golden, &a));
    OK(arch_open(path_of("hf"), &b));
    assert_true(arch_hash(&a) == arch_hash(&b));
    assert_false(is_there("hf.tmp"));
}

static void test_round_trips(void **state)
{
    (void)state;
    for (int i = 0; i < GOLDENS; i++) {
        round_trip(goldens[i], WHOLE, 1);
        assert_true(is_there("hf/model.safetensors"));
        assert_false(is_there("hf/model.safetensors.index.json"));
        drop_all();
        round_trip(goldens[i], 6000, 0);
        assert_false(is_there("hf/model.safetensors"));
        assert_true(is_there("hf/model.safetensors.index.json"));
        drop_all();
    }
}

/* No file has more than it may, but for a tensor that is larger alone; the
 * index says the size of all. */
static void test_shard_sizes(void **state)
{
    static const int64_t most = 7000;
    const char *golden = goldens[0];
    json_doc *doc = NULL;
    json_val meta;
    convert_summary said;
    int64_t total = 0, all = 0;
    int larger = 0;
    (void)state;

    OK(convert_from_hf(golden, path_of("a.h5"), NULL));
    OK(convert_to_hf(path_of("a.h5"), path_of("hf"), most, &said));
    for (int64_t k = 0; k < said.shards; k++) {
        char name[64];
        safetensors *s = NULL;
        int64_t bytes = 0;
        snprintf(name, sizeof(name), "hf/model-%05d-of-%05d.safetensors",
                 (int)k + 1, (int)said.shards);
        OK(safetensors_open(path_of(name), &s));
        for (int64_t i = 0; i < safetensors_count(s); i++) {
            bytes += safetensors_at(s, i)->bytes;
        }
        assert_true(bytes <= most || safetensors_count(s) == 1);
        larger += bytes > most;
        all += bytes;
        safetensors_close(s);
    }
    assert_true(larger > 0); /* 24 x 96 floats are 9216 bytes */
    OK(json_open(path_of("hf/model.safetensors.index.json"), &doc));
    OK(json_get(json_root(doc), "metadata", &meta));
    OK(json_get_i64(meta, "total_size", 0, INT64_MAX, &total));
    assert_int_equal(total, all);
    assert_int_equal(total, said.parameters * 4);
    json_close(doc);
    drop_all();
}

/* ---- names --------------------------------------------------------------- */

/* transformers 4 calls the head of this family embed_out, 5 takes both. */
static void test_published_head(void **state)
{
    safetensors *s = NULL;
    (void)state;

    OK(convert_from_hf("tests/golden/gpt_neox_partial_rotary", path_of("a.h5"),
                       NULL));
    OK(convert_to_hf(path_of("a.h5"), path_of("hf"), WHOLE, NULL));
    OK(safetensors_open(path_of("hf"), &s));
    assert_non_null(safetensors_find(s, "embed_out.weight"));
    assert_null(safetensors_find(s, "lm_head.weight"));
    safetensors_close(s);
    drop_all();
}

/* ---- refusals ------------------------------------------------------------ */

static void expect(status want, const char *ckpt, const char *dir,
                   int64_t shard_bytes, const char *part)
{
    const status st =
        convert_to_hf(path_of(ckpt), path_of(dir), shard_bytes, NULL);

    if (st != want) {
        fail_msg("status %d, \"%s\"", (int)st, status_text());
    }
    has_text(part);
}

static void test_refused(void **state)
{
    (void)state;
    OK(convert_from_hf(goldens[0], path_of("a.h5"), NULL));
    expect(ST_NOINPUT, "none.h5", "hf", WHOLE, "none.h5");
    expect(ST_CANTCREATE, "a.h5", "a.h5", WHOLE, "is not a folder");
    expect(ST_CANTCREATE, "a.h5", "no/hf", WHOLE, "no/hf.tmp");
    OK(text_make_dirs(path_of("hf")));
    OK(text_write_file(path_of("hf/mine"), "x", 1));
    expect(ST_CANTCREATE, "a.h5", "hf", WHOLE, "is not empty");
    assert_true(is_there("hf/mine"));
    OK(text_make_dirs(path_of("empty")));
    expect(ST_CANTCREATE, "a.h5", "empty/.", WHOLE, "no folder's own name");
    assert_int_equal(symlink("empty", path_of("link")), 0);
    expect(ST_CANTCREATE, "a.h5", "link", WHOLE, "is a symbolic link");
    assert_int_equal(unlink(path_of("link")), 0);
    assert_int_equal(convert_to_hf(path_of("a.h5"), "/proc", WHOLE, NULL),
                     ST_CANTCREATE);
    assert_non_null(strstr(status_text(), "a mounted file system"));
    OK(text_make_dirs(path_of("new.tmp")));
    OK(text_write_file(path_of("new.tmp/config.json"), "x", 1));
    expect(ST_CANTCREATE, "a.h5", "new", WHOLE, "holds config.json");
    assert_true(is_there("new.tmp/config.json"));
    assert_int_equal(convert_to_hf(path_of("a.h5"), "-", WHOLE, NULL),
                     ST_USAGE);
    /* An empty folder that is there keeps its mode. */
    struct stat info;
    assert_int_equal(chmod(path_of("empty"), 0710), 0);
    OK(convert_to_hf(path_of("a.h5"), path_of("empty"), WHOLE, NULL));
    assert_int_equal(stat(path_of("empty"), &info), 0);
    assert_int_equal(info.st_mode & 07777, 0710);
    OK(text_write_file(path_of("x.h5"), "not HDF5", 8));
    expect(ST_BADFILE, "x.h5", "other", WHOLE, "x.h5");
    assert_false(is_there("other"));
    assert_false(is_there("other.tmp"));
    drop_all();
}

/* What a killed run left is taken over, what another one is filling is not,
 * nor is what has files of others. */
static void test_left_over(void **state)
{
    (void)state;
    OK(convert_from_hf(goldens[0], path_of("a.h5"), NULL));
    OK(text_make_dirs(path_of("hf.tmp")));
    OK(text_write_file(path_of("hf.tmp/weft-unfinished"), "x", 1));
    OK(text_write_file(path_of("hf.tmp/model.safetensors"), "x", 1));
    OK(text_write_file(path_of("hf.tmp/model-00001-of-00002.safetensors.tmp"),
                       "x", 1));
    const int fd = open(path_of("hf.tmp"), O_RDONLY | O_DIRECTORY);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    expect(ST_LOCKED, "a.h5", "hf", WHOLE, "another run is writing it");
    assert_int_equal(close(fd), 0);
    OK(text_write_file(path_of("hf.tmp/mine"), "x", 1));
    expect(ST_CANTCREATE, "a.h5", "hf", WHOLE, "holds mine");
    assert_true(is_there("hf.tmp/model.safetensors"));
    assert_int_equal(unlink(path_of("hf.tmp/mine")), 0);
    OK(convert_to_hf(path_of("a.h5"), path_of("hf"), WHOLE, NULL));
    same_folders(goldens[0], path_of("hf"));
    assert_false(is_there("hf/weft-unfinished"));
    assert_false(is_there("hf.tmp"));
    drop_all();
}

/* A signal ends both conversions in order; in a process of its own, which
 * stays stopped. */
static void test_stopped(void **state)
{
    int code = 0;
    (void)state;
    OK(convert_from_hf(goldens[0], path_of("a.h5"), NULL));
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        stop_catch();
        raise(SIGTERM);
        const bool right =
            convert_to_hf(path_of("a.h5"), path_of("hf"), WHOLE, NULL) ==
                ST_SIGNAL &&
            convert_from_hf(goldens[0], path_of("b.h5"), NULL) == ST_SIGNAL &&
            strstr(status_text(), "stopped by a signal (Terminated)") != NULL;
        _exit(right ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &code, 0), child);
    assert_int_equal(code, 0);
    assert_false(is_there("hf"));
    assert_false(is_there("hf.tmp"));
    assert_false(is_there("b.h5"));
    assert_false(is_there("b.h5.tmp"));
    drop_all();
}

/* An empty folder is filled, also where the name ends in a slash. */
static void test_empty_folder(void **state)
{
    (void)state;
    OK(convert_from_hf(goldens[0], path_of("a.h5"), NULL));
    OK(text_make_dirs(path_of("hf")));
    OK(convert_to_hf(path_of("a.h5"), path_of("hf/"), WHOLE, NULL));
    same_folders(goldens[0], path_of("hf"));
    drop_all();
}

/* A changed value of the last tensor: found after others were written. */
static void test_broken_checksum(void **state)
{
    char *file = NULL;
    size_t len = 0;
    safetensors *s = NULL;
    (void)state;

    OK(convert_from_hf(goldens[0], path_of("a.h5"), NULL));
    OK(safetensors_open(goldens[0], &s));
    const safetensors_info *last =
        safetensors_find(s, "transformer.ln_f.weight");
    OK(text_read_file(path_of("a.h5"), 1 << 22, &file, &len));
    char *at = memmem(file, len, last->data, (size_t)last->bytes);
    assert_non_null(at);
    at[5] ^= 1;
    OK(text_write_file(path_of("a.h5"), file, len));
    mem_free(file);
    safetensors_close(s);
    OK(text_make_dirs(path_of("hf")));
    expect(ST_CORRUPT, "a.h5", "hf", 6000, "transformer.ln_f.weight");
    assert_true(is_there("hf"));
    assert_false(is_there("hf/config.json"));
    assert_false(is_there("hf.tmp"));
    drop_all();
}

/* Each allocation fails once: an error, nothing left, nothing leaked. */
static void test_memory(void **state)
{
    const int64_t live = mem_live();
    status st = ST_SYSTEM;
    int n = 0;
    (void)state;

    OK(convert_from_hf("tests/golden/gptj_one_head_tied", path_of("a.h5"),
                       NULL));
    while (st != ST_OK && n < 20000) {
        n += n < 200 ? 1 : 37;
        mem_fail_after(n);
        st = convert_to_hf(path_of("a.h5"), path_of("hf"), 4096, NULL);
        mem_fail_after(0);
        assert_int_equal(mem_live(), live);
        assert_false(is_there("hf.tmp"));
        assert_true((st == ST_OK) == is_there("hf"));
    }
    assert_int_equal(st, ST_OK);
    assert_true(n > 100);
    drop_all();
}

/* ---- 16 and 64 bits
 * ------------------------------------------------------------- */

/* The value at `from` as BF16: cut, so that it widens to known bits. */
static void add_bf16(strbuf *b, const uint8_t *from)
{
    strbuf_add_bytes(b, from + 2, 2); /* upper half */
}

/* As F64, times `factor`. */
static void add_f64(strbuf *b, const uint8_t *from, double factor)
{
    float value;

    memcpy(&value, from, sizeof(value));
    const double wide = value * factor;
    strbuf_add_bytes(b, &wide, sizeof(wide));
}

/* The golden's tensors as `bytes` (2 or 8) a value, as folder `typed`; of 8
 * the last is multiplied by `factor`. */
static void put_typed(const char *golden, int bytes, double factor)
{
    safetensors *s = NULL;
    strbuf head = {0}, data = {0}, file = {0};
    char path[160];
    char *config = NULL;
    size_t len = 0;

    OK(safetensors_open(golden, &s));
    for (int64_t i = 0; i < safetensors_count(s); i++) {
        const safetensors_info *t = safetensors_at(s, i);
        strbuf_printf(&head, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[",
                      i > 0 ? "," : "{", t->name, bytes == 2 ? "BF16" : "F64");
        for (int d = 0; d < t->n_dims; d++) {
            strbuf_printf(&head, "%s%lld", d > 0 ? "," : "",
                          (long long)t->dim[d]);
        }
        strbuf_printf(&head, "],\"data_offsets\":[%zu,%zu]}", data.len,
                      data.len + (size_t)(t->count * bytes));
        for (int64_t k = 0; k < t->count; k++) {
            const bool last =
                i == safetensors_count(s) - 1 && k == t->count - 1;
            if (bytes == 2) {
                add_bf16(&data, t->data + 4 * k);
            } else {
                add_f64(&data, t->data + 4 * k, last ? factor : 1);
            }
        }
    }
    strbuf_add(&head, "}");
    const uint64_t n = head.len;
    strbuf_add_bytes(&file, &n, 8);
    strbuf_add_bytes(&file, head.text, head.len);
    strbuf_add_bytes(&file, data.text, data.len);
    OK(strbuf_check(&file));
    OK(text_make_dirs(path_of("typed")));
    OK(text_write_file(path_of("typed/model.safetensors"), file.text,
                       file.len));
    snprintf(path, sizeof(path), "%s/config.json", golden);
    OK(text_read_file(path, 1 << 20, &config, &len));
    OK(text_write_file(path_of("typed/config.json"), config, len));
    mem_free(config);
    strbuf_fini(&head);
    strbuf_fini(&data);
    strbuf_fini(&file);
    safetensors_close(s);
}

static void test_bf16(void **state)
{
    safetensors *in = NULL, *out = NULL;
    convert_summary said;
    (void)state;

    put_typed(goldens[0], 2, 1);
    OK(convert_from_hf(path_of("typed"), path_of("a.h5"), &said));
    assert_int_equal(said.widened, said.tensors);
    OK(convert_to_hf(path_of("a.h5"), path_of("hf"), WHOLE, NULL));
    OK(safetensors_open(goldens[0], &in));
    OK(safetensors_open(path_of("hf"), &out));
    for (int64_t i = 0; i < safetensors_count(in); i++) {
        const safetensors_info *t = safetensors_at(in, i);
        const safetensors_info *u = safetensors_find(out, t->name);
        for (int64_t k = 0; k < t->count; k++) {
            assert_memory_equal(u->data + 4 * k + 2, t->data + 4 * k + 2, 2);
            assert_memory_equal(u->data + 4 * k, "\0\0", 2);
        }
    }
    safetensors_close(in);
    safetensors_close(out);
    drop_all();
}

/* Doubles are rounded, but not to infinity. */
static void test_f64(void **state)
{
    convert_summary said;
    (void)state;

    put_typed(goldens[0], 8, 1);
    OK(convert_from_hf(path_of("typed"), path_of("a.h5"), &said));
    assert_int_equal(said.rounded, said.tensors);
    assert_int_equal(said.widened, 0);
    OK(convert_to_hf(path_of("a.h5"), path_of("hf"), WHOLE, NULL));
    same_folders(goldens[0], path_of("hf"));
    drop_all();
    put_typed(goldens[0], 8, 1e300);
    assert_int_equal(convert_from_hf(path_of("typed"), path_of("a.h5"), &said),
                     ST_BADFILE);
    has_text("typed/model.safetensors: transformer.");
    has_text("float32 ends at 3.4e38");
    assert_false(is_there("a.h5"));
    assert_false(is_there("a.h5.tmp"));
    drop_all();
}

/* ---- frame --------------------------------------------------------------- */

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_shard_sizes),
        cmocka_unit_test(test_published_head),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_left_over),
        cmocka_unit_test(test_stopped),
        cmocka_unit_test(test_empty_folder),
        cmocka_unit_test(test_broken_checksum),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_f64),
    };

    return cmocka_run_group_tests(tests, make_folder, drop_folder) != 0;
}
