/*
 * tokenizer.json of Hugging Face: reading what a byte-level BPE is made of,
 * refusing by name what would make other ids. Truncation, padding and tokens
 * that a post-processor adds are not ours to apply: they act on model inputs,
 * and a token file has none; but who has them in a file hears of it. unk_token
 * stands for bytes that have no token; a file where one has none is refused.
 */
#include <float.h>
#include <string.h>

#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/base/text.h"
#include "runtime/text/spec_impl.h"

/* ---- reading ------------------------------------------------------------- */

status spec_read_vocab(json_val vocab, spec *out)
{
    json_iter it = {0};
    const char *name = NULL;
    json_val value;
    int64_t id = 0;
    bool is_new;

    TRY(json_as_obj(vocab));
    while (json_next(vocab, &it, &name, &value)) {
        TRY(json_as_i64(value, 0, SPEC_VOCAB_MAX - 1, &id));
        TRY(spec_add_name(out, name, (int64_t)strlen(name), (int32_t)id,
                          &is_new));
    }
    return ST_OK;
}

/* A setting must be absent or what makes no difference: null, false, "", 0. */
static status refuse_setting(json_val obj, const char *key)
{
    json_val v;
    bool on = true;
    const char *text = "x";

    if (!json_has(obj, key)) {
        return ST_OK;
    }
    TRY(json_get(obj, key, &v));
    if (json_kind(v) == JSON_KIND_BOOL) {
        TRY(json_as_bool(v, &on));
    } else if (json_kind(v) == JSON_KIND_STR) {
        TRY(json_as_str(v, &text));
        on = text[0] != '\0';
    } else if (json_kind(v) == JSON_KIND_INT ||
               json_kind(v) == JSON_KIND_REAL) {
        double number = 1;
        TRY(json_as_f64(v, -DBL_MAX, DBL_MAX, &number));
        on = number != 0;
    } else {
        on = json_kind(v) != JSON_KIND_NULL;
    }
    if (on) {
        return json_fail(v, ST_CONFIG,
                         "is set, which is not supported; it must be absent, "
                         "null or false");
    }
    return ST_OK;
}

/* "a b" or ["a", "b"]. */
static status read_merge(json_val v, spec *s)
{
    const char *left = NULL, *right = NULL, *missing = NULL;
    int64_t nleft, nright;

    if (json_kind(v) == JSON_KIND_STR) {
        TRY(json_as_str(v, &left));
        right = strchr(left, ' ');
        if (right == NULL || strchr(right + 1, ' ') != NULL) {
            return json_fail(v, ST_CONFIG,
                             "\"%.*s\" is no merge, which is two token "
                             "strings with a space between them",
                             text_fit(left, 60), left);
        }
        nleft = right - left;
        right++;
    } else {
        TRY(json_as_arr(v));
        if (json_len(v) != 2) {
            return json_fail(v, ST_CONFIG,
                             "has %zu token strings, a merge has 2",
                             json_len(v));
        }
        TRY(json_as_str(json_at(v, 0), &left));
        TRY(json_as_str(json_at(v, 1), &right));
        nleft = (int64_t)strlen(left);
    }
    nright = (int64_t)strlen(right);
    TRY(spec_join(s, left, nleft, right, nright, &missing));
    return missing == NULL
               ? ST_OK
               : json_fail(v, ST_CONFIG,
                           "%s not in model.vocab; the file is damaged",
                           missing);
}

static status read_model(json_val root, spec *s)
{
    static const char *const types[] = {"BPE", NULL};
    static const char *const unsupported[] = {
        "dropout",
        "continuing_subword_prefix",
        "end_of_word_suffix",
        "byte_fallback",
        "ignore_merges",
    };
    json_val model, vocab, merges;
    int type = 0;

    TRY(json_get_obj(root, "model", &model));
    if (json_has(model, "type")) { /* old files do not say */
        TRY(json_get_choice(model, "type", types, &type));
    }
    for (int i = 0; i < 5; i++) {
        TRY(refuse_setting(model, unsupported[i]));
    }
    TRY(json_get_obj(model, "vocab", &vocab));
    TRY(spec_read_vocab(vocab, s));
    TRY(json_get_arr(model, "merges", &merges));
    for (size_t i = 0; i < json_len(merges); i++) {
        TRY(read_merge(json_at(merges, i), s));
    }
    return ST_OK;
}

/* A Sequence of one or none means that one or null, also within another:
 * *v becomes it, {0} for none. `list` is the key of its parts. */
static status open_sequence(json_val *v, const char *list)
{
    json_val parts;
    const char *type = NULL;

    while (json_kind(*v) == JSON_KIND_OBJ && json_has(*v, "type")) {
        TRY(json_get_str(*v, "type", &type));
        if (strcmp(type, "Sequence") != 0) {
            break;
        }
        TRY(json_get_arr(*v, list, &parts));
        if (json_len(parts) > 1) {
            return json_fail(parts, ST_CONFIG,
                             "has %zu parts, supported is a Sequence of one",
                             json_len(parts));
        }
        *v = json_len(parts) == 1 ? json_at(parts, 0) : (json_val){0};
    }
    return ST_OK;
}

