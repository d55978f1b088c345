/*
 * Hugging Face's side of a model: config keys and tensor names, as data.
 *
 * A family is one row of the table in hf.c: which keys its config.json has,
 * what they mean, what holds where they are absent, and what its tensors are
 * called. hf_read.c reads any config by such a row and knows no family. To
 * add a family, add a row; if its mathematics is new, a field in arch.h.
 *
 * Private to runtime/gpt. All data is constant. Local, any thread.
 */
#ifndef WEFT_GPT_HF_H
#define WEFT_GPT_HF_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/json.h"
#include "runtime/base/status.h"
#include "runtime/gpt/arch.h"
#include "runtime/gpt/params.h"

/* What a key of config.json is for. */
typedef enum hf_use {
    HF_IGNORE,  /* says nothing about training                            */
    HF_DROPOUT, /* a rate; ignored, which is said where it is above 0     */
    HF_FALSE,   /* would change the mathematics: false, null or empty     */
    HF_TRUE,    /* the same the other way round                           */
    HF_LAYERS,
    HF_WIDTH,
    HF_HEADS,
    HF_INNER, /* null: four times the width                               */
    HF_VOCAB,
    HF_POSITIONS,
    HF_ACT,
    HF_EPS,
    HF_STD,
    HF_TIED,
    HF_SCALED,           /* scores times 1/sqrt(D), else 1                */
    HF_ATTENTION_TYPES,  /* [[["global", "local"], 6]]                    */
    HF_ATTENTION_LAYERS, /* the same written out: ["global", "local", ..] */
    HF_WINDOW,
    HF_ROTARY_DIM,  /* rotated dimensions of a head; null: all            */
    HF_ROTARY_PART, /* the same as a fraction of the head                 */
    HF_ROTARY_BASE,
    HF_ROPE,             /* an object with both, or null                  */
    HF_ROTARY_PART_COPY, /* written beside the first by some versions,    */
    HF_ROTARY_BASE_COPY, /* read by none: may only repeat the value       */
    HF_PARALLEL,         /* parallel residual with two norms, or sequential  */
    HF_ATTENTION_BIAS    /* biases of qkv and of the output projection       */
} hf_use;

/* Lists end with a NULL name. Several keys of one use are aliases; the first
 * is the one that errors name. */
typedef struct hf_key {
    const char *name;
    hf_use use;
} hf_key;

/* What a tensor's name says: the module, then ".weight" or ".bias". */
typedef enum hf_module {
    HF_MOD_WTE,
    HF_MOD_WPE,
    HF_MOD_LN1,
    HF_MOD_QKV,
    HF_MOD_OUT,
    HF_MOD_LN2,
    HF_MOD_FCIN,
    HF_MOD_FCOUT,
    HF_MOD_LNF,
    HF_MOD_HEAD,
    HF_MODULES
} hf_module;

enum { HF_ALIASES_MAX = 2, HF_KEYS_MAX = 128 };

typedef struct hf_family {
    const char *model_type;
    const char *class_name; /* of transformers, for "architectures"       */
    const hf_key *keys;     /* its own; hf_common_keys hold for all families  */

    /* Defaults of HF's config class, and what no key can change. F = 0 is
     * four times the width, rotary_dims = 0 the whole head. */
    arch base;
    int32_t bos, eos;    /* defaults of bos_token_id and eos_token_id      */
    bool scaled;         /* default of HF_SCALED                           */
    double rotary_part;  /* default of HF_ROTARY_PART, 0: has rotary_dim   */
    double dropout;      /* default of each HF_DROPOUT                     */
    int32_t window;      /* default of HF_WINDOW                           */
    int32_t alternating; /* default attention_types: global and local in  *
                          * turn over so many layers; 0: all global       */

    /* Names of modules, '#' for the layer; qkv may be three. */
    const char *modules[HF_MODULES][PARAM_PARTS_MAX];
    /* Beginnings of names that other files write differently. */
    struct hf_alias {
        const char *ours;
        const char *theirs;
        bool published; /* every version of transformers knows this one  */
    } aliases[HF_ALIASES_MAX];
} hf_family;

/* Row of a family, 0 <= family < hf_families(). */
const hf_family *hf_family_at(int32_t family);
int hf_families(void);

/* Keys that every family's config may have. */
const hf_key *hf_common_keys(void);

/* Reads a config.json into all fields of *out but the name. Fails like
 * arch_open. */
MUST_USE status hf_read(const char *path, arch *out);
/* The same of a text; `name` stands in errors for the file. */
MUST_USE status hf_read_text(const char *text, const char *name, arch *out);
/* Appends the dropout rates that are not 0: "resid_pdrop 0.1". */
MUST_USE status hf_dropout(const char *path, strbuf *out);

/* The HF_ROTARY_PART and HF_ROTARY_BASE of a config.json, whichever of its keys
 * say them, or the family's defaults. Fails like hf_read. */
MUST_USE status hf_rotary(json_val root, double *part, double *base);

/* Name on disk of a parameter's part. Layer is ignored outside layers. */
void hf_tensor_name(const arch *a, param_role role, int layer, int part,
                    char out[ARCH_NAME_MAX]);

/* The k-th other name of the tensor `name`; false if there are no more. */
bool hf_tensor_alias(const arch *a, const char *name, int k,
                     char out[ARCH_NAME_MAX]);

/* The name that a published file has for the tensor `name`. */
void hf_tensor_published(const arch *a, const char *name,
                         char out[ARCH_NAME_MAX]);

#endif
