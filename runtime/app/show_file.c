/* Files: checkpoints, runs and comparisons (HDF5), and data. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "benchmarks/html.h"
#include "runtime/app/show.h"
#include "runtime/base/hash.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/base/sort.h"
#include "runtime/base/text.h"
#include "runtime/base/units.h"
#include "runtime/gpt/params.h"
#include "runtime/io/h5.h"
#include "runtime/io/tokens.h"
#include "runtime/results/checkpoint.h"
#include "runtime/results/comparison.h"
#include "runtime/results/runfile.h"

/* A number that may not have been measured. */
typedef struct cell {
    char s[40];
} cell;

static cell of_double(double x, const char *fmt)
{
    cell c = {"-"};
    if (!isnan(x)) {
        snprintf(c.s, sizeof(c.s), fmt, x);
    }
    return c;
}

static cell of_i64(int64_t n)
{
    cell c = {"-"};
    if (n >= 0) {
        snprintf(c.s, sizeof(c.s), "%s", units_int(n).s);
    }
    return c;
}

static cell of_seconds(double s)
{
    cell c = {"-"};
    if (!isnan(s)) {
        snprintf(c.s, sizeof(c.s), "%s", units_seconds(s).s);
    }
    return c;
}

static cell of_bytes(int64_t n)
{
    cell c = {"-"};
    if (n >= 0) {
        snprintf(c.s, sizeof(c.s), "%s", units_bytes((double)n).s);
    }
    return c;
}

static const char *or_unknown(const char *text)
{
    return text != NULL && text[0] != '\0' ? text : "not known";
}

/* --- checkpoints ------------------------------------------------------- */

static const char *const states[] = {"/weights", "/adam_m", "/adam_v"};
enum { STATES = sizeof(states) / sizeof(states[0]) };

static status add_tensor(const h5_file *f, const char *group, int64_t i,
                         bool verify, int64_t *floats)
{
    char name[H5_NAME_SIZE];
    char path[H5_NAME_SIZE + 16];
    h5_info info;
    TRY(h5_group_member(f, group, i, name));
    snprintf(path, sizeof(path), "%s/%s", group, name);
    TRY(h5_data_info(f, path, &info));
    *floats += info.count;
    return verify ? h5_checksum_verify(f, path) : ST_OK;
}

static status show_tensors(const h5_file *f, bool verify)
{
    int64_t all = 0;
    show_head("tensors");
    for (int s = 0; s < STATES; s++) {
        int64_t n = 0;
        int64_t floats = 0;
        if (!h5_has(f, states[s])) {
            continue;
        }
        TRY(h5_group_count(f, states[s], &n));
        for (int64_t i = 0; i < n; i++) {
            TRY(add_tensor(f, states[s], i, verify, &floats));
        }
        show_field(states[s] + 1, "%lld tensors, %s values, %s", (long long)n,
                   units_int(floats).s, units_bytes(4.0 * (double)floats).s);
        all += n;
    }
    if (verify) {
        show_field("checksums", "all %lld right", (long long)all);
    } else {
        show_field("checksums", "not looked at, --verify does");
    }
    return ST_OK;
}

static void show_ckpt_info(const char *path, const ckpt_info *i)
{
    log_out("%s: a checkpoint of %s after %s steps\n", path, i->model,
            units_int(i->step).s);
    show_head("info");
    show_field("model", "%s, %d layers", i->model, i->layers);
    show_field("model hash", "%016" PRIx64, i->arch_hash);
    show_field("contents", "%s",
               i->weights_only ? "weights alone: for --init"
                               : "weights and moments: for --resume, --init");
    show_field("written by", "%s", or_unknown(i->software));
    if (i->data_leaves == 0) {
        show_field("run", "none: it was converted");
        return;
    }
    show_field("steps", "%s, %s tokens", units_int(i->step).s,
               units_int(i->tokens).s);
    show_field("batch", "%lld sequences of %lld tokens", (long long)i->batch,
               (long long)i->seq);
    show_field("seed", "%llu", (unsigned long long)i->seed);
    show_field("sums", "%s, leaves: data %d, tensor %d",
               i->exact_sums ? "exact" : "fast", i->data_leaves,
               i->tensor_leaves);
    show_field("data", "%s, hash %016" PRIx64, or_unknown(i->data_path),
               i->data_hash);
}

