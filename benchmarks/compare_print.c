/* The tables of a comparison on the terminal. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "benchmarks/compare_impl.h"
#include "benchmarks/table.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/base/units.h"

status compare_keep(comparing *c, const comparison_row *row)
{
    TRY(mem_resize((size_t)c->nrows + 1, sizeof(*c->rows), "compare",
                   (void **)&c->rows));
    c->rows[c->nrows++] = *row;
    return ST_OK;
}

static bool of_model(const comparing *c, const comparison_row *r, int model)
{
    return strcmp(r->model, c->e.names[model]) == 0;
}

static bool ran(const comparison_row *r)
{
    return strcmp(r->status, "ok") == 0;
}

/* What has no promise of equal bits, by experiment_bits. */
static const char *const loose[EXPERIMENT_BITS_COUNT] = {
    "", "fast sums", "store null", "other kernels"};

void compare_print_row(const comparing *c, int index, const comparison_row *row)
{
    if (!ran(row)) {
        log_out("%s %s: %s\n", row->model, row->name, row->status);
        return;
    }
    const experiment_bits bits = experiment_promise(&c->e, index);
    log_out("%s %s: loss %.6f -> %.6f, ", row->model, row->name,
            row->loss_first, row->loss_last);
    if (strcmp(row->agreement, "no") != 0) {
        log_out("the judge's bits\n");
    } else if (bits != EXPERIMENT_SAME) {
        log_out("%s, differs by at most %.2g\n", loose[bits],
                row->loss_difference);
    } else {
        log_out("NOT the judge's\n");
    }
}

/* The judge's losses, ten at most; what agrees with it has the same. */
static void curve(const comparing *c, strbuf *out)
{
    int64_t n = c->judge_steps;
    int64_t shown = n < 10 ? n : 10;
    strbuf_add(out, "loss");
    for (int64_t i = 0; i < shown; i++) {
        int64_t step = shown > 1 ? i * (n - 1) / (shown - 1) : 0;
        strbuf_printf(out, "  %lld: %.4f", (long long)step + 1,
                      c->judge_loss[step]);
    }
    strbuf_add(out, "\n\n");
}

static const char *const results_heads[] = {
    "set-up",   "devices", "memory each", "first loss", "last loss", "agrees",
    "tokens/s", "clock",   "GF/s",        "of matmul",  NULL};

static void fill_results(table *t, const comparison_row *r)
{
    table_set(t, 1, "%d", r->devices);
    table_set(t, 2, "%s", units_bytes((double)r->peak_bytes).s);
    table_set(t, 3, "%.6f", r->loss_first);
    table_set(t, 4, "%.6f", r->loss_last);
    table_set(t, 5, "%s", r->agreement);
    table_set(t, 6, "%s", units_count(r->tokens_per_s).s);
    table_set(t, 7, "%s", r->clock);
    table_set(t, 8, "%.1f", r->flop_per_s * 1e-9);
    table_set(t, 9, "%.0f %%", 100 * r->host_matmul_share);
}

static void percent(table *t, int col, double share)
{
    table_set(t, col, "%.1f", 100 * share);
}

static const char *const times_heads[] = {
    "% of step time", "compute", "load",          "comm",      "bubble",
    "optimizer",      "other",   "streamed/step", "sent/step", NULL};

static void fill_times(table *t, const comparison_row *r)
{
    percent(t, 1, r->compute_share);
    percent(t, 2, r->load_share);
    percent(t, 3, r->comm_share);
    percent(t, 4, r->bubble_share);
    percent(t, 5, r->optimizer_share);
    percent(t, 6, r->other_share);
    table_set(t, 7, "%s", units_bytes(r->loaded_bytes + r->drained_bytes).s);
    table_set(t, 8, "%s",
              units_bytes(r->world_bytes + r->pipe_bytes + r->tensor_bytes +
                          r->data_bytes + r->tie_bytes)
                  .s);
}

static const char *const prediction_heads[] = {
    "prediction",       "tokens/s",         "predicted", "clock",
    "step time off by", "pace of products", NULL};

