#include "tests/common/golden.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/io/safetensors.h"
#include "runtime/train/run.h"
#include "runtime/train/state.h"
#include "tests/common/tap_store.h"
#include "ws/store/ram.h"

static status read_numbers(golden *g)
{
    h5_file *f = g->file;
    TRY(h5_data_read_all(f, "/loss", H5_F64, 1, &g->loss));
    TRY(h5_data_read_all(f, "/grad_norm", H5_F64, 1, &g->grad_norm));
    TRY(h5_data_read_all(f, "/train/losses", H5_F64, GOLDEN_STEPS, g->losses));
    TRY(h5_data_read_all(f, "/train/grad_norms", H5_F64, GOLDEN_STEPS,
                         g->norms));
    TRY(h5_attr_need_f64(f, "/train", "lr", &g->lr));
    TRY(h5_attr_need_f64(f, "/train", "min_lr", &g->min_lr));
    TRY(h5_attr_need_f64(f, "/train", "beta1", &g->beta1));
    TRY(h5_attr_need_f64(f, "/train", "beta2", &g->beta2));
    TRY(h5_attr_need_f64(f, "/train", "eps", &g->eps));
    TRY(h5_attr_need_f64(f, "/train", "weight_decay", &g->weight_decay));
    TRY(h5_attr_need_f64(f, "/train", "grad_clip", &g->clip));
    TRY(h5_attr_need_i64(f, "/train", "warmup_steps", &g->warmup));
    return h5_attr_need_i64(f, "/train", "total_steps", &g->total);
}

status golden_open(const char *name, golden *g)
{
    char path[400];
    h5_info info;
    memset(g, 0, sizeof(*g));
    (void)snprintf(g->dir, sizeof(g->dir), "tests/golden/%s", name);
    (void)snprintf(path, sizeof(path), "%s/golden.h5", g->dir);
    TRY(h5_open(path, &g->file));
    TRY(h5_data_info(g->file, "/input_ids", &info));
    int64_t n = info.dim[0] * info.dim[1] * info.dim[2];
    g->B = info.dim[1];
    g->T = info.dim[2] - 1;
    TRY(MEM_NEW(&g->ids, n, "golden"));
    TRY(h5_data_read_all(g->file, "/input_ids", H5_I32, n, g->ids));
    return read_numbers(g);
}

void golden_close(golden *g)
{
    if (g->file != NULL) {
        (void)!h5_close(&g->file);
    }
    mem_free(g->ids);
    memset(g, 0, sizeof(*g));
}

static status golden_batch(void *self, int64_t step, int64_t seq0, int64_t seqs,
                           int32_t *ids, int32_t *targets)
{
    const golden *g = self;
    for (int64_t s = 0; s < seqs; s++) {
        const int32_t *row = g->ids + (step * g->B + seq0 + s) * (g->T + 1);
        memcpy(ids + s * g->T, row, (size_t)g->T * 4);
        memcpy(targets + s * g->T, row + 1, (size_t)g->T * 4);
    }
    return ST_OK;
}

/* --- parameters ----------------------------------------------------------- */

static status read_param(const golden_run *r, const safetensors *f, int par,
                         float *full)
{
    param_part part[PARAM_PARTS_MAX];
    int n = param_parts(&r->s.a, &r->s.ps, par, part);
    for (int k = 0; k < n; k++) {
        const safetensors_info *t = safetensors_find(f, part[k].name);
        REQUIRE(t != NULL, ST_BADFILE, "%s: no tensor %s", r->g->dir,
                part[k].name);
        int64_t count =
            part[k].dims[0] * (part[k].ndims > 1 ? part[k].dims[1] : 1);
        float *file = NULL;
        TRY(MEM_NEW(&file, count, "golden"));
        status st = safetensors_read_all(t, count, file);
        if (st == ST_OK) {
            param_from_part(&r->s.a, &r->s.ps, par, k, file, full);
        }
        mem_free(file);
        TRY(st);
    }
    return ST_OK;
}

static status load_weights(golden_run *r)
{
    char path[300];
    safetensors *f = NULL;
    (void)snprintf(path, sizeof(path), "%s/model.safetensors", r->g->dir);
    TRY(safetensors_open(path, &f));
    train_state state = {r->e, &r->s.a, &r->s.ps, r->store, NULL};
    status st = ST_OK;
    for (int i = 0; st == ST_OK && i < r->s.ps.n; i++) {
        const param *q = &r->s.ps.list[i];
        float *full = NULL;
        st = MEM_NEW(&full, q->rows * q->cols, "golden");
        if (st == ST_OK) {
            st = read_param(r, f, i, full);
        }
        if (st == ST_OK) {
            st = train_state_put(&state, i, STORE_WEIGHT, full);
        }
        mem_free(full);
    }
    safetensors_close(f);
    return st;
}

