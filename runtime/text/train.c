/*
 * Words are counted once and then are lists of symbols. For every pair of
 * neighbours there is its count over all words, and entries in a heap: count,
 * pair, and the words where it stands. A merge changes only those words and
 * notes by how much other counts change; an entry whose count has changed
 * since is put back with the new one when it comes up.
 *
 * A merge makes a new token, so the pairs that it forms are new, and all their
 * words are noted together: a pair has one entry. (Should two pairs ever make
 * the same token, which 60,000 random texts did not show, it keeps one id and
 * a pair may get a second entry for the words of the second, as in Hugging
 * Face.)
 */
#include "runtime/text/train.h"

#include <string.h>

#include "runtime/base/stop.h"
#include "runtime/base/text.h"
#include "runtime/text/bytemap.h"
#include "runtime/text/grow.h"
#include "runtime/text/pairmap.h"
#include "runtime/text/split.h"
#include "runtime/text/utf8.h"

enum { LEAST_COUNT = 2 };

/* Words in which a pair stands, ascending. */
typedef struct where_list {
    int32_t *words;
    int64_t n, room;
    int32_t left, right;
} where_list;

typedef struct entry {
    int64_t count;
    where_list at;
} entry;

struct bpe_trainer {
    splitter *split;
    wordmap words;
    int64_t *counts; /* of word i */
    int64_t counts_room;

    int32_t *symbols; /* of all words, one after another      */
    int64_t *begin;   /* of word i in symbols                 */
    int32_t *lengths; /* symbols that word i has now          */
    pairmap pairs;    /* pair -> count                        */
    pairmap fresh;    /* pair -> number in `lists` + 1        */
    where_list *lists;
    int64_t nlists, lists_room;
    entry *heap; /* most frequent first */
    int64_t nheap, heap_room;
};

status bpe_trainer_create(bpe_trainer **out)
{
    bpe_trainer *t = NULL;

    TRY(MEM_NEW(&t, 1, "train"));
    const status st = split_create(&t->split);
    if (st != ST_OK) {
        bpe_trainer_destroy(t);
        return st;
    }
    *out = t;
    return ST_OK;
}

void bpe_trainer_destroy(bpe_trainer *t)
{
    if (t == NULL) {
        return;
    }
    for (int64_t i = 0; i < t->nlists; i++) {
        mem_free(t->lists[i].words);
    }
    for (int64_t i = 0; i < t->nheap; i++) {
        mem_free(t->heap[i].at.words);
    }
    split_destroy(t->split);
    wordmap_fini(&t->words);
    pairmap_fini(&t->pairs);
    pairmap_fini(&t->fresh);
    mem_free(t->counts);
    mem_free(t->symbols);
    mem_free(t->begin);
    mem_free(t->lengths);
    mem_free(t->lists);
    mem_free(t->heap);
    mem_free(t);
}

status bpe_trainer_add(bpe_trainer *t, const char *name, const uint8_t *text,
                       int64_t len)
{
    int64_t end = 0;
    int32_t number = 0;
    bool is_new;

    TRY(utf8_require(name, text, len, ""));
    for (int64_t from = 0; from < len; from = end) {
        TRY(stop_check());
        TRY(split_next(t->split, text, len, from, &end));
        TRY(wordmap_add(&t->words, text + from, end - from, &number, &is_new));
        TRY(GROW(&t->counts, &t->counts_room, t->words.n, "train"));
        t->counts[number]++;
    }
    return ST_OK;
}

/* ---- heap ---------------------------------------------------------------- */

/* True if a comes up before b. */
static bool precedes(const entry *a, const entry *b)
{
    if (a->count != b->count) {
        return a->count > b->count;
    }
    return pair_key(a->at.left, a->at.right) <
           pair_key(b->at.left, b->at.right);
}

