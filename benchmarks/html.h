/*
 * HTML: text made safe, tables, and drawings that become a part of the page.
 *
 * Everything that comes from a file goes through html_text or html_textf, so
 * that no name in a file can become markup. Output is appended to a strbuf,
 * which remembers a failed allocation. Pure. Local, any thread.
 */
#ifndef WEFT_BENCHMARKS_HTML_H
#define WEFT_BENCHMARKS_HTML_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/status.h"
#include "runtime/base/text.h"

/* Replaces what is no text, in place: control characters by a space, bytes
 * that are not UTF-8 by '?'. For texts read from files. */
void html_clean(char *text);
/* Characters (code points) in UTF-8 text. */
size_t html_length(const char *text);
/* Bytes of the first n characters. */
size_t html_prefix(const char *text, size_t n);

/* & < > " ' as entities; fit for text and for quoted attributes. */
void html_text(strbuf *out, const char *text);
void html_textf(strbuf *out, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* A table in a box of its own that scrolls sideways. `heads`: NULL-terminated;
 * the first column names the row. Rows: html_row, html_cellf for each head (the
 * first is the row's head), html_row_end. */
void html_table(strbuf *out, const char *caption, const char *const *heads);
void html_row(strbuf *out);
void html_headf(strbuf *out, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void html_cellf(strbuf *out, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Words, aligned to the left and wrapped. */
void html_wordsf(strbuf *out, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void html_row_end(strbuf *out);
void html_table_end(strbuf *out);

/* A colour of drawings, which the page's style defines by this name. */
typedef struct html_colour {
    const char *name;  /* "c1": the style's variable --c1                   */
    const char *light; /* "#0072b2": in drawings, and on light paper        */
    const char *dark;
} html_colour;

/*
 * Appends a drawing by gnuplot's svg terminal as an element of the page: no
 * prolog, fixed size, font or identifier that could collide (`id` goes in
 * front of them), `title` and `desc` for those who cannot see it, colours of
 * the palette (up to one without a name) as variables, black as the colour of
 * text. Fails with ST_BADFILE if it is no such drawing, or has a script.
 */
MUST_USE status html_adopt_svg(const char *svg, const char *id,
                               const char *title, const char *desc,
                               const html_colour *palette, strbuf *out);

#endif
