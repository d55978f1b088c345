/*
 * The nearest plan that works, and admission: every violated rule with it.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "partition/rules_impl.h"
#include "runtime/base/units.h"

/* --- the nearest plan -------------------------------------------------- */

/* How far a plan is from the wanted one; the first difference decides:
 * ranks, fields changed, more ranks rather than fewer, size of the changes,
 * what costs least time: a smaller micro-batch rather than recompute, then
 * what communicates least: low tensor, low pipe. */
enum {
    FAR_RANKS,
    FAR_FIELDS,
    FAR_MORE,
    FAR_SIZE,
    FAR_RECOMPUTE,
    FAR_HALVINGS,
    FAR_TENSOR,
    FAR_PIPE,
    FARS
};

typedef struct search {
    const plan *want;
    const plan_job *job;
    int64_t ranks; /* wanted                                              */
    int64_t far[FARS];
    plan best;
    bool found;
    int64_t best_bytes;    /* its bound                                    */
    int64_t leanest_bytes; /* least that any plan within the rules needs  */
    plan leanest;
    int tries; /* plans that were compiled                                 */
} search;

/* Of the wanted micro-batch. */
static int halvings(const plan *p, const plan *wanted)
{
    int n = 0;
    for (int64_t each = wanted->micro_batch; each > p->micro_batch; n++) {
        each /= 2;
    }
    return n;
}

static void measure(const search *s, const plan *p, int64_t far[FARS])
{
    const plan *w = s->want;
    int64_t ranks = plan_ranks(p);
    far[FAR_RANKS] = llabs(ranks - s->ranks);
    far[FAR_FIELDS] =
        (p->data != w->data) + (p->pipe != w->pipe) + (p->tensor != w->tensor) +
        (p->micro_batch != w->micro_batch) + (p->recompute != w->recompute) +
        (p->schedule != w->schedule) + (w->nstages > 0);
    far[FAR_MORE] = ranks > s->ranks;
    far[FAR_SIZE] = llabs((int64_t)p->data - w->data) +
                    llabs((int64_t)p->pipe - w->pipe) +
                    llabs((int64_t)p->tensor - w->tensor);
    far[FAR_RECOMPUTE] = p->recompute != w->recompute;
    far[FAR_HALVINGS] = halvings(p, w);
    far[FAR_TENSOR] = p->tensor;
    far[FAR_PIPE] = p->pipe;
}

static bool is_nearer(const int64_t a[FARS], const int64_t b[FARS])
{
    for (int i = 0; i < FARS; i++) {
        if (a[i] != b[i]) {
            return a[i] < b[i];
        }
    }
    return false;
}

/* p is within the rules. */
static void consider(search *s, const plan *p, const shards *sh, int64_t seqs)
{
    int64_t far[FARS];
    measure(s, p, far);
    if (s->found && !is_nearer(far, s->far)) {
        return;
    }
    int64_t limit = max64(s->job->device_memory, 0);
    int64_t bytes = limit > 0 ? bound_fullest(s->job, sh, p, seqs) : 0;
    if (bytes < s->leanest_bytes) {
        s->leanest_bytes = bytes;
        s->leanest = *p;
    }
    if (bytes <= limit) {
        memcpy(s->far, far, sizeof(far));
        s->best = *p;
        s->best_bytes = bytes;
        s->found = true;
    }
}

/* The largest degree to look at. Where leaves follow from the plan nearly any
 * would do, but nobody who asked for a few ranks of a kind means dozens; a
 * number of ranks that is given may leave no other choice. */
static int farthest(const search *s, int32_t given, int most, int32_t wanted)
{
    enum { FEW = 8 };
    bool any = given > 0 || s->job->ranks > 0;
    return any ? most : (int)min64(most, max64(FEW, wanted));
}

static int farthest_data(const search *s)
{
    return farthest(s, s->job->D, rules_most_data(s->job), s->want->data);
}

static int farthest_tensor(const search *s)
{
    return farthest(s, s->job->S, rules_most_tensor(s->job), s->want->tensor);
}

/* Whether larger degrees than these were left out. */
static bool is_near_only(const search *s)
{
    return farthest_data(s) < rules_most_data(s->job) ||
           farthest_tensor(s) < rules_most_tensor(s->job);
}

/* A plan in the wanted micro-batch, as far as the smallest share has as many
 * sequences, and where memory is short in half, a quarter ... of it. */
static void consider_micro_batches(search *s, plan *p, const shards *sh,
                                   const data_share *share)
{
    const plan_job *job = s->job;
    int64_t wanted = max64(s->want->micro_batch, 0);
    bool smaller = job->device_memory > 0 && !job->micro_batch_given;
    p->micro_batch = min64(wanted, share->least);
    if (job->micro_batch_given && p->micro_batch < wanted) {
        return;
    }
    consider(s, p, sh, share->most);
    while (smaller && p->micro_batch > 1) {
        p->micro_batch /= 2;
        consider(s, p, sh, share->most);
    }
}

