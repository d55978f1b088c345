/* The report's tables: results, measures, traffic, provenance. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "benchmarks/report_impl.h"
#include "runtime/base/mem.h"
#include "runtime/base/units.h"

/* --- cells ---------------------------------------------------------------- */

static report_cell cell_of(bool is_known, const char *text)
{
    report_cell c;
    (void)snprintf(c.s, sizeof(c.s), "%s", is_known ? text : "–");
    return c;
}

report_cell report_bytes(double bytes)
{
    return cell_of(isfinite(bytes) && bytes >= 0, units_bytes(bytes).s);
}

report_cell report_seconds(double s)
{
    return cell_of(isfinite(s), units_seconds(s).s);
}

report_cell report_count(double n)
{
    return cell_of(isfinite(n), units_count(n).s);
}

report_cell report_whole(int64_t n)
{
    return cell_of(n >= 0, units_int(n).s);
}

report_cell report_real(double x, const char *fmt)
{
    char text[48];
    (void)snprintf(text, sizeof(text), fmt, x);
    return cell_of(isfinite(x), text);
}

/* --- results -------------------------------------------------------------- */

static bool has_prediction(const report_data *d, int model)
{
    const report_setup *s;
    for (int i = 0; (s = report_of_model(d, model, false, i)) != NULL; i++) {
        if (isfinite(s->row.predicted_tokens_per_s)) {
            return true;
        }
    }
    return false;
}

static void result_row(const report_setup *s, bool predicted, strbuf *out)
{
    const comparison_row *r = &s->row;
    html_row(out);
    html_headf(out, "%s", s->label);
    html_cellf(out, "%s", report_whole(r->devices).s);
    html_cellf(out, "%s", report_bytes((double)r->peak_bytes).s);
    html_cellf(out, "%s", report_real(r->loss_first, "%.6f").s);
    html_cellf(out, "%s", report_real(r->loss_last, "%.6f").s);
    bool is_compared = s->trains && r->agreement[0] != '\0';
    html_cellf(out, "%s", is_compared ? r->agreement : "–");
    html_cellf(out, "%s", report_count(r->tokens_per_s).s);
    html_cellf(out, "%s", r->clock[0] != '\0' ? r->clock : "–");
    html_cellf(out, "%s", report_real(100 * r->host_matmul_share, "%.0f %%").s);
    if (predicted) {
        html_cellf(out, "%s", report_count(r->predicted_tokens_per_s).s);
        html_cellf(out, "%s",
                   report_real(100 * r->prediction_error, "%+.1f %%").s);
    }
    html_row_end(out);
}

/* Who did not do what it was asked to, and why. */
static void not_run(const report_data *d, int model, strbuf *out)
{
    const report_setup *s;
    int n = 0;
    for (int i = 0; (s = report_of_model(d, model, true, i)) != NULL; i++) {
        if (s->ran) {
            continue;
        }
        if (n++ == 0) {
            strbuf_add(out, "<h3>Refused, failed or cut short</h3>\n"
                            "<dl class=\"not-run\">\n");
        }
        strbuf_add(out, "<dt>");
        html_text(out, s->label);
        strbuf_add(out, " <span class=\"status\">");
        html_text(out, strcmp(s->row.status, "cut") == 0 ? "cut short"
                                                         : s->row.status);
        strbuf_add(out, "</span></dt><dd>");
        html_text(out, s->row.reasons[0] != '\0' ? s->row.reasons
                                                 : "no reason was recorded");
        strbuf_add(out, "</dd>\n");
    }
    strbuf_add(out, n > 0 ? "</dl>\n" : "");
}

void report_add_summary(const report_data *d, int model, strbuf *page)
{
    static const char *const plain[] = {
        "set-up", "devices",  "memory each", "first loss",     "last loss",
        "agrees", "tokens/s", "clock",       "of matmul rate", NULL};
    static const char *const more[] = {
        "set-up",         "devices",   "memory each", "first loss",
        "last loss",      "agrees",    "tokens/s",    "clock",
        "of matmul rate", "predicted", "time off by", NULL};
    bool predicted = has_prediction(d, model);
    if (d->models[model].ndrawn > 0) {
        html_table(page, "Results", predicted ? more : plain);
        const report_setup *s;
        for (int i = 0; (s = report_of_model(d, model, false, i)) != NULL;
             i++) {
            result_row(s, predicted, page);
        }
        html_table_end(page);
        strbuf_add(page,
                   "<p class=\"small\"><b>clock</b>: wall time, or CPU time "
                   "of all ranks where they share cores. <b>of matmul "
                   "rate</b>: model flop/s over the rate of the host's matrix "
                   "products. <b>agrees</b>: every loss and gradient norm has "
                   "the bits of the judge, one rank that holds everything.");
        strbuf_add(page, predicted ? " <b>predicted</b>: for products at the "
                                     "pace they had in the steps.</p>\n"
                                   : "</p>\n");
    }
    not_run(d, model, page);
}