static status read_split(json_val root)
{
    static const char *const types[] = {"ByteLevel", NULL};
    json_val split;
    int type = 0;
    bool regex = true;

    TRY(json_get_obj(root, "pre_tokenizer", &split));
    TRY(open_sequence(&split, "pretokenizers"));
    if (json_kind(split) == JSON_KIND_NONE) {
        return json_fail(root, ST_CONFIG,
                         "pre_tokenizer is an empty Sequence; only ByteLevel "
                         "is supported");
    }
    TRY(json_as_obj(split));
    TRY(json_get_choice(split, "type", types, &type));
    TRY(refuse_setting(split, "add_prefix_space"));
    if (json_has(split, "use_regex")) {
        TRY(json_get_bool(split, "use_regex", &regex));
    }
    if (!regex) {
        return json_fail(split, ST_CONFIG,
                         "use_regex is false; only the split of GPT-2 is "
                         "supported");
    }
    return ST_OK;
}

static status read_normalizer(json_val root, spec *s)
{
    static const char *const types[] = {"NFC", NULL};
    json_val v;
    int type = 0;

    if (!json_has(root, "normalizer")) {
        return ST_OK;
    }
    TRY(json_get(root, "normalizer", &v));
    TRY(open_sequence(&v, "normalizers"));
    if (json_kind(v) == JSON_KIND_NULL || json_kind(v) == JSON_KIND_NONE) {
        return ST_OK;
    }
    TRY(json_as_obj(v));
    TRY(json_get_choice(v, "type", types, &type));
    s->nfc = true;
    return ST_OK;
}

static status read_added(json_val v, spec *s)
{
    static const char *const flags[] = {"single_word", "lstrip", "rstrip"};
    const char *text = NULL;
    int64_t id = 0;
    bool special = false, normalized = false;
    bool is_new;

    TRY(json_as_obj(v));
    TRY(json_get_str(v, "content", &text));
    TRY(json_get_i64(v, "id", 0, SPEC_VOCAB_MAX - 1, &id));
    if (text[0] == '\0') {
        return json_fail(v, ST_CONFIG, "content is empty");
    }
    for (int i = 0; i < 3; i++) {
        TRY(refuse_setting(v, flags[i]));
    }
    if (json_has(v, "special")) {
        TRY(json_get_bool(v, "special", &special));
    }
    normalized = !special;
    if (json_has(v, "normalized")) {
        TRY(json_get_bool(v, "normalized", &normalized));
    }
    const int64_t len = (int64_t)strlen(text);
    TRY(spec_add_name(s, text, len, (int32_t)id, &is_new));
    if (!is_new && spec_id(s, text, len) != id) {
        return json_fail(v, ST_CONFIG,
                         "\"%.*s\" has id %lld here and %d elsewhere",
                         text_fit(text, 40), text, (long long)id,
                         (int)spec_id(s, text, len));
    }
    return spec_add_added(s, text, (int32_t)id, special, normalized);
}

static bool is_set(json_val obj, const char *key, json_val *v)
{
    return json_has(obj, key) && json_get(obj, key, v) == ST_OK &&
           json_kind(*v) == JSON_KIND_OBJ;
}

/* True if a text alone gets tokens that are not in it. Processors that are
 * not known may do so. */
static bool adds_tokens(json_val processor)
{
    const char *type = "";
    json_val list, token;

    if (json_get_str(processor, "type", &type) != ST_OK) {
        return true;
    }
    if (strcmp(type, "ByteLevel") == 0) {
        return false;
    }
    bool nested = strcmp(type, "Sequence") == 0;
    if (!nested && strcmp(type, "TemplateProcessing") != 0) {
        return true;
    }
    if (json_get_arr(processor, nested ? "processors" : "single", &list) !=
        ST_OK) {
        return true;
    }
    for (size_t i = 0; i < json_len(list); i++) {
        if (nested ? adds_tokens(json_at(list, i))
                   : is_set(json_at(list, i), "SpecialToken", &token)) {
            return true;
        }
    }
    return false;
}

/* One line for all that Hugging Face would do to the ids of a text. */
static void say_left_out(json_val root)
{
    strbuf b = {0};
    json_val v;

    if (is_set(root, "truncation", &v)) {
        strbuf_add(&b, ", truncation");
    }
    if (is_set(root, "padding", &v)) {
        strbuf_add(&b, ", padding");
    }
    if (is_set(root, "post_processor", &v) && adds_tokens(v)) {
        strbuf_add(&b, ", the tokens that post_processor adds");
    }
    if (b.len > 0) {
        log_info("%s: left out: %s; a token file has whole texts, and --eot "
                 "says what is between them",
                 json_name(root.doc), strbuf_view(&b) + 2);
    }
    strbuf_fini(&b);
}

