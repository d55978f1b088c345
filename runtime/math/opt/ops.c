#include "runtime/math/opt/opt.h"

const math_ops math_opt = {
    .name = "opt",
    .expand = opt_expand,
    .tree_sum = opt_tree_sum,
    .col_sum = opt_col_sum,
    .norm_fwd = opt_norm_fwd,
    .norm_bwd = opt_norm_bwd,
    .norm_grad = opt_norm_grad,
    .bias_add = opt_bias_add,
    .act_fwd = opt_act_fwd,
    .act_bwd = opt_act_bwd,
    .residual = opt_residual,
    .add = opt_add,
    .copy = opt_copy,
    .zero = opt_zero,
    .rope = opt_rope,
    .attn_fwd = opt_attn_fwd,
    .attn_bwd = opt_attn_bwd,
    .rows_get = opt_rows_get,
    .rows_grad = opt_rows_grad,
    .xent_stats = opt_xent_stats,
    .xent_pick = opt_xent_pick,
    .xent_loss = opt_xent_loss,
    .xent_grad = opt_xent_grad,
    .row_sumsq = opt_row_sumsq,
    .adamw = opt_adamw,
};

/* A tree sum needs a tile for each entry of the stack but the first, which
 * always has a plane; a tile is never larger than the result, whose rows we
 * do not know. */
size_t math_work_bytes(int threads, int64_t T, int64_t sum_floats, int leaves)
{
    /* A thread's part of the largest sum; tree_sum cuts it in boxes where
     * that is more than a tile. */
    int64_t part = sum_floats / threads + 4096;
    int64_t tile = part < OPT_TILE ? math_pad(part) : OPT_TILE;
    int64_t tree = (int64_t)(tree_depth(leaves) - 1) * tile;
    int64_t attn = opt_attn_floats(T);
    int64_t each = tree > attn ? tree : attn;
    return (size_t)(threads * math_pad(each)) * sizeof(float);
}
