/* Stacked bars, a line for each set-up: memory of a device, time of a step,
 * time to the first step. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "benchmarks/report_figure.h"
#include "runtime/base/mem.h"
#include "runtime/base/text.h"
#include "runtime/base/units.h"

enum {
    LETTER = 9, /* width of a letter, about                             */
};

/* --- bars ----------------------------------------------------------------- */

enum { PARTS_MAX = 8 };

/* What bars are made of. */
typedef struct bar_parts {
    int n;
    const char *name[PARTS_MAX];
    plot_colour colour[PARTS_MAX];
} bar_parts;

typedef struct bar {
    /* Beside it; "": none, it belongs to the one above. */
    char name[REPORT_LABEL_SIZE];
    double part[PARTS_MAX];
    char total[64]; /* behind it                                           */
} bar;

/* Heights in lines: a bar without a name is thinner and close to its own. */
static double bar_height(const bar *b)
{
    return b->name[0] != '\0' ? 0.7 : 0.34;
}

static double sum_of(const bar *b, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) {
        sum += b->part[i];
    }
    return sum;
}

/* Boxes of part k, one line each: x, y and the four edges. */
static void add_boxes(const bar *bars, int nbars, const double *y, int k,
                      double scale, strbuf *data)
{
    for (int i = 0; i < nbars; i++) {
        double from = sum_of(&bars[i], k) * scale;
        double to = from + bars[i].part[k] * scale;
        double half = bar_height(&bars[i]) / 2;
        if (to > from) {
            strbuf_printf(data, "%.7g %.3f %.7g %.7g %.3f %.3f\n", from, y[i],
                          from, to, y[i] - half, y[i] + half);
        }
    }
    strbuf_add(data, "\n\n");
}

/* Text in place of axis marks, so that no name is taken for a format. */
static void bar_texts(plot_figure *f, const bar *bars, int nbars,
                      const double *y, int nparts, double scale)
{
    for (int i = 0; i < nbars; i++) {
        if (bars[i].name[0] != '\0') {
            strbuf_add(&f->script, "set label ");
            plot_quote(&f->script, bars[i].name, REPORT_NAME_MAX);
            strbuf_printf(&f->script,
                          " at graph 0, first %.3f right offset "
                          "-0.7,0\n",
                          y[i]);
        }
        strbuf_add(&f->script, "set label ");
        plot_quote(&f->script, bars[i].total, sizeof(bars[i].total));
        strbuf_printf(&f->script,
                      " at first %.7g, first %.3f left offset "
                      "0.5,0 font ',%d'\n",
                      sum_of(&bars[i], nparts) * scale, y[i],
                      bars[i].name[0] != '\0' ? 15 : 11);
    }
}

/* Bars from top to bottom, with a legend; `axis` names the unit, values are
 * multiplied by scale. */
static void draw_bars(plot_figure *f, const bar_parts *parts, const bar *bars,
                      int nbars, int name_letters, const char *axis,
                      double scale)
{
    double y[2 * 128];
    double at = 0;
    double most = 0;
    for (int i = 0; i < nbars; i++) {
        at += bars[i].name[0] != '\0' ? (i > 0 ? 1.0 : 0.5) : 0.62;
        y[i] = -at;
        double sum = sum_of(&bars[i], parts->n) * scale;
        most = sum > most ? sum : most;
    }
    report_mark marks[PARTS_MAX] = {0};
    for (int k = 0; k < parts->n; k++) {
        marks[k] = (report_mark){
            .name = parts->name[k], .colour = parts->colour[k], .pixels = 13};
    }
    int above = report_legend_height(f, marks, parts->n);
    f->height = above + 66 + (int)((at + 0.5) * 27);
    report_legend(f, marks, parts->n);
    report_top_margin(f, above + 8);
    strbuf_printf(&f->script,
                  "set bmargin at screen %.4f\nset lmargin at screen %.4f\n"
                  "set rmargin 2\nset border 1\nunset ytics\n"
                  "set grid noytics xtics\nset yrange [%.3f:0]\n"
                  "set xrange [0:%.7g]\nset xlabel ",
                  52.0 / f->height, (name_letters * LETTER + 14.0) / f->width,
                  -at - 0.5, most > 0 ? most * 1.3 : 1);
    plot_quote(&f->script, axis, 60);
    strbuf_add(&f->script, "\nset style fill solid noborder\n");
    bar_texts(f, bars, nbars, y, parts->n, scale);
    for (int k = 0; k < parts->n; k++) {
        add_boxes(bars, nbars, y, k, scale, &f->data);
        strbuf_printf(&f->script,
                      "%s data index %d using 1:2:3:4:5:6 with boxxyerror "
                      "lc rgb '%s'",
                      k == 0 ? "plot" : ", \\\n", k,
                      plot_colours[parts->colour[k]].light);
    }
    strbuf_add(&f->script, "\n");
}

