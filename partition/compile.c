/*
 * Ranks to programs: those that do the same share one.
 */
#include "partition/compile.h"

#include <string.h>

#include "partition/stage.h"
#include "runtime/base/hash.h"
#include "runtime/base/mem.h"
#include "runtime/base/units.h"

/* --- grid ----------------------------------------------------------------- */

int partition_rank(const plan *p, int d, int k, int t)
{
    return (d * p->pipe + k) * p->tensor + t;
}

void partition_stage(const arch *a, const plan *p, int k, int *l0, int *l1)
{
    *l0 = plan_stage_start(p, a->L, k);
    *l1 = plan_stage_start(p, a->L, k + 1);
}

status partition_shape(const plan *p, int d, int t, gpt_shape *sh)
{
    sh->dp = p->data;
    sh->tp = p->tensor;
    return gpt_shape_share(sh, d, t);
}

/* --- classes -------------------------------------------------------------- */

/* What a rank's program depends on besides its stage: sizes and leaf borders
 * of its shares, relative to their beginning. */
static uint64_t share_key(const arch *a, const params *ps, const gpt_shape *sh)
{
    static const param_role cut[] = {PARAM_OUT_W, PARAM_FCIN_W, PARAM_WTE};
    int64_t key[8 + 4 * (TREE_LEAVES_MAX + 1)] = {0};
    int n = 0;
    bool whole_data = sh->data_tree != sh->D || sh->dp == 1;
    bool whole_tensor = sh->tensor_tree != sh->S || sh->tp == 1;
    key[n++] = sh->seqs;
    key[n++] = sh->data_hi - sh->data_lo;
    key[n++] = whole_data ? -1 : sh->data_lo;
    key[n++] = sh->tensor_hi - sh->tensor_lo;
    key[n++] = whole_tensor ? -1 : sh->tensor_lo;
    for (int i = sh->data_lo; i <= sh->data_hi; i++) {
        key[n++] =
            leaf_start(sh->N >= sh->D ? sh->N : sh->N * sh->T, sh->D, i) -
            leaf_start(sh->N >= sh->D ? sh->N : sh->N * sh->T, sh->D,
                       sh->data_lo);
    }
    for (int c = 0; c < 3; c++) {
        int par = params_find(ps, cut[c] == PARAM_WTE ? -1 : 0, cut[c]);
        param_leaf_rows(a, &ps->list[par], sh->S, sh->tensor_lo, sh->tensor_hi,
                        key + n);
        n += sh->tensor_hi - sh->tensor_lo + 1;
    }
    return hash64(key, (size_t)n * sizeof(*key));
}

typedef struct class_key {
    uint64_t share;
    int stage;
} class_key;

typedef struct set_build {
    const arch *a;
    const params *ps;
    const plan *plan;
    gpt_shape sh;
    int64_t budget;
    class_key *keys;
    program_set *out;
} set_build;

/* The class of rank (d, k, t), compiled if it is new. */
static status class_of(set_build *sb, int d, int k, int t, int *index)
{
    gpt_shape sh = sb->sh;
    TRY(partition_shape(sb->plan, d, t, &sh));
    uint64_t share = share_key(sb->a, sb->ps, &sh);
    program_set *out = sb->out;
    for (int i = 0; i < out->nclasses; i++) {
        if (sb->keys[i].share == share && sb->keys[i].stage == k) {
            *index = i;
            return ST_OK;
        }
    }
    *index = out->nclasses;
    TRY(mem_resize((size_t)*index + 1, sizeof(class_key), "compile",
                   (void **)&sb->keys));
    TRY(mem_resize((size_t)*index + 1, sizeof(program), "program",
                   (void **)&out->classes));
    sb->keys[*index] = (class_key){share, k};
    program *p = &out->classes[*index];
    prog_init(p);
    out->nclasses++;
    TRY(stage_compile(sb->a, sb->ps, sb->plan, &sh, k, p));
    REQUIRE(sb->budget == 0 || p->peak_bytes <= sb->budget, ST_BUDGET,
            "plan %s needs %s of device memory on the ranks of stage %d, "
            "there is %s",
            sb->plan->name, units_bytes((double)p->peak_bytes).s, k,
            units_bytes((double)sb->budget).s);
    return ST_OK;
}

static status place_ranks(set_build *sb)
{
    const plan *p = sb->plan;
    for (int d = 0; d < p->data; d++) {
        for (int k = 0; k < p->pipe; k++) {
            for (int t = 0; t < p->tensor; t++) {
                prog_place *at = &sb->out->places[partition_rank(p, d, k, t)];
                *at = (prog_place){.data = d, .pipe = k, .tensor = t};
                at->prev = k > 0 ? partition_rank(p, d, k - 1, t) : -1;
                at->next =
                    k + 1 < p->pipe ? partition_rank(p, d, k + 1, t) : -1;
                TRY(class_of(sb, d, k, t, &at->class_index));
            }
        }
    }
    return ST_OK;
}

status partition_compile(const arch *a, const params *ps, const plan *p,
                         gpt_shape sh, int64_t budget_bytes, program_set *out)
{
    memset(out, 0, sizeof(*out));
    set_build sb = {.a = a,
                    .ps = ps,
                    .plan = p,
                    .sh = sh,
                    .budget = budget_bytes,
                    .out = out};
    out->nranks = plan_ranks(p);
    status st = MEM_NEW(&out->places, out->nranks, "program");
    if (st == ST_OK) {
        st = place_ranks(&sb);
    }
    mem_free(sb.keys);
    if (st != ST_OK) {
        program_set_fini(out);
    }
    return st;
}
