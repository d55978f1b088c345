/*
 * Reads a config.json by its family's row of the table in hf.c.
 *
 * Order: model_type picks the row; unknown keys are refused; then each field
 * takes the family's default or the value of its key. Keys that mean the same
 * (aliases) may stand together only if they agree: which of them would win
 * elsewhere depends on the version of the reader.
 */
#include "runtime/gpt/hf.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/json.h"
#include "runtime/base/text.h"

/* Larger sizes than any model has; they keep products within 64 bits. */
enum { WIDTH_MAX = 1 << 20, INNER_MAX = 1 << 22, POSITIONS_MAX = 1 << 24 };

/* Longer than any key of the table, with the object it stands in. */
enum { KEY_SIZE = 64 };

typedef struct reader {
    json_val root;
    const hf_family *fam;
    const hf_key *keys[HF_KEYS_MAX]; /* the family's, then the common ones */
    int nkeys;
    arch a;
} reader;

/* A number that several keys may give; `key` is empty while none has. */
typedef struct number {
    double value;
    char key[KEY_SIZE];
    json_val from; /* of the last that gave it */
} number;

static const char *const attention_names[] = {"global", "local", NULL};

static bool has_kind(const reader *rd, const char *key, json_kinds kind)
{
    json_val v;
    return json_has(rd->root, key) && json_get(rd->root, key, &v) == ST_OK &&
           json_kind(v) == kind;
}

/* The key of this use that the file has, or the one it could have. */
static const char *key_of(const reader *rd, hf_use use)
{
    const char *first = "";
    for (int i = rd->nkeys - 1; i >= 0; i--) {
        if (rd->keys[i]->use == use) {
            first = rd->keys[i]->name;
        }
    }
    for (int i = 0; i < rd->nkeys; i++) {
        if (rd->keys[i]->use == use && json_has(rd->root, rd->keys[i]->name)) {
            return rd->keys[i]->name;
        }
    }
    return first;
}

static bool family_has(const reader *rd, hf_use use)
{
    return key_of(rd, use)[0] != '\0';
}

/* --- values ------------------------------------------------------------ */

/* `key`: how the value, member `inner` of obj, is called in messages. */
static status settle(const reader *rd, number *n, const char *key, json_val obj,
                     const char *inner, double value)
{
    if (n->key[0] != '\0' && n->value != value) {
        return json_fail(rd->root, ST_CONFIG,
                         "%s is %.9g but %s is %.9g and they mean the same; "
                         "remove one of them",
                         n->key, n->value, key, value);
    }
    n->value = value;
    (void)snprintf(n->key, sizeof(n->key), "%s", key);
    return json_get(obj, inner, &n->from);
}

/* Takes the whole number of every key of this use; null gives 0 where the
 * family allows it. Leaves *n alone if there is none. */
static status read_whole(const reader *rd, hf_use use, bool null_ok, int min,
                         int max, number *n)
{
    for (int i = 0; i < rd->nkeys; i++) {
        const char *key = rd->keys[i]->name;
        if (rd->keys[i]->use != use || !json_has(rd->root, key)) {
            continue;
        }
        int value = 0;
        if (!null_ok || !has_kind(rd, key, JSON_KIND_NULL)) {
            TRY(json_get_int(rd->root, key, min, max, &value));
        }
        TRY(settle(rd, n, key, rd->root, key, value));
    }
    return ST_OK;
}

static status read_int(const reader *rd, hf_use use, bool null_ok, int min,
                       int max, int32_t *out)
{
    number n = {.value = *out};
    TRY(read_whole(rd, use, null_ok, min, max, &n));
    *out = (int32_t)n.value;
    return ST_OK;
}

static status read_real(const reader *rd, hf_use use, double min, double max,
                        number *n)
{
    for (int i = 0; i < rd->nkeys; i++) {
        const char *key = rd->keys[i]->name;
        if (rd->keys[i]->use == use && json_has(rd->root, key)) {
            double value = 0;
            TRY(json_get_f64(rd->root, key, min, max, &value));
            TRY(settle(rd, n, key, rd->root, key, value));
        }
    }
    return ST_OK;
}

static status read_float(const reader *rd, hf_use use, double min, double max,
                         float *out)
{
    number n = {.value = *out};
    TRY(read_real(rd, use, min, max, &n));
    *out = (float)n.value;
    return ST_OK;
}

static status read_bool(const reader *rd, hf_use use, bool *out)
{
    const char *key = key_of(rd, use);
    return json_has(rd->root, key) ? json_get_bool(rd->root, key, out) : ST_OK;
}

