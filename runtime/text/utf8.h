/*
 * UTF-8: is it, and where not. Strict as RFC 3629 says: no overlong forms, no
 * surrogates, nothing beyond U+10FFFF. Pure. Local, any thread.
 */
#ifndef WEFT_TEXT_UTF8_H
#define WEFT_TEXT_UTF8_H

#include <stdint.h>

#include "runtime/base/status.h"

/* Offset of the first byte that is not part of a character, or -1. ASCII is
 * looked at eight bytes at a time, about 9 GB/s. */
int64_t utf8_check(const uint8_t *text, int64_t len);

/* ST_OK for UTF-8, else ST_BADFILE: the first wrong byte, and the likely
 * repair. `name` stands for the text; `more` ends the line. */
MUST_USE status utf8_require(const char *name, const uint8_t *text, int64_t len,
                             const char *more);

/* The character at `at` of valid text, and the offset behind it. */
uint32_t utf8_next(const uint8_t *text, int64_t *at);

#endif
