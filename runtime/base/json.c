/*
 * Reading: jansson parses, we add what it lacks: a depth limit before it
 * recurses, positions by path, ranges, and errors in our words.
 *
 * Where a value stands is not stored. A cursor knows its parent, and the
 * parent's path is found by searching the document, which only an error pays
 * for. (The parent and not the value, because jansson shares one `true`.) The
 * line follows from the path: the text of a file is kept and scanned again.
 */
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/json_impl.h"
#include "runtime/base/magic.h"
#include "runtime/base/mem.h"
#include "runtime/base/units.h"

struct json_doc {
    json_t *root;
    char *name;
    char *text; /* of a file, for lines in errors; else NULL */
    size_t len;
};

/* Whole numbers beyond this are not exact when written as 1e16. */
#define EXACT_MAX 9007199254740992.0

/* jansson's allocator has no context and its errors do not always say that
 * memory ran out; so the allocator itself leaves word. */
static _Thread_local bool out_of_memory;

/* jansson's memory is ours too, so that leaks and failures are counted. Its
 * reader does not stand a failure everywhere (2.14 leaves out a byte of a
 * text, or aborts): it gets a second try, and the text is not taken. */
static void *jansson_alloc(size_t size)
{
    void *block = NULL;
    if (mem_alloc(1, size, "jansson", &block) != ST_OK) {
        out_of_memory = true;
        if (mem_alloc(1, size, "jansson", &block) != ST_OK) {
            return NULL;
        }
    }
    return block;
}

/* --- opening ----------------------------------------------------------- */

/* Refuses deep nesting before the parser recurses into it, and zero bytes:
 * jansson takes one behind a number, where others see the text end. */
static status check_text(const char *text, size_t len, const char *name)
{
    int depth = 0;
    int line = 1;
    bool in_string = false;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        line += c == '\n' ? 1 : 0;
        REQUIRE(c != '\0', ST_BADFILE, "%s:%d: has a zero byte", name, line);
        if (in_string) {
            if (c == '\\') {
                i++;
            } else if (c == '"') {
                in_string = false;
            }
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            depth++;
            REQUIRE(depth <= JSON_DEPTH_MAX, ST_BADFILE,
                    "%s:%d: nested deeper than %d levels", name, line,
                    JSON_DEPTH_MAX);
        } else if (c == ']' || c == '}') {
            depth--;
        }
    }
    return ST_OK;
}

/* Parses into doc, whose name is set. */
static status parse_into(json_doc *doc, const char *text, size_t len,
                         size_t most)
{
    REQUIRE(len <= most, ST_BADFILE,
            "%s: is longer than the %zu bytes allowed here", doc->name, most);
    TRY(check_text(text, len, doc->name));
    json_set_alloc_funcs(jansson_alloc, mem_free);
    json_error_t error;
    out_of_memory = false;
    doc->root =
        json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    REQUIRE(!out_of_memory, ST_SYSTEM, "%s: out of memory while reading it",
            doc->name);
    if (doc->root != NULL) {
        return ST_OK;
    }
    return FAIL(ST_BADFILE, "%s:%d:%d: %s", doc->name, error.line, error.column,
                error.text);
}

status json_parse(const char *text, size_t len, const char *name,
                  json_doc **out)
{
    return json_parse_most(text, len, JSON_BYTES_MAX, name, out);
}

status json_parse_most(const char *text, size_t len, size_t most,
                       const char *name, json_doc **out)
{
    json_doc *doc = NULL;
    TRY(MEM_NEW(&doc, 1, "json"));
    status st = mem_strdup(name, &doc->name);
    if (st == ST_OK) {
        st = parse_into(doc, text, len, most);
    }
    if (st != ST_OK) {
        json_close(doc);
        return st;
    }
    *out = doc;
    return ST_OK;
}

status json_open(const char *path, json_doc **doc)
{
    return json_open_most(path, JSON_BYTES_MAX, doc);
}

status json_open_most(const char *path, size_t most, json_doc **doc)
{
    char *text = NULL;
    size_t len = 0;
    TRY(text_read_file(path, most, &text, &len));
    const char *what = magic_name(text, len);
    status st = what != NULL
                    ? FAIL(ST_BADFILE, "%s: is %s; JSON is wanted", path, what)
                    : json_parse_most(text, len, most, path, doc);
    if (st != ST_OK) {
        mem_free(text);
        return st;
    }
    (*doc)->text = text;
    (*doc)->len = len;
    return ST_OK;
}

void json_close(json_doc *doc)
{
    if (doc != NULL) {
        json_decref(doc->root);
        mem_free(doc->name);
        mem_free(doc->text);
        mem_free(doc);
    }
}

/* --- places and errors ------------------------------------------------- */

const char *json_name(const json_doc *doc)
{
    return doc->name;
}

json_val json_root(const json_doc *doc)
{
    return (json_val){.doc = doc, .node = doc->root};
}

