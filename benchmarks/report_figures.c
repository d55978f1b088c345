/*
 * The drawings of a model's set-ups: curves, bars and points. Each is a
 * <figure>: a caption with what the numbers say, the drawing, and a table of
 * the numbers that can be unfolded.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "benchmarks/report_figure.h"
#include "runtime/base/mem.h"
#include "runtime/base/units.h"

enum {
    WIDTH = 480,   /* of a drawing: half the page, or all of a phone      */
    LINE = 20,     /* height of a line of text                            */
    LETTER = 8,    /* width of a letter, about                            */
    NAME_MAX = 22, /* characters of a set-up's name in a drawing          */
};

/* --- frame ---------------------------------------------------------------- */

void report_figure_init(plot_figure *f, int model, const char *what,
                        const char *title)
{
    memset(f, 0, sizeof(*f));
    (void)snprintf(f->name, sizeof(f->name), "m%d-%s", model + 1, what);
    (void)snprintf(f->title, sizeof(f->title), "%s", title);
    f->width = WIDTH;
}

status report_figure_end(plot_figure *f, plotter *p, const char *note,
                         const strbuf *numbers, bool is_wide, strbuf *page)
{
    strbuf_printf(page, "<figure id=\"%s\"%s>\n<figcaption><b>", f->name,
                  is_wide ? " class=\"wide\"" : "");
    html_text(page, f->title);
    strbuf_add(page, "</b> ");
    html_text(page, note);
    strbuf_add(page, "</figcaption>\n<div class=\"draw\">");
    strbuf_printf(&f->desc, "%s%s", f->desc.len > 0 ? " " : "", note);
    status st = plot_draw(p, f, page);
    plot_figure_fini(f);
    strbuf_add(page, "</div>\n<details><summary>Numbers</summary>\n");
    strbuf_add(page, strbuf_view(numbers));
    strbuf_add(page, "</details>\n</figure>\n");
    return st == ST_OK ? strbuf_check(page) : st;
}

/* Letters of the longest name that a drawing shows. */
static int name_length(const report_data *d, int model)
{
    size_t most = 0;
    const report_setup *s;
    for (int i = 0; (s = report_of_model(d, model, false, i)) != NULL; i++) {
        size_t n = html_length(s->label);
        most = n > most ? n : most;
    }
    return (int)(most < NAME_MAX ? most : NAME_MAX);
}

/* The mark of a legend's entry, left of its name; x and y in pixels from the
 * lower left. */
static void add_mark(plot_figure *f, const report_mark *m, double x, double y)
{
    const char *colour = plot_colours[m->colour].light;
    double half = m->pixels / 2;
    if (m->point > 0) {
        strbuf_printf(&f->script,
                      "set label '' at screen %.4f, screen %.4f point pt %d ps "
                      "1.4 lw 2 lc rgb '%s'\n",
                      (x + 12) / f->width, y / f->height, m->point, colour);
    } else {
        strbuf_printf(
            &f->script,
            "set object rectangle from screen %.4f, screen %.4f to "
            "screen %.4f, screen %.4f fc rgb '%s' fs solid noborder\n",
            x / f->width, (y - half) / f->height, (x + 22) / f->width,
            (y + half) / f->height, colour);
    }
}

int report_legend_height(const plot_figure *f, const report_mark *marks, int n)
{
    return (n + report_legend_columns(f, marks, n) - 1) /
               report_legend_columns(f, marks, n) * LINE +
           6;
}

/* As many columns as there is room for, lines filled evenly. */
int report_legend_columns(const plot_figure *f, const report_mark *marks, int n)
{
    size_t letters = 1;
    for (int i = 0; i < n; i++) {
        size_t k = html_length(marks[i].name);
        k = k < NAME_MAX ? k : NAME_MAX;
        letters = k > letters ? k : letters;
    }
    int columns = f->width / ((int)letters * LETTER + 40);
    columns = columns < 1 ? 1 : columns > n ? n : columns;
    int lines = (n + columns - 1) / columns;
    return (n + lines - 1) / lines;
}

