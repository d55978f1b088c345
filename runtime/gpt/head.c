/*
 * Both ends of the model: the batch and its embedding, and the final norm,
 * head and loss with their gradients.
 *
 * The loss never holds all logits. A whole source takes chunks of tokens,
 * each against the whole vocabulary. A streamed source passes the panels of
 * the head twice over all tokens: once for the softmax statistics, once for
 * the gradients, making each panel's logits again; so the head's weights
 * cross the link twice a step, like every other weight, and its memory does
 * not grow with the vocabulary.
 * Where the budget has room, logits of a part of the vocabulary (at most
 * half) stay between the passes and are not made again.
 */
#include "runtime/gpt/build_internal.h"

static prog_view token_vector(gpt_build *b, const char *name)
{
    int64_t n = b->sh.seqs * b->sh.T;
    int32_t buf = prog_buffer(b->p, name, BUF_ACTIVATION, -1, n, false);
    return prog_whole(b->p, buf, 1, n, n);
}

void gpt_emit_batch(gpt_build *b, bool slots)
{
    b->ids = token_vector(b, "ids");
    b->targets = token_vector(b, "targets");
    b->pos = token_vector(b, "positions");
    prog_add(b->p, OP_BATCH, STREAM_LOAD, -1);
    prog_last(b->p)->bytes = 12.0 * (double)(b->sh.seqs * b->sh.T);
    prog_last(b->p)->seqs = (int32_t)b->sh.seqs;
    prog_use(b->p, b->ids, VIEW_W);
    prog_use(b->p, b->targets, VIEW_W);
    prog_use(b->p, b->pos, VIEW_W);
    b->slots = b->ids;
    if (slots) {
        b->slots = token_vector(b, "slots");
        prog_last(b->p)->flag = 1;
        prog_use(b->p, b->slots, VIEW_W);
    }
}

static prog_view set_vector(const gpt_build *b, prog_view v, mb_rows m)
{
    return prog_sub(v, 0, 1, m.range.seq0 * b->sh.T, m.rows);
}

void gpt_emit_embed(gpt_build *b, const gpt_set *set, prog_view table,
                    prog_view x)
{
    int wpe = params_find(b->ps, -1, PARAM_WPE);
    prog_view rows = {0};
    if (wpe >= 0) {
        int64_t n = b->context > 0 ? b->context : b->sh.T;
        rows = b->src->weights(b->src, wpe, 0, n);
    }
    for (int i = 0; i < set->nmb; i++) {
        mb_rows m = build_mb(b, set, i);
        prog_op *o = build_op(b, OP_EMBED, -1, m);
        o->param = params_find(b->ps, -1, PARAM_WTE);
        o->flag = b->slots.buf != b->ids.buf;
        o->bytes = 8.0 * (double)m.rows * (double)x.cols;
        prog_use(b->p, set_vector(b, b->slots, m), VIEW_R);
        prog_use(b->p, table, VIEW_R);
        prog_use(b->p, build_rows(x, m), VIEW_W);
        if (b->sh.tp > 1) {
            gpt_emit_allreduce(b, GROUP_TENSOR, STREAM_TENSOR, -1, -1,
                               build_rows(x, m), 0, 1, b->sh.tp, b->sh.tp);
        }
        if (wpe >= 0) {
            o = build_op(b, OP_POSITION, -1, m);
            o->param = wpe;
            o->bytes = 12.0 * (double)m.rows * (double)x.cols;
            prog_use(b->p, rows, VIEW_R);
            prog_use(b->p, build_rows(x, m), VIEW_RW);
        }
    }
}

/* --- head and loss -------------------------------------------------------- */

typedef struct head {
    gpt_build *b;
    int weight, bias; /* parameters; bias may be -1 */
    prog_view h;      /* final norm's output                    */
    prog_view stats;  /* [n][2 S]                               */
    prog_view picked; /* 1 x n: logit of the target             */
    prog_view norm;   /* 1 x n: log sum exp                     */
    prog_view loss;   /* 1 x n                                  */
    int64_t tok0;     /* local token of the set's first row     */
    gpt_range range;
} head;

/* Tokens [row0, row0 + rows) of the set. */
typedef struct rows_of {
    int64_t row0, rows;
} rows_of;