/* --- measures ------------------------------------------------------------- */

static void decisions(const report_setup *s, strbuf *out)
{
    for (int i = 0; i < s->run.setup.ndecisions; i++) {
        const run_decision *k = &s->run.setup.decisions[i];
        html_row(out);
        html_headf(out, "%s", s->label);
        html_wordsf(out, "%s", k->key);
        html_wordsf(out, "%s", k->value);
        html_wordsf(out, "%s", k->rules);
        html_row_end(out);
    }
}

void report_add_measures(const report_data *d, int model, strbuf *page)
{
    static const char *const heads[] = {
        "set-up",           "decisions",       "programs",
        "groups of ranks",  "messages a step", "sent a step",
        "first step after", "switch to next",  NULL};
    static const char *const keys[] = {"set-up", "key", "value",
                                       "rules that it takes part in", NULL};
    const report_setup *s;
    if (d->models[model].ndrawn == 0) {
        return;
    }
    html_table(page, "What each set-up takes", heads);
    for (int i = 0; (s = report_of_model(d, model, false, i)) != NULL; i++) {
        const comparison_row *r = &s->row;
        html_row(page);
        html_headf(page, "%s", s->label);
        html_cellf(page, "%s", report_whole(r->decisions).s);
        html_cellf(page, "%s", report_whole(r->programs).s);
        html_cellf(page, "%s", report_whole(r->communicators).s);
        html_cellf(page, "%s", report_whole(r->messages).s);
        html_cellf(page, "%s",
                   report_bytes(r->pipe_bytes + r->tensor_bytes +
                                r->data_bytes + r->tie_bytes + r->world_bytes)
                       .s);
        html_cellf(page, "%s", report_seconds(r->first_step_s).s);
        html_cellf(page, r->switch_distance >= 0 ? "%s chars" : "%s",
                   report_whole(r->switch_distance).s);
        html_row_end(page);
    }
    html_table_end(page);
    strbuf_add(page, "<details><summary>Every decision, and the rules it "
                     "takes part in</summary>\n");
    html_table(page, "Decisions", keys);
    for (int i = 0; (s = report_of_model(d, model, false, i)) != NULL; i++) {
        decisions(s, page);
    }
    html_table_end(page);
    strbuf_add(page, "</details>\n");
}

/* --- traffic -------------------------------------------------------------- */

enum { BLOCKS_MAX = 12 };

/* Which of n blocks of ranks a rank is in; ranks in order, sizes equal but
 * the last. */
static int block_of(int rank, int each)
{
    return rank / each;
}

static void block_name(strbuf *out, int block, int each, int ranks)
{
    int first = block * each;
    int last = first + each - 1 < ranks ? first + each - 1 : ranks - 1;
    strbuf_printf(out, first == last ? "%d" : "%d–%d", first, last);
}

static void matrix(const report_setup *s, const double *bytes, int blocks,
                   int each, strbuf *out)
{
    int ranks = (int)s->run.nranks;
    double most = 0;
    for (int i = 0; i < blocks * blocks; i++) {
        most = fmax(most, bytes[i]);
    }
    strbuf_add(out, "<div class=\"box\" tabindex=\"0\"><table "
                    "class=\"matrix\"><caption>");
    html_textf(out, "%s: bytes a step from rank (row) to rank (column)",
               s->label);
    strbuf_add(out, "</caption>\n<thead><tr><th scope=\"col\">from \\ to</th>");
    for (int k = 0; k < blocks; k++) {
        strbuf_add(out, "<th scope=\"col\">");
        block_name(out, k, each, ranks);
        strbuf_add(out, "</th>");
    }
    strbuf_add(out, "</tr></thead>\n<tbody>\n");
    for (int i = 0; i < blocks; i++) {
        strbuf_add(out, "<tr><th scope=\"row\">");
        block_name(out, i, each, ranks);
        strbuf_add(out, "</th>");
        for (int k = 0; k < blocks; k++) {
            double b = bytes[i * blocks + k];
            int heat = b > 0 ? 1 + (int)(8.999 * b / most) : 0;
            strbuf_printf(out, "<td class=\"h%d\">%s</td>", heat,
                          b > 0 ? units_bytes(b).s : "·");
        }
        strbuf_add(out, "</tr>\n");
    }
    strbuf_add(out, "</tbody></table></div>\n");
}

