/*
 * Writes a config.json: one for transformers, one with another vocabulary.
 *
 * What a person wrote is kept, key by key: token ids and the like are no
 * business of ours. Replaced is what may no longer hold: the depth of a cut
 * model, the pattern of its layers, types of the weights, the class. What a
 * reader might take from its own defaults is written out.
 */
#include <string.h>

#include "runtime/base/json.h"
#include "runtime/base/mem.h"
#include "runtime/gpt/hf.h"

/* Keys whose old value would be wrong or lead elsewhere. */
static const char *const dropped[] = {
    "architectures",
    "auto_map",
    "dtype",
    "torch_dtype",
    "_name_or_path",
    "transformers_version",
    "tie_word_embeddings",
    "attention_layers",
    "custom_pipelines",
    NULL,
};

static bool is_dropped(const char *key)
{
    for (int i = 0; dropped[i] != NULL; i++) {
        if (strcmp(key, dropped[i]) == 0) {
            return true;
        }
    }
    return false;
}

static hf_use use_of(const hf_family *fam, const char *key)
{
    const hf_key *lists[] = {fam->keys, hf_common_keys()};
    for (int i = 0; i < 2; i++) {
        for (const hf_key *k = lists[i]; k->name != NULL; k++) {
            if (strcmp(k->name, key) == 0) {
                return k->use;
            }
        }
    }
    return HF_IGNORE;
}

/* Key of a use, as the class in transformers calls it. */
static const char *class_key(const hf_family *fam, hf_use use)
{
    for (const hf_key *k = fam->keys; k->name != NULL; k++) {
        if (k->use == use) {
            return k->name;
        }
    }
    return NULL;
}

static const char *kind_of_layer(const arch *a, int l)
{
    return a->window[l] > 0 ? "local" : "global";
}

/* Runs of one kind: [[["global"], 1], [["local"], 2]]; and the same layer by
 * layer, as transformers writes it. */
static void write_pattern(json_writer *w, const arch *a, const char *key)
{
    json_write_arr_flat(w, key);
    for (int l = 0, end = 0; l < a->L; l = end) {
        while (end < a->L && (a->window[end] > 0) == (a->window[l] > 0)) {
            end++;
        }
        json_write_arr(w, NULL);
        json_write_arr(w, NULL);
        json_write_str(w, NULL, kind_of_layer(a, l));
        json_write_end(w);
        json_write_i64(w, NULL, end - l);
        json_write_end(w);
    }
    json_write_end(w);
    json_write_arr_flat(w, "attention_layers");
    for (int l = 0; l < a->L; l++) {
        json_write_str(w, NULL, kind_of_layer(a, l));
    }
    json_write_end(w);
}

/* A key that the descriptor knows better than the file; false if it has
 * nothing to say about it. */
static bool write_known(json_writer *w, const arch *a, const char *key,
                        hf_use use)
{
    switch (use) {
    case HF_LAYERS:
        json_write_i64(w, key, a->L);
        return true;
    case HF_INNER:
        json_write_i64(w, key, a->F);
        return true;
    case HF_ROTARY_DIM:
        json_write_i64(w, key, a->rotary_dims);
        return true;
    case HF_ATTENTION_TYPES:
        write_pattern(w, a, key);
        return true;
    default:
        return false;
    }
}

/* Both numbers of rotary positions under the names that every version reads:
 * transformers 4 does not know rope_parameters. */
static status write_rotary(json_writer *w, const hf_family *fam, json_val root)
{
    const char *key_part = class_key(fam, HF_ROTARY_PART);
    const char *key_base = class_key(fam, HF_ROTARY_BASE);
    double part = 0, base = 0;

    if (key_part == NULL) {
        return ST_OK;
    }
    TRY(hf_rotary(root, &part, &base));
    if (!json_has(root, key_part)) {
        json_write_f64(w, key_part, part);
    }
    if (!json_has(root, key_base)) {
        json_write_f64(w, key_base, base);
    }
    return ST_OK;
}

/* The class's own ids may be of tokens that a small vocabulary has not. */
static void write_ids(json_writer *w, const arch *a, json_val root)
{
    const hf_family *fam = hf_family_at(a->family);
    const struct {
        const char *key;
        int32_t id;
    } ids[] = {{"bos_token_id", fam->bos}, {"eos_token_id", fam->eos}};

    for (int i = 0; i < 2; i++) {
        if (ids[i].id >= a->V && !json_has(root, ids[i].key)) {
            json_write_null(w, ids[i].key);
        }
    }
}

