/*
 * What a model's parameters are, from the descriptor's fields alone; names on
 * disk come from hf.c.
 *
 * The values of param_role are in stream order, so the table is made by one
 * walk: roles before the layers, the layers' roles for each layer, the rest.
 *
 * qkv. Row r of the fused matrix in memory belongs to head h = r / 3D, to
 * q, k or v by (r mod 3D) / D, and is its dimension d = r mod D. With two
 * heads of two dimensions and width 4, rows are
 *
 *   memory       q0 q1 k0 k1 v0 v1 | q2 q3 k2 k3 v2 v3     (heads 0 | 1)
 *   fused file   q0 q1 q2 q3 k0 k1 k2 k3 v0 v1 v2 v3
 *   three files  q0 q1 q2 q3, k0 k1 k2 k3, v0 v1 v2 v3
 *   per head     as in memory
 */
#include "runtime/gpt/params.h"

#include <math.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/rng.h"
#include "runtime/base/tree.h"
#include "runtime/gpt/hf.h"

/* Streams of random numbers that initial values use: "init" in the upper
 * half keeps them apart from every other use of the run's seed. */
#define INIT_STREAM 0x696e697400000000ULL

/* Side of the square blocks in which matrices are transposed: two blocks of
 * floats fit the first-level cache. */
enum { BLOCK = 32 };

/* --- the table --------------------------------------------------------- */

static bool has_role(const arch *a, param_role role)
{
    switch (role) {
    case PARAM_WPE:
        return a->pos == POS_LEARNED;
    case PARAM_QKV_B:
        return a->bias_qkv;
    case PARAM_OUT_B:
        return a->bias_out;
    case PARAM_LN2_W:
    case PARAM_LN2_B:
        return arch_norms(a) == 2;
    case PARAM_FCIN_B:
    case PARAM_FCOUT_B:
        return a->bias_mlp;
    case PARAM_HEAD_W:
        return !a->tied;
    case PARAM_HEAD_B:
        return a->head_bias;
    default:
        return true;
    }
}

static bool in_layer(param_role role)
{
    return role >= PARAM_LN1_W && role <= PARAM_FCOUT_B;
}

/* A tensor cut along an axis into units of unit_rows rows. */
static void set_shape(param *p, int64_t rows, int64_t cols, param_axis axis,
                      int32_t unit_rows)
{
    p->rows = rows;
    p->cols = cols;
    p->axis = axis;
    p->unit_rows = unit_rows;
}

/* A vector that is never cut. */
static void set_vector(param *p, int64_t cols, float init_mean)
{
    set_shape(p, 1, cols, AXIS_NONE, 1);
    p->init_mean = init_mean;
}

static void set_matrix(const arch *a, param *p, int64_t rows, param_axis axis,
                       int32_t unit_rows)
{
    set_shape(p, rows, a->C, axis, unit_rows);
    p->decay = true;
    p->init_std = a->init_std;
}

/* Matrices that write to the residual stream may start smaller. */
static void shrink(const arch *a, param *p)
{
    if (a->init_residual_scaled) {
        p->init_std = (float)(p->init_std / sqrt(2.0 * a->L));
    }
}

