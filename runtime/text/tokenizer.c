#include "runtime/text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/text.h"
#include "runtime/text/bytemap.h"
#include "runtime/text/merge.h"
#include "runtime/text/tokenizer_impl.h"

enum { BYTES_EOT = 256 };

static const char eot_text[] = "<|endoftext|>";

/* ---- bytes --------------------------------------------------------------- */

static status make_bytes(tokenizer *t)
{
    t->is_bytes = true;
    t->vocab = BYTES_EOT + 1;
    t->eot = BYTES_EOT;
    TRY(MEM_NEW(&t->pool, 256, "tokenizer"));
    TRY(MEM_NEW(&t->tokens, t->vocab, "tokenizer"));
    for (int i = 0; i < 256; i++) {
        t->pool[i] = (uint8_t)i;
        t->tokens[i] = (word){t->pool + i, 1};
        t->byte_ids[i] = i;
    }
    return ST_OK;
}

/* ---- BPE ----------------------------------------------------------------- */

/* What a token string stands for. Strings with other characters than those
 * of the map are taken as they are, as Hugging Face does: added tokens. */
static word token_bytes(const bytemap *map, word name, uint8_t *room)
{
    size_t n = 0;

    if (!bytemap_bytes(map, (const char *)name.bytes, (size_t)name.len, room,
                       &n)) {
        memcpy(room, name.bytes, (size_t)name.len);
        n = (size_t)name.len;
    }
    return (word){room, (int64_t)n};
}

static status set_tokens(tokenizer *t, const spec *s, const bytemap *map)
{
    const int64_t n = s->names.n;
    int64_t total = 0;

    REQUIRE(n > 0, ST_BADFILE, "%s: has an empty vocabulary", t->name);
    for (int64_t i = 0; i < n; i++) {
        total += wordmap_at(&s->names, (int32_t)i).len;
        t->vocab = s->ids[i] >= t->vocab ? s->ids[i] + 1 : t->vocab;
    }
    TRY(MEM_NEW(&t->pool, total, "tokenizer"));
    TRY(MEM_NEW(&t->tokens, t->vocab, "tokenizer"));
    uint8_t *at = t->pool;
    for (int64_t i = 0; i < n; i++) {
        const word name = wordmap_at(&s->names, (int32_t)i);
        word *token = &t->tokens[s->ids[i]];
        REQUIRE(token->bytes == NULL, ST_BADFILE,
                "%s: id %d is that of two tokens, \"%.*s\" is one of them",
                t->name, (int)s->ids[i], (int)(name.len < 60 ? name.len : 60),
                (const char *)name.bytes);
        *token = token_bytes(map, name, at);
        at += name.len; /* room for an added token's plain text */
    }
    return ST_OK;
}

/* The tokenizer of GPT-NeoX has no tokens for bytes that UTF-8 never has. */
static bool is_in_text(int b)
{
    return b != 0xc0 && b != 0xc1 && b < 0xf5;
}

static status set_byte_ids(tokenizer *t, const spec *s, const bytemap *map)
{
    for (int b = 0; b < 256; b++) {
        char name[2];
        const size_t len = bytemap_put(map, (uint8_t)b, name);
        t->byte_ids[b] = spec_id(s, name, (int64_t)len);
        REQUIRE(t->byte_ids[b] >= 0 || !is_in_text(b), ST_BADFILE,
                "%s: has no token for byte %d (\"%.*s\"), some text could not "
                "be written; a byte-level BPE has all of UTF-8 (train it with "
                "initial_alphabet=ByteLevel.alphabet())",
                t->name, b, (int)len, name);
    }
    return ST_OK;
}

/* A pair that stands there twice has the later rank, as in Hugging Face. */
static status set_merges(tokenizer *t, const spec *s)
{
    for (int64_t i = 0; i < s->nmerges; i++) {
        const spec_merge *m = &s->merges[i];
        int64_t *value = NULL;
        TRY(pairmap_at(&t->merges, m->left, m->right, &value));
        *value = merge_value((int32_t)i, m->made);
    }
    return ST_OK;
}

