/*
 * One stage's step. In both schedules micro-batches go backward in their
 * order, so that gradients are summed in token order. 3 stages, 4
 * micro-batches (F forward, B backward; the last stage's F ends with the
 * loss):
 *
 *   GPipe     F0 F1 F2 F3 .  .  .  .  B0 B1 B2 B3
 *             .  F0 F1 F2 F3 .  .  B0 B1 B2 B3 .
 *             .  .  F0 F1 F2 F3 B0 B1 B2 B3 .  .
 *
 *   1F1B      F0 F1 F2 .  .  B0 F3 B1 .  B2 .  B3
 *             .  F0 F1 .  B0 F2 B1 F3 B2 .  B3 .
 *             .  .  F0 B0 F1 B1 F2 B2 F3 B3 .  .
 */
#include "partition/stage.h"

#include <string.h>

#include "partition/compile.h"
#include "runtime/base/mem.h"

/* --- resident parameters -------------------------------------------------- */

typedef struct resident {
    bool made;
    bool used[2]; /* gradient, main and embedding part                     */
    prog_view w, m, v;
    gpt_acc acc[2];
} resident;

typedef struct stage_source {
    gpt_source src;
    gpt_build *b;
    resident *list;
} stage_source;

static prog_view persistent(gpt_build *b, int par, buf_class cls)
{
    const param *q = &b->ps->list[par];
    int64_t rows =
        param_rows(b->a, q, b->sh.S, b->sh.tensor_lo, b->sh.tensor_hi).rows;
    int32_t buf = prog_buffer(b->p, param_role_name(q->role), cls, q->layer,
                              rows * q->cols, true);
    return prog_whole(b->p, buf, rows, q->cols, q->cols);
}

static resident *get(stage_source *s, int par)
{
    resident *r = &s->list[par];
    if (!r->made) {
        r->made = true;
        r->w = persistent(s->b, par, BUF_WEIGHT);
        r->m = persistent(s->b, par, BUF_OPTIMIZER);
        r->v = persistent(s->b, par, BUF_OPTIMIZER);
    }
    return r;
}

static prog_view weights(gpt_source *src, int par, int64_t row0, int64_t rows)
{
    prog_view w = get((stage_source *)src, par)->w;
    return prog_sub(w, row0, rows, 0, w.cols);
}

static gpt_acc *grad(gpt_source *src, int par, int which, int64_t row0,
                     int64_t rows, int planes)
{
    stage_source *s = (stage_source *)src;
    resident *r = get(s, par);
    (void)row0;
    if (!r->used[which]) {
        const param *q = &s->b->ps->list[par];
        r->used[which] = true;
        int32_t buf = prog_buffer(s->b->p, "gradient", BUF_GRADIENT, q->layer,
                                  planes * rows * q->cols, false);
        r->acc[which] = (gpt_acc){
            .plane0 = prog_whole(s->b->p, buf, rows, q->cols, q->cols),
            .plane = rows * q->cols,
            .planes = planes,
            .state = {.leaves = s->b->sh.data_tree},
        };
    }
    return &r->acc[which];
}

static void grad_done(gpt_source *src, int par, int which, int64_t row0,
                      int64_t rows)
{
    (void)src, (void)par, (void)which, (void)row0, (void)rows;
}

/* --- one stage ------------------------------------------------------------ */

typedef struct stage {
    gpt_build b;
    stage_source src;
    const plan *plan;
    int index;
    int l0, l1;
    bool first, last;
    gpt_range *mbs;
    int nmb;
    gpt_acts *acts; /* [micro-batch][layer - l0]                           */
    prog_view *in;  /* by micro-batch: residual stream that enters,        */
    prog_view *out; /* and that leaves                                     */
    prog_view *dx;  /* by micro-batch                                      */
    prog_view dx_all;
    prog_view loss;
    int32_t loss_op;
    int64_t chunk;
} stage;

static gpt_set set_of(const stage *s, int i)
{
    return (gpt_set){.range = s->mbs[i], .mbs = &s->mbs[i], .nmb = 1};
}

static gpt_acts *acts_of(stage *s, int mb, int layer)
{
    return &s->acts[mb * (s->l1 - s->l0) + layer - s->l0];
}

