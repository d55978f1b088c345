#include "benchmarks/setup.h"

#include <stdio.h>
#include <string.h>

#include "partition/compile.h"
#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/base/threads.h"
#include "runtime/base/units.h"
#include "runtime/math/matmul.h"
#include "ws/store/ram.h"

static int thread_count(const setup_options *o, int ranks)
{
    if (o->threads > 0) {
        return o->threads;
    }
    int each = threads_usable() / (ranks > 0 ? ranks : 1);
    return each > 0 ? each : 1;
}

static gpt_shape make_shape(const setup *s, const setup_options *o)
{
    int ranks = s->streamed ? 1 : plan_ranks(&s->plan);
    int data = s->streamed ? 1 : s->plan.data;
    int tensor = s->streamed ? 1 : s->plan.tensor;
    return (gpt_shape){
        .N = o->batch,
        .T = o->seq,
        .D = plan_leaves(o->data_leaves, data, o->batch, o->fast_sums),
        .S = plan_leaves(o->tensor_leaves, tensor, s->a.H, o->fast_sums),
        .dp = data,
        .tp = tensor,
        .kblock = matmul_kblock(),
        .threads = thread_count(o, ranks),
    };
}

static status open_streamed(setup *s, const setup_options *o)
{
    REQUIRE(o->seq <= s->a.positions, ST_CONFIG,
            "--seq %lld is longer than the %d positions of %s",
            (long long)o->seq, s->a.positions, s->a.name);
    ws_config c = {.budget_bytes = o->device_memory,
                   .micro_batch = o->micro_batch,
                   .recompute = (ws_recompute)o->recompute};
    TRY(ws_admit(&s->a, s->sh, &c, false));
    /* The store alone: the arena is known only once all is compiled. */
    TRY(o->runs_here ? setup_check_host(s, 1) : ST_OK);
    return ws_compile(&s->a, &s->ps, s->sh, &c, &s->set, &s->choice);
}

static plan_job job_of(const setup *s, int64_t device_memory)
{
    return (plan_job){.a = &s->a,
                      .N = s->sh.N,
                      .T = s->sh.T,
                      .D = s->sh.D,
                      .S = s->sh.S,
                      .device_memory = device_memory};
}

/* Micro-batches to try for a plan that leaves it open: the one that suits it,
 * then half as many sequences and so on, without those that the bound says are
 * too large. 1 is always the last. */
static int64_t next_micro_batch(const setup *s, int64_t budget, int64_t each)
{
    plan p = s->plan;
    plan_job job = job_of(s, budget);
    for (p.micro_batch = each / 2; p.micro_batch > 1; p.micro_batch /= 2) {
        if (plan_least_bytes(&p, &job) <= budget) {
            return p.micro_batch;
        }
    }
    return 1;
}

status setup_shares(const setup *s, int64_t *least, int64_t *most)
{
    int data = s->streamed ? 1 : s->plan.data;
    *least = INT64_MAX;
    *most = 0;
    for (int d = 0; d < data; d++) {
        gpt_shape sh = s->sh;
        TRY(gpt_shape_share(&sh, d, 0));
        *least = sh.seqs < *least ? sh.seqs : *least;
        *most = sh.seqs > *most ? sh.seqs : *most;
    }
    return ST_OK;
}

/* What a plan needs that is within the rules. A micro-batch that is left open
 * becomes smaller until the plan fits, or 1 at once where only that matters;
 * where none does, the plan is as it was and *need the least of all. budget
 * 0: no limit. */
static status fit_plan(setup *s, int64_t budget, bool at_once, program *scratch,
                       partition_need *need)
{
    plan *p = &s->plan;
    const plan asked = *p;
    int64_t least = 0;
    int64_t most = 0;
    TRY(setup_shares(s, &least, &most));
    int64_t each = plan_micro_batch(p, most); /* the largest of all ranks */
    *need = (partition_need){INT64_MAX, 0};
    for (;;) {
        partition_need now;
        TRY(partition_measure(&s->a, &s->ps, p, s->sh, budget, scratch, &now));
        *need = now.bytes < need->bytes ? now : *need;
        if (budget == 0 || need->bytes <= budget) {
            return ST_OK;
        }
        if (asked.micro_batch != 0 || each == 1) {
            break;
        }
        each = at_once ? 1 : next_micro_batch(s, budget, each);
        p->micro_batch = each;
        p->micro_batch_chosen = true;
    }
    *p = asked;
    return ST_OK;
}

