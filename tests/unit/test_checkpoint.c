/*
 * Checkpoints: what is saved is loaded, bit for bit; damaged, foreign and
 * wrong files are refused with a reason; a failed save leaves the older file
 * alone. Run from the top of the repository.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/base/hash.h"
#include "runtime/base/mem.h"
#include "runtime/base/text.h"
#include "runtime/comm/comm.h"
#include "runtime/io/h5.h"
#include "runtime/results/checkpoint.h"

static char folder[64];
static comm *world;

static const char *path_of(const char *name)
{
    static char path[4][160]; /* of the last four calls */
    static int next;
    char *out = path[next++ % 4];

    snprintf(out, sizeof(path[0]), "%s/%s", folder, name);
    return out;
}

static void check(status st, int line)
{
    if (st != ST_OK) {
        fail_msg("line %d: %s", line, status_text());
    }
}
#define OK(call) check((call), __LINE__)

static void has_text(const char *part)
{
    if (strstr(status_text(), part) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", part, status_text());
    }
}

/* ---- a model with values ------------------------------------------------- */

typedef struct model {
    arch a;
    params ps;
    char *config;
    /* As a source: fails at this parameter and state; -1: never. */
    int fail_par;
    store_state fail_which;
    /* As a sink: how many of each state came. */
    int got[3];
    int64_t wrong;
} model;

static void model_init(model *m, const char *name, int layers)
{
    char path[128];

    *m = (model){.fail_par = -1};
    OK(arch_open(name, &m->a));
    if (layers > 0) {
        OK(arch_cut(&m->a, layers));
    }
    OK(params_init(&m->a, &m->ps));
    snprintf(path, sizeof(path),
             text_is_dir(name) ? "%s/config.json" : "configs/models/%s.json",
             name);
    OK(text_read_file(path, 1 << 20, &m->config, NULL));
}

static void model_fini(model *m)
{
    params_fini(&m->ps);
    mem_free(m->config);
}

/* A value that says where it belongs. */
static float value(int par, store_state which, int64_t i)
{
    return (float)(par * 4 + (int)which) + (float)(i % 8191) / 8192.0F;
}

static status source_read(void *self, int par, store_state which, float *full)
{
    const model *m = self;
    const param *p = &m->ps.list[par];

    if (par == m->fail_par && which == m->fail_which) {
        return FAIL(ST_IO, "no more values");
    }
    for (int64_t i = 0; i < p->rows * p->cols; i++) {
        full[i] = value(par, which, i);
    }
    return ST_OK;
}

static status sink_write(void *self, int par, store_state which,
                         const float *full)
{
    model *m = self;
    const param *p = &m->ps.list[par];

    for (int64_t i = 0; i < p->rows * p->cols; i++) {
        m->wrong += full[i] != value(par, which, i);
    }
    m->got[which]++;
    return par == m->fail_par && which == m->fail_which
               ? FAIL(ST_BUDGET, "no more room")
               : ST_OK;
}

static ckpt_info info_of(const model *m)
{
    static char data[] = "data/kjv.txt", run[] = "{\"steps\": 7}\n";
    const ckpt_info info = {
        .step = 7,
        .adam_step = 6,
        .seed = 0xfedcba9876543210U,
        .data_leaves = 4,
        .tensor_leaves = 2,
        .exact_sums = true,
        .batch = 8,
        .seq = 64,
        .tokens = (int64_t)7 << 33,
        .data_hash = 0x00000000000000ffU,
        .data_path = data,
        .config = m->config,
        .run_config = run,
    };
    return info;
}

static status save(model *m, const char *path, const ckpt_info *info)
{
    const ckpt_source source = {m, source_read};

    return ckpt_save(world, path, &m->a, &m->ps, info, &source);
}

static status load(model *m, const char *path, ckpt_states states)
{
    const ckpt_sink sink = {m, sink_write};

    memset(m->got, 0, sizeof(m->got));
    m->wrong = 0;
    return ckpt_load(path, &m->a, &m->ps, states, &sink);
}

/* A whole checkpoint of the model, cut to `layers` (0: all). */
static void make(const char *file, const char *name, int layers)
{
    model m;

    model_init(&m, name, layers);
    const ckpt_info info = info_of(&m);
    OK(save(&m, path_of(file), &info));
    model_fini(&m);
}

/* ---- saving and loading -------------------------------------------------- */

static const char *const models[] = {
    "gpt-neo-tiny",
    "gpt-j-tiny",
    "tests/golden/gpt2_three_heads",
    "tests/golden/gpt_neo_odd_heads_untied",
    "tests/golden/gpt_neox_partial_rotary",
    "tests/golden/gptj_one_head_tied",
};

