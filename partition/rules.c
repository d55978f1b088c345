/*
 * What a plan may be: rules, the lower bound on memory, the nearest plan that
 * works, and the decisions behind a plan. No operation is compiled here, so a
 * refusal costs microseconds.
 *
 * The bound. Weights and optimizer state (12 bytes a parameter) are there all
 * the time. On top of them comes the most of three moments of a stage's step,
 * drawn for three micro-batches, GPipe and 1F1B (second of two stages):
 *
 *   F0 F1 F2 | B0 | B1 B2 | update        F0 | B0 F1 | B1 F2 B2 | update
 *            a    b       c                  a       b          c
 *
 *   a  kept activations of all micro-batches in flight, gradients of the head
 *   b  gradients of all layers and the head, kept activations of the
 *      micro-batches that are then in flight
 *   c  all gradients; of a tied embedding both parts where one rank has both
 *
 * Planes of accumulators, working buffers, logits and scratch are left out,
 * so that the compiled plan can only need more.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "partition/plan.h"
#include "runtime/base/tree.h"
#include "runtime/base/units.h"
#include "runtime/gpt/params.h"

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* --- shares ------------------------------------------------------------ */

static bool job_has_leaves(const plan_job *job)
{
    return job->N >= 1 && job->T >= 1 && job->D >= 1 &&
           job->D <= TREE_LEAVES_MAX && job->S >= 1 &&
           job->S <= TREE_LEAVES_MAX;
}

/* Sequences of the smallest and the largest share. */
typedef struct data_share {
    int64_t least;
    int64_t most;
} data_share;

/* Needs data <= D. */
static status share_data(const plan_job *job, int data, data_share *out)
{
    data_share s = {INT64_MAX, 0};
    for (int d = 0; d < data; d++) {
        gpt_shape sh = {.N = job->N,
                        .T = job->T,
                        .D = job->D,
                        .S = job->S,
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
    return data <= job->D && share_data(job, data, &s) == ST_OK;
}

static bool legal_pipe(const plan_job *job, int pipe)
{
    return job->a->L % pipe == 0;
}

/* What the first rank that would be left empty lacks, or NULL if all own a
 * part of everything. Needs tensor <= S. */
static const char *tensor_gap(const plan_job *job, int tensor, int *rank)
{
    const arch *a = job->a;
    const param axes[] = {
        {.axis = AXIS_HEADS, .rows = a->H, .unit_rows = 1},
        {.axis = AXIS_FFN, .rows = a->F, .unit_rows = 1},
        {.axis = AXIS_VOCAB, .rows = a->V, .unit_rows = 1},
    };
    static const char *const units[] = {"head", "ffn column", "vocabulary row"};
    for (int t = 0; t < tensor; t++) {
        int lo = leaf_of_rank(job->S, tensor, t);
        int hi = leaf_of_rank(job->S, tensor, t + 1);
        for (int i = 0; i < 3; i++) {
            if (param_rows(a, &axes[i], job->S, lo, hi).valid < 1) {
                *rank = t;
                return units[i];
            }
        }
    }
    return NULL;
}

static bool legal_tensor(const plan_job *job, int tensor)
{
    int rank = 0;
    return tensor <= job->S && tensor_gap(job, tensor, &rank) == NULL;
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
        if (leaves[i] < 1 || leaves[i] > TREE_LEAVES_MAX) {
            VIOLATED(f, "%s: %d is out of range, allowed is 1 to %d", names[i],
                     leaves[i], TREE_LEAVES_MAX);
        }
    }
    return job_has_leaves(job);
}

/* ": start a new run with --data-leaves 8", where that would help. */
static void add_leaves_hint(strbuf *b, const char *option, int degree,
                            int64_t units)
{
    if (degree <= TREE_LEAVES_MAX && degree <= units) {
        strbuf_printf(b, "; a new run may have more: %s %d", option, degree);
    }
}

static void check_data(const plan *p, const plan_job *job, findings *f)
{
    degrees_text ok = legal_degrees(job, legal_data, job->D);
    if (p->data < 1) {
        VIOLATED(f, "data: %d is out of range, allowed is %s", p->data, ok.s);
        return;
    }
    if (p->data > job->N) {
        VIOLATED(f,
                 "data: %d is more than the batch has sequences (%lld), "
                 "allowed is %s, because every rank needs a whole sequence; "
                 "raise --batch",
                 p->data, (long long)job->N, ok.s);
    }
    if (p->data > job->D) {
        strbuf hint = {0};
        add_leaves_hint(&hint, "--data-leaves", p->data, job->N);
        VIOLATED(f,
                 "data: %d is more than this run's %d data leaves, allowed "
                 "is %s, because leaves belong to a run like its seed%s",
                 p->data, job->D, ok.s, strbuf_view(&hint));
        strbuf_fini(&hint);
        return;
    }
    data_share s;
    if (p->data <= job->N && share_data(job, p->data, &s) != ST_OK) {
        VIOLATED(f, "data: %d is not possible, allowed is %s, because %s",
                 p->data, ok.s, status_text());
    }
}

static void check_tensor(const plan *p, const plan_job *job, findings *f)
{
    const arch *a = job->a;
    degrees_text ok = legal_degrees(job, legal_tensor, job->S);
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
    }
    if (p->tensor > job->S) {
        strbuf hint = {0};
        add_leaves_hint(&hint, "--tensor-leaves", p->tensor, a->H);
        VIOLATED(f,
                 "tensor: %d is more than this run's %d tensor leaves, "
                 "allowed is %s, because leaves belong to a run like its "
                 "seed%s",
                 p->tensor, job->S, ok.s, strbuf_view(&hint));
        strbuf_fini(&hint);
        return;
    }
    int rank = 0;
    const char *gap = tensor_gap(job, p->tensor, &rank);
    if (p->tensor <= a->H && gap != NULL) {
        VIOLATED(f,
                 "tensor: %d is not possible, allowed is %s, because with %d "
                 "tensor leaves rank %d would own no %s",
                 p->tensor, ok.s, job->S, rank, gap);
    }
}

