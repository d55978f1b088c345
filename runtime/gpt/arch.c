/*
 * Finds the config.json that a person means by a word, and answers what the
 * descriptor's fields imply. Reading the file is hf_read.c's.
 */
#include "runtime/gpt/arch.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/hash.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"
#include "runtime/base/shelf.h"
#include "runtime/base/text.h"
#include "runtime/gpt/hf.h"

static const char shelf[] = "models";
static const char models_folder[] = "configs/models";
static const char config_file[] = "config.json";

/* --- names ------------------------------------------------------------- */

/* Models are called as their file, or as the folder of a config.json. The
 * folder's name as written, not the target of links (a download cache links
 * every file to one folder), unless it is written as "." or "..". */
static status name_of(const char *path, char out[ARCH_NAME_MAX])
{
    const char *base = text_path_base(path);
    char *dir = NULL;
    char full[PATH_MAX];
    size_t n = strlen(base);
    if (strcmp(base, config_file) == 0) {
        TRY(text_path_dir(path, &dir));
        base = text_path_base(dir);
        if (strspn(base, ".") == strlen(base) && realpath(dir, full) != NULL) {
            base = text_path_base(full);
        }
        n = strlen(base);
    } else if (text_ends(base, ".json")) {
        n -= strlen(".json");
    }
    if (n >= ARCH_NAME_MAX) {
        n = ARCH_NAME_MAX - 1; /* a label: cut, not refused */
    }
    memcpy(out, base, n);
    out[n] = '\0';
    mem_free(dir);
    return ST_OK;
}

static status fail_empty(const char *folder)
{
    return FAIL(ST_NOINPUT, "%s: this folder has no %s", folder, config_file);
}

/* NAME -> the first configs/models/NAME.json there is. */
static status find_by_name(const char *model, char **out)
{
    char *path = NULL;
    TRY(shelf_find(shelf, model, &path));
    if (path == NULL) {
        return text_is_dir(model) ? fail_empty(model)
                                  : shelf_fail_unknown(shelf, "model", model);
    }
    *out = path;
    return ST_OK;
}

/* What people give for a model although it has weights, too. */
static status refuse_hdf5(const char *path)
{
    static const char magic[8] = "\211HDF\r\n\032\n";
    char head[sizeof(magic)] = {0};
    FILE *f = fopen(path, "rb");
    if (f != NULL) {
        size_t n = fread(head, 1, sizeof(head), f);
        head[0] = n == sizeof(head) ? head[0] : '\0';
        (void)fclose(f);
    }
    REQUIRE(memcmp(head, magic, sizeof(magic)) != 0, ST_BADFILE,
            "%s: is an HDF5 file, a checkpoint perhaps, and no config.json; "
            "name the model (weft show %s), and start from the weights with "
            "--init %s or go on with --resume %s",
            path, path, path, path);
    return ST_OK;
}

status arch_config_path(const char *model, char **out)
{
    REQUIRE(model[0] != '\0', ST_NOINPUT,
            "no model given; give the name of a file in %s or the path of a %s",
            models_folder, config_file);
    bool bare = strchr(model, '/') == NULL && strcmp(model, ".") != 0 &&
                strcmp(model, "..") != 0;
    if (text_is_dir(model)) {
        char *path = NULL;
        TRY(text_path_join(model, config_file, &path));
        if (text_path_exists(path)) {
            *out = path;
            return ST_OK;
        }
        mem_free(path);
        if (!bare) {
            return fail_empty(model);
        }
    } else if (text_path_exists(model)) {
        TRY(refuse_hdf5(model));
        return mem_strdup(model, out);
    }
    if (!bare) {
        return FAIL(ST_NOINPUT,
                    "%s: no such file or folder; give a %s, its folder, or "
                    "the name of a file in %s",
                    model, config_file, models_folder);
    }
    return find_by_name(model, out);
}

status arch_open(const char *model, arch *out)
{
    char *path = NULL;
    arch a;
    TRY(arch_config_path(model, &path));
    status st = ST_OK;
    TRY_GOTO(hf_read(path, &a), done);
    TRY_GOTO(name_of(path, a.name), done);
    *out = a;
done:
    mem_free(path);
    return st;
}

status arch_open_text(const char *text, const char *label, arch *out)
{
    return hf_read_text(text, label, out);
}

