/*
 * Arrays that grow by half. Local, any thread.
 */
#ifndef WEFT_TEXT_GROW_H
#define WEFT_TEXT_GROW_H

#include <stdint.h>

#include "runtime/base/mem.h"
#include "runtime/base/status.h"

/* Room for at least `need` items of `size` bytes in *block, which holds
 * *room. New bytes are zero. Fails with ST_SYSTEM; *block is then as it was. */
static inline status grow_bytes(int64_t need, size_t size, const char *tag,
                                void **block, int64_t *room)
{
    if (need <= *room) {
        return ST_OK;
    }
    int64_t more = *room + *room / 2 + 16;
    more = more < need ? need : more;
    TRY(mem_resize((size_t)more, size, tag, block));
    *room = more;
    return ST_OK;
}

/* GROW(&array, &room, need, "tag") for `T *array; int64_t room;`. */
#define GROW(array, room, need, tag)                                           \
    grow_bytes((need), sizeof(**(array)), (tag), (void **)(array), (room))

#endif
