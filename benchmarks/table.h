/*
 * A text table for the terminal: cells are texts (UTF-8), columns as wide as
 * they need to be, the first left-aligned, the others right. Local.
 */
#ifndef WEFT_BENCHMARKS_TABLE_H
#define WEFT_BENCHMARKS_TABLE_H

#include "runtime/base/text.h"
#include "runtime/results/comparison.h"

enum {
    TABLE_COLS_MAX = 16,
    TABLE_ROWS_MAX = 256,
    /* Bytes of a cell with the NUL: any name is whole, so no two that differ
     * look the same. */
    TABLE_CELL_MAX = COMPARISON_NAME_SIZE
};

typedef struct table {
    int cols, rows;
    char (*cell)[TABLE_COLS_MAX][TABLE_CELL_MAX];
} table;

/* `heads`: NULL-terminated. Owns: table_fini. */
MUST_USE status table_init(table *t, const char *const *heads);
void table_fini(table *t);
/* Begins a row; cells are then set by column. Rows past the end are lost. */
void table_row(table *t);
void table_set(table *t, int col, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void table_print(const table *t, strbuf *out);

#endif