static void test_round_trip(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++) {
        model m;
        model_init(&m, models[i], 0);
        const ckpt_info info = info_of(&m);
        OK(save(&m, path_of("a.h5"), &info));
        OK(load(&m, path_of("a.h5"), CKPT_ALL));
        assert_int_equal(m.wrong, 0);
        for (int which = 0; which < 3; which++) {
            assert_int_equal(m.got[which], m.ps.n);
        }
        OK(load(&m, path_of("a.h5"), CKPT_WEIGHTS));
        assert_int_equal(m.got[STORE_WEIGHT], m.ps.n);
        assert_int_equal(m.got[STORE_M], 0);
        assert_int_equal(m.wrong, 0);
        model_fini(&m);
    }
}

static void test_peek(void **state)
{
    model m;
    ckpt_info got;
    (void)state;

    model_init(&m, "gpt-neo-tiny", 0);
    const ckpt_info info = info_of(&m);
    OK(save(&m, path_of("a.h5"), &info));
    OK(ckpt_peek(path_of("a.h5"), &got));
    assert_string_equal(got.model, "gpt-neo-tiny");
    assert_true(got.arch_hash == arch_hash(&m.a));
    assert_int_equal(got.layers, m.a.L);
    assert_false(got.weights_only);
    assert_int_equal(got.step, 7);
    assert_int_equal(got.adam_step, 6);
    assert_true(got.seed == info.seed);
    assert_int_equal(got.data_leaves, 4);
    assert_int_equal(got.tensor_leaves, 2);
    assert_true(got.exact_sums);
    assert_int_equal(got.batch, 8);
    assert_int_equal(got.seq, 64);
    assert_true(got.tokens == info.tokens);
    assert_true(got.data_hash == 0xff);
    assert_string_equal(got.data_path, "data/kjv.txt");
    assert_string_equal(got.config, m.config);
    assert_string_equal(got.run_config, info.run_config);
    assert_true(text_starts(got.software, "weft "));
    ckpt_info_fini(&got);
    assert_null(got.config);
    model_fini(&m);
}

/* Names, shapes and values on disk are Hugging Face's. */
static void test_layout(void **state)
{
    model m;
    h5_file *f = NULL;
    const int64_t qkv[2] = {24, 72}; /* gpt2: [in][out] */
    float *part = NULL, *full = NULL, *back = NULL;
    (void)state;

    model_init(&m, "tests/golden/gpt2_three_heads", 0);
    const ckpt_info info = info_of(&m);
    OK(save(&m, path_of("a.h5"), &info));
    const int par = params_find(&m.ps, 1, PARAM_QKV_W);
    OK(MEM_NEW(&part, 24 * 72, "test"));
    OK(MEM_NEW(&full, 24 * 72, "test"));
    OK(MEM_NEW(&back, 24 * 72, "test"));
    OK(h5_open(path_of("a.h5"), &f));
    static const char name[] = "/adam_v/transformer.h.1.attn.c_attn.weight";
    OK(h5_data_check(f, name, H5_KIND_FLOAT, 2, qkv));
    OK(h5_checksum_verify(f, name));
    OK(h5_data_read_all(f, name, H5_F32, 24 * 72, part));
    OK(source_read(&m, par, STORE_V, full));
    param_to_part(&m.a, &m.ps, par, 0, full, back);
    assert_memory_equal(part, back, 24 * 72 * sizeof(float));
    assert_true(memcmp(full, back, 24 * 72 * sizeof(float)) != 0);
    OK(h5_close(&f));
    mem_free(part);
    mem_free(full);
    mem_free(back);
    model_fini(&m);
}

static void test_weights_only(void **state)
{
    model m;
    h5_file *f = NULL;
    (void)state;

    model_init(&m, "gpt-j-tiny", 0);
    ckpt_info info = info_of(&m);
    info.weights_only = true;
    info.exact_sums = false;
    const ckpt_source source = {&m, source_read};
    OK(ckpt_save(NULL, path_of("a.h5"), &m.a, &m.ps, &info, &source));
    OK(load(&m, path_of("a.h5"), CKPT_WEIGHTS));
    assert_int_equal(m.got[STORE_WEIGHT], m.ps.n);
    assert_int_equal(m.wrong, 0);
    assert_int_equal(load(&m, path_of("a.h5"), CKPT_ALL), ST_CONFIG);
    has_text("has weights alone");
    assert_int_equal(m.got[STORE_WEIGHT], 0);
    OK(h5_open(path_of("a.h5"), &f));
    assert_false(h5_has(f, "/adam_m"));
    OK(h5_close(&f));
    ckpt_info got;
    OK(ckpt_peek(path_of("a.h5"), &got));
    assert_true(got.weights_only && !got.exact_sums);
    ckpt_info_fini(&got);
    model_fini(&m);
}

