#include "runtime/text/nfc.h"

#include <stdbool.h>
#include <string.h>

#include "runtime/text/nfc_table.h"
#include "runtime/text/utf8.h"

enum {
    CLASSES = sizeof(nfc_classes) / sizeof(nfc_classes[0]),
    PAIRS = sizeof(nfc_pairs) / sizeof(nfc_pairs[0]),
    CHANGES = 255,
    LOWEST = 0x300, /* below it nothing combines or changes */
    /* Hangul syllables are joined by rule: chapter 3.12 of the standard. */
    HANGUL_L = 0x1100,
    HANGUL_L_COUNT = 19,
    HANGUL_V = 0x1161,
    HANGUL_V_COUNT = 21,
    HANGUL_T = 0x11a7, /* one before the first */
    HANGUL_T_COUNT = 28,
    HANGUL_S = 0xac00,
    HANGUL_S_COUNT = 11172
};

static int class_of(uint32_t c)
{
    int low = 0, high = CLASSES;

    while (low < high) {
        const int mid = (low + high) / 2;
        if (nfc_classes[mid].last < c) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low < CLASSES && nfc_classes[low].first <= c ? nfc_classes[low].class
                                                        : 0;
}

static bool in(uint32_t c, uint32_t first, uint32_t count)
{
    return c >= first && c - first < count;
}

/* True if NFC changes this pair: joins it, as a rule. */
static bool joins(uint32_t first, uint32_t second)
{
    const uint64_t pair = (uint64_t)second << 32 | first;
    int low = 0, high = PAIRS;

    if (in(second, HANGUL_V, HANGUL_V_COUNT)) {
        return in(first, HANGUL_L, HANGUL_L_COUNT);
    }
    if (in(second, HANGUL_T + 1, HANGUL_T_COUNT - 1)) {
        return in(first, HANGUL_S, HANGUL_S_COUNT) &&
               (first - HANGUL_S) % HANGUL_T_COUNT == 0;
    }
    while (low < high) {
        const int mid = (low + high) / 2;
        if (nfc_pairs[mid] < pair) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low < PAIRS && nfc_pairs[low] == pair;
}

/*
 * A mark joins the last character of class 0 before it (the starter), if it
 * follows at once, or if all between are of lower classes: as classes ascend,
 * it is enough to look at the last one.
 */
int64_t nfc_check(const uint8_t *text, int64_t len)
{
    uint32_t starter = 0;
    int last_class = 0; /* of the character before; 0: the starter itself */

    for (int64_t at = 0; at < len;) {
        const int64_t begin = at;
        const uint32_t c = utf8_next(text, &at);
        if (c < LOWEST) {
            starter = c;
            last_class = 0;
            continue;
        }
        const int class = class_of(c);
        if (class == CHANGES || (class != 0 && class < last_class) ||
            ((last_class == 0 || last_class < class) && joins(starter, c))) {
            return begin;
        }
        starter = class == 0 ? c : starter;
        last_class = class;
    }
    return -1;
}
