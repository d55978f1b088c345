/*
 * What engines do at an event.
 *
 *   engine   IDLE -> RUN -> (SLEEP) -> IDLE     work, then the link's time
 *            IDLE -> MEET -> SLEEP -> IDLE      a reduction, when all are there
 *
 * RUN work is counted down at a rate that depends on what else the rank does;
 * SLEEP ends at a known time. Messages are on no engine: an engine posts them
 * and goes on.
 *
 * Invariants: done[i] counts the steps in which operation i has ended; an
 * engine is `at` its next operation, or at the one that runs.
 */
#include <math.h>

#include "runtime/sim/clock_impl.h"

/* Work that is left is done: less than any clock shows. */
static const double NOTHING_S = 1e-12;
/* Compute never stops altogether for what runs beside it. */
static const double SLOWEST = 0.05;

/* --- operations ----------------------------------------------------------- */

static bool is_message(const prog_op *o)
{
    return o->kind == OP_SEND || o->kind == OP_RECV;
}

/* The step that counts is the last. */
static bool counts(const clock_state *c, const engine *e)
{
    return e->step == c->steps - 1;
}

static sim_op *result_of(const clock_state *c, const rank *r, int32_t i)
{
    return &c->out->rank[r - c->ranks].op[i];
}

static sim_ledger *ledger_of(const clock_state *c, const rank *r)
{
    return &c->out->rank[r - c->ranks].ledger;
}

/* One rank counts for a gradient's norm, one for a token's loss; the others
 * pass over it. As in exec. */
static bool passes_over(const clock_state *c, const rank *r, const prog_op *o)
{
    if (o->kind == OP_GRAD_NORM && !c->in->store && c->in->ps != NULL) {
        const param *q = &c->in->ps->list[o->param];
        return !(o->flag && r->place->data == 0 &&
                 (q->axis != AXIS_NONE || r->place->tensor == 0));
    }
    return false;
}

static double work_of(const clock_state *c, const rank *r, int32_t i)
{
    return passes_over(c, r, &r->p->ops[i]) ? 0 : r->work[i].s;
}

/* CPU time of the calling thread: all of what it computes; of a transfer
 * what the link says. */
static double own_of(const clock_state *c, const rank *r, int32_t i, bool over)
{
    const prog_op *o = &r->p->ops[i];
    if (over) {
        return 0;
    }
    bool transfer = is_message(o) || o->group != GROUP_NONE;
    return transfer && c->in->shared_cores ? r->work[i].cpu_s : r->work[i].s;
}

static void note_start(clock_state *c, rank *r, const engine *e, int32_t i,
                       double t)
{
    if (counts(c, e)) {
        result_of(c, r, i)->start = t;
        bool over = passes_over(c, r, &r->p->ops[i]);
        double cpu = over ? 0 : r->work[i].cpu_s;
        result_of(c, r, i)->own = own_of(c, r, i, over);
        r->cpu += cpu + c->m->dispatch_s;
    }
}

/* --- rates ---------------------------------------------------------------- */

static bool has_work(const engine *e, double now)
{
    return e->left > NOTHING_S && now + e->left > now;
}

static bool busy(const rank *r, const engine *e)
{
    return e->state == RUN && has_work(e, r->now);
}

/* A store updates on as many threads as compute has: what a thread of either
 * gets of a core while both work. */
static double share_of_core(const clock_state *c, const rank *r,
                            const engine *e)
{
    double threads = 2.0 * c->in->threads;
    bool many = e->stream == STREAM_HOST &&
                r->p->ops[e->order[e->at]].kind == OP_UPDATE;
    return many && threads > c->m->cores ? c->m->cores / threads : 1;
}

