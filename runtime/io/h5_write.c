/* Datasets of h5 files: groups, fixed shapes, growing columns, scales. */
#include <hdf5_hl.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/io/h5_impl.h"

enum { DEFLATE_LEVEL = 4 /* of 9: chunks are packed again at each append */ };

/* ---- groups -------------------------------------------------------------- */

static status group_make(h5_file *f, const char *path)
{
    const hid_t create = H5Pcreate(H5P_GROUP_CREATE);
    hid_t group = H5I_INVALID_HID;
    status st = ST_OK;

    if (create >= 0 &&
        H5Pset_link_creation_order(create, H5P_CRT_ORDER_TRACKED |
                                               H5P_CRT_ORDER_INDEXED) >= 0 &&
        H5Pset_obj_track_times(create, 0) >= 0) {
        group = H5Gcreate2(f->id, path, H5P_DEFAULT, create, H5P_DEFAULT);
    }
    if (group < 0) {
        st = H5_FAIL(f, ST_IO, path, "cannot create the group");
    }
    h5_shut(group);
    h5_shut(create);
    return st;
}

/* Makes every group that ends at a slash of path, or at its end too. HDF5
 * could do it, but without the order of creation. */
static status groups_make(h5_file *f, const char *path, bool whole)
{
    char part[H5_PATH_SIZE];
    const size_t length = strlen(path);

    ASSERT(f->writable && path[0] == '/' && length < sizeof(part));
    for (size_t i = 1; i <= length; i++) {
        if (path[i] != '/' && (path[i] != '\0' || !whole)) {
            continue;
        }
        memcpy(part, path, i);
        part[i] = '\0';
        if (h5_is_group(f, part)) {
            continue;
        }
        TRY(group_make(f, part));
    }
    return ST_OK;
}

status h5_group_create(h5_file *f, const char *path)
{
    return groups_make(f, path, true);
}

status h5_remove(h5_file *f, const char *path)
{
    ASSERT(f->writable);
    if (h5_has(f, path) && H5Ldelete(f->id, path, H5P_DEFAULT) < 0) {
        return H5_FAIL(f, ST_IO, path, "cannot be removed; is the disk full?");
    }
    return ST_OK;
}

status h5_make_parents(h5_file *f, const char *path)
{
    return groups_make(f, path, false);
}

status h5_check_new(const h5_file *f, const char *path)
{
    ASSERT(f->writable);
    REQUIRE(!h5_has(f, path), ST_INTERNAL, "%s: %s: exists already", f->path,
            path);
    return ST_OK;
}

/* ---- datasets of fixed shape --------------------------------------------- */

static hid_t space_of(int n_dims, const int64_t *dim)
{
    hsize_t extent[H5_DIMS_MAX];

    ASSERT(n_dims >= 0 && n_dims <= H5_DIMS_MAX);
    for (int i = 0; i < n_dims; i++) {
        ASSERT(dim[i] >= 0);
        extent[i] = (hsize_t)dim[i];
    }
    return n_dims == 0 ? H5Screate(H5S_SCALAR)
                       : H5Screate_simple(n_dims, extent, NULL);
}

/* Without time stamps; in aligned files placed at once and never filled, as
 * their bytes are written by others. */
static hid_t fixed_list(bool aligned)
{
    const hid_t p = H5Pcreate(H5P_DATASET_CREATE);

    if (p < 0 || H5Pset_obj_track_times(p, 0) < 0 ||
        (aligned && (H5Pset_alloc_time(p, H5D_ALLOC_TIME_EARLY) < 0 ||
                     H5Pset_fill_time(p, H5D_FILL_TIME_NEVER) < 0))) {
        h5_shut(p);
        return H5I_INVALID_HID;
    }
    return p;
}

static status fixed_create(h5_file *f, const char *path, hid_t type,
                           hid_t space, hid_t *out)
{
    const hid_t create = fixed_list(f->aligned);
    const hid_t data =
        H5Dcreate2(f->id, path, type, space, H5P_DEFAULT, create, H5P_DEFAULT);
    const status st =
        data >= 0 ? ST_OK
                  : H5_FAIL(f, ST_IO, path, "cannot create the dataset");

    h5_shut(create);
    if (st == ST_OK) {
        *out = data;
    }
    return st;
}

