/*
 * What a plan may be: its rules, and the decisions behind it. No operation is
 * compiled here, so a refusal costs microseconds.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "partition/rules_impl.h"

/* --- leaves ------------------------------------------------------------ */

int plan_leaves(int64_t given, int degree, int64_t units, bool fast)
{
    enum { STANDARD = 4 };
    bool possible = degree >= 1 && degree <= units && degree <= TREE_LEAVES_MAX;
    if (given > 0 && !fast) {
        return (int)given;
    }
    if (fast) {
        return possible ? degree : 1;
    }
    return possible && degree > STANDARD ? degree : STANDARD;
}

int rules_data_leaves(const plan_job *job, int data)
{
    return plan_leaves(job->D, data, job->N, job->fast_sums);
}

int rules_tensor_leaves(const plan_job *job, int tensor)
{
    return plan_leaves(job->S, tensor, job->a->H, job->fast_sums);
}

static int most_leaves(const plan_job *job, int32_t given, int64_t units)
{
    int64_t open = max64(1, min64(units, TREE_LEAVES_MAX));
    return given > 0 && !job->fast_sums ? given : (int)open;
}

int rules_most_data(const plan_job *job)
{
    return most_leaves(job, job->D, job->N);
}

int rules_most_tensor(const plan_job *job)
{
    return most_leaves(job, job->S, job->a->H);
}

/* --- shares ------------------------------------------------------------ */

bool rules_job_has_leaves(const plan_job *job)
{
    return job->N >= 1 && job->T >= 1 && job->D >= 0 &&
           job->D <= TREE_LEAVES_MAX && job->S >= 0 &&
           job->S <= TREE_LEAVES_MAX;
}

status rules_share_data(const plan_job *job, int data, data_share *out)
{
    data_share s = {INT64_MAX, 0};
    for (int d = 0; d < data; d++) {
        gpt_shape sh = {.N = job->N,
                        .T = job->T,
                        .D = rules_data_leaves(job, data),
                        .S = rules_tensor_leaves(job, 1),
                        .dp = data,
                        .tp = 1};
        TRY(gpt_shape_share(&sh, d, 0));
        s.least = min64(s.least, sh.seqs);
        s.most = max64(s.most, sh.seqs);
    }
    *out = s;
    return ST_OK;
}

static bool legal_data(const plan_job *job, int data)
{
    data_share s;
    return data <= rules_most_data(job) &&
           rules_share_data(job, data, &s) == ST_OK;
}

bool rules_legal_pipe(const plan_job *job, int pipe)
{
    return job->a->L % pipe == 0;
}

/* What the first rank that would be left empty lacks, or NULL if all own a
 * part of everything. Needs tensor <= rules_most_tensor. */
static const char *tensor_gap(const plan_job *job, int tensor, int *rank)
{
    const arch *a = job->a;
    const param axes[] = {
        {.axis = AXIS_HEADS, .rows = a->H, .unit_rows = 1},
        {.axis = AXIS_FFN, .rows = a->F, .unit_rows = 1},
        {.axis = AXIS_VOCAB, .rows = a->V, .unit_rows = 1},
    };
    static const char *const units[] = {"head", "ffn column", "vocabulary row"};
    int S = rules_tensor_leaves(job, tensor);
    for (int t = 0; t < tensor; t++) {
        int lo = leaf_of_rank(S, tensor, t);
        int hi = leaf_of_rank(S, tensor, t + 1);
        for (int i = 0; i < 3; i++) {
            if (param_rows(a, &axes[i], S, lo, hi).valid < 1) {
                *rank = t;
                return units[i];
            }
        }
    }
    return NULL;
}

bool rules_legal_tensor(const plan_job *job, int tensor)
{
    int rank = 0;
    return tensor <= rules_most_tensor(job) &&
           tensor_gap(job, tensor, &rank) == NULL;
}

/* --- rules ------------------------------------------------------------- */

typedef struct findings {
    strbuf *why;
    int n;
} findings;

/* One violated rule: one line. */
#define VIOLATED(f, ...)                                                       \
    ((f)->n++, strbuf_printf((f)->why, __VA_ARGS__), strbuf_add((f)->why, "\n"))

