#include "benchmarks/runner.h"

#include <string.h>

#include "runtime/base/rng.h"
#include "runtime/base/stop.h"
#include "runtime/train/state.h"

static status any_tokens(void *self, int64_t step, int64_t seq0, int64_t seqs,
                         int32_t *ids, int32_t *targets)
{
    const setup *s = self;
    int64_t T = s->sh.T;
    for (int64_t i = 0; i < seqs * T; i++) {
        uint64_t at = (uint64_t)(seq0 * T + i);
        ids[i] = (int32_t)rng_below(3, (uint64_t)step, at, s->a.V);
        targets[i] = (int32_t)rng_below(3, (uint64_t)step, at + 1, s->a.V);
    }
    return ST_OK;
}

status runner_open(const arch *a, const setup_options *o, comm *self, runner *r)
{
    memset(r, 0, sizeof(*r));
    TRY(setup_open_arch(o, a, 1, &r->s));
    TRY(setup_store_create(&r->s, o, o->threads, &r->store));
    exec_config ec = {.a = &r->s.a,
                      .ps = &r->s.ps,
                      .set = &r->s.set,
                      .sh = r->s.sh,
                      .math = r->s.math,
                      .threads = r->s.sh.threads,
                      .world = self,
                      .store = r->store,
                      .device_memory = o->device_memory,
                      .batch = any_tokens,
                      .batch_self = &r->s};
    TRY(exec_create(&ec, &r->e));
    train_state t = {r->e, &r->s.a, &r->s.ps, r->store, self};
    return train_state_init(&t, 1);
}

void runner_close(runner *r)
{
    exec_destroy(r->e);
    if (r->store != NULL) {
        r->store->ops->destroy(r->store);
    }
    setup_close(&r->s);
}

status runner_step(runner *r, double *seconds)
{
    exec_scalars s = {.lr = 1e-4F,
                      .beta1 = 0.9F,
                      .beta2 = 0.95F,
                      .eps = 1e-8F,
                      .weight_decay = 0.1F,
                      .grad_clip = 1,
                      .adam_step = r->step + 1};
    TRY(stop_check());
    TRY(exec_step(r->e, r->step, &s, &r->last));
    TRY(exec_settle(r->e, &r->last.ledger)); /* others take turns */
    r->step++;
    *seconds = (double)r->last.ledger.wall * 1e-9;
    return ST_OK;
}
