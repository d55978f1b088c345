/*
 * The byte map of GPT-2: each byte as one printable character, so that token
 * strings of any bytes can stand in text files.
 *
 * Bytes 33-126, 161-172 and 174-255 are the characters of that number. The
 * other 68, in order, are U+0100, U+0101, ...: a space is U+0120, a newline
 * U+010A. Ids of the 256 tokens of one byte follow the characters: 188 bytes
 * that stand for themselves, then the 68.
 *
 * Pure. Local, any thread. Source: OpenAI's encoder.py, bytes_to_unicode.
 */
#ifndef WEFT_TEXT_BYTEMAP_H
#define WEFT_TEXT_BYTEMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct bytemap {
    uint8_t order[256];     /* byte of the token number i               */
    uint8_t text[256][2];   /* byte -> its character, UTF-8 ...         */
    uint8_t length[256];    /* ... of one or two bytes                  */
    int16_t of_char[0x144]; /* character -> byte, -1: none             */
} bytemap;

void bytemap_init(bytemap *m);

/* The character of a byte, UTF-8, into out[2]; returns its length. */
size_t bytemap_put(const bytemap *m, uint8_t byte, char *out);

/* Bytes that UTF-8 text of such characters stands for, into out (at most len
 * bytes), their number into *n. False if another character is among them. */
bool bytemap_bytes(const bytemap *m, const char *text, size_t len, uint8_t *out,
                   size_t *n);

#endif