typedef bool (*legal_fn)(const plan_job *job, int degree);

typedef struct degrees_text {
    char s[128];
} degrees_text;

/* "1, 2, 4" or "1 to 3, 6": the legal ones of 1..max, as far as they fit. */
static degrees_text legal_degrees(const plan_job *job, legal_fn legal, int max)
{
    degrees_text out = {""};
    size_t len = 0;
    for (int lo = 1; lo <= max; lo++) {
        if (!legal(job, lo)) {
            continue;
        }
        int hi = lo;
        while (hi < max && legal(job, hi + 1)) {
            hi++;
        }
        if (len + 32 > sizeof(out.s)) {
            snprintf(out.s + len, sizeof(out.s) - len, ", ...");
            break;
        }
        const char *comma = len > 0 ? ", " : "";
        const char *join = hi == lo + 1 ? ", " : " to ";
        int n = hi == lo ? snprintf(out.s + len, 32, "%s%d", comma, lo)
                         : snprintf(out.s + len, 32, "%s%d%s%d", comma, lo,
                                    join, hi);
        len += (size_t)n;
        lo = hi;
    }
    if (len == 0) {
        snprintf(out.s, sizeof(out.s), "none with this batch and model");
    }
    return out;
}

static void check_ranks(const plan *p, const plan_job *job, findings *f)
{
    int need = plan_ranks(p);
    if (job->ranks > 0 && need > 0 && need != job->ranks) {
        char name[PLAN_NAME_MAX];
        plan_shorthand(p, name, sizeof(name));
        VIOLATED(f,
                 "ranks: plan %s needs %d ranks (data x pipe x tensor), got "
                 "%d; try `mpirun -np %d`",
                 name, need, job->ranks, need);
    }
}

/* Numbers of the run that no plan can mend. Returns whether data and tensor
 * can be checked at all. */
static bool check_job(const plan_job *job, findings *f)
{
    const int32_t leaves[] = {job->D, job->S};
    static const char *const names[] = {"data_leaves", "tensor_leaves"};
    if (job->N < 1) {
        VIOLATED(f,
                 "batch: %lld sequences is out of range, allowed is 1 or "
                 "more; raise --batch",
                 (long long)job->N);
    }
    if (job->T < 1 || job->T > job->a->positions) {
        VIOLATED(f,
                 "seq: %lld tokens is out of range, allowed is 1 to %d, the "
                 "positions of %s; change --seq",
                 (long long)job->T, job->a->positions, job->a->name);
    }
    for (int i = 0; i < 2; i++) {
        if (leaves[i] < 0 || leaves[i] > TREE_LEAVES_MAX) {
            VIOLATED(f, "%s: %d is out of range, allowed is 1 to %d", names[i],
                     leaves[i], TREE_LEAVES_MAX);
        }
    }
    return rules_job_has_leaves(job);
}

static bool leaves_are_given(const plan_job *job, const char *what)
{
    return !job->fast_sums && (strcmp(what, "data") == 0 ? job->D : job->S) > 0;
}

/* What the leaves in the way are: "this run's 4 data leaves". */
static void add_leaves(strbuf *b, const plan_job *job, const char *what,
                       int leaves)
{
    if (!leaves_are_given(job, what)) {
        strbuf_printf(b, "the %d %s leaves that a run may have", leaves, what);
    } else if (job->leaves_of != NULL) {
        strbuf_printf(b, "the %d %s leaves of %s", leaves, what,
                      job->leaves_of);
    } else {
        strbuf_printf(b, "this run's %d %s leaves", leaves, what);
    }
}

/* The option that makes a degree work where only leaves are in its way. */
static void add_leaves_hint(strbuf *b, const plan_job *job, const char *what,
                            int degree, legal_fn legal)
{
    bool data = strcmp(what, "data") == 0;
    plan_job other = *job;
    *(data ? &other.D : &other.S) = degree;
    if (job->fast_sums || degree > TREE_LEAVES_MAX || !legal(&other, degree)) {
        return;
    }
    if (job->leaves_of != NULL) {
        strbuf_printf(b,
                      "; a new run from its weights may: --init %s "
                      "--%s-leaves %d",
                      job->leaves_of, what, degree);
    } else if (leaves_are_given(job, what)) {
        strbuf_printf(b, "; a new run may: --%s-leaves %d", what, degree);
    } else {
        strbuf_printf(b, "; --%s-leaves %d makes it work", what, degree);
    }
}

