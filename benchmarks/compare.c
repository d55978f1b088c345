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
#include "runtime/base/stop.h"
#include "runtime/base/text.h"
#include "runtime/base/threads.h"
#include "runtime/base/units.h"
#include "runtime/io/filelist.h"
#include "runtime/io/tokens.h"
#include "runtime/sim/machine.h"
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

/* Leaves of all set-ups of the model. A depth that it has not is a refusal of
 * each of them, with reasons. */
static status find_leaves(comparing *c, int model)
{
    const run_args *common = &c->e.setups[c->e.judge].args;
    c->data_leaves = 0;
    c->tensor_leaves = 0;
    TRY(arch_open(c->e.models[model], &c->a));
    if (arch_fit(&c->a, common->layers, common->vocab) != ST_OK) {
        return ST_OK;
    }
    return experiment_leaves(&c->e, &c->a, c->config->ranks_max,
                             &c->data_leaves, &c->tensor_leaves);
}

/* Who may run: all is well, no for reasons of the experiment, or no because
 * this machine has too little memory. */
typedef enum admission { ADMITTED, REFUSED, NO_ROOM } admission;

/* Checks and compiles; a refusal fills the row, other errors are returned. */
static status admit(comparing *c, int index, const char *model,
                    setup_options *o, comparison_row *row, admission *out)
{
    setup s;
    bool room = true;
    options_of(c, index, model, o);
    TRY(experiment_memory(&c->e.setups[index], &c->a, &o->device_memory));
    int most = c->config->ranks_max;
    status st = setup_open(o, 0, &s);
    if (st == ST_OK && most > 0 && setup_ranks(&s) > most) {
        st = FAIL(ST_CONFIG,
                  "it needs %d ranks, mpirun started %d; use mpirun -np %d, or "
                  "no mpirun at all",
                  setup_ranks(&s), most, setup_ranks(&s));
        setup_close(&s);
    } else if (st == ST_OK) {
        st = setup_check_host(&s, setup_ranks(&s));
        room = st == ST_OK;
        if (!room) {
            setup_close(&s);
        }
    }
    bool refused = st == ST_CONFIG || st == ST_BUDGET;
    *out = !refused ? ADMITTED : room ? REFUSED : NO_ROOM;
    if (refused) {
        (void)snprintf(row->status, sizeof(row->status), "refused");
        text_copy(row->reasons, sizeof(row->reasons), status_text());
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
        st = c->config->launch(c->config->self, words, ranks, code);
    }
    strbuf_fini(&text);
    return st;
}

/* For the closing line; what disagrees was counted when it was measured. */
static void count_agreement(comparing *c, int index, const comparison_row *row)
{
    const experiment_bits bits = experiment_promise(&c->e, index);
    if (bits != EXPERIMENT_SAME) {
        c->loose[bits]++;
        c->differs[bits] =
            compare_larger(c->differs[bits], row->loss_difference);
    } else if (index != c->e.judge && strcmp(row->agreement, "bitwise") == 0) {
        c->agree++;
    }
}

/* Who is killed leaves its claim behind: it is taken over, and given up. */
static void drop_claim(const char *path)
{
    newfile_claim claim;
    if (newfile_claim_take(path, 0, &claim) == ST_OK) {
        newfile_claim_drop(&claim);
    }
}

/* A set-up that was launched and failed. The first one's code is ours. */
static status note_failure(comparing *c, int code, comparison_row *row)
{
    (void)snprintf(row->status, sizeof(row->status), "failed");
    (void)text_print(row->reasons, sizeof(row->reasons), "exit code %d%s%s",
                     code, status_text()[0] != '\0' ? ": " : "", status_text());
    bool stopped = code == ST_SIGNAL || (code >= 128 && stop_asked());
    REQUIRE(!stopped, ST_SIGNAL, "stopped by a signal in %s of %s", row->name,
            row->model);
    c->why = c->failed > 0 ? c->why : status_known(code) ? code : ST_PEER;
    c->failed++;
    drop_claim(c->run_path);
    return ST_OK;
}

/* What is there of a set-up of a model before it has run. */
static void begin_row(const comparing *c, int model, int index,
                      comparison_row *row)
{
    comparison_row_init(row);
    (void)snprintf(row->name, sizeof(row->name), "%s", c->e.setups[index].name);
    (void)snprintf(row->model, sizeof(row->model), "%s", c->e.names[model]);
    row->switch_distance = compare_switch_distance(c, model, index);
}

