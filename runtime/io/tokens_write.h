/*
 * Token files, written. What tokens.h reads: llm.c's with its header (uint16
 * below 65,536 tokens of vocabulary, else uint32), or nanoGPT's bare uint16.
 * The file appears whole under its name or not at all.
 *
 * Local; one thread. Fails with ST_CANTCREATE, ST_LOCKED, ST_IO as newfile.h
 * says, and with ST_CONFIG for what a format cannot hold.
 */
#ifndef WEFT_IO_TOKENS_WRITE_H
#define WEFT_IO_TOKENS_WRITE_H

#include <stdint.h>

#include "runtime/base/status.h"

typedef enum tokens_format { TOKENS_AS_LLMC, TOKENS_AS_NANOGPT } tokens_format;

typedef struct tokens_writer tokens_writer;

/* Ids will be below `vocab`. Owns: *out, tokens_writer_commit or _abandon. */
MUST_USE status tokens_writer_create(const char *path, tokens_format format,
                                     int64_t vocab, tokens_writer **out);

/* Appends n ids, 0 <= id < vocab. The signature of an encoder's taker. */
MUST_USE status tokens_writer_add(void *writer, const int32_t *ids, int64_t n);

int64_t tokens_writer_count(const tokens_writer *w);
/* "llm.c uint16", ... */
const char *tokens_writer_kind(const tokens_writer *w);

/* Gives the file its name. Releases everything, also on failure. */
MUST_USE status tokens_writer_commit(tokens_writer *w);
/* Removes what was written. NULL is fine. */
void tokens_writer_abandon(tokens_writer *w);

#endif