static const char *unit_of(double most, double *scale)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    int k = 0;
    for (*scale = 1; most * *scale >= 1024 && k < 4; k++) {
        *scale /= 1024;
    }
    return units[k];
}

static const char *time_unit(double most, double *scale)
{
    *scale = most < 1e-3 ? 1e6 : most < 1 ? 1e3 : 1;
    return most < 1e-3 ? "microseconds" : most < 1 ? "ms" : "seconds";
}

/* Parts that are zero everywhere are left out of drawing and legend. */
static void drop_empty(bar_parts *parts, bar *bars, int nbars)
{
    int kept = 0;
    for (int k = 0; k < parts->n; k++) {
        double sum = 0;
        for (int i = 0; i < nbars; i++) {
            sum += bars[i].part[k];
        }
        if (!(sum > 0)) {
            continue;
        }
        for (int i = 0; i < nbars; i++) {
            bars[i].part[kept] = bars[i].part[k];
        }
        parts->name[kept] = parts->name[k];
        parts->colour[kept++] = parts->colour[k];
    }
    parts->n = kept;
}

/* Bars as a table; `show` writes a value. */
static void bar_numbers(const char *caption, const bar_parts *parts,
                        const bar *bars, int nbars, report_cell (*show)(double),
                        strbuf *out)
{
    const char *heads[PARTS_MAX + 3] = {"set-up"};
    for (int k = 0; k < parts->n; k++) {
        heads[k + 1] = parts->name[k];
    }
    heads[parts->n + 1] = "together";
    html_table(out, caption, heads);
    for (int i = 0; i < nbars; i++) {
        html_row(out);
        html_headf(out, "%s",
                   bars[i].name[0] != '\0' ? bars[i].name : "predicted");
        for (int k = 0; k < parts->n; k++) {
            html_cellf(out, "%s", show(bars[i].part[k]).s);
        }
        html_cellf(out, "%s", show(sum_of(&bars[i], parts->n)).s);
        html_row_end(out);
    }
    html_table_end(out);
}

/* What a drawing of bars says besides them. */
typedef struct bar_drawing {
    const bar_parts *parts;
    const char *id, *title;
    const char *axis; /* the unit; values are multiplied by scale          */
    double scale;
    const char *caption; /* of the table                                   */
    report_cell (*show)(double);
    const char *note;
} bar_drawing;

/* Draws n > 0 bars, whose empty parts are dropped, and their table; nothing if
 * all are empty. */
static status end_bars(const report_data *d, int model, plotter *p,
                       const bar_drawing *w, bar *bars, int n, strbuf *page)
{
    plot_figure f;
    strbuf numbers = {0};
    bar_parts parts = *w->parts;
    drop_empty(&parts, bars, n);
    if (parts.n == 0) {
        return ST_OK;
    }
    report_figure_init(&f, model, w->id, w->title);
    draw_bars(&f, &parts, bars, n, report_name_length(d, model), w->axis,
              w->scale);
    bar_numbers(w->caption, &parts, bars, n, w->show, &numbers);
    status st = report_figure_end(&f, p, w->note, &numbers, false, page);
    strbuf_fini(&numbers);
    return st;
}

/* --- memory --------------------------------------------------------------- */

