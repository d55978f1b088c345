/*
 * The checks of a set of programs: ranks that talk to each other.
 *
 * Grid. Places form a full grid data x pipe x tensor; neighbours are mutual.
 *
 * Messages. What a rank sends to the next stage, in order, is what the next
 * stage receives from it: equal bytes and tags; and the same backwards.
 *
 * Collectives. Members of a group issue the same sequence: kind, leaves,
 * floats; each brings the pieces that its place in the group owns.
 */
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/program/check_impl.h"

const program *check_program_of(const program_set *set, int32_t r)
{
    return &set->classes[set->places[r].class_index];
}

check_text check_where(const program_set *set, int32_t r, int32_t i)
{
    check_text out;
    (void)snprintf(out.s, sizeof(out.s), "rank %d (class %d), %.112s", r,
                   set->places[r].class_index,
                   check_op_text(check_program_of(set, r), i).s);
    return out;
}

/* --- grid ----------------------------------------------------------------- */

static status check_neighbour(const check_grid *g, int32_t r, int32_t dk,
                              int32_t named)
{
    const prog_place *at = &g->set->places[r];
    int32_t k = at->pipe + dk;
    int32_t want = -1;
    if (k >= 0 && k < g->pipe) {
        want = g->rank_at[(at->data * g->pipe + k) * g->tensor + at->tensor];
    }
    REQUIRE(named == want, ST_INTERNAL,
            "rank %d: the stage %s it is said to be on rank %d, by the grid "
            "it is on rank %d",
            r, dk < 0 ? "before" : "after", named, want);
    return ST_OK;
}

static status fill_grid(check_grid *g)
{
    const program_set *set = g->set;
    for (int32_t r = 0; r < set->nranks; r++) {
        const prog_place *at = &set->places[r];
        REQUIRE(at->class_index >= 0 && at->class_index < set->nclasses,
                ST_INTERNAL, "rank %d: class %d of %d", r, at->class_index,
                set->nclasses);
        REQUIRE(at->data >= 0 && at->pipe >= 0 && at->tensor >= 0, ST_INTERNAL,
                "rank %d: negative place (%d, %d, %d)", r, at->data, at->pipe,
                at->tensor);
        g->data = at->data >= g->data ? at->data + 1 : g->data;
        g->pipe = at->pipe >= g->pipe ? at->pipe + 1 : g->pipe;
        g->tensor = at->tensor >= g->tensor ? at->tensor + 1 : g->tensor;
    }
    REQUIRE((int64_t)g->data * g->pipe * g->tensor == set->nranks, ST_INTERNAL,
            "%d ranks do not fill a grid of %d x %d x %d", set->nranks, g->data,
            g->pipe, g->tensor);
    TRY(MEM_NEW(&g->rank_at, set->nranks, "check"));
    memset(g->rank_at, -1, sizeof(int32_t) * (size_t)set->nranks);
    for (int32_t r = 0; r < set->nranks; r++) {
        const prog_place *at = &set->places[r];
        int32_t *slot =
            &g->rank_at[(at->data * g->pipe + at->pipe) * g->tensor +
                        at->tensor];
        REQUIRE(*slot < 0, ST_INTERNAL, "ranks %d and %d have the same place",
                *slot, r);
        *slot = r;
    }
    for (int32_t r = 0; r < set->nranks; r++) {
        TRY(check_neighbour(g, r, -1, set->places[r].prev));
        TRY(check_neighbour(g, r, 1, set->places[r].next));
    }
    return ST_OK;
}

check_member check_member_of(const check_grid *g, int32_t r, op_group kind)
{
    const prog_place *at = &g->set->places[r];
    bool end = at->pipe == 0 || at->pipe == g->pipe - 1;
    switch (kind) {
    case GROUP_TENSOR:
        return (check_member){at->data * g->pipe + at->pipe, at->tensor,
                              g->tensor};
    case GROUP_DATA:
        return (check_member){at->pipe * g->tensor + at->tensor, at->data,
                              g->data};
    case GROUP_TIE:
        return (check_member){
            end && g->pipe > 1 ? at->data * g->tensor + at->tensor : -1,
            at->pipe > 0, 2};
    case GROUP_WORLD:
        return (check_member){0, r, g->set->nranks};
    default:
        return (check_member){-1, 0, 0};
    }
}

/* --- messages ------------------------------------------------------------- */

static bool is_message(const prog_op *o, op_kind kind, int32_t peer)
{
    return o->kind == kind && o->peer == peer;
}

static int32_t next_message(const program *p, int32_t i, op_kind kind,
                            int32_t peer)
{
    while (i < p->nops && !is_message(&p->ops[i], kind, peer)) {
        i++;
    }
    return i;
}

/* What moves: whole rows with their padding. */
static int64_t message_bytes(const program *p, const prog_op *o)
{
    const prog_view *v = &p->view[o->view0];
    return v->rows * v->ld * (int64_t)sizeof(float);
}

