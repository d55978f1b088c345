/*
 * Text and token ids for sampling: a tokenizer, and what of it can be told
 * from the model.
 *
 * Plain struct in the caller's storage. Local.
 */
#ifndef WEFT_APP_SAMPLE_TEXT_H
#define WEFT_APP_SAMPLE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/status.h"
#include "runtime/text/tokenizer.h"

typedef struct sample_text {
    tokenizer *tok;
    int32_t vocab; /* ids are below it                                     */
    int32_t start; /* what a text without a prompt follows                 */
    int32_t end;   /* says that a text is over; -1: none                   */
    bool in_line;  /* what was printed last does not end a line            */
} sample_text;

/* `name` as for tokenizer_open, or NULL: bytes for a model that fits, a
 * vocabulary of 256 or 257. `eot` as for tokenizer_set_eot, NULL: as the
 * tokenizer has it. Texts without a prompt follow the end of another;
 * of bytes, and where there is no such token, a new line. Fails as
 * tokenizer_open, ST_USAGE (NULL does not do), ST_CONFIG (the tokenizer has
 * more tokens than the model). Owns: *out, sample_text_close. */
MUST_USE status sample_text_open(const char *name, const char *eot,
                                 int32_t model_vocab, sample_text *out);
void sample_text_close(sample_text *t);

/* Ids of a text, *n of them. Owns: *ids, mem_free. */
MUST_USE status sample_text_encode(const sample_text *t, const char *text,
                                   size_t len, int32_t **ids, int64_t *n);

/* The bytes of one id, to stdout at once. Fails with ST_IO. */
MUST_USE status sample_text_print(sample_text *t, int32_t id);

#endif
