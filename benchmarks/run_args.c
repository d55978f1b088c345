#include "benchmarks/run_args.h"

#include <stdio.h>

#include "runtime/base/units.h"
#include "runtime/device/link.h"

static const char *const stores[] = {"ram", "null", "check", NULL};
static const char *const recomputes[] = {"auto", "none", "full", NULL};
static const char *const on_nans[] = {"stop", "skip", NULL};
static const char *const sums[] = {"exact", "fast", NULL};

#define A run_args

static const opt_row rows[] = {
    OPT_STR(A, plan, "plan", .value = "PLAN",
            .help =
                "partition: dp2.tp2.pp2, a file, or a name in configs/plans; "
                "none: streamed",
            .group = "Set-up"),
    OPT_CHOICE(A, store, "store", stores, .def = "ram",
               .help = "where a streamed model's state is; null: nowhere, "
                       "time is the link's"),
    OPT_SIZE(A, device_memory, "device-memory", .value = "SIZE", .def = "0",
             .help = "hard limit of a device's memory; 0: what is needed"),
    OPT_RATE(A, link_rate, "link-rate", .value = "RATE", .def = "0",
             .help = "throttle between store and device, each way; 0: none, "
                     "else at least 64 kB/s"),
    OPT_TIME(A, link_latency, "link-latency", .value = "TIME", .def = "0",
             .max = 10, .help = "added to each transfer"),
    OPT_I64(A, micro_batch, "micro-batch", .value = "SEQS", .def = "0",
            .min = 0, .max = 1e6, .help = "sequences; 0: chosen"),
    OPT_CHOICE(A, recompute, "recompute", recomputes, .def = "auto",
               .help = "activations: kept, or made again in backward"),
    OPT_CHOICE(A, sums, "sums", sums, .def = "exact",
               .help = "exact: the same bits under every plan"),
    OPT_I64(A, data_leaves, "data-leaves", .value = "N", .def = "0", .min = 0,
            .max = 64,
            .help = "parts of a sum over the batch; 0: the checkpoint's, "
                    "the plan's, or 4"),
    OPT_I64(A, tensor_leaves, "tensor-leaves", .value = "N", .def = "0",
            .min = 0, .max = 64,
            .help = "parts of a sum over heads, columns; 0: the same"),
    OPT_I64(A, threads, "threads", .value = "N", .def = "0", .min = 0,
            .max = 1024,
            .help = "compute threads of a rank; 0: cores / local ranks"),
    OPT_FLAG(A, reference, "reference-kernels",
             .help = "the plain kernels, for comparison"),
    OPT_STR(A, machine, "machine", .value = "FILE",
            .help = "predict times on it; weft calibrate describes this one"),

    OPT_STR(A, data, "data", .value = "FILE",
            .help = "tokens (nanoGPT, llm.c, Megatron), or text as bytes",
            .group = "Training"),
    OPT_I64(A, steps, "steps", .value = "N", .def = "20", .min = 1, .max = 1e9,
            .help = "optimizer steps"),
    OPT_I64(A, batch, "batch", .value = "SEQS", .def = "8", .min = 1,
            .max = 1e6, .help = "sequences in a step"),
    OPT_I64(A, seq, "seq", .value = "N", .def = "128", .min = 1, .max = 1e6,
            .unit = "tokens", .help = "length of a sequence"),
    OPT_I64(A, layers, "layers", .value = "N", .def = "0", .min = 0, .max = 256,
            .help = "cut depth, keep width; 0: all"),
    OPT_I64(A, vocab, "vocab", .value = "N", .def = "0", .min = 0,
            .max = ARCH_VOCAB_MAX, .unit = "tokens",
            .help = "another vocabulary, for a new run; 0: the model's"),
    OPT_F64(A, lr, "lr", .value = "RATE", .def = "1e-3", .min = 1e-12,
            .max = 10, .help = "learning rate after warm-up"),
    OPT_F64(A, min_lr, "min-lr", .value = "RATE", .def = "1e-4", .min = 0,
            .max = 10,
            .help = "at the end of the cosine; of another --lr its tenth"),
    OPT_I64(A, warmup, "warmup", .value = "N", .def = "5", .min = 0, .max = 1e9,
            .unit = "steps", .help = "linear warm-up"),
    OPT_F64(A, beta1, "beta1", .def = "0.9", .min = 0, .max = 0.999999,
            .help = "AdamW"),
    OPT_F64(A, beta2, "beta2", .def = "0.95", .min = 0, .max = 0.999999,
            .help = "AdamW"),
    OPT_F64(A, eps, "eps", .def = "1e-8", .min = 1e-20, .max = 1,
            .help = "AdamW"),
    OPT_F64(A, weight_decay, "weight-decay", .def = "0.1", .min = 0, .max = 10,
            .help = "of matrices and embeddings"),
    OPT_F64(A, grad_clip, "grad-clip", .value = "NORM", .def = "1", .min = 0,
            .max = 1e9, .help = "largest gradient norm; 0: no clipping"),
    OPT_CHOICE(A, on_nan, "on-nan", on_nans, .def = "stop",
               .help = "a step that is not finite: stop, or skip its update"),
    OPT_I64(A, seed, "seed", .value = "N", .def = "1", .min = 0, .max = 9e18,
            .help = "of weights and of the order of data"),
    OPT_F64(A, val_fraction, "val-fraction", .def = "0.1", .min = 0, .max = 0.9,
            .help = "of the tokens, at the end, to validate"),
    OPT_I64(A, val_every, "val-every", .value = "N", .def = "0", .min = 0,
            .max = 1e9, .unit = "steps", .help = "0: never"),
    OPT_I64(A, val_batches, "val-batches", .value = "N", .def = "4", .min = 1,
            .max = 1e9, .help = "at most"),

    OPT_STR(A, init, "init", .value = "CKPT",
            .help = "start from the weights of a checkpoint", .group = "Files"),
    OPT_STR(A, resume, "resume", .value = "CKPT",
            .help = "go on from a checkpoint, under any set-up"),
    OPT_STR(A, save, "save", .value = "CKPT",
            .help = "write a checkpoint at the end and when stopped"),
    OPT_I64(A, save_every, "save-every", .value = "N", .def = "0", .min = 0,
            .max = 1e9, .unit = "steps", .help = "and every N; 0: not"),
    OPT_I64(A, stop_after, "stop-after", .value = "N", .def = "0", .min = 0,
            .max = 1e9, .unit = "steps",
            .help = "of this start, save and stop as a signal would; 0: not"),
    OPT_STR(A, out, "out", .value = "FILE", .help = "results (HDF5)"),
    OPT_I64(A, log_every, "log-every", .value = "N", .def = "1", .min = 0,
            .max = 1e9, .unit = "steps", .help = "lines on the terminal"),
    OPT_FLAG(A, quiet, "quiet", .letter = 'q', .help = "no lines at all"),
    OPT_I64(A, launched_at, "launched-at", .value = "NS", .def = "0",
            .help = "when the launcher started, monotonic clock",
            .hidden = true),
};

