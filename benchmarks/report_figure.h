/* What the drawings of the report share: the frame around each. */
#ifndef WEFT_BENCHMARKS_REPORT_FIGURE_H
#define WEFT_BENCHMARKS_REPORT_FIGURE_H

#include "benchmarks/report_impl.h"

/* An empty drawing of half the page's width, called m<model>-<what>. */
void report_figure_init(plot_figure *f, int model, const char *what,
                        const char *title);
/* Draws and frames it: caption, drawing, numbers (HTML). Releases f, also on
 * failure. */
MUST_USE status report_figure_end(plot_figure *f, plotter *p, const char *note,
                                  const strbuf *numbers, bool is_wide,
                                  strbuf *page);

/* Characters of a set-up's name that a drawing shows. */
enum { REPORT_NAME_MAX = 22 };
/* Those of the longest name in the drawings of a model. */
int report_name_length(const report_data *d, int model);
/* Sets the distance of the drawing's upper edge from the top. */
void report_top_margin(plot_figure *f, int pixels);

/* An entry of a legend: a box or line of some height, or a point. */
typedef struct report_mark {
    const char *name;
    plot_colour colour;
    double pixels; /* of a box                                             */
    int point;     /* gnuplot's number of its form; 0: a box               */
} report_mark;

/* A legend in columns at the top of a drawing, of which it takes this many
 * pixels. gnuplot's own does not say how large it will be. The figure has its
 * width and height when it is added. */
int report_legend_columns(const plot_figure *f, const report_mark *marks,
                          int n);
int report_legend_height(const plot_figure *f, const report_mark *marks, int n);
void report_legend(plot_figure *f, const report_mark *marks, int n);

/* The rank with the highest planned peak, NULL if ranks are not known. */
const run_rank *report_fullest(const run_summary *r);
/* Bytes of its planned peak that no buffer has. */
int64_t report_gaps(const run_rank *r);

#endif