static status end_row(comparing *c, int index, comparison_row *row,
                      const char *run)
{
    TRY(comparison_add(c->file, row, run));
    compare_print_row(c, index, row);
    return compare_keep(c, row);
}

/* One set-up of one model: a row, and what is kept for the judge. */
static status run_one(comparing *c, int model, int index)
{
    comparison_row row;
    setup_options o;
    admission may = REFUSED;
    int code = 0;
    const char *name = c->e.models[model];
    begin_row(c, model, index, &row);
    REQUIRE(!stop_asked(), ST_SIGNAL, "stopped by a signal before %s of %s",
            row.name, row.model);
    TRY(admit(c, index, name, &o, &row, &may));
    const char *run = NULL;
    if (may == ADMITTED) {
        log_progress("%s %s ...", row.model, row.name);
        TRY(launch(c, index, name, &o, row.devices, &code));
        if (code != 0) {
            TRY(note_failure(c, code, &row));
        } else {
            run = c->run_path;
            TRY(compare_measure(c, index, &row));
            count_agreement(c, index, &row);
        }
    }
    return end_row(c, index, &row, run);
}

static status refuse_one(comparing *c, int model, int index)
{
    comparison_row row;
    setup_options o;
    admission may = REFUSED;
    begin_row(c, model, index, &row);
    TRY(admit(c, index, c->e.models[model], &o, &row, &may));
    if (may == ADMITTED) {
        (void)snprintf(row.status, sizeof(row.status), "refused");
        (void)snprintf(row.reasons, sizeof(row.reasons),
                       "this machine has no memory for the set-up '%s', which "
                       "it must agree with",
                       c->e.setups[c->e.judge].name);
    }
    return end_row(c, index, &row, NULL);
}

/* Nothing of a model runs whose judge this machine has no room for. */
static status refuse_model(comparing *c, int model)
{
    for (int i = 0; i < c->e.nsetups; i++) {
        TRY(refuse_one(c, model, i));
    }
    return compare_print_model(c, model);
}

static status run_model(comparing *c, int model)
{
    compare_forget_judge(c);
    TRY(find_leaves(c, model));
    log_out("%s: sums in %d data and %d tensor leaves\n", c->e.names[model],
            c->data_leaves, c->tensor_leaves);
    if (c->no_room[model]) {
        return refuse_model(c, model);
    }
    TRY(run_one(c, model, c->e.judge));
    REQUIRE(c->judge_steps > 0, c->failed > 0 ? (status)c->why : ST_CONFIG,
            "%s: the set-up '%s', which the others must agree with, did not "
            "run for %s; its reasons are in %s",
            c->config->experiment, c->e.setups[c->e.judge].name,
            c->e.names[model], comparison_path(c->file));
    for (int i = 0; i < c->e.nsetups; i++) {
        if (i != c->e.judge) {
            TRY(run_one(c, model, i));
        }
    }
    return compare_print_model(c, model);
}

/* --- before anything is written ------------------------------------------- */

/* In the words of the experiment, which has the model. */
static status model_fail(const comparing *c, int model, status st,
                         const char *start, const char *why)
{
    json_val list;
    TRY(json_get_arr(json_root(c->e.doc), "models", &list));
    return json_fail(json_at(list, (size_t)model), st, "%s%s", start, why);
}

static status list_models(const comparing *c, filelist *l)
{
    for (int i = 0; i < c->e.nmodels; i++) {
        char *config = NULL;
        TRY(arch_config_path(c->e.models[i], &config));
        filelist_input(l, "the model", config);
        mem_free(config);
    }
    return ST_OK;
}

static status list_plans(const comparing *c, filelist *l)
{
    for (int i = 0; i < c->e.nsetups; i++) {
        const char *text = c->e.setups[i].args.plan;
        char *path = NULL;
        if (text != NULL) {
            TRY(plan_path(text, &path));
            filelist_input(l, "the plan", path);
            mem_free(path);
        }
    }
    return ST_OK;
}

static status check_apart(const comparing *c)
{
    filelist l = {0};
    filelist_output(&l, "--out", c->config->out);
    filelist_input(&l, "the experiment", c->config->experiment);
    filelist_tokens(&l, "the data", c->e.data);
    filelist_input(&l, "the machine", c->e.machine);
    status st = list_plans(c, &l);
    if (st == ST_OK) {
        st = list_models(c, &l);
    }
    if (st == ST_OK) {
        st = filelist_check(&l, "compare");
    }
    filelist_fini(&l);
    return st;
}

/* What to say where a file that the experiment names is missing and the
 * experiment is in another folder than this one. */