static prog_op *head_op(const head *k, op_kind kind, rows_of r)
{
    prog_add(k->b->p, kind, STREAM_COMPUTE, -1);
    prog_op *o = prog_last(k->b->p);
    o->seq0 = k->range.seq0 + (int32_t)(r.row0 / k->b->sh.T);
    o->seqs = (int32_t)((r.rows + k->b->sh.T - 1) / k->b->sh.T);
    o->param = k->weight;
    return o;
}

static prog_view vec_part(prog_view v, rows_of r)
{
    return prog_sub(v, 0, 1, r.row0, r.rows);
}

static prog_view targets_part(const head *k, rows_of r)
{
    return prog_sub(k->b->targets, 0, 1, k->tok0 + r.row0, r.rows);
}

/* Logits of a panel for some tokens, with bias. */
static void head_logits(const head *k, gpt_panel pn, prog_view w,
                        prog_view bias, rows_of r, prog_view logits)
{
    prog_op *o = head_op(k, OP_FORWARD, r);
    o->form = FORM_EXPAND;
    o->row0 = pn.row0;
    o->rows = pn.rows;
    o->flops = 2.0 * (double)r.rows * (double)pn.rows * (double)w.cols;
    o->bytes = 4.0 * (double)(r.rows * pn.rows + pn.rows * w.cols);
    prog_use(k->b->p, prog_sub(k->h, r.row0, r.rows, 0, k->h.cols), VIEW_R);
    prog_use(k->b->p, w, VIEW_R);
    prog_use(k->b->p, logits, VIEW_W);
    if (k->bias >= 0) {
        o = head_op(k, OP_BIAS, r);
        o->bytes = 8.0 * (double)r.rows * (double)pn.rows;
        prog_use(k->b->p, logits, VIEW_RW);
        prog_use(k->b->p, bias, VIEW_R);
    }
}

/* Statistics of the leaves that a panel covers, and the targets in it. */
static void head_stats(const head *k, gpt_panel pn, rows_of r, prog_view logits)
{
    gpt_build *b = k->b;
    const param *p = &b->ps->list[k->weight];
    int64_t starts[TREE_LEAVES_MAX + 1];
    param_leaf_rows(b->a, p, b->sh.S, b->sh.tensor_lo, b->sh.tensor_hi, starts);
    for (int i = 0; i < b->sh.tensor_hi - b->sh.tensor_lo; i++) {
        int64_t lo = starts[i] > pn.row0 ? starts[i] : pn.row0;
        int64_t hi = starts[i + 1] < pn.row0 + pn.rows ? starts[i + 1]
                                                       : pn.row0 + pn.rows;
        if (lo >= hi) {
            continue;
        }
        prog_op *o = head_op(k, OP_XENT_STATS, r);
        o->row0 = lo;
        o->rows = hi - lo;
        o->arg = lo - starts[i];
        o->flag = (int16_t)i;
        o->bytes = 4.0 * (double)(r.rows * (hi - lo));
        prog_use(b->p, prog_sub(logits, 0, r.rows, lo - pn.row0, hi - lo),
                 VIEW_R);
        prog_use(b->p, prog_sub(k->stats, r.row0, r.rows, 0, k->stats.cols),
                 VIEW_RW);
    }
    prog_op *o = head_op(k, OP_XENT_PICK, r);
    o->row0 = pn.row0;
    o->rows = pn.rows;
    prog_use(b->p, logits, VIEW_R);
    prog_use(b->p, targets_part(k, r), VIEW_R);
    prog_use(b->p, vec_part(k->picked, r), VIEW_RW);
}

static void head_zero(const head *k, rows_of r, prog_view v)
{
    head_op(k, OP_ZERO, r);
    prog_use(k->b->p, v, VIEW_W);
}

/* Clears what statistics are added to. */
static void head_begin(const head *k, rows_of r)
{
    head_zero(k, r, prog_sub(k->stats, r.row0, r.rows, 0, k->stats.cols));
    head_zero(k, r, vec_part(k->picked, r));
}

