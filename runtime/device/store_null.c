/*
 * The store that is not there: loads give zeros, drains go nowhere. What a
 * step then takes, it takes without a store; the time of a transfer is the
 * link's alone (link.h). Threads share nothing here, so load and drain never
 * slow each other.
 */
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/device/store.h"

typedef struct null_store {
    store base;
    store_param *list;
    int n;
} null_store;

static int64_t bytes_of(const store *s, int par, int64_t rows)
{
    const null_store *z = (const null_store *)s;
    return rows * z->list[par].cols * (int64_t)sizeof(float);
}

static status null_step(store *s, int64_t step)
{
    (void)s, (void)step;
    return ST_OK;
}

static status null_load(store *s, int par, int64_t row0, int64_t rows,
                        float *to)
{
    (void)row0;
    memset(to, 0, (size_t)bytes_of(s, par, rows));
    return ST_OK;
}

static status null_load_rows(store *s, int par, const int32_t *ids, int64_t n,
                             float *to)
{
    (void)ids;
    return null_load(s, par, 0, n, to);
}

static status null_drain(store *s, int par, int64_t row0, int64_t rows,
                         const float *from)
{
    (void)s, (void)par, (void)row0, (void)rows, (void)from;
    return ST_OK;
}

static status null_drain_rows(store *s, int par, const int32_t *ids, int64_t n,
                              const float *from)
{
    (void)ids;
    return null_drain(s, par, 0, n, from);
}

static status null_norm(store *s, int par, double *rows)
{
    const null_store *z = (const null_store *)s;
    memset(rows, 0, sizeof(*rows) * (size_t)z->list[par].rows);
    return ST_OK;
}

static status null_update(store *s, int par, const store_update *u)
{
    (void)s, (void)par, (void)u;
    return ST_OK;
}

static status null_read(store *s, int par, store_state which, int64_t row0,
                        int64_t rows, float *to)
{
    (void)which, (void)row0;
    memset(to, 0, (size_t)bytes_of(s, par, rows));
    return ST_OK;
}

static status null_write(store *s, int par, store_state which, int64_t row0,
                         int64_t rows, const float *from)
{
    (void)s, (void)par, (void)which, (void)row0, (void)rows, (void)from;
    return ST_OK;
}

static int64_t null_bytes(const store *s)
{
    (void)s;
    return 0;
}

static void null_destroy(store *s)
{
    null_store *z = (null_store *)s;
    mem_free(z->list);
    mem_free(z);
}

static const store_ops null_ops = {
    .name = "null",
    .begin = null_step,
    .load = null_load,
    .load_rows = null_load_rows,
    .drain = null_drain,
    .drain_rows = null_drain_rows,
    .norm = null_norm,
    .update = null_update,
    .end = null_step,
    .drop = null_step,
    .read = null_read,
    .write = null_write,
    .bytes = null_bytes,
    .destroy = null_destroy,
};

status store_null_create(const store_param *params, int n, store **out)
{
    null_store *z = NULL;
    TRY(MEM_NEW(&z, 1, "store"));
    *z = (null_store){.base.ops = &null_ops, .n = n};
    status st = MEM_NEW(&z->list, n, "store");
    if (st != ST_OK) {
        mem_free(z);
        return st;
    }
    memcpy(z->list, params, sizeof(*params) * (size_t)n);
    *out = &z->base;
    return ST_OK;
}
