/*
 * The store that trusts nobody: passes every call on to another store, and
 * verifies callers (order, rows, once each) and that store (what it loads is
 * what was written or what its last update left).
 *
 *            begin          norm of the last      end
 *   between ------> drains ----------------> updates ----> between
 *    steps          norms      |                            steps
 *   read, write     loads      | begin of the next: this one's updates are
 *                              | its tail; of what they have updated there are
 *                              v loads, drains and norms of the next
 *
 * Loads are fine between steps too: validation does that. Of a parameter none
 * come between its update and the begin of the next step.
 *
 * Every row of weights has a checksum. It is taken when rows are written, and
 * anew from the inner store after each update: a whole read a step, the price
 * of checking. Load, drain and host threads and who begins steps call at the
 * same time; one lock guards what they share here, and is not held during the
 * inner calls.
 */
#include <pthread.h>
#include <string.h>

#include "runtime/base/hash.h"
#include "runtime/base/mem.h"
#include "runtime/device/store.h"

typedef struct check_param {
    store_param shape;
    uint64_t *sum;     /* of each row of weights                       */
    uint8_t *drained;  /* rows that a drain replaced in this step      */
    int64_t *load_id;  /* stamp of the last load_rows that named a row */
    int64_t *drain_id; /* the same of drain_rows                       */
    bool added;        /* drain_rows came in this step                 */
    bool normed;
    /* In the tail, if there is one, else in this step: an update has come,
     * and is through.                                                 */
    bool updating, updated;
    int loading, draining; /* calls under way                          */
} check_param;

typedef struct check_store {
    store base;
    store *inner;
    check_param *list;
    int n;
    float *rows; /* one parameter, for checksums after a step */
    pthread_mutex_t lock;
    bool in_step, in_tail; /* a step runs; and the one before has updates */
    int64_t step, tail_step;
    int normed;
    int64_t load_stamp, drain_stamp;
} check_store;

static check_store *self(store *s)
{
    return (check_store *)s;
}

/* --- what calls may say --------------------------------------------------- */

static status check_rows(const check_store *c, const char *call, int par,
                         int64_t row0, int64_t rows)
{
    REQUIRE(par >= 0 && par < c->n, ST_INTERNAL,
            "store %s: parameter %d, there are %d", call, par, c->n);
    int64_t have = c->list[par].shape.rows;
    REQUIRE(row0 >= 0 && rows >= 1 && rows <= have && row0 <= have - rows,
            ST_INTERNAL,
            "store %s: rows [%lld, %lld) of parameter %d, which has %lld", call,
            (long long)row0, (long long)(row0 + rows), par, (long long)have);
    return ST_OK;
}

/* ids are rows and differ; `seen` holds stamps, one a call. */
static status check_ids(const check_store *c, const char *call, int par,
                        const int32_t *ids, int64_t n, int64_t *seen,
                        int64_t stamp)
{
    int64_t have = c->list[par].shape.rows;
    for (int64_t i = 0; i < n; i++) {
        REQUIRE(ids[i] >= 0 && ids[i] < have, ST_INTERNAL,
                "store %s: row %d of parameter %d, which has %lld", call,
                ids[i], par, (long long)have);
        REQUIRE(seen[ids[i]] != stamp, ST_INTERNAL,
                "store %s: row %d of parameter %d is named twice", call, ids[i],
                par);
        seen[ids[i]] = stamp;
    }
    return ST_OK;
}

static status check_in_step(const check_store *c, const char *call, int par,
                            bool want)
{
    REQUIRE(c->in_step == want, ST_INTERNAL, "store %s: parameter %d, but %s",
            call, par, want ? "no step has begun" : "a step is running");
    return ST_OK;
}

/* A parameter's turn in this step comes after its update of the one before. */
static status check_turn(const check_store *c, const char *call, int par)
{
    REQUIRE(!c->in_tail || c->list[par].updated, ST_INTERNAL,
            "store %s: parameter %d is not updated in step %lld yet", call, par,
            (long long)c->tail_step);
    return ST_OK;
}

static status check_drain(check_store *c, const char *call, int par)
{
    TRY(check_in_step(c, call, par, true));
    TRY(check_turn(c, call, par));
    REQUIRE(!c->list[par].normed, ST_INTERNAL,
            "store %s: gradient rows of parameter %d come after its norm of "
            "step %lld",
            call, par, (long long)c->step);
    return ST_OK;
}

/* --- checksums ------------------------------------------------------------ */

static uint64_t sum_row(const check_param *p, const float *row)
{
    return hash64(row, (size_t)p->shape.cols * sizeof(float));
}

