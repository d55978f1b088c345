/*
 * Checkpoints gone wrong: damaged, foreign and wrong files are refused with a
 * reason; a failed save leaves the older file alone. Run from the top of the
 * repository.
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "runtime/base/hash.h"
#include "runtime/io/h5.h"
#include "runtime/io/seal.h"
#include "tests/unit/checkpoint_make.h"

/* ---- damage -------------------------------------------------------------- */

static void flip_byte(const char *path, int64_t at)
{
    uint8_t byte = 0;
    const int fd = open(path, O_RDWR);

    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    assert_int_equal(close(fd), 0);
}

static void test_flipped_bit(void **state)
{
    model m;
    h5_file *f = NULL;
    int64_t at = 0;
    static const char name[] = "/adam_m/transformer.wpe.weight";
    (void)state;

    make("a.h5", "gpt-neo-tiny", 0);
    OK(h5_open(path_of("a.h5"), &f));
    OK(h5_data_offset(f, name, &at));
    OK(h5_close(&f));
    flip_byte(path_of("a.h5"), at + 1000);
    model_init(&m, "gpt-neo-tiny", 0);
    OK(load(&m, path_of("a.h5"), CKPT_WEIGHTS));
    assert_int_equal(load(&m, path_of("a.h5"), CKPT_ALL), ST_CORRUPT);
    has_text(name);
    assert_int_equal(m.got[STORE_WEIGHT], m.ps.n);
    assert_int_equal(m.got[STORE_M],
                     params_find(&m.ps, -1, PARAM_WPE)); /* those before it */
    assert_int_equal(m.wrong, 0);
    model_fini(&m);
}

/* A file of one attribute replaced must be refused with a reason. */
static void test_wrong_attributes(void **state)
{
    static const struct {
        const char *name;
        const char *text;
        status st;
        const char *reason;
    } cases[] = {
        {"format", "weft-run", ST_BADFILE, "is a weft-run, not a weft-check"},
        {"format", "", ST_BADFILE, "no file of Weft's"},
        {"format_version", "2.0", ST_BADFILE, "this program reads 1.x"},
        {"format_version", "new", ST_BADFILE, "format_version is \"new\""},
        {"sums", "good", ST_BADFILE, "allowed is exact, fast"},
        {"arch_hash", "12", ST_BADFILE, "arch_hash is \"12\""},
        {"step", "7", ST_BADFILE, "step"},
    };
    model m;
    (void)state;

    model_init(&m, "gpt-neo-tiny", 1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        h5_file *f = NULL;
        make("a.h5", "gpt-neo-tiny", 1);
        OK(h5_live_open(path_of("a.h5"), &f));
        OK(h5_attr_set_text(f, "/", cases[i].name, cases[i].text));
        OK(h5_close(&f));
        assert_int_equal(load(&m, path_of("a.h5"), CKPT_ALL), cases[i].st);
        has_text(cases[i].reason);
        assert_int_equal(m.got[STORE_WEIGHT], 0);
    }
    h5_file *f = NULL;
    make("a.h5", "gpt-neo-tiny", 1);
    OK(h5_live_open(path_of("a.h5"), &f));
    OK(h5_attr_set_i64(f, "/", "layers", -3));
    OK(h5_close(&f));
    assert_int_equal(load(&m, path_of("a.h5"), CKPT_ALL), ST_BADFILE);
    has_text("layers is -3");
    model_fini(&m);
}

static void test_wrong_files(void **state)
{
    model m;
    ckpt_info info;
    h5_file *f = NULL;
    int64_t was = -1;
    (void)state;

    model_init(&m, "gpt-neo-tiny", 1);
    assert_int_equal(ckpt_peek(path_of("none.h5"), &info), ST_NOINPUT);
    assert_int_equal(ckpt_peek("Makefile", &info), ST_BADFILE);
    has_text("is not an HDF5 file");
    make("a.h5", "gpt-neo-tiny", 1);
    const int fd = open(path_of("a.h5"), O_RDONLY);
    OK(seal_check(fd, path_of("a.h5"), &was));
    assert_int_equal(close(fd), 0);
    assert_int_equal(truncate(path_of("a.h5"), was - 1), 0);
    assert_int_equal(load(&m, path_of("a.h5"), CKPT_ALL), ST_BADFILE);
    has_text("truncated");
    assert_int_equal(truncate(path_of("a.h5"), was / 2), 0);
    assert_int_equal(ckpt_peek(path_of("a.h5"), &info), ST_BADFILE);

    /* A tensor too many, one too few, one of another shape. */
    make("a.h5", "gpt-neo-tiny", 1);
    OK(h5_live_open(path_of("a.h5"), &f));
    OK(h5_data_put(f, "/adam_v/extra", H5_F32, 1, (const int64_t[]){1},
                   (const float[]){1}));
    OK(h5_close(&f));
    OK(load(&m, path_of("a.h5"), CKPT_WEIGHTS));
    assert_int_equal(load(&m, path_of("a.h5"), CKPT_ALL), ST_BADFILE);
    has_text("/adam_v/extra does not belong to gpt-neo-tiny");
    assert_int_equal(m.got[STORE_WEIGHT], 0);
    model_fini(&m);
}

