/*
 * Throughput against what a person had to decide: one point a set-up, with
 * its name beside it. Names of points with equal decisions stand in one
 * column; they are moved apart so that all can be read, with a thin line to
 * the point where they were moved.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "benchmarks/report_figure.h"
#include "runtime/base/mem.h"
#include "runtime/base/units.h"

enum {
    HEIGHT = 320,
    TOP = 16,
    BOTTOM = 56,
    AREA = HEIGHT - TOP - BOTTOM, /* pixels of the y axis                   */
    WIDE = 390,                   /* of the x axis                          */
    APART = 18,                   /* between two names                      */
    LETTER = 9,
};

typedef struct point {
    const report_setup *s;
    double x, y;  /* decisions, tokens a second */
    double label; /* where the name is, as y    */
} point;

/* Columns from left to right, in each from top to bottom. */
static int by_place(const void *a, const void *b)
{
    const point *p = a;
    const point *q = b;
    return p->x != q->x ? (p->x > q->x) - (p->x < q->x)
                        : (p->y < q->y) - (p->y > q->y);
}

static bool is_cpu(const point *p)
{
    return strcmp(p->s->row.clock, "cpu") == 0;
}

/* The best rate by a clock with at most x decisions; 0: there is none. */
static double level(const point *p, int n, bool cpu, double x)
{
    double best = 0;
    for (int i = 0; i < n && p[i].x <= x; i++) {
        best = is_cpu(&p[i]) == cpu ? fmax(best, p[i].y) : best;
    }
    return best;
}

/* Where a name would like to be: a little above its point, or below where a
 * broken line would go through it. */
static double wished(const point *p, int n, const point *of, double apart)
{
    double above = of->y + apart / 2;
    for (int cpu = 0; cpu < 2; cpu++) {
        double line = level(p, n, cpu == 1, of->x);
        if (line != of->y && fabs(above - line) < apart * 0.55) {
            return of->y - apart / 2;
        }
    }
    return above;
}

/* Moves names of points [0, n) of one column apart, at least `apart`, none
 * below the axis. */
static void spread(point *p, int n, double apart)
{
    for (int i = 0; i < n; i++) {
        double most = i > 0 ? p[i - 1].label - apart : INFINITY;
        p[i].label = fmin(p[i].label, most);
    }
    double least = apart / 2;
    for (int i = n - 1; i >= 0 && p[i].label < least; i--) {
        p[i].label = least;
        least += apart;
    }
}

static int find_points(const report_data *d, int model, point *out)
{
    int n = 0;
    const report_setup *s;
    for (int i = 0; (s = report_of_model(d, model, false, i)) != NULL; i++) {
        if (report_is_ranked(s) && s->row.decisions >= 0 &&
            s->row.tokens_per_s > 0) {
            out[n++] = (point){.s = s,
                               .x = (double)s->row.decisions,
                               .y = s->row.tokens_per_s};
        }
    }
    qsort(out, (size_t)n, sizeof(*out), by_place);
    return n;
}

/* Steps of those that nobody beats with as few decisions. Points are in
 * columns, the best of each first. */
static void add_frontier(const point *p, int n, bool cpu, double right,
                         strbuf *data)
{
    double best = 0;
    for (int i = 0; i < n; i++) {
        if (is_cpu(&p[i]) == cpu && p[i].y > best) {
            if (best > 0) {
                strbuf_printf(data, "%.7g %.7g\n", p[i].x, best);
            }
            best = p[i].y;
            strbuf_printf(data, "%.7g %.7g\n", p[i].x, best);
        }
    }
    if (best > 0) {
        strbuf_printf(data, "%.7g %.7g\n\n\n", right, best);
    } else {
        strbuf_add(data, "NaN NaN\n\n\n"); /* no block may be empty */
    }
}

static void add_points(const point *p, int n, bool cpu, strbuf *data)
{
    bool any = false;
    for (int i = 0; i < n; i++) {
        if (is_cpu(&p[i]) == cpu) {
            strbuf_printf(data, "%.7g %.7g\n", p[i].x, p[i].y);
            any = true;
        }
    }
    /* gnuplot skips a block without a line. */
    strbuf_add(data, any ? "\n\n" : "NaN NaN\n\n\n");
}

static void add_names(plot_figure *f, const point *p, int n, double apart,
                      double per_x)
{
    size_t letters = (size_t)fmax(6, (per_x - 20) / LETTER);
    for (int i = 0; i < n; i++) {
        double by = 12 / per_x;
        if (fabs(p[i].label - p[i].y) > apart * 0.6) {
            strbuf_printf(&f->script,
                          "set arrow from first %.7g, first %.7g to first "
                          "%.7g, first %.7g nohead lw 1 lc rgb '%s'\n",
                          p[i].x, p[i].y, p[i].x + by, p[i].label,
                          plot_colours[PLOT_AXIS].light);
        }
        strbuf_add(&f->script, "set label ");
        plot_quote(&f->script, p[i].s->label,
                   letters < REPORT_NAME_MAX ? letters : REPORT_NAME_MAX);
        strbuf_printf(&f->script, " at first %.7g, first %.7g left\n",
                      p[i].x + by * 1.2, p[i].label);
    }
}

