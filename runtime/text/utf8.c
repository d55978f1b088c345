#include "runtime/text/utf8.h"

#include <string.h>

/* Bytes of the character at `p`, of `left` bytes; 0 if it is none. */
static int character(const uint8_t *p, int64_t left)
{
    const uint8_t a = p[0];
    uint8_t low = 0x80, high = 0xbf; /* of the second byte */
    int n;

    if (a < 0x80) {
        return 1;
    }
    if (a >= 0xc2 && a <= 0xdf) {
        n = 2;
    } else if (a >= 0xe0 && a <= 0xef) {
        n = 3;
        low = a == 0xe0 ? 0xa0 : low;   /* below: overlong   */
        high = a == 0xed ? 0x9f : high; /* above: surrogates */
    } else if (a >= 0xf0 && a <= 0xf4) {
        n = 4;
        low = a == 0xf0 ? 0x90 : low;   /* below: overlong       */
        high = a == 0xf4 ? 0x8f : high; /* above: beyond U+10FFFF */
    } else {
        return 0;
    }
    if (left < n || p[1] < low || p[1] > high) {
        return 0;
    }
    for (int i = 2; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return n;
}

int64_t utf8_check(const uint8_t *text, int64_t len)
{
    int64_t at = 0;

    while (at < len) {
        uint64_t eight = 0x8080808080808080u;
        if (len - at >= 8) {
            memcpy(&eight, text + at, 8);
        }
        if ((eight & 0x8080808080808080u) == 0) {
            at += 8;
            continue;
        }
        const int n = character(text + at, len - at);
        if (n == 0) {
            return at;
        }
        at += n;
    }
    return -1;
}

/* What the text is encoded in, for iconv, by its first bytes. */
static const char *likely_encoding(const uint8_t *text, int64_t len)
{
    static const uint8_t low32[4] = {0xff, 0xfe, 0, 0};

    if (len >= 4 && memcmp(text, low32, 4) == 0) {
        return "UTF-32";
    }
    if (len >= 2 && (memcmp(text, "\xff\xfe", 2) == 0 ||
                     memcmp(text, "\xfe\xff", 2) == 0)) {
        return "UTF-16";
    }
    return NULL;
}

status utf8_require(const char *name, const uint8_t *text, int64_t len,
                    const char *more)
{
    const int64_t wrong = utf8_check(text, len);

    if (wrong < 0) {
        return ST_OK;
    }
    const char *from = likely_encoding(text, len);
    REQUIRE(from == NULL, ST_BADFILE,
            "%s: is %s, not UTF-8; convert the text (iconv -f %s -t UTF-8)%s",
            name, from, from, more);
    return FAIL(ST_BADFILE,
                "%s: byte %lld (0x%02x) is not UTF-8; convert the text (iconv "
                "-f LATIN1 -t UTF-8)%s",
                name, (long long)wrong, text[wrong], more);
}

uint32_t utf8_next(const uint8_t *text, int64_t *at)
{
    const uint8_t *p = text + *at;

    if (p[0] < 0x80) {
        *at += 1;
        return p[0];
    }
    if (p[0] < 0xe0) {
        *at += 2;
        return (uint32_t)(p[0] & 0x1f) << 6 | (p[1] & 0x3f);
    }
    if (p[0] < 0xf0) {
        *at += 3;
        return (uint32_t)(p[0] & 0x0f) << 12 | (uint32_t)(p[1] & 0x3f) << 6 |
               (p[2] & 0x3f);
    }
    *at += 4;
    return (uint32_t)(p[0] & 0x07) << 18 | (uint32_t)(p[1] & 0x3f) << 12 |
           (uint32_t)(p[2] & 0x3f) << 6 | (p[3] & 0x3f);
}
