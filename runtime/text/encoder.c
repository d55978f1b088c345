/*
 * Encoding. What makes it fast: MB/s of one core for GPT-2's vocabulary on
 * 4.3 MB of English (benchmarks/bench_text.c), on a busy machine:
 *
 *   split by PCRE2, each piece merged                       18
 *   and pieces of up to 16 bytes remembered with their ids  60
 *   and pieces of ASCII split without PCRE2 (split.c)      125
 */
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/stop.h"
#include "runtime/text/merge.h"
#include "runtime/text/nfc.h"
#include "runtime/text/split.h"
#include "runtime/text/tokenizer_impl.h"
#include "runtime/text/utf8.h"

enum {
    CACHE_BITS = 16, /* 65,536 slots of one cache line: 4 MiB            */
    CACHE_TRIES = 4, /* slots that a piece may stand in                  */
    CACHE_BYTES = 16,
    CACHE_IDS = 11, /* what a line has room for                         */
    OUT_IDS = 65536 /* handed on together                               */
};

/* A piece with its ids. All zero: free (a piece has at least one byte). */
typedef struct slot {
    uint64_t key[2]; /* the piece, zeros behind it */
    uint8_t len;
    uint8_t n;
    int32_t ids[CACHE_IDS];
} slot;

_Static_assert(sizeof(slot) == 64, "a slot is one cache line");

struct encoder {
    const tokenizer *t;
    splitter *split;
    slot *cache;
    merger merge;
    int32_t *out; /* OUT_IDS, and a slot's ids more */
    int64_t nout;
    encoder_take take;
    void *self;
    const char *name;    /* of the text at hand */
    const uint8_t *text; /* all of it           */
};

status encoder_create(const tokenizer *t, encoder **out)
{
    encoder *e = NULL;
    status st = ST_OK;

    TRY(MEM_NEW(&e, 1, "encoder"));
    e->t = t;
    TRY_GOTO(split_create(&e->split), fail);
    TRY_GOTO(MEM_NEW(&e->cache, (1 << CACHE_BITS) + CACHE_TRIES, "encoder"),
             fail);
    TRY_GOTO(MEM_NEW(&e->out, OUT_IDS + CACHE_IDS, "encoder"), fail);
    *out = e;
    return ST_OK;
fail:
    encoder_destroy(e);
    return st;
}

void encoder_destroy(encoder *e)
{
    if (e != NULL) {
        merger_fini(&e->merge);
        split_destroy(e->split);
        mem_free(e->cache);
        mem_free(e->out);
        mem_free(e);
    }
}

/* ---- handing on ---------------------------------------------------------- */

static status flush(encoder *e)
{
    const int64_t n = e->nout;

    e->nout = 0;
    return n > 0 ? e->take(e->self, e->out, n) : ST_OK;
}

static status give(encoder *e, const int32_t *ids, int64_t n)
{
    while (n > 0) {
        const int64_t room = OUT_IDS - e->nout;
        const int64_t part = n < room ? n : room;
        memcpy(e->out + e->nout, ids, (size_t)part * sizeof(*ids));
        e->nout += part;
        ids += part;
        n -= part;
        if (e->nout == OUT_IDS) {
            TRY(flush(e));
        }
    }
    return ST_OK;
}

/* ---- pieces -------------------------------------------------------------- */

/* The first n bytes of x; 0 <= n <= 8. */
static uint64_t low_bytes(uint64_t x, int64_t n)
{
    return n >= 8 ? x : x & (((uint64_t)1 << 8 * n) - 1);
}

/* `left` bytes of text may be read from p on. */
static void make_key(const uint8_t *p, int64_t len, int64_t left,
                     uint64_t key[2])
{
    if (left >= CACHE_BYTES) {
        memcpy(key, p, CACHE_BYTES);
        key[0] = low_bytes(key[0], len);
        key[1] = len > 8 ? low_bytes(key[1], len - 8) : 0;
    } else {
        key[0] = key[1] = 0;
        memcpy(key, p, (size_t)len);
    }
}

static slot *home_of(const encoder *e, const uint64_t key[2])
{
    const uint64_t mixed =
        (key[0] ^ key[1] * 0xff51afd7ed558ccdu) * 0x9e3779b97f4a7c15u;
    return &e->cache[mixed >> (64 - CACHE_BITS)];
}

/* Merges a piece and remembers it, where it fits, in a free one of its slots
 * or else in the first. */