static param describe(const arch *a, param_role role, int layer)
{
    param p = {.role = role, .layer = layer};
    switch (role) {
    case PARAM_WTE:
    case PARAM_HEAD_W:
        set_matrix(a, &p, a->V, AXIS_VOCAB, 1);
        break;
    case PARAM_WPE:
        set_matrix(a, &p, a->positions, AXIS_NONE, 1);
        break;
    case PARAM_QKV_W:
        set_matrix(a, &p, 3 * (int64_t)a->C, AXIS_HEADS, 3 * a->D);
        break;
    case PARAM_QKV_B:
        set_shape(&p, 3 * (int64_t)a->C, 1, AXIS_HEADS, 3 * a->D);
        break;
    case PARAM_OUT_W:
        set_matrix(a, &p, a->C, AXIS_HEADS, a->D);
        shrink(a, &p);
        break;
    case PARAM_FCIN_W:
        set_matrix(a, &p, a->F, AXIS_FFN, 1);
        break;
    case PARAM_FCIN_B:
        set_shape(&p, a->F, 1, AXIS_FFN, 1);
        break;
    case PARAM_FCOUT_W:
        set_matrix(a, &p, a->F, AXIS_FFN, 1);
        shrink(a, &p);
        break;
    case PARAM_HEAD_B:
        set_shape(&p, a->V, 1, AXIS_VOCAB, 1);
        break;
    case PARAM_LN1_W:
    case PARAM_LN2_W:
    case PARAM_LNF_W:
        set_vector(&p, a->C, 1);
        break;
    default:
        set_vector(&p, a->C, 0);
        break;
    }
    return p;
}

static void append(params *ps, const arch *a, param_role role, int layer)
{
    int32_t *slot =
        layer < 0 ? &ps->of_model[role] : &ps->of_layer[layer][role];
    *slot = -1;
    if (!has_role(a, role)) {
        return;
    }
    param p = describe(a, role, layer);
    p.first_row = ps->total_rows;
    ps->total += p.rows * p.cols;
    ps->total_rows += p.rows;
    *slot = ps->n;
    ps->list[ps->n++] = p;
}

/* Roles [lo, hi] for one layer, or for -1 the model. Roles that do not
 * belong there are marked absent. */
static void append_roles(params *ps, const arch *a, int layer, int lo, int hi)
{
    for (int role = lo; role <= hi; role++) {
        append(ps, a, (param_role)role, layer);
    }
}

status params_init(const arch *a, params *out)
{
    params ps = {0};
    status st = ST_OK;
    /* A little more than any model has: all roles for every layer. */
    int64_t most = ((int64_t)a->L + 1) * PARAM_ROLES;
    TRY(MEM_NEW(&ps.list, most, "params"));
    TRY_GOTO(MEM_NEW(&ps.of_layer, a->L, "params"), free_list);
    for (int role = 0; role < PARAM_ROLES; role++) {
        ps.of_model[role] = -1;
        for (int l = 0; l < a->L; l++) {
            ps.of_layer[l][role] = -1;
        }
    }
    append_roles(&ps, a, -1, PARAM_WTE, PARAM_WPE);
    for (int l = 0; l < a->L; l++) {
        append_roles(&ps, a, l, PARAM_LN1_W, PARAM_FCOUT_B);
    }
    append_roles(&ps, a, -1, PARAM_LNF_W, PARAM_HEAD_B);
    *out = ps;
    return ST_OK;

free_list:
    mem_free(ps.list);
    return st;
}

void params_fini(params *p)
{
    mem_free(p->list);
    mem_free(p->of_layer);
    *p = (params){0};
}

int params_find(const params *p, int layer, param_role role)
{
    ASSERT(role >= 0 && role < PARAM_ROLES);
    if (!in_layer(role)) {
        return p->of_model[role];
    }
    return layer >= 0 ? p->of_layer[layer][role] : -1;
}

const char *param_role_name(param_role r)
{
    static const char *const names[PARAM_ROLES] = {
        [PARAM_WTE] = "wte",         [PARAM_WPE] = "wpe",
        [PARAM_LN1_W] = "ln1_w",     [PARAM_LN1_B] = "ln1_b",
        [PARAM_QKV_W] = "qkv_w",     [PARAM_QKV_B] = "qkv_b",
        [PARAM_OUT_W] = "out_w",     [PARAM_OUT_B] = "out_b",
        [PARAM_LN2_W] = "ln2_w",     [PARAM_LN2_B] = "ln2_b",
        [PARAM_FCIN_W] = "fcin_w",   [PARAM_FCIN_B] = "fcin_b",
        [PARAM_FCOUT_W] = "fcout_w", [PARAM_FCOUT_B] = "fcout_b",
        [PARAM_LNF_W] = "lnf_w",     [PARAM_LNF_B] = "lnf_b",
        [PARAM_HEAD_W] = "head_w",   [PARAM_HEAD_B] = "head_b",
    };
    ASSERT(r >= 0 && r < PARAM_ROLES);
    return names[r];
}

