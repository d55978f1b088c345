/*
 * The lower bound on memory, in closed form.
 *
 * Weights and optimizer state (12 bytes a parameter) are there all the time.
 * On top of them comes the most of three moments of a stage's step, drawn for
 * three micro-batches, GPipe and 1F1B (second of two stages):
 *
 *   F0 F1 F2 | B0 | B1 B2 | update        F0 | B0 F1 | B1 F2 B2 | update
 *            a    b       c                  a       b          c
 *
 *   a  kept activations of all micro-batches in flight, gradients of the head
 *   b  gradients of all layers and the head, kept activations of the
 *      micro-batches that are then in flight
 *   c  all gradients; of a tied embedding both parts where one rank has both
 *
 * The first stage keeps what goes back to the embedding, a row of the residual
 * stream's width for every token of its share, from its first backward to the
 * embedding's gradient: at all three.
 *
 * Planes of accumulators, working buffers, logits and scratch are left out,
 * so that the compiled plan can only need more.
 */
#include "partition/rules_impl.h"

static void add_param(const arch *a, const param *p, int64_t rows, shard *s)
{
    int64_t floats = rows * p->cols;
    if (p->layer >= 0) {
        s->layer += floats;
    } else if (p->role == PARAM_WTE || p->role == PARAM_WPE) {
        s->embed += floats;
    } else {
        s->head += floats;
    }
    if (p->role == PARAM_WTE && a->tied) {
        s->tied = floats;
    }
    /* Rows of these two are the columns of attention (q, k and v are three
     * times as wide) and of the MLP. */
    if (p->role == PARAM_OUT_W) {
        s->kept += 4 * rows;
    }
    if (p->role == PARAM_FCIN_W) {
        s->kept += rows;
    }
}

void bound_cut_shards(const plan_job *job, const params *one, int tensor,
                      bool recompute, shards *out)
{
    const arch *a = job->a;
    int S = rules_tensor_leaves(job, tensor);
    out->n = tensor;
    for (int t = 0; t < tensor; t++) {
        shard s = {0};
        for (int i = 0; i < one->n; i++) {
            param_shard r =
                param_rows(a, &one->list[i], S, leaf_of_rank(S, tensor, t),
                           leaf_of_rank(S, tensor, t + 1));
            add_param(a, &one->list[i], r.rows, &s);
        }
        /* The block's input, and the middle of a sequential one. */
        s.kept += a->residual == RES_SEQUENTIAL ? 2 * a->C : a->C;
        s.kept = recompute ? a->C : s.kept;
        out->list[t] = s;
    }
}

/* Bytes at the fullest of the moments a, b, c above. to_embed: floats on their
 * way back to the embedding. */
static int64_t stage_bytes(const shard *s, int64_t layers, bool first,
                           bool last, int64_t tokens, int64_t tokens_ahead,
                           int64_t to_embed)
{
    int64_t in_layers = layers * s->layer;
    int64_t in_head = last ? s->head + s->tied : 0;
    int64_t own = in_layers + (first ? s->embed : 0) +
                  (first && last ? s->head : in_head);
    int64_t at_a = layers * s->kept * tokens + in_head;
    int64_t at_b = layers * s->kept * tokens_ahead + in_layers + in_head;
    int64_t at_c = own + (first && last ? s->tied : 0);
    return 12 * own +
           4 * (max64(at_a, max64(at_b, at_c)) + (first ? to_embed : 0));
}

/* Of stage k, by the moments above, in micro-batches of `each`. */
static int64_t fullest_of_stage(const plan_job *job, const shards *sh,
                                const plan *p, int64_t seqs, int64_t each,
                                int k)
{
    int64_t nmb = (seqs + each - 1) / each;
    int64_t flight = plan_in_flight(p, k, nmb);
    int64_t now = min64(flight * each, seqs);
    /* After the first backward: one fewer, unless a forward followed. */
    int64_t ahead = min64((flight - 1) * each, seqs - each);
    int64_t rest = seqs - (nmb - 1) * each; /* the last one, maybe smaller */
    ahead += flight < nmb ? rest : 0;
    int64_t layers = plan_stage_start(p, job->a->L, k + 1) -
                     plan_stage_start(p, job->a->L, k);
    int64_t most = 0;
    for (int t = 0; t < sh->n; t++) {
        most =
            max64(most, stage_bytes(&sh->list[t], layers, k == 0,
                                    k + 1 == p->pipe, now * job->T,
                                    ahead * job->T, seqs * job->T * job->a->C));
    }
    return most;
}

/* Of even stages none needs more than the first or the last. */
static int64_t fullest_with(const plan_job *job, const shards *sh,
                            const plan *p, int64_t seqs, int64_t each)
{
    int64_t most = 0;
    int step = p->nstages > 0 || p->pipe < 2 ? 1 : p->pipe - 1;
    for (int k = 0; k < p->pipe; k += step) {
        most = max64(most, fullest_of_stage(job, sh, p, seqs, each, k));
    }
    return most;
}

/* A micro-batch that is left open may become as small as one sequence, which
 * only 1F1B gains from; and where one would hold the whole share, its
 * activations are gone before all gradients are there. Sizes between need no
 * less than the better of the two. */
int64_t bound_fullest(const plan_job *job, const shards *sh, const plan *p,
                      int64_t seqs)
{
    int64_t each = min64(plan_micro_batch(p, seqs), seqs);
    int64_t least = fullest_with(job, sh, p, seqs, each);
    if (p->schedule == SCHEDULE_1F1B && p->micro_batch == 0 && each > 1) {
        least = min64(least, fullest_with(job, sh, p, seqs, 1));
    }
    return least;
}

status bound_one_layer(const plan_job *job, params *out)
{
    arch a = *job->a;
    a.L = 1;
    return params_init(&a, out);
}

static int32_t clamp(int32_t value, int32_t max)
{
    return value < 1 ? 1 : value < max ? value : max;
}

int64_t plan_least_bytes(const plan *p, const plan_job *job)
{
    params one;
    if (!rules_job_has_leaves(job) || bound_one_layer(job, &one) != ST_OK) {
        return 0; /* nothing is known: still a lower bound */
    }
    /* Degrees that the rules refuse are cut to what could be. */
    plan q = *p;
    q.data = clamp(p->data, rules_most_data(job));
    q.tensor = clamp(p->tensor, rules_most_tensor(job));
    q.pipe = clamp(p->pipe, job->a->L);
    if (plan_stage_start(&q, job->a->L, q.pipe) != job->a->L) {
        q.nstages = 0;
    }
    data_share s = {0};
    if (rules_share_data(job, q.data, &s) != ST_OK) {
        s.most = job->N / q.data;
    }
    shards sh;
    bound_cut_shards(job, &one, q.tensor, q.recompute, &sh);
    params_fini(&one);
    return bound_fullest(job, &sh, &q, s.most);
}
