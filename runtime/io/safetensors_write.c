/* Writing safetensors: header first, then the values as they come. */
#include <inttypes.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/text.h"
#include "runtime/io/newfile.h"
#include "runtime/io/safetensors.h"

struct safetensors_writer {
    newfile file;
    int64_t expected; /* values the header promises */
    int64_t written;
};

enum { HEADER_ALIGN = 8 /* so that mapped float32 data are aligned */ };

static status check_entry(const safetensors_entry *entries, int64_t i)
{
    const char *name = entries[i].name;

    for (const char *c = name; *c != '\0'; c++) {
        REQUIRE((unsigned char)*c >= ' ' && *c != '"' && *c != '\\',
                ST_INTERNAL, "tensor %" PRId64 " has an unprintable name", i);
    }
    REQUIRE(strcmp(name, "__metadata__") != 0, ST_INTERNAL,
            "a tensor cannot be named __metadata__");
    for (int64_t k = 0; k < i; k++) {
        REQUIRE(strcmp(entries[k].name, name) != 0, ST_INTERNAL,
                "tensor %s is listed twice", name);
    }
    return ST_OK;
}

/* Appends one entry; *at is the byte where its data begin, then end. */
static status add_entry(strbuf *b, const safetensors_entry *e, int64_t *at)
{
    int64_t bytes = sizeof(float);
    const int64_t begin = *at;

    ASSERT(e->n_dims >= 0 && e->n_dims <= SAFETENSORS_DIMS_MAX);
    strbuf_printf(b, ",\"%s\":{\"dtype\":\"F32\",\"shape\":[", e->name);
    for (int i = 0; i < e->n_dims; i++) {
        strbuf_printf(b, "%s%" PRId64, i > 0 ? "," : "", e->dim[i]);
        REQUIRE(e->dim[i] >= 0 &&
                    !__builtin_mul_overflow(bytes, e->dim[i], &bytes),
                ST_INTERNAL, "tensor %s has an impossible shape", e->name);
    }
    REQUIRE(!__builtin_add_overflow(begin, bytes, at), ST_INTERNAL,
            "tensor %s ends beyond 64 bits", e->name);
    strbuf_printf(b, "],\"data_offsets\":[%" PRId64 ",%" PRId64 "]}", begin,
                  *at);
    return ST_OK;
}

static status put(const safetensors_writer *w, const void *data, size_t bytes)
{
    return text_write_all(w->file.fd, w->file.path, data, bytes);
}

static status write_header(safetensors_writer *w,
                           const safetensors_entry *entries, int64_t count)
{
    strbuf b = {0};
    int64_t end = 0;
    status st = ST_OK;

    strbuf_add(&b, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (int64_t i = 0; i < count; i++) {
        TRY_GOTO(check_entry(entries, i), fini_text);
        TRY_GOTO(add_entry(&b, &entries[i], &end), fini_text);
    }
    strbuf_add(&b, "}");
    strbuf_fill(&b, ' ', (HEADER_ALIGN - b.len % HEADER_ALIGN) % HEADER_ALIGN);
    TRY_GOTO(strbuf_check(&b), fini_text);
    const uint64_t header = b.len;
    TRY_GOTO(put(w, &header, sizeof(header)), fini_text);
    TRY_GOTO(put(w, strbuf_view(&b), b.len), fini_text);
    w->expected = end / (int64_t)sizeof(float);
fini_text:
    strbuf_fini(&b);
    return st;
}

status safetensors_create(const char *path, const safetensors_entry *entries,
                          int64_t count, safetensors_writer **out)
{
    safetensors_writer *w;
    status st = ST_OK;

    TRY(MEM_NEW(&w, 1, "safetensors"));
    TRY_GOTO(newfile_create(path, &w->file), free_writer);
    TRY_GOTO(write_header(w, entries, count), abandon_file);
    *out = w;
    return ST_OK;
abandon_file:
    newfile_abandon(&w->file);
free_writer:
    mem_free(w);
    return st;
}

status safetensors_write(safetensors_writer *w, const float *data,
                         int64_t count)
{
    REQUIRE(count >= 0 && count <= w->expected - w->written, ST_INTERNAL,
            "%s: %" PRId64 " values are more than its header promises",
            w->file.path, w->written + count);
    TRY(put(w, data, (size_t)count * sizeof(float)));
    w->written += count;
    return ST_OK;
}

status safetensors_commit(safetensors_writer **w)
{
    status st = ST_OK;

    if ((*w)->written != (*w)->expected) {
        st = FAIL(ST_INTERNAL,
                  "%s: %" PRId64 " values were written, its header promises "
                  "%" PRId64,
                  (*w)->file.path, (*w)->written, (*w)->expected);
        safetensors_abandon(w);
        return st;
    }
    st = newfile_commit(&(*w)->file);
    mem_free(*w);
    *w = NULL;
    return st;
}

void safetensors_abandon(safetensors_writer **w)
{
    if (*w == NULL) {
        return;
    }
    newfile_abandon(&(*w)->file);
    mem_free(*w);
    *w = NULL;
}
