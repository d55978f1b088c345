/*
 * The report: one static page from run and comparison files, and the same
 * steps as a trace for Perfetto.
 *
 * Any mix of files is read; set-ups of one model stand side by side, whichever
 * file they come from, if their data, recipe and machine are the same. Those
 * that were refused, failed or were cut short are listed with their reasons;
 * those, and what trains nothing (store null), are the best at nothing. The
 * page needs no other file, no network and no script, and carries its numbers:
 * tables under the drawings, and all of them
 * as JSON in <script type="application/json" id="weft-data">.
 *
 * Equal files give equal pages: nothing of now or of this machine gets in.
 *
 * Local, one thread, not inside mpirun (gnuplot is started, see plot.h). An
 * output appears whole or not at all. Fails like runfile_read, plot_open and
 * text_write_file; ST_CONFIG where nothing is left to report.
 */
#ifndef WEFT_BENCHMARKS_REPORT_H
#define WEFT_BENCHMARKS_REPORT_H

#include "runtime/base/status.h"

typedef struct report_config {
    const char *const *files;  /* NULL-terminated                            */
    const char *const *setups; /* only those of these names; NULL: all      */
    const char *out;           /* the page, HTML; NULL: none                 */
    const char *perfetto;      /* the trace, JSON; NULL: none                */
    const char *keep;          /* folder for gnuplot's scripts; NULL: none   */
    const char *png;           /* folder for the drawings as PNG; NULL: none */
} report_config;

MUST_USE status report_run(const report_config *c);

#endif
