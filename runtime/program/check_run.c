/*
 * All ranks at once, nothing but messages and collectives, one issue order a
 * rank. A collective stops its rank until all members are there. Messages stop
 * nobody, but who waits for one does: for a receive (its buffer is read) until
 * the message was sent, for a send (its buffer is used again) until the
 * receiver is at the receive. If nobody can move and somebody is not at the
 * end, that is a deadlock.
 */
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/program/check_impl.h"

/* How far a rank has come. Directions: 0 the stage before, 1 after. */
typedef struct runner {
    int32_t at;
    int32_t sent[2];
    int32_t posted[2]; /* receives that were reached, this one too */
    bool reached;      /* operation `at` has been counted          */
} runner;

typedef struct symbolic {
    const check_grid *g;
    check_run run;
    runner *ranks;
    int32_t *arrived[GROUP_COUNT]; /* by group: members, over all calls */
    int32_t **number; /* by class and operation: which message of its
                       * direction it is, which collective of its group */
} symbolic;

static bool is_collective(const prog_op *o)
{
    return o->group != GROUP_NONE;
}

static int dir_of(const prog_op *o)
{
    return o->peer > 0;
}

static int32_t peer_rank(const symbolic *x, int32_t r, int dir)
{
    const prog_place *at = &x->g->set->places[r];
    return dir == 1 ? at->next : at->prev;
}

/* Numbers messages and collectives from 1, as far as the run takes them. */
static void number_ops(const program *p, check_run run, int32_t *number)
{
    int32_t sends[2] = {0, 0};
    int32_t recvs[2] = {0, 0};
    int32_t calls[GROUP_COUNT] = {0};
    for (int32_t i = 0; i < p->nops; i++) {
        const prog_op *o = &p->ops[i];
        if (!check_takes(o, run)) {
            continue;
        }
        if (o->kind == OP_SEND) {
            number[i] = ++sends[dir_of(o)];
        } else if (o->kind == OP_RECV) {
            number[i] = ++recvs[dir_of(o)];
        } else if (is_collective(o)) {
            number[i] = ++calls[o->group];
        }
    }
}

/* True if message w of rank r has both its ends. */
static bool is_met(const symbolic *x, int32_t r, int32_t w)
{
    const prog_place *at = &x->g->set->places[r];
    const prog_op *o = &check_program_of(x->g->set, r)->ops[w];
    int dir = dir_of(o);
    const runner *peer = &x->ranks[peer_rank(x, r, dir)];
    int32_t there =
        o->kind == OP_SEND ? peer->posted[1 - dir] : peer->sent[1 - dir];
    return there >= x->number[at->class_index][w];
}

/* True if every message that operation i waits for has both its ends. */
static bool messages_met(const symbolic *x, int32_t r, int32_t i)
{
    const program *p = check_program_of(x->g->set, r);
    const prog_op *o = &p->ops[i];
    for (int32_t d = 0; d < o->deps; d++) {
        const prog_dep *dep = &p->dep[o->dep0 + d];
        const prog_op *w = &p->ops[dep->op];
        bool message = w->kind == OP_SEND || w->kind == OP_RECV;
        if (dep->distance == 0 && message && check_takes(w, x->run) &&
            !is_met(x, r, dep->op)) {
            return false;
        }
    }
    return true;
}

/* Tries to get rank r past its operation. */
static bool can_pass(symbolic *x, int32_t r)
{
    const prog_place *at = &x->g->set->places[r];
    runner *k = &x->ranks[r];
    const prog_op *o = &check_program_of(x->g->set, r)->ops[k->at];
    if (!k->reached && !messages_met(x, r, k->at)) {
        return false;
    }
    int32_t number = x->number[at->class_index][k->at];
    check_member m = check_member_of(x->g, r, (op_group)o->group);
    if (!k->reached) {
        k->reached = true;
        k->sent[dir_of(o)] += o->kind == OP_SEND;
        k->posted[dir_of(o)] += o->kind == OP_RECV;
        if (is_collective(o)) {
            x->arrived[o->group][m.group]++;
        }
    }
    /* Nobody is past a call that somebody has not reached. */
    return !is_collective(o) ||
           x->arrived[o->group][m.group] >= number * m.size;
}

/* Runs rank r as far as it gets; true if it moved. */
static bool advance(symbolic *x, int32_t r)
{
    const program *p = check_program_of(x->g->set, r);
    runner *k = &x->ranks[r];
    int32_t before = k->at;
    bool reached = k->reached;
    while (k->at < p->nops) {
        if (check_takes(&p->ops[k->at], x->run) && !can_pass(x, r)) {
            break;
        }
        k->at++;
        k->reached = false;
    }
    return k->at != before || k->reached != reached;
}

/* Names the first few that are stuck. */
static status fail_stuck(const symbolic *x)
{
    const program_set *set = x->g->set;
    char text[STATUS_TEXT_MAX / 2] = "";
    size_t len = 0;
    int stuck = 0;
    for (int32_t r = 0; r < set->nranks; r++) {
        if (x->ranks[r].at == check_program_of(set, r)->nops) {
            continue;
        }
        stuck++;
        if (stuck <= 4) {
            len += (size_t)snprintf(text + len, sizeof(text) - len, "; %s",
                                    check_where(set, r, x->ranks[r].at).s);
        }
    }
    return FAIL(ST_INTERNAL, "deadlock%s: %d of %d ranks wait forever%s%s",
                x->run == RUN_FORWARD ? " in the forward part" : "", stuck,
                set->nranks, text, stuck > 4 ? "; ..." : "");
}

static status symbolic_init(symbolic *x)
{
    const program_set *set = x->g->set;
    TRY(MEM_NEW(&x->ranks, set->nranks, "check"));
    for (int k = 0; k < GROUP_COUNT; k++) {
        TRY(MEM_NEW(&x->arrived[k], set->nranks, "check"));
    }
    TRY(MEM_NEW(&x->number, set->nclasses, "check"));
    for (int32_t c = 0; c < set->nclasses; c++) {
        TRY(MEM_NEW(&x->number[c], set->classes[c].nops + 1, "check"));
        number_ops(&set->classes[c], x->run, x->number[c]);
    }
    return ST_OK;
}

static void symbolic_fini(symbolic *x)
{
    for (int32_t c = 0; x->number != NULL && c < x->g->set->nclasses; c++) {
        mem_free(x->number[c]);
    }
    mem_free(x->number);
    for (int k = 0; k < GROUP_COUNT; k++) {
        mem_free(x->arrived[k]);
    }
    mem_free(x->ranks);
}

status check_run_set(const check_grid *g, check_run run)
{
    const program_set *set = g->set;
    symbolic x = {.g = g, .run = run};
    status st = symbolic_init(&x);
    bool moved = st == ST_OK;
    while (moved) {
        moved = false;
        for (int32_t r = 0; r < set->nranks; r++) {
            moved = advance(&x, r) || moved;
        }
    }
    for (int32_t r = 0; st == ST_OK && r < set->nranks; r++) {
        if (x.ranks[r].at < check_program_of(set, r)->nops) {
            st = fail_stuck(&x);
        }
    }
    symbolic_fini(&x);
    return st;
}
