#include "runtime/io/tokens.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "runtime/base/hash.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/base/rng.h"
#include "runtime/base/text.h"
#include "runtime/io/foreign.h"
#include "runtime/io/mapfile.h"
#include "runtime/io/megatron.h"
#include "runtime/io/tokens_format.h"

/* Files are little-endian and mapped as they are. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "token files are read without swapping bytes");

enum { BLOCK = 4096 /* tokens looked at together when scanning */ };

struct tokens {
    mapfile file;
    tokens_kinds kind;
    int item_bytes;
    bool is_signed;
    bool index_ignored;
    const uint8_t *items; /* the first token, in the map */
    int64_t count;
};

/* ---- what kind of file --------------------------------------------------- */

static int32_t head_i32(const mapfile *file, int index)
{
    int32_t value = 0;

    if (file->bytes >= 4 * (index + 1)) {
        memcpy(&value, file->data + 4 * index, sizeof(value));
    }
    return value;
}

static status set_llmc(tokens *t, bool wide)
{
    const int32_t version = wide ? LLMC32_VERSION : LLMC_VERSION;

    t->kind = wide ? TOKENS_LLMC32 : TOKENS_LLMC;
    t->item_bytes = wide ? 4 : 2;
    REQUIRE(t->file.bytes >= LLMC_HEADER_BYTES, ST_BADFILE,
            "%s: is a truncated llm.c token file: %" PRId64
            " bytes, its header alone has %d; copy it again",
            t->file.path, t->file.bytes, LLMC_HEADER_BYTES);
    REQUIRE(head_i32(&t->file, 1) == version, ST_BADFILE,
            "%s: is an llm.c token file of version %" PRId32
            ", known is %" PRId32 "; make it again with llm.c's scripts",
            t->file.path, head_i32(&t->file, 1), version);
    t->count = head_i32(&t->file, 2);
    REQUIRE(t->count >= 1, ST_BADFILE,
            "%s: is an llm.c token file that says it has %" PRId64 " tokens",
            t->file.path, t->count);
    const int64_t want = LLMC_HEADER_BYTES + t->count * t->item_bytes;
    REQUIRE(t->file.bytes == want, ST_BADFILE,
            "%s: has %" PRId64 " bytes, its header says %" PRId64
            " tokens, which take %" PRId64 "; copy it again",
            t->file.path, t->file.bytes, t->count, want);
    t->items = t->file.data + LLMC_HEADER_BYTES;
    return ST_OK;
}

static status set_nanogpt(tokens *t)
{
    REQUIRE(t->file.bytes % 2 == 0, ST_BADFILE,
            "%s: has an odd length of %" PRId64
            " bytes, a .bin file holds uint16 tokens; copy it again, or "
            "rename it if it is text",
            t->file.path, t->file.bytes);
    t->kind = TOKENS_NANOGPT;
    t->item_bytes = 2;
    t->items = t->file.data;
    t->count = t->file.bytes / 2;
    return ST_OK;
}

static status set_kind(tokens *t)
{
    const int32_t magic = head_i32(&t->file, 0);

    if (magic == LLMC_MAGIC || magic == LLMC32_MAGIC) {
        return set_llmc(t, magic == LLMC32_MAGIC);
    }
    TRY(foreign_refuse(&t->file));
    if (text_ends(t->file.path, ".bin")) {
        return set_nanogpt(t);
    }
    t->kind = TOKENS_TEXT;
    t->item_bytes = 1;
    t->items = t->file.data;
    t->count = t->file.bytes;
    return ST_OK;
}

/* ---- opening ------------------------------------------------------------- */

/* An .idx that is no index: beside a .bin that may be what it says nothing
 * of; without one a file of any kind. */
static status pass_over(const char *path, const char *bin, const mapfile *idx,
                        bool *ignored)
{
    REQUIRE(!megatron_is_old_index(idx), ST_BADFILE,
            "%s: is an index of the older TNTIDX format (lazy or cached); make "
            "the data set again with Megatron's tools as MMIDIDX "
            "(--dataset-impl mmap)",
            idx->path);
    if (!text_path_exists(bin)) {
        return ST_OK;
    }
    REQUIRE(text_ends(path, ".bin"), ST_BADFILE,
            "%s: is no Megatron index, or a damaged one; copy it again, or "
            "give %s if that holds plain uint16 tokens",
            path, bin);
    *ignored = true;
    return ST_OK;
}

/* PREFIX.idx and PREFIX.bin, whichever `path` names, if the index is there;
 * else *idx has no data; ignored: another .idx is beside the .bin. The other
 * file's name follows from the path. */