static void check_pipe(const plan *p, const plan_job *job, findings *f)
{
    int L = job->a->L;
    degrees_text ok = legal_degrees(job, legal_pipe, L);
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
    } else if (!legal_pipe(job, p->pipe)) {
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
    bool cut = p->data > 1 && p->data <= job->D &&
               share_data(job, p->data, &s) == ST_OK;
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

/* --- memory ------------------------------------------------------------ */

/* What a tensor rank holds, in floats. */
typedef struct shard {
    int64_t layer; /* parameters of one layer                             */
    int64_t embed; /* of the first stage besides layers                   */
    int64_t head;  /* of the last stage, without a tied embedding         */
    int64_t tied;  /* of a tied embedding, else 0                         */
    int64_t kept;  /* activations kept for one token and layer            */
} shard;

typedef struct shards {
    int n;
    shard list[TREE_LEAVES_MAX];
} shards;

static void add_param(const arch *a, const param *p, int64_t rows, shard *s)
{
    int64_t floats = rows * p->cols;
    if (p->layer >= 0) {
        s->layer += floats;
    } else if (p->role == PARAM_WTE || p->role == PARAM_WPE) {
        s->embed += floats;
    } else {
        s->head += floats;
    }
    if (p->role == PARAM_WTE && a->tied) {
        s->tied = floats;
    }
    /* Rows of these two are the columns of attention (q, k and v are three
     * times as wide) and of the MLP. */
    if (p->role == PARAM_OUT_W) {
        s->kept += 4 * rows;
    }
    if (p->role == PARAM_FCIN_W) {
        s->kept += rows;
    }
}

/* `one` has the parameters of a model of one layer: all are alike. */
static void cut_shards(const plan_job *job, const params *one, int tensor,
                       bool recompute, shards *out)
{
    const arch *a = job->a;
    out->n = tensor;
    for (int t = 0; t < tensor; t++) {
        shard s = {0};
        for (int i = 0; i < one->n; i++) {
            param_shard r = param_rows(a, &one->list[i], job->S,
                                       leaf_of_rank(job->S, tensor, t),
                                       leaf_of_rank(job->S, tensor, t + 1));
            add_param(a, &one->list[i], r.rows, &s);
        }
        /* The block's input, and the middle of a sequential one. */
        s.kept += a->residual == RES_SEQUENTIAL ? 2 * a->C : a->C;
        s.kept = recompute ? a->C : s.kept;
        out->list[t] = s;
    }
}

/* Bytes at the fullest of the moments a, b, c above. */
static int64_t stage_bytes(const shard *s, int64_t layers, bool first,
                           bool last, int64_t tokens, int64_t tokens_ahead)
{
    int64_t in_layers = layers * s->layer;
    int64_t in_head = last ? s->head + s->tied : 0;
    int64_t own = in_layers + (first ? s->embed : 0) +
                  (first && last ? s->head : in_head);
    int64_t at_a = layers * s->kept * tokens + in_head;
    int64_t at_b = layers * s->kept * tokens_ahead + in_layers + in_head;
    int64_t at_c = own + (first && last ? s->tied : 0);
    return 12 * own + 4 * max64(at_a, max64(at_b, at_c));
}

/* Of stage k, by the moments above. A micro-batch that is left open may
 * become as small as one sequence, which only 1F1B gains from. */
static int64_t fullest_of_stage(const plan_job *job, const shards *sh,
                                const plan *p, int64_t seqs, int k)
{
    bool small = p->schedule == SCHEDULE_1F1B && p->micro_batch == 0;
    int64_t each = small ? 1 : min64(plan_micro_batch(p, seqs), seqs);
    int64_t nmb = (seqs + each - 1) / each;
    int64_t flight = plan_in_flight(p, k, nmb);
    int64_t now = min64(flight * each, seqs);
    /* After the first backward: one fewer, unless a forward followed. */
    int64_t ahead = min64((flight - 1) * each, seqs - each);
    int64_t rest = seqs - (nmb - 1) * each; /* the last one, maybe smaller */
    ahead += flight < nmb ? rest : 0;
    int64_t layers = plan_stage_start(p, job->a->L, k + 1) -
                     plan_stage_start(p, job->a->L, k);
    int64_t most = 0;
    for (int t = 0; t < sh->n; t++) {
        most = max64(most,
                     stage_bytes(&sh->list[t], layers, k == 0, k + 1 == p->pipe,
                                 now * job->T, ahead * job->T));
    }
    return most;
}

/* Of all ranks; `seqs` are those of the largest share. Of even stages none
 * needs more than the first or the last. */
static int64_t fullest_bytes(const plan_job *job, const shards *sh,
                             const plan *p, int64_t seqs)
{
    int64_t most = 0;
    int step = p->nstages > 0 || p->pipe < 2 ? 1 : p->pipe - 1;
    for (int k = 0; k < p->pipe; k += step) {
        most = max64(most, fullest_of_stage(job, sh, p, seqs, k));
    }
    return most;
}

static status one_layer(const plan_job *job, params *out)
{
    arch a = *job->a;
    a.L = 1;
    return params_init(&a, out);
}

static int32_t clamp(int32_t value, int32_t max)
{
    return value < 1 ? 1 : value < max ? value : max;
}

int64_t plan_least_bytes(const plan *p, const plan_job *job)
{
    params one;
    if (!job_has_leaves(job) || one_layer(job, &one) != ST_OK) {
        return 0; /* nothing is known: still a lower bound */
    }
    /* Degrees that the rules refuse are cut to what could be. */
    plan q = *p;
    q.data = clamp(p->data, job->D);
    q.tensor = clamp(p->tensor, job->S);
    q.pipe = clamp(p->pipe, job->a->L);
    if (plan_stage_start(&q, job->a->L, q.pipe) != job->a->L) {
        q.nstages = 0;
    }
    data_share s = {0};
    if (share_data(job, q.data, &s) != ST_OK) {
        s.most = job->N / q.data;
    }
    shards sh;
    cut_shards(job, &one, q.tensor, q.recompute, &sh);
    params_fini(&one);
    return fullest_bytes(job, &sh, &q, s.most);
}

/* --- the nearest plan -------------------------------------------------- */

/* How far a plan is from the wanted one; the first difference decides:
 * ranks, fields changed, more ranks rather than fewer, size of the changes,
 * then what communicates least: low tensor, low pipe. */
enum { FAR_RANKS, FAR_FIELDS, FAR_MORE, FAR_SIZE, FAR_TENSOR, FAR_PIPE, FARS };

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
} search;

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
    int64_t bytes = limit > 0 ? fullest_bytes(s->job, sh, p, seqs) : 0;
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

