/*
 * Events in order of time, rank and age. An event says that something may
 * happen on a rank; handling one that came too early does no harm, so rates
 * that change need no events taken back.
 *
 * Invariant: a rank's time never goes back.
 */
#include <math.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/sim/clock_impl.h"

/* --- events --------------------------------------------------------------- */

static bool sooner(const event *a, const event *b)
{
    if (a->t != b->t) {
        return a->t < b->t;
    }
    return a->rank != b->rank ? a->rank < b->rank : a->age < b->age;
}

void clock_post(clock_state *c, double t, int32_t r)
{
    if (c->nheap == c->cap_heap) {
        int64_t cap = c->cap_heap > 0 ? 2 * c->cap_heap : 256;
        status st =
            mem_resize((size_t)cap, sizeof(*c->heap), "sim", (void **)&c->heap);
        if (st != ST_OK) {
            c->failed = st;
            return;
        }
        c->cap_heap = cap;
    }
    int64_t i = c->nheap++;
    event e = {t, r, c->age++};
    while (i > 0 && sooner(&e, &c->heap[(i - 1) / 2])) {
        c->heap[i] = c->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    c->heap[i] = e;
}

static event take(clock_state *c)
{
    event first = c->heap[0];
    event last = c->heap[--c->nheap];
    int64_t i = 0;
    for (;;) {
        int64_t k = 2 * i + 1;
        if (k >= c->nheap) {
            break;
        }
        if (k + 1 < c->nheap && sooner(&c->heap[k + 1], &c->heap[k])) {
            k++;
        }
        if (!sooner(&c->heap[k], &last)) {
            break;
        }
        c->heap[i] = c->heap[k];
        i = k;
    }
    c->heap[i] = last;
    return first;
}

/* --- engines -------------------------------------------------------------- */

/* Engine 0 is compute with all streams that do not overlap. */
static void assign_engines(clock_state *c)
{
    uint32_t own = c->in->store ? c->m->overlap_store : c->m->overlap;
    c->nengines = 1;
    for (int s = 0; s < STREAM_COUNT; s++) {
        c->engine_of[s] = own & (1U << s) ? c->nengines++ : 0;
    }
}

static status order_class(clock_state *c, int32_t k)
{
    const program *p = &c->set->classes[k];
    for (int32_t e = 0; e < c->nengines; e++) {
        int32_t *order = NULL;
        int32_t n = 0;
        TRY(MEM_NEW(&order, p->nops + 1, "sim"));
        c->order[k * STREAM_COUNT + e] = order;
        for (int32_t i = 0; i < p->nops; i++) {
            if (c->engine_of[p->ops[i].stream] == e) {
                order[n++] = i;
            }
        }
        c->norder[k * STREAM_COUNT + e] = n;
    }
    return ST_OK;
}

static status init_rank(clock_state *c, int32_t r, sim_work *const *work)
{
    rank *k = &c->ranks[r];
    k->place = &c->set->places[r];
    int32_t cls = k->place->class_index;
    k->p = &c->set->classes[cls];
    k->work = work[cls];
    k->neng = c->nengines;
    for (int s = 0; s < STREAM_COUNT; s++) {
        engine *e = &k->eng[c->engine_of[s]];
        e->stream = (op_stream)s;
        e->side = s == STREAM_LOAD || s == STREAM_DRAIN || s == STREAM_HOST;
    }
    k->eng[0].side = false;
    k->eng[0].stream = STREAM_COMPUTE;
    for (int32_t e = 0; e < c->nengines; e++) {
        k->eng[e].order = c->order[cls * STREAM_COUNT + e];
        k->eng[e].n = c->norder[cls * STREAM_COUNT + e];
        k->eng[e].waits_for = -1;
    }
    TRY(MEM_NEW(&k->done, k->p->nops + 1, "sim"));
    TRY(MEM_NEW(&k->open, k->p->nops + 1, "sim"));
    TRY(MEM_NEW(&k->message, k->p->nops + 1, "sim"));
    memset(k->message, -1, sizeof(int32_t) * ((size_t)k->p->nops + 1));
    return MEM_NEW(&c->out->rank[r].op, k->p->nops + 1, "sim");
}

/* --- who meets whom ------------------------------------------------------- */

static int32_t peer_of(const rank *r, const prog_op *o)
{
    return o->peer < 0 ? r->place->prev : r->place->next;
}

/* The first receive of rank `to` that nobody has sent to yet and that is for
 * this send: from its rank, with its tag. */
static int32_t find_receive(const clock_state *c, int32_t from,
                            const prog_op *send, int32_t to)
{
    const rank *r = &c->ranks[to];
    for (int32_t i = 0; i < r->p->nops; i++) {
        const prog_op *o = &r->p->ops[i];
        if (o->kind == OP_RECV && r->message[i] < 0 && o->arg == send->arg &&
            peer_of(r, o) == from) {
            return i;
        }
    }
    return -1;
}

static status pair_messages(clock_state *c)
{
    int64_t sends = 0;
    for (int32_t r = 0; r < c->set->nranks; r++) {
        const program *p = c->ranks[r].p;
        for (int32_t i = 0; i < p->nops; i++) {
            sends += p->ops[i].kind == OP_SEND;
        }
    }
    TRY(MEM_NEW(&c->messages, sends + 1, "sim"));
    for (int32_t r = 0; r < c->set->nranks; r++) {
        rank *k = &c->ranks[r];
        for (int32_t i = 0; i < k->p->nops; i++) {
            const prog_op *o = &k->p->ops[i];
            if (o->kind != OP_SEND) {
                continue;
            }
            int32_t to = peer_of(k, o);
            int32_t j = find_receive(c, r, o, to);
            REQUIRE(j >= 0, ST_INTERNAL, "%s is received by nobody",
                    check_where(c->set, r, i).s);
            k->message[i] = c->ranks[to].message[j] = c->nmessages;
            c->messages[c->nmessages++] =
                (message){.from = r,
                          .to = to,
                          .cost = k->work[i].s,
                          .of = {{.step = -1}, {.step = -1}}};
        }
    }
    return ST_OK;
}

static void fill_grid(clock_state *c)
{
    check_grid *g = &c->grid;
    g->set = c->set;
    for (int32_t r = 0; r < c->set->nranks; r++) {
        const prog_place *at = &c->set->places[r];
        g->data = at->data >= g->data ? at->data + 1 : g->data;
        g->pipe = at->pipe >= g->pipe ? at->pipe + 1 : g->pipe;
        g->tensor = at->tensor >= g->tensor ? at->tensor + 1 : g->tensor;
    }
}

static status make_calls(clock_state *c)
{
    fill_grid(c);
    for (int k = 0; k < c->set->nclasses; k++) {
        const program *p = &c->set->classes[k];
        int32_t n[GROUP_COUNT] = {0};
        for (int32_t i = 0; i < p->nops; i++) {
            n[p->ops[i].group]++;
        }
        for (int g = GROUP_NONE + 1; g < GROUP_COUNT; g++) {
            int32_t all = n[g] * c->steps;
            c->ncalls[g] = all > c->ncalls[g] ? all : c->ncalls[g];
        }
    }
    for (int g = GROUP_NONE + 1; g < GROUP_COUNT; g++) {
        int64_t n = (int64_t)c->ncalls[g] * c->set->nranks;
        TRY(MEM_NEW(&c->calls[g], n + 1, "sim"));
    }
    return ST_OK;
}

/* --- all of it ------------------------------------------------------------ */

/* With a store exec lets what the guard chose run into the next step. */
static bool overlap(const clock_state *c)
{
    return c->m->steps_overlap ||
           (c->in->store && c->set->classes[0].guard >= 0);
}

static status start(clock_state *c, sim_work *const *work)
{
    const program_set *set = c->set;
    if (set->nranks > 1) {
        c->link = sim_link_for(c->m, set->nranks, c->in->shared_cores);
    }
    c->steps = overlap(c) ? STEPS_MOST : 1;
    assign_engines(c);
    TRY(MEM_NEW(&c->ranks, set->nranks, "sim"));
    TRY(MEM_NEW(&c->out->rank, set->nranks, "sim"));
    c->out->nranks = set->nranks;
    TRY(MEM_NEW(&c->order, set->nclasses * STREAM_COUNT, "sim"));
    TRY(MEM_NEW(&c->norder, set->nclasses * STREAM_COUNT, "sim"));
    for (int32_t k = 0; k < set->nclasses; k++) {
        TRY(order_class(c, k));
    }
    for (int32_t r = 0; r < set->nranks; r++) {
        TRY(init_rank(c, r, work));
    }
    TRY(make_calls(c));
    return pair_messages(c);
}

static void stop(clock_state *c)
{
    for (int32_t r = 0; c->ranks != NULL && r < c->set->nranks; r++) {
        mem_free(c->ranks[r].done);
        mem_free(c->ranks[r].open);
        mem_free(c->ranks[r].message);
    }
    for (int32_t k = 0; c->order != NULL && k < c->set->nclasses * STREAM_COUNT;
         k++) {
        mem_free(c->order[k]);
    }
    for (int g = 0; g < GROUP_COUNT; g++) {
        mem_free(c->calls[g]);
    }
    mem_free(c->order);
    mem_free(c->norder);
    mem_free(c->messages);
    mem_free(c->ranks);
    mem_free(c->heap);
}

static status check_ended(const clock_state *c)
{
    for (int32_t r = 0; r < c->set->nranks; r++) {
        for (int32_t k = 0; k < c->nengines; k++) {
            const engine *e = &c->ranks[r].eng[k];
            REQUIRE(e->step == c->steps, ST_INTERNAL,
                    "the virtual clock stops: %s never ends",
                    check_where(c->set, r,
                                e->at < e->n ? e->order[e->at]
                                             : clock_blocker(&c->ranks[r], e))
                        .s);
        }
    }
    return ST_OK;
}

/* Compute has ended and waits for the others, one after another. */
static void book_join(const clock_state *c, const rank *r, sim_ledger *l)
{
    double t = r->eng[0].ended;
    for (int32_t k = 1; k < c->nengines; k++) {
        const engine *e = &r->eng[k];
        double more = e->ended > t ? e->ended - t : 0;
        t += more;
        if (e->stream == STREAM_HOST) {
            l->optimizer += more;
        } else if (e->stream == STREAM_LOAD || e->stream == STREAM_DRAIN) {
            l->load += more;
        } else {
            l->comm += more;
        }
    }
}

/* Times from the begin of the step that counts: the end of the one before. */
static void finish(clock_state *c)
{
    sim_result *out = c->out;
    double begin = 0;
    double end = 0;
    for (int32_t r = 0; r < out->nranks; r++) {
        const rank *k = &c->ranks[r];
        double before = c->steps > 1 ? k->ends[c->steps - 2] : 0;
        begin = before > begin ? before : begin;
        end = k->ends[c->steps - 1] > end ? k->ends[c->steps - 1] : end;
    }
    out->step_s = end - begin + c->m->step_s;
    for (int32_t r = 0; r < out->nranks; r++) {
        const rank *k = &c->ranks[r];
        sim_rank *to = &out->rank[r];
        sim_ledger *l = &to->ledger;
        for (int32_t i = 0; i < k->p->nops; i++) {
            to->op[i].start -= to->op[i].end > 0 ? begin : 0;
            to->op[i].end -= to->op[i].end > 0 ? begin : 0;
        }
        to->end = k->ends[c->steps - 1] - begin + c->m->step_s;
        if (c->steps == 1) {
            book_join(c, k, l);
        }
        l->other =
            to->end - l->compute - l->load - l->comm - l->bubble - l->optimizer;
        out->cpu_s += k->cpu + c->m->step_s;
        out->peak_bytes = k->p->peak_bytes > out->peak_bytes ? k->p->peak_bytes
                                                             : out->peak_bytes;
    }
}

status sim_run_costs(const sim_setup *in, const program_set *set,
                     sim_work *const *work, sim_result *out)
{
    sim_result result = {0};
    clock_state c = {.in = in, .m = in->m, .set = set, .out = &result};
    status st = start(&c, work);
    for (int32_t r = 0; st == ST_OK && r < set->nranks; r++) {
        clock_post(&c, 0, r);
    }
    while (st == ST_OK && c.nheap > 0) {
        event e = take(&c);
        clock_rank(&c, &c.ranks[e.rank], e.t);
        st = c.failed;
    }
    if (st == ST_OK) {
        st = check_ended(&c);
    }
    if (st == ST_OK) {
        finish(&c);
        *out = result;
    } else {
        sim_result_fini(&result);
    }
    stop(&c);
    return st;
}

status sim_run(const sim_setup *in, const program_set *set, sim_result *out)
{
    sim_work **work = NULL;
    TRY(MEM_NEW(&work, set->nclasses, "sim"));
    status st = ST_OK;
    for (int32_t k = 0; st == ST_OK && k < set->nclasses; k++) {
        st = MEM_NEW(&work[k], set->classes[k].nops + 1, "sim");
        if (st == ST_OK) {
            st = sim_costs(in, &set->classes[k], work[k]);
        }
    }
    if (st == ST_OK) {
        st = sim_run_costs(in, set, work, out);
    }
    for (int32_t k = 0; k < set->nclasses; k++) {
        mem_free(work[k]);
    }
    mem_free(work);
    return st;
}

void sim_result_fini(sim_result *r)
{
    for (int32_t k = 0; r->rank != NULL && k < r->nranks; k++) {
        mem_free(r->rank[k].op);
    }
    mem_free(r->rank);
    memset(r, 0, sizeof(*r));
}
