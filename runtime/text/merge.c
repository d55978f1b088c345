#include "runtime/text/merge.h"

#include "runtime/text/grow.h"

void merger_fini(merger *m)
{
    mem_free(m->symbols);
    mem_free(m->heap);
    mem_free(m->ids);
    *m = (merger){0};
}

/* ---- heap ---------------------------------------------------------------- */

/* Each symbol is pushed once at first, and each merge pushes at most two and
 * takes one away: the room is reserved by merge_piece. */
static void push(merger *m, uint64_t key)
{
    int64_t at = m->nheap++;

    while (at > 0 && m->heap[(at - 1) / 2] > key) {
        m->heap[at] = m->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    m->heap[at] = key;
}

static uint64_t pop(merger *m)
{
    const uint64_t top = m->heap[0];
    const uint64_t key = m->heap[--m->nheap];
    int64_t at = 0;

    for (;;) {
        int64_t child = 2 * at + 1;
        if (child >= m->nheap) {
            break;
        }
        if (child + 1 < m->nheap && m->heap[child + 1] < m->heap[child]) {
            child++;
        }
        if (m->heap[child] >= key) {
            break;
        }
        m->heap[at] = m->heap[child];
        at = child;
    }
    m->heap[at] = key;
    return top;
}

/* ---- merging ------------------------------------------------------------- */

/* The pair that begins at `at` has changed. */
static void look_up(merger *m, const pairmap *merges, int32_t at, int32_t len)
{
    merge_symbol *s = &m->symbols[at];

    s->rank = INT32_MAX;
    if (s->next < len) {
        const int64_t value =
            pairmap_find(merges, s->id, m->symbols[s->next].id, -1);
        if (value >= 0) {
            s->rank = (int32_t)(value >> 32);
            s->made = (int32_t)(value & 0xffffffff);
            push(m, (uint64_t)s->rank << 32 | (uint32_t)at);
        }
    }
}

static void join(merger *m, const pairmap *merges, int32_t at, int32_t len)
{
    merge_symbol *s = &m->symbols[at];
    merge_symbol *gone = &m->symbols[s->next];

    gone->rank = INT32_MAX; /* its entry in the heap is stale */
    s->id = s->made;
    s->next = gone->next;
    if (s->next < len) {
        m->symbols[s->next].prev = at;
    }
    look_up(m, merges, at, len);
    if (s->prev >= 0) {
        look_up(m, merges, s->prev, len);
    }
}

status merge_piece(merger *m, const pairmap *merges,
                   const int32_t byte_ids[256], const uint8_t *piece,
                   int64_t len, const int32_t **ids, int64_t *n)
{
    const int32_t end = (int32_t)len;
    int64_t made = 0;

    REQUIRE(len < INT32_MAX, ST_SYSTEM,
            "a word of %lld bytes without a break is too long", (long long)len);
    TRY(GROW(&m->symbols, &m->symbols_room, len, "merge"));
    TRY(GROW(&m->heap, &m->heap_room, 3 * len, "merge"));
    TRY(GROW(&m->ids, &m->ids_room, len, "merge"));
    m->nheap = 0;
    for (int32_t i = 0; i < end; i++) {
        m->symbols[i] = (merge_symbol){
            .id = byte_ids[piece[i]], .prev = i - 1, .next = i + 1};
    }
    for (int32_t i = 0; i < end; i++) {
        look_up(m, merges, i, end);
    }
    while (m->nheap > 0) {
        const uint64_t top = pop(m);
        const int32_t at = (int32_t)(top & 0xffffffff);
        if (m->symbols[at].rank == (int32_t)(top >> 32)) {
            join(m, merges, at, end);
        }
    }
    for (int32_t i = 0; i < end; i = m->symbols[i].next) {
        m->ids[made++] = m->symbols[i].id;
    }
    *ids = m->ids;
    *n = made;
    return ST_OK;
}