status h5_data_create(h5_file *f, const char *path, h5_type type, int n_dims,
                      const int64_t *dim)
{
    hid_t data = H5I_INVALID_HID;

    TRY(h5_check_new(f, path));
    TRY(h5_make_parents(f, path));
    const hid_t space = space_of(n_dims, dim);
    const hid_t kind = h5_type_in_file(type);
    const status st = fixed_create(f, path, kind, space, &data);
    h5_shut(data);
    h5_shut(kind);
    h5_shut(space);
    return st;
}

status h5_data_write(h5_file *f, const char *path, h5_type type, int64_t first,
                     int64_t rows, const void *data)
{
    hid_t set, in_memory, in_file;
    status st = ST_OK;

    ASSERT(f->writable);
    TRY(h5_data_open(f, path, &set));
    TRY_GOTO(h5_select_rows(f, path, set, first, rows, &in_memory, &in_file),
             shut_set);
    const hid_t kind = h5_type_in_memory(type);
    if (rows > 0 &&
        H5Dwrite(set, kind, in_memory, in_file, H5P_DEFAULT, data) < 0) {
        st = H5_FAIL(f, ST_IO, path, "cannot be written; is the disk full?");
    }
    h5_shut(kind);
    h5_shut(in_memory);
    h5_shut(in_file);
shut_set:
    h5_shut(set);
    return st;
}

status h5_data_put(h5_file *f, const char *path, h5_type type, int n_dims,
                   const int64_t *dim, const void *data)
{
    TRY(h5_data_create(f, path, type, n_dims, dim));
    return h5_data_write(f, path, type, 0, n_dims == 0 ? 1 : dim[0], data);
}

status h5_data_offset(const h5_file *f, const char *path, int64_t *offset)
{
    hid_t set;

    TRY(h5_data_open(f, path, &set));
    const haddr_t at = H5Dget_offset(set);
    h5_shut(set);
    REQUIRE(at != HADDR_UNDEF, ST_BADFILE,
            "%s: %s: has no place of its own in the file (chunked, empty or "
            "not aligned)",
            f->path, path);
    *offset = (int64_t)at;
    return ST_OK;
}

status h5_text_write(h5_file *f, const char *path, const char *text)
{
    hid_t data = H5I_INVALID_HID;

    TRY(h5_check_new(f, path));
    TRY(h5_make_parents(f, path));
    const hid_t type = h5_type_text(strlen(text), true);
    const hid_t space = H5Screate(H5S_SCALAR);
    status st = fixed_create(f, path, type, space, &data);
    if (st == ST_OK &&
        H5Dwrite(data, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, text) < 0) {
        st = H5_FAIL(f, ST_IO, path, "cannot be written; is the disk full?");
    }
    h5_shut(data);
    h5_shut(space);
    h5_shut(type);
    return st;
}

/* ---- datasets that grow -------------------------------------------------- */

/* Rows in a chunk: 1024, fewer where rows are wide, at least one. */
static int64_t chunk_rows(size_t row_bytes)
{
    const int64_t fit = (int64_t)(H5_CHUNK_BYTES / row_bytes);

    return fit < 1 ? 1 : fit < H5_CHUNK_ROWS ? fit : H5_CHUNK_ROWS;
}

status h5_grow_create(h5_file *f, const char *path, hid_t type,
                      size_t row_bytes, int n_dims, const int64_t *dim)
{
    hsize_t now[H5_DIMS_MAX] = {0}, most[H5_DIMS_MAX] = {H5S_UNLIMITED};
    hsize_t chunk[H5_DIMS_MAX];
    status st = ST_OK;
    hid_t data = H5I_INVALID_HID;

    ASSERT(n_dims + 1 <= H5_DIMS_MAX && row_bytes > 0);
    chunk[0] = (hsize_t)chunk_rows(row_bytes);
    for (int i = 0; i < n_dims; i++) {
        now[i + 1] = most[i + 1] = chunk[i + 1] = (hsize_t)dim[i];
    }
    TRY(h5_check_new(f, path));
    TRY(h5_make_parents(f, path));
    const hid_t space = H5Screate_simple(n_dims + 1, now, most);
    const hid_t create = fixed_list(false);
    if (H5Pset_chunk(create, n_dims + 1, chunk) >= 0 &&
        H5Pset_shuffle(create) >= 0 &&
        H5Pset_deflate(create, DEFLATE_LEVEL) >= 0) {
        data = H5Dcreate2(f->id, path, type, space, H5P_DEFAULT, create,
                          H5P_DEFAULT);
    }
    if (data < 0) {
        st = H5_FAIL(f, ST_IO, path, "cannot create the dataset");
    }
    h5_shut(data);
    h5_shut(create);
    h5_shut(space);
    return st;
}

