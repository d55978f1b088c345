/*
 * A plan: what a person decided and where the ranks stand; with a model what
 * becomes of it: admitted or refused, and then stages, programs, planned
 * memory, groups and messages, all read off the compiled programs.
 */
#include <stdio.h>
#include <string.h>

#include "benchmarks/setup.h"
#include "partition/compile.h"
#include "partition/plan.h"
#include "runtime/app/show.h"
#include "runtime/base/log.h"
#include "runtime/base/units.h"
#include "runtime/results/runfile.h"

enum {
    RANKS_LISTED = 64, /* rows of the table of ranks                      */
    COLUMNS = 5        /* programs beside each other                      */
};

/* --- the plan alone ---------------------------------------------------- */

static void show_decisions(const plan *p)
{
    plan_decision d[PLAN_DECISIONS_MAX];
    int n = plan_decisions(p, d);
    strbuf json = {0};
    show_head("decisions, and the rules that they take part in");
    for (int i = 0; i < n; i++) {
        show_field(d[i].key, "%-8s %s", d[i].value, d[i].rules);
    }
    if (n == 0) {
        log_out("  none: one rank holds everything\n");
    }
    plan_json(p, &json);
    show_field("smallest file", "%s", strbuf_view(&json));
    strbuf_fini(&json);
}

static void show_ranks(const plan *p)
{
    int ranks = plan_ranks(p);
    int listed = ranks < RANKS_LISTED ? ranks : RANKS_LISTED;
    show_head("ranks");
    log_out("  %8s%8s%8s%8s\n", "rank", "data", "stage", "tensor");
    for (int r = 0; r < listed; r++) {
        log_out("  %8d%8d%8d%8d\n", r, r / p->tensor / p->pipe,
                r / p->tensor % p->pipe, r % p->tensor);
    }
    if (listed < ranks) {
        log_out("  and so on, to rank %d\n", ranks - 1);
    }
}

/* --- with a model ------------------------------------------------------ */

static void show_machinery(const setup *s)
{
    run_op_count ops[OP_KIND_COUNT];
    run_setup m = {0};
    int64_t all = 0;
    run_setup_describe(&s->set, ops, &m);
    for (int i = 0; i < m.nops; i++) {
        all += ops[i].count;
    }
    show_field("programs", "%lld", (long long)m.programs);
    show_field("communicators", "%d", prog_set_groups(&s->set));
    show_field("operations", "%s a step, all ranks", units_int(all).s);
    show_field("messages", "%s a step, all ranks, %s", units_int(m.messages).s,
               units_bytes(m.bytes).s);
}

static void show_stages(const setup *s)
{
    show_head("stages");
    for (int k = 0; k < s->plan.pipe; k++) {
        int l0 = 0;
        int l1 = 0;
        partition_stage(&s->a, &s->plan, k, &l0, &l1);
        bool first = k == 0;
        bool last = k == s->plan.pipe - 1;
        char name[32];
        snprintf(name, sizeof(name), "stage %d", k);
        show_field(name, "layers %d to %d%s%s", l0, l1 - 1,
                   first ? ", embedding" : "", last ? ", head" : "");
    }
}

/* "0 to 3, 8", cut where it is long. */
static void ranks_of(const program_set *set, int class_index, strbuf *b)
{
    for (int r = 0; r < set->nranks; r++) {
        int first = r;
        if (set->places[r].class_index != class_index) {
            continue;
        }
        while (r + 1 < set->nranks &&
               set->places[r + 1].class_index == class_index) {
            r++;
        }
        if (b->len > 48) {
            strbuf_add(b, ", ...");
            return;
        }
        strbuf_printf(b, "%s%d", b->len > 0 ? ", " : "", first);
        if (r > first) {
            strbuf_printf(b, " to %d", r);
        }
    }
}