const run_rank *report_fullest(const run_summary *r)
{
    const run_rank *most = NULL;
    for (int64_t i = 0; i < r->nranks; i++) {
        if (most == NULL || r->ranks[i].peak_bytes > most->peak_bytes) {
            most = &r->ranks[i];
        }
    }
    return most;
}

/* The last are the bytes that no buffer has at the peak: with them the parts
 * add up to it. */
static const bar_parts memory_parts = {
    BUF_CLASS_COUNT + 1,
    {"parameters", "gradients", "optimizer", "activations", "working", "logits",
     "scratch", "gaps"},
    {PLOT_PARAMETERS, PLOT_GRADIENTS, PLOT_OPTIMIZER, PLOT_ACTIVATIONS,
     PLOT_WORKING, PLOT_LOGITS, PLOT_SCRATCH, PLOT_OTHER}};
_Static_assert(BUF_CLASS_COUNT == 7 && BUF_WEIGHT == 0 && BUF_SCRATCH == 6,
               "memory_parts are the classes of buffers, in their order");

/* In real numbers: a file may have sizes whose sum no whole one holds. */
int64_t report_gaps(const run_rank *r)
{
    double gaps = (double)r->peak_bytes;
    for (int k = 0; k < BUF_CLASS_COUNT; k++) {
        gaps -= (double)r->class_bytes[k];
    }
    return gaps > 0 && gaps < 0x1p63 ? (int64_t)gaps : 0;
}

static void memory_of(const run_rank *r, double part[PARTS_MAX])
{
    for (int k = 0; k < BUF_CLASS_COUNT; k++) {
        part[k] = (double)r->class_bytes[k];
    }
    part[BUF_CLASS_COUNT] = (double)report_gaps(r);
}

status report_draw_memory(const report_data *d, int model, plotter *p,
                          strbuf *page)
{
    bar *bars = NULL;
    int n = 0;
    double most = 0;
    double scale;
    const report_setup *s;
    TRY(MEM_NEW(&bars, d->models[model].ndrawn + 1, "report"));
    for (int i = 0; (s = report_of_model(d, model, false, i)) != NULL; i++) {
        const run_rank *r = report_fullest(&s->run);
        if (r == NULL || n == 128) {
            continue;
        }
        text_copy(bars[n].name, sizeof(bars[n].name), s->label);
        (void)snprintf(bars[n].total, sizeof(bars[n].total), "%s",
                       units_bytes((double)r->peak_bytes).s);
        memory_of(r, bars[n].part);
        most = (double)r->peak_bytes > most ? (double)r->peak_bytes : most;
        n++;
    }
    status st = ST_OK;
    if (n > 0) {
        char axis[40];
        (void)snprintf(axis, sizeof(axis), "%s a device",
                       unit_of(most, &scale));
        bar_drawing w = {
            &memory_parts,
            "memory",
            "Memory of a device.",
            axis,
            scale,
            "Memory of the fullest device at its peak",
            report_bytes,
            "The fullest rank at its planned peak, by what lies there. What a "
            "store holds for a streamed model is not in it: see the next "
            "drawing."};
        st = end_bars(d, model, p, &w, bars, n, page);
    }
    mem_free(bars);
    return st;
}

/* --- time ----------------------------------------------------------------- */

static const bar_parts ledger_parts = {
    6,
    {"compute", "exposed load", "exposed comm", "bubble", "optimizer", "other"},
    {PLOT_COMPUTE, PLOT_LOAD, PLOT_COMM, PLOT_BUBBLE, PLOT_UPDATE, PLOT_OTHER}};

static void parts_of_ledger(const run_ledger *l, double part[PARTS_MAX])
{
    memcpy(part, l, sizeof(*l));
    for (int k = 0; k < RUN_ACCOUNTS; k++) {
        part[k] = part[k] > 0 ? part[k] : 0; /* NaN and clock noise */
    }
}

