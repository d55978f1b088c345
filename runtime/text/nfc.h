/*
 * Is a text in Unicode's normalisation form NFC? The tokenizers of GPT-NeoX
 * and Pythia bring text to it first. Nearly all text is; what is not (letters
 * typed as a base and an accent of its own, some file names of macOS) is found
 * exactly and refused by the encoder, not rewritten.
 *
 * The answer is that of Unicode 14; characters of later versions pass. Tables:
 * make_nfc_table.py. Pure. Local, any thread.
 */
#ifndef WEFT_TEXT_NFC_H
#define WEFT_TEXT_NFC_H

#include <stdint.h>

/* Offset of the first character that NFC would change, join to an earlier one
 * or put elsewhere, or -1. The text is valid UTF-8. */
int64_t nfc_check(const uint8_t *text, int64_t len);

#endif
