/* Attributes of h5 files: text, whole numbers and real numbers. */
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/io/h5_impl.h"

/* ---- writing ------------------------------------------------------------- */

/* A scalar attribute; one of the same name is replaced. */
static status attr_set(h5_file *f, const char *path, const char *name,
                       hid_t type, const void *value)
{
    const hid_t object = H5Oopen(f->id, path, H5P_DEFAULT);
    const hid_t space = H5Screate(H5S_SCALAR);
    hid_t attr = H5I_INVALID_HID;
    status st = ST_OK;

    if (object >= 0 && H5Aexists(object, name) > 0) {
        H5Adelete(object, name);
    }
    if (object >= 0 && type >= 0 && space >= 0) {
        attr = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    }
    if (attr < 0 || H5Awrite(attr, type, value) < 0) {
        st = H5_FAIL(f, ST_IO, path, "cannot write an attribute");
    }
    h5_shut(attr);
    h5_shut(space);
    h5_shut(object);
    return st;
}

static bool is_ascii(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text > 127) {
            return false;
        }
    }
    return true;
}

status h5_attr_set_text(h5_file *f, const char *path, const char *name,
                        const char *value)
{
    const size_t bytes = strlen(value);

    REQUIRE(bytes <= H5_ATTR_TEXT_MAX, ST_INTERNAL,
            "%s: %s: attribute %s has %zu bytes, at most %d fit; store it as "
            "a text dataset",
            f->path, path, name, bytes, H5_ATTR_TEXT_MAX);
    const hid_t type = h5_type_text(bytes, !is_ascii(value));
    const status st = attr_set(f, path, name, type, value);
    h5_shut(type);
    return st;
}

status h5_attr_set_i64(h5_file *f, const char *path, const char *name,
                       int64_t value)
{
    return attr_set(f, path, name, H5T_STD_I64LE, &value);
}

status h5_attr_set_f64(h5_file *f, const char *path, const char *name,
                       double value)
{
    return attr_set(f, path, name, H5T_IEEE_F64LE, &value);
}

status h5_describe(h5_file *f, const char *path, const char *units,
                   const char *long_name)
{
    if (units != NULL) {
        TRY(h5_attr_set_text(f, path, "units", units));
    }
    if (long_name != NULL) {
        TRY(h5_attr_set_text(f, path, "long_name", long_name));
    }
    return ST_OK;
}

/* ---- reading ------------------------------------------------------------- */

bool h5_attr_has(const h5_file *f, const char *path, const char *name)
{
    return h5_has(f, path) &&
           H5Aexists_by_name(f->id, path, name, H5P_DEFAULT) > 0;
}

static status missing(const h5_file *f, const char *path, const char *name)
{
    return FAIL(ST_BADFILE, "%s: %s: attribute %s is missing", f->path, path,
                name);
}

/* Opens an attribute that exists and holds exactly one value. */
static status attr_open(const h5_file *f, const char *path, const char *name,
                        hid_t *out)
{
    const hid_t attr =
        H5Aopen_by_name(f->id, path, name, H5P_DEFAULT, H5P_DEFAULT);
    if (attr < 0) {
        return H5_FAIL(f, ST_BADFILE, path, "cannot open an attribute");
    }
    const hid_t space = H5Aget_space(attr);
    const hssize_t count = H5Sget_simple_extent_npoints(space);
    h5_shut(space);
    if (count != 1) {
        h5_shut(attr);
        return FAIL(ST_BADFILE,
                    "%s: %s: attribute %s holds %lld values, not one", f->path,
                    path, name, (long long)count);
    }
    *out = attr;
    return ST_OK;
}

/* Reads a number; whole numbers never come out of real ones. */
static status attr_number(const h5_file *f, const char *path, const char *name,
                          bool real, void *out)
{
    hid_t attr;

    TRY(attr_open(f, path, name, &attr));
    const hid_t type = H5Aget_type(attr);
    const H5T_class_t class = H5Tget_class(type);
    status st = ST_OK;
    if (class != H5T_INTEGER && !(real && class == H5T_FLOAT)) {
        st = FAIL(ST_BADFILE, "%s: %s: attribute %s is not a %s number",
                  f->path, path, name, real ? "real" : "whole");
    } else if (H5Aread(attr, real ? H5T_NATIVE_DOUBLE : H5T_NATIVE_INT64, out) <
               0) {
        st = H5_FAIL(f, ST_BADFILE, path, "cannot read an attribute");
    }
    h5_shut(type);
    h5_shut(attr);
    return st;
}

status h5_attr_get_i64(const h5_file *f, const char *path, const char *name,
                       int64_t fallback, int64_t *out)
{
    if (!h5_attr_has(f, path, name)) {
        *out = fallback;
        return ST_OK;
    }
    return attr_number(f, path, name, false, out);
}

status h5_attr_get_f64(const h5_file *f, const char *path, const char *name,
                       double fallback, double *out)
{
    if (!h5_attr_has(f, path, name)) {
        *out = fallback;
        return ST_OK;
    }
    return attr_number(f, path, name, true, out);
}

status h5_attr_need_i64(const h5_file *f, const char *path, const char *name,
                        int64_t *out)
{
    if (!h5_attr_has(f, path, name)) {
        return missing(f, path, name);
    }
    return attr_number(f, path, name, false, out);
}

status h5_attr_need_f64(const h5_file *f, const char *path, const char *name,
                        double *out)
{
    if (!h5_attr_has(f, path, name)) {
        return missing(f, path, name);
    }
    return attr_number(f, path, name, true, out);
}

/* Strings of other writers (h5py) have variable length; ours are fixed. */
static status attr_text(const h5_file *f, const char *path, hid_t attr,
                        hid_t type, char **out)
{
    char *text = NULL;

    if (H5Tis_variable_str(type) > 0) {
        char *lent = NULL;
        if (H5Aread(attr, type, &lent) < 0 || lent == NULL) {
            return H5_FAIL(f, ST_BADFILE, path, "cannot read an attribute");
        }
        const status st = mem_strdup(lent, out);
        H5free_memory(lent);
        return st;
    }
    const size_t bytes = H5Tget_size(type);
    REQUIRE(bytes <= H5_ATTR_READ_MAX, ST_BADFILE,
            "%s: %s: an attribute claims %zu bytes of text; it is damaged",
            f->path, path, bytes);
    TRY(MEM_NEW(&text, bytes + 1, "h5"));
    if (H5Aread(attr, type, text) < 0) {
        mem_free(text);
        return H5_FAIL(f, ST_BADFILE, path, "cannot read an attribute");
    }
    *out = text;
    return ST_OK;
}

status h5_attr_get_text(const h5_file *f, const char *path, const char *name,
                        const char *fallback, char **out)
{
    hid_t attr;

    if (!h5_attr_has(f, path, name)) {
        return fallback != NULL ? mem_strdup(fallback, out)
                                : missing(f, path, name);
    }
    TRY(attr_open(f, path, name, &attr));
    const hid_t type = H5Aget_type(attr);
    const status st = H5Tget_class(type) == H5T_STRING
                          ? attr_text(f, path, attr, type, out)
                          : FAIL(ST_BADFILE, "%s: %s: attribute %s is not text",
                                 f->path, path, name);
    h5_shut(type);
    h5_shut(attr);
    return st;
}
