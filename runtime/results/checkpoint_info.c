/*
 * What a checkpoint says about itself: its attributes, its texts, and which
 * model it holds.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/hash.h"
#include "runtime/base/mem.h"
#include "runtime/base/text.h"
#include "runtime/results/checkpoint.h"
#include "runtime/results/checkpoint_impl.h"
#include "runtime/results/format.h"

static const char format_name[] = "weft-checkpoint";

/* ---- attributes ---------------------------------------------------------- */

/* Whole numbers of ckpt_info, in the order of the file. Those that follow
 * from the arch are in the same row as the others. */
typedef enum number_size { SIZE_I32, SIZE_I64, SIZE_BOOL } number_size;
typedef struct number_row {
    const char *name;
    size_t offset;
    number_size size;
    int64_t min;
} number_row;

#define NUMBER(member, size, min)                                              \
    {                                                                          \
#member, offsetof(ckpt_info, member), (size), (min)                    \
    }
static const number_row numbers[] = {
    NUMBER(layers, SIZE_I32, 1),       NUMBER(weights_only, SIZE_BOOL, 0),
    NUMBER(step, SIZE_I64, 0),         NUMBER(adam_step, SIZE_I64, 0),
    NUMBER(seed, SIZE_I64, INT64_MIN), /* its 64 bits, as a signed number */
    NUMBER(data_leaves, SIZE_I32, 0),  NUMBER(tensor_leaves, SIZE_I32, 0),
    NUMBER(batch, SIZE_I64, 0),        NUMBER(seq, SIZE_I64, 0),
    NUMBER(tokens, SIZE_I64, 0),
};
enum { NUMBERS = sizeof(numbers) / sizeof(numbers[0]) };

static int64_t number_get(const ckpt_info *info, const number_row *row)
{
    const char *at = (const char *)info + row->offset;
    int64_t wide = 0;
    int32_t narrow = 0;

    switch (row->size) {
    case SIZE_BOOL:
        return *(const bool *)at ? 1 : 0;
    case SIZE_I32:
        memcpy(&narrow, at, sizeof(narrow));
        return narrow;
    case SIZE_I64:
        break;
    }
    memcpy(&wide, at, sizeof(wide));
    return wide;
}

static void number_set(ckpt_info *info, const number_row *row, int64_t value)
{
    char *at = (char *)info + row->offset;
    const int32_t narrow = (int32_t)value;

    switch (row->size) {
    case SIZE_BOOL:
        *(bool *)at = value != 0;
        break;
    case SIZE_I32:
        memcpy(at, &narrow, sizeof(narrow));
        break;
    case SIZE_I64:
        memcpy(at, &value, sizeof(value));
        break;
    }
}

static status hash_write(h5_file *f, const char *name, uint64_t hash)
{
    char text[HASH_TEXT_BYTES];

    hash_text(hash, text);
    return h5_attr_set_text(f, "/", name, text);
}

static status text_write(h5_file *f, const char *path, const char *text)
{
    return text != NULL ? h5_text_write(f, path, text) : ST_OK;
}

status ckpt_info_write(h5_file *f, const arch *a, const ckpt_info *info)
{
    ckpt_info said = *info;

    said.layers = a->L;
    TRY(format_write(f, format_name));
    TRY(h5_attr_set_text(f, "/", "model", a->name));
    TRY(hash_write(f, "arch_hash", arch_hash(a)));
    for (int i = 0; i < NUMBERS; i++) {
        TRY(h5_attr_set_i64(f, "/", numbers[i].name,
                            number_get(&said, &numbers[i])));
    }
    TRY(h5_attr_set_text(f, "/", "sums", info->exact_sums ? "exact" : "fast"));
    TRY(hash_write(f, "data_hash", info->data_hash));
    TRY(h5_attr_set_text(f, "/", "data_path",
                         info->data_path != NULL ? info->data_path : ""));
    TRY(text_write(f, "/config", info->config));
    return text_write(f, "/run_config", info->run_config);
}

static status hash_read(const h5_file *f, const char *name, uint64_t *out)
{
    char *text = NULL;

    TRY(h5_attr_get_text(f, "/", name, NULL, &text));
    status st = hash_parse(text, out);
    if (st != ST_OK) {
        st = FAIL(ST_BADFILE, "%s: %s is \"%.*s\", expected 16 hex digits",
                  h5_path(f), name, text_fit(text, 40), text);
    }
    mem_free(text);
    return st;
}