/* --- keys without a field ---------------------------------------------- */

static status check_fixed(const reader *rd, const hf_key *key)
{
    json_val v;
    TRY(json_get(rd->root, key->name, &v));
    json_kinds kind = json_kind(v);
    if (kind == JSON_KIND_NULL) {
        return ST_OK;
    }
    if (key->use == HF_FALSE &&
        (kind == JSON_KIND_OBJ || kind == JSON_KIND_ARR)) {
        return json_len(v) == 0
                   ? ST_OK
                   : json_fail(v, ST_CONFIG,
                               "is not supported for %s, allowed is null",
                               rd->fam->model_type);
    }
    bool wanted = key->use == HF_TRUE;
    bool value = !wanted;
    TRY(json_as_bool(v, &value));
    if (value == wanted) {
        return ST_OK;
    }
    return json_fail(v, ST_CONFIG, "%s is not supported for %s, allowed is %s",
                     value ? "true" : "false", rd->fam->model_type,
                     wanted ? "true" : "false");
}

/* Appends the rates that are not 0, each by its key. */
static status list_dropout(const reader *rd, strbuf *b)
{
    for (int i = 0; i < rd->nkeys; i++) {
        const char *key = rd->keys[i]->name;
        if (rd->keys[i]->use != HF_DROPOUT) {
            continue;
        }
        double rate = rd->fam->dropout;
        TRY(json_get_f64_opt(rd->root, key, 0, 1, &rate));
        if (rate > 0) {
            strbuf_printf(b, "%s%s %g%s", b->len > 0 ? ", " : "", key, rate,
                          json_has(rd->root, key) ? "" : " (the default)");
        }
    }
    return ST_OK;
}

/* The rates are checked here; who trains asks hf_dropout for them. */
static status check_dropout(const reader *rd)
{
    strbuf b = {0};
    status st = list_dropout(rd, &b);
    strbuf_fini(&b);
    return st;
}

/* A key that nobody here knows may change the mathematics. There are too many
 * known ones for a message to list them. */
static status check_known(const reader *rd)
{
    const char *names[HF_KEYS_MAX + 1];
    for (int i = 0; i < rd->nkeys; i++) {
        names[i] = rd->keys[i]->name;
    }
    names[rd->nkeys] = NULL;
    json_iter it = {0};
    const char *key = NULL;
    json_val value;
    while (json_next(rd->root, &it, &key, &value)) {
        bool known = key[0] == '_'; /* Hugging Face's notes and a person's */
        for (int i = 0; i < rd->nkeys && !known; i++) {
            known = strcmp(key, names[i]) == 0;
        }
        if (!known && text_nearest(key, names) != NULL) {
            return json_fail(value, ST_CONFIG,
                             "unknown key, did you mean \"%s\"?",
                             text_nearest(key, names));
        }
        if (!known) {
            return json_fail(value, ST_CONFIG,
                             "unknown key for %s, it may change the model; "
                             "remove it if it does not, or write _%s",
                             rd->fam->model_type, key);
        }
    }
    return ST_OK;
}

static status check_keys(const reader *rd)
{
    TRY(check_known(rd));
    for (int i = 0; i < rd->nkeys; i++) {
        hf_use use = rd->keys[i]->use;
        if ((use == HF_FALSE || use == HF_TRUE) &&
            json_has(rd->root, rd->keys[i]->name)) {
            TRY(check_fixed(rd, rd->keys[i]));
        }
    }
    return check_dropout(rd);
}

/* --- sizes ------------------------------------------------------------- */

/* The number of heads nearest to h that divides c. */
static int nearest_divisor(int c, int h)
{
    for (int d = 1; d < c; d++) {
        if (h - d >= 1 && c % (h - d) == 0) {
            return h - d;
        }
        if (h + d <= c && c % (h + d) == 0) {
            return h + d;
        }
    }
    return 1;
}