/* All that rank `from` sends towards `dir` is what `to` receives. */
static status check_pair(const program_set *set, int32_t from, int32_t to,
                         int32_t dir)
{
    const program *p = check_program_of(set, from);
    const program *q = check_program_of(set, to);
    int32_t i = next_message(p, 0, OP_SEND, dir);
    int32_t j = next_message(q, 0, OP_RECV, -dir);
    while (i < p->nops && j < q->nops) {
        const prog_op *s = &p->ops[i];
        const prog_op *r = &q->ops[j];
        int64_t sent = message_bytes(p, s);
        int64_t received = message_bytes(q, r);
        REQUIRE(sent == received && s->arg == r->arg, ST_INTERNAL,
                "%s sends %lld bytes with tag %lld, %s receives %lld bytes "
                "with tag %lld",
                check_where(set, from, i).s, (long long)sent, (long long)s->arg,
                check_where(set, to, j).s, (long long)received,
                (long long)r->arg);
        REQUIRE(s->phase == r->phase, ST_INTERNAL,
                "%s and %s belong to different parts of the step",
                check_where(set, from, i).s, check_where(set, to, j).s);
        i = next_message(p, i + 1, OP_SEND, dir);
        j = next_message(q, j + 1, OP_RECV, -dir);
    }
    REQUIRE(i == p->nops, ST_INTERNAL, "%s is received by nobody on rank %d",
            check_where(set, from, i).s, to);
    REQUIRE(j == q->nops, ST_INTERNAL, "%s is sent by nobody on rank %d",
            check_where(set, to, j).s, from);
    return ST_OK;
}

/* Messages of one program are well-formed and go where somebody is. */
static status check_messages(const program_set *set, int32_t r)
{
    const program *p = check_program_of(set, r);
    const prog_place *at = &set->places[r];
    for (int32_t i = 0; i < p->nops; i++) {
        const prog_op *o = &p->ops[i];
        if (o->kind != OP_SEND && o->kind != OP_RECV) {
            continue;
        }
        REQUIRE(o->views == 1 && (o->peer == -1 || o->peer == 1), ST_INTERNAL,
                "%s: a message has one view and a peer of -1 "
                "or 1, not %d and %d",
                check_where(set, r, i).s, o->views, o->peer);
        REQUIRE((o->peer < 0 ? at->prev : at->next) >= 0, ST_INTERNAL,
                "%s: there is no stage %s this one", check_where(set, r, i).s,
                o->peer < 0 ? "before" : "after");
        REQUIRE((int64_t)o->bytes == message_bytes(p, o), ST_INTERNAL,
                "%s: its cost says %.0f bytes, its view has %lld",
                check_where(set, r, i).s, o->bytes,
                (long long)message_bytes(p, o));
    }
    return ST_OK;
}

/* --- collectives ---------------------------------------------------------- */

static int32_t next_collective(const program *p, int32_t i, op_group kind)
{
    while (i < p->nops && p->ops[i].group != kind) {
        i++;
    }
    return i;
}

/* Floats of the reduced view, rows with what lies between them. */
static int64_t reduced_floats(const program *p, const prog_op *o)
{
    const prog_view *v = &p->view[o->view0 + o->views - 1];
    return (v->rows - 1) * v->ld + v->cols;
}

/* An all-reduce fits this rank's place in its group. */
static status check_reduce(const check_grid *g, int32_t r, int32_t i,
                           check_member m)
{
    const program *p = check_program_of(g->set, r);
    const prog_op *o = &p->ops[i];
    REQUIRE(o->views == 2 && o->stacks == 1, ST_INTERNAL,
            "%s: an all-reduce has work, sum and accumulator",
            check_where(g->set, r, i).s);
    REQUIRE(o->arg == m.size, ST_INTERNAL,
            "%s: says its %s group has %lld ranks, it has %d",
            check_where(g->set, r, i).s, op_group_name((op_group)o->group),
            (long long)o->arg, m.size);
    REQUIRE(o->rows >= 1 && o->rows <= TREE_LEAVES_MAX, ST_INTERNAL,
            "%s: a tree of %lld leaves", check_where(g->set, r, i).s,
            (long long)o->rows);
    int leaves = (int)o->rows;
    tree_span own[TREE_DEPTH_MAX * 2];
    int pieces = tree_pieces(leaves, leaf_of_rank(leaves, m.size, m.index),
                             leaf_of_rank(leaves, m.size, m.index + 1), own);
    const prog_stack *s = &p->stack[o->stack0];
    int64_t count = reduced_floats(p, o);
    REQUIRE(s->planes == pieces && (pieces < 2 || s->plane >= count),
            ST_INTERNAL,
            "%s: brings %d pieces %lld floats apart, member %d of %d owns %d "
            "of %lld floats",
            check_where(g->set, r, i).s, s->planes, (long long)s->plane,
            m.index, m.size, pieces, (long long)count);
    int64_t work = p->view[o->view0].cols * (int64_t)sizeof(float);
    int64_t need = (int64_t)tree_exchange_bytes(m.size, leaves, count);
    REQUIRE(work >= need, ST_INTERNAL,
            "%s: %lld bytes of work memory, it needs %lld",
            check_where(g->set, r, i).s, (long long)work, (long long)need);
    return ST_OK;
}

