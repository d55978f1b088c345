/*
 * Private to spec*.c: the readers of the two kinds of file.
 */
#ifndef WEFT_TEXT_SPEC_IMPL_H
#define WEFT_TEXT_SPEC_IMPL_H

#include "runtime/base/json.h"
#include "runtime/text/spec.h"

enum {
    SPEC_FILE_MAX = 128 * 1048576, /* GPT-2's have 0.5 to 3.5 MB; that of the
                                    * most that can be trained some 50 */
};

/* A merges file of `len` bytes named `path`. */
MUST_USE status spec_read_merges(const char *path, const char *text, size_t len,
                                 spec *out);
/* A tokenizer.json. */
MUST_USE status spec_read_json(const char *path, const char *text, size_t len,
                               spec *out);
/* An object of token strings and ids. */
MUST_USE status spec_read_vocab(json_val vocab, spec *out);

/* The merge of two token strings, which must be known as their sum is;
 * *missing is NULL, or what is not known and then nothing was added. */
MUST_USE status spec_join(spec *s, const char *left, int64_t nleft,
                          const char *right, int64_t nright,
                          const char **missing);

#endif