/* "-" where there is no prediction (of store null, say), or where a run of one
 * step has nothing that was timed. */
static void set_share(table *t, int column, const char *form, double share)
{
    if (isnan(share)) {
        table_set(t, column, "-");
    } else {
        table_set(t, column, form, 100 * share);
    }
}

static void set_rate(table *t, int column, double rate)
{
    table_set(t, column, "%s", isnan(rate) ? "-" : units_count(rate).s);
}

static void fill_prediction(table *t, const comparison_row *r)
{
    set_rate(t, 1, r->tokens_per_s);
    set_rate(t, 2, r->predicted_tokens_per_s);
    table_set(t, 3, "%s", r->clock);
    set_share(t, 4, "%+.1f %%", r->prediction_error);
    set_share(t, 5, "%.0f %%", r->prediction_pace);
}

static const char *const measures_heads[] = {
    "set-up measures", "decisions",  "programs",       "groups",
    "messages/step",   "first step", "switch to next", NULL};

static void fill_measures(table *t, const comparison_row *r)
{
    table_set(t, 1, "%lld", (long long)r->decisions);
    table_set(t, 2, "%lld", (long long)r->programs);
    table_set(t, 3, "%lld", (long long)r->communicators);
    table_set(t, 4, "%lld", (long long)r->messages);
    table_set(t, 5, "%.2f s", r->first_step_s);
    if (r->switch_distance >= 0) {
        table_set(t, 6, "%lld chars", (long long)r->switch_distance);
    } else {
        table_set(t, 6, "-");
    }
}

/* A table of the model's set-ups that ran: name first, the rest by `fill`. */
static status add_table(const comparing *c, int model, const char *const *heads,
                        void (*fill)(table *, const comparison_row *),
                        strbuf *out)
{
    table t;
    TRY(table_init(&t, heads));
    for (int i = 0; i < c->nrows; i++) {
        const comparison_row *r = &c->rows[i];
        if (of_model(c, r, model) && ran(r)) {
            table_row(&t);
            table_set(&t, 0, "%s", r->name);
            fill(&t, r);
        }
    }
    table_print(&t, out);
    table_fini(&t);
    strbuf_add(out, "\n");
    return ST_OK;
}

static void refusals(const comparing *c, int model, strbuf *out)
{
    for (int i = 0; i < c->nrows; i++) {
        const comparison_row *r = &c->rows[i];
        if (of_model(c, r, model) && !ran(r)) {
            strbuf_printf(out, "%s: %s: %s\n", r->name, r->status, r->reasons);
        }
    }
}

static status add_tables(const comparing *c, int model, strbuf *out)
{
    curve(c, out);
    TRY(add_table(c, model, results_heads, fill_results, out));
    TRY(add_table(c, model, times_heads, fill_times, out));
    if (c->e.machine != NULL) {
        TRY(add_table(c, model, prediction_heads, fill_prediction, out));
    }
    return add_table(c, model, measures_heads, fill_measures, out);
}

status compare_print_model(const comparing *c, int model)
{
    strbuf out = {0};
    strbuf_printf(&out, "\n%s\n\n", c->e.names[model]);
    status st = c->no_room[model] ? ST_OK : add_tables(c, model, &out);
    refusals(c, model, &out);
    if (st == ST_OK) {
        st = strbuf_check(&out);
    }
    log_out("%s", strbuf_view(&out));
    strbuf_fini(&out);
    return st;
}

void compare_print_end(const comparing *c)
{
    log_out("%d set-up%s with the judge bit for bit", c->agree,
            c->agree == 1 ? " agrees" : "s agree");
    for (int i = EXPERIMENT_SAME + 1; i < EXPERIMENT_BITS_COUNT; i++) {
        if (c->loose[i] > 0) {
            log_out(", %d with %s differ%s by at most %.3g", c->loose[i],
                    loose[i], c->loose[i] == 1 ? "s" : "", c->differs[i]);
        }
    }
    log_out("; wrote %s\n", c->config->out);
}