json_kinds json_kind(json_val v)
{
    if (v.node == NULL) {
        return JSON_KIND_NONE;
    }
    switch (json_typeof((const json_t *)v.node)) {
    case JSON_OBJECT:
        return JSON_KIND_OBJ;
    case JSON_ARRAY:
        return JSON_KIND_ARR;
    case JSON_STRING:
        return JSON_KIND_STR;
    case JSON_INTEGER:
        return JSON_KIND_INT;
    case JSON_REAL:
        return JSON_KIND_REAL;
    case JSON_TRUE:
    case JSON_FALSE:
        return JSON_KIND_BOOL;
    case JSON_NULL:
        break;
    }
    return JSON_KIND_NULL;
}

/* The way from the root to a value, as text and by counting. */
typedef struct place {
    strbuf path;
    size_t steps[JSON_DEPTH_MAX + 1];
    int nsteps;
} place;

static void add_step(place *at, const char *key, size_t index)
{
    strbuf *b = &at->path;
    if (key == NULL) {
        strbuf_printf(b, "[%zu]", index);
    } else {
        strbuf_printf(b, "%s%s", b->len > 0 ? "." : "", key);
    }
    ASSERT(at->nsteps <= JSON_DEPTH_MAX);
    at->steps[at->nsteps++] = index;
}

static bool find_place(json_t *node, const void *target, place *at);

/* One step to `child`, and on from there; undone if the target is not there. */
static bool find_below(json_t *child, const char *key, size_t index,
                       const void *target, place *at)
{
    size_t len = at->path.len;
    int nsteps = at->nsteps;
    /* Values that hold nothing cannot be the parent that is looked for. */
    if (!json_is_object(child) && !json_is_array(child)) {
        return false;
    }
    add_step(at, key, index);
    if (find_place(child, target, at)) {
        return true;
    }
    strbuf_cut(&at->path, len);
    at->nsteps = nsteps;
    return false;
}

/* Appends the way to `target` below `node`, or nothing; true if found. */
static bool find_place(json_t *node, const void *target, place *at)
{
    const char *key = NULL;
    size_t index = 0;
    json_t *child = NULL;
    if (node == target) {
        return true;
    }
    if (json_is_object(node)) {
        json_object_foreach(node, key, child)
        {
            if (find_below(child, key, index++, target, at)) {
                return true;
            }
        }
    } else if (json_is_array(node)) {
        json_array_foreach(node, index, child)
        {
            if (find_below(child, NULL, index, target, at)) {
                return true;
            }
        }
    }
    return false;
}

/* Members are in the order of the file. */
static size_t member_index(json_t *object, const char *key)
{
    const char *other = NULL;
    json_t *child = NULL;
    size_t index = 0;
    json_object_foreach(object, other, child)
    {
        if (strcmp(key, other) == 0) {
            break;
        }
        index++;
    }
    return index;
}

/* A key that is missing has no place: its line is the object's. */
static void find_value(json_val v, place *at)
{
    if (v.doc == NULL || v.parent == NULL) {
        return;
    }
    find_place(v.doc->root, v.parent, at);
    add_step(at, v.key,
             v.key != NULL ? member_index(v.parent, v.key) : v.index);
    at->nsteps -= v.node == NULL ? 1 : 0;
}

status json_fail(json_val v, status code, const char *fmt, ...)
{
    char text[STATUS_TEXT_MAX];
    char line[16] = "";
    va_list args;
    va_start(args, fmt);
    text_vprint(text, sizeof(text), fmt, args);
    va_end(args);
    place at = {.nsteps = 0};
    find_value(v, &at);
    if (at.path.len > 0 && v.doc->text != NULL) {
        snprintf(line, sizeof(line), ":%d",
                 json_line_of(v.doc->text, v.doc->len, at.steps, at.nsteps));
    }
    const char *name = v.doc != NULL ? v.doc->name : "(no file)";
    status st = FAIL(code, "%s%s: %s%s%s", name, line, strbuf_view(&at.path),
                     at.path.len > 0 ? ": " : "", text);
    strbuf_fini(&at.path);
    return st;
}

/* The value as it stands in the file, shortened. */
static const char *found(json_val v, char out[80])
{
    const json_t *node = v.node;
    switch (json_kind(v)) {
    case JSON_KIND_NONE:
        return "no value";
    case JSON_KIND_NULL:
        return "null";
    case JSON_KIND_BOOL:
        return json_is_true(node) ? "true" : "false";
    case JSON_KIND_INT:
        snprintf(out, 80, "%lld", (long long)json_integer_value(node));
        return out;
    case JSON_KIND_REAL:
        snprintf(out, 80, "%.15g", json_real_value(node));
        return out;
    case JSON_KIND_STR:
        snprintf(out, 80, "\"%.*s%s\"", text_fit(json_string_value(node), 60),
                 json_string_value(node),
                 json_string_length(node) > 60 ? "..." : "");
        return out;
    case JSON_KIND_ARR:
        return "an array";
    case JSON_KIND_OBJ:
        break;
    }
    return "an object";
}

static status wrong_type(json_val v, const char *wanted)
{
    char text[80];
    return json_fail(v, ST_CONFIG, "%s found, %s is needed", found(v, text),
                     wanted);
}

/* --- single values ----------------------------------------------------- */