void report_legend(plot_figure *f, const report_mark *marks, int n)
{
    int columns = report_legend_columns(f, marks, n);
    double wide = (double)f->width / columns;
    wide = wide < 170 ? wide : 170;
    for (int i = 0; i < n; i++) {
        double x = 8 + wide * (i % columns);
        double y = f->height - LINE * (i / columns + 0.5);
        add_mark(f, &marks[i], x, y);
        strbuf_add(&f->script, "set label ");
        plot_quote(&f->script, marks[i].name, NAME_MAX);
        strbuf_printf(&f->script, " at screen %.4f, screen %.4f left\n",
                      (x + 29) / f->width, y / f->height);
    }
    strbuf_add(&f->script, "unset key\n");
}

/* Distance of the drawing's upper edge from the top. */
static void top_margin(plot_figure *f, int pixels)
{
    strbuf_printf(&f->script, "set tmargin at screen %.4f\n",
                  1.0 - (double)pixels / f->height);
}

/* --- loss ----------------------------------------------------------------- */

int64_t report_stride(int64_t n)
{
    return n <= REPORT_POINTS_MAX
               ? 1
               : (n + REPORT_POINTS_MAX - 1) / REPORT_POINTS_MAX;
}

static void add_curve(const run_summary *r, strbuf *data)
{
    int64_t stride = report_stride(r->nsteps);
    for (int64_t i = 0; i < r->nsteps; i++) {
        if (i % stride == 0 || i == r->nsteps - 1) {
            strbuf_printf(data, "%lld", (long long)r->steps[i].step + 1);
            plot_number(data, r->steps[i].loss);
            strbuf_add(data, "\n");
        }
    }
    /* Two empty lines end a block; one point alone is no line. */
    strbuf_add(data, "\n\n");
}

/* What the curves say together, from the numbers. */
static void loss_note(const report_data *d, int model, strbuf *note)
{
    const report_model *m = &d->models[model];
    int same = 0;
    int other = 0;
    int unlike = 0;
    double most = 0;
    const report_setup *s;
    for (int i = 0; (s = report_of_model(d, model, false, i)) != NULL; i++) {
        same += s->difference == 0 && s->same_steps;
        other += !(s->difference == 0) && !isnan(s->difference);
        unlike += isnan(s->difference);
        most = s->difference > most ? s->difference : most;
    }
    const char *base = d->setups[m->base].label;
    if (same == m->nran && same > 1) {
        strbuf_printf(note,
                      "All %d curves lie on one line: the largest difference "
                      "to %s is 0, the same bits. Wide lines lie under narrow "
                      "ones.",
                      same, base);
    } else {
        strbuf_printf(note, "Largest difference to %s: %.3g.", base, most);
        if (other > 0) {
            strbuf_printf(note, " %d of %d curves differ from it.", other,
                          m->nran);
        }
    }
    if (unlike > 0) {
        strbuf_printf(note,
                      " %d cannot be compared with it: other data, "
                      "batch, seed or sizes.",
                      unlike);
    }
}

static void loss_numbers(const report_data *d, int model, strbuf *out)
{
    static const char *const heads[] = {"set-up",
                                        "steps",
                                        "first loss",
                                        "last loss",
                                        "largest difference",
                                        "agrees with the judge",
                                        NULL};
    html_table(out, "Loss, nat a token", heads);
    const report_setup *s;
    for (int i = 0; (s = report_of_model(d, model, false, i)) != NULL; i++) {
        const run_summary *r = &s->run;
        html_row(out);
        html_headf(out, "%s", s->label);
        html_cellf(out, "%lld", (long long)r->nsteps);
        html_cellf(out, "%.6f", r->steps[0].loss);
        html_cellf(out, "%.6f", r->steps[r->nsteps - 1].loss);
        html_cellf(out, "%s", report_real(s->difference, "%.3g").s);
        html_cellf(out, "%s",
                   s->row.agreement[0] != '\0' ? s->row.agreement
                                               : "not compared");
        html_row_end(out);
    }
    html_table_end(out);
}

