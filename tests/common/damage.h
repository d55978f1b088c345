/*
 * Damage on purpose: a file with bytes flipped, cut short, or scrambled, and
 * a reader that must not be taken in.
 *
 * A reader reads everything and hashes it. What is asked of it: it comes
 * back, within two seconds, with a status of bad input or with the same hash
 * as before; at the end nothing is leaked. How thorough is for the caller:
 * `every` 1 tries each position, 16 every sixteenth, with the whole range
 * covered either way. Positions and bytes are functions of the numbers given,
 * so that a failure can be seen again. Local; fails by cmocka.
 */
#ifndef WEFT_TESTS_COMMON_DAMAGE_H
#define WEFT_TESTS_COMMON_DAMAGE_H

#include <stdint.h>

#include "runtime/base/status.h"

/* Reads the file at path; *hash is of all that was in it. */
typedef struct damage_reader {
    void *self;
    status (*read)(void *self, const char *path, uint64_t *hash);
} damage_reader;

typedef struct damage_count {
    int64_t tried;
    int64_t same;     /* read as before                             */
    int64_t changed;  /* read without a word as something else      */
    int64_t crashers; /* would have crashed the library, or hung it */
    double slowest_s;
} damage_count;

/* One bit of one byte at a time. Reading other values is a failure. */
damage_count damage_flip(const char *path, int64_t every,
                         const damage_reader *r);
/* All but the last n bytes. Reading other values is a failure. */
damage_count damage_cut(const char *path, int64_t every,
                        const damage_reader *r);
/* `tries` times some bytes changed at once. Such files may hold other values
 * than before: nobody sealed them. */
damage_count damage_scramble(const char *path, int64_t tries,
                             const damage_reader *r);

/* Prints what was counted and fails unless all were quick. */
void damage_report(const char *what, const damage_count *c);

#endif
