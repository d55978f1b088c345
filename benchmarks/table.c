#include "benchmarks/table.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "benchmarks/html.h"
#include "runtime/base/mem.h"

status table_init(table *t, const char *const *heads)
{
    memset(t, 0, sizeof(*t));
    TRY(mem_alloc(TABLE_ROWS_MAX, sizeof(*t->cell), "table",
                  (void **)&t->cell));
    t->rows = 1;
    for (; heads[t->cols] != NULL && t->cols < TABLE_COLS_MAX; t->cols++) {
        table_set(t, t->cols, "%s", heads[t->cols]);
    }
    return ST_OK;
}

void table_fini(table *t)
{
    mem_free(t->cell);
    memset(t, 0, sizeof(*t));
}

void table_row(table *t)
{
    if (t->rows < TABLE_ROWS_MAX) {
        t->rows++;
    }
}

void table_set(table *t, int col, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    text_vprint(t->cell[t->rows - 1][col], TABLE_CELL_MAX, fmt, ap);
    va_end(ap);
}

void table_print(const table *t, strbuf *out)
{
    int width[TABLE_COLS_MAX] = {0};
    for (int r = 0; r < t->rows; r++) {
        for (int c = 0; c < t->cols; c++) {
            int n = (int)html_length(t->cell[r][c]);
            width[c] = n > width[c] ? n : width[c];
        }
    }
    for (int r = 0; r < t->rows; r++) {
        for (int c = 0; c < t->cols; c++) {
            const char *text = t->cell[r][c];
            size_t blanks = (size_t)width[c] - html_length(text);
            strbuf_fill(out, ' ', c == 0 ? 0 : blanks + 2);
            strbuf_add(out, text);
            strbuf_fill(out, ' ', c == 0 ? blanks : 0);
        }
        strbuf_add(out, "\n");
        for (int c = 0; r == 0 && c < t->cols; c++) {
            strbuf_fill(out, '-', (size_t)width[c] + (c == 0 ? 0 : 2));
        }
        strbuf_add(out, r == 0 ? "\n" : "");
    }
}
