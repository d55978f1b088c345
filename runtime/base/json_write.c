/*
 * The writer half of json.h. Depth 0 is outside: exactly one value is written
 * there.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/json.h"

void json_writer_init(json_writer *w)
{
    *w = (json_writer){0};
}

void json_writer_fini(json_writer *w)
{
    strbuf_fini(&w->out);
}

status json_writer_take(json_writer *w, char **out)
{
    ASSERT(w->depth == 0 && w->has_items[0]);
    strbuf_add(&w->out, "\n");
    return strbuf_take(&w->out, out);
}

/* JSON text is UTF-8; a byte that cannot be part of it (an odd file name)
 * becomes '?' rather than a file that no reader takes. Returns the length of
 * the sequence at s, 0 if it is none. */
static size_t utf8_len(const unsigned char *s)
{
    if (s[0] < 0x80) {
        return 1;
    }
    size_t n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4) {
        return 0;
    }
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    /* Overlong forms, surrogates, beyond U+10FFFF. */
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f)) {
        return 0;
    }
    return n;
}

static void add_quoted(strbuf *b, const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    strbuf_add(b, "\"");
    while (*s != '\0') {
        size_t n = utf8_len(s);
        if (n == 0) {
            strbuf_add(b, "?");
            n = 1;
        } else if (*s == '"' || *s == '\\') {
            strbuf_printf(b, "\\%c", *s);
        } else if (*s == '\n') {
            strbuf_add(b, "\\n");
        } else if (*s < 0x20 || *s == 0x7f) {
            strbuf_printf(b, "\\u%04x", *s);
        } else {
            strbuf_add_bytes(b, s, n);
        }
        s += n;
    }
    strbuf_add(b, "\"");
}

static bool is_flat(const json_writer *w)
{
    return w->flat_from > 0 && w->depth >= w->flat_from;
}

static void new_line(json_writer *w)
{
    strbuf_add(&w->out, "\n");
    strbuf_fill(&w->out, ' ', 2 * (size_t)w->depth);
}

/* Everything that stands before a value: comma, line, key. */
static void begin_value(json_writer *w, const char *key)
{
    ASSERT((key != NULL) == (w->depth > 0 && w->is_obj[w->depth]));
    ASSERT(w->depth > 0 || !w->has_items[0]);
    if (w->has_items[w->depth]) {
        strbuf_add(&w->out, is_flat(w) ? ", " : ",");
    }
    w->has_items[w->depth] = true;
    if (w->depth > 0 && !is_flat(w)) {
        new_line(w);
    }
    if (key != NULL) {
        add_quoted(&w->out, key);
        strbuf_add(&w->out, ": ");
    }
}

static void open_container(json_writer *w, const char *key, bool obj, bool flat)
{
    begin_value(w, key);
    ASSERT(w->depth < JSON_DEPTH_MAX);
    w->depth++;
    w->is_obj[w->depth] = obj;
    w->has_items[w->depth] = false;
    if (flat && w->flat_from == 0) {
        w->flat_from = w->depth;
    }
    strbuf_add(&w->out, obj ? "{" : "[");
}

void json_write_obj(json_writer *w, const char *key)
{
    open_container(w, key, true, false);
}

void json_write_obj_flat(json_writer *w, const char *key)
{
    open_container(w, key, true, true);
}

void json_write_arr(json_writer *w, const char *key)
{
    open_container(w, key, false, false);
}

void json_write_arr_flat(json_writer *w, const char *key)
{
    open_container(w, key, false, true);
}

void json_write_end(json_writer *w)
{
    ASSERT(w->depth > 0);
    bool obj = w->is_obj[w->depth];
    bool flat = is_flat(w);
    bool items = w->has_items[w->depth];
    if (w->flat_from == w->depth) {
        w->flat_from = 0;
    }
    w->depth--;
    if (items && !flat) {
        new_line(w);
    }
    strbuf_add(&w->out, obj ? "}" : "]");
}

void json_write_str(json_writer *w, const char *key, const char *value)
{
    begin_value(w, key);
    add_quoted(&w->out, value);
}

void json_write_i64(json_writer *w, const char *key, int64_t value)
{
    begin_value(w, key);
    strbuf_printf(&w->out, "%lld", (long long)value);
}

void json_write_f64(json_writer *w, const char *key, double value)
{
    begin_value(w, key);
    if (!isfinite(value)) {
        if (w->not_finite[0] == '\0') {
            text_copy(w->not_finite, sizeof(w->not_finite),
                      key != NULL ? key : "[]");
        }
        strbuf_add(&w->out, "null");
        return;
    }
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, value);
        if (strtod(text, NULL) == value) {
            break;
        }
    }
    strbuf_add(&w->out, text);
}

/* A copied real stays one: 0.0 is not 0 to a reader that minds types. */
static void write_real(json_writer *w, const char *key, double value)
{
    json_write_f64(w, key, value);
    if (value == floor(value) && fabs(value) < 1e15) {
        strbuf_add(&w->out, ".0");
    }
}

void json_write_bool(json_writer *w, const char *key, bool value)
{
    begin_value(w, key);
    strbuf_add(&w->out, value ? "true" : "false");
}

void json_write_null(json_writer *w, const char *key)
{
    begin_value(w, key);
    strbuf_add(&w->out, "null");
}

/* Recursion is as deep as a document that was read: JSON_DEPTH_MAX. */
static void write_members(json_writer *w, json_val v)
{
    if (json_kind(v) == JSON_KIND_ARR) {
        for (size_t i = 0; i < json_len(v); i++) {
            json_write_val(w, NULL, json_at(v, i));
        }
    } else {
        json_iter it = {0};
        const char *key = NULL;
        json_val member;
        while (json_next(v, &it, &key, &member)) {
            json_write_val(w, key, member);
        }
    }
    json_write_end(w);
}

/* An array of plain values reads best on one line. */
static bool all_plain(json_val arr)
{
    for (size_t i = 0; i < json_len(arr); i++) {
        if (json_kind(json_at(arr, i)) >= JSON_KIND_ARR) {
            return false;
        }
    }
    return true;
}

void json_write_val(json_writer *w, const char *key, json_val value)
{
    int64_t whole = 0;
    double real = 0;
    const char *text = "";
    bool flag = false;
    status st = ST_OK;
    switch (json_kind(value)) {
    case JSON_KIND_NONE:
    case JSON_KIND_NULL:
        json_write_null(w, key);
        break;
    case JSON_KIND_BOOL:
        st = json_as_bool(value, &flag);
        json_write_bool(w, key, flag);
        break;
    case JSON_KIND_INT:
        st = json_as_i64(value, INT64_MIN, INT64_MAX, &whole);
        json_write_i64(w, key, whole);
        break;
    case JSON_KIND_REAL:
        st = json_as_f64(value, -INFINITY, INFINITY, &real);
        write_real(w, key, real);
        break;
    case JSON_KIND_STR:
        st = json_as_str(value, &text);
        json_write_str(w, key, text);
        break;
    case JSON_KIND_ARR:
        open_container(w, key, false, all_plain(value));
        write_members(w, value);
        break;
    case JSON_KIND_OBJ:
        open_container(w, key, true, false);
        write_members(w, value);
        break;
    }
    ASSERT(st == ST_OK);
}
