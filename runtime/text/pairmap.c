#include "runtime/text/pairmap.h"

#include <string.h>

#include "runtime/base/mem.h"

enum { SLOTS_FIRST = 1024 };

void pairmap_fini(pairmap *m)
{
    mem_free(m->slots);
    *m = (pairmap){0};
}

void pairmap_clear(pairmap *m)
{
    if (m->n > 0) {
        memset(m->slots, 0, (size_t)m->nslots * sizeof(*m->slots));
        m->n = 0;
    }
}

static pairmap_entry *find_slot(const pairmap *m, uint64_t key)
{
    const uint64_t mask = (uint64_t)m->nslots - 1;
    uint64_t at = pair_hash(key) & mask;

    while (m->slots[at].key != 0 && m->slots[at].key != key + 1) {
        at = (at + 1) & mask;
    }
    return &m->slots[at];
}

static status make_room(pairmap *m)
{
    if (2 * (m->n + 1) <= m->nslots) {
        return ST_OK;
    }
    pairmap bigger = {.nslots = m->nslots == 0 ? SLOTS_FIRST : 2 * m->nslots,
                      .n = m->n};
    TRY(MEM_NEW(&bigger.slots, bigger.nslots, "pairs"));
    for (int64_t i = 0; i < m->nslots; i++) {
        if (m->slots[i].key != 0) {
            *find_slot(&bigger, m->slots[i].key - 1) = m->slots[i];
        }
    }
    pairmap_fini(m);
    *m = bigger;
    return ST_OK;
}

status pairmap_at(pairmap *m, int32_t left, int32_t right, int64_t **value)
{
    const uint64_t key = pair_key(left, right);

    TRY(make_room(m));
    pairmap_entry *e = find_slot(m, key);
    if (e->key == 0) {
        *e = (pairmap_entry){.key = key + 1};
        m->n++;
    }
    *value = &e->value;
    return ST_OK;
}
