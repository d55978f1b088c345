/*
 * A byte-level BPE as files describe it: token strings with their ids, merges
 * in order, added tokens. What readers fill, the trainer makes, tokenizer.h
 * runs, and spec_write writes as a tokenizer.json of Hugging Face.
 *
 * Token strings are in the characters of bytemap.h. Added tokens are plain
 * text; they are cut out of a text before it is split, the longest first
 * where several begin at one place.
 *
 * Plain struct in the caller's storage, spec_fini. Local. Reading fails with
 * ST_NOINPUT, ST_LOCKED, ST_BADFILE (damaged), ST_CONFIG (a tokenizer.json with
 * values that are wrong or not supported); one line with file, place, value.
 */
#ifndef WEFT_TEXT_SPEC_H
#define WEFT_TEXT_SPEC_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/status.h"
#include "runtime/text/wordmap.h"

/* Ids are below it. The largest vocabulary in use has some 260,000 tokens; a
 * file that names a larger id would make tables of gigabytes. */
enum { SPEC_VOCAB_MAX = 1 << 21 };

typedef struct spec_merge {
    int32_t left, right, made; /* ids */
} spec_merge;

typedef struct spec_added {
    char *text;
    int64_t len;
    int32_t id;
    bool special;
    bool normalized; /* looked for after normalisation */
} spec_added;

typedef struct spec {
    wordmap names; /* token strings                    */
    int32_t *ids;  /* of name i                        */
    spec_merge *merges;
    spec_added *added;
    int64_t nmerges, nadded;
    int64_t ids_room, merges_room, added_room;
    bool nfc; /* text is brought to Unicode's form NFC first */
} spec;

void spec_fini(spec *s);

/*
 * Reads `path`: a tokenizer.json (it begins with '{'), a merges file
 * (merges.txt, vocab.bpe), or a folder that has one of these. A merges file
 * takes its ids from vocab.json or encoder.json beside it; without one they
 * are those of GPT-2: 256 bytes, merges in order, <|endoftext|>. An
 * added_tokens.json beside it is read too.
 */
MUST_USE status spec_read(const char *path, spec *out);

/* The 256 tokens of one byte, ids from `first` on, in the order of the map. */
MUST_USE status spec_add_bytes(spec *s, int32_t first);
/* Adds a token string. False in *is_new where it is there already. */
MUST_USE status spec_add_name(spec *s, const char *name, int64_t len,
                              int32_t id, bool *is_new);
/* Id of a token string, -1: none. */
int32_t spec_id(const spec *s, const char *name, int64_t len);
MUST_USE status spec_add_merge(spec *s, spec_merge m);
/* Copies `text`. */
MUST_USE status spec_add_added(spec *s, const char *text, int32_t id,
                               bool special, bool normalized);

/* Writes a tokenizer.json that Hugging Face's tokenizers loads, all or
 * nothing. Fails with ST_CANTCREATE, ST_IO, ST_CONFIG (longer than spec_read
 * takes: tokens of many bytes). */
MUST_USE status spec_write(const spec *s, const char *path);

#endif