status report_draw_loss(const report_data *d, int model, plotter *p,
                        strbuf *page)
{
    plot_figure f;
    strbuf note = {0};
    strbuf numbers = {0};
    int n = d->models[model].nran;
    report_mark *marks = NULL;
    TRY(MEM_NEW(&marks, n, "report"));
    for (int i = 0; i < n; i++) {
        marks[i] = (report_mark){
            .name = report_of_model(d, model, false, i)->label,
            .colour = (plot_colour)(PLOT_LINE + i % PLOT_LINES),
            /* From wide to narrow, so that equal curves show as bands. */
            .pixels = n > 1 ? 2.0 + 9.0 * (n - 1 - i) / (n - 1) : 2.5};
    }
    report_figure_init(&f, model, "loss", "Loss by step.");
    int above = report_legend_height(&f, marks, n);
    f.height = above + 290;
    report_legend(&f, marks, n);
    top_margin(&f, above + 8);
    strbuf_add(&f.script, "set xlabel 'step'\nset ylabel 'loss, nat a token'\n"
                          "set rmargin 2\nset xrange [*:*] noextend\n");
    for (int i = 0; i < n; i++) {
        const report_setup *s = report_of_model(d, model, false, i);
        add_curve(&s->run, &f.data);
        strbuf_printf(&f.script,
                      "%s data index %d using 1:2 with %s lw %.1f pt 7 dt %s "
                      "lc rgb '%s'",
                      i == 0 ? "plot" : ", \\\n", i,
                      s->run.nsteps > 1 ? "lines" : "points", marks[i].pixels,
                      i < PLOT_LINES ? "1" : "2",
                      plot_colours[marks[i].colour].light);
    }
    strbuf_add(&f.script, "\n");
    loss_note(d, model, &note);
    loss_numbers(d, model, &numbers);
    status st =
        report_figure_end(&f, p, strbuf_view(&note), &numbers, false, page);
    mem_free(marks);
    strbuf_fini(&note);
    strbuf_fini(&numbers);
    return st;
}

/* --- bars ----------------------------------------------------------------- */

enum { PARTS_MAX = 8 };

/* What bars are made of. */
typedef struct bar_parts {
    int n;
    const char *name[PARTS_MAX];
    plot_colour colour[PARTS_MAX];
} bar_parts;

typedef struct bar {
    char name[96]; /* beside it; "": none, it belongs to the one above      */
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
            plot_quote(&f->script, bars[i].name, NAME_MAX);
            strbuf_printf(&f->script,
                          " at graph 0, first %.3f right offset "
                          "-0.7,0\n",
                          y[i]);
        }
        strbuf_add(&f->script, "set label ");
        plot_quote(&f->script, bars[i].total, sizeof(bars[i].total));
        strbuf_printf(&f->script,
                      " at first %.7g, first %.3f left offset "
                      "0.5,0\n",
                      sum_of(&bars[i], nparts) * scale, y[i]);
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
        at += bars[i].name[0] != '\0' ? (i > 0 ? 1.0 : 0.5) : 0.55;
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
    top_margin(f, above + 8);
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

static const bar_parts memory_parts = {
    7,
    {"parameters", "gradients", "optimizer", "activations", "working", "logits",
     "scratch"},
    {PLOT_PARAMETERS, PLOT_GRADIENTS, PLOT_OPTIMIZER, PLOT_ACTIVATIONS,
     PLOT_WORKING, PLOT_LOGITS, PLOT_SCRATCH}};
_Static_assert(BUF_CLASS_COUNT == 7 && BUF_WEIGHT == 0 && BUF_SCRATCH == 6,
               "memory_parts are the classes of buffers, in their order");

status report_draw_memory(const report_data *d, int model, plotter *p,
                          strbuf *page)
{
    plot_figure f;
    bar *bars = NULL;
    bar_parts parts = memory_parts;
    int n = 0;
    double most = 0;
    double scale;
    const report_setup *s;
    TRY(MEM_NEW(&bars, d->models[model].nran + 1, "report"));
    for (int i = 0; (s = report_of_model(d, model, false, i)) != NULL; i++) {
        const run_rank *r = report_fullest(&s->run);
        if (r == NULL || n == 128) {
            continue;
        }
        (void)snprintf(bars[n].name, sizeof(bars[n].name), "%s", s->label);
        (void)snprintf(bars[n].total, sizeof(bars[n].total), "%s",
                       units_bytes((double)r->peak_bytes).s);
        for (int k = 0; k < BUF_CLASS_COUNT; k++) {
            bars[n].part[k] = (double)r->class_bytes[k];
        }
        most = (double)r->peak_bytes > most ? (double)r->peak_bytes : most;
        n++;
    }
    status st = ST_OK;
    if (n > 0) {
        strbuf numbers = {0};
        char axis[40];
        drop_empty(&parts, bars, n);
        (void)snprintf(axis, sizeof(axis), "%s a device",
                       unit_of(most, &scale));
        report_figure_init(&f, model, "memory", "Memory of a device.");
        draw_bars(&f, &parts, bars, n, name_length(d, model), axis, scale);
        bar_numbers("Memory of the fullest device at its peak", &parts, bars, n,
                    report_bytes, &numbers);
        st = report_figure_end(
            &f, p,
            "The fullest rank at its planned peak, by what lies there. What a "
            "store holds for a streamed model is not in it: see the next "
            "drawing.",
            &numbers, false, page);
        strbuf_fini(&numbers);
    }
    mem_free(bars);
    return st;
}