static status compare_row(const check_param *p, const char *call, int par,
                          int64_t row, const float *data)
{
    REQUIRE(sum_row(p, data) == p->sum[row], ST_CORRUPT,
            "store %s: row %lld of parameter %d is not what was written or "
            "updated last (checksum); the store has lost or changed it",
            call, (long long)row, par);
    return ST_OK;
}

static status compare_rows(const check_store *c, const char *call, int par,
                           int64_t row0, int64_t rows, const float *data)
{
    const check_param *p = &c->list[par];
    for (int64_t i = 0; i < rows; i++) {
        TRY(compare_row(p, call, par, row0 + i, data + i * p->shape.cols));
    }
    return ST_OK;
}

/* Takes the checksums of what the inner store holds now. */
static status sum_rows(check_store *c, int par)
{
    check_param *p = &c->list[par];
    TRY(c->inner->ops->read(c->inner, par, STORE_WEIGHT, 0, p->shape.rows,
                            c->rows));
    for (int64_t r = 0; r < p->shape.rows; r++) {
        p->sum[r] = sum_row(p, c->rows + r * p->shape.cols);
    }
    return ST_OK;
}

/* --- calls ---------------------------------------------------------------- */

static status admit_begin(check_store *c, int64_t step)
{
    REQUIRE(!c->in_tail && (!c->in_step || c->normed == c->n), ST_INTERNAL,
            "store begin: step %lld, but step %lld has taken %d of %d norms, "
            "was not dropped, and step %lld has not ended",
            (long long)step, (long long)c->step, c->normed, c->n,
            (long long)(c->in_tail ? c->tail_step : c->step));
    c->in_tail = c->in_step;
    c->tail_step = c->step;
    for (int i = 0; i < c->n; i++) {
        check_param *p = &c->list[i];
        memset(p->drained, 0, (size_t)p->shape.rows);
        p->added = p->normed = false;
    }
    c->normed = 0;
    c->in_step = true;
    c->step = step;
    return ST_OK;
}

static status check_begin(store *s, int64_t step)
{
    check_store *c = self(s);
    pthread_mutex_lock(&c->lock);
    status st = admit_begin(c, step);
    pthread_mutex_unlock(&c->lock);
    TRY(st);
    return c->inner->ops->begin(c->inner, step);
}

static status admit_load(check_store *c, const char *call, int par)
{
    check_param *p = &c->list[par];
    TRY(check_turn(c, call, par));
    REQUIRE(c->in_tail || !p->updating, ST_INTERNAL,
            "store %s: parameter %d was updated in this step already", call,
            par);
    p->loading++;
    return ST_OK;
}

/* Enters a load; an update that comes before it is through is an error. */
static status begin_load(check_store *c, const char *call, int par)
{
    pthread_mutex_lock(&c->lock);
    status st = admit_load(c, call, par);
    pthread_mutex_unlock(&c->lock);
    return st;
}

/* Leaves a call that was entered. */
static void leave(check_store *c, int *calls)
{
    pthread_mutex_lock(&c->lock);
    (*calls)--;
    pthread_mutex_unlock(&c->lock);
}

static status check_load(store *s, int par, int64_t row0, int64_t rows,
                         float *to)
{
    check_store *c = self(s);
    TRY(check_rows(c, "load", par, row0, rows));
    TRY(begin_load(c, "load", par));
    status st = c->inner->ops->load(c->inner, par, row0, rows, to);
    leave(c, &c->list[par].loading);
    TRY(st);
    return compare_rows(c, "load", par, row0, rows, to);
}

static status check_load_rows(store *s, int par, const int32_t *ids, int64_t n,
                              float *to)
{
    check_store *c = self(s);
    TRY(check_rows(c, "load_rows", par, 0, n));
    check_param *p = &c->list[par];
    TRY(check_ids(c, "load_rows", par, ids, n, p->load_id, ++c->load_stamp));
    TRY(begin_load(c, "load_rows", par));
    status st = c->inner->ops->load_rows(c->inner, par, ids, n, to);
    leave(c, &p->loading);
    TRY(st);
    for (int64_t i = 0; i < n; i++) {
        TRY(compare_row(p, "load_rows", par, ids[i], to + i * p->shape.cols));
    }
    return ST_OK;
}

/* Rows are replaced once, and before anything is added to the parameter. */
static status admit_drain(check_store *c, int par, int64_t row0, int64_t rows)
{
    check_param *p = &c->list[par];
    TRY(check_drain(c, "drain", par));
    REQUIRE(!p->added, ST_INTERNAL,
            "store drain: rows of parameter %d would replace what drain_rows "
            "added in step %lld",
            par, (long long)c->step);
    for (int64_t r = row0; r < row0 + rows; r++) {
        REQUIRE(!p->drained[r], ST_INTERNAL,
                "store drain: row %lld of parameter %d comes twice in step "
                "%lld",
                (long long)r, par, (long long)c->step);
        p->drained[r] = 1;
    }
    p->draining++;
    return ST_OK;
}