/* --- leaves and shards ------------------------------------------------- */

/* First row of leaf i of S; for vocabulary it may lie past V. */
static int64_t leaf_row(const arch *a, const param *p, int S, int i)
{
    switch (p->axis) {
    case AXIS_HEADS:
        return leaf_start(a->H, S, i) * p->unit_rows;
    case AXIS_FFN:
        return leaf_start(a->F, S, i) * p->unit_rows;
    case AXIS_VOCAB:
        return (a->V + (int64_t)S - 1) / S * i;
    case AXIS_NONE:
        break;
    }
    return 0;
}

param_shard param_rows(const arch *a, const param *p, int S, int lo, int hi)
{
    ASSERT(S >= 1 && lo >= 0 && lo <= hi && hi <= S);
    if (p->axis == AXIS_NONE) {
        return (param_shard){.rows = p->rows, .valid = p->rows};
    }
    int64_t row0 = leaf_row(a, p, S, lo);
    int64_t end = leaf_row(a, p, S, hi);
    int64_t valid = (end < p->rows ? end : p->rows) - row0;
    return (param_shard){
        .row0 = row0, .rows = end - row0, .valid = valid > 0 ? valid : 0};
}

void param_leaf_rows(const arch *a, const param *p, int S, int lo, int hi,
                     int64_t *starts)
{
    ASSERT(S >= 1 && lo >= 0 && lo <= hi && hi <= S);
    int64_t row0 = leaf_row(a, p, S, lo);
    for (int i = lo; i <= hi; i++) {
        starts[i - lo] = leaf_row(a, p, S, i) - row0;
    }
    if (p->axis == AXIS_NONE && hi > lo) {
        starts[hi - lo] = p->rows; /* not cut: all rows, counted once */
    }
}

/* --- tensors on disk --------------------------------------------------- */

static bool is_qkv(const param *p)
{
    return p->role == PARAM_QKV_W || p->role == PARAM_QKV_B;
}

/* True if memory row r is input r of the layer: held transposed with respect
 * to a Linear's [out][in]. */
static bool is_sum(const param *p)
{
    return p->role == PARAM_OUT_W || p->role == PARAM_FCOUT_W;
}

/* True if the file has memory's rows as its columns. */
static bool is_turned(const arch *a, const param *p)
{
    if (is_sum(p)) {
        return !a->file_transposed;
    }
    bool expand = p->role == PARAM_QKV_W || p->role == PARAM_FCIN_W;
    return expand && a->file_transposed;
}

static int parts_of(const arch *a, const param *p)
{
    return is_qkv(p) && a->qkv == QKV_SEPARATE ? 3 : 1;
}

int param_parts(const arch *a, const params *ps, int i,
                param_part out[PARAM_PARTS_MAX])
{
    ASSERT(i >= 0 && i < ps->n);
    const param *p = &ps->list[i];
    int n = parts_of(a, p);
    int64_t rows = p->rows / n;
    for (int k = 0; k < n; k++) {
        hf_tensor_name(a, p->role, p->layer, k, out[k].name);
        bool turned = is_turned(a, p);
        bool vector = rows == 1 || p->cols == 1;
        /* WPE of one position, or a model of width 1, is still a matrix. */
        vector = vector && !p->decay;
        out[k].ndims = vector ? 1 : 2;
        out[k].dims[0] = vector ? rows * p->cols : turned ? p->cols : rows;
        out[k].dims[1] = vector ? 0 : turned ? rows : p->cols;
    }
    return n;
}

