/*
 * Building blocks: the operations of a GPT step, described once.
 *
 * Both compilers call these functions in the order that suits them (one
 * micro-batch through all layers of a stage; or all micro-batches past a
 * panel, layer by layer). What differs is only where a panel comes from and
 * where its gradient goes: a gpt_source, which hands out views.
 *
 *   resident source: a panel is the whole shard; views of persistent buffers
 *   streamed source: a panel is some rows; each use may emit a load, each
 *                    finished gradient panel a drain
 *
 * Every sum that a plan may spread is emitted by leaves (runtime/base/tree.h)
 * from the shape alone, so any source and any order give the same bits.
 *
 * A gpt_build is the compiler's own, on its stack; it borrows everything it
 * points to. Pure, local.
 */
#ifndef WEFT_GPT_BUILD_H
#define WEFT_GPT_BUILD_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/gpt/arch.h"
#include "runtime/gpt/params.h"
#include "runtime/program/program.h"

/* The batch, its leaves, and this rank's part of both. */
typedef struct gpt_shape {
    int64_t N;      /* sequences in the global batch                          */
    int64_t T;      /* tokens in a sequence                                   */
    int32_t D;      /* data leaves                                            */
    int32_t S;      /* tensor leaves                                          */
    int32_t dp, tp; /* ranks that share the data, tensors    */
    int32_t data_lo, data_hi; /* this rank's data leaves               */
    int32_t tensor_lo, tensor_hi;
    /* The tree this rank sums in: where its leaves are one complete subtree,
     * that subtree alone (all such ranks share a program), else the whole. */
    int32_t data_base, data_tree; /* leaf index of 0, leaves           */
    int32_t tensor_base, tensor_tree;
    int64_t seq_first; /* this rank's sequences in the global batch      */
    int64_t seqs;
    int64_t kblock; /* matmul_kblock() of this machine                   */
    int32_t threads;
} gpt_shape;

/* Fills leaf and sequence ranges for coordinates (d, t) from N, T, D, S, dp,
 * tp. Fails with ST_CONFIG where a share would be empty or cut a sequence. */
MUST_USE status gpt_shape_share(gpt_shape *sh, int d, int t);

/* First token of data leaf i in the global batch. */
int64_t gpt_leaf_token(const gpt_shape *sh, int i);

/* Local sequences [seq0, seq0 + seqs): a micro-batch. */
typedef struct gpt_range {
    int32_t seq0;
    int32_t seqs;
} gpt_range;

/* An accumulator of a tree sum: planes of rows x cols, and its state. */
typedef struct gpt_acc {
    prog_view plane0;
    int64_t plane; /* floats from plane to plane */
    int32_t planes;
    tree_state state;
} gpt_acc;

/* Which gradient of a tied embedding. */
enum { GRAD_MAIN = 0, GRAD_EMBED = 1 };

typedef struct gpt_source gpt_source;
struct gpt_source {
    bool whole; /* a panel is always the whole shard                     */
    /* Most rows a panel of this parameter may have (whole = false). */
    int64_t (*panel_rows)(gpt_source *, int par);
    /* Rows [row0, row0 + rows) of this rank's shard, readable by operations
     * added before the next call with other rows. */
    prog_view (*weights)(gpt_source *, int par, int64_t row0, int64_t rows);
    /* The accumulator for these gradient rows; the same one until
     * grad_done. `planes` are needed. */
    gpt_acc *(*grad)(gpt_source *, int par, int which, int64_t row0,
                     int64_t rows, int planes);
    /* All of this rank's tokens are in it. */
    void (*grad_done)(gpt_source *, int par, int which, int64_t row0,
                      int64_t rows);
};

typedef struct gpt_build {
    program *p;
    const arch *a;
    const params *ps;
    gpt_shape sh;
    gpt_source *src;
    prog_view ids, targets, pos; /* 1 x tokens of the share               */
    prog_view slots;             /* row of ids[t] in the loaded table     */
    int32_t acc_planes;          /* gradients: planes over micro-batches  */
    int32_t head_planes;         /* the same over chunks of the head      */
    int32_t keep_eighths;        /* of the vocabulary's logits, panels    */
    /* Positions whose keys and values stay in the arena from one run to the
     * next, in layers that gpt_emit_forward adds; the batch's T tokens come
     * behind those that are there. 0: no cache, a batch is all there is. */
    int64_t context;
} gpt_build;

