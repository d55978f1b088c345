/*
 * HDF5 files: the small part of HDF5 that Weft uses, with plain errors.
 *
 * An h5_file is one open file, for writing or for reading. There are two
 * ways to write:
 *
 *   h5_create ... h5_commit    a checkpoint: filled as `<path>.tmp`, then
 *                              fsync and rename; whole or not there at all
 *   h5_live_create, h5_live_show ... h5_commit   results of a run: once the
 *                              layout is there under its own name, or as
 *                              `<path>.part` where an older file has that;
 *                              h5_flush after each record, so h5dump, h5py
 *                              and pandas read it meanwhile
 *
 * Objects are named by absolute paths ("/steps/loss"); groups on the way are
 * made when needed. Files keep to the 1.8 format, because newer ones cannot
 * be opened after a crash or by older readers; groups remember the order in
 * which members were made; no time stamps, so equal content is equal bytes.
 *
 * A dataset's first dimension is its rows; everything is read and written by
 * ranges of rows. `type` in a call is the type in memory, HDF5 converts.
 *
 * Local: one rank, serial driver, no MPI needed. NOT thread-safe, not even
 * for two different files (Debian builds HDF5 without locks): all calls of a
 * process come from one thread at a time. HDF5's own error printing is off;
 * every failure is one line with file and object: ST_NOINPUT (missing),
 * ST_LOCKED (no permission, or another run writes it),
 * ST_BADFILE (not HDF5, truncated, wrong shape or type), ST_CORRUPT (a
 * checksum differs), ST_IO (write failed), ST_CANTCREATE, ST_INTERNAL (our
 * own misuse: made twice, rows outside).
 */
#ifndef WEFT_IO_H5_H
#define WEFT_IO_H5_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/status.h"

typedef struct h5_file h5_file;

/* The HDF5 library that is loaded. */
typedef struct h5_features {
    char version[32];        /* "1.10.8"                                     */
    char header_version[32]; /* of the header that we were compiled with    */
    bool parallel;           /* built for MPI                                */
    bool gzip, shuffle;      /* filters, for writing and reading             */
    bool threadsafe;         /* the library locks; we do not rely on it      */
} h5_features;

/* Local. Fails with ST_SYSTEM. */
MUST_USE status h5_features_get(h5_features *out);

enum {
    H5_DIMS_MAX = 6,    /* dimensions of a dataset; a tensor has at most 3 */
    H5_FIELDS_MAX = 48, /* columns of a table                              */
    H5_NAME_SIZE = 256  /* bytes of a member's name with its final zero    */
};

typedef enum h5_type {
    H5_F32,
    H5_F64,
    H5_I64,
    H5_I32,
    H5_U8,
    H5_BF16, /* in memory uint16_t; in the file a 16-bit float */
    H5_TEXT  /* a table's char[n] field, padded with zeros     */
} h5_type;

/* What a dataset in a file holds, whatever its width. */
typedef enum h5_kind {
    H5_KIND_FLOAT,
    H5_KIND_INTEGER,
    H5_KIND_TEXT,
    H5_KIND_TABLE,
    H5_KIND_OTHER
} h5_kind;

typedef struct h5_info {
    h5_kind kind;
    size_t item_bytes; /* of one element in the file */
    int n_dims;        /* 0: a single value          */
    int64_t dim[H5_DIMS_MAX];
    int64_t rows;  /* dim[0], or 1 where n_dims is 0 */
    int64_t count; /* elements in all                */
    bool columnar; /* chunked: rows can be appended  */
} h5_info;

/* One column of a table, `offset` bytes into the caller's row. */
typedef struct h5_field {
    const char *name;
    h5_type type;
    size_t offset;
    size_t bytes;  /* of an H5_TEXT field; 0 for the others           */
    bool optional; /* a table may lack it: reading leaves it as it is */
} h5_field;

/* A table's row in memory; plain values, usually a static const. */
typedef struct h5_layout {
    const h5_field *fields;
    int count;
    size_t row_bytes; /* sizeof the row's struct */
} h5_layout;

/* H5_FIELD(trace_row, start_ns, H5_I64): an entry for a struct's member. */
#define H5_FIELD(row, member, type)                                            \
    {                                                                          \
#member, (type), offsetof(row, member),                                \
            (type) == H5_TEXT ? sizeof(((row *)0)->member) : 0, false          \
    }