status json_as_i64(json_val v, int64_t min, int64_t max, int64_t *out)
{
    json_kinds kind = json_kind(v);
    int64_t value = 0;
    if (kind == JSON_KIND_INT) {
        value = json_integer_value(v.node);
    } else if (kind == JSON_KIND_REAL) {
        double real = json_real_value(v.node);
        if (floor(real) != real || !(fabs(real) <= EXACT_MAX)) {
            return wrong_type(v, "a whole number");
        }
        value = (int64_t)real;
    } else {
        return wrong_type(v, "a whole number");
    }
    if (value < min || value > max) {
        if (max == INT64_MAX) {
            return json_fail(v, ST_CONFIG,
                             "%lld is out of range, allowed is %lld or more",
                             (long long)value, (long long)min);
        }
        return json_fail(v, ST_CONFIG,
                         "%lld is out of range, allowed is %lld to %lld",
                         (long long)value, (long long)min, (long long)max);
    }
    *out = value;
    return ST_OK;
}

status json_as_int(json_val v, int min, int max, int *out)
{
    int64_t value = 0;
    TRY(json_as_i64(v, min, max, &value));
    *out = (int)value;
    return ST_OK;
}

static status check_f64(json_val v, double value, double min, double max)
{
    if (value >= min && value <= max) {
        return ST_OK;
    }
    return json_fail(v, ST_CONFIG,
                     "%.15g is out of range, allowed is %.15g to %.15g", value,
                     min, max);
}

status json_as_f64(json_val v, double min, double max, double *out)
{
    if (!json_is_number((const json_t *)v.node)) {
        return wrong_type(v, "a number");
    }
    double value = json_number_value(v.node);
    TRY(check_f64(v, value, min, max));
    *out = value;
    return ST_OK;
}

status json_as_str(json_val v, const char **out)
{
    if (json_kind(v) != JSON_KIND_STR) {
        return wrong_type(v, "a string");
    }
    *out = json_string_value(v.node);
    return ST_OK;
}

status json_as_bool(json_val v, bool *out)
{
    if (json_kind(v) != JSON_KIND_BOOL) {
        return wrong_type(v, "true or false");
    }
    *out = json_is_true((const json_t *)v.node);
    return ST_OK;
}

status json_as_obj(json_val v)
{
    return json_kind(v) == JSON_KIND_OBJ ? ST_OK : wrong_type(v, "an object");
}

status json_as_arr(json_val v)
{
    return json_kind(v) == JSON_KIND_ARR ? ST_OK : wrong_type(v, "an array");
}

void json_add_hint(strbuf *b, const char *word, const char *const *list)
{
    const char *near = text_nearest(word, list);
    if (near != NULL) {
        strbuf_printf(b, ", did you mean \"%s\"?", near);
    }
}

status json_as_choice(json_val v, const char *const *choices, int *out)
{
    const char *word = NULL;
    TRY(json_as_str(v, &word));
    for (int i = 0; choices[i] != NULL; i++) {
        if (strcmp(word, choices[i]) == 0) {
            *out = i;
            return ST_OK;
        }
    }
    strbuf b = {0};
    text_add_list(&b, choices);
    json_add_hint(&b, word, choices);
    char text[80];
    status st = json_fail(v, ST_CONFIG, "%s is not known, allowed is one of %s",
                          found(v, text), strbuf_view(&b));
    strbuf_fini(&b);
    return st;
}

/* Text with a unit through one of the parsers of units.h, and numbers as
 * they are. The parser's text gets file and path in front. */
static status as_unit(json_val v, status (*parse)(const char *, double *),
                      const char *wanted, double *out)
{
    if (json_is_number((const json_t *)v.node)) {
        *out = json_number_value(v.node);
        return ST_OK;
    }
    if (json_kind(v) != JSON_KIND_STR) {
        return wrong_type(v, wanted);
    }
    status st = parse(json_string_value(v.node), out);
    return st == ST_OK ? ST_OK : json_fail(v, st, "%s", status_text());
}

status json_as_size(json_val v, int64_t min, int64_t max, int64_t *out)
{
    if (json_kind(v) != JSON_KIND_STR) {
        return json_as_i64(v, min, max, out);
    }
    int64_t value = 0;
    status st = units_parse_size(json_string_value(v.node), &value);
    if (st != ST_OK) {
        return json_fail(v, st, "%s", status_text());
    }
    if (value < min || value > max) {
        return json_fail(v, ST_CONFIG,
                         "\"%s\" is out of range, allowed is %s to %s",
                         json_string_value(v.node), units_bytes_exact(min).s,
                         units_bytes_exact(max).s);
    }
    *out = value;
    return ST_OK;
}

status json_as_rate(json_val v, double min, double max, double *out)
{
    double value = 0;
    TRY(as_unit(v, units_parse_rate, "a rate such as \"10GB/s\"", &value));
    TRY(check_f64(v, value, min, max));
    *out = value;
    return ST_OK;
}

status json_as_seconds(json_val v, double min, double max, double *out)
{
    double value = 0;
    TRY(as_unit(v, units_parse_seconds, "a time such as \"20us\"", &value));
    TRY(check_f64(v, value, min, max));
    *out = value;
    return ST_OK;
}
