#include "runtime/io/tokens_write.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/mem.h"
#include "runtime/base/text.h"
#include "runtime/io/newfile.h"
#include "runtime/io/tokens_format.h"

enum { BLOCK_IDS = 65536 };

struct tokens_writer {
    newfile file;
    tokens_format format;
    bool wide;
    int64_t vocab;
    int64_t count;
    uint8_t *block; /* items of 2 or 4 bytes not yet written */
    int64_t used;   /* bytes of it                           */
};

static status flush(tokens_writer *w)
{
    TRY(text_write_all(w->file.fd, w->file.temp, w->block, (size_t)w->used));
    w->used = 0;
    return ST_OK;
}

static status check_format(const char *path, tokens_format format,
                           int64_t vocab)
{
    if (format == TOKENS_AS_NANOGPT) {
        REQUIRE(vocab <= 65536, ST_CONFIG,
                "%s: nanoGPT's format holds 16-bit tokens, the vocabulary has "
                "%lld; take --format llmc",
                path, (long long)vocab);
        REQUIRE(text_ends(path, ".bin"), ST_CONFIG,
                "%s: a nanoGPT file is known by its name alone, which must "
                "end in .bin; rename it or take --format llmc",
                path);
    }
    return ST_OK;
}

status tokens_writer_create(const char *path, tokens_format format,
                            int64_t vocab, tokens_writer **out)
{
    tokens_writer *w = NULL;
    status st = ST_OK;

    TRY(check_format(path, format, vocab));
    TRY(MEM_NEW(&w, 1, "tokens"));
    w->format = format;
    w->wide = vocab > 65536;
    w->vocab = vocab;
    TRY_GOTO(MEM_NEW(&w->block, 4 * BLOCK_IDS, "tokens"), fail);
    TRY_GOTO(newfile_create(path, &w->file), fail);
    /* The header is all zero until the count is known. */
    w->used = format == TOKENS_AS_LLMC ? LLMC_HEADER_BYTES : 0;
    *out = w;
    return ST_OK;
fail:
    mem_free(w->block);
    mem_free(w);
    return st;
}

status tokens_writer_add(void *writer, const int32_t *ids, int64_t n)
{
    tokens_writer *w = writer;
    const int64_t item = w->wide ? 4 : 2;

    for (int64_t i = 0; i < n; i++) {
        DASSERT(ids[i] >= 0 && ids[i] < w->vocab);
        if (w->used + item > 4 * BLOCK_IDS) {
            TRY(flush(w));
        }
        memcpy(w->block + w->used, &ids[i], (size_t)item);
        w->used += item;
    }
    w->count += n;
    return ST_OK;
}

int64_t tokens_writer_count(const tokens_writer *w)
{
    return w->count;
}

const char *tokens_writer_kind(const tokens_writer *w)
{
    return w->format == TOKENS_AS_NANOGPT ? "nanoGPT uint16"
           : w->wide                      ? "llm.c uint32"
                                          : "llm.c uint16";
}

static status write_header(const tokens_writer *w)
{
    const int32_t head[3] = {w->wide ? LLMC32_MAGIC : LLMC_MAGIC,
                             w->wide ? LLMC32_VERSION : LLMC_VERSION,
                             (int32_t)w->count};

    REQUIRE(w->count <= INT32_MAX, ST_CONFIG,
            "%s: llm.c's format holds up to %d tokens, there are %lld; "
            "tokenize the texts in parts, or take --format nanogpt",
            w->file.path, INT32_MAX, (long long)w->count);
    REQUIRE(pwrite(w->file.fd, head, sizeof(head), 0) == sizeof(head), ST_IO,
            "%s: cannot write: %s", w->file.temp, strerror(errno));
    return ST_OK;
}

status tokens_writer_commit(tokens_writer *w)
{
    status st = flush(w);

    if (st == ST_OK && w->format == TOKENS_AS_LLMC) {
        st = write_header(w);
    }
    if (st == ST_OK) {
        st = newfile_commit(&w->file);
    }
    tokens_writer_abandon(w); /* of a committed file nothing is left */
    return st;
}

void tokens_writer_abandon(tokens_writer *w)
{
    if (w != NULL) {
        newfile_abandon(&w->file);
        mem_free(w->block);
        mem_free(w);
    }
}