/* The same of a column that files of an earlier version lack. */
#define H5_FIELD_ADDED(row, member, type)                                      \
    {                                                                          \
#member, (type), offsetof(row, member),                                \
            (type) == H5_TEXT ? sizeof(((row *)0)->member) : 0, true           \
    }

/* ---- opening and finishing ----------------------------------------------- */

/* Aligned: datasets start at multiples of 4096 bytes and have their place in
 * the file at once, for direct reads and writes at h5_data_offset. */
typedef enum h5_mode { H5_PLAIN, H5_ALIGNED } h5_mode;

/* A new file that appears at `path` on h5_commit. Owns: *out. */
MUST_USE status h5_create(const char *path, h5_mode mode, h5_file **out);
/* Makes it durable and names it, in place of an older file. Frees *f, also on
 * failure (then nothing appears, and a live file is left as by h5_close).
 * Blocks on the disk. */
MUST_USE status h5_commit(h5_file **f);
/* Drops a file of h5_create or h5_live_create. NULL is fine. */
void h5_abandon(h5_file **f);

/* A new file that others may read from h5_live_show on. Owns: *out, h5_commit
 * (it is whole), h5_close (it is not: it stays under the name it has),
 * h5_abandon. */
MUST_USE status h5_live_create(const char *path, h5_file **out);
/* Writes all there is and gives the file its name, `<path>.part` where an
 * older file is in the way. Once. */
MUST_USE status h5_live_show(h5_file *f);
/* An existing file of h5_live_create, to go on writing (resume). */
MUST_USE status h5_live_open(const char *path, h5_file **out);
/* Hands everything to the operating system: a reader sees it, and a crash of
 * this process (not of the machine) loses nothing. */
MUST_USE status h5_flush(h5_file *f);

/* For reading. */
MUST_USE status h5_open(const char *path, h5_file **out);
/* Ends h5_open, h5_live_create, h5_live_open. Frees *f, also on failure;
 * for files that were only read it cannot fail in a way that matters. */
MUST_USE status h5_close(h5_file **f);
/* The path as given at opening. Lends until the file is closed. */
const char *h5_path(const h5_file *f);
/* The name that the file has now: for a live file of h5_live_show the one it
 * was given. Lends as h5_path. */
const char *h5_path_now(const h5_file *f);

/* ---- writing ------------------------------------------------------------- */

/* Makes the group and those above it; one that exists is fine. */
MUST_USE status h5_group_create(h5_file *f, const char *path);

/* Takes the group or dataset out of the file, with all in it; one that is not
 * there is fine. Its room may stay in the file. */
MUST_USE status h5_remove(h5_file *f, const char *path);

/* Attributes of a group or dataset ("/" is the file); replaced if there.
 * Text is stored as a fixed-length ASCII string, below 64,000 bytes (longer:
 * h5_text_write); text with bytes above 127 is marked as UTF-8. */
MUST_USE status h5_attr_set_text(h5_file *f, const char *path, const char *name,
                                 const char *value);
MUST_USE status h5_attr_set_i64(h5_file *f, const char *path, const char *name,
                                int64_t value);
MUST_USE status h5_attr_set_f64(h5_file *f, const char *path, const char *name,
                                double value);
/* `units` and `long_name`; either may be NULL. */
MUST_USE status h5_describe(h5_file *f, const char *path, const char *units,
                            const char *long_name);

/* A contiguous dataset of fixed shape, to be filled by h5_data_write. */
MUST_USE status h5_data_create(h5_file *f, const char *path, h5_type type,
                               int n_dims, const int64_t *dim);
/* Rows [first, first + rows) from data[rows][dim[1]]...; `type` is data's. */
MUST_USE status h5_data_write(h5_file *f, const char *path, h5_type type,
                              int64_t first, int64_t rows, const void *data);
/* Create and write all; n_dims 0 with dim NULL is a single value. */
MUST_USE status h5_data_put(h5_file *f, const char *path, h5_type type,
                            int n_dims, const int64_t *dim, const void *data);
/* For tests, which damage what is there: byte position of a contiguous dataset
 * in the file (h5_create's temporary until the commit, the same afterwards). */
MUST_USE status h5_data_offset(const h5_file *f, const char *path,
                               int64_t *offset);

/* A dataset that grows: row shape dim[0..n_dims-1] (n_dims 0: one value a
 * row), no rows yet, chunked, shuffled and deflated. */
MUST_USE status h5_column_create(h5_file *f, const char *path, h5_type type,
                                 int n_dims, const int64_t *dim);
/* Adds rows at the end. One call costs some 100 us: batch where rows are
 * many. */
