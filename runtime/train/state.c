#include "runtime/train/state.h"

#include <string.h>

#include "runtime/base/hash.h"
#include "runtime/base/mem.h"

enum { INIT_ROWS_BYTES = 4 << 20, TAG_STATE = 2 };

/* Initial weights of a stored parameter, some rows at a time. */
static status init_stored(train_state *t, int par, uint64_t seed)
{
    const param *q = &t->ps->list[par];
    int64_t most = INIT_ROWS_BYTES / (q->cols * 4);
    most = most < 1 ? 1 : most > q->rows ? q->rows : most;
    float *rows = NULL;
    TRY(MEM_NEW(&rows, most * q->cols, "init"));
    status st = ST_OK;
    for (int64_t r = 0; st == ST_OK && r < q->rows; r += most) {
        int64_t n = q->rows - r < most ? q->rows - r : most;
        param_init(t->ps, par, seed, r, n, rows);
        st = t->store->ops->write(t->store, par, STORE_WEIGHT, r, n, rows);
    }
    mem_free(rows);
    return st;
}

status train_state_init(train_state *t, uint64_t seed)
{
    TRY(exec_settle(t->e, NULL));
    for (int i = 0; i < t->ps->n; i++) {
        float *rows;
        param_shard sh;
        if (t->store != NULL) {
            TRY(init_stored(t, i, seed));
        } else if (exec_state(t->e, i, STORE_WEIGHT, &rows, &sh)) {
            param_init(t->ps, i, seed, sh.row0, sh.rows, rows);
        }
    }
    return ST_OK;
}

status train_state_put(train_state *t, int par, store_state which,
                       const float *full)
{
    const param *q = &t->ps->list[par];
    TRY(exec_settle(t->e, NULL));
    if (t->store != NULL) {
        return t->store->ops->write(t->store, par, which, 0, q->rows, full);
    }
    float *rows;
    param_shard sh;
    if (exec_state(t->e, par, which, &rows, &sh)) {
        memset(rows, 0, (size_t)(sh.rows * q->cols) * sizeof(float));
        memcpy(rows, full + sh.row0 * q->cols,
               (size_t)(sh.valid * q->cols) * sizeof(float));
    }
    return ST_OK;
}

/* What the owner of a shard says before it sends the rows. */
typedef struct offer {
    int64_t row0, rows;
} offer;

static offer own_offer(train_state *t, int par, store_state which, float **rows)
{
    offer o = {0, 0};
    param_shard sh;
    if (exec_owns(t->e, par) && exec_state(t->e, par, which, rows, &sh)) {
        o = (offer){sh.row0, sh.valid};
    }
    return o;
}

static status gather_shards(train_state *t, int par, store_state which,
                            float *full)
{
    const param *q = &t->ps->list[par];
    int size = comm_size(t->world);
    int rank = comm_rank(t->world);
    float *rows = NULL;
    offer mine = own_offer(t, par, which, &rows);
    offer *all = NULL;
    status st = comm_agree(t->world, MEM_NEW(&all, size, "state"));
    if (st != ST_OK) {
        mem_free(all); /* another rank has no memory */
        return st;
    }
    comm_gather(t->world, &mine, sizeof(mine), all, 0);
    for (int r = 0; rank == 0 && r < size; r++) {
        float *to = full + all[r].row0 * q->cols;
        int64_t bytes = all[r].rows * q->cols * 4;
        if (bytes == 0) {
            continue;
        }
        if (r == 0) {
            memcpy(to, rows, (size_t)bytes);
        } else {
            comm_recv(t->world, r, TAG_STATE, to, bytes);
        }
    }
    if (rank != 0 && mine.rows > 0) {
        comm_send(t->world, 0, TAG_STATE, rows, mine.rows * q->cols * 4);
    }
    mem_free(all);
    return ST_OK;
}

status train_state_get(train_state *t, int par, store_state which, float *full)
{
    if (t->store != NULL) {
        TRY(exec_settle(t->e, NULL));
        return t->store->ops->read(t->store, par, which, 0,
                                   t->ps->list[par].rows, full);
    }
    return gather_shards(t, par, which, full);
}

status train_state_hash(train_state *t, uint64_t *hash)
{
    uint64_t h = 0;
    bool root = comm_rank(t->world) == 0;
    for (int i = 0; i < t->ps->n; i++) {
        const param *q = &t->ps->list[i];
        float *full = NULL;
        status st = root ? MEM_NEW(&full, q->rows * q->cols, "state") : ST_OK;
        TRY(comm_agree(t->world, st));
        st = train_state_get(t, i, STORE_WEIGHT, full);
        if (root) {
            uint64_t pair[2] = {h,
                                hash64(full, (size_t)(q->rows * q->cols) * 4)};
            h = hash64(pair, sizeof(pair));
        }
        mem_free(full);
        TRY(st);
    }
    *hash = h;
    return ST_OK;
}
