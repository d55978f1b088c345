/*
 * Order of one streamed step (3 layers; L load, C compute, D drain):
 *
 *   load     E  0a 0b 1a 1b 2a 2b H H' | H H' 2b 2a 1b 1a 0b 0a
 *   compute  e  0  0  1  1  2  2  h h' | h h' 2  2  1  1  0  0  e'
 *   drain                              | H H' 2b 2a 1b 1a 0b 0a E'
 *   host                                 squares of each ... clip, update
 *
 * The source (compile_source.c) turns "weights of rows r" into a buffer and a
 * load, and "gradient rows are done" into a drain.
 */
#include "ws/compile.h"

#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/units.h"
#include "ws/compile_impl.h"

/* Sums of squares as soon as a parameter's gradient is whole, in the order of
 * backward; then clip; then every parameter, in stream order: the next step
 * needs the first layers first. */
static void optimizer(ws_source *s)
{
    program *p = s->b->p;
    for (int i = s->b->ps->n - 1; i >= 0; i--) {
        prog_op *o = ws_transfer(s, OP_GRAD_NORM, STREAM_HOST, i, 0,
                                 s->b->ps->list[i].rows);
        o->flops = 0.5 * o->bytes;
        if (s->last_drain[i] >= 0) {
            prog_wait(p, p->nops - 1, s->last_drain[i], 0);
        }
    }
    prog_add(p, OP_CLIP, STREAM_HOST, -1);
    prog_wait(p, p->nops - 1, s->loss, 0); /* adds up its leaf sums */
    prog_guard(p, TAIL_SOUND);
    for (int i = 0; i < s->b->ps->n; i++) {
        prog_op *o = ws_transfer(s, OP_UPDATE, STREAM_HOST, i, 0,
                                 s->b->ps->list[i].rows);
        o->bytes *= 7; /* reads w g m v, writes w m v */
        o->flops = o->bytes / 28 * 14;
    }
}

/* The newest operation of a kind, of parameter par unless -1; or -1. */
static int32_t last_of(const program *p, op_kind kind, int par)
{
    int32_t i = p->nops - 1;
    while (i >= 0 &&
           !(p->ops[i].kind == kind && (par < 0 || p->ops[i].param == par))) {
        i--;
    }
    return i;
}

static void wait_before(program *p, int32_t from, int32_t op)
{
    if (op >= 0) {
        prog_wait(p, from, op, 1);
    }
}

/* What goes through the store, the list of rows, and the sums of the loss:
 * the step before must be through with it. prog_finish keeps what does not
 * follow from the rest. */
static void add_next_step_waits(program *p)
{
    for (int32_t i = 0; i < p->nops; i++) {
        const prog_op *o = &p->ops[i];
        switch ((op_kind)o->kind) {
        case OP_LOAD:
        case OP_LOAD_ROWS:
        case OP_DRAIN:
        case OP_DRAIN_ROWS:
            wait_before(p, i, last_of(p, OP_UPDATE, o->param));
            break;
        case OP_BATCH:
            wait_before(p, i, last_of(p, OP_DRAIN_ROWS, -1));
            break;
        case OP_LOSS:
            wait_before(p, i, p->guard);
            break;
        default:
            break;
        }
    }
}

typedef struct layer_set {
    gpt_acts acts[ARCH_LAYERS_MAX];
} layer_set;

/* What `n` more layers like this one keep, from the forward of the first layer
 * to the backward of the last. */
static prog_view keep_more(gpt_build *b, const gpt_acts *acts, bool recompute,
                           int n)
{
    enum { FLOAT = 4 }; /* bytes */
    const prog_view kept[] = {acts->x,   acts->s1, acts->qkv, acts->lse,
                              acts->att, acts->x2, acts->s2,  acts->u};
    int64_t floats = 0;
    size_t most = recompute ? 1 : sizeof(kept) / sizeof(kept[0]);
    for (size_t i = 0; i < most; i++) {
        const prog_buf *own = &b->p->bufs[kept[i].buf];
        floats += kept[i].rows > 0 ? prog_buf_bytes(own) / FLOAT : 0;
    }
    const prog_buf none = {.floats = 0}; /* what a buffer has besides */
    floats = n * floats - prog_buf_bytes(&none) / FLOAT;
    int32_t buf = prog_buffer(b->p, "kept", BUF_ACTIVATION, -1, floats, false);
    return prog_whole(b->p, buf, 1, floats, floats);
}

/* A moment at which it is alive. */
static void touch(gpt_build *b, prog_view v, view_mode mode)
{
    if (v.cols > 0) {
        prog_add(b->p, OP_LOSS, STREAM_COMPUTE, -1);
        prog_use(b->p, v, mode);
    }
}

