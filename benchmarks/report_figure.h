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

/* The rank with the highest planned peak, NULL if ranks are not known. */
const run_rank *report_fullest(const run_summary *r);
/* Seconds of a step by account: mean over ranks, and over steps after the
 * first. */
run_ledger report_step_ledger(const run_summary *r);

#endif