static void head_loss(const head *k, rows_of r)
{
    gpt_build *b = k->b;
    prog_view stats = prog_sub(k->stats, r.row0, r.rows, 0, k->stats.cols);
    prog_view picked = vec_part(k->picked, r);
    if (b->sh.tp > 1) {
        gpt_emit_allreduce(b, GROUP_TENSOR, STREAM_TENSOR, -1, -1, stats, 0, 1,
                           b->sh.tp, b->sh.tp);
        gpt_emit_allreduce(b, GROUP_TENSOR, STREAM_TENSOR, -1, -1, picked, 0, 1,
                           b->sh.tp, b->sh.tp);
    }
    prog_op *o = head_op(k, OP_XENT_LOSS, r);
    o->arg = b->sh.S;
    prog_use(b->p, stats, VIEW_R);
    prog_use(b->p, picked, VIEW_R);
    prog_use(b->p, vec_part(k->norm, r), VIEW_W);
    prog_use(b->p, vec_part(k->loss, r), VIEW_W);
}

/* Turns logits into gradients; adds to dW, dbias and the gradient of h. */
static void head_backward(const head *k, gpt_panel pn, prog_view w, rows_of r,
                          prog_view logits, gpt_acc *dw, gpt_acc *dbias)
{
    gpt_build *b = k->b;
    prog_op *o = head_op(k, OP_XENT_GRAD, r);
    o->row0 = pn.row0;
    o->rows = pn.rows;
    o->bytes = 8.0 * (double)(r.rows * pn.rows);
    prog_use(b->p, logits, VIEW_RW);
    prog_use(b->p, targets_part(k, r), VIEW_R);
    prog_use(b->p, vec_part(k->norm, r), VIEW_R);
    int64_t tok0 = k->tok0 + r.row0;
    o = head_op(k, OP_DWEIGHT, r);
    o->form = FORM_SUM;
    o->row0 = pn.row0;
    o->rows = pn.rows;
    o->flops = 2.0 * (double)r.rows * (double)pn.rows * (double)w.cols;
    o->bytes = 4.0 * (double)(r.rows * pn.rows + pn.rows * w.cols);
    prog_use(b->p, logits, VIEW_R);
    prog_use(b->p, prog_sub(k->h, r.row0, r.rows, 0, k->h.cols), VIEW_R);
    build_accumulate_tokens(b, dw, dw->plane0, tok0, tok0 + r.rows);
    if (k->bias >= 0) {
        o = head_op(k, OP_DBIAS, r);
        o->param = k->bias;
        o->bytes = 4.0 * (double)(r.rows * pn.rows);
        prog_use(b->p, logits, VIEW_R);
        prog_view plane =
            prog_sub(build_as_vector(dbias->plane0), 0, 1, pn.row0, pn.rows);
        gpt_acc part = *dbias;
        build_accumulate_tokens(b, &part, plane, tok0, tok0 + r.rows);
    }
}

static void head_dinput(const head *k, gpt_panel pn, prog_view w, rows_of r,
                        prog_view logits, const tree_seg *segs, int n,
                        gpt_acc *dh)
{
    prog_op *o = head_op(k, OP_DINPUT, r);
    o->form = FORM_SUM;
    o->row0 = pn.row0;
    o->rows = pn.rows;
    o->flops = 2.0 * (double)r.rows * (double)pn.rows * (double)w.cols;
    o->bytes = 4.0 * (double)(r.rows * pn.rows + pn.rows * w.cols);
    prog_use(k->b->p, logits, VIEW_R);
    prog_use(k->b->p, w, VIEW_R);
    build_accumulate(k->b, dh,
                     prog_sub(dh->plane0, r.row0, r.rows, 0, dh->plane0.cols),
                     segs, n);
}

static prog_view logits_buffer(const head *k, int64_t rows, int64_t cols)
{
    int32_t buf = prog_buffer(k->b->p, "logits", BUF_LOGITS, -1,
                              rows * math_pad(cols), false);
    return prog_whole(k->b->p, buf, rows, cols, math_pad(cols));
}

static gpt_acc *bias_grad(const head *k, int64_t rows, int planes)
{
    return k->bias < 0 ? NULL
                       : k->b->src->grad(k->b->src, k->bias, GRAD_MAIN, 0, rows,
                                         planes);
}

static void bias_grad_done(const head *k, int64_t rows)
{
    if (k->bias >= 0) {
        k->b->src->grad_done(k->b->src, k->bias, GRAD_MAIN, 0, rows);
    }
}