static status encode_new(encoder *e, const uint8_t *piece, int64_t len,
                         const uint64_t key[2])
{
    const int32_t *ids = NULL;
    int64_t n = 0;

    TRY(merge_piece(&e->merge, &e->t->merges, e->t->byte_ids, piece, len, &ids,
                    &n));
    if (len <= CACHE_BYTES && n <= CACHE_IDS) {
        slot *home = home_of(e, key);
        slot *at = home;
        while (at < home + CACHE_TRIES && at->len != 0) {
            at++;
        }
        at = at < home + CACHE_TRIES ? at : home;
        *at = (slot){{key[0], key[1]}, (uint8_t)len, (uint8_t)n, {0}};
        memcpy(at->ids, ids, (size_t)n * sizeof(*ids));
    }
    return give(e, ids, n);
}

static status encode_piece(encoder *e, const uint8_t *piece, int64_t len,
                           int64_t left)
{
    uint64_t key[2] = {0, 0};

    if (len > CACHE_BYTES) {
        return encode_new(e, piece, len, key);
    }
    make_key(piece, len, left, key);
    const slot *at = home_of(e, key);
    for (int i = 0; i < CACHE_TRIES; i++, at++) {
        if (at->key[0] == key[0] && at->key[1] == key[1] && at->len == len) {
            /* Always all ids, of which n count: a copy of fixed length. */
            memcpy(e->out + e->nout, at->ids, sizeof(at->ids));
            e->nout += at->n;
            return e->nout >= OUT_IDS ? flush(e) : ST_OK;
        }
    }
    return encode_new(e, piece, len, key);
}

static status encode_pieces(encoder *e, const uint8_t *text, int64_t len)
{
    int64_t end = 0;

    for (int64_t from = 0; from < len; from = end) {
        TRY(stop_check());
        TRY(split_next(e->split, text, len, from, &end));
        TRY(encode_piece(e, text + from, end - from, len - from));
    }
    return ST_OK;
}

/* ---- added tokens -------------------------------------------------------- */

/* The longest added token that begins at text[at], or NULL. */
static const added_token *match(const added_set *set, const uint8_t *text,
                                int64_t len, int64_t at)
{
    const int first = text[at];

    if (at + 1 < len) {
        const int two = first << 8 | text[at + 1];
        if ((set->starts[two / 64] >> two % 64 & 1) == 0) {
            return NULL;
        }
    }
    for (int32_t i = set->first[first]; i < set->first[first + 1]; i++) {
        const added_token *a = &set->list[i];
        if (a->len <= len - at &&
            memcmp(a->text, text + at, (size_t)a->len) == 0) {
            return a;
        }
    }
    return NULL;
}

static status check_form(const encoder *e, const uint8_t *text, int64_t len)
{
    const int64_t at = nfc_check(text, len);

    REQUIRE(at < 0, ST_BADFILE,
            "%s: byte %lld: the text is not in Unicode's form NFC, which %s "
            "asks for; convert it (uconv -x any-nfc)",
            e->name, (long long)(text + at - e->text), e->t->name);
    return ST_OK;
}

/* A part of the text without added tokens of the phases before `phase`. */
static status encode_phase(encoder *e, int phase, const uint8_t *text,
                           int64_t len)
{
    if (phase == ADDED_PHASES) {
        return encode_pieces(e, text, len);
    }
    if (phase == ADDED_NORMALIZED && e->t->nfc) {
        TRY(check_form(e, text, len));
    }
    const added_set *set = &e->t->added[phase];
    int64_t begin = 0;
    for (int64_t at = 0; set->n > 0 && at < len;) {
        const added_token *a = match(set, text, len, at);
        if (a == NULL) {
            at++;
            continue;
        }
        TRY(encode_phase(e, phase + 1, text + begin, at - begin));
        TRY(give(e, &a->id, 1));
        at += a->len;
        begin = at;
    }
    return encode_phase(e, phase + 1, text + begin, len - begin);
}

/* ---- texts --------------------------------------------------------------- */

static status encode_bytes(encoder *e, const uint8_t *text, int64_t len)
{
    for (int64_t i = 0; i < len; i++) {
        e->out[e->nout++] = text[i];
        if (e->nout == OUT_IDS) {
            TRY(flush(e));
        }
    }
    return ST_OK;
}

static status encode_bpe(encoder *e, const uint8_t *text, int64_t len)
{
    TRY(utf8_require(e->name, text, len, ", or take --tokenizer bytes"));
    return encode_phase(e, 0, text, len);
}

status encoder_text(encoder *e, const char *name, const uint8_t *text,
                    int64_t len, encoder_take take, void *self)
{
    e->take = take;
    e->self = self;
    e->name = name;
    e->text = text;
    e->nout = 0;
    TRY(e->t->is_bytes ? encode_bytes(e, text, len) : encode_bpe(e, text, len));
    return flush(e);
}
