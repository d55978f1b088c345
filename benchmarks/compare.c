#include "benchmarks/compare.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "benchmarks/compare_impl.h"
#include "runtime/base/clock.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/base/threads.h"
#include "runtime/base/units.h"
#include "runtime/train/host.h"

enum { WORDS_MAX = 150 };

static void options_of(const comparing *c, int index, const char *model,
                       setup_options *o)
{
    const experiment_setup *s = &c->e.setups[index];
    run_args_setup(&s->args, model, o);
    o->data_leaves =
        s->args.data_leaves > 0 ? s->args.data_leaves : c->data_leaves;
    o->tensor_leaves =
        s->args.tensor_leaves > 0 ? s->args.tensor_leaves : c->tensor_leaves;
}

/* Device memory of "state/n" for this model. */
static status resolve_memory(const comparing *c, int index, const char *model,
                             setup_options *o)
{
    int64_t part = c->e.setups[index].state_part;
    if (part > 0) {
        arch a;
        params ps;
        TRY(arch_open(model, &a));
        if (o->layers > 0) {
            TRY(arch_cut(&a, (int)o->layers));
        }
        TRY(params_init(&a, &ps));
        o->device_memory = 16 * ps.total / part;
        params_fini(&ps);
    }
    return ST_OK;
}

/* Checks and compiles; a refusal fills the row, other errors are returned. */
static status admit(comparing *c, int index, const char *model,
                    setup_options *o, comparison_row *row, bool *refused)
{
    setup s;
    options_of(c, index, model, o);
    TRY(resolve_memory(c, index, model, o));
    status st = setup_open(o, 0, &s);
    if (st == ST_OK) {
        st = setup_check_host(&s, setup_ranks(&s));
        if (st != ST_OK) {
            setup_close(&s);
        }
    }
    *refused = st == ST_CONFIG || st == ST_BUDGET;
    if (*refused) {
        (void)snprintf(row->status, sizeof(row->status), "refused");
        (void)snprintf(row->reasons, sizeof(row->reasons), "%s", status_text());
        return ST_OK;
    }
    TRY(st);
    row->devices = setup_ranks(&s);
    setup_close(&s);
    return ST_OK;
}

static void add_number(strbuf *b, const char *key, int64_t value)
{
    char text[64];
    strbuf_add_bytes(b, key, strlen(key) + 1);
    (void)snprintf(text, sizeof(text), "%lld", (long long)value);
    strbuf_add_bytes(b, text, strlen(text) + 1);
}

/* The words of a job that is a child of this process. */
static status job_words(const comparing *c, int index, const char *model,
                        const setup_options *o, strbuf *text,
                        const char **words)
{
    int n = 0;
    TRY(experiment_words(&c->e, index, model, o->device_memory, text, &n));
    add_number(text, "--data-leaves", o->data_leaves);
    add_number(text, "--tensor-leaves", o->tensor_leaves);
    add_number(text, "--launched-at", clock_wall_ns());
    strbuf_add_bytes(text, "--quiet", 8);
    strbuf_add_bytes(text, "--out", 6);
    strbuf_add_bytes(text, c->run_path, strlen(c->run_path) + 1);
    TRY(strbuf_check(text));
    n += 9;
    REQUIRE(n < WORDS_MAX, ST_CONFIG, "a set-up has too many options");
    const char *at = strbuf_view(text);
    for (int i = 0; i < n; i++) {
        words[i] = at;
        at += strlen(at) + 1;
    }
    words[n] = NULL;
    return ST_OK;
}

static status launch(const comparing *c, int index, const char *model,
                     const setup_options *o, int ranks, int *code)
{
    strbuf text = {0};
    const char *words[WORDS_MAX];
    status st = job_words(c, index, model, o, &text, words);
    if (st == ST_OK) {
        (void)unlink(c->run_path);
        st = c->config->launch(words, ranks, true, code);
    }
    strbuf_fini(&text);
    return st;
}

/* One set-up of one model: a row, and what is kept for the judge. */
static status run_one(comparing *c, int model, int index)
{
    comparison_row row;
    setup_options o;
    bool refused = false;
    int code = 0;
    const char *name = c->e.models[model];
    comparison_row_init(&row);
    (void)snprintf(row.name, sizeof(row.name), "%s", c->e.setups[index].name);
    (void)snprintf(row.model, sizeof(row.model), "%s", name);
    TRY(admit(c, index, name, &o, &row, &refused));
    row.switch_distance = compare_switch_distance(c, model, index);
    if (!refused) {
        log_progress("%s %s ...", name, row.name);
        TRY(launch(c, index, name, &o, row.devices, &code));
    }
    const char *run = NULL;
    if (!refused && code != 0) {
        (void)snprintf(row.status, sizeof(row.status), "failed");
        (void)snprintf(row.reasons, sizeof(row.reasons), "exit code %d", code);
        c->failed++;
        REQUIRE(code != ST_SIGNAL && code < 128, ST_SIGNAL,
                "stopped by a signal in %s of %s", row.name, name);
    } else if (!refused) {
        run = c->run_path;
        TRY(compare_measure(c, index, &row));
    }
    TRY(comparison_add(c->file, &row, run));
    compare_print_row(c, &row);
    return compare_keep(c, &row);
}

static status run_model(comparing *c, int model)
{
    compare_forget_judge(c);
    TRY(run_one(c, model, c->e.judge));
    for (int i = 0; i < c->e.nsetups; i++) {
        if (i != c->e.judge) {
            TRY(run_one(c, model, i));
        }
    }
    return compare_print_model(c, model);
}

static status begin(comparing *c)
{
    TRY(experiment_open(c->config->experiment, &c->e));
    experiment_leaves(&c->e, &c->data_leaves, &c->tensor_leaves);
    (void)snprintf(c->run_path, sizeof(c->run_path), "%s.run.h5",
                   c->config->out);
    TRY(comparison_create(c->config->out, c->config->cmdline, host_commit(),
                          c->e.text, &c->file));
    /* One rate for all rows: the machine's best just now. */
    c->cores = threads_usable();
    c->matmul_rate = host_matmul_rate(c->cores, 2048, 5);
    log_out("%s on %s; sums in %d data and %d tensor leaves; host: %d cores, "
            "matmul %.1f GF/s\n",
            c->config->experiment, c->e.data, c->data_leaves, c->tensor_leaves,
            c->cores, c->matmul_rate * 1e-9);
    return ST_OK;
}

status compare_run(const compare_config *config)
{
    comparing *c = NULL;
    TRY(MEM_NEW(&c, 1, "compare"));
    c->config = config;
    status st = begin(c);
    for (int m = 0; st == ST_OK && m < c->e.nmodels; m++) {
        st = run_model(c, m);
    }
    (void)unlink(c->run_path);
    status end = comparison_close(&c->file);
    st = st == ST_OK ? end : st;
    if (st == ST_OK && (c->failed > 0 || c->disagree > 0)) {
        st = FAIL(ST_INTERNAL,
                  "%d set-ups failed, %d disagree with the judge; see the "
                  "tables",
                  c->failed, c->disagree);
    }
    if (st == ST_OK) {
        log_out("all set-ups that ran agree with the judge bit for bit; "
                "wrote %s\n",
                config->out);
    }
    compare_forget_judge(c);
    experiment_close(&c->e);
    mem_free(c->rows);
    mem_free(c);
    return st;
}
