/*
 * weft project: what a set-up would take on a described machine, without
 * running it.
 */
#include <stdio.h>
#include <string.h>

#include "benchmarks/setup.h"
#include "runtime/app/commands.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/base/units.h"
#include "runtime/device/link.h"
#include "runtime/train/predict.h"

typedef struct project_args {
    const char *machine;
    const char *plan;
    int64_t device_memory;
    int64_t batch, seq;
    int64_t micro_batch;
    int64_t layers;
    int64_t threads;
    double link_rate;
} project_args;

#define A project_args

static const opt_row rows[] = {
    OPT_STR(A, machine, "machine", .value = "FILE",
            .help = "what it runs on, JSON; weft calibrate describes this one"),
    OPT_STR(A, plan, "plan", .value = "PLAN",
            .help = "partition: a file or dp2.tp2.pp2; none: streamed"),
    OPT_SIZE(A, device_memory, "device-memory", .value = "SIZE", .def = "0",
             .help = "hard limit of a device's memory; 0: what is needed"),
    OPT_I64(A, batch, "batch", .value = "SEQS", .def = "8", .min = 1,
            .max = 1e6, .unit = "sequences", .help = "global batch"),
    OPT_I64(A, seq, "seq", .value = "N", .def = "64", .min = 1, .max = 1e6,
            .unit = "tokens", .help = "tokens of a sequence"),
    OPT_I64(A, micro_batch, "micro-batch", .value = "SEQS", .def = "0",
            .min = 0, .max = 1e6, .help = "sequences; 0: chosen"),
    OPT_I64(A, layers, "layers", .value = "N", .def = "0", .min = 0, .max = 256,
            .help = "cut depth; 0: all"),
    OPT_I64(A, threads, "threads", .value = "N", .def = "0", .min = 0,
            .max = 1024, .help = "of a rank; 0: the machine's cores shared"),
    OPT_RATE(A, link_rate, "link-rate", .value = "RATE", .def = "0",
             .help = "of the store's link, each way; 0: the machine's, else "
                     "at least 64 kB/s"),
};

const opt_command project_command = {
    .name = "project",
    .usage = "MODEL --machine FILE [--plan PLAN] [options]",
    .about = "Runs a step on a virtual clock against a described machine: "
             "its time, memory, and where\nthe time goes. Nothing is "
             "trained.",
    .example = "weft calibrate -o host.json\n"
               "weft project gpt-neo-125m --machine host.json --seq 256 "
               "--plan dp2.tp2",
    .min_args = 1,
    .max_args = 1,
    OPT_ROWS(rows),
};

static status print(const setup *s, const project_args *a, const predicted *p)
{
    double tokens = (double)(a->batch * a->seq);
    double rate = tokens / p->p.step_s;
    strbuf text = {0};
    log_out("%s, %s: %d rank%s x %d thread%s, %s tokens a step\n", s->a.name,
            s->streamed ? "streamed" : s->plan.name, s->set.nranks,
            s->set.nranks == 1 ? "" : "s", s->sh.threads,
            s->sh.threads == 1 ? "" : "s", units_count(tokens).s);
    log_out("%s tokens/s, %sflop/s\n", units_count(rate).s,
            units_count(rate * arch_flops_per_token(&s->a, a->seq)).s);
    run_prediction_text(&p->p, &text);
    status st = strbuf_check(&text);
    log_out("%s", strbuf_view(&text));
    strbuf_fini(&text);
    return st;
}

/* Its own threads for each rank, at least one. */
static int threads_of(const machine *m, const project_args *a, int ranks)
{
    int each = m->cores / ranks;
    return a->threads > 0 ? (int)a->threads : each > 0 ? each : 1;
}

static status predict(const setup *s, const machine *m, const project_args *a)
{
    sim_setup in = {.m = m,
                    .a = &s->a,
                    .ps = &s->ps,
                    .sh = s->sh,
                    .ranks = s->set.nranks,
                    .threads = s->sh.threads,
                    .store = s->streamed,
                    .link_rate = a->link_rate};
    predicted *p = NULL;
    TRY(MEM_NEW(&p, 1, "project"));
    in.shared_cores = in.threads * in.ranks > m->cores;
    status st = predict_set(&in, &s->set, p);
    if (st == ST_OK) {
        st = print(s, a, p);
    }
    predict_fini(p);
    mem_free(p);
    return st;
}

static status project_on(const opt_parsed *parsed, const project_args *a,
                         const machine *m)
{
    setup s;
    plan p = {.data = 1, .pipe = 1, .tensor = 1};
    if (a->plan != NULL) {
        TRY(plan_open(a->plan, &p));
    }
    setup_options o = {.model = opt_arg(parsed, 0),
                       .layers = a->layers,
                       .plan = a->plan,
                       .device_memory = a->device_memory,
                       .batch = a->batch,
                       .seq = a->seq,
                       .micro_batch = a->micro_batch,
                       .threads = threads_of(m, a, plan_ranks(&p))};
    TRY(setup_open(&o, 0, &s));
    status st = predict(&s, m, a);
    setup_close(&s);
    return st;
}

static status project(const opt_parsed *parsed, const project_args *a)
{
    machine *m = NULL;
    REQUIRE(a->machine != NULL, ST_USAGE,
            "project: --machine FILE is missing; weft calibrate -o host.json "
            "describes this one");
    REQUIRE(a->plan == NULL || a->link_rate == 0, ST_USAGE,
            "project: --link-rate is for streaming, a plan has no store; "
            "leave it or --plan out");
    REQUIRE(a->link_rate == 0 || a->link_rate >= LINK_RATE_LEAST, ST_USAGE,
            "project: --link-rate %s is too slow, a step would not end; "
            "allowed is 0 (the machine's) or %s and more",
            units_rate(a->link_rate).s, units_rate(LINK_RATE_LEAST).s);
    TRY(MEM_NEW(&m, 1, "project"));
    status st = machine_open(a->machine, m);
    if (st == ST_OK) {
        st = project_on(parsed, a, m);
    }
    mem_free(m);
    return st;
}

status command_project(int argc, const char *const *argv)
{
    project_args a;
    opt_parsed *parsed = NULL;
    TRY(opt_parse(&project_command, argc, argv, &a, sizeof(a), &parsed));
    status st = ST_OK;
    if (!command_helped(&project_command, parsed)) {
        st = project(parsed, &a);
    }
    opt_destroy(parsed);
    return st;
}