/* What a plan in place of the one asked for would need. */
typedef struct trial {
    const setup *s;
    const setup_options *o;
    program scratch;
} trial;

static int64_t trial_peak(const plan *p, void *self)
{
    trial *t = self;
    setup other = {.a = t->s->a, .ps = t->s->ps, .plan = *p};
    other.sh = make_shape(&other, t->o);
    partition_need need;
    status st = fit_plan(&other, t->o->device_memory, true, &t->scratch, &need);
    return st == ST_OK ? need.bytes : INT64_MAX;
}

/* Whether the same options without the plan would run. The compiler's quick
 * look leaves out what placing costs, a few percent. */
static bool trial_streams(void *self)
{
    const trial *t = self;
    const setup_options *o = t->o;
    int64_t margin = o->device_memory / 16;
    setup other = {.a = t->s->a,
                   .ps = t->s->ps,
                   .streamed = true,
                   .keeps_state = t->s->keeps_state};
    ws_config c = {.budget_bytes = o->device_memory - margin,
                   .micro_batch = o->micro_batch,
                   .recompute = (ws_recompute)o->recompute};
    other.sh = make_shape(&other, o);
    return o->seq <= other.a.positions &&
           ws_admit(&other.a, other.sh, &c, true) == ST_OK &&
           (!o->runs_here || setup_check_host(&other, 1) == ST_OK);
}

static status refuse_plan(const setup *s, const partition_need *need,
                          const plan_job *job)
{
    strbuf why = {0};
    strbuf_printf(&why,
                  "plan %s: device_memory: %s is too little, the ranks of "
                  "stage %d need at least %s, %s more",
                  s->plan.given, units_bytes((double)job->device_memory).s,
                  need->stage, units_bytes((double)need->bytes).s,
                  units_bytes((double)(need->bytes - job->device_memory)).s);
    plan_way_out(&s->plan, job, &why);
    status st = strbuf_check(&why);
    if (st == ST_OK) {
        st = FAIL(ST_BUDGET, "%s", strbuf_view(&why));
    }
    strbuf_fini(&why);
    return st;
}

/* Whether it fits is known before all its programs are compiled. */
static status compile_plan(setup *s, const plan_job *job, program *scratch)
{
    TRY(plan_admit(&s->plan, job));
    if (job->device_memory > 0) {
        partition_need need;
        TRY(fit_plan(s, job->device_memory, false, scratch, &need));
        if (need.bytes > job->device_memory) {
            return refuse_plan(s, &need, job);
        }
    }
    return partition_compile(&s->a, &s->ps, &s->plan, s->sh, job->device_memory,
                             &s->set);
}

/* What plan and options both say must be the same. */
static status join_plan(setup *s, const setup_options *o)
{
    int64_t planned = s->plan.micro_batch;
    REQUIRE(o->micro_batch == 0 || planned == 0 || planned == o->micro_batch,
            ST_CONFIG,
            "plan %s has micro-batches of %lld, --micro-batch is %lld; leave "
            "one of them out",
            s->plan.given, (long long)planned, (long long)o->micro_batch);
    REQUIRE(o->recompute != SETUP_RECOMPUTE_NONE || !s->plan.recompute,
            ST_CONFIG,
            "plan %s recomputes, --recompute is none; leave one of them out",
            s->plan.given);
    s->plan.micro_batch = planned > 0 ? planned : o->micro_batch;
    s->plan.recompute |= o->recompute == SETUP_RECOMPUTE_FULL;
    return ST_OK;
}