status arch_dropout(const char *model, strbuf *out)
{
    char *path = NULL;
    strbuf rates = {0};
    if (!text_path_exists(model)) {
        return ST_OK; /* a name */
    }
    TRY(arch_config_path(model, &path));
    status st = hf_dropout(path, &rates);
    st = st == ST_OK ? strbuf_check(&rates) : st;
    if (st == ST_OK && rates.len > 0) {
        strbuf_printf(out, "%s: %s: ignored, Weft trains without dropout", path,
                      strbuf_view(&rates));
    }
    strbuf_fini(&rates);
    mem_free(path);
    return st;
}

status arch_weights_beside(const char *model, strbuf *out)
{
    static const char *const files[] = {
        "model.safetensors", "model.safetensors.index.json",
        "pytorch_model.bin", "pytorch_model.bin.index.json"};
    char *config = NULL;
    TRY(arch_config_path(model, &config));
    int len = (int)(text_path_base(config) - config);
    size_t start = out->len;
    bool found = false;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]) && !found; i++) {
        strbuf_cut(out, start);
        strbuf_printf(out, "%.*s%s", len, config, files[i]);
        found = text_path_exists(strbuf_view(out) + start);
    }
    if (!found) {
        strbuf_cut(out, start);
    }
    mem_free(config);
    return strbuf_check(out);
}

status arch_config_text(const char *model, char **out)
{
    char *path = NULL;
    TRY(arch_config_path(model, &path));
    status st = text_read_file(path, JSON_BYTES_MAX, out, NULL);
    mem_free(path);
    return st;
}

/* --- what the fields imply --------------------------------------------- */

status arch_cut(arch *a, int layers)
{
    REQUIRE(layers >= 1 && layers <= a->L, ST_CONFIG,
            "%s: cannot keep %d layers, allowed is 1 to %d", a->name, layers,
            a->L);
    for (int l = layers; l < a->L; l++) {
        a->window[l] = 0;
    }
    a->L = layers;
    return ST_OK;
}

status arch_set_vocab(arch *a, int64_t vocab)
{
    REQUIRE(vocab >= 1 && vocab <= ARCH_VOCAB_MAX, ST_CONFIG,
            "%s: cannot have a vocabulary of %lld, allowed is 1 to %d", a->name,
            (long long)vocab, ARCH_VOCAB_MAX);
    a->V = (int32_t)vocab;
    return ST_OK;
}

status arch_fit(arch *a, int64_t layers, int64_t vocab)
{
    TRY(layers > 0 ? arch_cut(a, (int)layers) : ST_OK);
    return vocab > 0 ? arch_set_vocab(a, vocab) : ST_OK;
}

static int64_t float_bits(float x)
{
    uint32_t bits = 0;
    memcpy(&bits, &x, sizeof(bits));
    return bits;
}

/* Names, layouts on disk and initial values are left out: a model that was
 * renamed or converted is still the same. */
uint64_t arch_hash(const arch *a)
{
    const int64_t fields[] = {
        a->L,
        a->C,
        a->H,
        a->D,
        a->F,
        a->V,
        a->positions,
        a->pos,
        a->rotary_dims,
        a->rotary_pairing,
        float_bits(a->rotary_base),
        a->residual,
        float_bits(a->score_scale),
        a->bias_qkv,
        a->bias_out,
        a->bias_mlp,
        a->act,
        a->tied,
        a->head_bias,
        float_bits(a->norm_eps),
    };
    enum { FIELDS = sizeof(fields) / sizeof(fields[0]) };
    int64_t all[FIELDS + ARCH_LAYERS_MAX] = {0};
    memcpy(all, fields, sizeof(fields));
    for (int l = 0; l < a->L; l++) {
        all[FIELDS + l] = a->window[l];
    }
    return hash64(all, sizeof(all));
}

double arch_flops_per_token(const arch *a, int64_t T)
{
    double C = a->C;
    double layer = 4 * C * C + 2 * C * a->F; /* qkv and out; fc in and out */
    double weights = a->L * layer + C * a->V;
    return 6 * weights + 12.0 * a->L * C * (double)T;
}

int arch_norms(const arch *a)
{
    return a->residual == RES_PARALLEL_ONE ? 1 : 2;
}
