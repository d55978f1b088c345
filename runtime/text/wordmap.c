#include "runtime/text/wordmap.h"

#include <string.h>

#include "runtime/base/hash.h"
#include "runtime/text/grow.h"

enum { SLOTS_FIRST = 1024, WORDS_MAX = 1 << 30 };

void wordmap_fini(wordmap *m)
{
    mem_free(m->slots);
    mem_free(m->hashes);
    mem_free(m->ends);
    mem_free(m->pool);
    *m = (wordmap){0};
}

word wordmap_at(const wordmap *m, int32_t number)
{
    const int64_t from = number == 0 ? 0 : m->ends[number - 1];
    return (word){m->pool + from, m->ends[number] - from};
}

/* The slot of the string, or the free one where it would stand. */
static int64_t find_slot(const wordmap *m, uint64_t hash, const void *bytes,
                         int64_t len)
{
    const int64_t mask = m->nslots - 1;

    for (int64_t at = (int64_t)hash & mask;; at = (at + 1) & mask) {
        const int32_t number = m->slots[at] - 1;
        if (number < 0) {
            return at;
        }
        if (m->hashes[number] == hash) {
            const word w = wordmap_at(m, number);
            if (w.len == len && memcmp(w.bytes, bytes, (size_t)len) == 0) {
                return at;
            }
        }
    }
}

/* At most half of the slots are taken. */
static status make_room(wordmap *m)
{
    if (2 * (m->n + 1) <= m->nslots) {
        return ST_OK;
    }
    const int64_t more = m->nslots == 0 ? SLOTS_FIRST : 2 * m->nslots;
    int32_t *slots = NULL;
    TRY(MEM_NEW(&slots, more, "words"));
    for (int64_t i = 0; i < m->n; i++) {
        int64_t at = (int64_t)m->hashes[i] & (more - 1);
        while (slots[at] != 0) {
            at = (at + 1) & (more - 1);
        }
        slots[at] = (int32_t)i + 1;
    }
    mem_free(m->slots);
    m->slots = slots;
    m->nslots = more;
    return ST_OK;
}

static status append(wordmap *m, int64_t slot, uint64_t hash, const void *bytes,
                     int64_t len)
{
    const int64_t from = m->n == 0 ? 0 : m->ends[m->n - 1];

    REQUIRE(m->n < WORDS_MAX, ST_SYSTEM, "more than %d different words",
            WORDS_MAX);
    TRY(GROW(&m->hashes, &m->hashes_room, m->n + 1, "words"));
    TRY(GROW(&m->ends, &m->ends_room, m->n + 1, "words"));
    TRY(GROW(&m->pool, &m->pool_room, from + len, "words"));
    if (len > 0) {
        memcpy(m->pool + from, bytes, (size_t)len);
    }
    m->ends[m->n] = from + len;
    m->hashes[m->n] = hash;
    m->slots[slot] = (int32_t)m->n + 1;
    m->n++;
    return ST_OK;
}

status wordmap_add(wordmap *m, const void *bytes, int64_t len, int32_t *number,
                   bool *is_new)
{
    TRY(make_room(m));
    const uint64_t hash = hash64(bytes, (size_t)len);
    const int64_t slot = find_slot(m, hash, bytes, len);
    *is_new = m->slots[slot] == 0;
    if (*is_new) {
        TRY(append(m, slot, hash, bytes, len));
    }
    *number = m->slots[slot] - 1;
    return ST_OK;
}

int32_t wordmap_find(const wordmap *m, const void *bytes, int64_t len)
{
    if (m->n == 0) {
        return -1;
    }
    return m->slots[find_slot(m, hash64(bytes, (size_t)len), bytes, len)] - 1;
}