static status read_sizes(reader *rd)
{
    arch *a = &rd->a;
    TRY(read_int(rd, HF_LAYERS, false, 1, ARCH_LAYERS_MAX, &a->L));
    TRY(read_int(rd, HF_WIDTH, false, 1, WIDTH_MAX, &a->C));
    TRY(read_int(rd, HF_HEADS, false, 1, WIDTH_MAX, &a->H));
    TRY(read_int(rd, HF_INNER, true, 1, INNER_MAX, &a->F));
    TRY(read_int(rd, HF_VOCAB, false, 1, ARCH_VOCAB_MAX, &a->V));
    TRY(read_int(rd, HF_POSITIONS, false, 1, POSITIONS_MAX, &a->positions));
    if (a->C % a->H != 0) {
        return json_fail(rd->root, ST_CONFIG,
                         "%s %d does not divide %s %d; the nearest number of "
                         "heads that does is %d",
                         key_of(rd, HF_HEADS), a->H, key_of(rd, HF_WIDTH), a->C,
                         nearest_divisor(a->C, a->H));
    }
    a->D = a->C / a->H;
    if (a->F == 0) {
        a->F = 4 * a->C;
    }
    return ST_OK;
}

static status read_activation(reader *rd)
{
    /* Those of one kind are one function up to rounding. */
    static const char *const names[] = {
        "gelu_new",      "gelu_fast", "gelu_pytorch_tanh", "gelu_python_tanh",
        "gelu_accurate", "gelu",      "gelu_python",       NULL};
    enum { EXACT = 5 }; /* index of the first exact one */
    const char *key = key_of(rd, HF_ACT);
    if (json_has(rd->root, key)) {
        int i = 0;
        TRY(json_get_choice(rd->root, key, names, &i));
        rd->a.act = i >= EXACT ? ACT_GELU_ERF : ACT_GELU_TANH;
    }
    return ST_OK;
}

/* --- attention pattern ------------------------------------------------- */

/* One [[type, ...], count] of attention_types, appended at *n. */
static status read_pattern(json_val item, int32_t window, int64_t *n,
                           int32_t out[ARCH_LAYERS_MAX])
{
    TRY(json_as_arr(item));
    if (json_len(item) != 2) {
        return json_fail(item, ST_CONFIG,
                         "%zu elements found, [[TYPE, ...], COUNT] is needed",
                         json_len(item));
    }
    json_val types = json_at(item, 0);
    int count = 0;
    TRY(json_as_arr(types));
    TRY(json_as_int(json_at(item, 1), 1, ARCH_LAYERS_MAX, &count));
    for (int64_t i = 0; i < count * (int64_t)json_len(types); i++) {
        int local = 0;
        json_val type = json_at(types, (size_t)i % json_len(types));
        TRY(json_as_choice(type, attention_names, &local));
        if (*n < ARCH_LAYERS_MAX) {
            out[*n] = local ? window : 0;
        }
        (*n)++;
    }
    return ST_OK;
}

/* attention_layers repeats attention_types; it decides nothing. */
static status check_layers(const reader *rd, const char *types_key)
{
    const char *key = key_of(rd, HF_ATTENTION_LAYERS);
    if (!json_has(rd->root, key) || has_kind(rd, key, JSON_KIND_NULL)) {
        return ST_OK;
    }
    json_val list;
    TRY(json_get_arr(rd->root, key, &list));
    if (json_len(list) != (size_t)rd->a.L) {
        return json_fail(list, ST_CONFIG, "has %zu layers, %s is %d",
                         json_len(list), key_of(rd, HF_LAYERS), rd->a.L);
    }
    for (int l = 0; l < rd->a.L; l++) {
        json_val v = json_at(list, (size_t)l);
        int local = 0;
        TRY(json_as_choice(v, attention_names, &local));
        if (local != (rd->a.window[l] > 0)) {
            return json_fail(v, ST_CONFIG,
                             "is %s, but %s makes layer %d %s; correct one of "
                             "the two",
                             attention_names[local], types_key, l,
                             attention_names[!local]);
        }
    }
    return ST_OK;
}

static status read_attention(reader *rd)
{
    if (!family_has(rd, HF_ATTENTION_TYPES)) {
        return ST_OK;
    }
    arch *a = &rd->a;
    int32_t window = rd->fam->window;
    TRY(read_int(rd, HF_WINDOW, false, 1, POSITIONS_MAX, &window));

    const char *key = key_of(rd, HF_ATTENTION_TYPES);
    if (!json_has(rd->root, key) || has_kind(rd, key, JSON_KIND_NULL)) {
        if (a->L != rd->fam->alternating) {
            return json_fail(rd->root, ST_CONFIG,
                             "%s is missing and its default is for %d layers, "
                             "%s is %d; write it, e.g. [[[\"global\"], %d]]",
                             key, rd->fam->alternating, key_of(rd, HF_LAYERS),
                             a->L, a->L);
        }
        for (int l = 0; l < a->L; l++) {
            a->window[l] = l % 2 == 1 ? window : 0;
        }
        return check_layers(rd, key);
    }
    json_val types;
    int64_t n = 0;
    TRY(json_get_arr(rd->root, key, &types));
    for (size_t i = 0; i < json_len(types); i++) {
        TRY(read_pattern(json_at(types, i), window, &n, a->window));
    }
    if (n != a->L) {
        return json_fail(types, ST_CONFIG, "adds up to %lld layers, %s is %d",
                         (long long)n, key_of(rd, HF_LAYERS), a->L);
    }
    return check_layers(rd, key);
}

