/* Looking into h5 files: members, shapes, ranges of rows. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/base/mem.h"
#include "runtime/io/h5_impl.h"

/* ---- what is there ------------------------------------------------------- */

/* HDF5 answers only for the last part of a path whose other parts exist. */
bool h5_has(const h5_file *f, const char *path)
{
    char part[H5_PATH_SIZE];
    const size_t length = strlen(path);
    bool found = path[0] == '/' && length < sizeof(part);

    for (size_t i = 1; i <= length && found && length > 1; i++) {
        if (path[i] == '/' || path[i] == '\0') {
            memcpy(part, path, i);
            part[i] = '\0';
            found = H5Lexists(f->id, part, H5P_DEFAULT) > 0 &&
                    H5Oexists_by_name(f->id, part, H5P_DEFAULT) > 0;
        }
    }
    H5Eclear2(H5E_DEFAULT);
    return found;
}

static H5I_type_t object_type(const h5_file *f, const char *path)
{
    if (!h5_has(f, path)) {
        return H5I_BADID;
    }
    const hid_t object = H5Oopen(f->id, path, H5P_DEFAULT);
    const H5I_type_t type = object >= 0 ? H5Iget_type(object) : H5I_BADID;
    h5_shut(object);
    return type;
}

bool h5_is_group(const h5_file *f, const char *path)
{
    return object_type(f, path) == H5I_GROUP;
}

static status group_info(const h5_file *f, const char *path, H5G_info_t *out)
{
    REQUIRE(h5_has(f, path), ST_BADFILE, "%s: %s: group not found", f->path,
            path);
    if (H5Gget_info_by_name(f->id, path, out, H5P_DEFAULT) < 0) {
        return H5_FAIL(f, ST_BADFILE, path, "is not a group");
    }
    return ST_OK;
}

status h5_group_count(const h5_file *f, const char *path, int64_t *count)
{
    H5G_info_t info;

    TRY(group_info(f, path, &info));
    *count = (int64_t)info.nlinks;
    return ST_OK;
}

status h5_group_member(const h5_file *f, const char *path, int64_t index,
                       char name[H5_NAME_SIZE])
{
    H5G_info_t info;

    TRY(group_info(f, path, &info));
    REQUIRE(index >= 0 && index < (int64_t)info.nlinks, ST_INTERNAL,
            "%s: %s: has no member %lld", f->path, path, (long long)index);
    ssize_t length =
        H5Lget_name_by_idx(f->id, path, H5_INDEX_CRT_ORDER, H5_ITER_INC,
                           (hsize_t)index, name, H5_NAME_SIZE, H5P_DEFAULT);
    if (length < 0) { /* the order of creation was not kept */
        length =
            H5Lget_name_by_idx(f->id, path, H5_INDEX_NAME, H5_ITER_INC,
                               (hsize_t)index, name, H5_NAME_SIZE, H5P_DEFAULT);
    }
    if (length < 0) {
        return H5_FAIL(f, ST_BADFILE, path, "cannot list the members");
    }
    REQUIRE(length < H5_NAME_SIZE, ST_BADFILE,
            "%s: %s: member %lld has a name longer than %d bytes", f->path,
            path, (long long)index, H5_NAME_SIZE - 1);
    return ST_OK;
}

/* ---- datasets ------------------------------------------------------------ */

status h5_data_open(const h5_file *f, const char *path, hid_t *out)
{
    switch (object_type(f, path)) {
    case H5I_DATASET:
        break;
    case H5I_BADID:
        return FAIL(ST_BADFILE, "%s: %s: dataset not found", f->path, path);
    default:
        return FAIL(ST_BADFILE, "%s: %s: is not a dataset", f->path, path);
    }
    const hid_t set = H5Dopen2(f->id, path, H5P_DEFAULT);
    if (set < 0) {
        return H5_FAIL(f, ST_BADFILE, path, "cannot open the dataset");
    }
    *out = set;
    return ST_OK;
}

static h5_kind kind_of(hid_t type)
{
    switch (H5Tget_class(type)) {
    case H5T_FLOAT:
        return H5_KIND_FLOAT;
    case H5T_INTEGER:
        return H5_KIND_INTEGER;
    case H5T_STRING:
        return H5_KIND_TEXT;
    case H5T_COMPOUND:
        return H5_KIND_TABLE;
    default:
        return H5_KIND_OTHER;
    }
}

static const char *kind_name(h5_kind kind)
{
    static const char *const names[] = {
        [H5_KIND_FLOAT] = "real numbers",
        [H5_KIND_INTEGER] = "whole numbers",
        [H5_KIND_TEXT] = "text",
        [H5_KIND_TABLE] = "a table",
        [H5_KIND_OTHER] = "data of an unknown kind",
    };

    return names[kind];
}