static status check_drain_call(store *s, int par, int64_t row0, int64_t rows,
                               const float *from)
{
    check_store *c = self(s);
    TRY(check_rows(c, "drain", par, row0, rows));
    pthread_mutex_lock(&c->lock);
    status st = admit_drain(c, par, row0, rows);
    pthread_mutex_unlock(&c->lock);
    TRY(st);
    st = c->inner->ops->drain(c->inner, par, row0, rows, from);
    leave(c, &c->list[par].draining);
    return st;
}

static status check_drain_rows(store *s, int par, const int32_t *ids, int64_t n,
                               const float *from)
{
    check_store *c = self(s);
    TRY(check_rows(c, "drain_rows", par, 0, n));
    check_param *p = &c->list[par];
    TRY(check_ids(c, "drain_rows", par, ids, n, p->drain_id, ++c->drain_stamp));
    pthread_mutex_lock(&c->lock);
    status st = check_drain(c, "drain_rows", par);
    if (st == ST_OK) {
        p->added = true;
        p->draining++;
    }
    pthread_mutex_unlock(&c->lock);
    TRY(st);
    st = c->inner->ops->drain_rows(c->inner, par, ids, n, from);
    leave(c, &p->draining);
    return st;
}

/* Marks the norm before it is made: a drain from now on is too late. */
static status admit_norm(check_store *c, int par)
{
    check_param *p = &c->list[par];
    TRY(check_in_step(c, "norm", par, true));
    TRY(check_turn(c, "norm", par));
    REQUIRE(p->draining == 0, ST_INTERNAL,
            "store norm: parameter %d, of which a drain is under way", par);
    REQUIRE(!p->normed, ST_INTERNAL,
            "store norm: parameter %d comes twice in step %lld", par,
            (long long)c->step);
    p->normed = true;
    c->normed++;
    return ST_OK;
}

static status check_norm(store *s, int par, double *rows)
{
    check_store *c = self(s);
    TRY(check_rows(c, "norm", par, 0, 1));
    pthread_mutex_lock(&c->lock);
    status st = admit_norm(c, par);
    pthread_mutex_unlock(&c->lock);
    TRY(st);
    return c->inner->ops->norm(c->inner, par, rows);
}

/* The step whose updates may come now. */
static int64_t updating_step(const check_store *c)
{
    return c->in_tail ? c->tail_step : c->step;
}

static status admit_update(check_store *c, int par)
{
    check_param *p = &c->list[par];
    TRY(check_in_step(c, "update", par, true));
    REQUIRE(c->in_tail || c->normed == c->n, ST_INTERNAL,
            "store update: parameter %d, but only %d of %d parameters have "
            "had their norm in step %lld",
            par, c->normed, c->n, (long long)c->step);
    REQUIRE(!p->updating, ST_INTERNAL,
            "store update: parameter %d comes twice in step %lld", par,
            (long long)updating_step(c));
    REQUIRE(p->loading == 0, ST_INTERNAL,
            "store update: parameter %d, of which a load is under way", par);
    p->updating = true;
    return ST_OK;
}

static status check_update(store *s, int par, const store_update *u)
{
    check_store *c = self(s);
    TRY(check_rows(c, "update", par, 0, 1));
    pthread_mutex_lock(&c->lock);
    status st = admit_update(c, par);
    pthread_mutex_unlock(&c->lock);
    TRY(st);
    TRY(c->inner->ops->update(c->inner, par, u));
    TRY(sum_rows(c, par));
    pthread_mutex_lock(&c->lock);
    c->list[par].updated = true;
    pthread_mutex_unlock(&c->lock);
    return ST_OK;
}

static status admit_end(check_store *c, int64_t step)
{
    REQUIRE(c->in_step && updating_step(c) == step, ST_INTERNAL,
            "store end: step %lld, but %s %lld", (long long)step,
            c->in_step ? "the running step is" : "no step runs, the last was",
            (long long)updating_step(c));
    for (int i = 0; i < c->n; i++) {
        REQUIRE(c->list[i].updated, ST_INTERNAL,
                "store end: step %lld has not updated parameter %d",
                (long long)step, i);
    }
    for (int i = 0; i < c->n; i++) {
        c->list[i].updating = c->list[i].updated = false;
    }
    c->in_step = c->in_tail;
    c->in_tail = false;
    return ST_OK;
}

static status check_end(store *s, int64_t step)
{
    check_store *c = self(s);
    pthread_mutex_lock(&c->lock);
    status st = admit_end(c, step);
    pthread_mutex_unlock(&c->lock);
    TRY(st);
    return c->inner->ops->end(c->inner, step);
}

