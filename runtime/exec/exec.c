#include "runtime/exec/exec.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/units.h"
#include "runtime/exec/exec_impl.h"

static status alloc_arrays(exec *e)
{
    const program *p = e->p;
    int64_t rows = 1;
    for (int i = 0; i < e->c.ps->n; i++) {
        int64_t r =
            param_rows(e->c.a, &e->c.ps->list[i], e->c.sh.S, 0, e->c.sh.S).rows;
        rows = r > rows ? r : rows;
    }
    e->nslots = e->c.sh.D + 1 + (int64_t)e->c.ps->n * e->c.sh.S;
    TRY(mem_alloc((size_t)p->nops, sizeof(*e->done), "exec",
                  (void **)&e->done));
    TRY(MEM_NEW(&e->pending, p->nops, "exec"));
    for (int k = 0; k < FLIGHTS; k++) {
        TRY(MEM_NEW(&e->flights[k].trace, p->nops, "exec"));
    }
    TRY(MEM_NEW(&e->slots, e->nslots, "exec"));
    TRY(MEM_NEW(&e->row_sums, rows, "exec"));
    TRY(MEM_NEW(&e->seen, e->c.a->V, "exec"));
    TRY(MEM_NEW(&e->slot_of, e->c.a->V, "exec"));
    return MEM_NEW(&e->unique, e->c.sh.seqs * e->c.sh.T, "exec");
}

static status make_groups(exec *e)
{
    const prog_place *at = e->place;
    int dp = e->c.sh.dp;
    int tp = e->c.sh.tp;
    int pp = e->c.set->nranks / (dp * tp);
    comm *w = e->c.world;
    e->group[GROUP_WORLD] = w;
    if (tp > 1) {
        TRY(comm_split(w, at->data * pp + at->pipe, at->tensor, "tensor",
                       &e->group[GROUP_TENSOR]));
    }
    if (dp > 1) {
        TRY(comm_split(w, at->pipe * tp + at->tensor, at->data, "data",
                       &e->group[GROUP_DATA]));
    }
    if (pp > 1 && e->c.a->tied) {
        bool end = at->pipe == 0 || at->pipe == pp - 1;
        TRY(comm_split(w, end ? at->data * tp + at->tensor : -1, at->pipe,
                       "tie", &e->group[GROUP_TIE]));
    }
    return ST_OK;
}

static status make_arena(exec *e)
{
    int64_t have = e->c.device_memory;
    int64_t need = e->p->peak_bytes;
    REQUIRE(have == 0 || need <= have, ST_BUDGET,
            "the plan needs %s of device memory, --device-memory is %s",
            units_bytes((double)need).s, units_bytes((double)have).s);
    TRY(arena_init(&e->mem, have > 0 ? have : need, need));
    const prog_buf *work = &e->p->bufs[e->p->work_buf];
    e->ctx = (math_ctx){.threads = e->c.threads,
                        .work = (char *)e->mem.base + work->offset,
                        .work_bytes = (size_t)work->floats * sizeof(float)};
    return ST_OK;
}

/* *out is the caller's to destroy, also after a failure. */
static status create_local(const exec_config *config, exec **out)
{
    TRY(MEM_NEW(out, 1, "exec"));
    exec *e = *out;
    e->c = *config;
    e->place = &config->set->places[comm_rank(config->world)];
    e->p = &config->set->classes[e->place->class_index];
    pthread_mutex_init(&e->mutex, NULL);
    pthread_cond_init(&e->moved, NULL);
    TRY(make_arena(e));
    TRY(alloc_arrays(e));
    return exec_start_workers(e);
}

status exec_create(const exec_config *config, exec **out)
{
    exec *e = NULL;
    ASSERT(comm_size(config->world) == config->set->nranks);
    status st = comm_agree(config->world, create_local(config, &e));
    if (st == ST_OK) {
        st = make_groups(e);
    }
    if (st != ST_OK) {
        exec_destroy(e);
        return st;
    }
    *out = e;
    return ST_OK;
}

void exec_destroy(exec *e)
{
    if (e == NULL) {
        return;
    }
    exec_stop_workers(e);
    for (int g = 0; g < GROUP_COUNT; g++) {
        if (g != GROUP_WORLD && e->group[g] != NULL) {
            comm_destroy(e->group[g]);
        }
    }
    arena_fini(&e->mem);
    mem_free((void *)e->done);
    mem_free(e->pending);
    for (int k = 0; k < FLIGHTS; k++) {
        mem_free(e->flights[k].trace);
    }
    mem_free(e->slots);
    mem_free(e->row_sums);
    mem_free(e->seen);
    mem_free(e->slot_of);
    mem_free(e->unique);
    pthread_mutex_destroy(&e->mutex);
    pthread_cond_destroy(&e->moved);
    mem_free(e);
}

/* A step that has changed nothing, whatever the reason, is over. */
static status drop(exec *e, int64_t step)
{
    store *s = e->c.store;
    return s != NULL ? s->ops->drop(s, step) : ST_OK;
}

/* A value for people: the sign of a NaN says nothing. */
typedef struct spoken {
    char s[24];
} spoken;

static spoken speak(double value)
{
    spoken t = {"not a number"};
    if (!isnan(value)) {
        (void)snprintf(t.s, sizeof(t.s), "%g", value);
    }
    return t;
}