/* Token chunks against the whole vocabulary. */
static void head_whole(const head *k, int64_t tokens, int64_t chunk,
                       gpt_acc *dh)
{
    gpt_build *b = k->b;
    gpt_panel pn = {0};
    gpt_next_panel(b, k->weight, &pn);
    prog_view w = b->src->weights(b->src, k->weight, 0, pn.rows);
    prog_view bias = {0};
    if (k->bias >= 0) {
        bias = build_vector(b, k->bias);
    }
    gpt_acc *dw =
        b->src->grad(b->src, k->weight, GRAD_MAIN, 0, pn.rows, b->head_planes);
    gpt_acc *db = bias_grad(k, pn.rows, b->head_planes);
    tree_seg vocab[TREE_LEAVES_MAX];
    int nvocab = build_row_segs(b, k->weight, 0, pn.rows, vocab);
    gpt_acc start = *dh;
    for (int64_t at = 0; at < tokens;) {
        int64_t end =
            build_cut(&b->sh, k->tok0 + at, k->tok0 + tokens, chunk) - k->tok0;
        rows_of r = {at, end - at};
        prog_view logits = logits_buffer(k, r.rows, pn.rows);
        head_begin(k, r);
        head_logits(k, pn, w, bias, r, logits);
        head_stats(k, pn, r, logits);
        head_loss(k, r);
        b->p->phase = PHASE_BACKWARD;
        head_backward(k, pn, w, r, logits, dw, db);
        if (k->bias >= 0) {
            build_state_after(&b->sh, &db->state, k->tok0 + at, k->tok0 + end);
        }
        *dh = start;
        head_dinput(k, pn, w, r, logits, vocab, nvocab, dh);
        b->p->phase = PHASE_FORWARD;
        at = end;
    }
    b->src->grad_done(b->src, k->weight, GRAD_MAIN, 0, pn.rows);
    bias_grad_done(k, pn.rows);
}

/* True if this panel's logits stay from the first pass to the second: those
 * of the last keep_eighths eighths of the vocabulary, never all. */
static bool keeps_logits(const head *k, gpt_panel pn)
{
    const gpt_build *b = k->b;
    const param *q = &b->ps->list[k->weight];
    int64_t rows =
        param_rows(b->a, q, b->sh.S, b->sh.tensor_lo, b->sh.tensor_hi).rows;
    return pn.row0 > 0 && 8 * pn.row0 >= rows * (8 - b->keep_eighths);
}

enum { KEPT_MAX = 512 }; /* panels; more are made again */

/* All panels of the vocabulary past all tokens, twice. */
static void head_panels(const head *k, int64_t tokens, gpt_acc *dh)
{
    gpt_build *b = k->b;
    rows_of r = {0, tokens};
    prog_view bias = {0};
    if (k->bias >= 0) {
        bias = build_vector(b, k->bias);
    }
    prog_view kept[KEPT_MAX];
    int nkept = 0;
    head_begin(k, r);
    for (gpt_panel pn = {0}; gpt_next_panel(b, k->weight, &pn);) {
        prog_view w = b->src->weights(b->src, k->weight, pn.row0, pn.rows);
        prog_view logits = logits_buffer(k, tokens, pn.rows);
        if (keeps_logits(k, pn) && nkept < KEPT_MAX) {
            kept[nkept++] = logits;
        }
        head_logits(k, pn, w, prog_sub(bias, 0, 1, pn.row0, pn.rows), r,
                    logits);
        head_stats(k, pn, r, logits);
    }
    head_loss(k, r);
    b->p->phase = PHASE_BACKWARD;
    if (k->bias >= 0) {
        bias = build_vector(b, k->bias);
    }
    int64_t all = bias.cols;
    gpt_acc *db = bias_grad(k, all, b->acc_planes);
    int used = 0;
    for (gpt_panel pn = {0}; gpt_next_panel(b, k->weight, &pn);) {
        prog_view w = b->src->weights(b->src, k->weight, pn.row0, pn.rows);
        gpt_acc *dw = b->src->grad(b->src, k->weight, GRAD_MAIN, pn.row0,
                                   pn.rows, b->acc_planes);
        prog_view logits;
        if (keeps_logits(k, pn) && used < nkept) {
            logits = kept[used++];
        } else {
            logits = logits_buffer(k, tokens, pn.rows);
            head_logits(k, pn, w, prog_sub(bias, 0, 1, pn.row0, pn.rows), r,
                        logits);
        }
        head_backward(k, pn, w, r, logits, dw, db);
        b->src->grad_done(b->src, k->weight, GRAD_MAIN, pn.row0, pn.rows);
        tree_seg segs[TREE_LEAVES_MAX];
        int n = build_row_segs(b, k->weight, pn.row0, pn.rows, segs);
        head_dinput(k, pn, w, r, logits, segs, n, dh);
    }
    if (k->bias >= 0) {
        build_state_after(&b->sh, &db->state, k->tok0, k->tok0 + tokens);
    }
    bias_grad_done(k, all);
}