static status admit_drop(check_store *c, int64_t step)
{
    REQUIRE(c->in_step && !c->in_tail && c->step == step, ST_INTERNAL,
            "store drop: step %lld, but %s %lld", (long long)step,
            c->in_step ? "the running step is" : "no step runs, the last was",
            (long long)updating_step(c));
    for (int i = 0; i < c->n; i++) {
        REQUIRE(!c->list[i].updating, ST_INTERNAL,
                "store drop: step %lld has updated parameter %d",
                (long long)step, i);
    }
    c->in_step = false;
    return ST_OK;
}

static status check_drop(store *s, int64_t step)
{
    check_store *c = self(s);
    pthread_mutex_lock(&c->lock);
    status st = admit_drop(c, step);
    pthread_mutex_unlock(&c->lock);
    TRY(st);
    return c->inner->ops->drop(c->inner, step);
}

static status check_state(const check_store *c, const char *call, int par,
                          store_state which, int64_t row0, int64_t rows)
{
    TRY(check_rows(c, call, par, row0, rows));
    REQUIRE(which >= STORE_WEIGHT && which <= STORE_V, ST_INTERNAL,
            "store %s: state %d of parameter %d is unknown", call, which, par);
    return check_in_step(c, call, par, false);
}

static status check_read(store *s, int par, store_state which, int64_t row0,
                         int64_t rows, float *to)
{
    check_store *c = self(s);
    TRY(check_state(c, "read", par, which, row0, rows));
    TRY(c->inner->ops->read(c->inner, par, which, row0, rows, to));
    return which == STORE_WEIGHT ? compare_rows(c, "read", par, row0, rows, to)
                                 : ST_OK;
}

static status check_write(store *s, int par, store_state which, int64_t row0,
                          int64_t rows, const float *from)
{
    check_store *c = self(s);
    TRY(check_state(c, "write", par, which, row0, rows));
    TRY(c->inner->ops->write(c->inner, par, which, row0, rows, from));
    check_param *p = &c->list[par];
    for (int64_t i = 0; which == STORE_WEIGHT && i < rows; i++) {
        p->sum[row0 + i] = sum_row(p, from + i * p->shape.cols);
    }
    return ST_OK;
}

static int64_t check_bytes(const store *s)
{
    const check_store *c = (const check_store *)s;
    return c->inner->ops->bytes(c->inner);
}

static void free_own(check_store *c)
{
    for (int i = 0; c->list != NULL && i < c->n; i++) {
        mem_free(c->list[i].sum);
        mem_free(c->list[i].drained);
        mem_free(c->list[i].load_id);
        mem_free(c->list[i].drain_id);
    }
    mem_free(c->list);
    mem_free(c->rows);
    pthread_mutex_destroy(&c->lock);
    mem_free(c);
}

static void check_destroy(store *s)
{
    check_store *c = self(s);
    c->inner->ops->destroy(c->inner);
    free_own(c);
}

static const store_ops check_ops = {
    .name = "check",
    .begin = check_begin,
    .load = check_load,
    .load_rows = check_load_rows,
    .drain = check_drain_call,
    .drain_rows = check_drain_rows,
    .norm = check_norm,
    .update = check_update,
    .end = check_end,
    .drop = check_drop,
    .read = check_read,
    .write = check_write,
    .bytes = check_bytes,
    .destroy = check_destroy,
};

static status make_lists(check_store *c, const store_param *params, int n)
{
    int64_t most = 1;
    TRY(MEM_NEW(&c->list, n, "store"));
    c->n = n;
    for (int i = 0; i < n; i++) {
        check_param *p = &c->list[i];
        int64_t rows = params[i].rows;
        p->shape = params[i];
        TRY(MEM_NEW(&p->sum, rows, "store"));
        TRY(MEM_NEW(&p->drained, rows, "store"));
        TRY(MEM_NEW(&p->load_id, rows, "store"));
        TRY(MEM_NEW(&p->drain_id, rows, "store"));
        most = rows * p->shape.cols > most ? rows * p->shape.cols : most;
    }
    return MEM_NEW(&c->rows, most, "store");
}

status store_check_create(store *inner, const store_param *params, int n,
                          store **out)
{
    check_store *c = NULL;
    TRY(MEM_NEW(&c, 1, "store"));
    c->base.ops = &check_ops;
    c->inner = inner;
    pthread_mutex_init(&c->lock, NULL);
    status st = make_lists(c, params, n);
    for (int i = 0; st == ST_OK && i < n; i++) {
        st = sum_rows(c, i);
    }
    if (st != ST_OK) {
        free_own(c);
        return st;
    }
    *out = &c->base;
    return ST_OK;
}