static status numbers_read(const h5_file *f, ckpt_info *info)
{
    for (int i = 0; i < NUMBERS; i++) {
        const number_row *row = &numbers[i];
        const int64_t max = row->size == SIZE_I32    ? INT32_MAX
                            : row->size == SIZE_BOOL ? 1
                                                     : INT64_MAX;
        int64_t value = 0;
        TRY(h5_attr_need_i64(f, "/", row->name, &value));
        REQUIRE(value >= row->min && value <= max, ST_BADFILE,
                "%s: %s is %lld, allowed is %lld to %lld", h5_path(f),
                row->name, (long long)value, (long long)row->min,
                (long long)max);
        number_set(info, row, value);
    }
    return ST_OK;
}

static status sums_read(const h5_file *f, bool *exact)
{
    char *text = NULL;
    status st = ST_OK;

    TRY(h5_attr_get_text(f, "/", "sums", NULL, &text));
    *exact = strcmp(text, "exact") == 0;
    if (!*exact && strcmp(text, "fast") != 0) {
        st = FAIL(ST_BADFILE, "%s: sums is \"%.*s\", allowed is exact, fast",
                  h5_path(f), text_fit(text, 40), text);
    }
    mem_free(text);
    return st;
}

static status text_read(const h5_file *f, const char *path, char **out)
{
    return h5_has(f, path) ? h5_text_read(f, path, out) : mem_strdup("", out);
}

static status software_read(const h5_file *f, char **out)
{
    char *name = NULL, *version = NULL;
    strbuf b = {0};
    status st = ST_OK;

    TRY_GOTO(h5_attr_get_text(f, "/", "software", "", &name), done);
    TRY_GOTO(h5_attr_get_text(f, "/", "software_version", "", &version), done);
    strbuf_printf(&b, "%s %s", name, version);
    st = strbuf_take(&b, out);
done:
    mem_free(name);
    mem_free(version);
    return st;
}

status ckpt_info_read(const h5_file *f, ckpt_info *out)
{
    ckpt_info info = {0};
    status st = ST_OK;

    TRY(format_check(f, "/", format_name));
    TRY_GOTO(numbers_read(f, &info), fail);
    TRY_GOTO(sums_read(f, &info.exact_sums), fail);
    TRY_GOTO(hash_read(f, "arch_hash", &info.arch_hash), fail);
    TRY_GOTO(hash_read(f, "data_hash", &info.data_hash), fail);
    TRY_GOTO(h5_attr_get_text(f, "/", "model", NULL, &info.model), fail);
    TRY_GOTO(h5_attr_get_text(f, "/", "data_path", "", &info.data_path), fail);
    TRY_GOTO(software_read(f, &info.software), fail);
    TRY_GOTO(text_read(f, "/config", &info.config), fail);
    TRY_GOTO(text_read(f, "/run_config", &info.run_config), fail);
    *out = info;
    return ST_OK;
fail:
    ckpt_info_fini(&info);
    return st;
}

void ckpt_info_fini(ckpt_info *info)
{
    mem_free(info->model);
    mem_free(info->data_path);
    mem_free(info->config);
    mem_free(info->run_config);
    mem_free(info->software);
    *info = (ckpt_info){0};
}

status ckpt_peek(const char *path, ckpt_info *info)
{
    h5_file *f = NULL;

    TRY(h5_open(path, &f));
    const status st = ckpt_info_read(f, info);
    const status closed = h5_close(&f);
    return st != ST_OK ? st : closed;
}

/* ---- which model --------------------------------------------------------- */

static status arch_of(const char *path, const ckpt_info *info, arch *out)
{
    arch a;
    strbuf label = {0};

    REQUIRE(info->config[0] != '\0', ST_BADFILE,
            "%s: has no /config; name the model it was made with", path);
    strbuf_printf(&label, "%s: /config", path);
    status st = strbuf_check(&label);
    if (st == ST_OK) {
        st = arch_open_text(info->config, strbuf_view(&label), &a);
    }
    strbuf_fini(&label);
    TRY(st);
    TRY(arch_cut(&a, info->layers));
    text_copy(a.name, sizeof(a.name), info->model);
    *out = a;
    return ST_OK;
}

