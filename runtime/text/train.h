/*
 * Training a byte-level BPE on texts: again and again the most frequent pair
 * of neighbours becomes a token, until there are V.
 *
 * The result is that of Hugging Face's BpeTrainer with initial_alphabet =
 * ByteLevel.alphabet(), special_tokens = ["<|endoftext|>"], min_frequency =
 * 2, given each text whole: id 0 is <|endoftext|>, 1 to 256 are the bytes,
 * then tokens in the order they were made. Of pairs that are equally frequent
 * the one of lower ids wins. (Given files, Hugging Face cuts them at each
 * newline first, and runs of newlines never become tokens.)
 *
 * A trainer belongs to one thread. Local. Fails with ST_BADFILE for text that
 * is not UTF-8, ST_CONFIG, ST_SYSTEM.
 */
#ifndef WEFT_TEXT_TRAIN_H
#define WEFT_TEXT_TRAIN_H

#include <stdint.h>

#include "runtime/base/status.h"
#include "runtime/text/spec.h"

/* The least has one merge: 257 tokens are what the vocabulary of bytes with an
 * end of text has, in another order, and a model does not say which. */
enum { BPE_TRAIN_LEAST = 258, BPE_TRAIN_MOST = 1 << 20 };

typedef struct bpe_trainer bpe_trainer;

/* Owns: *out, bpe_trainer_destroy. */
MUST_USE status bpe_trainer_create(bpe_trainer **out);
/* NULL is fine. */
void bpe_trainer_destroy(bpe_trainer *t);

/* Counts the words of a text; `name` stands for it in errors. */
MUST_USE status bpe_trainer_add(bpe_trainer *t, const char *name,
                                const uint8_t *text, int64_t len);

/* A vocabulary of `vocab` tokens, fewer where no pair is left that stands
 * there twice; ST_BADFILE where there is none. Ends the trainer's use. Owns:
 * *out, spec_fini. */
MUST_USE status bpe_trainer_run(bpe_trainer *t, int64_t vocab, spec *out);

#endif
