#!/usr/bin/env python3
"""Writes nfc_table.h from Python's Unicode tables.

    python3.11 make_nfc_table.py >nfc_table.h && clang-format -i nfc_table.h

Another Python has another version of Unicode; nfc.h names the one used.
"""
import unicodedata as u

CHANGES = 255  # stands for "NFC never leaves it as it is"
points = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
pairs = {}
for c in points:
    parts = u.decomposition(chr(c)).split()
    if (len(parts) == 2 and not parts[0].startswith('<')
            and u.normalize('NFC', chr(c)) == chr(c)):
        first, second = (int(p, 16) for p in parts)
        pairs[second, first] = c

# A composed letter may come apart again for a mark that belongs nearer to its
# base: A-circumflex and an ogonek become A-ogonek and a circumflex.
marks = {second for second, _ in pairs if u.combining(chr(second))}
for letter in list(pairs.values()):
    for mark in marks:
        if u.normalize('NFC', chr(letter) + chr(mark)) != (
                chr(letter) + chr(mark)):
            pairs.setdefault((mark, letter), None)

runs = []
for c in points:
    kind = (CHANGES if u.normalize('NFC', chr(c)) != chr(c)
            else u.combining(chr(c)))
    if kind == 0:
        continue
    if runs and runs[-1][1] == c - 1 and runs[-1][2] == kind:
        runs[-1][1] = c
    else:
        runs.append([c, c, kind])

print(f'''/*
 * Made by make_nfc_table.py from Unicode {u.unidata_version}; private to nfc.c.
 */
#ifndef WEFT_TEXT_NFC_TABLE_H
#define WEFT_TEXT_NFC_TABLE_H

#include <stdint.h>

/* Characters of a combining class other than 0; {CHANGES}: NFC changes it. */
static const struct {{
    uint32_t first, last;
    uint8_t class;
}} nfc_classes[] = {{''')
print(', '.join('{0x%x, 0x%x, %d}' % tuple(r) for r in runs))
print('''};

/* Two characters that NFC joins or parts otherwise: second << 32 | first, ascending. */
static const uint64_t nfc_pairs[] = {''')
print(', '.join('0x%08x%08x' % p for p in sorted(pairs)))
print('''};

#endif''')