status ckpt_arch(const char *path, arch *out)
{
    ckpt_info info = {0};
    h5_file *f = NULL;

    TRY(h5_open(path, &f));
    status st = ckpt_info_read(f, &info);
    if (st == ST_OK) {
        st = arch_of(path, &info, out);
    }
    ckpt_info_fini(&info);
    const status closed = h5_close(&f);
    return st != ST_OK ? st : closed;
}

static void add_difference(strbuf *b, const char *what, double file,
                           double wanted)
{
    if (file != wanted) {
        strbuf_printf(b, "%s%s %.9g (wanted %.9g)", b->len > 0 ? ", " : "",
                      what, file, wanted);
    }
}

/* The same of values that have names. */
static void add_named(strbuf *b, const char *what, const char *const *names,
                      int file, int wanted)
{
    if (file != wanted) {
        strbuf_printf(b, "%s%s %s (wanted %s)", b->len > 0 ? ", " : "", what,
                      names[file], names[wanted]);
    }
}

static void add_differences(strbuf *b, const arch *file, const arch *a)
{
    static const char *const no_yes[] = {"no", "yes"};
    static const char *const pairings[] = {
        [PAIR_NEIGHBOURS] = "neighbours", [PAIR_HALVES] = "halves"};
    static const char *const residuals[] = {
        [RES_SEQUENTIAL] = "sequential",
        [RES_PARALLEL_ONE] = "parallel with one norm",
        [RES_PARALLEL_TWO] = "parallel with two norms"};
    static const char *const acts[] = {
        [ACT_GELU_TANH] = "tanh GELU", [ACT_GELU_ERF] = "exact GELU"};
    int layer = 0;

    add_difference(b, "layers", file->L, a->L);
    add_difference(b, "width", file->C, a->C);
    add_difference(b, "heads", file->H, a->H);
    add_difference(b, "inner width", file->F, a->F);
    add_difference(b, "vocabulary", file->V, a->V);
    add_difference(b, "positions", file->positions, a->positions);
    add_named(b, "rotary positions", no_yes, file->pos == POS_ROTARY,
              a->pos == POS_ROTARY);
    add_difference(b, "rotary dimensions", file->rotary_dims, a->rotary_dims);
    add_named(b, "rotary pairing", pairings, file->rotary_pairing,
              a->rotary_pairing);
    add_difference(b, "rotary base", file->rotary_base, a->rotary_base);
    add_named(b, "residual kind", residuals, file->residual, a->residual);
    add_difference(b, "score scale", file->score_scale, a->score_scale);
    add_named(b, "qkv bias", no_yes, file->bias_qkv, a->bias_qkv);
    add_named(b, "output bias", no_yes, file->bias_out, a->bias_out);
    add_named(b, "mlp bias", no_yes, file->bias_mlp, a->bias_mlp);
    add_named(b, "activation", acts, file->act, a->act);
    add_named(b, "tied head", no_yes, file->tied, a->tied);
    add_named(b, "head bias", no_yes, file->head_bias, a->head_bias);
    add_difference(b, "norm epsilon", file->norm_eps, a->norm_eps);
    while (layer < a->L - 1 && layer < file->L - 1 &&
           file->window[layer] == a->window[layer]) {
        layer++;
    }
    add_difference(b, "attention window", file->window[layer],
                   a->window[layer]);
}

void ckpt_model_differs(const ckpt_info *info, const arch *a, strbuf *out)
{
    arch file;
    strbuf b = {0};

    if (info->arch_hash == arch_hash(a)) {
        return;
    }
    if (arch_of("", info, &file) == ST_OK) {
        add_differences(&b, &file, a);
    }
    strbuf_printf(out, "holds %s with %d layers, not %s: %s", info->model,
                  (int)info->layers, a->name,
                  b.len > 0 ? strbuf_view(&b) : "it is another model");
    strbuf_fini(&b);
}

status ckpt_check_model(const h5_file *f, const ckpt_info *info, const arch *a)
{
    strbuf b = {0};

    ckpt_model_differs(info, a, &b);
    if (b.len == 0) {
        return strbuf_check(&b);
    }
    const status st = FAIL(ST_CONFIG,
                           "%s: %s; name the model it was made with, and its "
                           "--layers and --vocab",
                           h5_path(f), strbuf_view(&b));
    strbuf_fini(&b);
    return st;
}
