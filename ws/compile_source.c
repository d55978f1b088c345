/*
 * The streamed source: where a step's weights come from and its gradients go
 * to. Everything else that a compiler of this folder emits is in runtime/gpt.
 */
#include <string.h>

#include "runtime/base/mem.h"
#include "ws/compile_impl.h"

/* Panels held at once; more are loaded again. */
enum { HELD_MAX = 256 };

prog_op *ws_transfer(ws_source *s, op_kind kind, op_stream stream, int par,
                     int64_t row0, int64_t rows)
{
    gpt_build *b = s->b;
    const param *q = &b->ps->list[par];
    prog_add(b->p, kind, stream, q->layer);
    prog_op *o = prog_last(b->p);
    o->param = par;
    o->row0 = row0;
    o->rows = rows;
    o->bytes = 4.0 * (double)(rows * q->cols);
    return o;
}

static int64_t panel_rows(gpt_source *src, int par)
{
    const ws_source *s = (const ws_source *)src;
    const param *q = &s->b->ps->list[par];
    int64_t bytes =
        q->layer < 0 ? s->choice->head_panel_bytes : s->choice->panel_bytes;
    return bytes / (4 * q->cols);
}

static const ws_held *find_held(const ws_source *s, int par, int64_t row0,
                                int64_t rows)
{
    for (int i = 0; i < s->nheld; i++) {
        const ws_held *h = &s->held[i];
        if (h->par == par && h->row0 == row0 && h->view.rows == rows) {
            return h;
        }
    }
    return NULL;
}

static prog_view weights(gpt_source *src, int par, int64_t row0, int64_t rows)
{
    ws_source *s = (ws_source *)src;
    gpt_build *b = s->b;
    const param *q = &b->ps->list[par];
    const ws_held *held = find_held(s, par, row0, rows);
    if (held != NULL) {
        return held->view;
    }
    int32_t buf = prog_buffer(b->p, param_role_name(q->role), BUF_WEIGHT,
                              q->layer, rows * q->cols, false);
    prog_view v = prog_whole(b->p, buf, rows, q->cols, q->cols);
    ws_transfer(s, OP_LOAD, STREAM_LOAD, par, row0, rows);
    prog_use(b->p, v, VIEW_W);
    if (s->choice->hold && b->p->phase == PHASE_BACKWARD && q->layer >= 0 &&
        s->nheld < HELD_MAX) {
        s->held[s->nheld++] = (ws_held){par, row0, v};
    }
    return v;
}

static gpt_acc *grad(gpt_source *src, int par, int which, int64_t row0,
                     int64_t rows, int planes)
{
    ws_source *s = (ws_source *)src;
    gpt_build *b = s->b;
    const param *q = &b->ps->list[par];
    (void)row0;
    int32_t buf = prog_buffer(b->p, "gradient", BUF_GRADIENT, q->layer,
                              planes * rows * q->cols, false);
    s->acc[which][par] = (gpt_acc){
        .plane0 = prog_whole(b->p, buf, rows, q->cols, q->cols),
        .plane = rows * q->cols,
        .planes = planes,
        .state = {.leaves = b->sh.data_tree},
    };
    return &s->acc[which][par];
}

/* Embedding rows of the batch are added in the store, after the head's
 * gradient of a tied embedding has arrived. */
static void grad_done(gpt_source *src, int par, int which, int64_t row0,
                      int64_t rows)
{
    ws_source *s = (ws_source *)src;
    const gpt_build *b = s->b;
    bool embedding = b->ps->list[par].role == PARAM_WTE &&
                     (which == GRAD_EMBED || !b->a->tied);
    ws_transfer(s, embedding ? OP_DRAIN_ROWS : OP_DRAIN, STREAM_DRAIN, par,
                row0, rows);
    prog_use(b->p, s->acc[which][par].plane0, VIEW_R);
    s->last_drain[par] = b->p->nops - 1;
}

status ws_source_init(ws_source *s, gpt_build *b, const ws_choice *choice)
{
    memset(s, 0, sizeof(*s));
    s->src = (gpt_source){.whole = false,
                          .panel_rows = panel_rows,
                          .weights = weights,
                          .grad = grad,
                          .grad_done = grad_done};
    s->b = b;
    s->choice = choice;
    TRY(MEM_NEW(&s->acc[0], b->ps->n, "compile"));
    TRY(MEM_NEW(&s->acc[1], b->ps->n, "compile"));
    TRY(MEM_NEW(&s->held, HELD_MAX, "compile"));
    TRY(MEM_NEW(&s->last_drain, b->ps->n, "compile"));
    memset(s->last_drain, -1, sizeof(int32_t) * (size_t)b->ps->n);
    return ST_OK;
}

void ws_source_fini(ws_source *s)
{
    mem_free(s->acc[0]);
    mem_free(s->acc[1]);
    mem_free(s->held);
    mem_free(s->last_drain);
}

prog_view ws_load_table(ws_source *s, const gpt_set *set)
{
    gpt_build *b = s->b;
    int wte = params_find(b->ps, -1, PARAM_WTE);
    int64_t n = set->range.seqs * b->sh.T;
    int32_t buf = prog_buffer(b->p, "wte", BUF_WEIGHT, -1, n * b->a->C, false);
    prog_view table = prog_whole(b->p, buf, n, b->a->C, b->a->C);
    ws_transfer(s, OP_LOAD_ROWS, STREAM_LOAD, wte, 0, n);
    prog_use(b->p, table, VIEW_W);
    return table;
}

status ws_single(program_set *out)
{
    TRY(MEM_NEW(&out->classes, 1, "program"));
    TRY(MEM_NEW(&out->places, 1, "program"));
    out->nclasses = 1;
    out->nranks = 1;
    out->places[0] = (prog_place){.prev = -1, .next = -1};
    prog_init(&out->classes[0]);
    return ST_OK;
}
