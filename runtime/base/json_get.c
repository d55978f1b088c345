/*
 * Members of objects and elements of arrays: finding them, and the getters
 * by key, each in front of its json_as_ twin.
 */
#include <jansson.h>
#include <string.h>

#include "runtime/base/json_impl.h"

/* The member, or a value of kind NONE that still knows its place. */
static json_val member(json_val obj, const char *key)
{
    json_val v = {.doc = obj.doc, .parent = obj.node, .key = key};
    v.node = json_object_get(obj.node, key);
    return v;
}

bool json_has(json_val obj, const char *key)
{
    return json_object_get(obj.node, key) != NULL;
}

status json_get(json_val obj, const char *key, json_val *out)
{
    TRY(json_as_obj(obj));
    json_val v = member(obj, key);
    if (v.node == NULL) {
        return json_fail(v, ST_CONFIG, "is missing, it must be given");
    }
    *out = v;
    return ST_OK;
}

/* Like json_get, but *there is false for an absent key or null. */
static status get_opt(json_val obj, const char *key, json_val *out, bool *there)
{
    TRY(json_as_obj(obj));
    *out = member(obj, key);
    *there = json_kind(*out) > JSON_KIND_NULL;
    return ST_OK;
}

/* The getters of one kind differ only in the function that takes the value. */
#define GET(obj, key, take)                                                    \
    do {                                                                       \
        json_val v = {0};                                                      \
        TRY(json_get((obj), (key), &v));                                       \
        return take;                                                           \
    } while (0)
#define GET_OPT(obj, key, take)                                                \
    do {                                                                       \
        json_val v = {0};                                                      \
        bool there = false;                                                    \
        TRY(get_opt((obj), (key), &v, &there));                                \
        return there ? take : ST_OK;                                           \
    } while (0)

status json_get_i64(json_val obj, const char *key, int64_t min, int64_t max,
                    int64_t *out)
{
    GET(obj, key, json_as_i64(v, min, max, out));
}

status json_get_i64_opt(json_val obj, const char *key, int64_t min, int64_t max,
                        int64_t *out)
{
    GET_OPT(obj, key, json_as_i64(v, min, max, out));
}

status json_get_int(json_val obj, const char *key, int min, int max, int *out)
{
    GET(obj, key, json_as_int(v, min, max, out));
}

status json_get_int_opt(json_val obj, const char *key, int min, int max,
                        int *out)
{
    GET_OPT(obj, key, json_as_int(v, min, max, out));
}

status json_get_f64(json_val obj, const char *key, double min, double max,
                    double *out)
{
    GET(obj, key, json_as_f64(v, min, max, out));
}

status json_get_f64_opt(json_val obj, const char *key, double min, double max,
                        double *out)
{
    GET_OPT(obj, key, json_as_f64(v, min, max, out));
}

status json_get_str(json_val obj, const char *key, const char **out)
{
    GET(obj, key, json_as_str(v, out));
}

status json_get_str_opt(json_val obj, const char *key, const char **out)
{
    GET_OPT(obj, key, json_as_str(v, out));
}

status json_get_bool(json_val obj, const char *key, bool *out)
{
    GET(obj, key, json_as_bool(v, out));
}

/* Outputs are set only on success, so the check comes first. */
static status take_obj(json_val v, json_val *out)
{
    TRY(json_as_obj(v));
    *out = v;
    return ST_OK;
}

static status take_arr(json_val v, json_val *out)
{
    TRY(json_as_arr(v));
    *out = v;
    return ST_OK;
}

status json_get_obj(json_val obj, const char *key, json_val *out)
{
    GET(obj, key, take_obj(v, out));
}

status json_get_obj_opt(json_val obj, const char *key, json_val *out)
{
    GET_OPT(obj, key, take_obj(v, out));
}

status json_get_arr(json_val obj, const char *key, json_val *out)
{
    GET(obj, key, take_arr(v, out));
}

status json_get_choice(json_val obj, const char *key,
                       const char *const *choices, int *out)
{
    GET(obj, key, json_as_choice(v, choices, out));
}

status json_get_choice_opt(json_val obj, const char *key,
                           const char *const *choices, int *out)
{
    GET_OPT(obj, key, json_as_choice(v, choices, out));
}

status json_get_size(json_val obj, const char *key, int64_t min, int64_t max,
                     int64_t *out)
{
    GET(obj, key, json_as_size(v, min, max, out));
}

status json_get_rate(json_val obj, const char *key, double min, double max,
                     double *out)
{
    GET(obj, key, json_as_rate(v, min, max, out));
}

status json_get_seconds(json_val obj, const char *key, double min, double max,
                        double *out)
{
    GET(obj, key, json_as_seconds(v, min, max, out));
}

status json_done(json_val obj, const char *const *known)
{
    TRY(json_as_obj(obj));
    json_iter it = {0};
    const char *key = NULL;
    json_val v;
    while (json_next(obj, &it, &key, &v)) {
        if (key[0] == '_' || text_in_list(key, known)) {
            continue;
        }
        strbuf b = {0};
        json_add_hint(&b, key, known);
        if (b.len == 0) {
            strbuf_add(&b, ", known are ");
            text_add_list(&b, known);
        }
        status st = json_fail(v, ST_CONFIG, "unknown key%s", strbuf_view(&b));
        strbuf_fini(&b);
        return st;
    }
    return ST_OK;
}

bool json_next(json_val obj, json_iter *it, const char **key, json_val *value)
{
    if (json_kind(obj) != JSON_KIND_OBJ) {
        return false;
    }
    it->at = it->started ? json_object_iter_next(obj.node, it->at)
                         : json_object_iter(obj.node);
    it->started = true;
    if (it->at == NULL) {
        return false;
    }
    *key = json_object_iter_key(it->at);
    *value = (json_val){.doc = obj.doc,
                        .node = json_object_iter_value(it->at),
                        .parent = obj.node,
                        .key = *key};
    return true;
}

size_t json_len(json_val v)
{
    switch (json_kind(v)) {
    case JSON_KIND_ARR:
        return json_array_size(v.node);
    case JSON_KIND_OBJ:
        return json_object_size(v.node);
    default:
        return 0;
    }
}

json_val json_at(json_val arr, size_t i)
{
    ASSERT(json_kind(arr) == JSON_KIND_ARR && i < json_array_size(arr.node));
    return (json_val){.doc = arr.doc,
                      .node = json_array_get(arr.node, i),
                      .parent = arr.node,
                      .index = i};
}
