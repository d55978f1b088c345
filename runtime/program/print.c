/*
 * Names of everything in a program, and a program as text: one line an
 * operation, columns that align, so that two programs can be compared with
 * diff.
 */
#include "runtime/base/units.h"
#include "runtime/program/program.h"

const char *op_kind_name(op_kind k)
{
    static const char *const names[OP_KIND_COUNT] = {
        [OP_BATCH] = "batch",
        [OP_LOAD] = "load",
        [OP_LOAD_ROWS] = "load_rows",
        [OP_DRAIN] = "drain",
        [OP_DRAIN_ROWS] = "drain_rows",
        [OP_EMBED] = "embed",
        [OP_POSITION] = "position",
        [OP_NORM] = "norm",
        [OP_FORWARD] = "forward",
        [OP_BIAS] = "bias",
        [OP_ROPE] = "rope",
        [OP_CACHE] = "cache",
        [OP_ATTENTION] = "attention",
        [OP_ACT] = "act",
        [OP_RESIDUAL] = "residual",
        [OP_ROW] = "row",
        [OP_XENT_STATS] = "xent_stats",
        [OP_XENT_PICK] = "xent_pick",
        [OP_XENT_LOSS] = "xent_loss",
        [OP_XENT_GRAD] = "xent_grad",
        [OP_DINPUT] = "dinput",
        [OP_DWEIGHT] = "dweight",
        [OP_DBIAS] = "dbias",
        [OP_DNORM] = "dnorm",
        [OP_DNORM_W] = "dnorm_w",
        [OP_DACT] = "dact",
        [OP_DATTENTION] = "dattention",
        [OP_DEMBED] = "dembed",
        [OP_ADD] = "add",
        [OP_ZERO] = "zero",
        [OP_SEND] = "send",
        [OP_RECV] = "recv",
        [OP_ALLREDUCE] = "allreduce",
        [OP_LOSS] = "loss",
        [OP_GRAD_NORM] = "grad_norm",
        [OP_CLIP] = "clip",
        [OP_UPDATE] = "update",
    };
    return k >= 0 && k < OP_KIND_COUNT ? names[k] : "unknown";
}

const char *op_stream_name(op_stream s)
{
    static const char *const names[STREAM_COUNT] = {
        [STREAM_COMPUTE] = "compute", [STREAM_LOAD] = "load",
        [STREAM_DRAIN] = "drain",     [STREAM_TENSOR] = "tensor",
        [STREAM_PIPE_IN] = "pipe_in", [STREAM_PIPE_OUT] = "pipe_out",
        [STREAM_DATA] = "data",       [STREAM_HOST] = "host",
    };
    return s >= 0 && s < STREAM_COUNT ? names[s] : "unknown";
}

const char *op_group_name(op_group g)
{
    static const char *const names[GROUP_COUNT] = {
        [GROUP_NONE] = "none", [GROUP_TENSOR] = "tensor", [GROUP_DATA] = "data",
        [GROUP_TIE] = "tie",   [GROUP_WORLD] = "world",
    };
    return g >= 0 && g < GROUP_COUNT ? names[g] : "unknown";
}

const char *buf_class_name(buf_class c)
{
    static const char *const names[BUF_CLASS_COUNT] = {
        [BUF_WEIGHT] = "weight",       [BUF_GRADIENT] = "gradient",
        [BUF_OPTIMIZER] = "optimizer", [BUF_ACTIVATION] = "activation",
        [BUF_WORKING] = "working",     [BUF_LOGITS] = "logits",
        [BUF_SCRATCH] = "scratch",
    };
    return c >= 0 && c < BUF_CLASS_COUNT ? names[c] : "unknown";
}

/* Kind with its form: "forward/sum". */
typedef struct kind_text {
    char s[24];
} kind_text;

static kind_text kind_of(const prog_op *o)
{
    static const char *const forms[] = {"", "/expand", "/sum"};
    kind_text out;
    (void)snprintf(out.s, sizeof(out.s), "%s%s", op_kind_name((op_kind)o->kind),
                   o->form <= FORM_SUM ? forms[o->form] : "/?");
    return out;
}

/* A number, or a dash where the operation has none. */
typedef struct cell {
    char s[24];
} cell;

static cell number_or_dash(bool there, int64_t n)
{
    cell out = {"-"};
    if (there) {
        (void)snprintf(out.s, sizeof(out.s), "%lld", (long long)n);
    }
    return out;
}

static void print_op(const program *p, int32_t i, FILE *f)
{
    const prog_op *o = &p->ops[i];
    cell mb = {"-"};
    if (o->seqs > 0) {
        (void)snprintf(mb.s, sizeof(mb.s), "%d+%d", o->seq0, o->seqs);
    }
    fprintf(f, "%6d  %-8s  %-14s  %5s  %7s  %5s  %8s  %8s  %9s ", i,
            op_stream_name((op_stream)o->stream), kind_of(o).s,
            number_or_dash(o->layer >= 0, o->layer).s, mb.s,
            number_or_dash(o->param >= 0, o->param).s,
            number_or_dash(o->rows > 0, o->rows).s,
            o->flops > 0 ? units_count(o->flops).s : "-",
            o->bytes > 0 ? units_bytes(o->bytes).s : "-");
    for (int32_t d = 0; d < o->deps; d++) {
        const prog_dep *dep = &p->dep[o->dep0 + d];
        fprintf(f, " %d%s", dep->op, dep->distance > 0 ? "'" : "");
    }
    fputc('\n', f);
}

void prog_print(const program *p, FILE *f, int max_ops)
{
    fprintf(f, "%d operations, %d buffers, arena %s:", p->nops, p->nbufs,
            units_bytes((double)p->peak_bytes).s);
    for (int c = 0; c < BUF_CLASS_COUNT; c++) {
        if (p->class_bytes[c] > 0) {
            fprintf(f, " %s %s", buf_class_name((buf_class)c),
                    units_bytes((double)p->class_bytes[c]).s);
        }
    }
    fprintf(f, "\n%6s  %-8s  %-14s  %5s  %7s  %5s  %8s  %8s  %9s  %s\n", "op",
            "stream", "kind", "layer", "seqs", "param", "rows", "flops",
            "bytes", "waits for (' the step before)");
    int32_t n = max_ops > 0 && max_ops < p->nops ? max_ops : p->nops;
    for (int32_t i = 0; i < n; i++) {
        print_op(p, i, f);
    }
    if (n < p->nops) {
        fprintf(f, "... %d more\n", p->nops - n);
    }
}
