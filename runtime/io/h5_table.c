/* Tables of h5 files: growing datasets of compound rows. */
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/io/h5_impl.h"

static size_t field_bytes(const h5_field *field)
{
    return field->type == H5_TEXT ? field->bytes : h5_type_bytes(field->type);
}

/* A field's type in memory and, packed, in the file: they are the same. */
static hid_t field_type(const h5_field *field)
{
    return field->type == H5_TEXT ? h5_type_text(field->bytes, false)
                                  : h5_type_in_file(field->type);
}

static size_t packed_bytes(const h5_layout *layout)
{
    size_t bytes = 0;

    for (int i = 0; i < layout->count; i++) {
        bytes += field_bytes(&layout->fields[i]);
    }
    return bytes;
}

status h5_layout_type(const h5_layout *layout, bool packed, hid_t *out)
{
    ASSERT(layout->count > 0 && layout->count <= H5_FIELDS_MAX);
    size_t at = 0;
    const hid_t row = H5Tcreate(H5T_COMPOUND, packed ? packed_bytes(layout)
                                                     : layout->row_bytes);
    for (int i = 0; i < layout->count; i++) {
        const h5_field *field = &layout->fields[i];
        ASSERT(field->offset + field_bytes(field) <= layout->row_bytes);
        const hid_t type = field_type(field);
        const herr_t done =
            H5Tinsert(row, field->name, packed ? at : field->offset, type);
        h5_shut(type);
        if (done < 0) {
            h5_shut(row);
            return FAIL(ST_INTERNAL, "field %s of a table is wrong",
                        field->name);
        }
        at += field_bytes(field);
    }
    *out = row;
    return ST_OK;
}

status h5_table_create(h5_file *f, const char *path, const h5_layout *layout)
{
    hid_t type;

    TRY(h5_layout_type(layout, true, &type));
    const status st =
        h5_grow_create(f, path, type, packed_bytes(layout), 0, NULL);
    h5_shut(type);
    return st;
}

status h5_table_append(h5_file *f, const char *path, const h5_layout *layout,
                       int64_t rows, const void *data)
{
    hid_t type;

    TRY(h5_layout_type(layout, false, &type));
    const status st = h5_grow_append(f, path, type, rows, data);
    h5_shut(type);
    return st;
}

/* A number never comes out of text nor a whole number out of a real one. */
static bool fits(const h5_field *field, H5T_class_t class)
{
    switch (field->type) {
    case H5_F32:
    case H5_F64:
    case H5_BF16:
        return class == H5T_FLOAT || class == H5T_INTEGER;
    case H5_I64:
    case H5_I32:
    case H5_U8:
        return class == H5T_INTEGER;
    case H5_TEXT:
        return class == H5T_STRING;
    }
    return false;
}

/* HDF5 leaves out silently what it does not find; we say it. */
static status check_fields(const h5_file *f, const char *path, hid_t set,
                           const h5_layout *layout)
{
    const hid_t type = H5Dget_type(set);
    status st = ST_OK;

    if (H5Tget_class(type) != H5T_COMPOUND) {
        st = FAIL(ST_BADFILE, "%s: %s: is not a table", f->path, path);
    }
    for (int i = 0; i < layout->count && st == ST_OK; i++) {
        const h5_field *field = &layout->fields[i];
        const int at = H5Tget_member_index(type, field->name);
        if (at < 0 && field->optional) {
            continue;
        }
        if (at < 0) {
            st = FAIL(ST_BADFILE, "%s: %s: has no column %s", f->path, path,
                      field->name);
        } else if (!fits(field, H5Tget_member_class(type, (unsigned)at))) {
            st = FAIL(ST_BADFILE, "%s: %s: column %s has another type", f->path,
                      path, field->name);
        }
    }
    H5Eclear2(H5E_DEFAULT);
    h5_shut(type);
    return st;
}

status h5_table_read(const h5_file *f, const char *path,
                     const h5_layout *layout, int64_t first, int64_t rows,
                     void *out)
{
    hid_t set, type, in_memory, in_file;
    status st = ST_OK;

    TRY(h5_data_open(f, path, &set));
    TRY_GOTO(check_fields(f, path, set, layout), shut_set);
    TRY_GOTO(h5_select_rows(f, path, set, first, rows, &in_memory, &in_file),
             shut_set);
    TRY_GOTO(h5_layout_type(layout, false, &type), shut_spaces);
    if (rows > 0 &&
        H5Dread(set, type, in_memory, in_file, H5P_DEFAULT, out) < 0) {
        st = H5_FAIL(f, ST_BADFILE, path, "cannot be read, it is damaged");
    }
    h5_shut(type);
shut_spaces:
    h5_shut(in_memory);
    h5_shut(in_file);
shut_set:
    h5_shut(set);
    return st;
}