/* more: layers that are not there but for what they keep, to see what memory
 * they take. */
static void emit_step(ws_source *s, const gpt_set *set, bool recompute,
                      int more, layer_set *layers)
{
    prog_view others = {0};
    gpt_build *b = s->b;
    int L = b->a->L;
    gpt_emit_batch(b, true);
    prog_view table = ws_load_table(s, set);
    layers->acts[0].x = gpt_tokens(b, "x", BUF_ACTIVATION, 0, set, b->a->C);
    gpt_emit_embed(b, set, table, layers->acts[0].x);
    prog_view top = {0};
    for (int l = 0; l < L; l++) {
        top = gpt_tokens(b, "x", BUF_ACTIVATION, l + 1, set, b->a->C);
        if (l + 1 < L) {
            layers->acts[l + 1].x = top;
        }
        gpt_emit_forward(b, l, set, &layers->acts[l], !recompute, top);
        if (l == 0 && more > 0) {
            others = keep_more(b, &layers->acts[0], recompute, more);
            touch(b, others, VIEW_W);
        }
    }
    prog_view dx = gpt_tokens(b, "dx", BUF_ACTIVATION, -1, set, b->a->C);
    int64_t n = set->range.seqs * b->sh.T;
    int32_t lbuf = prog_buffer(b->p, "loss", BUF_ACTIVATION, -1, n, false);
    prog_view loss = prog_whole(b->p, lbuf, 1, n, n);
    gpt_emit_head(b, set, top, dx, loss, 0);
    s->loss = prog_add(b->p, OP_LOSS, STREAM_COMPUTE, -1);
    prog_use(b->p, loss, VIEW_R);
    b->p->phase = PHASE_BACKWARD;
    for (int l = L - 1; l >= 0; l--) {
        s->nheld = 0;
        gpt_emit_backward(b, l, set, &layers->acts[l], recompute, dx);
        touch(b, l == L - 1 ? others : (prog_view){0}, VIEW_R);
    }
    gpt_emit_embed_backward(b, dx);
    b->p->phase = PHASE_UPDATE;
    optimizer(s);
}

static int64_t micro_batches(const gpt_shape *sh, int64_t size, gpt_range *out)
{
    int64_t each = size > 0 ? size : sh->seqs;
    int64_t n = 0;
    for (int64_t s = 0; s < sh->seqs; s += each) {
        int64_t left = sh->seqs - s;
        out[n++] =
            (gpt_range){(int32_t)s, (int32_t)(left < each ? left : each)};
    }
    return n;
}

static void prefetch(program *p, const ws_config *config,
                     const ws_choice *choice)
{
    int64_t given = config->window_bytes;
    prog_prefetch(p, (double)(given > 0 ? given : 2 * choice->panel_bytes),
                  (double)(given > 0 ? given : 2 * choice->head_panel_bytes));
}

static status compile_with(const arch *a, const params *ps, const gpt_shape *sh,
                           const ws_config *config, const ws_choice *choice,
                           int more, program *p)
{
    gpt_build b = {.p = p, .a = a, .ps = ps, .sh = *sh};
    ws_source s;
    gpt_range *mbs = NULL;
    layer_set *layers = NULL;
    status st = ws_source_init(&s, &b, choice);
    if (st == ST_OK) {
        st = MEM_NEW(&mbs, sh->seqs, "compile");
    }
    if (st == ST_OK) {
        st = MEM_NEW(&layers, 1, "compile");
    }
    if (st == ST_OK) {
        b.src = &s.src;
        b.keep_eighths = choice->keep_eighths;
        gpt_set set = {.range = {0, (int32_t)sh->seqs}, .mbs = mbs};
        set.nmb = (int32_t)micro_batches(sh, config->micro_batch, mbs);
        b.acc_planes = gpt_acc_planes(sh, mbs, set.nmb, 0);
        emit_step(&s, &set, choice->recompute, more, layers);
        gpt_emit_work(&b);
        prefetch(p, config, choice);
        st = prog_arrange(p);
    }
    mem_free(mbs);
    mem_free(layers);
    ws_source_fini(&s);
    return st;
}

enum { MODES = 3 };

/* What may be done with activations and a layer's weights, the fastest first;
 * holding weights is faster, too, but as a rule needs more, so a search tries
 * it by itself. */
static int list_modes(const ws_config *config, ws_choice modes[MODES])
{
    int n = 0;
    if (config->recompute != WS_RECOMPUTE_FULL) {
        modes[n++] = (ws_choice){.recompute = false};
    }
    if (config->recompute != WS_RECOMPUTE_NONE) {
        modes[n++] = (ws_choice){.recompute = true};
        modes[n++] = (ws_choice){.recompute = true, .hold = true};
    }
    return n;
}

