/*
 * A model with made-up values to save and to load, for the tests of
 * checkpoints. It is its own source and sink.
 */
#ifndef WEFT_TESTS_UNIT_CHECKPOINT_MAKE_H
#define WEFT_TESTS_UNIT_CHECKPOINT_MAKE_H

#include "runtime/base/text.h"
#include "runtime/comm/comm.h"
#include "runtime/results/checkpoint.h"
#include "tests/common/scratch.h"

static comm *world;

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

static inline void model_init(model *m, const char *name, int layers)
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

static inline void model_fini(model *m)
{
    params_fini(&m->ps);
    mem_free(m->config);
}

/* A value that says where it belongs. */
static inline float value(int par, store_state which, int64_t i)
{
    return (float)(par * 4 + (int)which) + (float)(i % 8191) / 8192.0F;
}

static inline status source_read(void *self, int par, store_state which,
                                 float *full)
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

static inline status sink_write(void *self, int par, store_state which,
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

static inline ckpt_info info_of(const model *m)
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

static inline status save(model *m, const char *path, const ckpt_info *info)
{
    const ckpt_source source = {m, source_read};

    return ckpt_save(world, path, &m->a, &m->ps, info, &source);
}

static inline status load(model *m, const char *path, ckpt_states states)
{
    const ckpt_sink sink = {m, sink_write};

    memset(m->got, 0, sizeof(m->got));
    m->wrong = 0;
    return ckpt_load(path, &m->a, &m->ps, states, &sink);
}

/* A whole checkpoint of the model, cut to `layers` (0: all). */
static inline void make(const char *file, const char *name, int layers)
{
    model m;

    model_init(&m, name, layers);
    const ckpt_info info = info_of(&m);
    OK(save(&m, path_of(file), &info));
    model_fini(&m);
}

/* ---- frame --------------------------------------------------------------- */

static inline int begin(void **state)
{
    return comm_init(&world) != ST_OK || make_folder(state) != 0;
}

static inline int end(void **state)
{
    (void)state;
    comm_fini(world);
    return rmdir(folder);
}

static int64_t live_before;

static inline int note_live(void **state)
{
    (void)state;
    live_before = mem_live();
    return 0;
}

static inline int drop_files(void **state)
{
    (void)state;
    unlink(path_of("a.h5"));
    return mem_live() == live_before ? 0 : -1;
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, note_live, drop_files)

#endif