static const char *looked_for(const comparing *c, status st, const char *file)
{
    const bool other = strchr(c->config->experiment, '/') != NULL;
    return st == ST_NOINPUT && other && file[0] != '/'
               ? "; what an experiment names is looked for in the current "
                 "folder, not in its own"
               : "";
}

static status check_model(const comparing *c, int i)
{
    arch a;
    const char *name = c->e.models[i];
    status st = arch_open(name, &a);
    const bool path = strchr(name, '/') != NULL || text_ends(name, ".json");
    strbuf why = {0};
    if (st == ST_OK) {
        return ST_OK;
    }
    strbuf_add(&why, status_text());
    strbuf_add(&why, path ? looked_for(c, st, name) : "");
    st = model_fail(c, i, st, "", strbuf_view(&why));
    strbuf_fini(&why);
    return st;
}

static status check_plan(const comparing *c, int i)
{
    plan p;
    const char *text = c->e.setups[i].args.plan;
    status st = text != NULL ? plan_open(text, &p) : ST_OK;
    return st == ST_OK ? st
                       : json_fail(experiment_plan_at(&c->e, i), st, "%s%s",
                                   status_text(), looked_for(c, st, text));
}

static status check_configs(const comparing *c)
{
    for (int i = 0; i < c->e.nmodels; i++) {
        TRY(check_model(c, i));
    }
    for (int i = 0; i < c->e.nsetups; i++) {
        TRY(check_plan(c, i));
    }
    return ST_OK;
}

/* Reads all tokens, unless a smaller vocabulary than the model's was enough:
 * *enough is the smallest so far. A model that cannot be as the experiment
 * wants it has none, which check_judge says. */
static status check_vocabulary(const comparing *c, int model,
                               const tokens *data, int64_t *enough)
{
    arch a;
    const run_args *args = &c->e.setups[c->e.judge].args;
    TRY(arch_open(c->e.models[model], &a));
    if (arch_fit(&a, args->layers, args->vocab) != ST_OK || a.V >= *enough) {
        return ST_OK;
    }
    TRY(tokens_check(data, a.V));
    *enough = a.V;
    return ST_OK;
}

/* An experiment may come from where its data is. */
static status open_data(const comparing *c, tokens **out)
{
    status st = tokens_open(c->e.data, out);
    return st != ST_NOINPUT || c->config->data != NULL
               ? st
               : FAIL(st,
                      "%s: data: %s%s; --data FILE takes another, any text "
                      "will do (make demo makes build/data/kjv.txt)",
                      c->config->experiment, status_text(),
                      looked_for(c, st, c->e.data));
}

static status check_data(const comparing *c)
{
    tokens *data = NULL;
    tokens_split split;
    int64_t enough = INT64_MAX;
    const run_args *a = &c->e.setups[c->e.judge].args;
    TRY(open_data(c, &data));
    status st =
        tokens_split_make(tokens_count(data), a->seq, a->val_fraction, &split);
    st = st == ST_OK ? ST_OK : FAIL(st, "%s: %s", c->e.data, status_text());
    for (int i = 0; st == ST_OK && i < c->e.nmodels; i++) {
        st = check_vocabulary(c, i, data, &enough);
        st = st == ST_OK ? ST_OK : model_fail(c, i, st, "", status_text());
    }
    tokens_close(data);
    return st;
}

/* Without a judge there is nothing to compare with; models that this machine
 * has no room for are left out as long as one is left. */
static status check_judge(comparing *c, int model, int *left)
{
    comparison_row row;
    setup_options o;
    admission may = REFUSED;
    const int judge = c->e.judge;
    comparison_row_init(&row);
    TRY(find_leaves(c, model));
    TRY(admit(c, judge, c->e.models[model], &o, &row, &may));
    c->no_room[model] = may == NO_ROOM;
    *left += may == ADMITTED;
    bool last = model + 1 == c->e.nmodels;
    if (may == ADMITTED || (may == NO_ROOM && (*left > 0 || !last))) {
        return ST_OK;
    }
    char start[EXPERIMENT_NAME_SIZE + 80];
    (void)snprintf(start, sizeof(start),
                   "the set-up '%s', which the others must agree with, cannot "
                   "run: ",
                   c->e.setups[judge].name);
    return model_fail(c, model, ST_CONFIG, start, row.reasons);
}

static status check_machine(const comparing *c)
{
    machine *m = NULL;
    if (c->e.machine == NULL) {
        return ST_OK;
    }
    TRY(MEM_NEW(&m, 1, "compare"));
    status st = machine_open(c->e.machine, m);
    mem_free(m);
    return st != ST_NOINPUT || c->config->machine != NULL
               ? st
               : FAIL(st, "%s: machine: %s%s", c->config->experiment,
                      status_text(), looked_for(c, st, c->e.machine));
}