static void show_programs(const program_set *set)
{
    show_head("programs");
    for (int c = 0; c < set->nclasses; c++) {
        char name[32];
        strbuf ranks = {0};
        ranks_of(set, c, &ranks);
        snprintf(name, sizeof(name), "program %d", c);
        show_field(name, "rank%s %s: %s operations",
                   strcspn(strbuf_view(&ranks), " ") < ranks.len ? "s" : "",
                   strbuf_view(&ranks), units_int(set->classes[c].nops).s);
        strbuf_fini(&ranks);
    }
}

static void show_memory_row(const program_set *set, int from, int to,
                            const char *name, int cls)
{
    log_out("  %-20s", name);
    for (int c = from; c < to; c++) {
        const program *p = &set->classes[c];
        int64_t bytes = cls < 0 ? p->peak_bytes : p->class_bytes[cls];
        log_out("%12s", units_bytes((double)bytes).s);
    }
    log_out("\n");
}

static void show_memory(const program_set *set)
{
    show_head("planned memory of a rank, at the fullest moment of a step");
    for (int from = 0; from < set->nclasses; from += COLUMNS) {
        int to = from + COLUMNS;
        to = to < set->nclasses ? to : set->nclasses;
        log_out("  %-20s", "program");
        for (int c = from; c < to; c++) {
            log_out("%12d", c);
        }
        log_out("\n");
        for (int k = 0; k < BUF_CLASS_COUNT; k++) {
            show_memory_row(set, from, to, buf_class_name((buf_class)k), k);
        }
        show_memory_row(set, from, to, "arena, gaps too", -1);
    }
}

/* "8", or "7 to 8" */
static void add_range(strbuf *b, int64_t least, int64_t most)
{
    strbuf_printf(b, "%lld", (long long)least);
    if (most > least) {
        strbuf_printf(b, " to %lld", (long long)most);
    }
}

/* Of all ranks: shares may differ, and with them what is left open. */
static status show_micro_batch(const setup *s)
{
    int64_t least = 0;
    int64_t most = 0;
    strbuf b = {0};
    TRY(setup_shares(s, &least, &most));
    add_range(&b, plan_micro_batch(&s->plan, least),
              plan_micro_batch(&s->plan, most));
    strbuf_add(&b, " of ");
    add_range(&b, least, most);
    show_field("micro-batch", "%s sequences of a rank", strbuf_view(&b));
    strbuf_fini(&b);
    return ST_OK;
}

static status show_with_model(const char *what, const show_args *args)
{
    setup s;
    setup_options o = {.model = args->model,
                       .layers = args->layers,
                       .plan = what,
                       .device_memory = args->device_memory,
                       .batch = args->batch,
                       .seq = args->seq > 0 ? args->seq : 128};
    char limit[64] = "no limit";
    if (args->device_memory > 0) {
        snprintf(limit, sizeof(limit), "%s a device",
                 units_bytes((double)args->device_memory).s);
    }
    show_head("with %s", args->model);
    show_field("step", "%lld sequences of %lld tokens", (long long)o.batch,
               (long long)o.seq);
    show_field("memory", "%s", limit);
    TRY(setup_open(&o, 0, &s));
    show_field("admitted", "yes; compiled in %s",
               units_seconds(s.plan_seconds).s);
    show_field("leaves", "data %d, tensor %d", s.sh.D, s.sh.S);
    status st = show_micro_batch(&s);
    show_field("schedule", "%s",
               s.plan.schedule == SCHEDULE_1F1B ? "1f1b" : "gpipe");
    show_machinery(&s);
    show_stages(&s);
    show_programs(&s.set);
    show_memory(&s.set);
    setup_close(&s);
    return st;
}

status show_plan(const char *what, const show_args *a)
{
    plan p;
    TRY(plan_open(what, &p));
    log_out("%s: a plan for %d rank%s: data %d x pipe %d x tensor %d\n", p.name,
            plan_ranks(&p), plan_ranks(&p) == 1 ? "" : "s", p.data, p.pipe,
            p.tensor);
    show_decisions(&p);
    show_ranks(&p);
    return a->model != NULL ? show_with_model(what, a) : ST_OK;
}