/* How fast the rank's engine k works beside the others. */
static double rate_of(const clock_state *c, const rank *r, int32_t k)
{
    const engine *e = &r->eng[k];
    bool compute = busy(r, &r->eng[0]);
    if (e->side) {
        return compute ? c->m->side_rate * share_of_core(c, r, e) : 1;
    }
    double rate = 1;
    for (int32_t i = 1; k == 0 && i < r->neng; i++) {
        const engine *x = &r->eng[i];
        if (x->side && busy(r, x)) {
            rate -= c->m->side_loss * c->m->side_rate;
            rate -= 1 - share_of_core(c, r, x);
        }
    }
    return rate > SLOWEST ? rate : SLOWEST;
}

static void pass_time(const clock_state *c, rank *r, double t)
{
    double rate[STREAM_COUNT];
    for (int32_t k = 0; k < r->neng; k++) {
        rate[k] = rate_of(c, r, k);
    }
    for (int32_t k = 0; k < r->neng; k++) {
        engine *e = &r->eng[k];
        if (e->state == RUN) {
            e->left -= (t - r->now) * rate[k];
        }
    }
    r->now = t;
}

/* When something happens next on this rank by itself. */
static double next_time(const clock_state *c, const rank *r)
{
    double next = INFINITY;
    for (int32_t k = 0; k < r->neng; k++) {
        const engine *e = &r->eng[k];
        double t = INFINITY;
        if (e->state == RUN) {
            t = r->now + (e->left > 0 ? e->left / rate_of(c, r, k) : 0);
        } else if (e->state == SLEEP) {
            t = e->until;
        }
        next = t < next ? t : next;
    }
    return next;
}

/* Of one step alone all that it did is its time; of steps that overlap what
 * compute took, which leaves them by leave_step. */
static void note_end(const clock_state *c, rank *r, int32_t step, double t)
{
    if (c->steps == 1 && t > r->ends[step]) {
        r->ends[step] = t;
    }
}

static void leave_step(const clock_state *c, rank *r, engine *e)
{
    if (c->steps > 1 && e == &r->eng[0]) {
        r->ends[e->step] = r->now;
    }
    e->at = 0;
    e->step++;
}

/* --- messages ------------------------------------------------------------- */

static bool op_done(const rank *r, int32_t i, int32_t step)
{
    return r->done[i] > step;
}

/* This step's passage of a message. */
static passage *passage_of(const clock_state *c, const rank *r, int32_t i,
                           int32_t step)
{
    passage *g = &c->messages[r->message[i]].of[step % 2];
    if (g->step != step) {
        *g = (passage){step, INFINITY, INFINITY, INFINITY};
    }
    return g;
}

static void start_moving(clock_state *c, const message *m, passage *g)
{
    if (isinf(g->end) && !isinf(g->sent) && !isinf(g->wanted)) {
        g->end = (g->sent > g->wanted ? g->sent : g->wanted) + m->cost;
        clock_post(c, g->end, m->from);
        clock_post(c, g->end, m->to);
    }
}

static void post_message(clock_state *c, rank *r, int32_t i, int32_t step)
{
    passage *g = passage_of(c, r, i, step);
    r->open[r->nopen++] = i;
    if (r->p->ops[i].kind == OP_SEND) {
        g->sent = r->now;
    } else if (c->m->async_messages) {
        g->wanted = r->now;
    }
    start_moving(c, &c->messages[r->message[i]], g);
}

/* The rank's compute engine waits for others: now bytes may come of every
 * message that it has posted, whichever it waits for. */
static void want_messages(clock_state *c, rank *r)
{
    for (int32_t k = 0; k < r->nopen; k++) {
        int32_t i = r->open[k];
        passage *g = passage_of(c, r, i, r->done[i]);
        if (r->p->ops[i].kind == OP_RECV && isinf(g->wanted)) {
            g->wanted = r->now;
            start_moving(c, &c->messages[r->message[i]], g);
        }
    }
}

/* Messages that have ended by now are done. True if there was one. */
static bool end_messages(clock_state *c, rank *r)
{
    int32_t kept = 0;
    int32_t n = r->nopen;
    for (int32_t k = 0; k < n; k++) {
        int32_t i = r->open[k];
        int32_t step = r->done[i];
        const passage *g = passage_of(c, r, i, step);
        if (g->end > r->now) {
            r->open[kept++] = i;
            continue;
        }
        r->done[i] = step + 1;
        note_end(c, r, step, g->end);
        if (step == c->steps - 1) {
            result_of(c, r, i)->end = g->end;
        }
    }
    r->nopen = kept;
    return kept < n;
}