static status add_matrix(const report_setup *s, strbuf *out)
{
    int ranks = (int)s->run.nranks;
    int each = (ranks + BLOCKS_MAX - 1) / BLOCKS_MAX;
    int blocks = (ranks + each - 1) / each;
    double *bytes = NULL;
    TRY(MEM_NEW(&bytes, blocks * blocks, "report"));
    for (int64_t i = 0; i < s->run.ntraffic; i++) {
        const run_traffic *t = &s->run.traffic[i];
        if (t->from >= 0 && t->from < ranks && t->to >= 0 && t->to < ranks) {
            bytes[block_of(t->from, each) * blocks + block_of(t->to, each)] +=
                (double)t->bytes / (double)s->run.traffic_steps;
        }
    }
    matrix(s, bytes, blocks, each, out);
    mem_free(bytes);
    return ST_OK;
}

status report_add_traffic(const report_data *d, int model, strbuf *page)
{
    const report_setup *s;
    int n = 0;
    for (int i = 0; (s = report_of_model(d, model, false, i)) != NULL; i++) {
        if (s->run.nranks < 2 || s->run.ntraffic == 0 ||
            s->run.traffic_steps == 0) {
            continue;
        }
        if (n++ == 0) {
            strbuf_add(
                page,
                "<h3>Who sends how much to whom</h3>\n<p class="
                "\"small\">Counted by the sender, mean over the steps "
                "since the run began or was resumed; a sum over all ranks "
                "counts as a ring, to "
                "the next rank. Stronger colour is more, within a table.</p>\n"
                "<div class=\"grid\">\n");
        }
        TRY(add_matrix(s, page));
    }
    strbuf_add(page, n > 0 ? "</div>\n" : "");
    return ST_OK;
}

/* --- provenance ----------------------------------------------------------- */

static void say(strbuf *out, const char *what, const char *value)
{
    strbuf_add(out, "<dt>");
    html_text(out, what);
    strbuf_add(out, "</dt><dd>");
    html_text(out, value[0] != '\0' ? value : "not known");
    strbuf_add(out, "</dd>\n");
}

static void say_host(const run_host *h, strbuf *out)
{
    char text[80];
    say(out, "machine", h->hostname);
    (void)snprintf(text, sizeof(text), "%d usable cores", h->cores);
    say(out, "processor", h->cpu);
    say(out, "cores", text);
    (void)snprintf(text, sizeof(text), "%.1f Gflop/s on %d thread%s",
                   h->matmul_gflops, h->threads, h->threads == 1 ? "" : "s");
    say(out, "matrix products", text);
    say(out, "BLAS", h->blas);
    say(out, "MPI", h->mpi);
    say(out, "HDF5", h->hdf5);
}

/* The first set-up of a file that knows its machine. */
static const report_setup *host_of(const report_data *d, int file)
{
    for (int i = 0; i < d->nsetups; i++) {
        if (d->setups[i].file == file && d->setups[i].run.has_host) {
            return &d->setups[i];
        }
    }
    return NULL;
}

static void command_lines(const report_data *d, int file, strbuf *out)
{
    static const char *const heads[] = {"set-up", "command", NULL};
    html_table(out, "Commands", heads);
    for (int i = 0; i < d->nsetups; i++) {
        const report_setup *s = &d->setups[i];
        if (s->file == file && s->has_run) {
            html_row(out);
            html_headf(out, "%s %s", s->row.model, s->label);
            html_wordsf(out, "%s", s->run.info.cmdline);
            html_row_end(out);
        }
    }
    html_table_end(out);
}

void report_add_provenance(const report_data *d, strbuf *page)
{
    strbuf_add(page, "<section id=\"provenance\">\n<h2>Where the numbers come "
                     "from</h2>\n");
    for (int i = 0; i < d->nfiles; i++) {
        const report_file *f = &d->files[i];
        const report_setup *s = host_of(d, i);
        strbuf_add(page, "<h3>");
        html_text(page, f->name);
        strbuf_add(page, "</h3>\n<dl class=\"facts\">\n");
        say(page, "what", f->is_comparison ? "a comparison" : "a run");
        say(page, "created", f->created);
        say(page, "command", f->cmdline);
        say(page, "commit", f->commit);
        if (s != NULL) {
            say_host(&s->run.host, page);
        }
        strbuf_add(page, "</dl>\n");
        if (f->is_comparison) {
            strbuf_add(page, "<details><summary>The command of each set-up"
                             "</summary>\n");
            command_lines(d, i, page);
            strbuf_add(page, "</details>\n");
        }
    }
    strbuf_add(page, "</section>\n");
}
