#include "tests/common/rig.h"

#include <string.h>

#include "runtime/base/rng.h"
#include "runtime/train/state.h"

enum { BATCH_SEED = 7, WEIGHT_SEED = 42, IDS = 61 };

/* Few ids, so that rows of the embedding repeat. */
static status make_batch(void *self, int64_t step, int64_t seq0, int64_t seqs,
                         int32_t *ids, int32_t *targets)
{
    const rig *r = self;
    REQUIRE(!r->batch_fails, ST_IO, "the batch of step %lld is lost",
            (long long)step);
    int64_t T = r->s.sh.T;
    for (int64_t s = 0; s < seqs; s++) {
        for (int64_t t = 0; t < T; t++) {
            uint64_t i = (uint64_t)((seq0 + s) * (T + 1) + t);
            ids[s * T + t] =
                (int32_t)rng_below(BATCH_SEED, (uint64_t)step, i, IDS);
            targets[s * T + t] =
                (int32_t)rng_below(BATCH_SEED, (uint64_t)step, i + 1, IDS);
        }
    }
    return ST_OK;
}

static train_state state_of(const rig *r)
{
    return (train_state){r->e, &r->s.a, &r->s.ps, r->store, r->world};
}

status rig_reset_weights(rig *r)
{
    train_state t = state_of(r);
    return train_state_init(&t, WEIGHT_SEED);
}

status rig_open(const setup_options *o, const rig_more *more, comm *world,
                rig *out)
{
    static const rig_more none;
    more = more != NULL ? more : &none;
    memset(out, 0, sizeof(*out));
    out->world = world;
    TRY(comm_agree(world, setup_open(o, comm_size(world), &out->s)));
    TRY(setup_share(&out->s, comm_rank(world)));
    TRY(setup_store_create(&out->s, o, out->s.sh.threads, &out->store));
    if (more->wrap != NULL) {
        out->store = more->wrap(more->wrap_self, out->store);
    }
    exec_config c = {.a = &out->s.a,
                     .ps = &out->s.ps,
                     .set = &out->s.set,
                     .sh = out->s.sh,
                     .math = more->math != NULL ? more->math : out->s.math,
                     .threads = out->s.sh.threads,
                     .world = world,
                     .store = out->store,
                     .device_memory = o->device_memory,
                     .link_rate = more->link_rate,
                     .link_latency = more->link_latency,
                     .batch = make_batch,
                     .batch_self = out,
                     .between = more->between,
                     .between_self = more->between_self};
    TRY(exec_create(&c, &out->e));
    return rig_reset_weights(out);
}

void rig_close(rig *r)
{
    exec_destroy(r->e);
    if (r->store != NULL) {
        r->store->ops->destroy(r->store);
    }
    setup_close(&r->s);
    memset(r, 0, sizeof(*r));
}

status rig_step(rig *r, int64_t step, exec_result *out)
{
    exec_scalars sc = {.lr = 1e-2F,
                       .beta1 = 0.9F,
                       .beta2 = 0.95F,
                       .eps = 1e-8F,
                       .weight_decay = 0.1F,
                       .grad_clip = 1.0,
                       .skip_broken = r->skip_broken,
                       .adam_step = step + 1};
    TRY(exec_step(r->e, step, &sc, out));
    return r->overlaps ? ST_OK : exec_settle(r->e, &out->ledger);
}

status rig_hash(rig *r, uint64_t *out)
{
    train_state t = state_of(r);
    TRY(train_state_hash(&t, out));
    comm_bcast(r->world, out, sizeof(*out), 0);
    return ST_OK;
}

status rig_poke(rig *r, int par, float value)
{
    TRY(exec_settle(r->e, NULL));
    float *rows;
    param_shard sh;
    if (r->store != NULL) {
        float row[4096];
        int64_t cols = r->s.ps.list[par].cols;
        ASSERT(cols <= 4096);
        TRY(r->store->ops->read(r->store, par, STORE_WEIGHT, 0, 1, row));
        row[0] = value;
        return r->store->ops->write(r->store, par, STORE_WEIGHT, 0, 1, row);
    }
    if (exec_state(r->e, par, STORE_WEIGHT, &rows, &sh) && sh.valid > 0) {
        rows[0] = value;
    }
    return ST_OK;
}

setup_options rig_options(const char *shorthand)
{
    return (setup_options){.model = "configs/models/gpt-neo-tiny.json",
                           .layers = 2,
                           .plan = shorthand,
                           .batch = 4,
                           .seq = 32,
                           .threads = 1};
}