/* --- waiting -------------------------------------------------------------- */

/* CPU time that a rank burns while it waits for others: by polling all the
 * time where it has a core. Where cores are shared it polls for a while and
 * sleeps; and who is done first waits for those whose work was as long, but
 * had no core meanwhile. */
static void burn(clock_state *c, rank *r, int32_t i, double begin, double wait)
{
    const sim_link *l = c->link;
    double cpu = 0;
    if (l == NULL) {
        return;
    }
    if (c->in->shared_cores) {
        double polls = wait < l->spin ? wait : l->spin;
        cpu = polls + l->waiting * (wait - polls);
        cpu += sim_curve_at(&l->at_work, begin - r->met);
    } else {
        cpu = l->waiting * wait;
    }
    r->met = r->now;
    r->cpu += cpu;
    result_of(c, r, i)->own += c->in->shared_cores ? cpu : wait;
}

/* Waiting for a message: bubble until the partner was there. Where messages
 * move only while their receiver waits, a sender cannot tell. */
static void book_message(clock_state *c, rank *r, const engine *e,
                         double waited)
{
    sim_ledger *l = ledger_of(c, r);
    const passage *g = passage_of(c, r, e->waits_for, e->step);
    bool receive = r->p->ops[e->waits_for].kind == OP_RECV;
    double there = receive                ? g->sent
                   : c->m->async_messages ? g->wanted
                                          : e->waits_since;
    double bubble = there - e->waits_since;
    bubble = bubble < 0 ? 0 : bubble > waited ? waited : bubble;
    l->bubble += bubble;
    l->comm += waited - bubble;
    burn(c, r, e->waits_for, e->waits_since, bubble);
}

static bool waits_for_update(const rank *r, const engine *e)
{
    return e->stream == STREAM_LOAD && e->waits_for >= 0 &&
           r->p->ops[e->waits_for].kind == OP_UPDATE;
}

/* How long loads have waited for updates, until now. */
static double waited_for_host(const rank *r)
{
    double s = 0;
    for (int32_t k = 1; k < r->neng; k++) {
        const engine *e = &r->eng[k];
        s += e->host_s;
        s += waits_for_update(r, e) ? r->now - e->waits_since : 0;
    }
    return s;
}

/* Compute has waited for the store: optimizer while that waited for updates,
 * as in exec. */
static void book_load(sim_ledger *l, const rank *r, const engine *e,
                      double waited)
{
    double host = waited_for_host(r) - e->host_before;
    host = host < waited ? host : waited;
    l->optimizer += host;
    l->load += waited - host;
}

/* The engine's wait is over. That of compute goes to an account. */
static void book_wait(clock_state *c, rank *r, engine *e)
{
    int32_t i = e->waits_for;
    double waited = r->now - e->waits_since;
    e->host_s += waits_for_update(r, e) ? waited : 0;
    if (i < 0 || !counts(c, e)) {
        return;
    }
    const prog_op *o = &r->p->ops[i];
    sim_ledger *l = ledger_of(c, r);
    if (is_message(o)) {
        result_of(c, r, i)->busy += waited;
    }
    if (e != &r->eng[0]) {
        return;
    }
    if (is_message(o)) {
        book_message(c, r, e, waited);
    } else if (o->group != GROUP_NONE) {
        l->comm += waited;
    } else if (o->stream == STREAM_HOST) {
        l->optimizer += waited;
    } else {
        book_load(l, r, e, waited);
    }
}

static void set_wait(clock_state *c, rank *r, engine *e, int32_t i)
{
    if (i != e->waits_for) {
        book_wait(c, r, e);
        e->waits_for = i;
        e->waits_since = r->now;
        e->host_before = e == &r->eng[0] ? waited_for_host(r) : 0;
    }
}

