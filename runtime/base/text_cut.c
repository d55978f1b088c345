/* Texts in room of a fixed size; see text.h. */
#include <stdio.h>
#include <string.h>

#include "runtime/base/text.h"

/* Bytes of a text's first n that end with a whole character. Only the last
 * three can belong to a character that goes on behind them. */
static size_t whole(const char *text, size_t n)
{
    for (size_t back = 1; back <= 3 && back <= n; back++) {
        unsigned char c = (unsigned char)text[n - back];
        if (!text_goes_on((char)c)) {
            size_t bytes = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
            return bytes > back ? n - back : n;
        }
    }
    return n;
}

int text_fit(const char *text, int most)
{
    size_t n = strnlen(text, (size_t)most);
    return (int)(text[n] == '\0' ? n : whole(text, n));
}

const char *text_tail(const char *text, size_t most)
{
    size_t len = strlen(text);
    const char *end = len <= most ? text : text + len - most;
    while (end > text && text_goes_on(*end)) {
        end++;
    }
    return end;
}

int text_vprint(char *out, size_t size, const char *fmt, va_list args)
{
    int n = vsnprintf(out, size, fmt, args);
    if (n >= 0 && size > 0 && (size_t)n >= size) {
        out[whole(out, size - 1)] = '\0';
    }
    return n;
}

int text_print(char *out, size_t size, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = text_vprint(out, size, fmt, args);
    va_end(args);
    return n;
}

void text_copy(char *out, size_t size, const char *text)
{
    size_t n = (size_t)text_fit(text, (int)size - 1);
    memcpy(out, text, n);
    out[n] = '\0';
}