status report_draw_ledger(const report_data *d, int model, plotter *p,
                          strbuf *page)
{
    bar *bars = NULL;
    int n = 0;
    int shared = 0;
    int predicted = 0;
    double most = 0;
    double scale;
    const report_setup *s;
    TRY(MEM_NEW(&bars, 2 * d->models[model].ndrawn + 1, "report"));
    for (int i = 0; (s = report_of_model(d, model, false, i)) != NULL; i++) {
        if (n > 2 * 128 - 2) {
            break;
        }
        parts_of_ledger(&s->run.ledger, bars[n].part);
        text_copy(bars[n].name, sizeof(bars[n].name), s->label);
        double sum = sum_of(&bars[n], RUN_ACCOUNTS);
        (void)snprintf(bars[n].total, sizeof(bars[n].total), "%s%s",
                       units_seconds(sum).s,
                       s->run.info.oversubscribed ? " *" : "");
        shared += s->run.info.oversubscribed;
        most = sum > most ? sum : most;
        n++;
        if (s->run.has_prediction) {
            parts_of_ledger(&s->run.prediction.ledger, bars[n].part);
            sum = sum_of(&bars[n], RUN_ACCOUNTS);
            most = sum > most ? sum : most;
            (void)snprintf(bars[n].total, sizeof(bars[n].total), "%s predicted",
                           units_seconds(sum).s);
            predicted++;
            n++;
        }
    }
    status st = ST_OK;
    if (n > 0) {
        strbuf note = {0};
        char axis[60];
        strbuf_add(&note, "Wall time of a step, mean over ranks and over the "
                          "steps after the first.");
        if (shared > 0) {
            strbuf_add(&note, " * ranks share cores: the others' turns count "
                              "as compute, load or bubble, so shares mean "
                              "little; compare CPU time instead.");
        }
        if (predicted > 0) {
            strbuf_add(&note, " The thin bar below each is what the model of "
                              "the machine predicted.");
        }
        (void)snprintf(axis, sizeof(axis), "%s a step, wall time",
                       time_unit(most, &scale));
        bar_drawing w = {&ledger_parts,
                         "ledger",
                         "Where a step's time goes.",
                         axis,
                         scale,
                         "Wall time of a step by account",
                         report_seconds,
                         strbuf_view(&note)};
        st = end_bars(d, model, p, &w, bars, n, page);
        strbuf_fini(&note);
    }
    mem_free(bars);
    return st;
}

/* --- time to the first step ----------------------------------------------- */

static const bar_parts start_parts = {
    5,
    {"launch", "planning", "communicators", "weights", "first step"},
    {PLOT_OTHER, PLOT_LOAD, PLOT_COMM, PLOT_UPDATE, PLOT_COMPUTE}};

status report_draw_start(const report_data *d, int model, plotter *p,
                         strbuf *page)
{
    bar *bars = NULL;
    int n = 0;
    double most = 0;
    double scale;
    const report_setup *s;
    TRY(MEM_NEW(&bars, d->models[model].ndrawn + 1, "report"));
    for (int i = 0; (s = report_of_model(d, model, false, i)) != NULL; i++) {
        const run_setup *m = &s->run.setup;
        const double part[] = {m->launch_s, m->planning_s, m->communicators_s,
                               m->weights_s, m->first_step_s};
        if (!s->run.has_setup || n == 128) {
            continue;
        }
        for (int k = 0; k < start_parts.n; k++) {
            bars[n].part[k] = part[k] > 0 ? part[k] : 0; /* NaN: unknown */
        }
        double sum = sum_of(&bars[n], start_parts.n);
        most = sum > most ? sum : most;
        text_copy(bars[n].name, sizeof(bars[n].name), s->label);
        (void)snprintf(bars[n].total, sizeof(bars[n].total), "%s",
                       units_seconds(sum).s);
        n++;
    }
    status st = ST_OK;
    if (n > 0 && most > 0) {
        const char *axis = time_unit(most, &scale);
        bar_drawing w = {&start_parts,
                         "start",
                         "Time to the first step.",
                         axis,
                         scale,
                         "From launch to the end of the first step",
                         report_seconds,
                         "From launch to the end of the first step, by part; "
                         "wall time."};
        st = end_bars(d, model, p, &w, bars, n, page);
    }
    mem_free(bars);
    return st;
}