/* Dimensions as int64, with a product that does not overflow. */
static status shape_of(const h5_file *f, const char *path, hid_t space,
                       h5_info *info)
{
    hsize_t dim[H5S_MAX_RANK];
    int64_t count = 1;

    const int n_dims = H5Sget_simple_extent_ndims(space);
    REQUIRE(H5Sget_simple_extent_type(space) != H5S_NULL && n_dims >= 0 &&
                n_dims <= H5_DIMS_MAX,
            ST_BADFILE, "%s: %s: has %d dimensions, allowed are 0 to %d",
            f->path, path, n_dims, H5_DIMS_MAX);
    H5Sget_simple_extent_dims(space, dim, NULL);
    for (int i = 0; i < n_dims; i++) {
        REQUIRE(dim[i] <= INT64_MAX &&
                    !__builtin_mul_overflow(count, (int64_t)dim[i], &count),
                ST_BADFILE, "%s: %s: the shape overflows 64 bits", f->path,
                path);
        info->dim[i] = (int64_t)dim[i];
    }
    info->n_dims = n_dims;
    info->count = count;
    info->rows = n_dims == 0 ? 1 : info->dim[0];
    return ST_OK;
}

status h5_data_info_of(const h5_file *f, const char *path, hid_t data,
                       h5_info *out)
{
    h5_info info = {0};
    const hid_t space = H5Dget_space(data);
    const hid_t type = H5Dget_type(data);
    const hid_t create = H5Dget_create_plist(data);

    status st = shape_of(f, path, space, &info);
    info.kind = kind_of(type);
    info.item_bytes = H5Tget_size(type);
    int64_t bytes;
    if (st == ST_OK &&
        __builtin_mul_overflow(info.count, (int64_t)info.item_bytes, &bytes)) {
        st = FAIL(ST_BADFILE, "%s: %s: the size overflows 64 bits", f->path,
                  path);
    }
    info.columnar = H5Pget_layout(create) == H5D_CHUNKED;
    h5_shut(create);
    h5_shut(type);
    h5_shut(space);
    if (st == ST_OK) {
        *out = info;
    }
    return st;
}

/*
 * A shape may claim any length, and who reads asks for memory by it. Stored
 * bytes are there, and deflate makes at most 1032 of one.
 */
status h5_data_claim(const h5_file *f, const char *path, hid_t data,
                     const h5_info *info)
{
    enum { RATIO_MAX = 1100 };
    struct stat file;

    if (f->writable) {
        return ST_OK; /* what is in the library's cache has no place yet */
    }
    const hsize_t stored = H5Dget_storage_size(data);
    REQUIRE(stat(f->path, &file) == 0, ST_IO, "%s: %s", f->path,
            strerror(errno));
    const int64_t most =
        stored < (hsize_t)file.st_size ? (int64_t)stored : file.st_size;
    REQUIRE(info->count * (int64_t)info->item_bytes / RATIO_MAX <= most,
            ST_BADFILE,
            "%s: %s: claims %lld values of %zu bytes, the file holds %lld "
            "bytes of it; it is damaged",
            f->path, path, (long long)info->count, info->item_bytes,
            (long long)most);
    return ST_OK;
}

status h5_data_info(const h5_file *f, const char *path, h5_info *out)
{
    h5_info info;
    hid_t set;

    TRY(h5_data_open(f, path, &set));
    status st = h5_data_info_of(f, path, set, &info);
    if (st == ST_OK) {
        st = h5_data_claim(f, path, set, &info);
    }
    h5_shut(set);
    if (st == ST_OK) {
        *out = info;
    }
    return st;
}

/* "(3, 4, any)" */
static void shape_text(int n_dims, const int64_t *dim, char *out, size_t size)
{
    size_t at = 0;

    out[0] = '\0';
    for (int i = 0; i < n_dims && at < size; i++) {
        const int wrote =
            dim[i] < 0
                ? snprintf(out + at, size - at, "%sany", i > 0 ? ", " : "")
                : snprintf(out + at, size - at, "%s%lld", i > 0 ? ", " : "",
                           (long long)dim[i]);
        at += (size_t)wrote;
    }
}

status h5_data_check(const h5_file *f, const char *path, h5_kind kind,
                     int n_dims, const int64_t *dim)
{
    h5_info info;
    char have[H5_DIMS_MAX * 24], want[H5_DIMS_MAX * 24];

    ASSERT(n_dims <= H5_DIMS_MAX);
    TRY(h5_data_info(f, path, &info));
    REQUIRE(info.kind == kind, ST_BADFILE, "%s: %s: holds %s, expected %s",
            f->path, path, kind_name(info.kind), kind_name(kind));
    bool same = info.n_dims == n_dims;
    for (int i = 0; i < n_dims && same; i++) {
        same = dim[i] < 0 || dim[i] == info.dim[i];
    }
    if (!same) {
        shape_text(info.n_dims, info.dim, have, sizeof(have));
        shape_text(n_dims, dim, want, sizeof(want));
        return FAIL(ST_BADFILE, "%s: %s: has shape (%s), expected (%s)",
                    f->path, path, have, want);
    }
    return ST_OK;
}