static status check_same(const check_grid *g, int32_t r, int32_t i,
                         int32_t first, int32_t j)
{
    const program *p = check_program_of(g->set, r);
    const program *q = check_program_of(g->set, first);
    const prog_op *a = &p->ops[i];
    const prog_op *b = &q->ops[j];
    bool reduce = a->kind == OP_ALLREDUCE;
    bool same =
        a->kind == b->kind && a->phase == b->phase && a->param == b->param &&
        (!reduce ||
         (a->rows == b->rows && reduced_floats(p, a) == reduced_floats(q, b)));
    REQUIRE(same, ST_INTERNAL,
            "%s meets %s in their %s group, but kind, parameter (%d, %d), "
            "leaves (%lld, %lld) or floats (%lld, %lld) differ",
            check_where(g->set, r, i).s, check_where(g->set, first, j).s,
            op_group_name((op_group)a->group), a->param, b->param,
            (long long)a->rows, (long long)b->rows,
            (long long)(reduce ? reduced_floats(p, a) : 0),
            (long long)(b->kind == OP_ALLREDUCE ? reduced_floats(q, b) : 0));
    return ST_OK;
}

/* Rank r issues the collectives that the first member of its group does. */
static status check_sequence(const check_grid *g, int32_t r, op_group kind,
                             int32_t first)
{
    check_member m = check_member_of(g, r, kind);
    const program *p = check_program_of(g->set, r);
    const program *q = check_program_of(g->set, first);
    int32_t i = next_collective(p, 0, kind);
    int32_t j = next_collective(q, 0, kind);
    while (i < p->nops && j < q->nops) {
        TRY(check_same(g, r, i, first, j));
        if (p->ops[i].kind == OP_ALLREDUCE) {
            TRY(check_reduce(g, r, i, m));
        } else {
            REQUIRE(p->ops[i].kind == OP_CLIP, ST_INTERNAL,
                    "%s: is no collective", check_where(g->set, r, i).s);
        }
        i = next_collective(p, i + 1, kind);
        j = next_collective(q, j + 1, kind);
    }
    if (i == p->nops && j == q->nops) {
        return ST_OK;
    }
    bool mine = i < p->nops;
    return FAIL(ST_INTERNAL, "%s has no counterpart on rank %d of its %s group",
                mine ? check_where(g->set, r, i).s
                     : check_where(g->set, first, j).s,
                mine ? first : r, op_group_name(kind));
}

static status check_groups(const check_grid *g, int32_t *firsts)
{
    const program_set *set = g->set;
    for (int kind = GROUP_TENSOR; kind < GROUP_COUNT; kind++) {
        memset(firsts, -1, sizeof(int32_t) * (size_t)set->nranks);
        for (int32_t r = 0; r < set->nranks; r++) {
            check_member m = check_member_of(g, r, (op_group)kind);
            const program *p = check_program_of(set, r);
            int32_t i = next_collective(p, 0, (op_group)kind);
            if (m.group < 0) {
                REQUIRE(
                    i == p->nops, ST_INTERNAL, "%s: the rank is in no %s group",
                    check_where(set, r, i).s, op_group_name((op_group)kind));
                continue;
            }
            int32_t *first = &firsts[m.group];
            *first = *first < 0 ? r : *first;
            TRY(check_sequence(g, r, (op_group)kind, *first));
        }
    }
    return ST_OK;
}

static status check_set(check_grid *g, int32_t *firsts)
{
    const program_set *set = g->set;
    for (int32_t r = 0; r < set->nranks; r++) {
        TRY(check_messages(set, r));
    }
    for (int32_t r = 0; r < set->nranks; r++) {
        int32_t next = set->places[r].next;
        if (next >= 0) {
            TRY(check_pair(set, r, next, 1));
            TRY(check_pair(set, next, r, -1));
        }
    }
    TRY(check_groups(g, firsts));
    TRY(check_run_set(g, RUN_STEP));
    return check_run_set(g, RUN_FORWARD);
}

status prog_set_check(const program_set *set)
{
    REQUIRE(set->nranks > 0 && set->nclasses > 0, ST_INTERNAL,
            "a set of %d ranks and %d classes", set->nranks, set->nclasses);
    check_grid g = {.set = set};
    int32_t *firsts = NULL;
    status st = fill_grid(&g);
    if (st == ST_OK) {
        st = MEM_NEW(&firsts, set->nranks, "check");
    }
    if (st == ST_OK) {
        st = check_set(&g, firsts);
    }
    mem_free(firsts);
    mem_free(g.rank_at);
    return st;
}
