/*
 * JSON: a strict reader whose errors a person can act on, and a writer. The
 * only user of jansson.h.
 *
 * Reading. json_open parses a whole file. A json_val is a cursor, passed by
 * value; it knows where it is, so that every error names file, key path, the
 * value found and what is allowed:
 *
 *   plan.json:4: stages[2]: 0 is out of range, allowed is 1 to 48
 *   plan.json:2: micro_batchs: unknown key, did you mean "micro_batch"?
 *   plan.json:7:12: '}' expected near end of file
 *
 * The line is that of the key; of a key that is missing, its object's. Text
 * in memory has no lines.
 *
 * Refused: duplicate keys, nesting deeper than 64, files over 16 MiB (or what
 * the caller allows),
 * integers beyond 64 bits, NUL characters, anything after the value. An
 * integer may be written as 1e6. All errors of content are ST_BADFILE for
 * syntax and ST_CONFIG for types, ranges and keys. The _opt getters leave
 * *out alone when the key is absent or null: set the default before. A getter
 * on a cursor that is no object (or array) fails with that reason.
 *
 * Strings and cursors are lent until json_close. Local, one thread at a time
 * for each document.
 */
#ifndef WEFT_BASE_JSON_H
#define WEFT_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/status.h"
#include "runtime/base/text.h"

enum {
    JSON_DEPTH_MAX = 64,           /* deeper is an attack, not a plan */
    JSON_BYTES_MAX = 16 * 1048576, /* real files have a few kB        */
};

typedef enum json_kinds {
    JSON_KIND_NONE, /* no value: json_val of zeros */
    JSON_KIND_NULL,
    JSON_KIND_BOOL,
    JSON_KIND_INT,
    JSON_KIND_REAL,
    JSON_KIND_STR,
    JSON_KIND_ARR,
    JSON_KIND_OBJ
} json_kinds;

typedef struct json_doc json_doc;

/* A value in a document. Fields are private; a zeroed one is "no value". */
typedef struct json_val {
    const json_doc *doc;
    void *node;
    void *parent;    /* array or object it was taken from */
    const char *key; /* its key there, or NULL            */
    size_t index;    /* its index there                   */
} json_val;

/* Owns: *doc, json_close. Fails: ST_NOINPUT, ST_LOCKED, ST_BADFILE, ST_IO. */
MUST_USE status json_open(const char *path, json_doc **doc);
/* The same for text in memory; `name` stands in errors for the file. The text
 * is copied: not borrowed after the call. */
MUST_USE status json_parse(const char *text, size_t len, const char *name,
                           json_doc **doc);
/* The same for files that are longer than JSON_BYTES_MAX, up to `most` bytes:
 * tokenizers. */
MUST_USE status json_open_most(const char *path, size_t most, json_doc **doc);
MUST_USE status json_parse_most(const char *text, size_t len, size_t most,
                                const char *name, json_doc **doc);
/* NULL is fine. */
void json_close(json_doc *doc);

/* The name the document was opened with. */
const char *json_name(const json_doc *doc);
json_val json_root(const json_doc *doc);
json_kinds json_kind(json_val v);
/* Records "FILE:LINE: PATH: " and your text: for rules beyond types and
 * ranges. Without a path (the whole document): "FILE: " and the text.
 * Returns `code`. */