static status show_checkpoint(const char *path, const show_args *a)
{
    ckpt_info info;
    h5_file *f = NULL;
    TRY(ckpt_peek(path, &info));
    show_ckpt_info(path, &info);
    ckpt_info_fini(&info);
    TRY(h5_open(path, &f));
    status st = show_tensors(f, a->verify);
    status closed = h5_close(&f);
    return st != ST_OK ? st : closed;
}

/* --- runs -------------------------------------------------------------- */

/* Median wall time of the steps after the first, NaN if there are none. */
static double median_step(const run_summary *s)
{
    double *list = NULL;
    if (s->nsteps < 2 || MEM_NEW(&list, s->nsteps, "show") != ST_OK) {
        return NAN;
    }
    int64_t n = 0;
    for (int64_t i = 1; i < s->nsteps; i++) {
        if (!isnan(s->steps[i].wall_s)) {
            list[n++] = s->steps[i].wall_s;
        }
    }
    double median = sort_median(list, n);
    mem_free(list);
    return median;
}

static void show_run_info(const run_info *i)
{
    show_head("info");
    show_field("model", "%s, %s parameters", or_unknown(i->model),
               of_i64(i->parameters).s);
    show_field("set-up", "%s on %d rank%s%s", or_unknown(i->plan), i->ranks,
               i->ranks == 1 ? "" : "s",
               i->oversubscribed ? ", which share cores" : "");
    show_field("batch", "%lld sequences of %lld tokens", (long long)i->batch,
               (long long)i->seq);
    show_field("seed", "%llu", (unsigned long long)i->seed);
    show_field("sums", "%s, leaves: data %d, tensor %d",
               i->exact_sums ? "exact" : "fast", i->data_leaves,
               i->tensor_leaves);
    show_field("created", "%s", or_unknown(i->created));
    show_field("command", "%s", or_unknown(i->cmdline));
}

static void show_steps(const run_summary *s)
{
    show_head("steps");
    show_field("steps", "%lld", (long long)s->nsteps);
    if (s->nsteps == 0) {
        return;
    }
    const run_step *first = &s->steps[0];
    const run_step *last = &s->steps[s->nsteps - 1];
    double wall = median_step(s);
    double rate = (double)s->info.batch * (double)s->info.seq / wall;
    show_field("loss", "%s in step %lld, %s in step %lld",
               of_double(first->loss, "%.6f").s, (long long)first->step + 1,
               of_double(last->loss, "%.6f").s, (long long)last->step + 1);
    if (s->nvalidations > 0) {
        const run_validation *v = &s->validations[s->nvalidations - 1];
        show_field("validation loss", "%s after step %lld",
                   of_double(v->loss, "%.6f").s, (long long)v->step);
    }
    show_field("first step", "%s", of_seconds(first->wall_s).s);
    if (!isnan(wall)) {
        show_field("later steps", "%s, median; %s tokens/s, %sflop/s",
                   of_seconds(wall).s, units_count(rate).s,
                   units_count(rate * s->info.flops_per_token).s);
    }
}

static void show_ledger(const run_ledger *l)
{
    double sum =
        l->compute + l->load + l->comm + l->bubble + l->optimizer + l->other;
    if (!(sum > 0)) {
        return;
    }
    double percent = 100 / sum;
    show_field("time went to",
               "compute %.1f %%, load %.1f %%, communication %.1f %%",
               l->compute * percent, l->load * percent, l->comm * percent);
    show_field("", "bubble %.1f %%, optimizer %.1f %%, other %.1f %%",
               l->bubble * percent, l->optimizer * percent, l->other * percent);
}

