/* From a run file to a row of the comparison. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "benchmarks/compare_impl.h"
#include "partition/plan.h"
#include "runtime/base/mem.h"
#include "runtime/base/sort.h"
#include "runtime/base/text.h"

/* Median over the steps after the first, which warms up. */
static status median(const run_summary *s, bool cpu, double *out)
{
    double *v = NULL;
    int64_t n = s->nsteps > 1 ? s->nsteps - 1 : s->nsteps;
    int64_t skip = s->nsteps - n;
    TRY(MEM_NEW(&v, n + 1, "compare"));
    for (int64_t i = 0; i < n; i++) {
        v[i] = cpu ? s->steps[skip + i].cpu_s : s->steps[skip + i].wall_s;
    }
    *out = sort_median(v, n);
    mem_free(v);
    return ST_OK;
}

static status measure_speed(const run_summary *s, double matmul_rate, int cores,
                            comparison_row *row)
{
    double seconds;
    bool cpu = s->info.oversubscribed;
    TRY(median(s, cpu, &seconds));
    (void)snprintf(row->clock, sizeof(row->clock), "%s", cpu ? "cpu" : "wall");
    row->tokens_per_s = (double)(s->info.batch * s->info.seq) / seconds;
    row->flop_per_s = row->tokens_per_s * s->info.flops_per_token;
    /* A CPU second is one core's: compare with one core's matmul rate. */
    row->host_matmul_share =
        row->flop_per_s / (cpu ? matmul_rate / cores : matmul_rate);
    return ST_OK;
}

/* By the clock that the row has. */
static void measure_prediction(const run_summary *s, comparison_row *row)
{
    if (s->has_prediction) {
        const run_prediction *p = &s->prediction;
        row->predicted_tokens_per_s =
            (double)(s->info.batch * s->info.seq) / p->step_s;
        row->prediction_error = p->step_s / p->measured_step_s - 1;
        row->prediction_pace = p->pace;
    }
}

static void measure_ledger(const run_summary *s, comparison_row *row)
{
    const run_ledger *l = &s->ledger;
    double all =
        l->compute + l->load + l->comm + l->bubble + l->optimizer + l->other;
    row->compute_share = l->compute / all;
    row->load_share = l->load / all;
    row->comm_share = l->comm / all;
    row->bubble_share = l->bubble / all;
    row->optimizer_share = l->optimizer / all;
    row->other_share = l->other / all;
}

static void measure_ranks(const run_summary *s, comparison_row *row)
{
    double steps = s->ranks_steps > 0 ? (double)s->ranks_steps : (double)NAN;
    double sent[GROUP_COUNT] = {0};
    row->loaded_bytes = 0;
    row->drained_bytes = 0;
    for (int64_t i = 0; i < s->nranks; i++) {
        const run_rank *r = &s->ranks[i];
        row->peak_bytes =
            r->peak_bytes > row->peak_bytes ? r->peak_bytes : row->peak_bytes;
        row->loaded_bytes += (double)r->loaded_bytes / steps;
        row->drained_bytes += (double)r->drained_bytes / steps;
        for (int g = 0; g < GROUP_COUNT; g++) {
            sent[g] += (double)r->sent_bytes[g] / steps;
        }
    }
    row->pipe_bytes = sent[GROUP_NONE];
    row->tensor_bytes = sent[GROUP_TENSOR];
    row->data_bytes = sent[GROUP_DATA];
    row->tie_bytes = sent[GROUP_TIE];
    row->world_bytes = sent[GROUP_WORLD];
}

static void measure_setup(const run_summary *s, comparison_row *row)
{
    if (s->has_setup) {
        const run_setup *m = &s->setup;
        row->decisions = m->ndecisions;
        row->programs = m->programs;
        row->communicators = m->communicators;
        row->messages = m->messages;
        row->first_step_s = m->launch_s + m->planning_s + m->communicators_s +
                            m->weights_s + m->first_step_s;
    }
}

static status keep_judge(comparing *c, const run_summary *s)
{
    TRY(MEM_NEW(&c->judge_loss, s->nsteps + 1, "compare"));
    TRY(MEM_NEW(&c->judge_norm, s->nsteps + 1, "compare"));
    c->judge_steps = s->nsteps;
    for (int64_t i = 0; i < s->nsteps; i++) {
        c->judge_loss[i] = s->steps[i].loss;
        c->judge_norm[i] = s->steps[i].grad_norm;
    }
    return ST_OK;
}

double compare_larger(double a, double b)
{
    return isnan(a) || a >= b ? a : b;
}

