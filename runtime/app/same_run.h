/*
 * Agreement of ranks on what they run. Nothing but the command line and files
 * tells a rank what to do, and under somebody's own mpirun (or on a node with
 * an older copy of a file) these may differ: then ranks would wait for each
 * other for ever, or train on different data without a word.
 *
 * Each rank lists what it is about to run: options, model, plan, contents of
 * files. Rank 0's list goes to all, each compares, and all leave by the same
 * door. The lists have a fixed size, so that ranks that disagree can still
 * exchange them. Main thread.
 */
#ifndef WEFT_APP_SAME_RUN_H
#define WEFT_APP_SAME_RUN_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/base/opt.h"
#include "runtime/base/status.h"
#include "runtime/comm/comm.h"

enum { SAME_ITEMS_MAX = 64 };

typedef struct same_item {
    char name[32];  /* "--lr", "the data"                                  */
    char shown[64]; /* its value for a message; may be cut                 */
    uint64_t hash;  /* of the whole value                                  */
} same_item;

/* Zeros are an empty list. */
typedef struct same_list {
    int64_t n;
    same_item items[SAME_ITEMS_MAX];
} same_list;

void same_add(same_list *l, const char *name, uint64_t hash, const char *shown);
void same_add_text(same_list *l, const char *name, const char *text);
/* Every option of a command by its value. Of those that name a file only
 * whether there is one: on another node it may lie elsewhere, its content is
 * added apart. Those in `apart` (NULL-terminated) may differ. Fails without
 * memory: then the list says nothing. Local. */
MUST_USE status same_add_options(same_list *l, const opt_command *cmd,
                                 const void *fields, const char *const *apart);

/* Fails with ST_CONFIG on all ranks if a list differs from rank 0's, or rank
 * 0 runs another build of the program; names the lowest such rank and the
 * first item. All ranks have agreed that their lists are whole: what one has no
 * memory for is no difference. Collective. */
MUST_USE status same_check(comm *world, const same_list *mine);

#endif