static void show_rank_rows(const run_summary *s)
{
    show_head("ranks");
    show_field("bytes moved", "in %lld step%s", (long long)s->ranks_steps,
               s->ranks_steps == 1 ? "" : "s");
    log_out("  %6s%8s%12s%12s%12s%12s%12s\n", "rank", "threads", "planned",
            "loaded", "drained", "sent", "received");
    for (int64_t r = 0; r < s->nranks; r++) {
        const run_rank *k = &s->ranks[r];
        int64_t sent = 0;
        int64_t received = 0;
        for (int g = 0; g < GROUP_COUNT; g++) {
            sent += k->sent_bytes[g] > 0 ? k->sent_bytes[g] : 0;
            received += k->received_bytes[g] > 0 ? k->received_bytes[g] : 0;
        }
        log_out("  %6d%8d%12s%12s%12s%12s%12s\n", k->rank, k->threads,
                of_bytes(k->peak_bytes).s, of_bytes(k->loaded_bytes).s,
                of_bytes(k->drained_bytes).s, of_bytes(sent).s,
                of_bytes(received).s);
    }
}

static void show_run_setup(const run_setup *s)
{
    show_head("set-up");
    for (int i = 0; i < s->ndecisions; i++) {
        show_field(i == 0 ? "decisions" : "", "%s = %s (%s)",
                   s->decisions[i].key, s->decisions[i].value,
                   s->decisions[i].rules);
    }
    if (s->ndecisions == 0) {
        show_field("decisions", "none");
    }
    show_field("programs", "%s", of_i64(s->programs).s);
    show_field("communicators", "%s", of_i64(s->communicators).s);
    show_field("messages", "%s a step, %s", of_i64(s->messages).s,
               units_bytes(s->bytes).s);
    show_field("before step 1",
               "launch %s, planning %s, communicators %s, "
               "weights %s",
               of_seconds(s->launch_s).s, of_seconds(s->planning_s).s,
               of_seconds(s->communicators_s).s, of_seconds(s->weights_s).s);
}

static void show_host(const run_host *h)
{
    show_head("host");
    show_field("machine", "%s, %s, %d cores", or_unknown(h->hostname),
               or_unknown(h->cpu), h->cores);
    show_field("libraries", "%s; %s; HDF5 %s", or_unknown(h->blas),
               or_unknown(h->mpi), or_unknown(h->hdf5));
    show_field("matrix product", "%s Gflop/s on %d threads",
               of_double(h->matmul_gflops, "%.1f").s, h->threads);
}

static status show_prediction(const run_prediction *p)
{
    strbuf text = {0};
    run_prediction_text(p, &text);
    status st = strbuf_check(&text);
    log_out("%s", strbuf_view(&text));
    strbuf_fini(&text);
    return st;
}

static status show_run(const char *path)
{
    run_summary s;
    TRY(runfile_read(path, &s));
    log_out("%s: a run of %s, %s\n", path, or_unknown(s.info.model),
            s.info.complete ? "complete" : "not complete");
    show_run_info(&s.info);
    show_steps(&s);
    show_ledger(&s.ledger);
    if (s.nranks > 0) {
        show_rank_rows(&s);
    }
    if (s.has_setup) {
        show_run_setup(&s.setup);
    }
    if (s.has_host) {
        show_host(&s.host);
    }
    status st = s.has_prediction ? show_prediction(&s.prediction) : ST_OK;
    if (s.ntrace > 0) {
        show_head("trace");
        show_field("operations", "%s, of step %lld", units_int(s.ntrace).s,
                   (long long)s.trace_step + 1);
    }
    run_summary_fini(&s);
    return st;
}

/* --- comparisons ------------------------------------------------------- */

/* `width`: characters of the longest name, so that all of them are whole. */
static void show_row(const comparison_row *r, int width)
{
    cell rate = {"-"};
    if (!isnan(r->tokens_per_s)) {
        snprintf(rate.s, sizeof(rate.s), "%s", units_count(r->tokens_per_s).s);
    }
    log_out("  %s%*s %-8s%5s%10s%9s%10s%8s%5s%9s\n", r->name,
            width - (int)html_length(r->name), "", r->status,
            of_i64(r->devices).s, of_bytes(r->peak_bytes).s, rate.s,
            of_double(r->loss_last, "%.6f").s,
            r->agreement[0] != '\0' ? r->agreement : "-",
            of_i64(r->decisions).s, of_seconds(r->first_step_s).s);
}