static void transfer(stage *s, op_kind kind, int peer, int mb, prog_view v)
{
    op_stream stream = kind == OP_SEND ? STREAM_PIPE_OUT : STREAM_PIPE_IN;
    prog_add(s->b.p, kind, stream, -1);
    prog_op *o = prog_last(s->b.p);
    o->peer = peer;
    o->seq0 = s->mbs[mb].seq0;
    o->seqs = s->mbs[mb].seqs;
    /* Forward messages are even, backward odd. */
    bool forward = (kind == OP_SEND) == (peer > 0);
    o->arg = 2 * mb + (forward ? 0 : 1);
    o->bytes = 4.0 * (double)(v.rows * v.ld);
    prog_use(s->b.p, v, kind == OP_SEND ? VIEW_R : VIEW_W);
}

static void forward(stage *s, int mb)
{
    gpt_build *b = &s->b;
    gpt_set set = set_of(s, mb);
    prog_view x = s->in[mb];
    if (s->first) {
        int wte = params_find(b->ps, -1, PARAM_WTE);
        prog_view table = get(&s->src, wte)->w;
        gpt_emit_embed(b, &set, table, x);
    }
    for (int l = s->l0; l < s->l1; l++) {
        acts_of(s, mb, l)->x = x;
        x = gpt_tokens(b, "x", BUF_ACTIVATION, l + 1, &set, b->a->C);
        gpt_emit_forward(b, l, &set, acts_of(s, mb, l), !s->plan->recompute, x);
    }
    s->out[mb] = x;
    if (!s->last) {
        return;
    }
    prog_view loss = prog_sub(s->loss, 0, 1, s->mbs[mb].seq0 * b->sh.T, x.rows);
    gpt_emit_head(b, &set, x, s->dx[mb], loss, s->chunk);
    if (mb + 1 == s->nmb) {
        s->loss_op = prog_add(b->p, OP_LOSS, STREAM_COMPUTE, -1);
        prog_use(b->p, s->loss, VIEW_R);
    }
}

static void reduce_param(stage *s, int par, int which)
{
    resident *r = &s->src.list[par];
    if (s->b.sh.dp == 1 || !r->used[which]) {
        return;
    }
    gpt_emit_allreduce(&s->b, GROUP_DATA, STREAM_DATA, s->b.ps->list[par].layer,
                       par, r->acc[which].plane0, r->acc[which].plane,
                       r->acc[which].state.depth, s->b.sh.D, s->b.sh.dp);
}

static void backward(stage *s, int mb)
{
    gpt_build *b = &s->b;
    gpt_set set = set_of(s, mb);
    for (int l = s->l1 - 1; l >= s->l0; l--) {
        gpt_emit_backward(b, l, &set, acts_of(s, mb, l), s->plan->recompute,
                          s->dx[mb]);
        for (int role = 0; mb + 1 == s->nmb && role < PARAM_ROLES; role++) {
            int par = params_find(b->ps, l, (param_role)role);
            if (par >= 0 && b->ps->list[par].layer == l) {
                reduce_param(s, par, GRAD_MAIN);
            }
        }
    }
}

/* --- the order of a stage's micro-batches -------------------------------- */

/* Turn i of 2 * nmb: as many forward as may be in flight, then a backward
 * before each. */
typedef struct turn {
    int mb;
    bool back;
} turn;

static turn turn_at(const stage *s, int i)
{
    int flight = (int)plan_in_flight(s->plan, s->index, s->nmb);
    int pairs = s->nmb - flight;
    if (i < flight) {
        return (turn){i, false};
    }
    if (i < flight + 2 * pairs) {
        int k = i - flight;
        return (turn){k % 2 == 0 ? k / 2 : flight + k / 2, k % 2 == 0};
    }
    return (turn){i - s->nmb, true};
}

static void set_phase(stage *s, turn t)
{
    s->b.p->phase = t.back ? PHASE_BACKWARD : PHASE_FORWARD;
}

static void receive(stage *s, turn t)
{
    gpt_set set = set_of(s, t.mb);
    set_phase(s, t);
    if (t.back && !s->last) {
        transfer(s, OP_RECV, 1, t.mb, s->dx[t.mb]);
    }
    if (!t.back) {
        s->in[t.mb] =
            gpt_tokens(&s->b, "x", BUF_ACTIVATION, s->l0, &set, s->b.a->C);
    }
    if (!t.back && !s->first) {
        transfer(s, OP_RECV, -1, t.mb, s->in[t.mb]);
    }
}