/* --- state ---------------------------------------------------------------- */

/* Memory by holder, bytes; NaN: none there. */
typedef struct holders {
    double device, devices, store;
} holders;

static holders holders_of(const run_summary *r)
{
    holders h = {0, 0, 0};
    for (int64_t i = 0; i < r->nranks; i++) {
        double peak = (double)r->ranks[i].peak_bytes;
        h.device = peak > h.device ? peak : h.device;
        h.devices += peak;
        h.store += (double)r->ranks[i].store_bytes;
    }
    h.device = h.device > 0 ? h.device : (double)NAN;
    h.devices = r->nranks > 1 ? h.devices : (double)NAN;
    h.store = h.store > 0 ? h.store : (double)NAN;
    return h;
}

static void byte_marks(plot_figure *f, double least, double most)
{
    strbuf_add(&f->script, "set xtics (");
    bool any = false;
    for (double x = 1024; x < 1e18; x *= 4) {
        if (x >= least / 4 && x <= most * 4) {
            strbuf_printf(&f->script, "%s'%s' %.17g", any ? ", " : "",
                          units_bytes(x).s, x);
            any = true;
            x *= most / least > 4096 ? 16 : most / least > 64 ? 4 : 1;
        }
    }
    strbuf_add(&f->script, ")\n");
}

enum { HOLDERS = 3 };

static void state_script(plot_figure *f, int n, int letters, double least,
                         double most)
{
    static const report_mark marks[HOLDERS] = {
        {"one device", PLOT_PARAMETERS, 0, 7},
        {"all devices", PLOT_ACTIVATIONS, 0, 9},
        {"store", PLOT_STORE, 0, 5}};
    int above = report_legend_height(f, marks, HOLDERS);
    f->height = above + 66 + n * 27;
    report_legend(f, marks, HOLDERS);
    top_margin(f, above + 8);
    strbuf_printf(&f->script,
                  "set bmargin at screen %.4f\nset lmargin at screen %.4f\n"
                  "set rmargin 3\nset border 1\nunset ytics\n"
                  "set grid noytics xtics\nset logscale x 2\n"
                  "set yrange [%d.5:-0.5]\nset xrange [%.7g:%.7g]\n"
                  "set xlabel 'bytes, logarithmic'\n",
                  52.0 / f->height, (letters * LETTER + 14.0) / f->width, n - 1,
                  least / 1.6, most * 1.6);
    byte_marks(f, least, most);
    for (int k = 0; k < HOLDERS; k++) {
        strbuf_printf(&f->script,
                      "%s data using %d:1 with points pt %d ps 1.4 lc rgb '%s'",
                      k == 0 ? "plot" : ", \\\n", k + 2, marks[k].point,
                      plot_colours[marks[k].colour].light);
    }
    strbuf_add(&f->script, "\n");
}