static status read_root(json_val root, spec *s)
{
    json_val list;

    TRY(json_as_obj(root));
    TRY(read_normalizer(root, s));
    TRY(read_split(root));
    TRY(read_model(root, s));
    if (json_has(root, "added_tokens")) {
        TRY(json_get_arr(root, "added_tokens", &list));
        for (size_t i = 0; i < json_len(list); i++) {
            TRY(read_added(json_at(list, i), s));
        }
    }
    say_left_out(root);
    return ST_OK;
}

status spec_read_json(const char *path, const char *text, size_t len, spec *out)
{
    json_doc *doc = NULL;

    TRY(json_parse_most(text, len, SPEC_FILE_MAX, path, &doc));
    const status st = read_root(json_root(doc), out);
    json_close(doc);
    return st;
}

/* ---- writing ------------------------------------------------------------- */

static void write_added(json_writer *w, const spec_added *a)
{
    json_write_obj_flat(w, NULL);
    json_write_i64(w, "id", a->id);
    json_write_str(w, "content", a->text);
    json_write_bool(w, "single_word", false);
    json_write_bool(w, "lstrip", false);
    json_write_bool(w, "rstrip", false);
    json_write_bool(w, "normalized", a->normalized);
    json_write_bool(w, "special", a->special);
    json_write_end(w);
}

static void write_byte_level(json_writer *w, const char *key)
{
    json_write_obj_flat(w, key);
    json_write_str(w, "type", "ByteLevel");
    json_write_bool(w, "add_prefix_space", false);
    json_write_bool(w, "trim_offsets", true);
    json_write_bool(w, "use_regex", true);
    json_write_end(w);
}

/* Names and their merges; `name_of[id]` is the number of a name. */
static status write_model(json_writer *w, const spec *s, const int32_t *name_of)
{
    strbuf line = {0};

    json_write_obj(w, "model");
    json_write_str(w, "type", "BPE");
    json_write_null(w, "dropout");
    json_write_null(w, "unk_token");
    json_write_null(w, "continuing_subword_prefix");
    json_write_null(w, "end_of_word_suffix");
    json_write_bool(w, "fuse_unk", false);
    json_write_bool(w, "byte_fallback", false);
    json_write_bool(w, "ignore_merges", false);
    json_write_obj(w, "vocab");
    for (int64_t i = 0; i < s->names.n; i++) {
        const word n = wordmap_at(&s->names, (int32_t)i);
        strbuf_cut(&line, 0);
        strbuf_add_bytes(&line, n.bytes, (size_t)n.len);
        json_write_i64(w, strbuf_view(&line), s->ids[i]);
    }
    json_write_end(w);
    json_write_arr(w, "merges");
    for (int64_t i = 0; i < s->nmerges; i++) {
        const word a = wordmap_at(&s->names, name_of[s->merges[i].left]);
        const word b = wordmap_at(&s->names, name_of[s->merges[i].right]);
        strbuf_cut(&line, 0);
        strbuf_add_bytes(&line, a.bytes, (size_t)a.len);
        strbuf_add(&line, " ");
        strbuf_add_bytes(&line, b.bytes, (size_t)b.len);
        json_write_str(w, NULL, strbuf_view(&line));
    }
    json_write_end(w);
    json_write_end(w);
    const status st = strbuf_check(&line);
    strbuf_fini(&line);
    return st;
}

static status write_root(json_writer *w, const spec *s, const int32_t *name_of)
{
    json_write_obj(w, NULL);
    json_write_str(w, "version", "1.0");
    json_write_null(w, "truncation");
    json_write_null(w, "padding");
    json_write_arr(w, "added_tokens");
    for (int64_t i = 0; i < s->nadded; i++) {
        write_added(w, &s->added[i]);
    }
    json_write_end(w);
    json_write_null(w, "normalizer");
    write_byte_level(w, "pre_tokenizer");
    json_write_null(w, "post_processor");
    write_byte_level(w, "decoder");
    TRY(write_model(w, s, name_of));
    json_write_end(w);
    return ST_OK;
}

/* What could not be read again is not written. */
static status write_text(const char *path, const char *text, size_t len)
{
    REQUIRE(len <= SPEC_FILE_MAX, ST_CONFIG,
            "%s: would have %zu bytes, a tokenizer.json is read up to %d; "
            "train fewer tokens",
            path, len, SPEC_FILE_MAX);
    return text_write_file(path, text, len);
}

status spec_write(const spec *s, const char *path)
{
    json_writer w;
    char *text = NULL;
    int32_t *name_of = NULL;

    ASSERT(!s->nfc);
    TRY(MEM_NEW(&name_of, SPEC_VOCAB_MAX, "spec"));
    for (int64_t i = 0; i < s->names.n; i++) {
        name_of[s->ids[i]] = (int32_t)i;
    }
    json_writer_init(&w);
    status st = write_root(&w, s, name_of);
    if (st == ST_OK) {
        st = json_writer_take(&w, &text);
    }
    json_writer_fini(&w);
    if (st == ST_OK) {
        st = write_text(path, text, strlen(text));
    }
    mem_free(text);
    mem_free(name_of);
    return st;
}