/* ---- added tokens -------------------------------------------------------- */

/* By first byte, the longer first. */
static int by_start(const void *a, const void *b)
{
    const added_token *x = a, *y = b;

    if (x->text[0] != y->text[0]) {
        return x->text[0] < y->text[0] ? -1 : 1;
    }
    return (x->len < y->len) - (x->len > y->len);
}

static void mark(added_set *set, int first, int second)
{
    const int at = first << 8 | second;
    set->starts[at / 64] |= (uint64_t)1 << at % 64;
}

static void index_set(added_set *set)
{
    int32_t i = 0;

    qsort(set->list, (size_t)set->n, sizeof(*set->list), by_start);
    for (int b = 0; b < 256; b++) {
        set->first[b] = i;
        while (i < set->n && set->list[i].text[0] == b) {
            i++;
        }
    }
    set->first[256] = i;
    for (i = 0; i < set->n; i++) {
        const added_token *a = &set->list[i];
        for (int second = 0; second < 256; second++) {
            if (a->len == 1 || a->text[1] == second) {
                mark(set, a->text[0], second);
            }
        }
    }
}

/* Added tokens are plain text, though their characters may be in the map. */
static status set_added(tokenizer *t, const spec *s)
{
    for (int phase = 0; phase < ADDED_PHASES; phase++) {
        TRY(MEM_NEW(&t->added[phase].list, s->nadded + 1, "tokenizer"));
    }
    for (int64_t i = 0; i < s->nadded; i++) {
        const spec_added *a = &s->added[i];
        const word name =
            wordmap_at(&s->names, wordmap_find(&s->names, a->text, a->len));
        uint8_t *bytes = (uint8_t *)(uintptr_t)t->tokens[a->id].bytes;
        /* The pool has room: a token is no longer than its string. */
        memcpy(bytes, name.bytes, (size_t)name.len);
        t->tokens[a->id].len = name.len;
        added_set *set =
            &t->added[a->normalized ? ADDED_NORMALIZED : ADDED_RAW];
        set->list[set->n++] = (added_token){bytes, name.len, a->id};
        if (strcmp(a->text, eot_text) == 0) {
            t->eot = a->id;
        }
    }
    index_set(&t->added[ADDED_RAW]);
    index_set(&t->added[ADDED_NORMALIZED]);
    return ST_OK;
}

static status make_bpe(tokenizer *t, const spec *s)
{
    bytemap map;

    bytemap_init(&map);
    t->nfc = s->nfc;
    TRY(set_tokens(t, s, &map));
    TRY(set_byte_ids(t, s, &map));
    TRY(set_merges(t, s));
    return set_added(t, s);
}

/* ---- life ---------------------------------------------------------------- */

static status make(const spec *s, const char *name, tokenizer **out)
{
    tokenizer *t = NULL;
    status st = ST_OK;

    TRY(MEM_NEW(&t, 1, "tokenizer"));
    t->eot = -1;
    TRY_GOTO(mem_strdup(name, &t->name), fail);
    TRY_GOTO(s == NULL ? make_bytes(t) : make_bpe(t, s), fail);
    *out = t;
    return ST_OK;
fail:
    tokenizer_close(t);
    return st;
}

status tokenizer_make(const spec *s, const char *name, tokenizer **out)
{
    return make(s, name, out);
}

status tokenizer_open(const char *name, tokenizer **out)
{
    static const char *const own[] = {"bytes", NULL};
    spec s = {0};

    if (strcmp(name, own[0]) == 0) {
        return make(NULL, name, out);
    }
    status st = spec_read(name, &s);
    if (st == ST_NOINPUT && text_nearest(name, own) != NULL) {
        return FAIL(st, "%s: no such file or folder; did you mean \"%s\"?",
                    name, text_nearest(name, own));
    }
    TRY(st);
    st = make(&s, name, out);
    spec_fini(&s);
    return st;
}