/* The set-up's store behind one that keeps the gradients. */
static status start_store(golden_run *r, const setup_options *o)
{
    const params *ps = &r->s.ps;
    store_param *shapes = NULL;
    store *inner = NULL;
    TRY(setup_store_create(&r->s, o, 1, &inner));
    if (inner == NULL) {
        return ST_OK; /* resident */
    }
    status st = store_list_params(ps, &shapes);
    if (st != ST_OK) {
        inner->ops->destroy(inner);
        return st;
    }
    st = tap_store_create(inner, shapes, ps->n, &r->store);
    mem_free(shapes);
    return st;
}

status golden_start(golden *g, setup_options o, comm *world, golden_run *r)
{
    memset(r, 0, sizeof(*r));
    r->g = g;
    o.model = g->dir;
    o.batch = g->B;
    o.seq = g->T;
    TRY(setup_open(&o, comm_size(world), &r->s));
    TRY(setup_share(&r->s, comm_rank(world)));
    TRY(start_store(r, &o));
    exec_config c = {.a = &r->s.a,
                     .ps = &r->s.ps,
                     .set = &r->s.set,
                     .sh = r->s.sh,
                     .math = r->s.math,
                     .threads = r->s.sh.threads,
                     .world = world,
                     .store = r->store,
                     .device_memory = o.device_memory,
                     .batch = golden_batch,
                     .batch_self = g};
    TRY(exec_create(&c, &r->e));
    return load_weights(r);
}

void golden_stop(golden_run *r)
{
    exec_destroy(r->e);
    if (r->store != NULL) {
        r->store->ops->destroy(r->store);
    }
    setup_close(&r->s);
}

status golden_step(golden_run *r, int64_t s, exec_result *out)
{
    const golden *g = r->g;
    const train_recipe recipe = {.steps = g->total,
                                 .lr = g->lr,
                                 .min_lr = g->min_lr,
                                 .warmup = g->warmup};
    exec_scalars sc = {.lr = (float)train_rate(&recipe, s),
                       .beta1 = (float)g->beta1,
                       .beta2 = (float)g->beta2,
                       .eps = (float)g->eps,
                       .weight_decay = (float)g->weight_decay,
                       .grad_clip = g->clip,
                       .adam_step = s + 1};
    TRY(exec_step(r->e, s, &sc, out));
    return exec_settle(r->e, &out->ledger);
}

/* --- gradients ------------------------------------------------------------ */

static status compare_part(golden_run *r, int par, int k, const float *mine,
                           double floor, double *error)
{
    param_part part[PARAM_PARTS_MAX];
    param_parts(&r->s.a, &r->s.ps, par, part);
    int64_t n = part[k].dims[0] * (part[k].ndims > 1 ? part[k].dims[1] : 1);
    float *want = NULL;
    float *have = NULL;
    char path[160];
    (void)snprintf(path, sizeof(path), "/grads/%.*s", ARCH_NAME_MAX,
                   part[k].name);
    TRY(MEM_NEW(&want, n, "golden"));
    TRY(MEM_NEW(&have, n, "golden"));
    status st = h5_data_read_all(r->g->file, path, H5_F32, n, want);
    param_to_part(&r->s.a, &r->s.ps, par, k, mine, have);
    double diff = 0;
    double size = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = (double)have[i] - (double)want[i];
        diff += d * d;
        size += (double)want[i] * (double)want[i];
    }
    *error = sqrt(diff) / fmax(sqrt(size), floor);
    mem_free(want);
    mem_free(have);
    return st;
}

status golden_gradients(golden_run *r, double *worst, char *name, int size)
{
    *worst = 0;
    for (int i = 0; i < r->s.ps.n; i++) {
        float *resident = NULL;
        param_shard sh;
        REQUIRE(r->store != NULL || exec_gradient(r->e, i, &resident, &sh),
                ST_INTERNAL, "no gradient of parameter %d", i);
        const float *rows =
            r->store != NULL ? tap_store_gradient(r->store, i) : resident;
        param_part part[PARAM_PARTS_MAX];
        int n = param_parts(&r->s.a, &r->s.ps, i, part);
        for (int k = 0; k < n; k++) {
            double error;
            TRY(compare_part(r, i, k, rows, 1e-3 * r->g->grad_norm, &error));
            if (!(error <= *worst)) {
                *worst = error;
                (void)snprintf(name, (size_t)size, "%s", part[k].name);
            }
        }
    }
    return ST_OK;
}
