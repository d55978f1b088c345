/*
 * XXH3 from the system's library; its state wants 64-byte alignment, which
 * mem_alloc gives.
 */
#include "runtime/base/hash.h"

#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "runtime/base/mem.h"

struct hash_state {
    XXH3_state_t *xxh;
};

uint64_t hash64(const void *data, size_t len)
{
    return XXH3_64bits(data, len);
}

status hash_create(hash_state **out)
{
    hash_state *h = NULL;
    TRY(MEM_NEW(&h, 1, "hash"));
    h->xxh = XXH3_createState();
    if (h->xxh == NULL) {
        mem_free(h);
        return FAIL(ST_SYSTEM, "out of memory: hash state");
    }
    hash_reset(h);
    *out = h;
    return ST_OK;
}

void hash_destroy(hash_state *h)
{
    if (h != NULL) {
        XXH3_freeState(h->xxh);
        mem_free(h);
    }
}

void hash_reset(hash_state *h)
{
    ASSERT(XXH3_64bits_reset(h->xxh) == XXH_OK);
}

void hash_add(hash_state *h, const void *data, size_t len)
{
    ASSERT(XXH3_64bits_update(h->xxh, data, len) == XXH_OK);
}

uint64_t hash_value(const hash_state *h)
{
    return XXH3_64bits_digest(h->xxh);
}

void hash_text(uint64_t hash, char out[HASH_TEXT_BYTES])
{
    snprintf(out, HASH_TEXT_BYTES, "%016llx", (unsigned long long)hash);
}

status hash_parse(const char *text, uint64_t *hash)
{
    uint64_t value = 0;
    size_t n = strlen(text);
    bool good = n == HASH_TEXT_BYTES - 1;
    for (size_t i = 0; good && i < n; i++) {
        const char *digits = "0123456789abcdef";
        const char *at = strchr(digits, text[i]);
        good = at != NULL;
        value = value << 4 | (good ? (uint64_t)(at - digits) : 0);
    }
    REQUIRE(good, ST_BADFILE, "'%s' is no hash: it has 16 digits 0-9 a-f",
            text);
    *hash = value;
    return ST_OK;
}