/* --- rotary positions -------------------------------------------------- */

/* Takes a number of the object v, which is called `outer`. */
static status read_inner(const reader *rd, json_val v, const char *outer,
                         const char *key, double min, double max, number *n)
{
    char name[KEY_SIZE];
    double value = 0;
    if (!json_has(v, key)) {
        return ST_OK;
    }
    TRY(json_get_f64(v, key, min, max, &value));
    (void)snprintf(name, sizeof(name), "%s.%s", outer, key);
    return settle(rd, n, name, v, key, value);
}

/* {"rope_type": "default", "rope_theta": .., "partial_rotary_factor": ..} */
static status read_rope(const reader *rd, const char *key, number *part,
                        number *base)
{
    static const char *const kinds[] = {"default", NULL};
    static const char *const known[] = {"rope_type", "type", "rope_theta",
                                        "partial_rotary_factor", NULL};
    if (has_kind(rd, key, JSON_KIND_NULL)) {
        return ST_OK;
    }
    json_val v;
    int kind = 0;
    TRY(json_get_obj(rd->root, key, &v));
    TRY(json_get_choice_opt(v, "rope_type", kinds, &kind));
    TRY(json_get_choice_opt(v, "type", kinds, &kind));
    TRY(json_done(v, known));
    TRY(read_inner(rd, v, key, "rope_theta", 1, 1e9, base));
    return read_inner(rd, v, key, "partial_rotary_factor", 0, 1, part);
}

/* A key that nothing reads must not say anything else than `n`, which is of
 * use `use`. */
static status check_copy(const reader *rd, hf_use copy, hf_use use,
                         const number *n)
{
    const char *key = key_of(rd, copy);
    double value = 0;
    json_val v;
    if (!json_has(rd->root, key)) {
        return ST_OK;
    }
    TRY(json_get(rd->root, key, &v));
    TRY(json_as_f64(v, -DBL_MAX, DBL_MAX, &value));
    if (value == n->value) {
        return ST_OK;
    }
    const bool given = n->key[0] != '\0';
    return json_fail(v, ST_CONFIG,
                     "is %.9g, but transformers reads %s, which is %.9g%s; "
                     "remove %s, or write the right value as %s",
                     value, given ? n->key : key_of(rd, use), n->value,
                     given ? "" : " by default", key,
                     given ? n->key : key_of(rd, use));
}

/* Both numbers of a family with HF_ROTARY_PART. */
static status read_fractions(const reader *rd, number *part, number *base)
{
    *part = (number){.value = rd->fam->rotary_part};
    *base = (number){.value = rd->fam->base.rotary_base};
    TRY(read_real(rd, HF_ROTARY_PART, 0, 1, part));
    TRY(read_real(rd, HF_ROTARY_BASE, 1, 1e9, base));
    for (int i = 0; i < rd->nkeys; i++) {
        const char *key = rd->keys[i]->name;
        if (rd->keys[i]->use == HF_ROPE && json_has(rd->root, key)) {
            TRY(read_rope(rd, key, part, base));
        }
    }
    TRY(check_copy(rd, HF_ROTARY_PART_COPY, HF_ROTARY_PART, part));
    return check_copy(rd, HF_ROTARY_BASE_COPY, HF_ROTARY_BASE, base);
}

/* Where the file has nothing of it, the family's default is named. */
static status check_rotary(const reader *rd, hf_use use, const number *n)
{
    const arch *a = &rd->a;
    const int dims = a->rotary_dims;
    const bool given = n->key[0] != '\0';
    char by_default[KEY_SIZE + 40] = "";
    if (dims >= 2 && dims % 2 == 0 && dims <= a->D) {
        return ST_OK;
    }
    if (!given) {
        (void)snprintf(by_default, sizeof(by_default), "%s, %g by default, ",
                       key_of(rd, use), n->value);
    }
    return json_fail(given ? n->from : rd->root, ST_CONFIG,
                     "%srotates %d dimensions of each head, allowed is an "
                     "even number from 2 to the head's %d (%s / %s)",
                     by_default, dims, a->D, key_of(rd, HF_WIDTH),
                     key_of(rd, HF_HEADS));
}

