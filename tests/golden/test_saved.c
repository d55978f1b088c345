/*
 * What `weft convert --to hf` writes against what transformers itself saves
 * for the same models: every key of config.json has the value that
 * transformers would read, no key is one that it does not know, and names,
 * types and shapes of the tensors are the same. The files in saved/ are made
 * by make_saved.py; this test needs no Python. Run from the top of the
 * repository.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/base/json.h"
#include "runtime/base/mem.h"
#include "runtime/io/safetensors.h"
#include "runtime/results/convert.h"

static char folder[64];

static void check(status st, int line)
{
    if (st != ST_OK) {
        fail_msg("line %d: %s", line, status_text());
    }
}
#define OK(call) check((call), __LINE__)

static const char *path_of(const char *name)
{
    static char path[2][128]; /* of the last two calls */
    static int next;
    char *out = path[next++ % 2];

    snprintf(out, sizeof(path[0]), "%s/%s", folder, name);
    return out;
}

static void drop_all(void)
{
    char command[128];

    snprintf(command, sizeof(command), "rm -rf '%s'/*", folder);
    assert_int_equal(system(command), 0);
}

/* --- values --------------------------------------------------------------- */

static double real_of(json_val v)
{
    double x = 0;
    OK(json_as_f64(v, -1e300, 1e300, &x));
    return x;
}

static const char *text_of(json_val v)
{
    const char *s = NULL;
    OK(json_as_str(v, &s));
    return s;
}

static bool flag_of(json_val v)
{
    bool b = false;
    OK(json_as_bool(v, &b));
    return b;
}

static bool is_number(json_val v)
{
    return json_kind(v) == JSON_KIND_INT || json_kind(v) == JSON_KIND_REAL;
}

/* 10000 and 1e4 are the same. Objects are compared by their caller. */
static bool same_value(json_val a, json_val b)
{
    if (is_number(a) && is_number(b)) {
        return real_of(a) == real_of(b);
    }
    if (json_kind(a) != json_kind(b)) {
        return false;
    }
    switch (json_kind(a)) {
    case JSON_KIND_BOOL:
        return flag_of(a) == flag_of(b);
    case JSON_KIND_STR:
        return strcmp(text_of(a), text_of(b)) == 0;
    case JSON_KIND_ARR:
        for (size_t i = 0; i < json_len(a) && i < json_len(b); i++) {
            if (!same_value(json_at(a, i), json_at(b, i))) {
                return false;
            }
        }
        return json_len(a) == json_len(b);
    default:
        return json_kind(a) == JSON_KIND_NULL;
    }
}

static json_val member(json_val obj, const char *key)
{
    json_val v = {0};
    if (json_has(obj, key)) {
        OK(json_get(obj, key, &v));
    }
    return v;
}

/* --- config.json ---------------------------------------------------------- */

/* Keys that we write under the name that version 4 has, too: version 5 reads
 * both, and saves the other. `part`: a member of the key's object. */
static const struct {
    const char *saved, *part, *ours;
} aliases[] = {
    {"dtype", NULL, "torch_dtype"},
    {"rope_parameters", "rope_theta", "rotary_emb_base"},
    {"rope_parameters", "partial_rotary_factor", "rotary_pct"},
};
enum { ALIASES = sizeof(aliases) / sizeof(aliases[0]) };

/* The inner width is written out where transformers has null for 4 x width. */
static bool is_usual_inner(const char *key, json_val saved, json_val config)
{
    return (strcmp(key, "n_inner") == 0 ||
            strcmp(key, "intermediate_size") == 0) &&
           json_kind(saved) == JSON_KIND_NULL && is_number(member(config, key));
}

static double usual_inner(json_val config)
{
    const char *width = json_has(config, "n_embd") ? "n_embd" : "hidden_size";
    return 4 * real_of(member(config, width));
}

/* What transformers reads for a key is `want`. */
static void expect(json_val config, const char *key, json_val fallback,
                   json_val want)
{
    bool ours = json_has(config, key);
    json_val have = ours ? member(config, key) : fallback;
    if (is_usual_inner(key, want, config)) {
        assert_true(real_of(have) == usual_inner(config));
    } else if (!same_value(have, want)) {
        fail_msg("%s: transformers would read another value than it saved, "
                 "from %s",
                 key, ours ? "our file" : "its default");
    }
}

static void expect_aliased(json_val config, const char *key, json_val defaults,
                           json_val want)
{
    for (int i = 0; i < ALIASES; i++) {
        if (strcmp(aliases[i].saved, key) == 0) {
            json_val fallback = member(defaults, key);
            const char *part = aliases[i].part;
            expect(config, aliases[i].ours,
                   part != NULL ? member(fallback, part) : fallback,
                   part != NULL ? member(want, part) : want);
        }
    }
}

static bool has_alias(const char *key, bool is_ours)
{
    for (int i = 0; i < ALIASES; i++) {
        const char *name = is_ours ? aliases[i].ours : aliases[i].saved;
        if (strcmp(name, key) == 0) {
            return true;
        }
    }
    return false;
}