static status open_index(const char *path, mapfile *idx, bool *ignored)
{
    const size_t len = strlen(path);
    char *name = NULL;

    if (!text_ends(path, ".bin") && !text_ends(path, ".idx")) {
        return ST_OK;
    }
    TRY(mem_strdup(path, &name));
    memcpy(name + len - 4, ".idx", 4);
    status st = ST_OK;
    if (text_path_exists(name)) {
        st = mapfile_open(name, idx);
    }
    if (st == ST_OK && idx->data != NULL && !megatron_is_index(idx)) {
        memcpy(name + len - 4, ".bin", 4);
        st = pass_over(path, name, idx, ignored);
        mapfile_close(idx);
    }
    mem_free(name);
    return st;
}

static status open_megatron(tokens *t, const char *path, const mapfile *idx)
{
    char *name = NULL;
    megatron_index m;

    TRY(mem_strdup(path, &name));
    memcpy(name + strlen(name) - 4, ".bin", 4);
    status st = mapfile_open(name, &t->file);
    mem_free(name);
    if (st == ST_OK) {
        st = megatron_read(idx, t->file.path, t->file.bytes, &m);
    }
    TRY(st);
    t->kind = TOKENS_MEGATRON;
    t->item_bytes = m.item_bytes;
    t->is_signed = m.item_bytes == 4;
    t->items = t->file.data;
    t->count = m.count;
    return ST_OK;
}

/* Megatron is given a data set as PREFIX alone. */
static status refuse_prefix(const char *path)
{
    strbuf bin = {0};

    if (text_path_exists(path)) {
        return ST_OK;
    }
    strbuf_printf(&bin, "%s.bin", path);
    const status st = strbuf_check(&bin);
    const bool there = st == ST_OK && text_path_exists(strbuf_view(&bin));
    strbuf_fini(&bin);
    TRY(st);
    REQUIRE(!there, ST_NOINPUT,
            "%s: No such file, but %s.bin is there; give that name", path,
            path);
    return ST_OK;
}

static status open_files(tokens *t, const char *path)
{
    mapfile idx = {0};

    TRY(open_index(path, &idx, &t->index_ignored));
    if (idx.data != NULL) {
        const status st = open_megatron(t, path, &idx);
        mapfile_close(&idx);
        return st;
    }
    TRY(refuse_prefix(path));
    TRY(mapfile_open(path, &t->file));
    return set_kind(t);
}

status tokens_open(const char *path, tokens **out)
{
    tokens *t;

    TRY(MEM_NEW(&t, 1, "tokens"));
    const status st = open_files(t, path);
    if (st != ST_OK) {
        tokens_close(t);
        return st;
    }
    *out = t;
    return ST_OK;
}

void tokens_close(tokens *t)
{
    if (t == NULL) {
        return;
    }
    mapfile_close(&t->file);
    mem_free(t);
}

tokens_kinds tokens_kind(const tokens *t)
{
    return t->kind;
}

const char *tokens_kind_name(const tokens *t)
{
    static const char *const megatron[] = {[1] = "Megatron uint8",
                                           [2] = "Megatron uint16",
                                           [4] = "Megatron int32"};
    static const char *const names[] = {
        [TOKENS_TEXT] = "text, one token a byte",
        [TOKENS_NANOGPT] = "nanoGPT uint16",
        [TOKENS_LLMC] = "llm.c uint16",
        [TOKENS_LLMC32] = "llm.c uint32",
    };

    return t->kind == TOKENS_MEGATRON ? megatron[t->item_bytes]
                                      : names[t->kind];
}

int64_t tokens_count(const tokens *t)
{
    return t->count;
}

bool tokens_index_ignored(const tokens *t)
{
    return t->index_ignored && t->kind == TOKENS_NANOGPT;
}

void tokens_warn(const tokens *t)
{
    if (tokens_index_ignored(t)) {
        log_warn("%s: the .idx beside it is no Megatron index, or a damaged "
                 "one; the .bin is read as plain uint16 tokens",
                 t->file.path);
    }
}

uint64_t tokens_hash(const tokens *t)
{
    return hash64(t->file.data, (size_t)t->file.bytes);
}

/* ---- reading ------------------------------------------------------------- */

/* Tokens first..first+n-1 as unsigned, whatever their width. A uint16 file
 * of nanoGPT may be mapped at any address, so nothing assumes alignment. */
static void widen(const tokens *t, int64_t first, int64_t n, uint32_t *out)
{
    const uint8_t *from = t->items + first * t->item_bytes;

    if (t->item_bytes == 4) {
        memcpy(out, from, (size_t)n * 4);
        return;
    }
    for (int64_t k = 0; k < n; k++) {
        uint16_t two;
        if (t->item_bytes == 1) {
            out[k] = from[k];
        } else {
            memcpy(&two, from + 2 * k, sizeof(two));
            out[k] = two;
        }
    }
}