const opt_command train_command = {
    .name = "train",
    .usage = "MODEL --data FILE [options]",
    .about = "Trains MODEL (a name in configs/models, a config.json, or a "
             "folder with one) on FILE.\nWithout --plan the weights stream "
             "past one device: no decision is needed.",
    .example = "weft train gpt-neo-mini --data book.txt --steps 50\n"
               "weft train gpt-j-mini --data book.txt --plan tp2 --save a.h5\n"
               "weft train gpt-j-mini --data book.txt --resume a.h5 "
               "--steps 40",
    .see = "plans, models, doctor",
    .min_args = 1,
    .max_args = 1,
    OPT_ROWS(rows),
};

/* What describes a set-up: those of weft project. */
static const char *const setup_options_only[] = {
    "plan",        "store",     "device-memory", "link-rate",   "link-latency",
    "micro-batch", "recompute", "sums",          "data-leaves", "tensor-leaves",
    "threads",     "machine",   "batch",         "seq",         "layers",
    "vocab",       NULL};

const opt_command project_command = {
    .name = "project",
    .usage = "MODEL --machine FILE [--plan PLAN] [options]",
    .about = "Runs a step on a virtual clock against a described machine: "
             "its time, memory, and where\nthe time goes. Nothing is "
             "trained. The link is the machine's, --link-rate throttles it;\n"
             "cores are the machine's, shared by the ranks.",
    .example = "weft calibrate -o host.json\n"
               "weft project gpt-neo-125m --machine host.json --seq 256 "
               "--plan dp2.tp2",
    .see = "plans, models",
    .min_args = 1,
    .max_args = 1,
    OPT_ROWS(rows),
    .only = setup_options_only,
};

