/* The layout of run files as tables; benchmarks/RESULTS.md is its text. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/hash.h"
#include "runtime/base/mem.h"
#include "runtime/base/text.h"
#include "runtime/results/runfile_impl.h"

const char run_format[] = "weft-run";
const char run_steps_attr[] = "steps";

/* ---- columns ------------------------------------------------------------- */

#define AT(member) offsetof(run_step, member)
#define LEDGER(member, what)                                                   \
    {#member "_s", "s", what ", mean over ranks", AT(mean.member)},            \
    {                                                                          \
#member "_s_max", "s", what ", largest of the ranks", AT(max.member)   \
    }

const run_column run_step_columns[RUN_STEP_COLUMNS] = {
    {"loss", "nat", "mean cross entropy per token of the global batch",
     AT(loss)},
    {"grad_norm", "1", "2-norm of the gradient before clipping", AT(grad_norm)},
    {"lr", "1", "learning rate", AT(lr)},
    {"wall_s", "s", "wall time of the step", AT(wall_s)},
    {"cpu_s", "s", "processor time of the step, all ranks together", AT(cpu_s)},
    {"tokens_per_s", "1/s", "tokens of the global batch a second",
     AT(tokens_per_s)},
    LEDGER(compute, "computing"),
    LEDGER(load, "waiting for the store"),
    LEDGER(comm, "exposed communication"),
    LEDGER(bubble, "waiting for the last partner to arrive"),
    LEDGER(optimizer, "optimizer"),
    LEDGER(other, "everything else"),
};

const run_column run_validation_column = {
    "loss", "nat", "mean cross entropy per token of the validation part",
    offsetof(run_validation, loss)};

/* ---- attributes ---------------------------------------------------------- */

#define ATTR(row, member, kind)                                                \
    {                                                                          \
#member, (kind), offsetof(row, member), sizeof(((row *)0)->member)     \
    }
#define ATTRS(list)                                                            \
    {                                                                          \
        (list), sizeof(list) / sizeof((list)[0])                               \
    }

static const run_attr info_list[] = {
    ATTR(run_info, model, RUN_ATTR_TEXT),
    ATTR(run_info, plan, RUN_ATTR_TEXT),
    ATTR(run_info, cmdline, RUN_ATTR_TEXT),
    ATTR(run_info, commit, RUN_ATTR_TEXT),
    ATTR(run_info, created, RUN_ATTR_TEXT),
    ATTR(run_info, store, RUN_ATTR_TEXT),
    ATTR(run_info, kernels, RUN_ATTR_TEXT),
    ATTR(run_info, arch_hash, RUN_ATTR_HASH),
    ATTR(run_info, data_hash, RUN_ATTR_HASH),
    ATTR(run_info, seed, RUN_ATTR_I64),
    ATTR(run_info, parameters, RUN_ATTR_I64),
    ATTR(run_info, flops_per_token, RUN_ATTR_F64),
    ATTR(run_info, batch, RUN_ATTR_I64),
    ATTR(run_info, seq, RUN_ATTR_I64),
    ATTR(run_info, ranks, RUN_ATTR_I32),
    ATTR(run_info, data_leaves, RUN_ATTR_I32),
    ATTR(run_info, tensor_leaves, RUN_ATTR_I32),
    ATTR(run_info, oversubscribed, RUN_ATTR_BOOL),
    ATTR(run_info, complete, RUN_ATTR_BOOL),
};
const run_attrs run_info_attrs = ATTRS(info_list);

static const run_attr setup_list[] = {
    ATTR(run_setup, programs, RUN_ATTR_I64),
    ATTR(run_setup, communicators, RUN_ATTR_I64),
    ATTR(run_setup, messages, RUN_ATTR_I64),
    ATTR(run_setup, bytes, RUN_ATTR_F64),
    ATTR(run_setup, launch_s, RUN_ATTR_F64),
    ATTR(run_setup, planning_s, RUN_ATTR_F64),
    ATTR(run_setup, communicators_s, RUN_ATTR_F64),
    ATTR(run_setup, weights_s, RUN_ATTR_F64),
    ATTR(run_setup, first_step_s, RUN_ATTR_F64),
    ATTR(run_setup, switch_distance, RUN_ATTR_I64),
};
const run_attrs run_setup_attrs = ATTRS(setup_list);

static const run_attr host_list[] = {
    ATTR(run_host, hostname, RUN_ATTR_FIELD),
    ATTR(run_host, cpu, RUN_ATTR_FIELD),
    ATTR(run_host, blas, RUN_ATTR_FIELD),
    ATTR(run_host, mpi, RUN_ATTR_FIELD),
    ATTR(run_host, hdf5, RUN_ATTR_FIELD),
    ATTR(run_host, cores, RUN_ATTR_I32),
    ATTR(run_host, threads, RUN_ATTR_I32),
    ATTR(run_host, matmul_gflops, RUN_ATTR_F64),
};
const run_attrs run_host_attrs = ATTRS(host_list);

static const run_attr prediction_list[] = {
    ATTR(run_prediction, machine, RUN_ATTR_FIELD),
    ATTR(run_prediction, clock, RUN_ATTR_FIELD),
    ATTR(run_prediction, step_s, RUN_ATTR_F64),
    ATTR(run_prediction, measured_step_s, RUN_ATTR_F64),
    ATTR(run_prediction, wall_s, RUN_ATTR_F64),
    ATTR(run_prediction, measured_wall_s, RUN_ATTR_F64),
    ATTR(run_prediction, cpu_s, RUN_ATTR_F64),
    ATTR(run_prediction, measured_cpu_s, RUN_ATTR_F64),
    ATTR(run_prediction, pace, RUN_ATTR_F64),
    ATTR(run_prediction, peak_bytes, RUN_ATTR_I64),
    ATTR(run_prediction, measured_peak_bytes, RUN_ATTR_I64),
};
const run_attrs run_prediction_attrs = ATTRS(prediction_list);

/* ---- tables -------------------------------------------------------------- */

#define NAMED(row, name, member)                                               \
    {                                                                          \
        (name), H5_I64, offsetof(row, member), 0, false                        \
    }
#define LAYOUT(list, row)                                                      \
    {                                                                          \
        (list), sizeof(list) / sizeof((list)[0]), sizeof(row)                  \
    }

static const h5_field rank_fields[] = {
    H5_FIELD(run_rank, rank, H5_I32),
    H5_FIELD(run_rank, data, H5_I32),
    H5_FIELD(run_rank, pipe, H5_I32),
    H5_FIELD(run_rank, tensor, H5_I32),
    {"class", H5_I32, offsetof(run_rank, class_index), 0, false},
    H5_FIELD(run_rank, threads, H5_I32),
    H5_FIELD(run_rank, host, H5_TEXT),
    H5_FIELD(run_rank, arena_bytes, H5_I64),
    H5_FIELD(run_rank, peak_bytes, H5_I64),
    NAMED(run_rank, "peak_weights", class_bytes[BUF_WEIGHT]),
    NAMED(run_rank, "peak_gradients", class_bytes[BUF_GRADIENT]),
    NAMED(run_rank, "peak_optimizer", class_bytes[BUF_OPTIMIZER]),
    NAMED(run_rank, "peak_activations", class_bytes[BUF_ACTIVATION]),
    NAMED(run_rank, "peak_working", class_bytes[BUF_WORKING]),
    NAMED(run_rank, "peak_logits", class_bytes[BUF_LOGITS]),
    NAMED(run_rank, "peak_scratch", class_bytes[BUF_SCRATCH]),
    H5_FIELD(run_rank, loaded_bytes, H5_I64),
    H5_FIELD(run_rank, drained_bytes, H5_I64),
    NAMED(run_rank, "sent_pipe", sent_bytes[GROUP_NONE]),
    NAMED(run_rank, "sent_tensor", sent_bytes[GROUP_TENSOR]),
    NAMED(run_rank, "sent_data", sent_bytes[GROUP_DATA]),
    NAMED(run_rank, "sent_tie", sent_bytes[GROUP_TIE]),
    NAMED(run_rank, "sent_world", sent_bytes[GROUP_WORLD]),
    NAMED(run_rank, "received_pipe", received_bytes[GROUP_NONE]),
    NAMED(run_rank, "received_tensor", received_bytes[GROUP_TENSOR]),
    NAMED(run_rank, "received_data", received_bytes[GROUP_DATA]),
    NAMED(run_rank, "received_tie", received_bytes[GROUP_TIE]),
    NAMED(run_rank, "received_world", received_bytes[GROUP_WORLD]),
    H5_FIELD(run_rank, store_bytes, H5_I64),
    H5_FIELD(run_rank, step_allocs, H5_I64),
    H5_FIELD(run_rank, library_bytes, H5_I64),
    H5_FIELD_ADDED(run_rank, touched_bytes, H5_I64),
};
const h5_layout run_rank_layout = LAYOUT(rank_fields, run_rank);

_Static_assert(BUF_CLASS_COUNT == 7 && GROUP_COUNT == 5,
               "a new class or group needs its columns above");

static const h5_field traffic_fields[] = {
    H5_FIELD(run_traffic, from, H5_I32),
    H5_FIELD(run_traffic, to, H5_I32),
    H5_FIELD(run_traffic, bytes, H5_I64),
};
const h5_layout run_traffic_layout = LAYOUT(traffic_fields, run_traffic);

static const h5_field decision_fields[] = {
    H5_FIELD(run_decision, key, H5_TEXT),
    H5_FIELD(run_decision, value, H5_TEXT),
    H5_FIELD(run_decision, rules, H5_TEXT),
};
const h5_layout run_decision_layout = LAYOUT(decision_fields, run_decision);

static const h5_field op_fields[] = {
    H5_FIELD(run_op_count, kind, H5_TEXT),
    H5_FIELD(run_op_count, count, H5_I64),
    H5_FIELD(run_op_count, flops, H5_F64),
    H5_FIELD(run_op_count, bytes, H5_F64),
};
const h5_layout run_op_layout = LAYOUT(op_fields, run_op_count);

static const h5_field trace_fields[] = {
    H5_FIELD(run_trace, rank, H5_I32),
    H5_FIELD(run_trace, op, H5_I32),
    H5_FIELD(run_trace, kind, H5_TEXT),
    H5_FIELD(run_trace, stream, H5_TEXT),
    H5_FIELD(run_trace, layer, H5_I32),
    H5_FIELD(run_trace, seq0, H5_I32),
    H5_FIELD(run_trace, seqs, H5_I32),
    H5_FIELD(run_trace, start_ns, H5_I64),
    H5_FIELD(run_trace, end_ns, H5_I64),
    H5_FIELD(run_trace, cpu_ns, H5_I64),
    H5_FIELD(run_trace, flops, H5_F64),
    H5_FIELD(run_trace, bytes, H5_F64),
    H5_FIELD(run_trace, predicted_ns, H5_F64),
    H5_FIELD_ADDED(run_trace, predicted_start_ns, H5_F64),
    H5_FIELD_ADDED(run_trace, peer, H5_I32),
    H5_FIELD_ADDED(run_trace, tag, H5_I32),
};
const h5_layout run_trace_layout = LAYOUT(trace_fields, run_trace);

static const h5_field kind_fields[] = {
    H5_FIELD(run_predicted_kind, kind, H5_TEXT),
    H5_FIELD(run_predicted_kind, count, H5_I64),
    H5_FIELD(run_predicted_kind, predicted_wall_ns, H5_F64),
    H5_FIELD(run_predicted_kind, measured_wall_ns, H5_F64),
    H5_FIELD(run_predicted_kind, predicted_cpu_ns, H5_F64),
    H5_FIELD(run_predicted_kind, measured_cpu_ns, H5_F64),
};
const h5_layout run_kind_layout = LAYOUT(kind_fields, run_predicted_kind);

static const h5_field account_fields[] = {
    H5_FIELD(run_account, account, H5_TEXT),
    H5_FIELD(run_account, predicted_s, H5_F64),
    H5_FIELD(run_account, measured_s, H5_F64),
};
const h5_layout run_account_layout = LAYOUT(account_fields, run_account);

const char *const run_account_names[RUN_ACCOUNTS] = {
    "compute", "load", "comm", "bubble", "optimizer", "other"};

/* ---- attributes to and from structs -------------------------------------- */

static status attr_write(h5_file *f, const char *group, const run_attr *attr,
                         const char *at)
{
    char hash[HASH_TEXT_BYTES];
    const char *text = at;

    switch (attr->kind) {
    case RUN_ATTR_I32:
        return h5_attr_set_i64(f, group, attr->name, *(const int32_t *)at);
    case RUN_ATTR_I64:
        return h5_attr_set_i64(f, group, attr->name, *(const int64_t *)at);
    case RUN_ATTR_F64:
        return h5_attr_set_f64(f, group, attr->name, *(const double *)at);
    case RUN_ATTR_BOOL:
        return h5_attr_set_i64(f, group, attr->name, *(const bool *)at);
    case RUN_ATTR_TEXT:
        text = *(char *const *)at;
        text = text != NULL ? text : "";
        break;
    case RUN_ATTR_FIELD:
        break;
    case RUN_ATTR_HASH:
        hash_text(*(const uint64_t *)at, hash);
        text = hash;
        break;
    }
    return h5_attr_set_text(f, group, attr->name, text);
}

status run_attrs_write(h5_file *f, const char *group, const run_attrs *attrs,
                       const void *from)
{
    for (int i = 0; i < attrs->n; i++) {
        TRY(attr_write(f, group, &attrs->list[i],
                       (const char *)from + attrs->list[i].offset));
    }
    return ST_OK;
}

static status text_attr_read(const h5_file *f, const char *group,
                             const run_attr *attr, char *at)
{
    char *text = NULL;
    status st = ST_OK;

    TRY(h5_attr_get_text(f, group, attr->name, "", &text));
    if (attr->kind == RUN_ATTR_TEXT) {
        *(char **)at = text;
        return ST_OK;
    }
    if (attr->kind == RUN_ATTR_FIELD) {
        text_copy(at, attr->bytes, text);
    } else if (text[0] != '\0') {
        st = hash_parse(text, (uint64_t *)at);
    }
    mem_free(text);
    return st;
}

static status attr_read(const h5_file *f, const char *group,
                        const run_attr *attr, char *at)
{
    const bool is_flag = attr->kind == RUN_ATTR_BOOL;
    int64_t value = 0;

    switch (attr->kind) {
    case RUN_ATTR_F64:
        return h5_attr_get_f64(f, group, attr->name, (double)NAN, (double *)at);
    case RUN_ATTR_TEXT:
    case RUN_ATTR_FIELD:
    case RUN_ATTR_HASH:
        return text_attr_read(f, group, attr, at);
    case RUN_ATTR_I32:
    case RUN_ATTR_I64:
    case RUN_ATTR_BOOL:
        break;
    }
    TRY(h5_attr_get_i64(f, group, attr->name, is_flag ? 0 : -1, &value));
    if (attr->kind == RUN_ATTR_I64) {
        *(int64_t *)at = value;
    } else if (attr->kind == RUN_ATTR_I32) {
        REQUIRE(value >= INT32_MIN && value <= INT32_MAX, ST_BADFILE,
                "%s: %s: %s is %lld, more than 32 bits", h5_path(f), group,
                attr->name, (long long)value);
        *(int32_t *)at = (int32_t)value;
    } else {
        *(bool *)at = value != 0;
    }
    return ST_OK;
}

status run_attrs_read(const h5_file *f, const char *group,
                      const run_attrs *attrs, void *to)
{
    for (int i = 0; i < attrs->n; i++) {
        TRY(attr_read(f, group, &attrs->list[i],
                      (char *)to + attrs->list[i].offset));
    }
    return ST_OK;
}