/* [[["global", "local"], 1]] and [[["global"], 1], [["local"], 1]] are the
 * same; laid out they are the list of layers. */
static void expect_pattern(json_val types, json_val layers)
{
    size_t l = 0;
    for (size_t i = 0; i < json_len(types); i++) {
        json_val kinds = json_at(json_at(types, i), 0);
        double times = real_of(json_at(json_at(types, i), 1));
        for (size_t k = 0; k < (size_t)times * json_len(kinds); k++) {
            assert_true(l < json_len(layers));
            assert_string_equal(text_of(json_at(kinds, k % json_len(kinds))),
                                text_of(json_at(layers, l++)));
        }
    }
    assert_int_equal(l, json_len(layers));
}

static void check_config(json_val saved, json_val defaults)
{
    json_doc *doc = NULL;
    json_iter it = {0};
    const char *key;
    json_val v;
    OK(json_open(path_of("hf/config.json"), &doc));
    json_val config = json_root(doc);
    int n = 0;
    while (json_next(saved, &it, &key, &v)) {
        if (has_alias(key, false)) {
            expect_aliased(config, key, defaults, v);
        } else if (strcmp(key, "attention_types") == 0) {
            expect_pattern(member(config, key),
                           member(saved, "attention_layers"));
        } else {
            expect(config, key, member(defaults, key), v);
        }
        n++;
    }
    assert_true(n > 15);
    it = (json_iter){0};
    while (json_next(config, &it, &key, &v)) {
        if (!json_has(saved, key) && !has_alias(key, true)) {
            fail_msg("%s: a key that transformers does not save", key);
        }
    }
    json_close(doc);
}

/* --- tensors -------------------------------------------------------------- */

/* Version 5 saves the head of this family as lm_head and reads the name that
 * version 4 has as well, which is ours. */
static const char *our_name(const char *family, const char *name)
{
    bool is_head =
        strcmp(family, "gpt_neox") == 0 && strcmp(name, "lm_head.weight") == 0;
    return is_head ? "embed_out.weight" : name;
}

static void check_tensors(const char *family, json_val saved)
{
    safetensors *s = NULL;
    json_iter it = {0};
    const char *name;
    json_val v;
    OK(safetensors_open(path_of("hf"), &s));
    assert_int_equal(safetensors_count(s), json_len(saved));
    while (json_next(saved, &it, &name, &v)) {
        const safetensors_info *t = safetensors_find(s, our_name(family, name));
        if (t == NULL) {
            fail_msg("%s is missing", name);
            break;
        }
        json_val shape = json_at(v, 1);
        assert_string_equal(text_of(json_at(v, 0)), "F32");
        assert_int_equal(t->dtype, SAFETENSORS_F32);
        assert_int_equal(t->n_dims, json_len(shape));
        for (int d = 0; d < t->n_dims; d++) {
            assert_true((double)t->dim[d] ==
                        real_of(json_at(shape, (size_t)d)));
        }
    }
    safetensors_close(s);
}

/* --- all ------------------------------------------------------------------ */

static void check_family(const char *family, int cases)
{
    char path[128];
    json_doc *doc = NULL;
    json_iter it = {0};
    const char *name;
    json_val all, defaults, saved;
    snprintf(path, sizeof(path), "tests/golden/saved/%s.json", family);
    OK(json_open(path, &doc));
    OK(json_get_obj(json_root(doc), "cases", &all));
    OK(json_get_obj(json_root(doc), "defaults", &defaults));
    assert_int_equal(json_len(all), cases);
    while (json_next(all, &it, &name, &saved)) {
        print_message("%s\n", name);
        snprintf(path, sizeof(path), "tests/golden/%s", name);
        OK(convert_from_hf(path, path_of("a.h5"), NULL));
        OK(convert_to_hf(path_of("a.h5"), path_of("hf"), 1 << 30, NULL));
        check_config(member(saved, "config"), defaults);
        check_tensors(family, member(saved, "tensors"));
        drop_all();
    }
    json_close(doc);
}

static void test_gpt2(void **state)
{
    (void)state;
    check_family("gpt2", 2);
}

static void test_gpt_neo(void **state)
{
    (void)state;
    check_family("gpt_neo", 3);
}

static void test_gptj(void **state)
{
    (void)state;
    check_family("gptj", 3);
}

static void test_gpt_neox(void **state)
{
    (void)state;
    check_family("gpt_neox", 2);
}

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/weft-saved-XXXXXX");
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int drop_folder(void **state)
{
    (void)state;
    drop_all();
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gpt2),
        cmocka_unit_test(test_gpt_neo),
        cmocka_unit_test(test_gptj),
        cmocka_unit_test(test_gpt_neox),
    };
    return cmocka_run_group_tests(tests, make_folder, drop_folder) != 0;
}