status run_args_check_idle(const run_args *a, const opt_parsed *p,
                           const char *command)
{
    static const char *const stream[] = {"store", "link-rate", "link-latency"};
    for (int i = 0; a->plan != NULL && i < 3; i++) {
        REQUIRE(!opt_given(p, stream[i]), ST_USAGE,
                "%s: --%s is for streaming, a plan has no store; leave it "
                "or --plan out",
                command, stream[i]);
    }
    bool leaves = opt_given(p, "data-leaves") || opt_given(p, "tensor-leaves");
    REQUIRE(a->sums == 0 || !leaves || a->launched_at > 0, ST_USAGE,
            "%s: --sums fast has no leaves; leave --data-leaves and "
            "--tensor-leaves out",
            command);
    return ST_OK;
}

const char *run_args_unpredicted(const run_args *a)
{
    bool streamed = a->plan == NULL;
    return a->reference                                ? "--reference-kernels"
           : streamed && a->store == SETUP_STORE_NULL  ? "--store null"
           : streamed && a->store == SETUP_STORE_CHECK ? "--store check"
                                                       : NULL;
}

void run_args_default(run_args *a, bool min_lr_given)
{
    a->min_lr = min_lr_given ? a->min_lr : 0.1 * a->lr;
}

const char *run_args_fault(const run_args *a, char why[RUN_ARGS_WHY_SIZE])
{
    if (a->link_rate > 0 && a->link_rate < LINK_RATE_LEAST) {
        (void)snprintf(why, RUN_ARGS_WHY_SIZE,
                       "%s is too slow, a step would not end; allowed is 0 (no "
                       "throttle) or %s and more",
                       units_rate(a->link_rate).s,
                       units_rate(LINK_RATE_LEAST).s);
        return "link_rate";
    }
    if (a->min_lr > a->lr) {
        (void)snprintf(why, RUN_ARGS_WHY_SIZE,
                       "%g is above lr %g, to which the rate rises; allowed is "
                       "0 to %g",
                       a->min_lr, a->lr, a->lr);
        return "min_lr";
    }
    if (a->val_every > 0 && a->val_fraction <= 0) {
        (void)snprintf(why, RUN_ARGS_WHY_SIZE,
                       "%lld needs tokens to validate on, and val-fraction is "
                       "0; allowed is 0, or a val-fraction above 0",
                       (long long)a->val_every);
        return "val_every";
    }
    return NULL;
}

status run_args_check_values(const run_args *a, const char *command)
{
    char why[RUN_ARGS_WHY_SIZE];
    char option[32];
    const char *fault = run_args_fault(a, why);
    if (fault == NULL) {
        return ST_OK;
    }
    (void)snprintf(option, sizeof(option), "%s", fault);
    for (char *c = option; *c != '\0'; c++) {
        *c = *c == '_' ? '-' : *c;
    }
    return FAIL(ST_USAGE, "%s: --%s %s", command, option, why);
}

void run_args_setup(const run_args *a, const char *model, setup_options *out)
{
    *out = (setup_options){
        .model = model,
        .layers = a->layers,
        .vocab = a->vocab,
        .plan = a->plan,
        .store = (setup_store)a->store,
        .device_memory = a->device_memory,
        .batch = a->batch,
        .seq = a->seq,
        .micro_batch = a->micro_batch,
        .data_leaves = a->data_leaves,
        .tensor_leaves = a->tensor_leaves,
        .fast_sums = a->sums == 1,
        .recompute = (setup_recompute)a->recompute,
        .threads = (int)a->threads,
        .reference = a->reference,
        .runs_here = true,
    };
}