static prog_view head_vector(gpt_build *b, const gpt_set *set, const char *name)
{
    int64_t n = set->range.seqs * b->sh.T;
    int32_t buf = prog_buffer(b->p, name, BUF_WORKING, -1, n, false);
    return prog_whole(b->p, buf, 1, n, n);
}

/* {max, sum} of every leaf of a token, without padding between tokens. */
static prog_view head_stats_buffer(gpt_build *b, const gpt_set *set)
{
    int64_t n = set->range.seqs * b->sh.T;
    int64_t cols = 2 * b->sh.S;
    int32_t buf =
        prog_buffer(b->p, "softmax", BUF_WORKING, -1, n * cols, false);
    return prog_whole(b->p, buf, n, cols, cols);
}

void gpt_emit_head(gpt_build *b, const gpt_set *set, prog_view x, prog_view dx,
                   prog_view loss, int64_t chunk_tokens)
{
    int lnw = params_find(b->ps, -1, PARAM_LNF_W);
    int lnb = params_find(b->ps, -1, PARAM_LNF_B);
    int role = b->a->tied ? PARAM_WTE : PARAM_HEAD_W;
    int64_t tokens = set->range.seqs * b->sh.T;
    head k = {
        .b = b,
        .weight = params_find(b->ps, -1, role),
        .bias = params_find(b->ps, -1, PARAM_HEAD_B),
        .h = gpt_tokens(b, "h", BUF_WORKING, -1, set, b->a->C),
        .stats = head_stats_buffer(b, set),
        .picked = head_vector(b, set, "picked"),
        .norm = head_vector(b, set, "normalizer"),
        .loss = loss,
        .tok0 = set->range.seq0 * b->sh.T,
        .range = set->range,
    };
    prog_view stats = gpt_tokens(b, "normf", BUF_WORKING, -1, set, 2);
    build_norm(b, -1, set, x, lnw, lnb, k.h, stats);
    gpt_acc dh = build_sum_acc(b, -1, set, build_sum_planes(b, &k.weight, 1));
    if (b->src->whole) {
        head_whole(&k, tokens, chunk_tokens, &dh);
    } else {
        head_panels(&k, tokens, &dh);
    }
    b->p->phase = PHASE_BACKWARD;
    if (b->sh.tp > 1) {
        gpt_emit_allreduce(b, GROUP_TENSOR, STREAM_TENSOR, -1, -1, dh.plane0,
                           dh.plane, dh.state.depth, b->sh.S, b->sh.tp);
    }
    head_zero(&k, (rows_of){0, tokens}, dx);
    build_dnorm(b, -1, set, dh.plane0, x, lnw, lnb, stats, dx);
    b->p->phase = PHASE_FORWARD;
}

/* --- logits alone --------------------------------------------------------- */

static prog_view row_buffer(gpt_build *b, const char *name, int64_t cols)
{
    int64_t ld = math_pad(cols);
    int32_t buf = prog_buffer(b->p, name, BUF_WORKING, -1, ld, false);
    return prog_whole(b->p, buf, 1, cols, ld);
}

