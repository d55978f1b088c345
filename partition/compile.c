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
    int nkeys;
    program_set *out;
} set_build;

/* The class of rank (d, k, t) and the rank's shape; a new one is added to the
 * keys and is the last. */
static status class_of(set_build *sb, int d, int k, int t, gpt_shape *sh,
                       int *index)
{
    *sh = sb->sh;
    TRY(partition_shape(sb->plan, d, t, sh));
    class_key key = {share_key(sb->a, sb->ps, sh), k};
    for (*index = 0; *index < sb->nkeys; ++*index) {
        const class_key *have = &sb->keys[*index];
        if (have->share == key.share && have->stage == key.stage) {
            return ST_OK;
        }
    }
    TRY(mem_resize((size_t)sb->nkeys + 1, sizeof(class_key), "compile",
                   (void **)&sb->keys));
    sb->keys[sb->nkeys++] = key;
    return ST_OK;
}

/* The program of the newest class, without its waits. */
static status add_program(set_build *sb, const gpt_shape *sh, int stage)
{
    program_set *out = sb->out;
    TRY(mem_resize((size_t)out->nclasses + 1, sizeof(program), "program",
                   (void **)&out->classes));
    program *p = &out->classes[out->nclasses++];
    prog_init(p);
    TRY(stage_emit(sb->a, sb->ps, sb->plan, sh, stage, p));
    return prog_arrange(p);
}

/* Whether all fit is known before waits are derived. */
static status check_budget(const set_build *sb)
{
    int fullest = 0;
    for (int i = 1; i < sb->out->nclasses; i++) {
        const program *all = sb->out->classes;
        fullest = all[i].peak_bytes > all[fullest].peak_bytes ? i : fullest;
    }
    int64_t need = sb->out->classes[fullest].peak_bytes;
    REQUIRE(sb->budget == 0 || need <= sb->budget, ST_BUDGET,
            "plan %s needs %s of device memory on the ranks of stage %d, "
            "there is %s",
            sb->plan->given, units_bytes((double)need).s,
            sb->keys[fullest].stage, units_bytes((double)sb->budget).s);
    return ST_OK;
}

static status place_rank(set_build *sb, int d, int k, int t)
{
    const plan *p = sb->plan;
    prog_place *at = &sb->out->places[partition_rank(p, d, k, t)];
    *at = (prog_place){.data = d, .pipe = k, .tensor = t};
    at->prev = k > 0 ? partition_rank(p, d, k - 1, t) : -1;
    at->next = k + 1 < p->pipe ? partition_rank(p, d, k + 1, t) : -1;
    gpt_shape sh;
    TRY(class_of(sb, d, k, t, &sh, &at->class_index));
    return at->class_index < sb->out->nclasses ? ST_OK
                                               : add_program(sb, &sh, k);
}

static status place_ranks(set_build *sb)
{
    const plan *p = sb->plan;
    for (int d = 0; d < p->data; d++) {
        for (int k = 0; k < p->pipe; k++) {
            for (int t = 0; t < p->tensor; t++) {
                TRY(place_rank(sb, d, k, t));
            }
        }
    }
    return ST_OK;
}

static status finish_programs(program_set *set)
{
    for (int i = 0; i < set->nclasses; i++) {
        TRY(prog_finish(&set->classes[i]));
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
    if (st == ST_OK) {
        st = check_budget(&sb);
    }
    if (st == ST_OK) {
        st = finish_programs(out);
    }
    mem_free(sb.keys);
    if (st != ST_OK) {
        program_set_fini(out);
    }
    return st;
}

/* --- what a plan needs -----------------------------------------------------
 */

/* The i-th stage to look at, or -1. Stages of equal length between the first
 * and the last hold what the first does, without the embedding, and keep as
 * many micro-batches or fewer. */
static int stage_to_measure(const plan *p, int i)
{
    if (p->nstages > 0) {
        return i < p->pipe ? i : -1;
    }
    return i == 0 ? 0 : i == 1 && p->pipe > 1 ? p->pipe - 1 : -1;
}

static bool is_over(const set_build *sb, int64_t bytes)
{
    return sb->budget > 0 && bytes > sb->budget;
}

/* Where more than the budget lives at once, that is enough to know. */
static status measure_class(set_build *sb, const gpt_shape *sh, int stage,
                            program *p, partition_need *need)
{
    int64_t bytes = 0;
    prog_clear(p);
    TRY(stage_emit(sb->a, sb->ps, sb->plan, sh, stage, p));
    TRY(prog_most_live(p, &bytes));
    if (!is_over(sb, bytes)) {
        TRY(prog_arrange(p));
        bytes = p->peak_bytes;
    }
    if (bytes > need->bytes) {
        *need = (partition_need){bytes, stage};
    }
    return ST_OK;
}

static status measure_stage(set_build *sb, int stage, program *p,
                            partition_need *need)
{
    for (int d = 0; d < sb->plan->data; d++) {
        for (int t = 0; t < sb->plan->tensor; t++) {
            gpt_shape sh;
            int known = sb->nkeys;
            int index = 0;
            TRY(class_of(sb, d, stage, t, &sh, &index));
            if (index == known) {
                TRY(measure_class(sb, &sh, stage, p, need));
            }
            if (is_over(sb, need->bytes)) {
                return ST_OK;
            }
        }
    }
    return ST_OK;
}

status partition_measure(const arch *a, const params *ps, const plan *p,
                         gpt_shape sh, int64_t budget_bytes, program *scratch,
                         partition_need *out)
{
    set_build sb = {
        .a = a, .ps = ps, .plan = p, .sh = sh, .budget = budget_bytes};
    status st = ST_OK;
    partition_need need = {0, 0};
    for (int i = 0; st == ST_OK && stage_to_measure(p, i) >= 0 &&
                    !is_over(&sb, need.bytes);
         i++) {
        st = measure_stage(&sb, stage_to_measure(p, i), scratch, &need);
    }
    mem_free(sb.keys);
    if (st == ST_OK) {
        *out = need;
    }
    return st;
}
