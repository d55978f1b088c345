/* Leaves that serve the plans of an experiment. */
#include "benchmarks/experiment.h"
#include "partition/plan.h"
#include "runtime/base/mem.h"

enum { LEAVES_MOST = 8 }; /* eight leaves cost a tenth of the time */

/* The plans that count, and what they are checked against. */
typedef struct leaf_choice {
    plan *plans;
    plan_job job;
    int n;
} leaf_choice;

static bool passes(const plan *p, const plan_job *job)
{
    strbuf why = {0};
    bool ok = plan_check(p, job, &why) == 0;
    strbuf_fini(&why);
    return ok && (job->device_memory == 0 ||
                  plan_least_bytes(p, job) <= job->device_memory);
}

/* Adds the plan of a set-up, unless it is refused whatever the leaves are. */
static status add_plan(leaf_choice *c, const experiment_setup *s,
                       int ranks_most)
{
    plan *p = &c->plans[c->n];
    plan_job job = c->job;
    if (s->args.plan == NULL || experiment_is_fast(s) ||
        plan_open(s->args.plan, p) != ST_OK) {
        return ST_OK;
    }
    TRY(experiment_memory(s, job.a, &job.device_memory));
    /* Those of the experiment, or those that suit it best. */
    job.D = (int32_t)s->args.data_leaves;
    job.S = (int32_t)s->args.tensor_leaves;
    job.D = job.D > 0 || p->data > job.N ? job.D : p->data;
    job.S = job.S > 0 || p->tensor > job.a->H ? job.S : p->tensor;
    p->micro_batch = p->micro_batch > 0 ? p->micro_batch : s->args.micro_batch;
    p->recompute |= s->args.recompute == SETUP_RECOMPUTE_FULL;
    bool room = ranks_most == 0 || plan_ranks(p) <= ranks_most;
    room = room &&
           (s->args.micro_batch == 0 || s->args.micro_batch == p->micro_batch);
    c->n += room && passes(p, &job) ? 1 : 0;
    return ST_OK;
}

static int gcd(int a, int b)
{
    return b == 0 ? a : gcd(b, a % b);
}

/* How many of the plans work with so many leaves of one kind. */
static int count_served(const leaf_choice *c, bool data, int leaves)
{
    int n = 0;
    plan_job job = c->job;
    *(data ? &job.D : &job.S) = leaves;
    for (int i = 0; i < c->n; i++) {
        n += passes(&c->plans[i], &job) ? 1 : 0;
    }
    return n;
}

/* Candidates from good to bad; the first that serves most plans. Multiples
 * of all degrees give every rank as many leaves. */
static int choose_leaves(const leaf_choice *c, bool data, int units)
{
    int lcm = 1;
    int served = -1; /* of a choice that was not made                      */
    int best = 1;
    for (int i = 0; i < c->n; i++) {
        int degree = data ? c->plans[i].data : c->plans[i].tensor;
        /* What is too much for leaves is refused later, with reasons. */
        lcm = degree <= LEAVES_MOST ? lcm / gcd(lcm, degree) * degree : lcm;
    }
    for (int i = 0; i < 3 * LEAVES_MOST; i++) {
        int pass = i / LEAVES_MOST;
        int n = i % LEAVES_MOST + 1;
        n = pass == 2 ? LEAVES_MOST + 1 - n : n;
        bool now = pass == 0 ? n >= 4 && n % lcm == 0 : pass == 2 || n >= 4;
        if (now && n <= units && served < c->n &&
            count_served(c, data, n) > served) {
            served = count_served(c, data, n);
            best = n;
        }
    }
    return best;
}

status experiment_leaves(const experiment *e, const arch *a, int ranks_most,
                         int *data, int *tensor)
{
    leaf_choice c = {.n = 0};
    const run_args *args = &e->setups[0].args;
    status st = MEM_NEW(&c.plans, e->nsetups, "experiment");
    c.job = (plan_job){.a = a, .N = args->batch, .T = args->seq};
    for (int i = 0; st == ST_OK && i < e->nsetups; i++) {
        st = add_plan(&c, &e->setups[i], ranks_most);
    }
    if (st == ST_OK) {
        *data = choose_leaves(&c, true, LEAVES_MOST);
        *tensor = choose_leaves(&c, false, a->H);
    }
    mem_free(c.plans);
    return st;
}