/* The hash leaves names and layouts on disk out: tensors say it. */
static void test_missing_tensor(void **state)
{
    model m;
    h5_file *f = NULL;
    char hash[HASH_TEXT_BYTES];
    (void)state;

    make("a.h5", "gpt-neo-tiny", 1);
    model_init(&m, "gpt-neo-tiny", 2);
    OK(h5_live_open(path_of("a.h5"), &f));
    hash_text(arch_hash(&m.a), hash);
    OK(h5_attr_set_text(f, "/", "arch_hash", hash));
    OK(h5_close(&f));
    assert_int_equal(load(&m, path_of("a.h5"), CKPT_ALL), ST_BADFILE);
    has_text("/weights/transformer.h.1.ln_1.weight is missing");
    assert_int_equal(m.got[STORE_WEIGHT], 0);
    model_fini(&m);

    model_init(&m, "gpt-neo-tiny", 1);
    m.ps.list[0].rows += 1; /* 257 words instead of 256 */
    m.a.V += 1;
    OK(h5_live_open(path_of("a.h5"), &f));
    hash_text(arch_hash(&m.a), hash);
    OK(h5_attr_set_text(f, "/", "arch_hash", hash));
    OK(h5_close(&f));
    assert_int_equal(load(&m, path_of("a.h5"), CKPT_ALL), ST_BADFILE);
    has_text("has shape (256, 128), expected (257, 128)");
    model_fini(&m);
}

/* ---- failed saves -------------------------------------------------------- */

static void test_failed_save(void **state)
{
    model m;
    ckpt_info got;
    (void)state;

    model_init(&m, "gpt-neo-tiny", 1);
    ckpt_info info = info_of(&m);
    assert_int_equal(save(&m, path_of("no/folder.h5"), &info), ST_CANTCREATE);
    has_text("no/folder.h5");
    assert_int_equal(save(&m, folder, &info), ST_CANTCREATE);
    OK(save(&m, path_of("a.h5"), &info));
    info.step = 8;
    /* The source fails in the middle. */
    m.fail_par = 3;
    m.fail_which = STORE_V;
    assert_int_equal(save(&m, path_of("a.h5"), &info), ST_IO);
    has_text("no more values");
    assert_false(text_path_exists(path_of("a.h5.tmp")));
    m.fail_par = -1;
    /* The temporary cannot be made. */
    assert_int_equal(mkdir(path_of("a.h5.tmp"), 0700), 0);
    assert_int_equal(save(&m, path_of("a.h5"), &info), ST_CANTCREATE);
    assert_int_equal(rmdir(path_of("a.h5.tmp")), 0);
    OK(ckpt_peek(path_of("a.h5"), &got));
    assert_int_equal(got.step, 7);
    ckpt_info_fini(&got);
    OK(load(&m, path_of("a.h5"), CKPT_ALL));
    assert_int_equal(m.wrong, 0);
    OK(save(&m, path_of("a.h5"), &info));
    OK(ckpt_peek(path_of("a.h5"), &got));
    assert_int_equal(got.step, 8);
    ckpt_info_fini(&got);
    /* The sink's own failure comes through. */
    m.fail_par = 2;
    m.fail_which = STORE_M;
    assert_int_equal(load(&m, path_of("a.h5"), CKPT_ALL), ST_BUDGET);
    assert_int_equal(m.got[STORE_M], 3);
    model_fini(&m);
}

/* Every allocation of ours fails once: no crash, no leak, no file. */
static void test_no_memory(void **state)
{
    model m;
    int n = 0;
    status st = ST_SYSTEM;
    (void)state;

    model_init(&m, "gpt-neo-tiny", 1);
    const ckpt_info info = info_of(&m);
    const int64_t live = mem_live();
    while (st != ST_OK && n < 10000) {
        mem_fail_after(++n);
        st = save(&m, path_of("a.h5"), &info);
        mem_fail_after(0);
        assert_true(st == ST_OK || st == ST_SYSTEM);
        assert_true(st == ST_OK || !text_path_exists(path_of("a.h5")));
        assert_int_equal(mem_live(), live);
    }
    assert_true(n > 5);
    n = 0;
    st = ST_SYSTEM;
    while (st != ST_OK && n < 10000) {
        mem_fail_after(++n);
        st = load(&m, path_of("a.h5"), CKPT_ALL);
        mem_fail_after(0);
        assert_true(st == ST_OK || st == ST_SYSTEM);
        assert_int_equal(mem_live(), live);
    }
    assert_true(n > 5);
    assert_int_equal(m.wrong, 0);
    model_fini(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_flipped_bit), TEST(test_wrong_attributes),
        TEST(test_wrong_files), TEST(test_missing_tensor),
        TEST(test_failed_save), TEST(test_no_memory),
    };

    return cmocka_run_group_tests(tests, begin, end) != 0;
}
