/*
 * Order of a program that makes logits (3 layers; L load, C compute):
 *
 *   load     E  0a 0b 1a 1b 2a 2b H H'
 *   compute  e  0  0  1  1  2  2  r h h'      r: the row that is asked for
 *
 * With a cache (gpt_build.context) each layer's attention reads keys and values
 * that earlier runs have left in the arena.
 *
 * It is the forward half of a streamed step on one sequence: the same
 * operations on the same panels, so the logits are those that training has.
 */
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/units.h"
#include "ws/compile_impl.h"

static void emit(ws_source *s, const gpt_set *set)
{
    gpt_build *b = s->b;
    gpt_emit_batch(b, true);
    prog_view table = ws_load_table(s, set);
    gpt_acts acts = {.x = gpt_tokens(b, "x", BUF_ACTIVATION, 0, set, b->a->C)};
    gpt_emit_embed(b, set, table, acts.x);
    for (int l = 0; l < b->a->L; l++) {
        prog_view top = gpt_tokens(b, "x", BUF_ACTIVATION, l + 1, set, b->a->C);
        gpt_emit_forward(b, l, set, &acts, false, top);
        acts = (gpt_acts){.x = top};
    }
    gpt_emit_logits(b, acts.x);
    gpt_emit_work(b);
}

static status compile_with(const arch *a, const params *ps, const gpt_shape *sh,
                           int64_t context, const ws_choice *choice, program *p)
{
    gpt_build b = {.p = p, .a = a, .ps = ps, .sh = *sh, .context = context};
    gpt_range all = {0, (int32_t)sh->seqs};
    gpt_set set = {.range = all, .mbs = &all, .nmb = 1};
    ws_source s;
    status st = ws_source_init(&s, &b, choice);
    if (st == ST_OK) {
        b.src = &s.src;
        emit(&s, &set);
        prog_prefetch(p, 2.0 * (double)choice->panel_bytes,
                      2.0 * (double)choice->head_panel_bytes);
        st = prog_arrange(p);
    }
    ws_source_fini(&s);
    return st;
}

/* The largest panels that fit; a program over its budget is still made, for
 * what it needs. */
static status search(const arch *a, const params *ps, const gpt_shape *sh,
                     int64_t context, int64_t budget, program *p,
                     ws_choice *choice)
{
    for (int64_t panel = WS_PANEL_MOST; panel >= WS_PANEL_LEAST; panel /= 2) {
        *choice = (ws_choice){.panel_bytes = panel, .head_panel_bytes = panel};
        prog_clear(p);
        TRY(compile_with(a, ps, sh, context, choice, p));
        if (budget == 0 || p->peak_bytes <= budget) {
            return prog_finish(p);
        }
    }
    return FAIL(ST_BUDGET,
                "streaming %s past %lld tokens needs %s of device memory and "
                "has %s; raise it, or lower --context",
                a->name, (long long)(context > 0 ? context : sh->T),
                units_bytes_up(p->peak_bytes).s,
                units_bytes_under(budget, p->peak_bytes).s);
}

status ws_compile_infer(const arch *a, const params *ps, gpt_shape *sh,
                        int64_t context, int64_t budget, program_set *out,
                        ws_choice *choice)
{
    memset(out, 0, sizeof(*out));
    sh->dp = 1;
    sh->tp = 1;
    TRY(gpt_shape_share(sh, 0, 0));
    status st = ws_single(out);
    if (st == ST_OK) {
        st = search(a, ps, sh, context, budget, &out->classes[0], choice);
    }
    if (st != ST_OK) {
        program_set_fini(out);
    }
    return st;
}