/* All plans of one tensor degree. */
static void consider_tensor(search *s, const params *one,
                            const data_share *shares, int tensor,
                            bool recompute, plan_schedule schedule)
{
    const plan_job *job = s->job;
    shards sh;
    cut_shards(job, one, tensor, recompute, &sh);
    for (int data = 1; data <= job->D; data++) {
        for (int pipe = 1; shares[data].least > 0 && pipe <= job->a->L;
             pipe++) {
            plan p = {.data = data,
                      .pipe = pipe,
                      .tensor = tensor,
                      .schedule = schedule,
                      .recompute = recompute};
            p.micro_batch =
                min64(max64(s->want->micro_batch, 0), shares[data].least);
            if (legal_pipe(job, pipe) &&
                (job->ranks <= 0 || plan_ranks(&p) == job->ranks)) {
                consider(s, &p, &sh, shares[data].most);
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
    if (s->job->device_memory > 0) {
        consider_tensor(s, one, shares, tensor, recompute, SCHEDULE_1F1B);
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
    if (!job_has_leaves(job) || job->T > job->a->positions ||
        one_layer(job, &one) != ST_OK) {
        return;
    }
    data_share shares[TREE_LEAVES_MAX + 1] = {{0, 0}};
    for (int data = 1; data <= job->D; data++) {
        if (share_data(job, data, &shares[data]) != ST_OK) {
            shares[data].least = 0;
        }
    }
    for (int tensor = 1; tensor <= job->S; tensor++) {
        if (legal_tensor(job, tensor)) {
            consider_modes(s, &one, shares, tensor);
        }
    }
    params_fini(&one);
    plan_shorthand(&s->best, s->best.name, PLAN_NAME_MAX);
    plan_shorthand(&s->leanest, s->leanest.name, PLAN_NAME_MAX);
}

/* The bound tells what cannot work, only a compile what does. Where a plan
 * within the bound is over, the bound was short by some factor, and the search
 * goes on below the limit by as much. */
static void search_confirmed(search *s)
{
    enum { COMPILES = 4 }; /* some 30 ms each for a large model */
    const plan_job *job = s->job;
    plan_job tighter = *job;
    search_all(s);
    s->job = &tighter;
    for (int i = 0; s->found && job->peak != NULL && job->device_memory > 0;
         i++) {
        int64_t peak = job->peak(&s->best, job->self);
        if (peak <= job->device_memory) {
            break;
        }
        double part = (double)s->best_bytes / (double)peak;
        tighter.device_memory = (int64_t)(part * (double)job->device_memory);
        s->found = false;
        if (i + 1 < COMPILES) {
            search_all(s);
        }
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

/* How to write a plan down: shorthand cannot ask for recompute. */
static void add_plan(strbuf *b, const plan *p)
{
    if (p->recompute) {
        strbuf_add(b, "the file ");
        plan_json(p, b);
    } else {
        strbuf_add(b, p->name);
    }
}

void plan_way_out(const plan *p, const plan_job *job, strbuf *b)
{
    search s = {.want = p, .job = job};
    search_confirmed(&s);
    if (!s.found && job->ranks > 0) {
        /* None for these ranks: what other number of them would do? */
        plan_job any = *job;
        any.ranks = 0;
        search other = {.want = p, .job = &any};
        search_confirmed(&other);
        if (other.found) {
            strbuf_printf(b, "; no plan works on %d ranks, nearest on %d: ",
                          job->ranks, plan_ranks(&other.best));
            add_plan(b, &other.best);
            return;
        }
        s = other;
    }
    if (s.found) {
        strbuf_add(b, "; nearest plan that works: ");
        add_plan(b, &s.best);
    } else if (s.leanest_bytes <= job->device_memory) {
        strbuf_add(b, "; no plan near it fits; raise --device-memory, or "
                      "stream: no --plan");
    } else if (s.leanest_bytes < INT64_MAX) {
        strbuf_printf(b, "; no plan fits, the leanest needs at least %s: ",
                      units_bytes((double)s.leanest_bytes).s);
        add_plan(b, &s.leanest);
        strbuf_add(b, "; raise --device-memory, or stream: no --plan");
    } else {
        strbuf_add(b, "; no plan works with this batch and these leaves");
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
                 : FAIL(st, "plan %s: %s", p->name, strbuf_view(&why));
    }
    strbuf_fini(&why);
    return st;
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