status json_fail(json_val v, status code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* --- objects ---------------------------------------------------------- */

bool json_has(json_val obj, const char *key);

MUST_USE status json_get_i64(json_val obj, const char *key, int64_t min,
                             int64_t max, int64_t *out);
MUST_USE status json_get_i64_opt(json_val obj, const char *key, int64_t min,
                                 int64_t max, int64_t *out);
/* The same into an int; min and max must fit one. */
MUST_USE status json_get_int(json_val obj, const char *key, int min, int max,
                             int *out);
MUST_USE status json_get_int_opt(json_val obj, const char *key, int min,
                                 int max, int *out);
MUST_USE status json_get_f64(json_val obj, const char *key, double min,
                             double max, double *out);
MUST_USE status json_get_f64_opt(json_val obj, const char *key, double min,
                                 double max, double *out);
MUST_USE status json_get_str(json_val obj, const char *key, const char **out);
MUST_USE status json_get_str_opt(json_val obj, const char *key,
                                 const char **out);
MUST_USE status json_get_bool(json_val obj, const char *key, bool *out);
MUST_USE status json_get_obj(json_val obj, const char *key, json_val *out);
MUST_USE status json_get_obj_opt(json_val obj, const char *key, json_val *out);
MUST_USE status json_get_arr(json_val obj, const char *key, json_val *out);
/* A value of any kind. */
MUST_USE status json_get(json_val obj, const char *key, json_val *out);
/* A string that is one of a NULL-terminated list; *out is its index. */
MUST_USE status json_get_choice(json_val obj, const char *key,
                                const char *const *choices, int *out);
MUST_USE status json_get_choice_opt(json_val obj, const char *key,
                                    const char *const *choices, int *out);
/* A number, or text with a unit as in units.h: bytes, bytes/s, seconds. */
MUST_USE status json_get_size(json_val obj, const char *key, int64_t min,
                              int64_t max, int64_t *out);
MUST_USE status json_get_rate(json_val obj, const char *key, double min,
                              double max, double *out);
MUST_USE status json_get_seconds(json_val obj, const char *key, double min,
                                 double max, double *out);

/* Fails with ST_CONFIG if obj has a key that is not in the NULL-terminated
 * list, naming it and the nearest known one. Keys that start with "_" are
 * comments and always allowed. */
MUST_USE status json_done(json_val obj, const char *const *known);

/* Keys and values in file order: json_iter it = {0}; while (json_next(...)).
 * False at the end, and at once if obj is no object. */
typedef struct json_iter {
    void *at;
    bool started;
} json_iter;
bool json_next(json_val obj, json_iter *it, const char **key, json_val *value);

/* --- arrays and single values ------------------------------------------ */

/* Elements of an array, members of an object, 0 for anything else. */
size_t json_len(json_val v);
/* Element i < json_len(arr). */
json_val json_at(json_val arr, size_t i);

MUST_USE status json_as_i64(json_val v, int64_t min, int64_t max, int64_t *out);
MUST_USE status json_as_int(json_val v, int min, int max, int *out);
MUST_USE status json_as_f64(json_val v, double min, double max, double *out);
MUST_USE status json_as_str(json_val v, const char **out);
MUST_USE status json_as_bool(json_val v, bool *out);
/* Checks only that v is an object / an array. */
MUST_USE status json_as_obj(json_val v);
MUST_USE status json_as_arr(json_val v);
MUST_USE status json_as_choice(json_val v, const char *const *choices,
                               int *out);
MUST_USE status json_as_size(json_val v, int64_t min, int64_t max,
                             int64_t *out);
MUST_USE status json_as_rate(json_val v, double min, double max, double *out);
MUST_USE status json_as_seconds(json_val v, double min, double max,
                                double *out);

/* --- writing ----------------------------------------------------------- */

/*
 * Builds pretty text, two spaces a level. Inside an object every call gives a
 * key, inside an array key is NULL. A flat container and all in it stand on
 * one line. Wrong nesting is our bug (ASSERT); memory errors show up in
 * json_writer_take. Doubles are written with the fewest digits that read back
 * the same; NaN and infinity, which JSON lacks, as null: the key of the first
 * such number is kept.
 */
typedef struct json_writer {
    strbuf out;
    int depth;
    int flat_from;                   /* depth of the outermost flat one, or 0 */
    bool is_obj[JSON_DEPTH_MAX + 1]; /* container kinds, by depth             */
    bool has_items[JSON_DEPTH_MAX + 1];
    char not_finite[32]; /* "" if all numbers were; "[]" in an array       */
} json_writer;

void json_writer_init(json_writer *w);
/* Throws the text away; also fine after json_writer_take. */
void json_writer_fini(json_writer *w);
/* The finished text, newline at the end. Owns: caller, mem_free. */
MUST_USE status json_writer_take(json_writer *w, char **out);

void json_write_obj(json_writer *w, const char *key);
void json_write_obj_flat(json_writer *w, const char *key);
void json_write_arr(json_writer *w, const char *key);
void json_write_arr_flat(json_writer *w, const char *key);
/* Closes the innermost object or array. */
void json_write_end(json_writer *w);
void json_write_str(json_writer *w, const char *key, const char *value);
void json_write_i64(json_writer *w, const char *key, int64_t value);
void json_write_f64(json_writer *w, const char *key, double value);
void json_write_bool(json_writer *w, const char *key, bool value);
void json_write_null(json_writer *w, const char *key);
/* A copy of a value that was read, with everything in it. */
void json_write_val(json_writer *w, const char *key, json_val value);

#endif