static void show_rows(const comparison_row *rows, int64_t n)
{
    int width = 17;
    for (int64_t i = 0; i < n; i++) {
        int len = (int)html_length(rows[i].name);
        width = len > width ? len : width;
    }
    for (int64_t i = 0; i < n; i++) {
        if (i == 0 || strcmp(rows[i].model, rows[i - 1].model) != 0) {
            show_head("%s", rows[i].model);
            log_out("  %-*s %-8s%5s%10s%9s%10s%8s%5s%9s\n", width, "set-up", "",
                    "ranks", "memory", "tokens/s", "last loss", "bits", "keys",
                    "1st step");
        }
        show_row(&rows[i], width);
    }
    bool any = false;
    for (int64_t i = 0; i < n; i++) {
        if (rows[i].reasons[0] != '\0') {
            if (!any) {
                show_head("refused or failed");
            }
            any = true;
            show_field(rows[i].name, "%s", rows[i].reasons);
        }
    }
}

static status show_comparison(const char *path)
{
    comparison_row *rows = NULL;
    int64_t n = 0;
    TRY(comparison_read(path, &rows, &n));
    for (int64_t i = 0; i < n; i++) {
        html_clean(rows[i].name);
        html_clean(rows[i].status);
        html_clean(rows[i].agreement);
    }
    log_out("%s: a comparison of %lld set-up%s\n", path, (long long)n,
            n == 1 ? "" : "s");
    show_rows(rows, n);
    mem_free(rows);
    return ST_OK;
}

/* --- which of them ----------------------------------------------------- */

static status format_of(const char *path, char **out)
{
    h5_file *f = NULL;
    TRY(h5_open(path, &f));
    status st = h5_attr_get_text(f, "/", "format", "", out);
    status closed = h5_close(&f);
    return st != ST_OK ? st : closed;
}

status show_hdf5(const char *what, const show_args *a)
{
    char *format = NULL;
    TRY(format_of(what, &format));
    bool checkpoint = strcmp(format, "weft-checkpoint") == 0;
    status st = ST_OK;
    if (a->verify && !checkpoint) {
        st = FAIL(ST_USAGE,
                  "show: --verify is for checkpoints, %s is none; leave it "
                  "out",
                  what);
    } else if (checkpoint) {
        st = show_checkpoint(what, a);
    } else if (strcmp(format, "weft-run") == 0) {
        st = show_run(what);
    } else if (strcmp(format, "weft-comparison") == 0) {
        st = show_comparison(what);
    } else {
        st = FAIL(ST_BADFILE,
                  "%s: is an HDF5 file, but its format is \"%.*s\", known "
                  "are weft-checkpoint, weft-run and weft-comparison",
                  what, text_fit(format, 60), format);
    }
    mem_free(format);
    return st;
}

/* --- data -------------------------------------------------------------- */

static status show_windows(const tokens *t, int64_t seq)
{
    tokens_split split;
    TRY(tokens_split_make(tokens_count(t), seq, 0.1, &split));
    show_field("sequences", "%s of %lld tokens to train on, %s to validate",
               units_int(split.train_windows).s, (long long)seq,
               units_int(split.val_windows).s);
    return ST_OK;
}

static status show_fit(const tokens *t, const char *model)
{
    arch a;
    TRY(arch_open(model, &a));
    TRY(tokens_check(t, a.V));
    show_field("fits", "%s, vocabulary %d", a.name, a.V);
    return ST_OK;
}

status show_data(const char *what, const show_args *a)
{
    tokens *t = NULL;
    TRY(tokens_open(what, &t));
    tokens_warn(t);
    const int64_t top = tokens_max(t);
    status st = top < INT32_MAX ? ST_OK : tokens_check(t, INT32_MAX);
    if (st != ST_OK) {
        tokens_close(t); /* nothing can be trained on it */
        return st;
    }
    log_out("%s: data, %s\n", what, tokens_kind_name(t));
    show_field("tokens", "%s", units_int(tokens_count(t)).s);
    show_field("largest token", "%s: a vocabulary of %s or more",
               units_int(top).s, units_int(top + 1).s);
    show_field("hash", "%016" PRIx64, tokens_hash(t));
    st = a->seq > 0 ? show_windows(t, a->seq) : ST_OK;
    if (st == ST_OK && a->model != NULL) {
        st = show_fit(t, a->model);
    }
    tokens_close(t);
    return st;
}
