/*
 * What a command reads and writes: so that no output destroys an input or
 * another output, whatever names they go by (links, other spellings).
 *
 * A command lists all its files and calls filelist_check before it starts.
 * Paths that are NULL (an option that was not given) are passed over. An
 * output stands for the files beside it, too, that newfile makes (.tmp,
 * .part, .lock).
 *
 * Plain struct in the caller's storage, all zero at first. Memory that runs
 * out is reported by filelist_check. Local.
 */
#ifndef WEFT_IO_FILELIST_H
#define WEFT_IO_FILELIST_H

#include <stdbool.h>

#include "runtime/base/status.h"

typedef struct filelist_entry {
    const char *what; /* "--data", "the plan": for the message. Borrowed  */
    char *path;
    bool output;
    const char *may_replace; /* of an input: the output that it may be    */
} filelist_entry;

typedef struct filelist {
    filelist_entry *list;
    int count, room;
    status failed;
} filelist;

/* `what` is borrowed, the path copied. */
void filelist_output(filelist *l, const char *what, const char *path);
void filelist_input(filelist *l, const char *what, const char *path);
/* An input that the output `output` may replace: a run goes on from its
 * checkpoint and saves under the same name. */
void filelist_input_of(filelist *l, const char *what, const char *path,
                       const char *output);
/* A token file: of Megatron's pairs the other half, too. */
void filelist_tokens(filelist *l, const char *what, const char *path);
/* All files in a folder, or a file of that name. */
void filelist_folder(filelist *l, const char *what, const char *path);

/* Fails with ST_USAGE if an output is an input or another output. `command`
 * begins the message. */
MUST_USE status filelist_check(const filelist *l, const char *command);
void filelist_fini(filelist *l);

#endif
