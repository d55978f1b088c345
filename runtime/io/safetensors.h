/*
 * safetensors: the file format in which models are published.
 *
 *   u64 N | N bytes of JSON: name -> dtype, shape, [begin, end) | data
 *
 * Reading maps one file, a folder's model.safetensors, or the shards of a
 * model.safetensors.index.json. Files come from anywhere, so everything is
 * checked before anything is used: header at most 100 MB (and what json.h
 * takes, 16 MiB), begins with '{', no duplicate or unknown keys, known
 * dtypes, sizes that do not overflow and agree with shape and dtype, and
 * tensors that cover the data without hole or overlap. A shard's name is a
 * plain name in the index's folder. Each failure has its own line.
 *
 * A tensor's first dimension is its rows (a 0-d tensor is one row). Tensors
 * are listed in the order of their data, shard by shard. Infos, names and
 * data are lent until safetensors_close. Local; safetensors_read from any
 * number of threads. A file that is cut while open ends the process (SIGBUS).
 * Fails with ST_NOINPUT (missing), ST_LOCKED, ST_BADFILE (everything else).
 *
 * Writing streams float32 tensors in a given order through a temporary file
 * (newfile.h). One thread at a time.
 */
#ifndef WEFT_IO_SAFETENSORS_H
#define WEFT_IO_SAFETENSORS_H

#include <stdint.h>

#include "runtime/base/status.h"

enum {
    SAFETENSORS_DIMS_MAX = 8,
    SAFETENSORS_SHARDS_MAX = 1024 /* the largest published models: 200 */
};

typedef enum safetensors_dtype {
    SAFETENSORS_BOOL,
    SAFETENSORS_F4,
    SAFETENSORS_F6_E2M3,
    SAFETENSORS_F6_E3M2,
    SAFETENSORS_U8,
    SAFETENSORS_I8,
    SAFETENSORS_F8_E5M2,
    SAFETENSORS_F8_E4M3,
    SAFETENSORS_F8_E8M0,
    SAFETENSORS_I16,
    SAFETENSORS_U16,
    SAFETENSORS_F16,
    SAFETENSORS_BF16,
    SAFETENSORS_I32,
    SAFETENSORS_U32,
    SAFETENSORS_F32,
    SAFETENSORS_C64,
    SAFETENSORS_F64,
    SAFETENSORS_I64,
    SAFETENSORS_U64
} safetensors_dtype;

typedef struct safetensors_info {
    const char *name;
    const char *path; /* of the file it lies in */
    safetensors_dtype dtype;
    int n_dims;
    int64_t dim[SAFETENSORS_DIMS_MAX];
    int64_t rows;        /* dim[0], or 1 for a 0-d tensor */
    int64_t count;       /* elements                      */
    int64_t bytes;       /* of the data                   */
    const uint8_t *data; /* in the map; any alignment     */
} safetensors_info;

typedef struct safetensors safetensors;

/* A file, a folder with a model in it, or an index. Pickles are never read:
 * they can run code. Owns: *out. */
MUST_USE status safetensors_open(const char *path, safetensors **out);
/* NULL is fine. */
void safetensors_close(safetensors *s);

int64_t safetensors_count(const safetensors *s);
/* How many files they lie in. */
int64_t safetensors_files(const safetensors *s);
/* Tensor i < count, in file order. */
const safetensors_info *safetensors_at(const safetensors *s, int64_t i);
/* NULL if there is none of that name. */
const safetensors_info *safetensors_find(const safetensors *s,
                                         const char *name);
/* Value of a key of __metadata__ (of the first shard), or NULL. */
const char *safetensors_metadata(const safetensors *s, const char *key);
/* "F32", ... */
const char *safetensors_dtype_name(safetensors_dtype dtype);

/* Rows [first, first + rows) as float32, row-major. From F32, F16, BF16 and
 * F64 (rounded to nearest); other dtypes are ST_BADFILE, as is a finite F64
 * beyond float32. */
MUST_USE status safetensors_read(const safetensors_info *info, int64_t first,
                                 int64_t rows, float *out);
/* All of it; fails unless it has exactly `count` elements. */
MUST_USE status safetensors_read_all(const safetensors_info *info,
                                     int64_t count, float *out);

/* ---- writing ------------------------------------------------------------- */

typedef struct safetensors_entry {
    const char *name; /* printable, without '"' and '\' */
    int n_dims;
    int64_t dim[SAFETENSORS_DIMS_MAX];
} safetensors_entry;

typedef struct safetensors_writer safetensors_writer;

/* Writes the header for these F32 tensors, in this order, with
 * __metadata__ {"format":"pt"}. The entries are not kept. Owns: *out, until
 * commit or abandon. */
MUST_USE status safetensors_create(const char *path,
                                   const safetensors_entry *entries,
                                   int64_t count, safetensors_writer **out);
/* The next `count` values; cuts need not be at tensor borders. */
MUST_USE status safetensors_write(safetensors_writer *w, const float *data,
                                  int64_t count);
/* Makes the file durable and names it. Frees *w, also on failure. Fails with
 * ST_INTERNAL unless every value of the header was written. */
MUST_USE status safetensors_commit(safetensors_writer **w);
/* NULL is fine. */
void safetensors_abandon(safetensors_writer **w);

#endif