/* What the engine's next operation must still wait for. */
static int32_t op_blocker(const rank *r, const engine *e, int32_t i)
{
    const prog_op *o = &r->p->ops[i];
    if (o->tail != TAIL_ALWAYS && !op_done(r, r->p->guard, e->step)) {
        return r->p->guard;
    }
    for (int32_t d = 0; d < o->deps; d++) {
        const prog_dep *dep = &r->p->dep[o->dep0 + d];
        if (!op_done(r, dep->op, e->step - dep->distance)) {
            return dep->op;
        }
    }
    /* Its own run in the step before, which a message may still be. */
    return op_done(r, i, e->step - 1) ? -1 : i;
}

/* At the end of a step compute waits for its messages, and for the guard. */
static int32_t step_blocker(const rank *r, const engine *e)
{
    int32_t guard = r->p->guard;
    if (e == &r->eng[0] && guard >= 0 && !op_done(r, guard, e->step)) {
        return guard;
    }
    for (int32_t k = 0; e == &r->eng[0] && k < r->nopen; k++) {
        if (!op_done(r, r->open[k], e->step)) {
            return r->open[k];
        }
    }
    return -1;
}

int32_t clock_blocker(const rank *r, const engine *e)
{
    return e->at < e->n ? op_blocker(r, e, e->order[e->at])
                        : step_blocker(r, e);
}

/* --- starting and ending -------------------------------------------------- */

static check_member member_of(const clock_state *c, const rank *r, int group)
{
    return check_member_of(&c->grid, (int32_t)(r - c->ranks), (op_group)group);
}

/* The engine's rank has reached a reduction and starts it at `start`. */
static void arrive(clock_state *c, rank *r, engine *e, int32_t i, double start)
{
    int kind = r->p->ops[i].group;
    check_member m = member_of(c, r, kind);
    int32_t number = r->calls[kind]++;
    call *k = &c->calls[kind][m.group * c->ncalls[kind] + number];
    int32_t me = (int32_t)(r - c->ranks) * STREAM_COUNT + (int32_t)(e - r->eng);
    e->state = MEET;
    e->call = (int32_t)(k - c->calls[kind]);
    e->next_waiter = k->arrived == 0 ? -1 : k->waiters;
    k->waiters = me;
    k->arrived++;
    k->met = start > k->met ? start : k->met;
    if (!c->m->async_messages) {
        want_messages(c, r);
    }
    if (k->arrived < m.size) {
        return;
    }
    for (int32_t w = me; w >= 0;) {
        rank *other = &c->ranks[w / STREAM_COUNT];
        engine *x = &other->eng[w % STREAM_COUNT];
        x->state = SLEEP;
        x->until = k->met + work_of(c, other, x->order[x->at]);
        clock_post(c, x->until, w / STREAM_COUNT);
        w = x->next_waiter;
    }
}

static void book_link(const clock_state *c, const rank *r, engine *e, int32_t i)
{
    const sim_work *w = &r->work[i];
    double latency = c->in->link_latency + c->m->store_latency_s;
    double rate = c->in->link_rate;
    double own = c->m->store_bytes_per_s;
    rate = rate > 0 && (own <= 0 || rate < own) ? rate : own;
    e->until = 0;
    if (w->link_bytes > 0 && (rate > 0 || latency > 0)) {
        double from = e->link_free > r->now ? e->link_free : r->now;
        e->link_free = from + latency + (rate > 0 ? w->link_bytes / rate : 0);
        e->until = e->link_free + c->m->late_s;
    }
}

static void begin_op(clock_state *c, rank *r, engine *e, int32_t i, bool woken)
{
    const prog_op *o = &r->p->ops[i];
    double before = c->m->dispatch_s + (woken ? c->m->wake_s : 0);
    note_start(c, r, e, i, r->now + before);
    if (o->group != GROUP_NONE && member_of(c, r, o->group).size > 1) {
        arrive(c, r, e, i, r->now + before);
        return;
    }
    book_link(c, r, e, i);
    e->state = RUN;
    e->left = before + (is_message(o) ? 0 : work_of(c, r, i));
}