/* The smallest panels in a mode; of `most` layers, which may be the first and
 * the last: those between need less. */
static status measure_mode(const arch *a, const gpt_shape *sh,
                           const ws_config *config, ws_choice mode, int most,
                           program *p, int64_t *live)
{
    int64_t panel =
        config->panel_bytes > 0 ? config->panel_bytes : (int64_t)WS_PANEL_LEAST;
    mode.panel_bytes = panel;
    mode.head_panel_bytes = panel;
    arch some = *a;
    params ps;
    int more = a->L > most ? a->L - most : 0;
    TRY(more > 0 ? arch_cut(&some, most) : ST_OK);
    TRY(params_init(&some, &ps));
    prog_clear(p);
    status st = compile_with(&some, &ps, sh, config, &mode, more, p);
    st = st == ST_OK ? prog_most_live(p, live) : st;
    params_fini(&ps);
    return st;
}

/* What a mode needs. Of all layers where that is soon done; else a little is
 * added for gaps that other layers may leave between buffers. */
static status measure_need(const arch *a, const gpt_shape *sh,
                           const ws_config *config, ws_choice mode, program *p,
                           int64_t *live, int64_t *peak)
{
    enum { ENDS = 2, FEW_OPS = 20000, GAPS = 128 };
    TRY(measure_mode(a, sh, config, mode, ENDS, p, live));
    *peak = p->peak_bytes + p->peak_bytes / GAPS;
    if ((int64_t)p->nops * a->L < ENDS * FEW_OPS) {
        TRY(measure_mode(a, sh, config, mode, a->L, p, live));
        *peak = p->peak_bytes;
    }
    return ST_OK;
}

/* What the leanest mode needs. Which one that is depends on the model: held
 * weights take less than what is loaded again, where a layer is smaller than
 * the window of what is on its way. */
static status find_leanest(const arch *a, const gpt_shape *sh,
                           const ws_config *config, int64_t *live,
                           int64_t *peak)
{
    ws_choice modes[MODES];
    int n = list_modes(config, modes);
    program p;
    prog_init(&p);
    status st = ST_OK;
    *live = *peak = INT64_MAX;
    for (int i = 0; i < n && st == ST_OK; i++) {
        int64_t lives = 0;
        int64_t needs = 0;
        st = measure_need(a, sh, config, modes[i], &p, &lives, &needs);
        *live = lives < *live ? lives : *live;
        *peak = needs < *peak ? needs : *peak;
    }
    prog_fini(&p);
    return st;
}

/* Where --recompute is what makes it too much, that is said. `need` is more
 * than the budget. */
static status fail_budget(const arch *a, const gpt_shape *sh,
                          const ws_config *config, int64_t need)
{
    const char *way = "";
    if (config->recompute != WS_RECOMPUTE_AUTO) {
        ws_config open = *config;
        int64_t live = 0;
        int64_t peak = 0;
        open.recompute = WS_RECOMPUTE_AUTO;
        TRY(find_leanest(a, sh, &open, &live, &peak));
        way = peak > config->budget_bytes ? ""
              : config->recompute == WS_RECOMPUTE_NONE
                  ? "leave out --recompute none, "
                  : "leave out --recompute full, ";
    }
    return FAIL(ST_BUDGET,
                "streaming %s with %lld tokens a step needs %s of device "
                "memory and has %s; %sgive it more, or lower --batch or --seq",
                a->name, (long long)(sh->N * sh->T), units_bytes_up(need).s,
                units_bytes_under(config->budget_bytes, need).s, way);
}

/* As for plans. */
static status check_micro_batch(const gpt_shape *sh, const ws_config *config)
{
    REQUIRE(config->micro_batch >= 0 && config->micro_batch <= sh->N, ST_CONFIG,
            "micro_batch: %lld is out of range, allowed is 1 to %lld, the "
            "sequences of the batch",
            (long long)config->micro_batch, (long long)sh->N);
    return ST_OK;
}

status ws_admit(const arch *a, gpt_shape sh, const ws_config *config,
                bool closely)
{
    int64_t live = 0;
    int64_t peak = 0;
    TRY(check_micro_batch(&sh, config));
    bool over = ws_least_bytes(a, &sh) > config->budget_bytes;
    if (config->budget_bytes == 0 || (!over && !closely)) {
        return ST_OK;
    }
    sh.dp = 1;
    sh.tp = 1;
    TRY(gpt_shape_share(&sh, 0, 0));
    TRY(find_leanest(a, &sh, config, &live, &peak));
    return over || live > config->budget_bytes
               ? fail_budget(a, &sh, config, peak)
               : ST_OK;
}