/* Position of the first token >= limit, or -1; *top is the largest seen. */
static int64_t scan(const tokens *t, uint32_t limit, uint32_t *top)
{
    uint32_t block[BLOCK];

    *top = 0;
    for (int64_t first = 0; first < t->count; first += BLOCK) {
        const int64_t left = t->count - first;
        const int64_t n = left < BLOCK ? left : BLOCK;
        uint32_t most = 0;
        widen(t, first, n, block);
        for (int64_t k = 0; k < n; k++) {
            most = block[k] > most ? block[k] : most;
        }
        *top = most > *top ? most : *top;
        for (int64_t k = 0; k < n && most >= limit; k++) {
            if (block[k] >= limit) {
                *top = block[k];
                return first + k;
            }
        }
    }
    return -1;
}

/* A token as its file means it. */
static int64_t value_of(const tokens *t, uint32_t token)
{
    return t->is_signed ? (int64_t)(int32_t)token : (int64_t)token;
}

status tokens_check(const tokens *t, int64_t vocab)
{
    uint32_t value;

    REQUIRE(vocab >= 1 && vocab <= INT32_MAX, ST_CONFIG,
            "vocab_size is %" PRId64 ", allowed are 1 to %d", vocab, INT32_MAX);
    const int64_t at = scan(t, (uint32_t)vocab, &value);
    REQUIRE(at < 0, ST_CONFIG,
            "%s (%s): token %" PRId64 " at position %" PRId64
            " is outside the vocabulary, allowed are 0 to %" PRId64
            "; tokenize the text for this model, choose one with a larger "
            "vocab_size, or start a new run with --vocab",
            t->file.path, tokens_kind_name(t), value_of(t, value), at,
            vocab - 1);
    return ST_OK;
}

int64_t tokens_max(const tokens *t)
{
    uint32_t top;

    if (scan(t, UINT32_MAX, &top) >= 0) {
        return UINT32_MAX;
    }
    return top;
}

status tokens_get(const tokens *t, int64_t first, int64_t n, int32_t *out)
{
    uint32_t block[BLOCK];

    REQUIRE(first >= 0 && n >= 0 && first <= t->count - n, ST_INTERNAL,
            "%s: %" PRId64 " tokens from %" PRId64
            " on are outside, there are %" PRId64,
            t->file.path, n, first, t->count);
    for (int64_t done = 0; done < n; done += BLOCK) {
        const int64_t part = n - done < BLOCK ? n - done : BLOCK;
        widen(t, first + done, part, block);
        for (int64_t k = 0; k < part; k++) {
            REQUIRE(block[k] <= INT32_MAX, ST_BADFILE,
                    "%s: token %" PRId64 " at position %" PRId64
                    " is outside any vocabulary",
                    t->file.path, value_of(t, block[k]), first + done + k);
            out[done + k] = (int32_t)block[k];
        }
    }
    return ST_OK;
}

/* ---- windows ------------------------------------------------------------- */

static int64_t windows_of(int64_t count, int64_t seq)
{
    return count > seq ? (count - 1) / seq : 0;
}

status tokens_split_make(int64_t count, int64_t seq, double val_fraction,
                         tokens_split *out)
{
    REQUIRE(seq >= 1, ST_CONFIG,
            "the sequence length is %" PRId64 ", it must be at least 1", seq);
    REQUIRE(val_fraction >= 0 && val_fraction < 1, ST_CONFIG,
            "the validation fraction is %g, allowed is 0 <= f < 1",
            val_fraction);
    const int64_t val = (int64_t)((double)count * val_fraction);
    tokens_split s = {.seq = seq, .val_first = count - val};
    s.val_windows = windows_of(val, seq);
    if (s.val_windows == 0) {
        s.val_first = count;
    }
    s.train_windows = windows_of(s.val_first, seq);
    REQUIRE(s.train_windows >= 1, ST_CONFIG,
            "%" PRId64 " tokens are left for training, one sequence of %" PRId64
            " needs %" PRId64 "; give more data or a smaller --seq",
            s.val_first, seq, seq + 1);
    *out = s;
    return ST_OK;
}

int64_t tokens_window(uint64_t seed, int64_t step, int64_t index, int64_t batch,
                      int64_t windows)
{
    ASSERT(step >= 0 && index >= 0 && index < batch && windows >= 1);
    const int64_t i = step * batch + index;
    return rng_permute(seed, (uint64_t)(i / windows), windows, i % windows);
}
