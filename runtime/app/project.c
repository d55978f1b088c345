/*
 * weft project: what a set-up would take on a described machine, without
 * running it. Its options are those of weft train that describe a set-up, and
 * mean the same.
 */
#include <stdio.h>
#include <string.h>

#include "benchmarks/run_args.h"
#include "benchmarks/setup.h"
#include "runtime/app/commands.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/base/units.h"
#include "runtime/train/predict.h"

/* All ranks stand on one node: a machine describes no more. */
static void print_lack(const setup *s, const machine *m)
{
    int64_t need = setup_host_bytes(s, s->set.nranks);
    if (m->memory_bytes > 0 && need > m->memory_bytes) {
        log_out("%-29s%12s   %s more than the machine has\n",
                s->streamed ? "  memory with the store"
                            : "  memory of all ranks",
                units_bytes((double)need).s,
                units_bytes((double)(need - m->memory_bytes)).s);
    }
}

static status print(const setup *s, const machine *m, const predicted *p)
{
    double tokens = (double)(s->sh.N * s->sh.T);
    double rate = tokens / p->p.wall_s;
    double flops = arch_flops_per_token(&s->a, s->sh.T);
    strbuf text = {0};
    log_out("%s, %s: %d rank%s x %d thread%s, %s tokens a step\n", s->a.name,
            s->streamed ? "streamed" : s->plan.name, s->set.nranks,
            s->set.nranks == 1 ? "" : "s", s->sh.threads,
            s->sh.threads == 1 ? "" : "s", units_count(tokens).s);
    log_out("%s tokens/s, %sflop/s", units_count(rate).s,
            units_count(rate * flops).s);
    if (strcmp(p->p.clock, "cpu") == 0) {
        log_out(" if every thread had a core; ranks share cores: %s tokens a "
                "CPU second",
                units_count(tokens / p->p.step_s).s);
    }
    log_out("\n");
    run_prediction_text(&p->p, &text);
    status st = strbuf_check(&text);
    log_out("%s", strbuf_view(&text));
    strbuf_fini(&text);
    print_lack(s, m);
    return st;
}

/* Its own threads for each rank, at least one. */
static int threads_of(const machine *m, const run_args *a, int ranks)
{
    int each = m->cores / ranks;
    return a->threads > 0 ? (int)a->threads : each > 0 ? each : 1;
}

static status predict(const setup *s, const machine *m, const run_args *a)
{
    sim_setup in = {.m = m,
                    .a = &s->a,
                    .ps = &s->ps,
                    .sh = s->sh,
                    .ranks = s->set.nranks,
                    .threads = s->sh.threads,
                    .store = s->streamed,
                    .link_rate = a->link_rate,
                    .link_latency = a->link_latency};
    predicted *p = NULL;
    TRY(MEM_NEW(&p, 1, "project"));
    in.shared_cores = in.threads * in.ranks > m->cores;
    status st = predict_set(&in, &s->set, p);
    if (st == ST_OK) {
        st = print(s, m, p);
    }
    predict_fini(p);
    mem_free(p);
    return st;
}

static status project_on(const opt_parsed *parsed, const run_args *a,
                         const machine *m)
{
    setup s;
    setup_options o;
    plan p = {.data = 1, .pipe = 1, .tensor = 1};
    if (a->plan != NULL) {
        TRY(plan_open(a->plan, &p));
    }
    run_args_setup(a, opt_arg(parsed, 0), &o);
    o.threads = threads_of(m, a, plan_ranks(&p));
    o.runs_here = false;
    TRY(setup_open(&o, 0, &s));
    status st = predict(&s, m, a);
    setup_close(&s);
    return st;
}

static status check_options(const opt_parsed *parsed, const run_args *a)
{
    const char *other = run_args_unpredicted(a);
    REQUIRE(a->machine != NULL, ST_USAGE,
            "project: --machine FILE is missing; weft calibrate -o host.json "
            "describes this one");
    TRY(run_args_check_idle(a, parsed, "project"));
    REQUIRE(other == NULL, ST_USAGE,
            "project: %s: a machine has laws for the store ram alone; leave it "
            "out",
            other);
    return run_args_check_values(a, "project");
}

static status project(const opt_parsed *parsed, const run_args *a)
{
    machine *m = NULL;
    TRY(check_options(parsed, a));
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
    run_args a;
    opt_parsed *parsed = NULL;
    TRY(opt_parse(&project_command, argc, argv, &a, sizeof(a), &parsed));
    status st = ST_OK;
    if (!command_helped(&project_command, parsed)) {
        st = project(parsed, &a);
    }
    opt_destroy(parsed);
    return st;
}
