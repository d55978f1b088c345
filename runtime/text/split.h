/*
 * The split of GPT-2: text into pieces, which are encoded each by itself. The
 * only user of pcre2.h.
 *
 *   '(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 *
 *   "Don't stop,\n\n  he said." -> Don|'t| stop|,|\n\n | he| said|.
 *
 * The pattern looks at nothing before a piece, and some alternative matches
 * at every character: pieces follow one another without gaps.
 *
 * PCRE2's \s also has U+180E, which Unicode took out of White_Space in 2013
 * and the other libraries have not; so the class is spelled out.
 *
 * A splitter belongs to one thread. Text must be valid UTF-8 (utf8_check).
 */
#ifndef WEFT_TEXT_SPLIT_H
#define WEFT_TEXT_SPLIT_H

#include <stdint.h>

#include "runtime/base/status.h"

typedef struct splitter splitter;

/* Owns: *out, split_destroy. Fails with ST_SYSTEM. */
MUST_USE status split_create(splitter **out);
/* NULL is fine. */
void split_destroy(splitter *s);

/*
 * End of the piece that begins at `from` < len, by PCRE2. Fails with
 * ST_SYSTEM where a piece needs more memory than PCRE2 takes.
 */
MUST_USE status split_pcre(splitter *s, const uint8_t *text, int64_t len,
                           int64_t from, int64_t *end);

/*
 * The same. Where the piece and the character behind it are ASCII the answer
 * is found without PCRE2: some 300 MB/s of English against 90 (bench_text).
 */
MUST_USE status split_next(splitter *s, const uint8_t *text, int64_t len,
                           int64_t from, int64_t *end);

#endif