/* In all bits. Of a NaN sign and payload are nobody's result. */
static bool same_bits(double a, double b)
{
    return memcmp(&a, &b, sizeof(a)) == 0 || (isnan(a) && isnan(b));
}

double compare_difference(double a, double b)
{
    return same_bits(a, b) ? 0 : fabs(a - b);
}

static void agree(comparing *c, const run_summary *s, int index,
                  comparison_row *row)
{
    bool same = s->nsteps == c->judge_steps;
    double most = 0;
    for (int64_t i = 0; i < s->nsteps && i < c->judge_steps; i++) {
        const run_step *step = &s->steps[i];
        most = compare_larger(most,
                              compare_difference(step->loss, c->judge_loss[i]));
        same = same && same_bits(step->loss, c->judge_loss[i]) &&
               same_bits(step->grad_norm, c->judge_norm[i]);
    }
    row->loss_difference = most;
    (void)snprintf(row->agreement, sizeof(row->agreement), "%s",
                   same ? "bitwise" : "no");
    c->disagree += !same && experiment_promise(&c->e, index) == EXPERIMENT_SAME;
}

void compare_forget_judge(comparing *c)
{
    mem_free(c->judge_loss);
    mem_free(c->judge_norm);
    c->judge_loss = NULL;
    c->judge_norm = NULL;
    c->judge_steps = 0;
}

status compare_describe(const run_summary *s, double matmul_rate, int cores,
                        comparison_row *row)
{
    if (s->nsteps == 0) {
        return ST_OK;
    }
    row->loss_first = s->steps[0].loss;
    row->loss_last = s->steps[s->nsteps - 1].loss;
    measure_prediction(s, row);
    measure_ledger(s, row);
    measure_ranks(s, row);
    measure_setup(s, row);
    return measure_speed(s, matmul_rate, cores, row);
}

status compare_measure(comparing *c, int index, comparison_row *row)
{
    run_summary s;
    memset(&s, 0, sizeof(s));
    TRY(runfile_read(c->run_path, &s));
    status st = ST_OK;
    (void)snprintf(row->status, sizeof(row->status), "ok");
    st = compare_describe(&s, c->matmul_rate, c->cores, row);
    if (st == ST_OK && index == c->e.judge) {
        st = keep_judge(c, &s);
    }
    if (st == ST_OK) {
        agree(c, &s, index, row);
    }
    run_summary_fini(&s);
    return st;
}

/* --- switching ------------------------------------------------------------ */

/* The command line of a set-up for a model, with a plan that works for it. */
static status command_text(const comparing *c, int index, const char *model,
                           strbuf *out)
{
    strbuf words = {0};
    int n = 0;
    const experiment_setup *s = &c->e.setups[index];
    TRY(experiment_words(&c->e, index, model, s->args.device_memory, &words,
                         &n));
    const char *at = strbuf_view(&words);
    for (int i = 0; i < n; i++) {
        strbuf_printf(out, "%s ", at);
        at += strlen(at) + 1;
    }
    strbuf_fini(&words);
    plan p;
    plan near;
    arch a;
    if (s->args.plan == NULL || plan_open(s->args.plan, &p) != ST_OK) {
        return strbuf_check(out);
    }
    TRY(arch_open(model, &a));
    TRY(arch_fit(&a, s->args.layers, s->args.vocab));
    int leaves[2] = {0};
    TRY(experiment_leaves(&c->e, &a, c->config->ranks_max, &leaves[0],
                          &leaves[1]));
    plan_job job = {.a = &a,
                    .N = s->args.batch,
                    .T = s->args.seq,
                    .D = leaves[0],
                    .S = leaves[1],
                    .fast_sums = experiment_is_fast(s),
                    .device_memory = s->args.device_memory};
    strbuf why = {0};
    if (plan_check(&p, &job, &why) > 0 && plan_nearest(&p, &job, &near)) {
        strbuf_printf(out, "--plan %s", near.name);
    } else {
        strbuf_printf(out, "--plan %s", p.name);
    }
    strbuf_fini(&why);
    return strbuf_check(out);
}

int64_t compare_switch_distance(const comparing *c, int model, int index)
{
    strbuf a = {0};
    strbuf b = {0};
    int64_t distance = -1;
    if (c->e.nmodels > 1) {
        const char *other = c->e.models[(model + 1) % c->e.nmodels];
        size_t n = 0;
        if (command_text(c, index, c->e.models[model], &a) == ST_OK &&
            command_text(c, index, other, &b) == ST_OK &&
            text_distance(strbuf_view(&a), strbuf_view(&b), &n) == ST_OK) {
            distance = (int64_t)n;
        }
    }
    strbuf_fini(&a);
    strbuf_fini(&b);
    return distance;
}