static status open_partitioned(setup *s, const setup_options *o, int ranks)
{
    TRY(join_plan(s, o));
    trial t = {.s = s, .o = o};
    prog_init(&t.scratch);
    plan_job job = job_of(s, o->device_memory);
    job.D = (int32_t)o->data_leaves; /* 0: of each plan its own */
    job.S = (int32_t)o->tensor_leaves;
    job.fast_sums = o->fast_sums;
    job.leaves_of = o->leaves_of;
    job.ranks = ranks;
    job.micro_batch_given = o->micro_batch > 0;
    job.recompute_given = o->recompute != SETUP_RECOMPUTE_AUTO;
    job.peak = trial_peak;
    job.streams = trial_streams;
    job.self = &t;
    status st = compile_plan(s, &job, &t.scratch);
    prog_fini(&t.scratch);
    return st;
}

status setup_open(const setup_options *o, int ranks, setup *out)
{
    int64_t begin = clock_wall_ns();
    arch a;
    TRY(arch_open(o->model, &a));
    TRY(arch_fit(&a, o->layers, o->vocab));
    TRY(setup_open_arch(o, &a, ranks, out));
    out->plan_seconds = (double)(clock_wall_ns() - begin) * 1e-9;
    return ST_OK;
}

status setup_open_arch(const setup_options *o, const arch *a, int ranks,
                       setup *out)
{
    int64_t begin = clock_wall_ns();
    setup s = {.a = *a,
               .streamed = o->plan == NULL,
               .keeps_state = o->store != SETUP_STORE_NULL,
               .math = o->reference ? &math_ref : &math_opt};
    if (!s.streamed) {
        TRY(plan_open(o->plan, &s.plan));
    }
    s.sh = make_shape(&s, o);
    TRY(params_init(&s.a, &s.ps));
    status st =
        s.streamed ? open_streamed(&s, o) : open_partitioned(&s, o, ranks);
    if (st == ST_OK) {
        st = setup_share(&s, 0);
    }
    if (st != ST_OK) {
        setup_close(&s);
        return st;
    }
    s.plan_seconds = (double)(clock_wall_ns() - begin) * 1e-9;
    *out = s;
    return ST_OK;
}

void setup_close(setup *s)
{
    program_set_fini(&s->set);
    params_fini(&s->ps);
    memset(s, 0, sizeof(*s));
}

int setup_ranks(const setup *s)
{
    return s->set.nranks;
}

static int64_t store_bytes(const setup *s)
{
    return s->streamed && s->keeps_state ? 16 * s->ps.total : 0;
}

int64_t setup_host_bytes(const setup *s, int local)
{
    return prog_set_peak(&s->set) * local + store_bytes(s);
}

status setup_check_host(const setup *s, int local)
{
    int64_t need = setup_host_bytes(s, local);
    int64_t have = mem_host_available();
    REQUIRE(need <= have, ST_BUDGET,
            "%s needs %s of this machine's memory (%s for %s), %s is free; "
            "cut depth with --layers",
            s->a.name, units_bytes((double)need).s,
            units_bytes((double)(s->streamed ? store_bytes(s) : need)).s,
            s->streamed ? "the store" : "the devices",
            units_bytes((double)have).s);
    return ST_OK;
}

status setup_share(setup *s, int rank)
{
    const prog_place *at = &s->set.places[rank];
    return gpt_shape_share(&s->sh, at->data, at->tensor);
}

status setup_store_create(const setup *s, const setup_options *o, int threads,
                          store **out)
{
    *out = NULL;
    if (!s->streamed) {
        return ST_OK;
    }
    store_param *list = NULL;
    TRY(store_list_params(&s->ps, &list));
    status st = o->store == SETUP_STORE_NULL
                    ? store_null_create(list, s->ps.n, out)
                    : store_ram_create(list, s->ps.n, s->math, threads, out);
    if (st == ST_OK && o->store == SETUP_STORE_CHECK) {
        store *inner = *out;
        st = store_check_create(inner, list, s->ps.n, out);
        if (st != ST_OK) {
            inner->ops->destroy(inner);
            *out = NULL;
        }
    }
    mem_free(list);
    return st;
}