/* People count steps from 1. */
static status fail_broken(const exec *e, int64_t step)
{
    return FAIL(ST_NUMERIC,
                "step %lld: loss %s, gradient norm %s; no weight was changed; "
                "lower --lr or look at the data",
                (long long)step + 1, speak(e->loss).s, speak(e->grad_norm).s);
}

status exec_step(exec *e, int64_t step, const exec_scalars *s, exec_result *out)
{
    e->traced = e->serial + 1;
    store *st = e->c.store;
    if (st != NULL) {
        TRY(st->ops->begin(st, step));
    }
    status ran = exec_run(e, step, s);
    if (ran != ST_OK) {
        char text[STATUS_TEXT_MAX];
        (void)snprintf(text, sizeof(text), "%s", status_text());
        (void)drop(e, step); /* the store's part of the same failure */
        return status_set(ran, text);
    }
    bool broken = atomic_load(&exec_flight(e)->tail) == TAIL_BROKEN;
    if (broken) {
        TRY(drop(e, step));
    }
    if (broken && !s->skip_broken) {
        return fail_broken(e, step);
    }
    *out = (exec_result){.skipped = broken,
                         .loss = e->loss,
                         .grad_norm = e->grad_norm,
                         .ledger = e->ledger};
    return ST_OK;
}

status exec_evaluate(exec *e, int64_t step, double *loss)
{
    TRY(exec_settle(e, NULL));
    TRY(exec_run(e, step, NULL));
    *loss = e->loss;
    return ST_OK;
}

/* Logits that outlive the step are the program's result. */
static const float *find_logits(const exec *e)
{
    for (int32_t i = 0; i < e->p->nbufs; i++) {
        const prog_buf *b = &e->p->bufs[i];
        if (b->cls == BUF_LOGITS && b->persistent) {
            return (const float *)((const char *)e->mem.base + b->offset);
        }
    }
    return NULL;
}

status exec_logits(exec *e, const exec_query *q, const float **logits)
{
    const float *found = find_logits(e);
    ASSERT(found != NULL && q->first >= 0 && q->row >= 0 &&
           q->row < e->c.sh.T && e->c.sh.seqs == 1);
    TRY(exec_settle(e, NULL));
    e->query = *q;
    TRY(exec_run(e, 0, NULL));
    *logits = found;
    return ST_OK;
}

const program *exec_program(const exec *e)
{
    return e->p;
}

const prog_place *exec_place(const exec *e)
{
    return e->place;
}

const exec_trace *exec_last_trace(const exec *e)
{
    return e->flights[e->traced % FLIGHTS].trace;
}

int64_t exec_last_begin(const exec *e)
{
    return e->flights[e->traced % FLIGHTS].begin_ns;
}

int64_t exec_arena_touched(const exec *e)
{
    return arena_touched(&e->mem);
}

int64_t exec_arena_bytes(const exec *e)
{
    return e->mem.bytes;
}

void exec_comm_bytes(const exec *e, op_group g, int64_t *sent, int64_t *recv)
{
    *sent = e->pipe_sent;
    *recv = e->pipe_recv;
    if (g != GROUP_NONE) {
        /* Messages between stages go through the world's communicator. */
        bool world = g == GROUP_WORLD;
        const comm *c = e->group[g];
        *sent = c != NULL ? comm_bytes_sent(c) - (world ? *sent : 0) : 0;
        *recv = c != NULL ? comm_bytes_recv(c) - (world ? *recv : 0) : 0;
    }
}

void exec_comm_to(const exec *e, int64_t *to)
{
    for (int g = 0; g < GROUP_COUNT; g++) {
        if (e->group[g] != NULL) {
            comm_bytes_to(e->group[g], to);
        }
    }
}

void exec_store_bytes(const exec *e, int64_t *loaded, int64_t *drained)
{
    *loaded = 0;
    *drained = 0;
    for (int i = 0; i < e->nworkers; i++) {
        const worker *w = &e->workers[i];
        *loaded += w->stream == STREAM_LOAD ? w->moved : 0;
        *drained += w->stream == STREAM_DRAIN ? w->moved : 0;
    }
}

/* The view of a parameter's state in the update that changes it. */
static bool find_update(const exec *e, int par, int which, float **rows)
{
    for (int32_t i = e->p->nops - 1; i >= 0; i--) {
        const prog_op *o = &e->p->ops[i];
        if (o->kind == OP_UPDATE && o->param == par && o->views == 4) {
            *rows = at(e, view(e, o, which));
            return true;
        }
    }
    return false;
}

static param_shard own_shard(const exec *e, int par)
{
    return param_rows(e->c.a, &e->c.ps->list[par], e->c.sh.S, e->c.sh.tensor_lo,
                      e->c.sh.tensor_hi);
}

bool exec_state(exec *e, int par, store_state which, float **rows,
                param_shard *shard)
{
    static const int of[3] = {0, 2, 3};
    *shard = own_shard(e, par);
    return find_update(e, par, of[which], rows);
}

bool exec_gradient(exec *e, int par, float **rows, param_shard *shard)
{
    *shard = own_shard(e, par);
    return find_update(e, par, 1, rows);
}

bool exec_owns(const exec *e, int par)
{
    float *rows;
    const param *q = &e->c.ps->list[par];
    bool first = e->place->pipe == 0 || q->role != PARAM_WTE;
    return e->place->data == 0 && first &&
           (q->axis != AXIS_NONE || e->place->tensor == 0) &&
           find_update(e, par, 0, &rows);
}
