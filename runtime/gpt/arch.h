/*
 * Architecture descriptor: what kind of GPT a model is, as orthogonal fields.
 *
 * It is read from a Hugging Face config.json (arch_open). The families gpt2,
 * gpt_neo, gptj and gpt_neox exist as names only in hf.c, where that file and
 * its tensor names are understood; the rest of the house asks the fields. A
 * new model is a new file, a new field is a new capability for every family.
 *
 * A plain value: copy it freely. Local.
 */
#ifndef WEFT_GPT_ARCH_H
#define WEFT_GPT_ARCH_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/status.h"
#include "runtime/base/text.h"
#include "runtime/math/math.h"

enum { ARCH_LAYERS_MAX = 256, ARCH_NAME_MAX = 96, ARCH_VOCAB_MAX = 1 << 24 };

typedef enum arch_positions { POS_LEARNED, POS_ROTARY } arch_positions;

/* How attention and MLP join the residual stream x:
 *  sequential    x2 = x + attn(ln1 x); out = x2 + mlp(ln2 x2)
 *  parallel one  out = x + attn(ln1 x) + mlp(ln1 x)
 *  parallel two  out = x + attn(ln1 x) + mlp(ln2 x) */
typedef enum arch_residual {
    RES_SEQUENTIAL,
    RES_PARALLEL_ONE,
    RES_PARALLEL_TWO
} arch_residual;

/* How q, k and v stand in the file. In memory they are always fused per head
 * (rows [q; k; v] of head 0, then head 1, ...): then a tensor leaf, a shard
 * and a panel are all one range of rows. */
typedef enum arch_qkv {
    QKV_SEPARATE,      /* three matrices                     */
    QKV_FUSED,         /* one: all q, all k, all v           */
    QKV_FUSED_PER_HEAD /* one: q, k, v of head 0, of head 1  */
} arch_qkv;

typedef struct arch {
    char name[ARCH_NAME_MAX]; /* from the file's name                       */
    int32_t family;           /* for hf.c only: whose names on disk         */
    int32_t L;                /* layers                                     */
    int32_t C;                /* width                                      */
    int32_t H;                /* heads                                      */
    int32_t D;                /* head dimension, C / H                      */
    int32_t F;                /* inner width of the MLP                     */
    int32_t V;                /* vocabulary                                 */
    int32_t positions;        /* longest sequence                           */
    arch_positions pos;
    int32_t rotary_dims; /* per head                                        */
    math_pairing rotary_pairing;
    float rotary_base;
    arch_residual residual;
    int32_t window[ARCH_LAYERS_MAX]; /* keys seen by layer l; 0: all        */
    float score_scale;
    bool bias_qkv, bias_out, bias_mlp;
    arch_qkv qkv;
    bool file_transposed; /* matrices on disk are [in][out]                 */
    math_act act;
    bool tied;      /* head shares the embedding                            */
    bool head_bias; /* bias of the head                                     */
    float norm_eps;
    float init_std;
    bool init_residual_scaled; /* output projections: std / sqrt(2 L)       */
} arch;

/* Reads `model`: a config.json, a folder that has one, or a name NAME for
 * configs/models/NAME.json (base/shelf.h says where that is looked for).
 * Unknown names get the nearest one. Fails: ST_NOINPUT, ST_BADFILE,
 * ST_CONFIG. */
MUST_USE status arch_open(const char *model, arch *out);
/* The same of the text of a config.json; `label` stands in errors for the
 * file. The name stays empty. */
MUST_USE status arch_open_text(const char *text, const char *label, arch *out);

/* Appends a line on the dropout that somebody's own config.json asks for and
 * Weft does not do; nothing for rates of 0 and for models of the shelf, whose
 * configs are published ones. Fails as arch_open. */
MUST_USE status arch_dropout(const char *model, strbuf *out);

/* Appends the path of weights that lie beside the config.json that arch_open
 * reads for `model`, where nobody reads them; nothing if there are none. Fails
 * as arch_open. */
MUST_USE status arch_weights_beside(const char *model, strbuf *out);

/* Where the config.json lies that arch_open reads for `model`. Owns: *out,
 * mem_free. Fails as arch_open. */
MUST_USE status arch_config_path(const char *model, char **out);

/* The config.json that arch_open reads for `model`, as it is. Owns: *out,
 * mem_free. */
MUST_USE status arch_config_text(const char *model, char **out);

/* The config.json that transformers needs to load the model `a`: `config`, the
 * text it was read from, with a's depth, all of its sizes written out, the
 * class of the family, and float32 as the type of the weights. Fails as
 * arch_open. Owns: *out, mem_free. */
MUST_USE status arch_hf_config(const arch *a, const char *config, char **out);

/* Cuts depth to `layers`, keeps width. Fails if layers > L. */
MUST_USE status arch_cut(arch *a, int layers);

/* Another vocabulary, for a run from scratch: rows of the embedding and the
 * head. Fails outside 1 to ARCH_VOCAB_MAX. */
MUST_USE status arch_set_vocab(arch *a, int64_t vocab);

/* Both as options have them: 0 keeps what the model has. */
MUST_USE status arch_fit(arch *a, int64_t layers, int64_t vocab);

/* A config.json with this vocab_size, so that what is saved with it opens as
 * the model that was run. Ids of tokens that it does not have become null, in
 * lists they are left out. Owns: *out, mem_free. */
MUST_USE status arch_config_with_vocab(const char *config, int64_t vocab,
                                       char **out);

/* The same model: everything that shapes parameters or mathematics. */
uint64_t arch_hash(const arch *a);

/* Model flops of one token in a sequence of T, forward and backward: 6 per
 * matmul weight and 12 C T a layer for attention counted full square (no
 * credit for causality or windows). */
double arch_flops_per_token(const arch *a, int64_t T);

/* Norms per layer: 1 for parallel-one, else 2. */
int arch_norms(const arch *a);

#endif