status h5_select_rows(const h5_file *f, const char *path, hid_t data,
                      int64_t first, int64_t rows, hid_t *in_memory,
                      hid_t *in_file)
{
    h5_info info;
    hsize_t start[H5_DIMS_MAX] = {0}, extent[H5_DIMS_MAX];

    TRY(h5_data_info_of(f, path, data, &info));
    REQUIRE(first >= 0 && rows >= 0 && first <= info.rows - rows, ST_INTERNAL,
            "%s: %s: %lld rows from %lld on are outside, there are %lld",
            f->path, path, (long long)rows, (long long)first,
            (long long)info.rows);
    *in_file = H5Dget_space(data);
    if (info.n_dims == 0) {
        *in_memory = H5Screate(H5S_SCALAR);
        return ST_OK;
    }
    for (int i = 0; i < info.n_dims; i++) {
        extent[i] = (hsize_t)info.dim[i];
    }
    start[0] = (hsize_t)first;
    extent[0] = (hsize_t)rows;
    *in_memory = H5Screate_simple(info.n_dims, extent, NULL);
    if (rows > 0 && H5Sselect_hyperslab(*in_file, H5S_SELECT_SET, start, NULL,
                                        extent, NULL) < 0) {
        const status st =
            H5_FAIL(f, ST_INTERNAL, path, "cannot select the rows");
        h5_shut(*in_memory);
        h5_shut(*in_file);
        return st;
    }
    return ST_OK;
}

/* Reads rows with any memory type. */
status h5_read_rows(const h5_file *f, const char *path, hid_t set, hid_t type,
                    int64_t first, int64_t rows, void *out)
{
    hid_t in_memory, in_file;
    status st = ST_OK;

    TRY(h5_select_rows(f, path, set, first, rows, &in_memory, &in_file));
    if (rows > 0 &&
        H5Dread(set, type, in_memory, in_file, H5P_DEFAULT, out) < 0) {
        st = H5_FAIL(f, ST_BADFILE, path, "cannot be read, it is damaged");
    }
    h5_shut(in_memory);
    h5_shut(in_file);
    return st;
}

status h5_data_read(const h5_file *f, const char *path, h5_type type,
                    int64_t first, int64_t rows, void *out)
{
    const bool real = type == H5_F32 || type == H5_F64 || type == H5_BF16;
    h5_info info;
    hid_t set;
    status st = ST_OK;

    TRY(h5_data_open(f, path, &set));
    TRY_GOTO(h5_data_info_of(f, path, set, &info), shut_set);
    if (info.kind != H5_KIND_INTEGER && !(real && info.kind == H5_KIND_FLOAT)) {
        st = FAIL(ST_BADFILE, "%s: %s: holds %s, expected %s", f->path, path,
                  kind_name(info.kind),
                  kind_name(real ? H5_KIND_FLOAT : H5_KIND_INTEGER));
        goto shut_set;
    }
    const hid_t kind = h5_type_in_memory(type);
    st = h5_read_rows(f, path, set, kind, first, rows, out);
    h5_shut(kind);
shut_set:
    h5_shut(set);
    return st;
}

status h5_data_read_all(const h5_file *f, const char *path, h5_type type,
                        int64_t count, void *out)
{
    h5_info info;

    TRY(h5_data_info(f, path, &info));
    REQUIRE(info.count == count, ST_BADFILE,
            "%s: %s: holds %lld values, expected %lld", f->path, path,
            (long long)info.count, (long long)count);
    return h5_data_read(f, path, type, 0, info.rows, out);
}

/* Text of h5_text_write has a fixed length; h5py's has a variable one. */
static status text_of(const h5_file *f, const char *path, hid_t set, hid_t type,
                      char **out)
{
    char *text = NULL;

    if (H5Tis_variable_str(type) > 0) {
        char *lent = NULL;
        if (H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, &lent) < 0 ||
            lent == NULL) {
            return H5_FAIL(f, ST_BADFILE, path, "cannot be read");
        }
        const status st = mem_strdup(lent, out);
        H5free_memory(lent);
        return st;
    }
    TRY(MEM_NEW(&text, H5Tget_size(type) + 1, "h5"));
    if (H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, text) < 0) {
        mem_free(text);
        return H5_FAIL(f, ST_BADFILE, path, "cannot be read");
    }
    *out = text;
    return ST_OK;
}

status h5_text_read(const h5_file *f, const char *path, char **out)
{
    h5_info info;
    hid_t set;
    status st = ST_OK;

    TRY(h5_data_open(f, path, &set));
    TRY_GOTO(h5_data_info_of(f, path, set, &info), shut_set);
    TRY_GOTO(h5_data_claim(f, path, set, &info), shut_set);
    if (info.kind != H5_KIND_TEXT || info.count != 1) {
        st = FAIL(ST_BADFILE, "%s: %s: is not one text", f->path, path);
        goto shut_set;
    }
    const hid_t type = H5Dget_type(set);
    st = text_of(f, path, set, type, out);
    h5_shut(type);
shut_set:
    h5_shut(set);
    return st;
}