/* A comparison takes long: what can be known to be wrong is said before it
 * starts. */
static status check_all(comparing *c)
{
    TRY(newfile_check(c->config->out));
    TRY(check_configs(c));
    TRY(check_apart(c));
    TRY(check_data(c));
    int left = 0;
    for (int i = 0; i < c->e.nmodels; i++) {
        TRY(check_judge(c, i, &left));
    }
    return check_machine(c);
}

/* Beside the output: that folder can be written to. */
static status choose_run_path(comparing *c)
{
    const int size = (int)sizeof(c->run_path);
    for (int i = 0; i < 1000; i++) {
        int n = snprintf(c->run_path, sizeof(c->run_path), "%s.run-%d%s%.0d.h5",
                         c->config->out, (int)getpid(), i > 0 ? "-" : "", i);
        if (n < 0 || n >= size) {
            break;
        }
        if (!text_path_exists(c->run_path)) {
            return ST_OK;
        }
    }
    c->run_path[0] = '\0'; /* it is not ours to remove */
    return FAIL(ST_CANTCREATE, "%s: there is no free name beside it",
                c->config->out);
}

static void say_weights(const comparing *c)
{
    for (int i = 0; i < c->e.nmodels; i++) {
        strbuf text = {0};
        if (arch_weights_beside(c->e.models[i], &text) == ST_OK &&
            text.len > 0) {
            log_warn("%s is not read: a comparison starts from the seed",
                     strbuf_view(&text));
        }
        strbuf_fini(&text);
    }
}

static status begin(comparing *c)
{
    TRY(experiment_open(c->config->experiment, &c->e));
    if (c->config->machine != NULL) {
        c->e.machine = c->config->machine;
    }
    if (c->config->data != NULL) {
        c->e.data = c->config->data;
    }
    TRY(check_all(c));
    TRY(newfile_claim_take(c->config->out, 0, &c->claim));
    const bool older = text_path_exists(c->config->out);
    TRY(choose_run_path(c));
    TRY(comparison_create(c->config->out, c->config->cmdline, host_commit(),
                          c->e.text, &c->file));
    if (older) {
        log_out("results are in %s.part until all is done, the older %s stays "
                "until then\n",
                c->config->out, c->config->out);
    }
    say_weights(c);
    /* One rate for all rows: the machine's best just now. */
    c->cores = threads_usable();
    c->matmul_rate = host_matmul_rate(c->cores, 2048, 5);
    log_out("%s on %s; host: %d cores, matmul %.1f GF/s\n",
            c->config->experiment, c->e.data, c->cores, c->matmul_rate * 1e-9);
    if (c->config->ranks_max > 0) {
        log_out("set-ups run on the first ranks of this job of %d; their "
                "first step counts no launch\n",
                c->config->ranks_max);
    }
    return ST_OK;
}

/* Closes the file; of a comparison that has ended early it says what became
 * of the rows so far. */
static status end(comparing *c, status st)
{
    const char *at = c->file != NULL ? comparison_path(c->file) : NULL;
    if (st == ST_OK) {
        return comparison_close(&c->file, true);
    }
    if (at != NULL && text_ends(at, ".part")) {
        st = FAIL(st, "%s; %s is as it was, the set-ups so far are in %s",
                  status_text(), c->config->out, at);
    } else if (at != NULL && st == ST_SIGNAL) {
        st = FAIL(st, "%s; the set-ups so far are in %s", status_text(), at);
    }
    char why[STATUS_TEXT_MAX];
    (void)snprintf(why, sizeof(why), "%s", status_text());
    if (comparison_close(&c->file, false) != ST_OK) {
        return status_set(st, why);
    }
    return st;
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
    if (c->run_path[0] != '\0') {
        (void)unlink(c->run_path);
    }
    st = end(c, st);
    if (st == ST_OK && (c->failed > 0 || c->disagree > 0)) {
        st = FAIL(c->disagree > 0 ? ST_INTERNAL : (status)c->why,
                  "%d set-ups failed, %d disagree with the judge; see the "
                  "tables",
                  c->failed, c->disagree);
    }
    if (st == ST_OK) {
        compare_print_end(c);
    }
    compare_forget_judge(c);
    newfile_claim_drop(&c->claim);
    experiment_close(&c->e);
    mem_free(c->rows);
    mem_free(c);
    return st;
}
