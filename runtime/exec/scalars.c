/*
 * The few numbers that all ranks share: loss and gradient norm.
 *
 * Both are sums of slots that no plan cuts (a data leaf of the loss, a tensor
 * leaf of a parameter's gradient). Each slot is summed by the one rank that
 * counts for it, is zero elsewhere, and adding zeros is exact: so one plain
 * sum over all ranks and one fixed order over slots give the same bits under
 * every plan.
 */
#include <math.h>

#include "runtime/base/clock.h"
#include "runtime/exec/exec_impl.h"

static double *norm_slots(const exec *e, int par)
{
    return e->slots + e->c.sh.D + 1 + (int64_t)par * e->c.sh.S;
}

void exec_loss(exec *e, const prog_op *o)
{
    const gpt_shape *sh = &e->c.sh;
    const float *loss = at(e, view(e, o, 0));
    int64_t base = sh->seq_first * sh->T;
    if (e->place->tensor != 0) {
        return;
    }
    for (int leaf = sh->data_lo; leaf < sh->data_hi; leaf++) {
        double sum = 0;
        int64_t end = gpt_leaf_token(sh, leaf + 1);
        for (int64_t g = gpt_leaf_token(sh, leaf); g < end; g++) {
            sum += (double)loss[g - base];
        }
        e->slots[leaf] = sum;
    }
}

/* One rank counts for a gradient: of equal replicas the first. */
static bool counts(const exec *e, const prog_op *o)
{
    const param *q = &e->c.ps->list[o->param];
    return e->c.store != NULL ||
           (o->flag && e->place->data == 0 &&
            (q->axis != AXIS_NONE || e->place->tensor == 0));
}

status exec_grad_norm(exec *e, const prog_op *o)
{
    const gpt_shape *sh = &e->c.sh;
    const param *q = &e->c.ps->list[o->param];
    if (!counts(e, o)) {
        return ST_OK;
    }
    if (e->c.store != NULL) {
        TRY(e->c.store->ops->norm(e->c.store, o->param, e->row_sums));
    } else {
        const prog_view *g = view(e, o, 0);
        e->c.math->row_sumsq(&e->ctx, g->rows, g->cols, at(e, g), g->ld,
                             e->row_sums);
    }
    int64_t starts[TREE_LEAVES_MAX + 1];
    param_leaf_rows(e->c.a, q, sh->S, sh->tensor_lo, sh->tensor_hi, starts);
    for (int i = 0; i < sh->tensor_hi - sh->tensor_lo; i++) {
        double sum = 0;
        for (int64_t r = starts[i]; r < starts[i + 1] && r < o->rows; r++) {
            sum += e->row_sums[r];
        }
        norm_slots(e, o->param)[sh->tensor_lo + i] = sum;
    }
    return ST_OK;
}

status exec_clip(exec *e, flight *f)
{
    const gpt_shape *sh = &e->c.sh;
    comm_wait_ns wait = {0};
    int64_t n = f->forward_only ? sh->D + 1 : e->nslots;
    e->slots[sh->D] = e->late != ST_OK;
    int64_t t = clock_wall_ns();
    comm_sum_f64(e->c.world, e->slots, n, &wait);
    int64_t took = clock_wall_ns() - t;
    if (e->c.store == NULL) {
        /* The caller books all of this operation as optimizer. With a store
         * there is one rank, and this is the host thread, whose time is not
         * in the ledger. */
        e->ledger.bubble += wait.bubble;
        e->ledger.comm += took - wait.bubble;
        e->ledger.optimizer -= took;
    }
    if (e->slots[sh->D] > 0) {
        return comm_agree(e->c.world, e->late);
    }
    double loss = 0;
    for (int i = 0; i < sh->D; i++) {
        loss += e->slots[i];
    }
    e->loss = loss / (double)(sh->N * sh->T);
    if (f->forward_only) {
        return ST_OK;
    }
    double sum = 0;
    for (int64_t i = sh->D + 1; i < e->nslots; i++) {
        sum += e->slots[i];
    }
    e->grad_norm = sqrt(sum);
    bool sound = isfinite(e->loss) && isfinite(e->grad_norm);
    atomic_store(&f->tail, sound ? TAIL_SOUND : TAIL_BROKEN);
    /* PyTorch's clip_grad_norm_: max_norm / (norm + 1e-6), at most 1. */
    double clip = 1;
    if (f->scalars.grad_clip > 0) {
        clip = f->scalars.grad_clip / (e->grad_norm + 1e-6);
    }
    f->clip = clip < 1 ? clip : 1;
    return ST_OK;
}

status exec_update(exec *e, const flight *f, const prog_op *o)
{
    const exec_scalars *s = &f->scalars;
    const param *q = &e->c.ps->list[o->param];
    double t = (double)s->adam_step;
    store_update u = {
        .lr = s->lr,
        .beta1 = s->beta1,
        .beta2 = s->beta2,
        .eps = s->eps,
        .weight_decay = s->weight_decay,
        .bias1 = (float)(1 - pow((double)s->beta1, t)),
        .bias2 = (float)(1 - pow((double)s->beta2, t)),
        .clip = (float)f->clip,
    };
    if (e->c.store != NULL) {
        return e->c.store->ops->update(e->c.store, o->param, &u);
    }
    math_adamw a = {.lr = u.lr,
                    .beta1 = u.beta1,
                    .beta2 = u.beta2,
                    .eps = u.eps,
                    .weight_decay = q->decay ? u.weight_decay : 0,
                    .bias1 = u.bias1,
                    .bias2 = u.bias2,
                    .clip = u.clip};
    const prog_view *w = view(e, o, 0);
    e->c.math->adamw(&e->ctx, &a, w->rows, w->cols, w->ld, at(e, w),
                     at(e, view(e, o, 1)), at(e, view(e, o, 2)),
                     at(e, view(e, o, 3)));
    return ST_OK;
}
