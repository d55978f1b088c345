#include "tests/common/tap_store.h"

#include <string.h>

#include "runtime/base/mem.h"

typedef struct tap_store {
    store base;
    store *inner;
    store_param *shape;
    float **grad;
    int n;
} tap_store;

static const tap_store *view(const store *s)
{
    return (const tap_store *)s;
}

static store *inner_of(store *s)
{
    return view(s)->inner;
}

/* --- what is kept --------------------------------------------------------- */

static status tap_begin(store *s, int64_t step)
{
    const tap_store *t = view(s);
    for (int i = 0; i < t->n; i++) {
        memset(t->grad[i], 0,
               (size_t)(t->shape[i].rows * t->shape[i].cols) * sizeof(float));
    }
    return t->inner->ops->begin(t->inner, step);
}

static status tap_drain(store *s, int par, int64_t row0, int64_t rows,
                        const float *from)
{
    const tap_store *t = view(s);
    int64_t cols = t->shape[par].cols;
    memcpy(t->grad[par] + row0 * cols, from,
           (size_t)(rows * cols) * sizeof(float));
    return t->inner->ops->drain(t->inner, par, row0, rows, from);
}

static status tap_drain_rows(store *s, int par, const int32_t *ids, int64_t n,
                             const float *from)
{
    const tap_store *t = view(s);
    int64_t cols = t->shape[par].cols;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t c = 0; c < cols; c++) {
            t->grad[par][ids[i] * cols + c] += from[i * cols + c];
        }
    }
    return t->inner->ops->drain_rows(t->inner, par, ids, n, from);
}

/* --- what is passed on ---------------------------------------------------- */

static status tap_load(store *s, int par, int64_t row0, int64_t rows, float *to)
{
    return inner_of(s)->ops->load(inner_of(s), par, row0, rows, to);
}

static status tap_load_rows(store *s, int par, const int32_t *ids, int64_t n,
                            float *to)
{
    return inner_of(s)->ops->load_rows(inner_of(s), par, ids, n, to);
}

static status tap_norm(store *s, int par, double *rows)
{
    return inner_of(s)->ops->norm(inner_of(s), par, rows);
}

static status tap_update(store *s, int par, const store_update *u)
{
    return inner_of(s)->ops->update(inner_of(s), par, u);
}

static status tap_end(store *s, int64_t step)
{
    return inner_of(s)->ops->end(inner_of(s), step);
}

static status tap_drop(store *s, int64_t step)
{
    return inner_of(s)->ops->drop(inner_of(s), step);
}

static status tap_read(store *s, int par, store_state which, int64_t row0,
                       int64_t rows, float *to)
{
    return inner_of(s)->ops->read(inner_of(s), par, which, row0, rows, to);
}

static status tap_write(store *s, int par, store_state which, int64_t row0,
                        int64_t rows, const float *from)
{
    return inner_of(s)->ops->write(inner_of(s), par, which, row0, rows, from);
}

static int64_t tap_bytes(const store *s)
{
    return view(s)->inner->ops->bytes(view(s)->inner);
}

static void tap_destroy(store *s)
{
    tap_store *t = (tap_store *)s;
    t->inner->ops->destroy(t->inner);
    for (int i = 0; t->grad != NULL && i < t->n; i++) {
        mem_free(t->grad[i]);
    }
    mem_free(t->grad);
    mem_free(t->shape);
    mem_free(t);
}

static const store_ops tap_ops = {
    .name = "tap",
    .begin = tap_begin,
    .load = tap_load,
    .load_rows = tap_load_rows,
    .drain = tap_drain,
    .drain_rows = tap_drain_rows,
    .norm = tap_norm,
    .update = tap_update,
    .end = tap_end,
    .drop = tap_drop,
    .read = tap_read,
    .write = tap_write,
    .bytes = tap_bytes,
    .destroy = tap_destroy,
};

status tap_store_create(store *inner, const store_param *shapes, int n,
                        store **out)
{
    tap_store *t = NULL;
    status st = MEM_NEW(&t, 1, "tap");
    if (st != ST_OK) {
        inner->ops->destroy(inner);
        return st;
    }
    t->base.ops = &tap_ops;
    t->inner = inner;
    t->n = n;
    TRY_GOTO(MEM_NEW(&t->shape, n, "tap"), fail);
    TRY_GOTO(MEM_NEW(&t->grad, n, "tap"), fail);
    memcpy(t->shape, shapes, (size_t)n * sizeof(*shapes));
    for (int i = 0; i < n; i++) {
        TRY_GOTO(MEM_NEW(&t->grad[i], shapes[i].rows * shapes[i].cols, "tap"),
                 fail);
    }
    *out = &t->base;
    return ST_OK;
fail:
    tap_destroy(&t->base);
    return st;
}

const float *tap_store_gradient(const store *tap, int par)
{
    ASSERT(tap->ops == &tap_ops && par >= 0 && par < view(tap)->n);
    return view(tap)->grad[par];
}
