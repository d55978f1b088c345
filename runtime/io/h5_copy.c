/*
 * Copies between h5 files.
 *
 * HDF5 copies attributes byte by byte, and with them the references by which
 * a dataset names its dimension scales: in the other file they lead nowhere.
 * So after the copy all of them are removed (first pass over the copy), and
 * then made anew where the original has a scale that was copied too (second
 * pass over the original).
 */
#include <hdf5_hl.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/text.h"

#include "runtime/io/h5_impl.h"

/* One copy, and the member of both trees where the walk is. */
typedef struct copy {
    const h5_file *from;
    h5_file *to;
    const char *src;
    const char *dst;
} copy;

typedef status (*visit)(const copy *c, const char *path_in_src);

/* "/a" and "/b/c" -> "/a/b/c"; a base of "/" adds nothing. */
static status join(const char *base, const char *rest, char out[H5_PATH_SIZE])
{
    const bool root = strcmp(base, "/") == 0;
    const int n = snprintf(out, H5_PATH_SIZE, "%s%s",
                           root && rest[0] != '\0' ? "" : base, rest);

    REQUIRE(n < H5_PATH_SIZE, ST_BADFILE, "%.*s...: a path is too long",
            text_fit(out, 60), out);
    return ST_OK;
}

/* Calls fn for each dataset below src/rest, in order. */
static status walk(const copy *c, const char *rest, visit fn)
{
    char path[H5_PATH_SIZE], name[H5_NAME_SIZE], below[H5_PATH_SIZE];
    int64_t count = 0;

    TRY(join(c->src, rest, path));
    if (!h5_is_group(c->from, path)) {
        return fn(c, rest);
    }
    TRY(h5_group_count(c->from, path, &count));
    for (int64_t i = 0; i < count; i++) {
        TRY(h5_group_member(c->from, path, i, name));
        const int n = snprintf(below, sizeof(below), "%s/%s", rest, name);
        REQUIRE(n < H5_PATH_SIZE, ST_BADFILE, "%s: %.*s...: path is too long",
                c->from->path, text_fit(below, 60), below);
        TRY(walk(c, below, fn));
    }
    return ST_OK;
}

static status forget_scales(const copy *c, const char *rest)
{
    static const char *const names[] = {DIMENSION_LIST, REFERENCE_LIST};
    char path[H5_PATH_SIZE];
    status st = ST_OK;

    TRY(join(c->dst, rest, path));
    const hid_t object = H5Oopen(c->to->id, path, H5P_DEFAULT);
    for (int i = 0; i < 2 && st == ST_OK; i++) {
        if (H5Aexists(object, names[i]) > 0 &&
            H5Adelete(object, names[i]) < 0) {
            st = H5_FAIL(c->to, ST_IO, path, "cannot drop a dimension scale");
        }
    }
    h5_shut(object);
    return st;
}

/* The first scale of a dimension, by its path; an H5DS_iterate_t. */
static herr_t scale_name(hid_t set, unsigned dim, hid_t scale, void *name)
{
    (void)set;
    (void)dim;
    const ssize_t n = H5Iget_name(scale, name, H5_PATH_SIZE);
    return n > 0 && n < H5_PATH_SIZE ? 1 : -1;
}

static status attach_dim(const copy *c, hid_t set, int dim, const char *rest)
{
    char scale[H5_PATH_SIZE] = "", copied[H5_PATH_SIZE], path[H5_PATH_SIZE];
    const size_t skip = strcmp(c->src, "/") == 0 ? 0 : strlen(c->src);

    const int found =
        H5DSiterate_scales(set, (unsigned)dim, NULL, scale_name, scale);
    H5Eclear2(H5E_DEFAULT);
    if (found <= 0 || strncmp(scale, c->src, skip) != 0 || scale[skip] != '/') {
        return ST_OK; /* none, or one that stayed behind */
    }
    TRY(join(c->dst, scale + skip, copied));
    TRY(join(c->dst, rest, path));
    return h5_scale_attach(c->to, path, dim, copied);
}

static status attach_scales(const copy *c, const char *rest)
{
    char path[H5_PATH_SIZE];
    h5_info info;
    hid_t set;
    status st = ST_OK;

    TRY(join(c->src, rest, path));
    TRY(h5_data_info(c->from, path, &info));
    TRY(h5_data_open(c->from, path, &set));
    for (int i = 0; i < info.n_dims && st == ST_OK && H5DSis_scale(set) <= 0;
         i++) {
        if (H5DSget_num_scales(set, (unsigned)i) > 0) {
            st = attach_dim(c, set, i, rest);
        }
    }
    h5_shut(set);
    return st;
}

status h5_copy(const h5_file *from, const char *src, h5_file *to,
               const char *dst)
{
    const copy c = {from, to, src, dst};

    REQUIRE(h5_has(from, src), ST_BADFILE, "%s: %s: not found", from->path,
            src);
    TRY(h5_check_new(to, dst));
    TRY(h5_make_parents(to, dst));
    if (H5Ocopy(from->id, src, to->id, dst, H5P_DEFAULT, H5P_DEFAULT) < 0) {
        return H5_FAIL(to, ST_IO, dst, "cannot be copied; is the disk full?");
    }
    TRY(walk(&c, "", forget_scales));
    return walk(&c, "", attach_scales);
}

const char *h5_library(void)
{
    const char *space = strrchr(H5_VERS_INFO, ' ');

    return space != NULL ? space + 1 : H5_VERS_INFO;
}
