/*
 * Four arrays a parameter: weights, moments, gradient; or weights alone. The
 * gradient rows of an embedding are sparse: rows that were added to in the
 * last step are cleared when this one first adds, or takes the norm; but not
 * those that a drain has replaced (the head's part of a tied embedding).
 *
 * Squares are summed as rows arrive, while they are in the cache: the norm
 * then reads no gradient (a fifth of a streamed step's store traffic).
 */
#include "ws/store/ram.h"

#include <string.h>

#include "runtime/base/mem.h"

typedef struct ram_param {
    store_param shape;
    float *state[3]; /* by store_state */
    float *grad;
    double *squares; /* sum of squares of each gradient row */
    uint8_t *dirty;  /* rows that were added to */
    int64_t ndirty;
    int64_t cleared; /* number of the step that old rows were cleared in */
} ram_param;

typedef struct ram {
    store base;
    ram_param *list;
    int n;
    bool weights_only;
    int64_t steps; /* begun */
    const math_ops *math;
    math_ctx ctx;
} ram;

static float *row_of(const ram_param *p, float *array, int64_t row)
{
    return array + row * p->shape.cols;
}

static size_t row_bytes(const ram_param *p)
{
    return (size_t)p->shape.cols * sizeof(float);
}

/* The last step's updates may still read gradients: nothing is cleared yet. */
static status ram_begin(store *s, int64_t step)
{
    ram *r = (ram *)s;
    REQUIRE(!r->weights_only, ST_INTERNAL,
            "step %lld: the store has weights only and cannot train",
            (long long)step);
    r->steps++;
    return ST_OK;
}

/* What is left from the last step goes away, row by row. */
static void clear_old(const ram *r, ram_param *p)
{
    if (p->cleared == r->steps) {
        return;
    }
    p->cleared = r->steps;
    for (int64_t row = 0; p->ndirty > 0 && row < p->shape.rows; row++) {
        if (p->dirty[row]) {
            memset(row_of(p, p->grad, row), 0, row_bytes(p));
            p->squares[row] = 0;
            p->dirty[row] = 0;
            p->ndirty--;
        }
    }
}

/* They are written anew. */
static void forget_old(const ram *r, ram_param *p, int64_t row0, int64_t rows)
{
    for (int64_t row = row0;
         p->cleared != r->steps && p->ndirty > 0 && row < row0 + rows; row++) {
        p->ndirty -= p->dirty[row];
        p->dirty[row] = 0;
    }
}

static status ram_load(store *s, int par, int64_t row0, int64_t rows, float *to)
{
    const ram_param *p = &((ram *)s)->list[par];
    memcpy(to, row_of(p, p->state[STORE_WEIGHT], row0),
           (size_t)rows * row_bytes(p));
    return ST_OK;
}

static status ram_load_rows(store *s, int par, const int32_t *ids, int64_t n,
                            float *to)
{
    const ram_param *p = &((ram *)s)->list[par];
    for (int64_t i = 0; i < n; i++) {
        memcpy(to + i * p->shape.cols,
               row_of(p, p->state[STORE_WEIGHT], ids[i]), row_bytes(p));
    }
    return ST_OK;
}

/* One thread: it runs beside the device's compute. */
static void sum_squares(const ram *r, ram_param *p, int64_t row0, int64_t rows)
{
    const math_ctx one = {.threads = 1};
    r->math->row_sumsq(&one, rows, p->shape.cols, row_of(p, p->grad, row0),
                       p->shape.cols, p->squares + row0);
}

static status ram_drain(store *s, int par, int64_t row0, int64_t rows,
                        const float *from)
{
    ram *r = (ram *)s;
    ram_param *p = &r->list[par];
    /* As many rows at a time as the second-level cache holds twice. */
    int64_t some = ((int64_t)64 << 10) / (int64_t)row_bytes(p) + 1;
    forget_old(r, p, row0, rows);
    for (int64_t at = 0; at < rows; at += some) {
        int64_t n = rows - at < some ? rows - at : some;
        float *to = row_of(p, p->grad, row0 + at);
        memcpy(to, from + at * p->shape.cols, (size_t)n * row_bytes(p));
        sum_squares(r, p, row0 + at, n);
    }
    return ST_OK;
}

static status ram_drain_rows(store *s, int par, const int32_t *ids, int64_t n,
                             const float *from)
{
    ram *r = (ram *)s;
    ram_param *p = &r->list[par];
    const math_ctx one = {.threads = 1};
    clear_old(r, p);
    for (int64_t i = 0; i < n; i++) {
        r->math->add(&one, 1, p->shape.cols, row_of(p, p->grad, ids[i]),
                     p->shape.cols, from + i * p->shape.cols, p->shape.cols);
        sum_squares(r, p, ids[i], 1);
        p->ndirty += !p->dirty[ids[i]];
        p->dirty[ids[i]] = 1;
    }
    return ST_OK;
}

static status ram_norm(store *s, int par, double *rows)
{
    const ram *r = (const ram *)s;
    ram_param *p = &r->list[par];
    clear_old(r, p);
    memcpy(rows, p->squares, (size_t)p->shape.rows * sizeof(*rows));
    return ST_OK;
}

