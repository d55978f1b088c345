#include "runtime/results/format.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/base/mem.h"
#include "runtime/base/text.h"

status format_write(h5_file *f, const char *format)
{
    TRY(h5_attr_set_text(f, "/", "format", format));
    TRY(h5_attr_set_text(f, "/", "format_version", FORMAT_VERSION));
    TRY(h5_attr_set_text(f, "/", "software", "weft"));
    return h5_attr_set_text(f, "/", "software_version", WEFT_VERSION);
}

static status check_version(const h5_file *f, const char *format,
                            const char *version)
{
    char *end = NULL;
    const long major = strtol(version, &end, 10);

    REQUIRE(end != version && (*end == '.' || *end == '\0'), ST_BADFILE,
            "%s: format_version is \"%.*s\", expected is \"%s\"", h5_path(f),
            text_fit(version, 40), version, FORMAT_VERSION);
    REQUIRE(major == FORMAT_MAJOR, ST_BADFILE,
            "%s: is a %s of version %.*s, this program reads %d.x; use the "
            "weft that wrote it",
            h5_path(f), format, text_fit(version, 40), version, FORMAT_MAJOR);
    return ST_OK;
}

status format_check(const h5_file *f, const char *root, const char *format)
{
    char *found = NULL;
    char *version = NULL;
    status st = ST_OK;

    TRY(h5_attr_get_text(f, root, "format", "", &found));
    if (strcmp(found, format) != 0) {
        st = FAIL(ST_BADFILE, "%s: is %s%.*s, not a %s", h5_path(f),
                  found[0] != '\0' ? "a " : "no file of Weft's",
                  text_fit(found, 60), found, format);
        goto free_found;
    }
    TRY_GOTO(h5_attr_get_text(f, root, "format_version", "", &version),
             free_found);
    st = check_version(f, format, version);
    mem_free(version);
free_found:
    mem_free(found);
    return st;
}

/* Texts of a row: bytes behind the end become zero; one that fills its field
 * (by another writer) loses its last byte to the end. */
static void clean_texts(const h5_layout *layout, char *row)
{
    for (int i = 0; i < layout->count; i++) {
        const h5_field *field = &layout->fields[i];
        if (field->type == H5_TEXT) {
            char *text = row + field->offset;
            const size_t used = strnlen(text, field->bytes - 1);
            memset(text + used, 0, field->bytes - used);
        }
    }
}

status format_table_append(h5_file *f, const char *path,
                           const h5_layout *layout, int64_t rows,
                           const void *data)
{
    char *copy = NULL;

    TRY(mem_alloc((size_t)rows + 1, layout->row_bytes, "table",
                  (void **)&copy));
    if (rows > 0) {
        memcpy(copy, data, (size_t)rows * layout->row_bytes);
    }
    for (int64_t r = 0; r < rows; r++) {
        clean_texts(layout, copy + (size_t)r * layout->row_bytes);
    }
    const status st = h5_table_append(f, path, layout, rows, copy);
    mem_free(copy);
    return st;
}

void format_row_blank(const h5_layout *layout, void *row)
{
    const int32_t none32 = -1;
    const int64_t none = -1;
    const double nan = (double)NAN;

    memset(row, 0, layout->row_bytes);
    for (int i = 0; i < layout->count; i++) {
        char *at = (char *)row + layout->fields[i].offset;
        if (layout->fields[i].type == H5_F64) {
            memcpy(at, &nan, sizeof(nan));
        } else if (layout->fields[i].type == H5_I64) {
            memcpy(at, &none, sizeof(none));
        } else if (layout->fields[i].type == H5_I32) {
            memcpy(at, &none32, sizeof(none32));
        }
    }
}

status format_table_read(const h5_file *f, const char *path,
                         const h5_layout *layout, void **out, int64_t *rows)
{
    h5_info info = {0};
    char *data = NULL;

    if (h5_has(f, path)) {
        TRY(h5_data_check(f, path, H5_KIND_TABLE, 1, (const int64_t[]){-1}));
        TRY(h5_data_info(f, path, &info));
    }
    TRY(mem_alloc((size_t)info.rows + 1, layout->row_bytes, "table",
                  (void **)&data));
    for (int64_t r = 0; r < info.rows; r++) {
        format_row_blank(layout, data + (size_t)r * layout->row_bytes);
    }
    if (info.rows > 0) {
        const status st = h5_table_read(f, path, layout, 0, info.rows, data);
        if (st != ST_OK) {
            mem_free(data);
            return st;
        }
    }
    for (int64_t r = 0; r < info.rows; r++) {
        clean_texts(layout, data + (size_t)r * layout->row_bytes);
    }
    *out = data;
    *rows = info.rows;
    return ST_OK;
}

void format_time(char out[FORMAT_TIME_SIZE])
{
    const time_t now = time(NULL);
    struct tm parts;

    gmtime_r(&now, &parts);
    strftime(out, FORMAT_TIME_SIZE, "%Y-%m-%dT%H:%M:%SZ", &parts);
}