/* degree > most: more than the leaves that are given, or than any. */
static void too_few_leaves(findings *f, const plan_job *job, const char *what,
                           int degree, int most, legal_fn legal)
{
    strbuf b = {0};
    degrees_text ok = legal_degrees(job, legal, most);
    strbuf_printf(&b, "%s: %d is more than ", what, degree);
    add_leaves(&b, job, what, most);
    strbuf_printf(&b, ", allowed is %s%s", ok.s,
                  leaves_are_given(job, what)
                      ? ", because leaves belong to a run like its seed"
                      : "");
    add_leaves_hint(&b, job, what, degree, legal);
    VIOLATED(f, "%s", strbuf_view(&b));
    strbuf_fini(&b);
}

/* degree leaves a rank without its part, by the leaves it would run with. */
static void uneven_leaves(findings *f, const plan_job *job, const char *what,
                          int degree, const char *why, legal_fn legal)
{
    strbuf b = {0};
    bool data = strcmp(what, "data") == 0;
    degrees_text ok = legal_degrees(
        job, legal, data ? rules_most_data(job) : rules_most_tensor(job));
    strbuf_printf(&b, "%s: %d is not possible, allowed is %s, because %s", what,
                  degree, ok.s, why);
    add_leaves_hint(&b, job, what, degree, legal);
    VIOLATED(f, "%s", strbuf_view(&b));
    strbuf_fini(&b);
}

static void check_data(const plan *p, const plan_job *job, findings *f)
{
    int most = rules_most_data(job);
    degrees_text ok = legal_degrees(job, legal_data, most);
    data_share s;
    if (p->data < 1) {
        VIOLATED(f, "data: %d is out of range, allowed is %s", p->data, ok.s);
    } else if (p->data > job->N) {
        VIOLATED(f,
                 "data: %d is more than the batch has sequences (%lld), "
                 "allowed is %s, because every rank needs a whole sequence; "
                 "raise --batch",
                 p->data, (long long)job->N, ok.s);
    } else if (p->data > most) {
        too_few_leaves(f, job, "data", p->data, most, legal_data);
    } else if (rules_share_data(job, p->data, &s) != ST_OK) {
        char why[STATUS_TEXT_MAX];
        snprintf(why, sizeof(why), "%s", status_text());
        uneven_leaves(f, job, "data", p->data, why, legal_data);
    }
}

static void check_tensor(const plan *p, const plan_job *job, findings *f)
{
    const arch *a = job->a;
    int most = rules_most_tensor(job);
    degrees_text ok = legal_degrees(job, rules_legal_tensor, most);
    if (p->tensor < 1) {
        VIOLATED(f, "tensor: %d is out of range, allowed is %s", p->tensor,
                 ok.s);
        return;
    }
    if (p->tensor > a->H) {
        VIOLATED(f,
                 "tensor: %d is more than the model has heads (%d), allowed "
                 "is %s, because a head is never cut",
                 p->tensor, a->H, ok.s);
        return;
    }
    if (p->tensor > most) {
        too_few_leaves(f, job, "tensor", p->tensor, most, rules_legal_tensor);
        return;
    }
    int rank = 0;
    const char *gap = tensor_gap(job, p->tensor, &rank);
    if (gap != NULL) {
        char why[128];
        snprintf(why, sizeof(why),
                 "with %d tensor leaves rank %d would own no %s",
                 rules_tensor_leaves(job, p->tensor), rank, gap);
        uneven_leaves(f, job, "tensor", p->tensor, why, rules_legal_tensor);
    }
}

