/*
 * Checksums of h5 datasets: hash64 of the raw data as it lies in the file
 * (row-major, little-endian), kept in an attribute beside it. HDF5 has none
 * for contiguous data: a flipped byte there is read without a word.
 */
#include "runtime/base/hash.h"
#include "runtime/base/mem.h"
#include "runtime/base/text.h"
#include "runtime/io/h5_impl.h"

static const char *checksum_name = "xxh3_64";

enum { PART_BYTES = 4 << 20 /* read at a time; more is not faster */ };

status h5_checksum_set(h5_file *f, const char *path, uint64_t hash)
{
    char text[HASH_TEXT_BYTES];

    hash_text(hash, text);
    return h5_attr_set_text(f, path, checksum_name, text);
}

/* Adds all rows to h, in the file's own type so that nothing is converted. */
static status add_rows(const h5_file *f, const char *path, hid_t set,
                       const h5_info *info, void *part, int64_t part_rows,
                       hash_state *h)
{
    const int64_t row_items = info->rows > 0 ? info->count / info->rows : 0;
    const size_t row_bytes = (size_t)row_items * info->item_bytes;
    const hid_t type = H5Dget_type(set);
    status st = ST_OK;

    for (int64_t first = 0; first < info->rows && st == ST_OK;
         first += part_rows) {
        const int64_t left = info->rows - first;
        const int64_t rows = left < part_rows ? left : part_rows;
        st = h5_read_rows(f, path, set, type, first, rows, part);
        if (st == ST_OK) {
            hash_add(h, part, (size_t)rows * row_bytes);
        }
    }
    h5_shut(type);
    return st;
}

static status hash_set(const h5_file *f, const char *path, hid_t set,
                       uint64_t *out)
{
    h5_info info;
    hash_state *h = NULL;
    char *part = NULL;
    status st = ST_OK;

    TRY(h5_data_info_of(f, path, set, &info));
    TRY(h5_data_claim(f, path, set, &info));
    if (info.kind != H5_KIND_FLOAT && info.kind != H5_KIND_INTEGER) {
        return FAIL(ST_BADFILE, "%s: %s: only numbers carry a checksum",
                    f->path, path);
    }
    const int64_t row_items = info.rows > 0 ? info.count / info.rows : 0;
    const int64_t row_bytes = row_items * (int64_t)info.item_bytes;
    const int64_t fit = row_bytes > 0 ? PART_BYTES / row_bytes : 1;
    const int64_t part_rows = fit > 0 ? fit : 1;
    TRY(hash_create(&h));
    TRY_GOTO(mem_alloc((size_t)part_rows, (size_t)(row_bytes + 1), "h5",
                       (void **)&part),
             destroy_hash);
    TRY_GOTO(add_rows(f, path, set, &info, part, part_rows, h), free_part);
    *out = hash_value(h);
free_part:
    mem_free(part);
destroy_hash:
    hash_destroy(h);
    return st;
}

static status hash_now(const h5_file *f, const char *path, uint64_t *out)
{
    hid_t set;

    TRY(h5_data_open(f, path, &set));
    const status st = hash_set(f, path, set, out);
    h5_shut(set);
    return st;
}

status h5_checksum_get(const h5_file *f, const char *path, uint64_t *hash)
{
    char *kept = NULL;
    status st = ST_OK;

    TRY(h5_attr_get_text(f, path, checksum_name, NULL, &kept));
    if (hash_parse(kept, hash) != ST_OK) {
        st = FAIL(ST_BADFILE,
                  "%s: %s: checksum \"%.*s\" is not 16 hex "
                  "digits",
                  f->path, path, text_fit(kept, 40), kept);
    }
    mem_free(kept);
    return st;
}

status h5_checksum_verify(const h5_file *f, const char *path)
{
    char have[HASH_TEXT_BYTES], kept[HASH_TEXT_BYTES];
    uint64_t hash = 0, stored = 0;

    TRY(h5_checksum_get(f, path, &stored));
    TRY(hash_now(f, path, &hash));
    hash_text(hash, have);
    hash_text(stored, kept);
    REQUIRE(hash == stored, ST_CORRUPT,
            "%s: %s: checksum is %s, stored was %s: the data changed "
            "after they were written; use an older checkpoint",
            f->path, path, have, kept);
    return ST_OK;
}

/* ---- what a seal may pass over ------------------------------------------- */

/* For H5Ovisit, which stops at a negative answer. */
typedef struct finder {
    h5_raw raw;
    int room;
    bool aligned; /* numbers may be written in place afterwards */
    status st;
} finder;

static status add_range(finder *s, seal_range r)
{
    if (s->raw.n == s->room) {
        const int room = s->room > 0 ? 2 * s->room : 64;
        TRY(mem_resize((size_t)room, sizeof(seal_range), "h5",
                       (void **)&s->raw.list));
        s->room = room;
    }
    s->raw.list[s->raw.n++] = r;
    return ST_OK;
}

static bool is_numbers(hid_t set)
{
    const hid_t type = H5Dget_type(set);
    const H5T_class_t class = H5Tget_class(type);

    h5_shut(type);
    return class == H5T_FLOAT || class == H5T_INTEGER;
}

static herr_t add_checked(hid_t root, const char *name, const H5O_info_t *info,
                          void *self)
{
    finder *s = self;

    if (info->type != H5O_TYPE_DATASET) {
        return 0;
    }
    const hid_t set = H5Dopen2(root, name, H5P_DEFAULT);
    const bool skip =
        H5Aexists(set, checksum_name) > 0 || (s->aligned && is_numbers(set));
    /* Of data that are not contiguous, and of none, it is undefined. */
    const haddr_t at = H5Dget_offset(set);
    const hsize_t bytes = H5Dget_storage_size(set);
    h5_shut(set);
    if (skip && at != HADDR_UNDEF && bytes > 0) {
        s->st = add_range(s, (seal_range){(int64_t)at, (int64_t)bytes});
    }
    return s->st == ST_OK ? 0 : -1;
}

status h5_raw_find(const h5_file *f, h5_raw *out)
{
    finder s = {.aligned = f->aligned, .st = ST_OK};

    if (H5Ovisit2(f->id, H5_INDEX_NAME, H5_ITER_NATIVE, add_checked, &s,
                  H5O_INFO_BASIC) < 0) {
        mem_free(s.raw.list);
        return s.st != ST_OK
                   ? s.st
                   : H5_FAIL(f, ST_IO, NULL, "cannot be looked through");
    }
    *out = s.raw;
    return ST_OK;
}