/* The row that is asked for, normed. */
static void row_norm(const head *k, prog_view x)
{
    gpt_build *b = k->b;
    rows_of one = {0, 1};
    int lnw = params_find(b->ps, -1, PARAM_LNF_W);
    prog_view row = row_buffer(b, "row", x.cols);
    prog_op *o = head_op(k, OP_ROW, one);
    o->param = -1;
    o->bytes = 8.0 * (double)x.cols;
    prog_use(b->p, x, VIEW_R);
    prog_use(b->p, row, VIEW_W);
    prog_view gamma = build_vector(b, lnw);
    prog_view beta = build_vector(b, params_find(b->ps, -1, PARAM_LNF_B));
    o = head_op(k, OP_NORM, one);
    o->param = lnw;
    o->bytes = 8.0 * (double)x.cols;
    prog_use(b->p, row, VIEW_R);
    prog_use(b->p, gamma, VIEW_R);
    prog_use(b->p, beta, VIEW_R);
    prog_use(b->p, k->h, VIEW_W);
    prog_use(b->p, row_buffer(b, "normf", 2), VIEW_W);
}

/* The bias is added once all panels are there: kernels touch whole vectors,
 * and a panel of columns need not end with one. */
void gpt_emit_logits(gpt_build *b, prog_view x)
{
    rows_of one = {0, 1};
    int role = b->a->tied ? PARAM_WTE : PARAM_HEAD_W;
    int bias = params_find(b->ps, -1, PARAM_HEAD_B);
    head k = {.b = b,
              .weight = params_find(b->ps, -1, role),
              .bias = -1,
              .h = row_buffer(b, "h", b->a->C),
              .range = {0, 1}};
    row_norm(&k, x);
    int64_t cols = param_rows(b->a, &b->ps->list[k.weight], b->sh.S,
                              b->sh.tensor_lo, b->sh.tensor_hi)
                       .rows;
    int64_t ld = math_pad(cols);
    int32_t buf = prog_buffer(b->p, "logits", BUF_LOGITS, -1, ld, true);
    prog_view logits = prog_whole(b->p, buf, 1, cols, ld);
    for (gpt_panel pn = {0}; gpt_next_panel(b, k.weight, &pn);) {
        prog_view w = b->src->weights(b->src, k.weight, pn.row0, pn.rows);
        head_logits(&k, pn, w, (prog_view){0}, one,
                    prog_sub(logits, 0, 1, pn.row0, pn.rows));
    }
    if (bias >= 0) {
        prog_view v = build_vector(b, bias);
        prog_op *o = head_op(&k, OP_BIAS, one);
        o->param = bias;
        o->bytes = 8.0 * (double)cols;
        prog_use(b->p, logits, VIEW_RW);
        prog_use(b->p, v, VIEW_R);
    }
}

/* --- gradients of the embedding ------------------------------------------- */

static void demb(gpt_build *b, int par, int which, prog_view ids, prog_view dx,
                 int64_t rows, bool slots)
{
    int64_t tokens = b->sh.seqs * b->sh.T;
    tree_state pieces = {.leaves = b->sh.data_tree};
    int planes = build_state_after(&b->sh, &pieces, 0, tokens);
    gpt_acc *acc = b->src->grad(b->src, par, which, 0, rows, planes);
    prog_add(b->p, OP_DEMBED, STREAM_COMPUTE, -1);
    prog_op *o = prog_last(b->p);
    o->seqs = (int32_t)b->sh.seqs;
    o->param = par;
    o->rows = rows;
    o->flag = (int16_t)slots;
    o->bytes = 8.0 * (double)dx.rows * (double)dx.cols;
    prog_use(b->p, ids, VIEW_R);
    prog_use(b->p, dx, VIEW_R);
    build_accumulate_tokens(b, acc, acc->plane0, 0, tokens);
    b->src->grad_done(b->src, par, which, 0, rows);
}

void gpt_emit_embed_backward(gpt_build *b, prog_view dx)
{
    int wpe = params_find(b->ps, -1, PARAM_WPE);
    if (wpe >= 0) {
        demb(b, wpe, GRAD_MAIN, b->pos, dx, b->ps->list[wpe].rows, false);
    }
    int wte = params_find(b->ps, -1, PARAM_WTE);
    bool slots = b->slots.buf != b->ids.buf;
    int64_t rows = slots ? dx.rows
                         : param_rows(b->a, &b->ps->list[wte], b->sh.S,
                                      b->sh.tensor_lo, b->sh.tensor_hi)
                               .rows;
    demb(b, wte, b->a->tied ? GRAD_EMBED : GRAD_MAIN, b->slots, dx, rows,
         slots);
}