static status push(bpe_trainer *t, entry e)
{
    TRY(GROW(&t->heap, &t->heap_room, t->nheap + 1, "train"));
    int64_t at = t->nheap++;
    while (at > 0 && precedes(&e, &t->heap[(at - 1) / 2])) {
        t->heap[at] = t->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    t->heap[at] = e;
    return ST_OK;
}

static entry pop(bpe_trainer *t)
{
    const entry top = t->heap[0];
    const entry last = t->heap[--t->nheap];
    int64_t at = 0;

    for (;;) {
        int64_t child = 2 * at + 1;
        if (child >= t->nheap) {
            break;
        }
        if (child + 1 < t->nheap &&
            precedes(&t->heap[child + 1], &t->heap[child])) {
            child++;
        }
        if (!precedes(&t->heap[child], &last)) {
            break;
        }
        t->heap[at] = t->heap[child];
        at = child;
    }
    t->heap[at] = last;
    return top;
}

/* ---- counting pairs ------------------------------------------------------ */

/* `change` more of the pair in word `place`, which is noted as one of its
 * places if there are more. */
static status count_pair(bpe_trainer *t, int32_t left, int32_t right,
                         int64_t change, int32_t place)
{
    int64_t *value = NULL;

    TRY(pairmap_at(&t->pairs, left, right, &value));
    *value += change;
    if (change < 0) {
        return ST_OK;
    }
    TRY(pairmap_at(&t->fresh, left, right, &value));
    if (*value == 0) {
        TRY(GROW(&t->lists, &t->lists_room, t->nlists + 1, "train"));
        t->lists[t->nlists++] = (where_list){.left = left, .right = right};
        *value = t->nlists;
    }
    where_list *list = &t->lists[*value - 1];
    if (list->n == 0 || list->words[list->n - 1] != place) {
        TRY(GROW(&list->words, &list->room, list->n + 1, "train"));
        list->words[list->n++] = place;
    }
    return ST_OK;
}

/* Pairs that were noted become entries of the heap. */
static status push_fresh(bpe_trainer *t)
{
    for (; t->nlists > 0; t->nlists--) {
        where_list *list = &t->lists[t->nlists - 1];
        const int64_t count =
            pairmap_find(&t->pairs, list->left, list->right, 0);
        if (count > 0) {
            TRY(push(t, (entry){count, *list}));
        } else {
            mem_free(list->words);
        }
        *list = (where_list){0};
    }
    pairmap_clear(&t->fresh);
    return ST_OK;
}

/* Words as symbols of one byte, and their pairs. */
static status begin(bpe_trainer *t, const spec *s)
{
    const int64_t n = t->words.n;
    int32_t byte_ids[256];
    bytemap map;

    bytemap_init(&map);
    for (int i = 0; i < 256; i++) {
        char name[2];
        const size_t len = bytemap_put(&map, (uint8_t)i, name);
        byte_ids[i] = spec_id(s, name, (int64_t)len);
    }
    TRY(MEM_NEW(&t->symbols, n > 0 ? t->words.ends[n - 1] : 1, "train"));
    TRY(MEM_NEW(&t->begin, n + 1, "train"));
    TRY(MEM_NEW(&t->lengths, n + 1, "train"));
    for (int32_t i = 0; i < n; i++) {
        const word w = wordmap_at(&t->words, i);
        REQUIRE(w.len < INT32_MAX, ST_SYSTEM,
                "a word of %lld bytes without a break is too long",
                (long long)w.len);
        t->begin[i] = w.bytes - t->words.pool;
        t->lengths[i] = (int32_t)w.len;
        int32_t *at = t->symbols + t->begin[i];
        for (int64_t k = 0; k < w.len; k++) {
            at[k] = byte_ids[w.bytes[k]];
            if (k > 0) {
                TRY(count_pair(t, at[k - 1], at[k], t->counts[i], i));
            }
        }
    }
    return push_fresh(t);
}

/* ---- merging ------------------------------------------------------------- */

/* Joins the pair in one word, from left to right. The pair's own count stays
 * as it is: nobody asks for it again but entries of the same pair. */
static status merge_word(bpe_trainer *t, int32_t number, int32_t left,
                         int32_t right, int32_t made)
{
    int32_t *s = t->symbols + t->begin[number];
    const int64_t count = t->counts[number];
    const int32_t n = t->lengths[number];
    int32_t to = 0;

    for (int32_t i = 0; i < n; i++) {
        if (s[i] != left || i + 1 >= n || s[i + 1] != right) {
            s[to++] = s[i];
            continue;
        }
        if (to > 0) {
            TRY(count_pair(t, s[to - 1], left, -count, number));
            TRY(count_pair(t, s[to - 1], made, count, number));
        }
        if (i + 2 < n) {
            TRY(count_pair(t, right, s[i + 2], -count, number));
            TRY(count_pair(t, made, s[i + 2], count, number));
        }
        s[to++] = made;
        i++;
    }
    t->lengths[number] = to;
    return ST_OK;
}

/* The token of a pair: a new one, unless another pair made it already. */
static status make_token(spec *s, int32_t left, int32_t right, int32_t *made)
{
    /* Ids are numbers of names here. */
    const word a = wordmap_at(&s->names, left);
    const word b = wordmap_at(&s->names, right);
    strbuf both = {0};
    bool is_new;

    strbuf_add_bytes(&both, a.bytes, (size_t)a.len);
    strbuf_add_bytes(&both, b.bytes, (size_t)b.len);
    status st = strbuf_check(&both);
    if (st == ST_OK) {
        st = spec_add_name(s, strbuf_view(&both), (int64_t)both.len,
                           (int32_t)s->names.n, &is_new);
    }
    if (st == ST_OK) {
        *made = spec_id(s, strbuf_view(&both), (int64_t)both.len);
        st = spec_add_merge(s, (spec_merge){left, right, *made});
    }
    strbuf_fini(&both);
    return st;
}

static status merge_entry(bpe_trainer *t, const where_list *at, spec *s)
{
    int32_t made = 0;

    TRY(make_token(s, at->left, at->right, &made));
    for (int64_t i = 0; i < at->n; i++) {
        TRY(merge_word(t, at->words[i], at->left, at->right, made));
    }
    return push_fresh(t);
}

static status merge_all(bpe_trainer *t, int64_t vocab, spec *s)
{
    while (s->names.n < vocab && t->nheap > 0) {
        TRY(stop_check());
        entry top = pop(t);
        const int64_t count =
            pairmap_find(&t->pairs, top.at.left, top.at.right, 0);
        if (top.count != count) {
            top.count = count;
            TRY(push(t, top)); /* there is room: one was just taken */
            continue;
        }
        status st = ST_OK;
        if (count >= LEAST_COUNT) {
            st = merge_entry(t, &top.at, s);
        }
        mem_free(top.at.words);
        TRY(st);
        if (count < LEAST_COUNT) {
            break;
        }
    }
    return ST_OK;
}

status bpe_trainer_run(bpe_trainer *t, int64_t vocab, spec *out)
{
    static const char eot[] = "<|endoftext|>";
    spec s = {0};
    bool is_new;
    status st = ST_OK;

    REQUIRE(vocab >= BPE_TRAIN_LEAST && vocab <= BPE_TRAIN_MOST, ST_CONFIG,
            "a vocabulary of %lld tokens cannot be trained, allowed are %d "
            "(256 bytes, %s, a merge) to %d",
            (long long)vocab, BPE_TRAIN_LEAST, eot, BPE_TRAIN_MOST);
    TRY_GOTO(spec_add_name(&s, eot, sizeof(eot) - 1, 0, &is_new), fail);
    TRY_GOTO(spec_add_added(&s, eot, 0, true, false), fail);
    TRY_GOTO(spec_add_bytes(&s, 1), fail);
    TRY_GOTO(begin(t, &s), fail);
    TRY_GOTO(merge_all(t, vocab, &s), fail);
    if (s.nmerges == 0) {
        st = FAIL(ST_BADFILE, "no pair stands in the texts twice, a BPE would "
                              "have bytes only; give more text, or take "
                              "--tokenizer bytes");
        goto fail;
    }
    *out = s;
    return ST_OK;
fail:
    spec_fini(&s);
    return st;
}
