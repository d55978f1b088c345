#include "runtime/text/bytemap.h"

#include <string.h>

static bool is_itself(int byte)
{
    return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) ||
           (byte >= 174 && byte <= 255);
}

static void set(bytemap *m, int byte, int character)
{
    m->of_char[character] = (int16_t)byte;
    if (character < 0x80) {
        m->text[byte][0] = (uint8_t)character;
        m->length[byte] = 1;
        return;
    }
    m->text[byte][0] = (uint8_t)(0xc0 | character >> 6);
    m->text[byte][1] = (uint8_t)(0x80 | (character & 0x3f));
    m->length[byte] = 2;
}

void bytemap_init(bytemap *m)
{
    int next = 0x100;
    int n = 0;

    memset(m->of_char, 0xff, sizeof(m->of_char)); /* all -1 */
    for (int byte = 0; byte < 256; byte++) {
        if (is_itself(byte)) {
            set(m, byte, byte);
            m->order[n++] = (uint8_t)byte;
        }
    }
    for (int byte = 0; byte < 256; byte++) {
        if (!is_itself(byte)) {
            set(m, byte, next++);
            m->order[n++] = (uint8_t)byte;
        }
    }
}

size_t bytemap_put(const bytemap *m, uint8_t byte, char *out)
{
    memcpy(out, m->text[byte], m->length[byte]);
    return m->length[byte];
}

bool bytemap_bytes(const bytemap *m, const char *text, size_t len, uint8_t *out,
                   size_t *n)
{
    size_t made = 0;

    for (size_t i = 0; i < len;) {
        int c = (uint8_t)text[i++];
        if (c >= 0xc0 && c < 0xe0 && i < len) {
            c = (c & 0x1f) << 6 | ((uint8_t)text[i++] & 0x3f);
        } else if (c >= 0x80) {
            return false; /* beyond U+07FF: no byte has such a character */
        }
        if (c >= (int)(sizeof(m->of_char) / sizeof(m->of_char[0])) ||
            m->of_char[c] < 0) {
            return false;
        }
        out[made++] = (uint8_t)m->of_char[c];
    }
    *n = made;
    return true;
}