/* A search for the choice that uses the budget best. */
typedef struct ws_search {
    const arch *a;
    const params *ps;
    const gpt_shape *sh;
    const ws_config *config;
    program *p;
    int64_t least; /* smallest peak seen */
    bool admitted; /* by ws_admit, closely */
} ws_search;

enum { HEAD_LEAST = 4 << 20 };

/* Compiles but for the waits; *fits says whether the program keeps the budget.
 */
static status try_choice(ws_search *s, const ws_choice *choice, bool *fits)
{
    int64_t budget = s->config->budget_bytes;
    prog_clear(s->p);
    TRY(compile_with(s->a, s->ps, s->sh, s->config, choice, 0, s->p));
    if (s->least == 0 || s->p->peak_bytes < s->least) {
        s->least = s->p->peak_bytes;
    }
    *fits = budget == 0 || s->p->peak_bytes <= budget;
    return ST_OK;
}

/* Panels from large to small, layers and head alike, no logits kept. */
static status try_panels(ws_search *s, ws_choice *choice, bool *fits)
{
    int64_t given = s->config->panel_bytes;
    int64_t big = given > 0 ? given : WS_PANEL_MOST;
    int64_t small = given > 0 ? given : WS_PANEL_LEAST;
    *fits = false;
    for (int64_t panel = big; panel >= small && !*fits; panel /= 2) {
        choice->panel_bytes = panel;
        choice->head_panel_bytes = panel;
        TRY(try_choice(s, choice, fits));
        if (!*fits && !s->admitted) {
            /* Before all the others are tried in vain. */
            TRY(ws_admit(s->a, *s->sh, s->config, true));
            s->admitted = true;
        }
    }
    return ST_OK;
}

/* Weights of a layer stay from its second forward to its backward, which
 * saves one of three passes over the link, if the layer fits. */
static status try_hold(ws_search *s, ws_choice *choice)
{
    bool fits = false;
    choice->hold = choice->recompute;
    if (choice->hold) {
        TRY(try_choice(s, choice, &fits));
        choice->hold = fits;
    }
    return ST_OK;
}

/* What is left goes to the head. Each eighth of the logits kept saves a
 * 24th of the head's flops; smaller panels cost less than that down to
 * HEAD_LEAST, so many logits are tried before large panels. */
static status try_heads(ws_search *s, ws_choice *choice, bool *fits)
{
    int64_t big = choice->panel_bytes;
    int64_t small = big < HEAD_LEAST || s->config->panel_bytes > 0
                        ? big
                        : (int64_t)HEAD_LEAST;
    for (int keep = 4; keep > 0; keep--) {
        for (int64_t panel = big; panel >= small; panel /= 2) {
            choice->keep_eighths = keep;
            choice->head_panel_bytes = panel;
            TRY(try_choice(s, choice, fits));
            if (*fits) {
                return ST_OK;
            }
        }
    }
    choice->keep_eighths = 0;
    choice->head_panel_bytes = big;
    return try_choice(s, choice, fits);
}

/* Activations kept before recomputed; then the largest panels of layers;
 * then the head. Held weights that nothing else has room for come last. */
static status search(ws_search *s, ws_choice *choice)
{
    bool fits = false;
    ws_choice modes[MODES];
    int n = list_modes(s->config, modes);
    for (int i = 0; i < n; i++) {
        *choice = modes[i];
        TRY(try_panels(s, choice, &fits));
        if (fits) {
            TRY(choice->hold ? ST_OK : try_hold(s, choice));
            return try_heads(s, choice, &fits);
        }
    }
    return fail_budget(s->a, s->sh, s->config, s->least);
}

int64_t ws_least_bytes(const arch *a, const gpt_shape *sh)
{
    int64_t n = sh->N * sh->T;
    return 4 * n * a->C * (a->L + 3) + 4 * n * a->F;
}

status ws_compile(const arch *a, const params *ps, gpt_shape sh,
                  const ws_config *config, program_set *out, ws_choice *choice)
{
    memset(out, 0, sizeof(*out));
    TRY(check_micro_batch(&sh, config));
    sh.dp = 1;
    sh.tp = 1;
    TRY(gpt_shape_share(&sh, 0, 0));
    status st = ws_single(out);
    if (st == ST_OK) {
        ws_search s = {.a = a,
                       .ps = ps,
                       .sh = &sh,
                       .config = config,
                       .p = &out->classes[0]};
        st = search(&s, choice);
    }
    if (st == ST_OK) {
        add_next_step_waits(&out->classes[0]);
        st = prog_finish(&out->classes[0]);
    }
    if (st != ST_OK) {
        program_set_fini(out);
    }
    return st;
}