/* A reduction: bubble until the last member was there. */
static void book_call(clock_state *c, rank *r, const engine *e, double start)
{
    const prog_op *o = &r->p->ops[e->order[e->at]];
    sim_ledger *l = ledger_of(c, r);
    double met = c->calls[o->group][e->call].met;
    met = met > start ? met : start;
    l->bubble += met - start;
    l->comm += r->now - met;
    burn(c, r, e->order[e->at], start, met - start);
}

static void book_op(clock_state *c, rank *r, const engine *e, bool met)
{
    int32_t i = e->order[e->at];
    const prog_op *o = &r->p->ops[i];
    if (!counts(c, e)) {
        return;
    }
    sim_op *res = result_of(c, r, i);
    sim_ledger *l = ledger_of(c, r);
    res->end = r->now;
    res->busy = r->now - res->start;
    if (e != &r->eng[0]) {
        return;
    }
    if (met) {
        book_call(c, r, e, res->start);
    } else if (o->kind == OP_BATCH) {
        l->load += res->busy;
    } else if (o->stream == STREAM_HOST) {
        l->optimizer += res->busy;
    } else {
        l->compute += res->busy;
    }
}

static void end_op(clock_state *c, rank *r, engine *e)
{
    int32_t i = e->order[e->at];
    const prog_op *o = &r->p->ops[i];
    if (is_message(o)) {
        post_message(c, r, i, e->step);
    } else {
        bool met = o->group != GROUP_NONE && member_of(c, r, o->group).size > 1;
        book_op(c, r, e, met);
        r->done[i] = e->step + 1;
    }
    note_end(c, r, e->step, r->now);
    e->ended = r->now;
    e->state = IDLE;
    e->at++;
}

/* The engine goes to its next operation, or to the next step. True if
 * something has changed. */
static bool try_start(clock_state *c, rank *r, engine *e)
{
    if (e->step == c->steps ||
        (e->step > r->eng[0].step && !c->m->steps_overlap)) {
        return false; /* the calling thread begins steps */
    }
    int32_t i = e->at < e->n ? e->order[e->at] : -1;
    if (i >= 0 && r->p->ops[i].tail == TAIL_BROKEN) {
        r->done[i] = e->step + 1;
        e->at++;
        return true;
    }
    int32_t wait = clock_blocker(r, e);
    bool woken = e->waits_for >= 0 && e->waits_since < r->now &&
                 r->message[e->waits_for] < 0;
    set_wait(c, r, e, wait);
    if (wait >= 0) {
        if (r->message[wait] >= 0 && !c->m->async_messages) {
            want_messages(c, r);
        }
        return false;
    }
    if (i < 0) {
        leave_step(c, r, e);
        return true;
    }
    begin_op(c, r, e, i, woken);
    return true;
}

/* True if something has changed. */
static bool try_end(clock_state *c, rank *r, engine *e)
{
    if (e->state == RUN && !has_work(e, r->now)) {
        if (e->until > r->now) {
            e->state = SLEEP;
        } else {
            end_op(c, r, e);
        }
        return true;
    }
    if (e->state == SLEEP && e->until <= r->now) {
        end_op(c, r, e);
        return true;
    }
    return false;
}

void clock_rank(clock_state *c, rank *r, double t)
{
    pass_time(c, r, t);
    bool changed = true;
    while (changed) {
        changed = end_messages(c, r);
        for (int32_t k = 0; k < r->neng; k++) {
            engine *e = &r->eng[k];
            changed = try_end(c, r, e) || changed;
            if (e->state == IDLE) {
                changed = try_start(c, r, e) || changed;
            }
        }
    }
    double next = next_time(c, r);
    if (!isinf(next)) {
        clock_post(c, next, (int32_t)(r - c->ranks));
    }
}