MUST_USE status h5_column_append(h5_file *f, const char *path, h5_type type,
                                 int64_t rows, const void *data);
/* Cuts a column or table to its first `rows` rows (resume from an earlier
 * step); fails if it has fewer. */
MUST_USE status h5_column_cut(h5_file *f, const char *path, int64_t rows);

/* A growing table of rows. */
MUST_USE status h5_table_create(h5_file *f, const char *path,
                                const h5_layout *layout);
MUST_USE status h5_table_append(h5_file *f, const char *path,
                                const h5_layout *layout, int64_t rows,
                                const void *data);

/* Text of any length as a dataset of its own (configuration files). */
MUST_USE status h5_text_write(h5_file *f, const char *path, const char *text);

/* Makes dataset `path` a dimension scale named `name`. */
MUST_USE status h5_scale_set(h5_file *f, const char *path, const char *name);
/* Dimension `dim` of `path` has the scale dataset `scale` as coordinate. */
MUST_USE status h5_scale_attach(h5_file *f, const char *path, int dim,
                                const char *scale);

/* Stores attribute `xxh3_64`: 16 hex digits of hash64 of the raw data as it
 * lies in the file (row-major, little-endian). */
MUST_USE status h5_checksum_set(h5_file *f, const char *path, uint64_t hash);

/* Copies the group or dataset `src` with all in it into another file, where
 * it is new; "/" is everything, with the file's attributes. Dimension scales
 * inside `src` are attached again. */
MUST_USE status h5_copy(const h5_file *from, const char *src, h5_file *to,
                        const char *dst);

/* Version of the HDF5 library, "1.10.8". Static. */
const char *h5_library(void);

/* ---- reading ------------------------------------------------------------- */

bool h5_has(const h5_file *f, const char *path);
bool h5_is_group(const h5_file *f, const char *path);

/* Members of a group in the order they were made (by name in files that do
 * not know the order). */
MUST_USE status h5_group_count(const h5_file *f, const char *path,
                               int64_t *count);
MUST_USE status h5_group_member(const h5_file *f, const char *path,
                                int64_t index, char name[H5_NAME_SIZE]);

MUST_USE status h5_data_info(const h5_file *f, const char *path, h5_info *out);
/* Fails unless the dataset exists with this kind and shape; a dim of -1
 * matches any length. */
MUST_USE status h5_data_check(const h5_file *f, const char *path, h5_kind kind,
                              int n_dims, const int64_t *dim);
/* Rows [first, first + rows) into out. Integers never come out of floats. */
MUST_USE status h5_data_read(const h5_file *f, const char *path, h5_type type,
                             int64_t first, int64_t rows, void *out);
/* Everything; fails unless it is exactly `count` elements. */
MUST_USE status h5_data_read_all(const h5_file *f, const char *path,
                                 h5_type type, int64_t count, void *out);
/* Rows of a table; fields are found by name, others are passed over. */
MUST_USE status h5_table_read(const h5_file *f, const char *path,
                              const h5_layout *layout, int64_t first,
                              int64_t rows, void *out);
/* A text dataset. Owns: *out, mem_free. */
MUST_USE status h5_text_read(const h5_file *f, const char *path, char **out);

bool h5_attr_has(const h5_file *f, const char *path, const char *name);
/* The value, or `fallback` where the attribute is missing; of another type
 * it is an error. Text: Owns: *out, mem_free; fallback NULL: it must exist. */
MUST_USE status h5_attr_get_text(const h5_file *f, const char *path,
                                 const char *name, const char *fallback,
                                 char **out);
MUST_USE status h5_attr_get_i64(const h5_file *f, const char *path,
                                const char *name, int64_t fallback,
                                int64_t *out);
MUST_USE status h5_attr_get_f64(const h5_file *f, const char *path,
                                const char *name, double fallback, double *out);
/* The value of an attribute that must be there. */
MUST_USE status h5_attr_need_i64(const h5_file *f, const char *path,
                                 const char *name, int64_t *out);
MUST_USE status h5_attr_need_f64(const h5_file *f, const char *path,
                                 const char *name, double *out);

/* The stored checksum. */
MUST_USE status h5_checksum_get(const h5_file *f, const char *path,
                                uint64_t *hash);
/* Recomputes the checksum; ST_CORRUPT if it differs, ST_BADFILE if the
 * dataset carries none. */
MUST_USE status h5_checksum_verify(const h5_file *f, const char *path);

#endif