/* A set of sequences whose activations lie in one buffer each, worked on in
 * micro-batches. Partitioned: one micro-batch a set. Streamed: all in one. */
typedef struct gpt_set {
    gpt_range range;
    const gpt_range *mbs;
    int32_t nmb;
} gpt_set;

/* What forward leaves for backward, of one layer and set. */
typedef struct gpt_acts {
    prog_view x;   /* block input [n][C]                                 */
    prog_view s1;  /* norm statistics [n][2]                             */
    prog_view qkv; /* [n][3 heads D] after rotation                      */
    prog_view lse; /* [n][heads]                                         */
    prog_view att; /* [n][heads D]                                       */
    prog_view x2;  /* middle of a sequential block [n][C]                */
    prog_view s2;
    prog_view u; /* MLP before the activation [n][F]                     */
} gpt_acts;

/* New buffer for n tokens of a set, `cols` wide. */
prog_view gpt_tokens(gpt_build *b, const char *name, buf_class cls, int layer,
                     const gpt_set *set, int64_t cols);

/* Makes the batch: ids, targets, positions (and slots if `slots`). */
void gpt_emit_batch(gpt_build *b, bool slots);

/* x = embedding of the set's tokens; by shard of the vocabulary if tp > 1.
 * `table` rows are looked up by b->slots where it has one, else by b->ids. */
void gpt_emit_embed(gpt_build *b, const gpt_set *set, prog_view table,
                    prog_view x);

/* One block. `keep` true: acts->x is set, the rest is made and kept; false:
 * only what forward itself needs, acts keeps nothing but x. */
void gpt_emit_forward(gpt_build *b, int layer, const gpt_set *set,
                      gpt_acts *acts, bool keep, prog_view out);

/* Gradient through one block, dx in place. `recompute`: acts has only x. */
void gpt_emit_backward(gpt_build *b, int layer, const gpt_set *set,
                       gpt_acts *acts, bool recompute, prog_view dx);

/* Final norm, head, loss and their gradients: dx is written, loss too
 * (1 x tokens of the set). Whole source: token chunks of chunk_tokens, all
 * of the vocabulary at once. Streamed: panels of the vocabulary pass twice;
 * logits are made twice and never stored. */
void gpt_emit_head(gpt_build *b, const gpt_set *set, prog_view x, prog_view dx,
                   prog_view loss, int64_t chunk_tokens);

/* In place of gpt_emit_head where nothing is learned: final norm and head of
 * one row of x, which the caller of the step names (OP_ROW). The logits, 1 x
 * the vocabulary with its padding, are a persistent buffer. */
void gpt_emit_logits(gpt_build *b, prog_view x);

/* Gradients of embedding and positions from dx of the whole share. */
void gpt_emit_embed_backward(gpt_build *b, prog_view dx);

/* Sum over a group of `size` ranks into plane 0, by the tree over `leaves`
 * leaves, of which this rank holds `pieces` planes. */
void gpt_emit_allreduce(gpt_build *b, op_group group, op_stream stream,
                        int layer, int par, prog_view plane0, int64_t plane,
                        int pieces, int leaves, int size);

/* Scratch memory of compute operations: once per program, after the last. */
void gpt_emit_work(gpt_build *b);

/* Planes that an accumulator over these micro-batches needs (chunk_tokens:
 * each micro-batch again in chunks; 0: not). */
int gpt_acc_planes(const gpt_shape *sh, const gpt_range *mbs, int nmb,
                   int64_t chunk_tokens);

/* Panels of a parameter, one after the other; false past the last. A panel
 * holds whole leaves, or a piece of one, cut at whole k blocks. */
typedef struct gpt_panel {
    int64_t row0;
    int64_t rows;
} gpt_panel;
bool gpt_next_panel(const gpt_build *b, int par, gpt_panel *it);

#endif