static void check_pipe(const plan *p, const plan_job *job, findings *f)
{
    int L = job->a->L;
    degrees_text ok = legal_degrees(job, rules_legal_pipe, L);
    if (p->nstages > 0) {
        int sum = plan_stage_start(p, L, p->nstages);
        if (sum != L) {
            VIOLATED(f,
                     "stages: %d stages hold %d layers together, the model "
                     "has %d; add or take %d",
                     p->nstages, sum, L, abs(L - sum));
        }
    } else if (p->pipe < 1) {
        VIOLATED(f, "pipe: %d is out of range, allowed is %s", p->pipe, ok.s);
    } else if (p->pipe > L) {
        VIOLATED(f,
                 "pipe: %d is more than the model has layers (%d), allowed is "
                 "%s, because a stage holds at least one layer",
                 p->pipe, L, ok.s);
    } else if (!rules_legal_pipe(job, p->pipe)) {
        VIOLATED(f,
                 "pipe: %d does not divide %d layers, allowed is %s, because "
                 "all stages hold equally many unless a plan file lists "
                 "\"stages\"",
                 p->pipe, L, ok.s);
    }
}

static void check_micro_batch(const plan *p, const plan_job *job, findings *f)
{
    data_share s = {job->N, job->N};
    bool cut = p->data > 1 && p->data <= rules_most_data(job) &&
               rules_share_data(job, p->data, &s) == ST_OK;
    /* 0 is left open: plan_micro_batch chooses. */
    if (p->micro_batch < 0 || p->micro_batch > s.least) {
        VIOLATED(f,
                 "micro_batch: %lld is out of range, allowed is 1 to %lld, "
                 "the sequences of %s",
                 (long long)p->micro_batch, (long long)s.least,
                 cut ? "the smallest data share" : "the batch");
    }
}

int plan_check(const plan *p, const plan_job *job, strbuf *why)
{
    findings f = {.why = why};
    check_ranks(p, job, &f);
    bool shares = check_job(job, &f);
    if (shares) {
        check_data(p, job, &f);
        check_tensor(p, job, &f);
    }
    check_pipe(p, job, &f);
    if (shares) {
        check_micro_batch(p, job, &f);
    }
    return f.n;
}

/* --- decisions --------------------------------------------------------- */

static plan_decision *decide(plan_decision *list, int *n, const char *key,
                             const char *rules)
{
    plan_decision *d = &list[(*n)++];
    snprintf(d->key, sizeof(d->key), "%s", key);
    snprintf(d->rules, sizeof(d->rules), "%s", rules);
    return d;
}

static void decide_number(plan_decision *list, int *n, int64_t value,
                          int64_t standard, const char *key, const char *rules)
{
    if (value != standard) {
        plan_decision *d = decide(list, n, key, rules);
        snprintf(d->value, sizeof(d->value), "%lld", (long long)value);
    }
}

static void decide_word(plan_decision *list, int *n, const char *value,
                        const char *key, const char *rules)
{
    plan_decision *d = decide(list, n, key, rules);
    snprintf(d->value, sizeof(d->value), "%s", value);
}

static void decide_stages(plan_decision *list, int *n, const plan *p)
{
    plan_decision *d = decide(list, n, "stages", "ranks layers memory");
    size_t len = 0;
    for (int i = 0; i < p->nstages && len < sizeof(d->value); i++) {
        len += (size_t)snprintf(d->value + len, sizeof(d->value) - len, "%s%d",
                                i > 0 ? "," : "", p->stages[i]);
    }
}

int plan_decisions(const plan *p, plan_decision *out)
{
    int n = 0;
    decide_number(out, &n, p->data, 1, "data",
                  "ranks data_leaves data_shares micro_batch memory");
    if (p->nstages > 0) {
        decide_stages(out, &n, p);
    } else {
        decide_number(out, &n, p->pipe, 1, "pipe", "ranks layers memory");
    }
    decide_number(out, &n, p->tensor, 1, "tensor",
                  "ranks heads tensor_leaves tensor_shares memory");
    decide_number(out, &n, p->micro_batch_chosen ? 0 : p->micro_batch, 0,
                  "micro_batch", "micro_batch memory");
    if (p->schedule == SCHEDULE_1F1B) {
        decide_word(out, &n, "1f1b", "schedule", "memory");
    }
    if (p->recompute) {
        decide_word(out, &n, "full", "recompute", "memory");
    }
    return n;
}
