/*
 * Rows of a run file from programs.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/results/runfile.h"

void run_rank_describe(const program *p, const prog_place *place, run_rank *r)
{
    r->data = place->data;
    r->pipe = place->pipe;
    r->tensor = place->tensor;
    r->class_index = place->class_index;
    r->peak_bytes = p->peak_bytes;
    memcpy(r->class_bytes, p->class_bytes, sizeof(r->class_bytes));
}

void run_trace_describe(const program *p, const prog_place *place, int rank,
                        run_trace *rows)
{
    for (int32_t i = 0; i < p->nops; i++) {
        const prog_op *op = &p->ops[i];
        const bool is_message = op->kind == OP_SEND || op->kind == OP_RECV;
        const int32_t stage = op->peer < 0 ? place->prev : place->next;
        rows[i] = (run_trace){
            .rank = rank,
            .op = i,
            .layer = op->layer,
            .seq0 = op->seq0,
            .seqs = op->seqs,
            .peer = is_message ? stage : -1,
            .tag = is_message ? (int32_t)op->arg : -1,
            .flops = op->flops,
            .bytes = op->bytes,
            .predicted_ns = (double)NAN,
            .predicted_start_ns = (double)NAN,
        };
        snprintf(rows[i].kind, sizeof(rows[i].kind), "%s",
                 op_kind_name((op_kind)op->kind));
        snprintf(rows[i].stream, sizeof(rows[i].stream), "%s",
                 op_stream_name((op_stream)op->stream));
    }
}

void run_setup_describe(const program_set *set, run_op_count *ops, run_setup *s)
{
    int64_t count[OP_KIND_COUNT] = {0};
    double flops[OP_KIND_COUNT] = {0}, bytes[OP_KIND_COUNT] = {0};

    s->programs = set->nclasses;
    s->messages = 0;
    s->bytes = 0;
    for (int r = 0; r < set->nranks; r++) {
        prog_totals t;
        prog_count(&set->classes[set->places[r].class_index], &t);
        for (int k = 0; k < OP_KIND_COUNT; k++) {
            count[k] += t.ops[k];
            flops[k] += t.flops[k];
            bytes[k] += t.bytes[k];
        }
        s->messages += t.messages;
        s->bytes += t.pipe_bytes + t.tensor_bytes + t.data_bytes;
    }
    s->ops = ops;
    s->nops = 0;
    for (int k = 0; k < OP_KIND_COUNT; k++) {
        if (count[k] > 0) {
            run_op_count *row = &ops[s->nops++];
            *row = (run_op_count){
                .count = count[k], .flops = flops[k], .bytes = bytes[k]};
            snprintf(row->kind, sizeof(row->kind), "%s",
                     op_kind_name((op_kind)k));
        }
    }
}