bool param_part_alias(const arch *a, const param_part *part, int k,
                      char out[ARCH_NAME_MAX])
{
    return hf_tensor_alias(a, part->name, k, out);
}

void param_part_published(const arch *a, const param_part *part,
                          char out[ARCH_NAME_MAX])
{
    hf_tensor_published(a, part->name, out);
}

/* The row of the file's tensor `part` (its column, if turned) that is memory
 * row r; -1 if row r is in another part. */
static int64_t file_row(const arch *a, const param *p, int part, int64_t r)
{
    if (!is_qkv(p) || a->qkv == QKV_FUSED_PER_HEAD) {
        return r;
    }
    int64_t D = a->D;
    int64_t head = r / (3 * D);
    int64_t which = r % (3 * D) / D;
    int64_t in_third = head * D + r % D;
    if (a->qkv == QKV_FUSED) {
        return which * a->C + in_third;
    }
    return which == part ? in_third : -1;
}

/* Copies block after block, so that the side that is walked across rows
 * stays in cache. `mem` is written if to_mem, else `file`. */
static void convert(const arch *a, const param *p, int part, bool to_mem,
                    float *mem, float *file)
{
    ASSERT(part >= 0 && part < parts_of(a, p));
    bool turned = is_turned(a, p);
    int64_t file_rows = p->rows / parts_of(a, p);
    int64_t row_step = turned ? 1 : p->cols;
    int64_t col_step = turned ? file_rows : 1;
    for (int64_t r0 = 0; r0 < p->rows; r0 += BLOCK) {
        int64_t r1 = r0 + BLOCK < p->rows ? r0 + BLOCK : p->rows;
        for (int64_t c0 = 0; c0 < p->cols; c0 += BLOCK) {
            int64_t c1 = c0 + BLOCK < p->cols ? c0 + BLOCK : p->cols;
            for (int64_t r = r0; r < r1; r++) {
                int64_t f = file_row(a, p, part, r);
                for (int64_t c = f < 0 ? c1 : c0; c < c1; c++) {
                    float *m = &mem[r * p->cols + c];
                    float *d = &file[f * row_step + c * col_step];
                    *(to_mem ? m : d) = *(to_mem ? d : m);
                }
            }
        }
    }
}

/* convert() only writes the side it is told to; the casts let one walk serve
 * both directions. */
void param_from_part(const arch *a, const params *ps, int i, int part,
                     const float *file, float *mem)
{
    ASSERT(i >= 0 && i < ps->n);
    convert(a, &ps->list[i], part, true, mem, (float *)file);
}

void param_to_part(const arch *a, const params *ps, int i, int part,
                   const float *mem, float *file)
{
    ASSERT(i >= 0 && i < ps->n);
    convert(a, &ps->list[i], part, false, (float *)mem, file);
}

/* --- initial values ---------------------------------------------------- */

void param_init(const params *ps, int i, uint64_t seed, int64_t row0,
                int64_t rows, float *out)
{
    ASSERT(i >= 0 && i < ps->n && row0 >= 0 && rows >= 0);
    const param *p = &ps->list[i];
    int64_t own = p->rows - row0;
    own = own < 0 ? 0 : own < rows ? own : rows;
    int64_t count = own * p->cols;
    if (p->init_std > 0) {
        /* By layer and role, not by index: a model that is cut to fewer
         * layers, or tied, begins with the same values. */
        uint64_t stream =
            INIT_STREAM | (uint64_t)(p->layer + 1) << 8 | (uint64_t)p->role;
        rng_normal_fill(seed, stream, row0 * p->cols, count, p->init_mean,
                        p->init_std, out);
    } else {
        for (int64_t k = 0; k < count; k++) {
            out[k] = p->init_mean;
        }
    }
    memset(out + count, 0, (size_t)((rows - own) * p->cols) * sizeof(*out));
}