static status write_members(json_writer *w, const arch *a, json_val root)
{
    static const hf_use needed[] = {HF_LAYERS, HF_INNER, HF_ROTARY_DIM,
                                    HF_ATTENTION_TYPES};
    const hf_family *fam = hf_family_at(a->family);
    bool written[HF_ATTENTION_BIAS + 1] = {false};
    json_iter it = {0};
    const char *key = NULL;
    json_val value;

    json_write_arr_flat(w, "architectures");
    json_write_str(w, NULL, fam->class_name);
    json_write_end(w);
    while (json_next(root, &it, &key, &value)) {
        const hf_use use = use_of(fam, key);
        if (is_dropped(key)) {
            continue;
        }
        if (write_known(w, a, key, use)) {
            written[use] = true;
        } else {
            json_write_val(w, key, value);
        }
    }
    for (size_t i = 0; i < sizeof(needed) / sizeof(*needed); i++) {
        key = class_key(fam, needed[i]);
        if (key != NULL && !written[needed[i]]) {
            (void)write_known(w, a, key, needed[i]);
        }
    }
    json_write_bool(w, "tie_word_embeddings", a->tied);
    json_write_str(w, "torch_dtype", "float32");
    write_ids(w, a, root);
    return write_rotary(w, fam, root);
}

status arch_hf_config(const arch *a, const char *config, char **out)
{
    json_doc *doc = NULL;
    json_writer w;

    TRY(json_parse(config, strlen(config), "config.json", &doc));
    json_writer_init(&w);
    json_write_obj(&w, NULL);
    status st = write_members(&w, a, json_root(doc));
    json_write_end(&w);
    if (st == ST_OK) {
        st = json_writer_take(&w, out);
    }
    json_writer_fini(&w);
    json_close(doc);
    return st;
}

/* --- another vocabulary ------------------------------------------------ */

/* Keys whose values are tokens: one, a list, or a list of lists. */
static bool has_tokens(const char *key)
{
    return text_ends(key, "_token_id") || text_ends(key, "suppress_tokens") ||
           strcmp(key, "bad_words_ids") == 0;
}

/* True if it is or has a token from `vocab` on. */
static bool is_outside(json_val v, int64_t vocab)
{
    int64_t id = 0;

    if (json_kind(v) == JSON_KIND_INT) {
        return json_as_i64(v, INT64_MIN, INT64_MAX, &id) == ST_OK &&
               id >= vocab;
    }
    for (size_t i = 0; json_kind(v) == JSON_KIND_ARR && i < json_len(v); i++) {
        if (is_outside(json_at(v, i), vocab)) {
            return true;
        }
    }
    return false;
}

/* Null where nothing is left: without the key its class's default would hold,
 * which is of the whole vocabulary. */
static void write_tokens(json_writer *w, const char *key, json_val v,
                         int64_t vocab)
{
    size_t left = 0;

    if (!is_outside(v, vocab)) {
        json_write_val(w, key, v);
        return;
    }
    for (size_t i = 0; json_kind(v) == JSON_KIND_ARR && i < json_len(v); i++) {
        left += !is_outside(json_at(v, i), vocab);
    }
    if (left == 0) {
        json_write_null(w, key);
        return;
    }
    json_write_arr_flat(w, key);
    for (size_t i = 0; i < json_len(v); i++) {
        if (!is_outside(json_at(v, i), vocab)) {
            json_write_val(w, NULL, json_at(v, i));
        }
    }
    json_write_end(w);
}

status arch_config_with_vocab(const char *config, int64_t vocab, char **out)
{
    static const char key_vocab[] = "vocab_size";
    json_doc *doc = NULL;
    json_iter it = {0};
    json_val value;
    const char *key = NULL;
    json_writer w;

    TRY(json_parse(config, strlen(config), "config.json", &doc));
    json_writer_init(&w);
    json_write_obj(&w, NULL);
    while (json_next(json_root(doc), &it, &key, &value)) {
        if (has_tokens(key)) {
            write_tokens(&w, key, value, vocab);
        } else if (strcmp(key, key_vocab) != 0) {
            json_write_val(&w, key, value);
        }
    }
    json_write_i64(&w, key_vocab, vocab);
    json_write_end(&w);
    const status st = json_writer_take(&w, out);
    json_writer_fini(&w);
    json_close(doc);
    return st;
}