/* All plans of one tensor degree. */
static void consider_tensor(search *s, const params *one,
                            const data_share *shares, int tensor,
                            bool recompute, plan_schedule schedule)
{
    const plan_job *job = s->job;
    shards sh;
    bound_cut_shards(job, one, tensor, recompute, &sh);
    for (int data = 1; data <= farthest_data(s); data++) {
        for (int pipe = 1; shares[data].least > 0 && pipe <= job->a->L;
             pipe++) {
            plan p = {.data = data,
                      .pipe = pipe,
                      .tensor = tensor,
                      .schedule = schedule,
                      .recompute = recompute};
            if (rules_legal_pipe(job, pipe) &&
                (job->ranks <= 0 || plan_ranks(&p) == job->ranks)) {
                consider_micro_batches(s, &p, &sh, &shares[data]);
            }
        }
    }
}

/* As wanted; and where memory is short, with less of it kept. */
static void consider_modes(search *s, const params *one,
                           const data_share *shares, int tensor)
{
    bool recompute = s->want->recompute;
    plan_schedule schedule = s->want->schedule;
    consider_tensor(s, one, shares, tensor, recompute, schedule);
    if (s->job->device_memory <= 0) {
        return;
    }
    consider_tensor(s, one, shares, tensor, recompute, SCHEDULE_1F1B);
    if (!s->job->recompute_given) {
        consider_tensor(s, one, shares, tensor, true, schedule);
        consider_tensor(s, one, shares, tensor, true, SCHEDULE_1F1B);
    }
}

static void search_all(search *s)
{
    const plan_job *job = s->job;
    params one;
    s->ranks = job->ranks > 0 ? job->ranks : plan_ranks(s->want);
    s->leanest_bytes = INT64_MAX;
    if (!rules_job_has_leaves(job) || job->T > job->a->positions ||
        bound_one_layer(job, &one) != ST_OK) {
        return;
    }
    data_share shares[TREE_LEAVES_MAX + 1] = {{0, 0}};
    for (int data = 1; data <= farthest_data(s); data++) {
        if (rules_share_data(job, data, &shares[data]) != ST_OK) {
            shares[data].least = 0;
        }
    }
    for (int tensor = 1; tensor <= farthest_tensor(s); tensor++) {
        if (rules_legal_tensor(job, tensor)) {
            consider_modes(s, &one, shares, tensor);
        }
    }
    params_fini(&one);
    plan_shorthand(&s->best, s->best.name, PLAN_NAME_MAX);
    plan_shorthand(&s->leanest, s->leanest.name, PLAN_NAME_MAX);
}

/* Bytes that the plan needs in fact, by a compile. */
static int64_t try_plan(search *s, const plan_job *job, const plan *p)
{
    s->tries++;
    return job->peak(p, job->self);
}

/* The plan that by the bound needs least of all: where others near it did not
 * fit, it may. */
static void try_leanest(search *s, const plan_job *job, plan_job *tighter)
{
    tighter->device_memory = 1; /* none is within it: all are looked at */
    search_all(s);
    if (s->leanest_bytes <= job->device_memory &&
        try_plan(s, job, &s->leanest) <= job->device_memory) {
        s->best = s->leanest;
        s->found = true;
    }
}

/* The bound tells what cannot work, only a compile what does. Where a plan
 * within the bound is over, the bound was short by some factor, and the search
 * goes on below the limit by as much. */
static void search_confirmed(search *s)
{
    /* Some 30 ms each for a large model, 0.2 s with 2,000 micro-batches. */
    enum { COMPILES = 4 };
    const plan_job *job = s->job;
    plan_job tighter = *job;
    search_all(s);
    if (!s->found || job->peak == NULL || job->device_memory <= 0) {
        return;
    }
    s->job = &tighter;
    while (s->found) {
        int64_t peak = try_plan(s, job, &s->best);
        if (peak <= job->device_memory) {
            break;
        }
        double part = (double)s->best_bytes / (double)peak;
        tighter.device_memory = (int64_t)(part * (double)job->device_memory);
        s->found = false;
        if (s->tries < COMPILES) {
            search_all(s);
        }
    }
    if (!s->found) {
        try_leanest(s, job, &tighter);
    }
    s->job = job;
}

bool plan_nearest(const plan *p, const plan_job *job, plan *out)
{
    search s = {.want = p, .job = job};
    search_confirmed(&s);
    if (s.found) {
        *out = s.best;
    }
    return s.found;
}

/* --- admission --------------------------------------------------------- */

/* How to write a plan down: shorthand cannot ask for recompute, an option
 * that is there already can. */
static void add_plan(strbuf *b, const plan *p, const plan_job *job)
{
    if (p->recompute && !job->recompute_given) {
        strbuf_add(b, "the file ");
        plan_json(p, b);
    } else {
        strbuf_add(b, p->name);
    }
}

