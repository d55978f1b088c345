#include "benchmarks/html.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/mem.h"

/* --- text ----------------------------------------------------------------- */

/* Bytes of the UTF-8 character at s, 0 if it is none. */
static size_t character(const unsigned char *s)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = s[0] < 0x80   ? 1
               : s[0] < 0xc2 ? 0
               : s[0] < 0xe0 ? 2
               : s[0] < 0xf0 ? 3
               : s[0] < 0xf5 ? 4
                             : 0;
    uint32_t code = n > 1 ? s[0] & (0x7fU >> n) : s[0];
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            return 0;
        }
        code = code << 6 | (s[i] & 0x3fU);
    }
    bool is_surrogate = code >= 0xd800 && code < 0xe000;
    return n > 1 && (code < least[n] || is_surrogate || code > 0x10ffff) ? 0
                                                                         : n;
}

void html_clean(char *text)
{
    unsigned char *s = (unsigned char *)text;
    while (*s != '\0') {
        size_t n = character(s);
        /* U+0080 to U+009f are control characters, too. */
        bool is_control =
            *s < ' ' || *s == 0x7f || (*s == 0xc2 && n == 2 && s[1] < 0xa0);
        if (n == 0 || is_control) {
            *s = is_control ? ' ' : '?';
            n = n == 2 ? 2 : 1;
            s[n - 1] = n == 2 ? ' ' : s[n - 1];
        }
        s += n;
    }
}

size_t html_length(const char *text)
{
    size_t n = 0;
    for (const char *s = text; *s != '\0'; s++) {
        n += !text_goes_on(*s);
    }
    return n;
}

size_t html_prefix(const char *text, size_t n)
{
    size_t at = 0;
    while (text[at] != '\0') {
        if (!text_goes_on(text[at]) && n-- == 0) {
            break;
        }
        at++;
    }
    return at;
}

void html_text(strbuf *out, const char *text)
{
    for (const char *s = text; *s != '\0'; s++) {
        switch (*s) {
        case '&':
            strbuf_add(out, "&amp;");
            break;
        case '<':
            strbuf_add(out, "&lt;");
            break;
        case '>':
            strbuf_add(out, "&gt;");
            break;
        case '"':
            strbuf_add(out, "&quot;");
            break;
        case '\'':
            strbuf_add(out, "&#39;");
            break;
        default:
            strbuf_add_bytes(out, s, 1);
        }
    }
}

static void text_v(strbuf *out, const char *fmt, va_list ap)
{
    char small[512];
    char *text = small;
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(small, sizeof(small), fmt, ap);
    if (n >= (int)sizeof(small)) {
        if (MEM_NEW(&text, n + 1, "html") == ST_OK) {
            (void)vsnprintf(text, (size_t)n + 1, fmt, again);
        } else {
            text = small;
            out->failed = true;
        }
    }
    va_end(again);
    html_text(out, text);
    if (text != small) {
        mem_free(text);
    }
}

void html_textf(strbuf *out, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    text_v(out, fmt, ap);
    va_end(ap);
}

/* --- tables --------------------------------------------------------------- */

void html_table(strbuf *out, const char *caption, const char *const *heads)
{
    strbuf_add(out, "<div class=\"box\" tabindex=\"0\"><table><caption>");
    html_text(out, caption);
    strbuf_add(out, "</caption>\n<thead><tr>");
    for (int i = 0; heads[i] != NULL; i++) {
        strbuf_add(out, "<th scope=\"col\">");
        html_text(out, heads[i]);
        strbuf_add(out, "</th>");
    }
    strbuf_add(out, "</tr></thead>\n<tbody>\n");
}

void html_row(strbuf *out)
{
    strbuf_add(out, "<tr>");
}

void html_headf(strbuf *out, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    strbuf_add(out, "<th scope=\"row\">");
    text_v(out, fmt, ap);
    strbuf_add(out, "</th>");
    va_end(ap);
}

void html_cellf(strbuf *out, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    strbuf_add(out, "<td>");
    text_v(out, fmt, ap);
    strbuf_add(out, "</td>");
    va_end(ap);
}

void html_wordsf(strbuf *out, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    strbuf_add(out, "<td class=\"words\">");
    text_v(out, fmt, ap);
    strbuf_add(out, "</td>");
    va_end(ap);
}

void html_row_end(strbuf *out)
{
    strbuf_add(out, "</tr>\n");
}

void html_table_end(strbuf *out)
{
    strbuf_add(out, "</tbody></table></div>\n");
}