static status read_rotary(reader *rd)
{
    arch *a = &rd->a;
    number n = {.value = a->rotary_dims};
    if (a->pos != POS_ROTARY) {
        return ST_OK;
    }
    if (rd->fam->rotary_part > 0) {
        number base;
        TRY(read_fractions(rd, &n, &base));
        a->rotary_dims = (int32_t)(a->D * n.value);
        a->rotary_base = (float)base.value;
        return check_rotary(rd, HF_ROTARY_PART, &n);
    }
    TRY(read_whole(rd, HF_ROTARY_DIM, true, 2, WIDTH_MAX, &n));
    a->rotary_dims = n.value == 0 ? a->D : (int32_t)n.value;
    return check_rotary(rd, HF_ROTARY_DIM, &n);
}

/* --- the whole --------------------------------------------------------- */

static status read_flags(reader *rd)
{
    arch *a = &rd->a;
    TRY(read_bool(rd, HF_TIED, &a->tied));
    bool scaled = rd->fam->scaled;
    TRY(read_bool(rd, HF_SCALED, &scaled));
    a->score_scale = scaled ? (float)(1.0 / sqrt(a->D)) : 1.0F;
    if (family_has(rd, HF_PARALLEL)) {
        bool parallel = a->residual == RES_PARALLEL_TWO;
        TRY(read_bool(rd, HF_PARALLEL, &parallel));
        a->residual = parallel ? RES_PARALLEL_TWO : RES_SEQUENTIAL;
    }
    if (family_has(rd, HF_ATTENTION_BIAS)) {
        TRY(read_bool(rd, HF_ATTENTION_BIAS, &a->bias_qkv));
        a->bias_out = a->bias_qkv;
    }
    return ST_OK;
}

static status read_family(reader *rd)
{
    TRY(json_as_obj(rd->root));
    const char *names[HF_KEYS_MAX];
    int family = 0;
    for (int i = 0; i < hf_families(); i++) {
        names[i] = hf_family_at(i)->model_type;
    }
    names[hf_families()] = NULL;
    TRY(json_get_choice(rd->root, "model_type", names, &family));
    rd->fam = hf_family_at(family);
    rd->a = rd->fam->base;
    rd->a.family = family;
    const hf_key *lists[] = {rd->fam->keys, hf_common_keys()};
    for (int i = 0; i < 2; i++) {
        for (const hf_key *k = lists[i]; k->name != NULL; k++) {
            ASSERT(rd->nkeys < HF_KEYS_MAX);
            rd->keys[rd->nkeys++] = k;
        }
    }
    return ST_OK;
}

static status read_all(reader *rd)
{
    TRY(read_family(rd));
    TRY(check_keys(rd));
    TRY(read_sizes(rd));
    TRY(read_activation(rd));
    TRY(read_float(rd, HF_EPS, 1e-12, 1, &rd->a.norm_eps));
    TRY(read_float(rd, HF_STD, 0, 1, &rd->a.init_std));
    TRY(read_flags(rd));
    TRY(read_attention(rd));
    return read_rotary(rd);
}

static status read_doc(const json_doc *doc, arch *out)
{
    reader rd = {.root = json_root(doc)};
    TRY(read_all(&rd));
    *out = rd.a;
    return ST_OK;
}

status hf_read(const char *path, arch *out)
{
    json_doc *doc = NULL;
    TRY(json_open(path, &doc));
    status st = read_doc(doc, out);
    json_close(doc);
    return st;
}

status hf_read_text(const char *text, const char *name, arch *out)
{
    json_doc *doc = NULL;
    TRY(json_parse(text, strlen(text), name, &doc));
    status st = read_doc(doc, out);
    json_close(doc);
    return st;
}

status hf_rotary(json_val root, double *part, double *base)
{
    reader rd = {.root = root};
    number p, b;
    TRY(read_family(&rd));
    TRY(read_fractions(&rd, &p, &b));
    *part = p.value;
    *base = b.value;
    return ST_OK;
}

status hf_dropout(const char *path, strbuf *out)
{
    json_doc *doc = NULL;
    TRY(json_open(path, &doc));
    reader rd = {.root = json_root(doc)};
    status st = read_family(&rd);
    if (st == ST_OK) {
        st = list_dropout(&rd, out);
    }
    json_close(doc);
    return st;
}