status report_draw_state(const report_data *d, int model, plotter *p,
                         strbuf *page)
{
    static const char *const heads[] = {"set-up",
                                        "one device",
                                        "all devices",
                                        "store",
                                        "libraries of all ranks",
                                        NULL};
    plot_figure f;
    strbuf numbers = {0};
    int n = 0;
    double least = INFINITY;
    double most = 0;
    const report_setup *s;
    report_figure_init(&f, model, "state", "Where the memory is.");
    html_table(&numbers, "Memory in all", heads);
    for (int i = 0; (s = report_of_model(d, model, false, i)) != NULL; i++) {
        if (s->run.nranks == 0) {
            continue;
        }
        holders h = holders_of(&s->run);
        double libraries = 0;
        for (int64_t r = 0; r < s->run.nranks; r++) {
            libraries += (double)s->run.ranks[r].library_bytes;
        }
        strbuf_printf(&f.data, "%d", n);
        plot_number(&f.data, h.device);
        plot_number(&f.data, h.devices);
        plot_number(&f.data, h.store);
        strbuf_add(&f.data, "\n");
        least = fmin(least, fmin(h.device, h.store));
        most = fmax(most, fmax(h.device, fmax(h.devices, h.store)));
        strbuf_add(&f.script, "set label ");
        plot_quote(&f.script, s->label, NAME_MAX);
        strbuf_printf(&f.script, " at graph 0, first %d right offset -0.7,0\n",
                      n);
        html_row(&numbers);
        html_headf(&numbers, "%s", s->label);
        html_cellf(&numbers, "%s", report_bytes(h.device).s);
        html_cellf(&numbers, "%s", report_bytes(h.devices).s);
        html_cellf(&numbers, "%s", report_bytes(h.store).s);
        html_cellf(&numbers, "%s", report_bytes(libraries).s);
        html_row_end(&numbers);
        n++;
    }
    html_table_end(&numbers);
    status st = ST_OK;
    if (n > 0 && most > 0) {
        state_script(&f, n, name_length(d, model), least, most);
        st = report_figure_end(
            &f, p,
            "Planned peaks of devices, and the state that a store holds "
            "beside them; the axis is logarithmic.",
            &numbers, false, page);
    } else {
        plot_figure_fini(&f);
    }
    strbuf_fini(&numbers);
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

/* Mean over the steps after the first, which warms up. */
run_ledger report_step_ledger(const run_summary *r)
{
    double sum[RUN_ACCOUNTS] = {0};
    double one[RUN_ACCOUNTS];
    run_ledger out;
    int64_t first = r->nsteps > 1 ? 1 : 0;
    for (int64_t i = first; i < r->nsteps; i++) {
        memcpy(one, &r->steps[i].mean, sizeof(one));
        for (int k = 0; k < RUN_ACCOUNTS; k++) {
            sum[k] += one[k] / (double)(r->nsteps - first);
        }
    }
    memcpy(&out, sum, sizeof(out));
    return out;
}

status report_draw_ledger(const report_data *d, int model, plotter *p,
                          strbuf *page)
{
    plot_figure f;
    bar *bars = NULL;
    bar_parts parts = ledger_parts;
    int n = 0;
    int shared = 0;
    int predicted = 0;
    double most = 0;
    double scale;
    const report_setup *s;
    TRY(MEM_NEW(&bars, 2 * d->models[model].nran + 1, "report"));
    for (int i = 0; (s = report_of_model(d, model, false, i)) != NULL; i++) {
        if (n > 2 * 128 - 2) {
            break;
        }
        run_ledger l = report_step_ledger(&s->run);
        parts_of_ledger(&l, bars[n].part);
        (void)snprintf(bars[n].name, sizeof(bars[n].name), "%s", s->label);
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
        strbuf numbers = {0};
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
        drop_empty(&parts, bars, n);
        (void)snprintf(axis, sizeof(axis), "%s a step, wall time",
                       time_unit(most, &scale));
        report_figure_init(&f, model, "ledger", "Where a step's time goes.");
        draw_bars(&f, &parts, bars, n, name_length(d, model), axis, scale);
        bar_numbers("Wall time of a step by account", &parts, bars, n,
                    report_seconds, &numbers);
        st =
            report_figure_end(&f, p, strbuf_view(&note), &numbers, false, page);
        strbuf_fini(&numbers);
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
    plot_figure f;
    bar *bars = NULL;
    bar_parts parts = start_parts;
    int n = 0;
    double most = 0;
    double scale;
    const report_setup *s;
    TRY(MEM_NEW(&bars, d->models[model].nran + 1, "report"));
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
        (void)snprintf(bars[n].name, sizeof(bars[n].name), "%s", s->label);
        (void)snprintf(bars[n].total, sizeof(bars[n].total), "%s",
                       units_seconds(sum).s);
        n++;
    }
    status st = ST_OK;
    if (n > 0 && most > 0) {
        strbuf numbers = {0};
        char axis[40];
        (void)snprintf(axis, sizeof(axis), "%s", time_unit(most, &scale));
        drop_empty(&parts, bars, n);
        report_figure_init(&f, model, "start", "Time to the first step.");
        draw_bars(&f, &parts, bars, n, name_length(d, model), axis, scale);
        bar_numbers("From launch to the end of the first step", &parts, bars, n,
                    report_seconds, &numbers);
        st = report_figure_end(&f, p,
                               "From launch to the end of the first step, by "
                               "part; wall time.",
                               &numbers, false, page);
        strbuf_fini(&numbers);
    }
    mem_free(bars);
    return st;
}