/* The search once more, for any number of ranks or against options, where
 * these are given and nothing else works. */
static void search_freely(const search *strict, bool any_ranks,
                          bool any_options, plan_job *job, search *out)
{
    *job = *strict->job;
    job->ranks = any_ranks ? 0 : job->ranks;
    job->micro_batch_given &= !any_options;
    job->recompute_given &= !any_options;
    *out = (search){.want = strict->want, .job = job};
    search_confirmed(out);
}

/* Of what was given so much is kept as there is a plan for: options and
 * ranks, ranks, options, nothing. */
static void search_way_out(search *s, plan_job *job)
{
    const search strict = *s;
    bool options = job->micro_batch_given || job->recompute_given;
    for (int i = 0; i < 4 && !s->found; i++) {
        bool any_options = i % 2 == 1;
        bool any_ranks = i / 2 == 1;
        if ((any_options && !options) ||
            (any_ranks && strict.job->ranks <= 0)) {
            continue;
        }
        search_freely(&strict, any_ranks, any_options, job, s);
    }
}

static void add_found(strbuf *b, const search *s, const plan_job *given)
{
    bool micro_batch = given->micro_batch_given && !s->job->micro_batch_given &&
                       s->best.micro_batch != s->want->micro_batch;
    bool recompute =
        given->recompute_given && s->best.recompute != s->want->recompute;
    if (s->job->ranks != given->ranks) {
        strbuf_printf(b, "; no plan works on %d ranks, nearest on %d: ",
                      given->ranks, plan_ranks(&s->best));
    } else {
        strbuf_add(b, "; nearest plan that works: ");
    }
    add_plan(b, &s->best, s->job);
    if (micro_batch || recompute) {
        strbuf_printf(b, ", and leave %s%s%s out",
                      micro_batch ? "--micro-batch" : "",
                      micro_batch && recompute ? " and " : "",
                      recompute ? "--recompute" : "");
    }
}

/* Streaming takes one rank. */
static void add_streaming(strbuf *b, const plan_job *given)
{
    if (given->streams != NULL && given->streams(given->self)) {
        strbuf_printf(b, ", or stream%s: no --plan",
                      given->ranks > 1 ? " on one rank" : "");
    }
}

/* What is in the way of all plans. */
static const char *obstacle(const plan_job *job)
{
    return job->N < 1                   ? "this batch"
           : job->T < 1                 ? "sequences so short"
           : job->T > job->a->positions ? "sequences so long"
                                        : "these leaves";
}

void plan_way_out(const plan *p, const plan_job *job, strbuf *b)
{
    plan_job free_job = *job;
    search s = {.want = p, .job = job};
    search_way_out(&s, &free_job);
    if (s.found) {
        add_found(b, &s, job);
    } else if (s.leanest_bytes <= job->device_memory) {
        strbuf_printf(b,
                      "; none was found that fits, in %d tries; raise "
                      "--device-memory",
                      s.tries);
        add_streaming(b, job);
    } else if (s.leanest_bytes < INT64_MAX) {
        strbuf_printf(b, "; no plan%s fits, the leanest needs at least %s: ",
                      is_near_only(&s) ? " near it" : "",
                      units_bytes((double)s.leanest_bytes).s);
        add_plan(b, &s.leanest, s.job);
        strbuf_add(b, "; raise --device-memory");
        add_streaming(b, job);
    } else {
        strbuf_printf(b, "; no plan works with %s", obstacle(job));
    }
}

/* An error is one line: rules are set apart by semicolons. */
static void join_rules(strbuf *why)
{
    strbuf line = {0};
    const char *at = strbuf_view(why);
    while (*at != '\0') {
        size_t len = strcspn(at, "\n");
        strbuf_add(&line, line.len > 0 ? "; " : "");
        strbuf_add_bytes(&line, at, len);
        at += len + (at[len] == '\n' ? 1 : 0);
    }
    strbuf_fini(why);
    *why = line;
}

status plan_admit(const plan *p, const plan_job *job)
{
    strbuf why = {0};
    status st = ST_OK;
    if (plan_check(p, job, &why) > 0) {
        st = ST_CONFIG;
        join_rules(&why);
    } else if (job->device_memory > 0) {
        int64_t least = plan_least_bytes(p, job);
        if (least > job->device_memory) {
            st = ST_BUDGET;
            strbuf_printf(&why,
                          "device_memory: %s is too little, the fullest rank "
                          "needs at least %s",
                          units_bytes((double)job->device_memory).s,
                          units_bytes((double)least).s);
        }
    }
    if (st != ST_OK) {
        plan_way_out(p, job, &why);
        status memory = strbuf_check(&why);
        st = memory != ST_OK
                 ? memory
                 : FAIL(st, "plan %s: %s", p->given, strbuf_view(&why));
    }
    strbuf_fini(&why);
    return st;
}
