/*
 * Drawings by gnuplot: scripts and data go to files, one process of gnuplot
 * at a time draws them, the result becomes part of a page.
 *
 * Owns a folder: a temporary one that plot_close removes, or the caller's,
 * where scripts (.gp), data (.dat) and drawings (.svg) then stay. Scripts load
 * no start-up files. Texts are put in by plot_quote, so no name can be a
 * command. Equal input gives equal drawings.
 *
 * Local; never inside a rank of mpirun (it forks). Fails: ST_NOINPUT where
 * gnuplot is missing, ST_SYSTEM where it fails, ST_CANTCREATE, ST_IO.
 */
#ifndef WEFT_BENCHMARKS_PLOT_H
#define WEFT_BENCHMARKS_PLOT_H

#include "benchmarks/html.h"

/* Names of plot_colours, in their order. */
typedef enum plot_colour {
    PLOT_AXIS,
    PLOT_GRID,
    PLOT_PARAMETERS,
    PLOT_GRADIENTS,
    PLOT_OPTIMIZER,
    PLOT_ACTIVATIONS,
    PLOT_WORKING,
    PLOT_LOGITS,
    PLOT_SCRATCH,
    PLOT_STORE,
    PLOT_COMPUTE,
    PLOT_BACKWARD,
    PLOT_LOAD,
    PLOT_DRAIN,
    PLOT_COMM,
    PLOT_BUBBLE,
    PLOT_UPDATE,
    PLOT_OTHER,
    PLOT_LINE, /* the first of PLOT_LINES that can be told apart            */
    PLOT_COLOURS = PLOT_LINE + 8
} plot_colour;
enum { PLOT_LINES = PLOT_COLOURS - PLOT_LINE };

/* One more than PLOT_COLOURS: the last has no name. */
extern const html_colour plot_colours[PLOT_COLOURS + 1];

typedef struct plotter plotter;

/* keep: a folder, made if missing; NULL: a temporary one, in the folder of the
 * file `beside`. png: a folder for the same drawings as PNG; NULL: none.
 * Owns: *out, plot_close. */
MUST_USE status plot_open(const char *keep, const char *png, const char *beside,
                          plotter **out);
/* NULL is fine. */
void plot_close(plotter *p);

/* A drawing that is being written. Zeroed but for name, title, width and
 * height; script and data are appended to. The script finds its data in the
 * file `data`. */
typedef struct plot_figure {
    char name[40];     /* of its files, and in the page: letters, digits, - */
    char title[256];   /* one line                                          */
    strbuf desc;       /* what it shows, for those who cannot see it        */
    int width, height; /* of the drawing's own units, 15 a line of text     */
    strbuf script;
    strbuf data;
} plot_figure;

void plot_figure_fini(plot_figure *f);

/* Appends 'text' as gnuplot reads it, at most `most` characters, beginning and
 * end; a single quote in it becomes a typographic one. */
void plot_quote(strbuf *script, const char *text, size_t most);
/* Appends a number of data; NaN is a gap. */
void plot_number(strbuf *data, double x);
/* Draws and appends it to the page. */
MUST_USE status plot_draw(plotter *p, plot_figure *f, strbuf *page);

#endif
