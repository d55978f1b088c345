/*
 * Drawings of gnuplot as a part of a page: read tag by tag, written again
 * without what a page must not have twice (identifiers, titles) or cannot
 * change (sizes, fonts, colours).
 */
#include <stdio.h>
#include <string.h>

#include "benchmarks/html.h"

typedef struct adopting {
    const char *id;
    const html_colour *palette;
    strbuf *out;
} adopting;

/* "rgb( 78, 165, 183)", "#4EA5B7" or "black" as the page has it. */
static void colour(const adopting *a, const char *value, size_t len)
{
    char text[40];
    char hex[16];
    unsigned r = 0;
    unsigned g = 0;
    unsigned b = 0;
    (void)snprintf(text, sizeof(text), "%.*s", (int)len, value);
    if (strcmp(text, "black") == 0 || strcmp(text, "rgb(0,0,0)") == 0) {
        strbuf_add(a->out, "currentColor");
        return;
    }
    bool is_rgb = sscanf(text, "rgb(%u ,%u ,%u )", &r, &g, &b) == 3 ||
                  (text[0] == '#' && len == 7 &&
                   sscanf(text, "#%2x%2x%2x", &r, &g, &b) == 3);
    (void)snprintf(hex, sizeof(hex), "#%02x%02x%02x", r & 255, g & 255,
                   b & 255);
    for (const html_colour *c = a->palette; is_rgb && c->name != NULL; c++) {
        if (strcmp(c->light, hex) == 0) {
            strbuf_printf(a->out, "var(--%s)", c->name);
            return;
        }
    }
    strbuf_add_bytes(a->out, value, len);
}

static bool is(const char *name, size_t len, const char *word)
{
    return strlen(word) == len && memcmp(name, word, len) == 0;
}

static void attribute(const adopting *a, const char *name, size_t name_len,
                      const char *value, size_t len)
{
    bool is_own_id = is(name, name_len, "id");
    bool is_shape = len >= 2 && memcmp(value, "gp", 2) == 0;
    if ((is_own_id && !is_shape) || is(name, name_len, "font-family") ||
        (name_len >= 5 && memcmp(name, "xmlns", 5) == 0)) {
        return;
    }
    if (is(name, name_len, "xlink:href")) {
        strbuf_printf(a->out, " href=\"#%s-%.*s\"", a->id, (int)len - 1,
                      value + 1);
        return;
    }
    strbuf_printf(a->out, " %.*s=\"", (int)name_len, name);
    if (is_own_id) {
        strbuf_printf(a->out, "%s-", a->id);
    }
    if (is(name, name_len, "fill") || is(name, name_len, "stroke") ||
        is(name, name_len, "color")) {
        colour(a, value, len);
    } else {
        strbuf_add_bytes(a->out, value, len);
    }
    strbuf_add(a->out, "\"");
}

/* The tag at s, whose end is returned; NULL if it has none. */
static const char *tag(const adopting *a, const char *s)
{
    size_t n = strcspn(s, " \t\n/>");
    n = s[1] == '/' ? strcspn(s, ">") : n;
    strbuf_add_bytes(a->out, s, n);
    s += n;
    for (;;) {
        s += strspn(s, " \t\n");
        if (*s == '>' || (s[0] == '/' && s[1] == '>')) {
            strbuf_add(a->out, *s == '>' ? ">" : "/>");
            return s + (*s == '>' ? 1 : 2);
        }
        /* Written as a="b", a='b' and a = 'b'. */
        size_t name = strcspn(s, "=> ");
        const char *quote = s + name + strspn(s + name, " =");
        if (name == 0 || (*quote != '"' && *quote != '\'')) {
            return NULL;
        }
        const char *value = quote + 1;
        const char *end = strchr(value, *quote);
        if (end == NULL) {
            return NULL;
        }
        attribute(a, s, name, value, (size_t)(end - value));
        s = end + 1;
    }
}

/* Behind a group that has nothing in it, or NULL. */
static const char *empty_group(const char *s)
{
    const char *end = strncmp(s, "<g ", 3) == 0 ? strchr(s, '>') : NULL;
    if (end == NULL) {
        return NULL;
    }
    end += 1 + strspn(end + 1, " \t\r\n");
    return strncmp(end, "</g>", 4) == 0 ? end + 4 : NULL;
}

/* Behind the end of an element that is left out, or NULL if s is none. */
static const char *left_out(const char *s)
{
    static const char *const names[] = {"title", "desc", "filter", NULL};
    const char *group = empty_group(s);
    for (int i = 0; names[i] != NULL && group == NULL; i++) {
        char end[16];
        size_t n = strlen(names[i]);
        if (strncmp(s + 1, names[i], n) == 0 && strchr(" >", s[n + 1])) {
            (void)snprintf(end, sizeof(end), "</%s>", names[i]);
            const char *at = strstr(s, end);
            return at != NULL ? at + strlen(end) : s + strlen(s);
        }
    }
    return group;
}

/* The element <svg> as the page has it; returns what is behind it. */
static const char *open_svg(const adopting *a, const char *svg,
                            const char *title, const char *desc)
{
    const char *at = strstr(svg, "<svg");
    const char *box = at != NULL ? strstr(at, "viewBox=\"") : NULL;
    const char *end = at != NULL ? strchr(at, '>') : NULL;
    if (box == NULL || end == NULL || box > end) {
        return NULL;
    }
    box += strlen("viewBox=\"");
    strbuf_printf(a->out,
                  "<svg class=\"plot\" viewBox=\"%.*s\" role=\"img\" "
                  "aria-labelledby=\"%s-title %s-desc\">\n"
                  "<title id=\"%s-title\">",
                  (int)strcspn(box, "\""), box, a->id, a->id, a->id);
    html_text(a->out, title);
    strbuf_printf(a->out, "</title>\n<desc id=\"%s-desc\">", a->id);
    html_text(a->out, desc);
    strbuf_add(a->out, "</desc>");
    return end + 1;
}

status html_adopt_svg(const char *svg, const char *id, const char *title,
                      const char *desc, const html_colour *palette, strbuf *out)
{
    adopting a = {.id = id, .palette = palette, .out = out};
    REQUIRE(strstr(svg, "<script") == NULL, ST_BADFILE,
            "%s: the drawing has a script", id);
    REQUIRE(strstr(svg, "</svg>") != NULL, ST_BADFILE,
            "%s: the drawing is no SVG, or not whole", id);
    const char *s = open_svg(&a, svg, title, desc);
    while (s != NULL && *s != '\0') {
        size_t n = strcspn(s, "<");
        /* Between tags there are only line ends; texts are kept. */
        if (strspn(s, " \t\r\n") < n) {
            strbuf_add_bytes(out, s, n);
        } else if (n > 0) {
            strbuf_add(out, "\n");
        }
        s += n;
        if (*s == '\0') {
            break;
        }
        const char *behind = left_out(s);
        s = behind != NULL ? behind : tag(&a, s);
    }
    REQUIRE(s != NULL, ST_BADFILE, "%s: the drawing is malformed", id);
    return strbuf_check(out);
}