static void compute(stage *s, turn t)
{
    set_phase(s, t);
    if (t.back) {
        backward(s, t.mb);
    } else {
        forward(s, t.mb);
    }
}

static void send(stage *s, turn t)
{
    set_phase(s, t);
    if (t.back && !s->first) {
        transfer(s, OP_SEND, -1, t.mb, s->dx[t.mb]);
    }
    if (!t.back && !s->last) {
        transfer(s, OP_SEND, 1, t.mb, s->out[t.mb]);
    }
}

/* What the next turn receives is posted before this turn's result is sent:
 * else the place of what comes in could be that of what goes out, on both
 * sides, and each would wait for the other. */
static void emit_turns(stage *s)
{
    receive(s, turn_at(s, 0));
    for (int i = 0; i < 2 * s->nmb; i++) {
        compute(s, turn_at(s, i));
        if (i + 1 < 2 * s->nmb) {
            receive(s, turn_at(s, i + 1));
        }
        send(s, turn_at(s, i));
    }
}

/* Gradients outside layers over the data group; both parts of a tied
 * embedding apart, then added: head + embedding. */
static void reduce_ends(stage *s)
{
    gpt_build *b = &s->b;
    for (int i = 0; i < b->ps->n; i++) {
        if (b->ps->list[i].layer < 0) {
            reduce_param(s, i, GRAD_MAIN);
            reduce_param(s, i, GRAD_EMBED);
        }
    }
    int wte = params_find(b->ps, -1, PARAM_WTE);
    resident *r = &s->src.list[wte];
    if (!b->a->tied || (!s->first && !s->last)) {
        return;
    }
    if (s->first && s->last) {
        prog_add(b->p, OP_ADD, STREAM_COMPUTE, -1);
        prog_last(b->p)->param = wte;
        prog_use(b->p, r->acc[GRAD_MAIN].plane0, VIEW_RW);
        prog_use(b->p, r->acc[GRAD_EMBED].plane0, VIEW_R);
        return;
    }
    int which = s->first ? GRAD_EMBED : GRAD_MAIN;
    gpt_emit_allreduce(b, GROUP_TIE, STREAM_DATA, -1, wte, r->acc[which].plane0,
                       0, 1, 2, 2);
}

static void optimizer(stage *s)
{
    gpt_build *b = &s->b;
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < b->ps->n; i++) {
            resident *r = &s->src.list[i];
            const gpt_acc *acc =
                &r->acc[r->used[GRAD_MAIN] ? GRAD_MAIN : GRAD_EMBED];
            if (!r->made) {
                continue;
            }
            prog_add(b->p, pass == 0 ? OP_GRAD_NORM : OP_UPDATE, STREAM_HOST,
                     b->ps->list[i].layer);
            prog_op *o = prog_last(b->p);
            double n = (double)(acc->plane0.rows * acc->plane0.cols);
            o->param = i;
            o->rows = acc->plane0.rows;
            /* The last stage's copy of a tied embedding counts once. */
            o->flag = !(b->ps->list[i].role == PARAM_WTE && !s->first);
            o->bytes = pass == 0 ? 4 * n : 28 * n;
            o->flops = pass == 0 ? 2 * n : 14 * n;
            if (pass == 0) {
                prog_use(b->p, acc->plane0, VIEW_R);
                continue;
            }
            prog_use(b->p, r->w, VIEW_RW);
            prog_use(b->p, acc->plane0, VIEW_R);
            prog_use(b->p, r->m, VIEW_RW);
            prog_use(b->p, r->v, VIEW_RW);
        }
        if (pass == 0) {
            prog_add(b->p, OP_CLIP, STREAM_HOST, -1);
            prog_last(b->p)->group = GROUP_WORLD;
            if (s->last) { /* adds up its leaf sums, before the next */
                prog_wait(b->p, b->p->nops - 1, s->loss_op, 0);
                prog_wait(b->p, s->loss_op, b->p->nops - 1, 1);
            }
            prog_guard(b->p, TAIL_SOUND);
        }
    }
}

