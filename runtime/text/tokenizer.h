/*
 * Tokenizers: text to token ids and back.
 *
 * Kinds:
 *   bytes  each byte is a token, ids 0 to 255; any file. 256 is end of text
 *   BPE    byte-level BPE with GPT-2's split, from the files spec_read takes
 *          (GPT-2, GPT-Neo, GPT-J, GPT-NeoX, Pythia), or trained here
 *
 * The ids are those of Hugging Face's tokenizers, with its rules: added tokens
 * such as <|endoftext|> are found in the text itself, whoever wrote it there.
 * Text must be UTF-8; where it is not, the first wrong byte is named and
 * nothing is guessed. A tokenizer that asks for Unicode's form NFC (NeoX)
 * takes text that is in NFC already; other text is refused with the place
 * (nfc.h says what is recognised). Letters that Unicode has and PCRE2 does not
 * know yet (later than version 14 in Debian 12) are split as symbols.
 *
 *   text  -- added tokens --> fragments -- split.h --> pieces -- cache, or
 *   merge.h --> ids
 *
 * A tokenizer never changes once it is set up: any thread. An encoder has a
 * cache and scratch: one thread each. Local. Opening fails as spec_read does;
 * encoding with ST_BADFILE for text that is not UTF-8 or NFC, and ST_SYSTEM.
 */
#ifndef WEFT_TEXT_TOKENIZER_H
#define WEFT_TEXT_TOKENIZER_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/status.h"
#include "runtime/base/text.h"
#include "runtime/text/spec.h"

typedef struct tokenizer tokenizer;
typedef struct encoder encoder;

/* `name` is "bytes" or a path. Owns: *out, tokenizer_close. */
MUST_USE status tokenizer_open(const char *name, tokenizer **out);
/* From a BPE in memory; `name` stands in errors. Copies what it needs. */
MUST_USE status tokenizer_make(const spec *s, const char *name,
                               tokenizer **out);
/* NULL is fine. */
void tokenizer_close(tokenizer *t);

/* Lends until tokenizer_close. */
const char *tokenizer_name(const tokenizer *t);
bool tokenizer_is_bytes(const tokenizer *t);
/* Ids are below it. */
int64_t tokenizer_vocab(const tokenizer *t);
/* The end of text is `text` from now on, an added token or another of the
 * vocabulary, in the place of <|endoftext|>. For who opened it, before others
 * use it. Fails with ST_CONFIG: no such token, or bytes, whose end has no
 * text. */
MUST_USE status tokenizer_set_eot(tokenizer *t, const char *text);
/* The id of <|endoftext|>, or of what was set; -1: none. */
int32_t tokenizer_eot(const tokenizer *t);

/* The bytes of a token; none for an id that is not used, and for the end of
 * text of `bytes`. Lends until tokenizer_close. */
word tokenizer_token(const tokenizer *t, int32_t id);

/* Appends the bytes of n tokens. They may end inside a character. Fails with
 * ST_CONFIG for an id outside the vocabulary. */
MUST_USE status tokenizer_decode(const tokenizer *t, const int32_t *ids,
                                 int64_t n, strbuf *out);

/* Takes ids in order, in parts. */
typedef status (*encoder_take)(void *self, const int32_t *ids, int64_t n);

/* Borrows t until encoder_destroy. Owns: *out. */
MUST_USE status encoder_create(const tokenizer *t, encoder **out);
/* NULL is fine. */
void encoder_destroy(encoder *e);

/* Encodes a whole text; `name` stands for it in errors. Passes on what `take`
 * returns. */
MUST_USE status encoder_text(encoder *e, const char *name, const uint8_t *text,
                             int64_t len, encoder_take take, void *self);

#endif
