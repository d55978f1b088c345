/*
 * Where the memory is: one device, all devices, the store. On a logarithmic
 * axis, so that 11 MiB can be seen beside 1 GiB; points, because a bar on such
 * an axis would have no meaning.
 */
#include <math.h>
#include <stdio.h>

#include "benchmarks/report_figure.h"
#include "runtime/base/units.h"

enum { LETTER = 9 /* width of a letter, about */ };

/* Memory by holder, bytes; NaN: none there. */
typedef struct holders {
    double device, devices, store;
    double touched; /* measured, of one device                             */
} holders;

static holders holders_of(const run_summary *r)
{
    holders h = {.touched = (double)NAN};
    for (int64_t i = 0; i < r->nranks; i++) {
        double peak = (double)r->ranks[i].peak_bytes;
        h.device = peak > h.device ? peak : h.device;
        h.devices += peak;
        if (r->ranks[i].touched_bytes > 0) {
            h.touched = fmax(h.touched, (double)r->ranks[i].touched_bytes);
        }
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
    report_top_margin(f, above + 8);
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
    static const char *const heads[] = {
        "set-up", "one device, planned",    "touched", "all devices",
        "store",  "libraries of all ranks", NULL};
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
        plot_quote(&f.script, s->label, REPORT_NAME_MAX);
        strbuf_printf(&f.script, " at graph 0, first %d right offset -0.7,0\n",
                      n);
        html_row(&numbers);
        html_headf(&numbers, "%s", s->label);
        html_cellf(&numbers, "%s", report_bytes(h.device).s);
        html_cellf(&numbers, "%s", report_bytes(h.touched).s);
        html_cellf(&numbers, "%s", report_bytes(h.devices).s);
        html_cellf(&numbers, "%s", report_bytes(h.store).s);
        html_cellf(&numbers, "%s", report_bytes(libraries).s);
        html_row_end(&numbers);
        n++;
    }
    html_table_end(&numbers);
    status st = ST_OK;
    if (n > 0 && most > 0) {
        state_script(&f, n, report_name_length(d, model), least, most);
        st = report_figure_end(
            &f, p,
            "Planned peaks of devices, and the state that a store holds "
            "beside them; the axis is logarithmic. The numbers have what was "
            "touched of a device beside its plan, measured to a page of 4 "
            "KiB, and what libraries took beside both.",
            &numbers, false, page);
    } else {
        plot_figure_fini(&f);
    }
    strbuf_fini(&numbers);
    return st;
}
