/*
 * Hashing: XXH3, 64 bits. The only user of xxhash.h.
 *
 * Guards against accidents (bit flips, mixed generations), not against
 * malice. The value of a byte string is the same however it was cut into
 * hash_add calls, and on every machine. Local, any thread; a state belongs to
 * one thread at a time.
 */
#ifndef WEFT_BASE_HASH_H
#define WEFT_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/base/status.h"

typedef struct hash_state hash_state;

uint64_t hash64(const void *data, size_t len);

/* Owns: caller, hash_destroy. Fails with ST_SYSTEM. */
MUST_USE status hash_create(hash_state **out);
void hash_destroy(hash_state *h);
void hash_reset(hash_state *h);
void hash_add(hash_state *h, const void *data, size_t len);
/* The hash of all bytes added so far; more may be added afterwards. */
uint64_t hash_value(const hash_state *h);

/* 16 hex digits and a NUL. */
enum { HASH_TEXT_BYTES = 17 };
void hash_text(uint64_t hash, char out[HASH_TEXT_BYTES]);
/* Fails with ST_BADFILE unless text is 16 hex digits. */
MUST_USE status hash_parse(const char *text, uint64_t *hash);

#endif