void tokenizer_close(tokenizer *t)
{
    if (t == NULL) {
        return;
    }
    for (int phase = 0; phase < ADDED_PHASES; phase++) {
        mem_free(t->added[phase].list);
    }
    pairmap_fini(&t->merges);
    mem_free(t->tokens);
    mem_free(t->pool);
    mem_free(t->name);
    mem_free(t);
}

/* ---- the end of text ----------------------------------------------------- */

static bool is_token(word w, const char *text)
{
    return w.len > 0 && (size_t)w.len == strlen(text) &&
           memcmp(w.bytes, text, (size_t)w.len) == 0;
}

/* The id of a token with these bytes, -1: none. A token of the vocabulary may
 * have the bytes of an added one, which is meant then. */
static int32_t find_token(const tokenizer *t, const char *text)
{
    for (int phase = 0; phase < ADDED_PHASES; phase++) {
        const added_set *set = &t->added[phase];
        for (int32_t i = 0; i < set->n; i++) {
            if (is_token(t->tokens[set->list[i].id], text)) {
                return set->list[i].id;
            }
        }
    }
    for (int32_t id = 0; id < t->vocab; id++) {
        if (is_token(t->tokens[id], text)) {
            return id;
        }
    }
    return -1;
}

/* The first added tokens, for a person who looks for one. */
static void list_added(const tokenizer *t, strbuf *b)
{
    enum { MOST = 8 };
    int n = 0;

    for (int phase = 0; phase < ADDED_PHASES; phase++) {
        const added_set *set = &t->added[phase];
        for (int32_t i = 0; i < set->n; i++, n++) {
            if (n < MOST) {
                strbuf_printf(
                    b, "%s\"%.*s\"", n > 0 ? ", " : "",
                    (int)(set->list[i].len < 40 ? set->list[i].len : 40),
                    (const char *)set->list[i].text);
            }
        }
    }
    if (n > MOST) {
        strbuf_printf(b, " and %d more", n - MOST);
    }
}

status tokenizer_set_eot(tokenizer *t, const char *text)
{
    strbuf b = {0};

    REQUIRE(!t->is_bytes, ST_CONFIG,
            "--eot-token \"%.*s\": the end of text of bytes is token %d, "
            "which has no text; leave it out",
            text_fit(text, 60), text, BYTES_EOT);
    const int32_t id = find_token(t, text);
    if (id >= 0) {
        t->eot = id;
        return ST_OK;
    }
    list_added(t, &b);
    const status st =
        FAIL(ST_CONFIG,
             "--eot-token \"%.*s\": %s has no such token; its added tokens: %s",
             text_fit(text, 60), text, t->name,
             b.len > 0 ? strbuf_view(&b) : "none");
    strbuf_fini(&b);
    return st;
}

/* ---- questions ----------------------------------------------------------- */

const char *tokenizer_name(const tokenizer *t)
{
    return t->name;
}

bool tokenizer_is_bytes(const tokenizer *t)
{
    return t->is_bytes;
}

int64_t tokenizer_vocab(const tokenizer *t)
{
    return t->vocab;
}

int32_t tokenizer_eot(const tokenizer *t)
{
    return t->eot;
}

word tokenizer_token(const tokenizer *t, int32_t id)
{
    return id >= 0 && id < t->vocab ? t->tokens[id] : (word){0};
}

status tokenizer_decode(const tokenizer *t, const int32_t *ids, int64_t n,
                        strbuf *out)
{
    for (int64_t i = 0; i < n; i++) {
        REQUIRE(ids[i] >= 0 && ids[i] < t->vocab, ST_CONFIG,
                "%s: has no token %d, its ids are 0 to %lld", t->name,
                (int)ids[i], (long long)t->vocab - 1);
        const word w = t->tokens[ids[i]];
        strbuf_add_bytes(out, w.bytes, (size_t)w.len);
    }
    return strbuf_check(out);
}