static void script_of(plot_figure *f, point *p, int n, double top,
                      const char *axis)
{
    double left = p[0].x - 0.4;
    double right = p[n - 1].x + 1.1;
    double apart = APART * top / AREA;
    double per_x = WIDE / (right - left);
    for (int i = 0; i < n; i++) {
        p[i].label = wished(p, n, &p[i], apart);
    }
    for (int i = 0, k = 0; i < n; i = k) {
        while (k < n && p[k].x == p[i].x) {
            k++;
        }
        spread(p + i, k - i, apart);
    }
    strbuf_printf(&f->script,
                  "set tmargin at screen %.4f\nset bmargin at screen %.4f\n"
                  "set rmargin 1\nunset key\nset xrange [%.3f:%.3f]\n"
                  "set yrange [0:%.7g]\nset xtics 1\n"
                  "set xlabel 'decisions that a person makes'\n"
                  "set ylabel '%s'\n",
                  1.0 - (double)TOP / HEIGHT, (double)BOTTOM / HEIGHT, left,
                  right, top, axis);
    if (right - left > 12) {
        strbuf_add(&f->script, "set xtics autofreq\n");
    }
    add_names(f, p, n, apart, per_x);
    add_frontier(p, n, false, right, &f->data);
    add_frontier(p, n, true, right, &f->data);
    add_points(p, n, false, &f->data);
    add_points(p, n, true, &f->data);
    static const char *const with[] = {"lines lw 2 dt 2", "lines lw 2 dt 3",
                                       "points pt 7 ps 1.3",
                                       "points pt 6 ps 1.3 lw 2"};
    for (int i = 0; i < 4; i++) {
        strbuf_printf(&f->script,
                      "%s data index %d using 1:2 with %s lc rgb "
                      "'%s'",
                      i == 0 ? "plot" : ", \\\n", i, with[i],
                      plot_colours[i < 2 ? PLOT_AXIS : PLOT_LINE].light);
    }
    strbuf_add(&f->script, "\n");
}

static void numbers_of(const point *p, int n, strbuf *out)
{
    static const char *const heads[] = {"set-up", "decisions", "tokens/s",
                                        "clock",  "devices",   NULL};
    html_table(out, "Throughput and decisions", heads);
    for (int i = 0; i < n; i++) {
        html_row(out);
        html_headf(out, "%s", p[i].s->label);
        html_cellf(out, "%s", report_whole(p[i].s->row.decisions).s);
        html_cellf(out, "%s", report_count(p[i].y).s);
        html_cellf(out, "%s", p[i].s->row.clock);
        html_cellf(out, "%s", report_whole(p[i].s->row.devices).s);
        html_row_end(out);
    }
    html_table_end(out);
}

static void note_of(const report_data *d, int model, const point *p, int n,
                    strbuf *note)
{
    int cpu = 0;
    for (int i = 0; i < n; i++) {
        cpu += is_cpu(&p[i]);
    }
    strbuf_add(note, "Up and to the left is better; with as few decisions "
                     "nothing is above the broken lines.");
    if (cpu == n) {
        strbuf_add(note, " All rates are by CPU time (ranks share cores).");
    } else if (cpu > 0) {
        strbuf_add(note, " Open circles: rates by CPU time of all ranks (they "
                         "share cores); filled: by wall time. The two do not "
                         "compare directly.");
    }
    int not_run = d->models[model].nsetups - d->models[model].nran;
    if (not_run > 0) {
        strbuf_printf(note,
                      " %d set-up%s did not run to the end, see the list "
                      "above.",
                      not_run, not_run == 1 ? "" : "s");
    }
    int idle = 0;
    const report_setup *s;
    for (int i = 0; (s = report_of_model(d, model, false, i)) != NULL; i++) {
        idle += s->ran && !s->trains;
    }
    if (idle > 0) {
        strbuf_printf(note,
                      " %d with store null train%s nothing, and %s no "
                      "point.",
                      idle, idle == 1 ? "s" : "", idle == 1 ? "has" : "have");
    }
}

status report_draw_pareto(const report_data *d, int model, plotter *p,
                          strbuf *page)
{
    plot_figure f;
    point *points = NULL;
    TRY(MEM_NEW(&points, d->models[model].ndrawn + 1, "report"));
    int n = find_points(d, model, points);
    status st = ST_OK;
    if (n > 0) {
        strbuf note = {0};
        strbuf numbers = {0};
        double most = 0;
        for (int i = 0; i < n; i++) {
            most = fmax(most, points[i].y);
        }
        report_figure_init(&f, model, "pareto",
                           "Throughput against set-up complexity.");
        f.height = HEIGHT;
        note_of(d, model, points, n, &note);
        numbers_of(points, n, &numbers);
        double scale = most < 1e4 ? 1 : most < 1e7 ? 1e-3 : 1e-6;
        for (int i = 0; i < n; i++) {
            points[i].y *= scale;
        }
        script_of(&f, points, n, most * scale * 1.15,
                  most < 1e4   ? "tokens/s"
                  : most < 1e7 ? "thousand tokens/s"
                               : "million tokens/s");
        st =
            report_figure_end(&f, p, strbuf_view(&note), &numbers, false, page);
        strbuf_fini(&note);
        strbuf_fini(&numbers);
    }
    mem_free(points);
    return st;
}
