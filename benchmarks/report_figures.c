/*
 * The frame of all drawings, and the first of them, the losses. Each is a
 * <figure>: a caption with what the numbers say, the drawing, and a table of
 * the numbers that can be unfolded.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "benchmarks/report_figure.h"
#include "runtime/base/mem.h"
#include "runtime/base/text.h"
#include "runtime/base/units.h"

enum {
    WIDTH = 480, /* of a drawing: half the page, or all of a phone      */
    LINE = 20,   /* height of a line of text                            */
    LETTER = 8,  /* width of a letter, about                            */
    CURVE_WIDTH = 4,
    LINE_PIXELS = 250 /* length of the shortest curve, about              */
};

/* --- frame ---------------------------------------------------------------- */

void report_figure_init(plot_figure *f, int model, const char *what,
                        const char *title)
{
    memset(f, 0, sizeof(*f));
    (void)snprintf(f->name, sizeof(f->name), "m%d-%s", model + 1, what);
    text_copy(f->title, sizeof(f->title), title);
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
int report_name_length(const report_data *d, int model)
{
    size_t most = 0;
    const report_setup *s;
    for (int i = 0; (s = report_of_model(d, model, false, i)) != NULL; i++) {
        size_t n = html_length(s->label);
        most = n > most ? n : most;
    }
    return (int)(most < REPORT_NAME_MAX ? most : REPORT_NAME_MAX);
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
        k = k < REPORT_NAME_MAX ? k : REPORT_NAME_MAX;
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
        plot_quote(&f->script, marks[i].name, REPORT_NAME_MAX);
        strbuf_printf(&f->script, " at screen %.4f, screen %.4f left\n",
                      (x + 29) / f->width, y / f->height);
    }
    strbuf_add(&f->script, "unset key\n");
}

/* Distance of the drawing's upper edge from the top. */
void report_top_margin(plot_figure *f, int pixels)
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

/* The i-th set-up with a curve, NULL behind the last: one that trains. */
static const report_setup *curve_of(const report_data *d, int model, int i)
{
    const report_setup *s;
    for (int k = 0; (s = report_of_model(d, model, false, k)) != NULL; k++) {
        if (s->trains && i-- == 0) {
            return s;
        }
    }
    return NULL;
}

/* What the curves say together, from the numbers. */
static void loss_note(const report_data *d, int model, int n, strbuf *note)
{
    const report_setup *base = &d->setups[d->models[model].base];
    int same = 1; /* the base itself */
    int other = 0;
    int broken = 0;
    bool whole = true; /* all have as many steps as the base */
    double most = 0;
    const report_setup *s;
    for (int i = 0; (s = curve_of(d, model, i)) != NULL; i++) {
        if (s == base) {
            continue;
        }
        same += s->difference == 0 && s->same_steps;
        other += s->difference > 0;
        whole = whole && s->same_steps;
        broken += isnan(s->difference);
        most = s->difference > most ? s->difference : most;
    }
    if (n < 2) {
        strbuf_add(note, "One set-up: nothing to compare it with.");
        return;
    }
    if (same == n) {
        strbuf_printf(note,
                      "All %d curves lie on one line: the largest difference "
                      "to %s is 0, the same bits. Their colours take turns on "
                      "it.",
                      same, base->label);
    } else if (broken < n - 1) {
        strbuf_printf(note, "Largest difference to %s%s%s: %.3g.", base->label,
                      broken > 0 ? " of losses that are numbers" : "",
                      whole ? "" : " in the steps that both have", most);
    }
    if (other > 0 && n > 2) {
        strbuf_printf(note, " %d of the %d others differ%s from it.", other,
                      n - 1, other == 1 ? "s" : "");
    }
    if (broken > 0) {
        strbuf_printf(note, "%s%d %s a loss that is no number.",
                      note->len > 0 ? " " : "", broken,
                      broken == 1 ? "has" : "have");
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
    for (int i = 0; (s = curve_of(d, model, i)) != NULL; i++) {
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

/* Curves of the same bits: which of how many, so that none hides another. */
typedef struct turn {
    int k, of;
} turn;

static bool is_on_line(const report_setup *s)
{
    return s->difference == 0 && s->same_steps;
}

static turn turn_of(const report_data *d, int model, int index)
{
    turn t = {0, 0};
    const report_setup *s;
    for (int i = 0; (s = curve_of(d, model, i)) != NULL; i++) {
        t.k += i < index && is_on_line(s);
        t.of += is_on_line(s);
    }
    return is_on_line(curve_of(d, model, index)) ? t : (turn){0, 1};
}

/* How a curve is dashed: a piece of its own colour, then as much room as the
 * others on the line need. gnuplot's unit is half the width of the line, whole
 * ones so that no rounding adds up; a zero would end its list. */
static void add_dashes(turn t, int index, strbuf *script)
{
    if (t.of < 2) {
        strbuf_add(script, index < PLOT_LINES ? "1" : "2");
        return;
    }
    int piece = 2 * LINE_PIXELS / CURVE_WIDTH / t.of;
    piece = piece < 1 ? 1 : piece > 6 ? 6 : piece;
    strbuf_printf(script, "(0.001,%d.001,%d,%d.001)", t.k * piece, piece,
                  (t.of - 1 - t.k) * piece);
}

status report_draw_loss(const report_data *d, int model, plotter *p,
                        strbuf *page)
{
    plot_figure f;
    strbuf note = {0};
    strbuf numbers = {0};
    int n = 0;
    report_mark *marks = NULL;
    while (curve_of(d, model, n) != NULL) {
        n++;
    }
    if (n == 0) {
        return ST_OK;
    }
    TRY(MEM_NEW(&marks, n, "report"));
    for (int i = 0; i < n; i++) {
        marks[i] =
            (report_mark){.name = curve_of(d, model, i)->label,
                          .colour = (plot_colour)(PLOT_LINE + i % PLOT_LINES),
                          .pixels = CURVE_WIDTH};
    }
    report_figure_init(&f, model, "loss", "Loss by step.");
    int above = report_legend_height(&f, marks, n);
    f.height = above + 290;
    report_legend(&f, marks, n);
    report_top_margin(&f, above + 8);
    strbuf_add(&f.script, "set xlabel 'step'\nset ylabel 'loss, nat a token'\n"
                          "set rmargin 2\nset xrange [*:*] noextend\n");
    for (int i = 0; i < n; i++) {
        const report_setup *s = curve_of(d, model, i);
        add_curve(&s->run, &f.data);
        strbuf_printf(&f.script,
                      "%s data index %d using 1:2 with %s lw %d pt 7 "
                      "lc rgb '%s' dt ",
                      i == 0 ? "plot" : ", \\\n", i,
                      s->run.nsteps > 1 ? "lines" : "points", CURVE_WIDTH,
                      plot_colours[marks[i].colour].light);
        add_dashes(turn_of(d, model, i), i, &f.script);
    }
    strbuf_add(&f.script, "\n");
    loss_note(d, model, n, &note);
    loss_numbers(d, model, &numbers);
    status st =
        report_figure_end(&f, p, strbuf_view(&note), &numbers, false, page);
    mem_free(marks);
    strbuf_fini(&note);
    strbuf_fini(&numbers);
    return st;
}