/* ---- which model --------------------------------------------------------- */

static void test_cut_model(void **state)
{
    model cut, whole;
    arch a;
    (void)state;

    make("a.h5", "gpt-neo-tiny", 2);
    model_init(&cut, "gpt-neo-tiny", 2);
    model_init(&whole, "gpt-neo-tiny", 0);
    OK(load(&cut, path_of("a.h5"), CKPT_ALL));
    assert_int_equal(cut.wrong, 0);
    assert_int_equal(load(&whole, path_of("a.h5"), CKPT_ALL), ST_CONFIG);
    has_text("holds gpt-neo-tiny with 2 layers, not gpt-neo-tiny: layers 2 "
             "(wanted 4)");
    assert_int_equal(whole.got[STORE_WEIGHT], 0);
    OK(ckpt_arch(path_of("a.h5"), &a));
    assert_true(arch_hash(&a) == arch_hash(&cut.a));
    assert_string_equal(a.name, "gpt-neo-tiny");
    assert_int_equal(a.L, 2);
    model_fini(&cut);
    model_fini(&whole);
}

static void test_other_model(void **state)
{
    model m;
    h5_file *f = NULL;
    (void)state;

    make("a.h5", "gpt-neo-tiny", 0);
    model_init(&m, "gpt-j-tiny", 0);
    assert_int_equal(load(&m, path_of("a.h5"), CKPT_WEIGHTS), ST_CONFIG);
    has_text("residual kind");
    model_fini(&m);

    model_init(&m, "gpt-neo-tiny", 0);
    m.a.norm_eps = 1e-6F;
    m.a.window[2] = 5;
    assert_int_equal(load(&m, path_of("a.h5"), CKPT_WEIGHTS), ST_CONFIG);
    has_text("norm epsilon 9.99999975e-06 (wanted 9.99999997e-07), attention "
             "window 0 (wanted 5)");
    /* Without a readable /config the reason is shorter. */
    OK(h5_live_open(path_of("a.h5"), &f));
    OK(h5_attr_set_i64(f, "/", "layers", 400));
    OK(h5_close(&f));
    assert_int_equal(load(&m, path_of("a.h5"), CKPT_WEIGHTS), ST_CONFIG);
    has_text("it is another model");
    model_fini(&m);
}

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
    struct stat was;
    (void)state;

    model_init(&m, "gpt-neo-tiny", 1);
    assert_int_equal(ckpt_peek(path_of("none.h5"), &info), ST_NOINPUT);
    assert_int_equal(ckpt_peek("Makefile", &info), ST_BADFILE);
    has_text("is not an HDF5 file");
    make("a.h5", "gpt-neo-tiny", 1);
    assert_int_equal(stat(path_of("a.h5"), &was), 0);
    assert_int_equal(truncate(path_of("a.h5"), was.st_size - 1), 0);
    assert_int_equal(load(&m, path_of("a.h5"), CKPT_ALL), ST_BADFILE);
    has_text("truncated");
    assert_int_equal(truncate(path_of("a.h5"), was.st_size / 2), 0);
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

/* ---- frame --------------------------------------------------------------- */

static int begin(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/weft-checkpoint-XXXXXX");
    return comm_init(&world) != ST_OK || mkdtemp(folder) == NULL ? -1 : 0;
}

static int end(void **state)
{
    (void)state;
    comm_fini(world);
    return rmdir(folder);
}

static int64_t live_before;

static int note_live(void **state)
{
    (void)state;
    live_before = mem_live();
    return 0;
}

static int drop_files(void **state)
{
    (void)state;
    unlink(path_of("a.h5"));
    return mem_live() == live_before ? 0 : -1;
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, note_live, drop_files)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_round_trip),  TEST(test_peek),
        TEST(test_layout),      TEST(test_weights_only),
        TEST(test_cut_model),   TEST(test_other_model),
        TEST(test_flipped_bit), TEST(test_wrong_attributes),
        TEST(test_wrong_files), TEST(test_missing_tensor),
        TEST(test_failed_save), TEST(test_no_memory),
    };

    return cmocka_run_group_tests(tests, begin, end) != 0;
}