status h5_column_create(h5_file *f, const char *path, h5_type type, int n_dims,
                        const int64_t *dim)
{
    size_t row_bytes = h5_type_bytes(type);

    for (int i = 0; i < n_dims; i++) {
        ASSERT(dim[i] > 0);
        row_bytes *= (size_t)dim[i];
    }
    const hid_t kind = h5_type_in_file(type);
    const status st = h5_grow_create(f, path, kind, row_bytes, n_dims, dim);
    h5_shut(kind);
    return st;
}

/* Sets the number of rows. */
static status resize(const h5_file *f, const char *path, hid_t set,
                     const h5_info *info, int64_t rows)
{
    hsize_t extent[H5_DIMS_MAX];

    for (int i = 0; i < info->n_dims; i++) {
        extent[i] = (hsize_t)info->dim[i];
    }
    extent[0] = (hsize_t)rows;
    if (H5Dset_extent(set, extent) < 0) {
        return H5_FAIL(f, ST_IO, path, "cannot change the number of rows");
    }
    return ST_OK;
}

/* Opens a dataset that must be able to grow. */
static status grow_open(const h5_file *f, const char *path, hid_t *set,
                        h5_info *info)
{
    ASSERT(f->writable);
    TRY(h5_data_open(f, path, set));
    status st = h5_data_info_of(f, path, *set, info);
    if (st == ST_OK && !info->columnar) {
        st = FAIL(ST_INTERNAL, "%s: %s: has a fixed number of rows", f->path,
                  path);
    }
    if (st != ST_OK) {
        h5_shut(*set);
    }
    return st;
}

status h5_grow_append(h5_file *f, const char *path, hid_t type, int64_t rows,
                      const void *data)
{
    h5_info info;
    hid_t set, in_memory, in_file;
    status st = ST_OK;

    ASSERT(rows >= 0);
    TRY(grow_open(f, path, &set, &info));
    if (rows == 0) {
        goto shut_set;
    }
    TRY_GOTO(resize(f, path, set, &info, info.rows + rows), shut_set);
    TRY_GOTO(
        h5_select_rows(f, path, set, info.rows, rows, &in_memory, &in_file),
        shut_set);
    if (H5Dwrite(set, type, in_memory, in_file, H5P_DEFAULT, data) < 0) {
        st = H5_FAIL(f, ST_IO, path, "cannot be written; is the disk full?");
    }
    h5_shut(in_memory);
    h5_shut(in_file);
shut_set:
    /* Closing writes the chunk, so a full disk may show up here. */
    if (H5Dclose(set) < 0 && st == ST_OK) {
        st = H5_FAIL(f, ST_IO, path, "cannot be written; is the disk full?");
    }
    return st;
}

status h5_column_append(h5_file *f, const char *path, h5_type type,
                        int64_t rows, const void *data)
{
    const hid_t kind = h5_type_in_memory(type);
    const status st = h5_grow_append(f, path, kind, rows, data);

    h5_shut(kind);
    return st;
}

status h5_column_cut(h5_file *f, const char *path, int64_t rows)
{
    h5_info info;
    hid_t set;
    status st;

    TRY(grow_open(f, path, &set, &info));
    if (rows < 0 || rows > info.rows) {
        st = FAIL(ST_BADFILE,
                  "%s: %s: has %lld rows, %lld are needed to go on from",
                  f->path, path, (long long)info.rows, (long long)rows);
    } else {
        st = resize(f, path, set, &info, rows);
    }
    h5_shut(set);
    return st;
}

/* ---- dimension scales ---------------------------------------------------- */

status h5_scale_set(h5_file *f, const char *path, const char *name)
{
    hid_t set;
    status st = ST_OK;

    TRY(h5_data_open(f, path, &set));
    if (H5DSset_scale(set, name) < 0) {
        st = H5_FAIL(f, ST_IO, path, "cannot become a dimension scale");
    }
    h5_shut(set);
    return st;
}

status h5_scale_attach(h5_file *f, const char *path, int dim, const char *scale)
{
    hid_t set, scale_set;
    status st = ST_OK;

    TRY(h5_data_open(f, path, &set));
    TRY_GOTO(h5_data_open(f, scale, &scale_set), shut_set);
    if (H5DSattach_scale(set, scale_set, (unsigned)dim) < 0) {
        st = H5_FAIL(f, ST_IO, path, "cannot take the dimension scale");
    }
    h5_shut(scale_set);
shut_set:
    h5_shut(set);
    return st;
}
