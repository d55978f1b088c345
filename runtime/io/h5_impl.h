/*
 * Inside of h5: shared by h5*.c alone, the only files that include hdf5.h.
 *
 * Rules here: an hid_t is closed by the function that opened it; h5_shut
 * takes any kind and a negative one. A failed HDF5 call leaves its story on
 * HDF5's error stack until the next call, so H5_FAIL comes before clean-up.
 */
#ifndef WEFT_IO_H5_IMPL_H
#define WEFT_IO_H5_IMPL_H

#include <hdf5.h>

#include "runtime/io/h5.h"
#include "runtime/io/newfile.h"
#include "runtime/io/seal.h"

struct h5_file {
    hid_t id;
    char *path;   /* as the caller named it; in every message      */
    newfile temp; /* of a new one; temp.temp is NULL for the others */
    bool writable;
    bool aligned;
    bool live; /* of h5_live_create */
    bool lost; /* the disk was full: what is written now goes nowhere */
};

enum {
    H5_CHUNK_ROWS = 1024,     /* of a column; few enough for short runs    */
    H5_CHUNK_BYTES = 1 << 20, /* HDF5's chunk cache a dataset: more would
                                 be decompressed again at each append      */
    H5_PATH_SIZE = 1024,
    H5_ATTR_READ_MAX = 1 << 20, /* other writers may have longer ones      */
    H5_ATTR_TEXT_MAX = 64000,   /* the 1.8 format's object headers hold 64 KiB
                                   minus their own fields                    */
};

/* Records "path: object: what (HDF5's reason)" and returns code. */
#define H5_FAIL(f, code, object, what)                                         \
    h5_fail(__FILE__, __LINE__, (f)->path, (code), (object), (what))

status h5_fail(const char *file, int line, const char *path, status code,
               const char *object, const char *what);

void h5_shut(hid_t id);

/* Datatypes; the caller shuts them. Negative on failure. */
hid_t h5_type_in_file(h5_type type);
hid_t h5_type_in_memory(h5_type type);
size_t h5_type_bytes(h5_type type);
/* Of fixed-length text of `bytes`, padded with zeros. */
hid_t h5_type_text(size_t bytes, bool utf8);

/* How files are opened: 1.8 format; no locks, so that readers may look at a
 * live file and shared file systems without locks work. The caller shuts it;
 * negative on failure. */
hid_t h5_access_list(bool aligned);

/* Whether libhdf5 survives the file: ST_BADFILE unless it does. Local; blocks
 * some milliseconds; forks. */
status h5_probe(const char *path);

/* Where the raw data lie that a seal passes over: those that carry checksums
 * of their own, and all numbers of an aligned file. Owns: list, mem_free. */
typedef struct h5_raw {
    seal_range *list;
    int n;
} h5_raw;

/* Finds them; the file has been flushed. */
status h5_raw_find(const h5_file *f, h5_raw *out);

/* Makes the groups above `path`. */
status h5_make_parents(h5_file *f, const char *path);

/* Fails unless f is open for writing and nothing is at path yet. */
status h5_check_new(const h5_file *f, const char *path);

/* Opens a dataset or fails with ST_BADFILE. */
status h5_data_open(const h5_file *f, const char *path, hid_t *out);
status h5_data_info_of(const h5_file *f, const char *path, hid_t data,
                       h5_info *out);
/* ST_BADFILE if the shape claims more than the file can hold: before memory
 * is asked for by it. Files that are being written are ours. */
status h5_data_claim(const h5_file *f, const char *path, hid_t data,
                     const h5_info *info);

/* The two data spaces of a transfer of rows; the caller shuts both. */
status h5_select_rows(const h5_file *f, const char *path, hid_t data,
                      int64_t first, int64_t rows, hid_t *in_memory,
                      hid_t *in_file);

/* Reads rows with any memory type. */
status h5_read_rows(const h5_file *f, const char *path, hid_t set, hid_t type,
                    int64_t first, int64_t rows, void *out);

/* Makes an empty dataset that grows; used by columns and tables. */
status h5_grow_create(h5_file *f, const char *path, hid_t type,
                      size_t row_bytes, int n_dims, const int64_t *dim);
/* Appends rows of memory type `type`. */
status h5_grow_append(h5_file *f, const char *path, hid_t type, int64_t rows,
                      const void *data);

/* The compound type of a row in memory, or packed as in the file. */
status h5_layout_type(const h5_layout *layout, bool packed, hid_t *out);

#endif