static void emit_step(stage *s)
{
    gpt_build *b = &s->b;
    if (s->first || s->last) {
        gpt_emit_batch(b, false);
    }
    int64_t n = b->sh.seqs * b->sh.T;
    if (s->last) {
        int32_t buf = prog_buffer(b->p, "loss", BUF_ACTIVATION, -1, n, false);
        s->loss = prog_whole(b->p, buf, 1, n, n);
    }
    gpt_set all = {.range = {0, (int32_t)b->sh.seqs}};
    if (s->first) {
        s->dx_all = gpt_tokens(b, "dx", BUF_ACTIVATION, -1, &all, b->a->C);
    }
    for (int i = 0; i < s->nmb; i++) {
        gpt_set set = set_of(s, i);
        s->dx[i] = s->first
                       ? prog_sub(s->dx_all, s->mbs[i].seq0 * b->sh.T,
                                  s->mbs[i].seqs * b->sh.T, 0, b->a->C)
                       : gpt_tokens(b, "dx", BUF_ACTIVATION, -1, &set, b->a->C);
    }
    emit_turns(s);
    b->p->phase = PHASE_BACKWARD;
    if (s->first) {
        gpt_emit_embed_backward(b, s->dx_all);
    }
    reduce_ends(s);
    b->p->phase = PHASE_UPDATE;
    optimizer(s);
}

/* Tokens of the head's chunks: what logits cost against the accumulator
 * planes that cutting the sum over tokens costs. Never all at once. */
static int64_t head_chunk(const stage *s)
{
    const gpt_build *b = &s->b;
    int64_t tokens = s->mbs[0].seqs * b->sh.T;
    int64_t V = b->a->V / b->sh.tp;
    int64_t best = (tokens + 1) / 2;
    int64_t best_cost = INT64_MAX;
    for (int64_t chunk = (tokens + 1) / 2; chunk >= 64; chunk /= 2) {
        int planes = gpt_acc_planes(&b->sh, s->mbs, s->nmb, chunk);
        int64_t cost = V * (chunk + (int64_t)planes * b->a->C);
        if (cost < best_cost) {
            best_cost = cost;
            best = chunk;
        }
    }
    return best;
}

static status stage_init(stage *s)
{
    gpt_build *b = &s->b;
    partition_stage(b->a, s->plan, s->index, &s->l0, &s->l1);
    s->first = s->index == 0;
    s->last = s->index + 1 == s->plan->pipe;
    int64_t each = plan_micro_batch(s->plan, b->sh.seqs);
    s->nmb = (int)((b->sh.seqs + each - 1) / each);
    TRY(MEM_NEW(&s->mbs, s->nmb, "compile"));
    TRY(MEM_NEW(&s->acts, s->nmb * (s->l1 - s->l0), "compile"));
    TRY(MEM_NEW(&s->in, s->nmb, "compile"));
    TRY(MEM_NEW(&s->out, s->nmb, "compile"));
    TRY(MEM_NEW(&s->dx, s->nmb, "compile"));
    TRY(MEM_NEW(&s->src.list, b->ps->n, "compile"));
    for (int i = 0; i < s->nmb; i++) {
        int64_t left = b->sh.seqs - i * each;
        s->mbs[i] = (gpt_range){(int32_t)(i * each),
                                (int32_t)(left < each ? left : each)};
    }
    s->src.src = (gpt_source){.whole = true,
                              .weights = weights,
                              .grad = grad,
                              .grad_done = grad_done};
    s->src.b = b;
    b->src = &s->src.src;
    b->acc_planes = gpt_acc_planes(&b->sh, s->mbs, s->nmb, 0);
    s->chunk = head_chunk(s);
    b->head_planes = gpt_acc_planes(&b->sh, s->mbs, s->nmb, s->chunk);
    return ST_OK;
}

status stage_emit(const arch *a, const params *ps, const plan *p,
                  const gpt_shape *sh, int index, program *out)
{
    stage s = {.b = {.p = out, .a = a, .ps = ps, .sh = *sh},
               .plan = p,
               .index = index};
    status st = stage_init(&s);
    if (st == ST_OK) {
        emit_step(&s);
        gpt_emit_work(&s.b);
        st = out->failed;
    }
    mem_free(s.mbs);
    mem_free(s.acts);
    mem_free(s.in);
    mem_free(s.out);
    mem_free(s.dx);
    mem_free(s.src.list);
    return st;
}
