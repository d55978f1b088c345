/*
 * The batch on the device: token ids, targets, positions; and for a streamed
 * embedding, which rows the batch names: each row once, in order of first
 * occurrence, and for every token the slot of its row.
 */
#include <string.h>

#include "runtime/exec/exec_impl.h"

static void make_slots(exec *e, const int32_t *ids, int64_t n, int32_t *slots)
{
    e->batch_serial++;
    e->nunique = 0;
    for (int64_t i = 0; i < n; i++) {
        int32_t id = ids[i];
        if (e->seen[id] != e->batch_serial) {
            e->seen[id] = e->batch_serial;
            e->slot_of[id] = (int32_t)e->nunique;
            e->unique[e->nunique++] = id;
        }
        slots[i] = e->slot_of[id];
    }
}

status exec_make_batch(exec *e, const flight *f, const prog_op *o)
{
    const gpt_shape *sh = &e->c.sh;
    int64_t n = sh->seqs * sh->T;
    int32_t *ids = (int32_t *)at(e, view(e, o, 0));
    int32_t *targets = (int32_t *)at(e, view(e, o, 1));
    int32_t *pos = (int32_t *)at(e, view(e, o, 2));
    TRY(e->c.batch(e->c.batch_self, f->step, sh->seq_first, sh->seqs, ids,
                   targets));
    for (int64_t i = 0; i < n; i++) {
        pos[i] = (int32_t)(i % sh->T);
        REQUIRE(ids[i] >= 0 && ids[i] < e->c.a->V && targets[i] >= 0 &&
                    targets[i] < e->c.a->V,
                ST_BADFILE, "token %d is outside the vocabulary of %d", ids[i],
                e->c.a->V);
    }
    if (o->flag) {
        make_slots(e, ids, n, (int32_t *)at(e, view(e, o, 3)));
    }
    return ST_OK;
}
