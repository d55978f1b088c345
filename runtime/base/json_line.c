/*
 * The line of a value. The parser has taken the text, so a scan that counts
 * members and line ends is enough; it stays inside the text all the same.
 */
#include <string.h>

#include "runtime/base/json_impl.h"

typedef struct scan {
    const char *at, *end;
    int line;
} scan;

/* The character at hand, 0 behind the end. */
static char look(const scan *s)
{
    return s->at < s->end ? *s->at : '\0';
}

static void step(scan *s)
{
    s->line += look(s) == '\n' ? 1 : 0;
    s->at += s->at < s->end ? 1 : 0;
}

static void skip_space(scan *s)
{
    while (s->at < s->end && strchr(" \t\r\n", *s->at) != NULL) {
        step(s);
    }
}

static void skip_string(scan *s)
{
    step(s);
    while (s->at < s->end && *s->at != '"') {
        if (*s->at == '\\') {
            step(s);
        }
        step(s);
    }
    step(s);
}

/* A value ends where brackets are even and the next thing is none of it. */
static void skip_value(scan *s)
{
    int depth = 0;
    while (s->at < s->end) {
        char c = *s->at;
        if (depth == 0 && (c == ',' || c == ']' || c == '}')) {
            return;
        }
        if (c == '"') {
            skip_string(s);
            continue;
        }
        depth += c == '[' || c == '{' ? 1 : c == ']' || c == '}' ? -1 : 0;
        step(s);
    }
}

/* `"key" :` and the space behind it. */
static void skip_key(scan *s)
{
    skip_string(s);
    skip_space(s);
    step(s);
    skip_space(s);
}

int json_line_of(const char *text, size_t len, const size_t *steps, int nsteps)
{
    scan s = {text, text + len, 1};
    skip_space(&s);
    for (int i = 0; i < nsteps; i++) {
        bool object = look(&s) == '{';
        step(&s);
        skip_space(&s);
        for (size_t k = 0; k < steps[i] && s.at < s.end; k++) {
            if (object) {
                skip_key(&s);
            }
            skip_value(&s);
            step(&s); /* the comma */
            skip_space(&s);
        }
        if (i + 1 < nsteps && object) {
            skip_key(&s);
        }
    }
    return s.line;
}