static status ram_update(store *s, int par, const store_update *u)
{
    ram *r = (ram *)s;
    ram_param *p = &r->list[par];
    math_adamw a = {.lr = u->lr,
                    .beta1 = u->beta1,
                    .beta2 = u->beta2,
                    .eps = u->eps,
                    .weight_decay = p->shape.decay ? u->weight_decay : 0,
                    .bias1 = u->bias1,
                    .bias2 = u->bias2,
                    .clip = u->clip};
    r->math->adamw(&r->ctx, &a, p->shape.rows, p->shape.cols, p->shape.cols,
                   p->state[STORE_WEIGHT], p->grad, p->state[STORE_M],
                   p->state[STORE_V]);
    return ST_OK;
}

static status ram_end(store *s, int64_t step)
{
    (void)s, (void)step;
    return ST_OK;
}

static status ram_drop(store *s, int64_t step)
{
    (void)s, (void)step;
    return ST_OK;
}

static status check_state(const ram_param *p, store_state which)
{
    REQUIRE(p->state[which] != NULL, ST_INTERNAL,
            "the store has weights only, no moments");
    return ST_OK;
}

static status ram_read(store *s, int par, store_state which, int64_t row0,
                       int64_t rows, float *to)
{
    const ram_param *p = &((ram *)s)->list[par];
    TRY(check_state(p, which));
    memcpy(to, row_of(p, p->state[which], row0), (size_t)rows * row_bytes(p));
    return ST_OK;
}

static status ram_write(store *s, int par, store_state which, int64_t row0,
                        int64_t rows, const float *from)
{
    ram_param *p = &((ram *)s)->list[par];
    TRY(check_state(p, which));
    memcpy(row_of(p, p->state[which], row0), from, (size_t)rows * row_bytes(p));
    return ST_OK;
}

static int64_t ram_bytes(const store *s)
{
    const ram *r = (const ram *)s;
    int64_t bytes = 0;
    int each = r->weights_only ? 4 : 16;
    for (int i = 0; i < r->n; i++) {
        bytes += each * r->list[i].shape.rows * r->list[i].shape.cols;
    }
    return bytes;
}

static void ram_destroy(store *s)
{
    ram *r = (ram *)s;
    for (int i = 0; r->list != NULL && i < r->n; i++) {
        for (int k = 0; k < 3; k++) {
            mem_free(r->list[i].state[k]);
        }
        mem_free(r->list[i].grad);
        mem_free(r->list[i].squares);
        mem_free(r->list[i].dirty);
    }
    mem_free(r->list);
    mem_free(r);
}

static const store_ops ram_ops = {
    .name = "ram",
    .begin = ram_begin,
    .load = ram_load,
    .load_rows = ram_load_rows,
    .drain = ram_drain,
    .drain_rows = ram_drain_rows,
    .norm = ram_norm,
    .update = ram_update,
    .end = ram_end,
    .drop = ram_drop,
    .read = ram_read,
    .write = ram_write,
    .bytes = ram_bytes,
    .destroy = ram_destroy,
};

static status param_alloc(ram_param *p, const store_param *shape,
                          bool weights_only)
{
    p->shape = *shape;
    int64_t n = shape->rows * shape->cols;
    TRY(MEM_NEW(&p->state[STORE_WEIGHT], n, "store"));
    if (weights_only) {
        return ST_OK;
    }
    TRY(MEM_NEW(&p->state[STORE_M], n, "store"));
    TRY(MEM_NEW(&p->state[STORE_V], n, "store"));
    TRY(MEM_NEW(&p->grad, n, "store"));
    TRY(MEM_NEW(&p->squares, shape->rows, "store"));
    return MEM_NEW(&p->dirty, shape->rows, "store");
}

static status create(const store_param *shapes, int n, const ram *like,
                     store **out)
{
    ram *r = NULL;
    TRY(MEM_NEW(&r, 1, "store"));
    *r = *like;
    status st = MEM_NEW(&r->list, n, "store");
    for (int i = 0; st == ST_OK && i < n; i++) {
        r->n = i + 1;
        st = param_alloc(&r->list[i], &shapes[i], r->weights_only);
    }
    if (st != ST_OK) {
        ram_destroy(&r->base);
        return st;
    }
    *out = &r->base;
    return ST_OK;
}

status store_list_params(const params *ps, store_param **out)
{
    store_param *list = NULL;
    TRY(MEM_NEW(&list, ps->n, "store"));
    for (int i = 0; i < ps->n; i++) {
        list[i] = (store_param){.rows = ps->list[i].rows,
                                .cols = ps->list[i].cols,
                                .decay = ps->list[i].decay};
    }
    *out = list;
    return ST_OK;
}

status store_ram_create(const store_param *shapes, int n, const math_ops *math,
                        int threads, store **out)
{
    const ram like = {
        .base.ops = &ram_ops, .math = math, .ctx = {.threads = threads}};
    return create(shapes, n, &like, out);
}

status store_ram_weights(const store_param *shapes, int n, store **out)
{
    const ram like = {.base.ops = &ram_ops, .weights_only = true};
    return create(shapes, n, &like, out);
}
