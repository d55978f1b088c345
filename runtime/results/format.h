/*
 * What all HDF5 files of Weft have in common: the root attributes `format`,
 * `format_version`, `software` and `software_version`, and tables with clean
 * texts. Used by checkpoints, run files and comparisons. Local, see io/h5.h.
 */
#ifndef WEFT_RESULTS_FORMAT_H
#define WEFT_RESULTS_FORMAT_H

#include <stdint.h>

#include "runtime/base/status.h"
#include "runtime/io/h5.h"

#define WEFT_VERSION "0.1.0"

/* One version for the three formats: benchmarks/RESULTS.md describes them
 * together. Minor: something was added; major: a reader must change. */
#define FORMAT_VERSION "1.2"
enum { FORMAT_MAJOR = 1 };

/* Writes the four attributes. */
MUST_USE status format_write(h5_file *f, const char *format);

/* Fails with ST_BADFILE unless the attributes of group `root` ("/" but for a
 * set-up in a comparison) say this format in a version we can read. */
MUST_USE status format_check(const h5_file *f, const char *root,
                             const char *format);

/* h5_table_append with texts that are zero behind their end: readers outside
 * C show all bytes of a field. */
MUST_USE status format_table_append(h5_file *f, const char *path,
                                    const h5_layout *layout, int64_t rows,
                                    const void *data);
/* A row in which nothing was measured: numbers NaN or -1, texts "". */
void format_row_blank(const h5_layout *layout, void *row);
/* All rows of a table, their texts ended; optional columns that it lacks are
 * blank. Owns: *out (mem_free), also if there are none; a table that is
 * missing has none. */
MUST_USE status format_table_read(const h5_file *f, const char *path,
                                  const h5_layout *layout, void **out,
                                  int64_t *rows);

/* Now, UTC, "2026-01-31T12:34:56Z". */
enum { FORMAT_TIME_SIZE = 32 };
void format_time(char out[FORMAT_TIME_SIZE]);

#endif
