/*
 * Checkpoints: the state of a model in one HDF5 file that knows no layout.
 *
 * Tensors are whole and stand under their Hugging Face names and shapes, so a
 * run saved under one plan resumes under any other, or streamed, and h5py
 * opens the file as any other tool does:
 *
 *   /weights/<name> /adam_m/<name> /adam_v/<name>   float32, checksum each
 *   /config      the model's config.json, word for word
 *   /run_config  the run's effective configuration, JSON
 *   attributes   format "weft-checkpoint", format_version, ckpt_info
 *
 * benchmarks/RESULTS.md has the layout in full. A file appears whole or not
 * at all: an older one of that name stays until the new one is on the disk.
 * One parameter is in memory at a time (and one tensor of it as on disk).
 *
 * The model may be depth-cut: /config then says more layers than `layers`.
 *
 * Fails with ST_NOINPUT (missing), ST_BADFILE (foreign, truncated, tensors
 * missing or of another shape, newer format), ST_CORRUPT (a checksum
 * differs), ST_CONFIG (another model, no moments), ST_CANTCREATE, ST_LOCKED,
 * ST_IO (writing). HDF5 is not thread-safe: one thread a process.
 */
#ifndef WEFT_RESULTS_CHECKPOINT_H
#define WEFT_RESULTS_CHECKPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/status.h"
#include "runtime/base/text.h"
#include "runtime/comm/comm.h"
#include "runtime/device/store.h"
#include "runtime/gpt/arch.h"
#include "runtime/gpt/params.h"

/* What a checkpoint says about itself and its run. For ckpt_save texts are
 * the caller's (NULL: not known, left out); those that ckpt_peek made are
 * freed by ckpt_info_fini, and are "" where the file has none. */
typedef struct ckpt_info {
    char *model;        /* name; ckpt_save takes it from the arch           */
    uint64_t arch_hash; /* the same; of the model as cut                    */
    int32_t layers;     /* the same                                         */
    bool weights_only;  /* no moments: converted, or saved so               */
    int64_t step;       /* steps done                                       */
    int64_t adam_step;  /* updates done: counts bias correction             */
    uint64_t seed;
    int32_t data_leaves; /* 0 where there was no run                       */
    int32_t tensor_leaves;
    bool exact_sums;
    int64_t batch;      /* sequences in the global batch                   */
    int64_t seq;        /* tokens in a sequence                            */
    int64_t tokens;     /* tokens seen                                     */
    uint64_t data_hash; /* tokens_hash of the token file                   */
    char *data_path;
    char *config;     /* config.json, whole text                           */
    char *run_config; /* JSON text                                         */
    char *software;   /* out only: who wrote it, "weft 0.1.0"              */
} ckpt_info;

/* Where saved values come from. read fills the whole parameter (rows x cols
 * as in the parameter table) at rank 0; `full` is NULL on the others. It is
 * collective where ckpt_save is. */
typedef struct ckpt_source {
    void *self;
    status (*read)(void *self, int par, store_state which, float *full);
} ckpt_source;

/* Where loaded values go. `full` is lent for the call. Local. */
typedef struct ckpt_sink {
    void *self;
    status (*write)(void *self, int par, store_state which, const float *full);
} ckpt_sink;

/* Which states a loader wants. */
typedef enum ckpt_states { CKPT_WEIGHTS, CKPT_ALL } ckpt_states;

/* Writes the checkpoint at rank 0. `info` is the same on all ranks but for
 * its texts, which count at rank 0 only. All ranks get one status. Collective
 * over world; a NULL world is this process alone. Blocks on the disk. */
MUST_USE status ckpt_save(comm *world, const char *path, const arch *a,
                          const params *ps, const ckpt_info *info,
                          const ckpt_source *source);

/* Room that a checkpoint with optimizer state takes on the disk, a little more
 * than needed. Pure. */
int64_t ckpt_bytes(const params *ps);

/* Attributes and texts without any tensor. Owns: *info, ckpt_info_fini.
 * Local. */
MUST_USE status ckpt_peek(const char *path, ckpt_info *info);
/* A zeroed struct is fine. */
void ckpt_info_fini(ckpt_info *info);

/* The model in a checkpoint, as its /config and `layers` say. Local. */
MUST_USE status ckpt_arch(const char *path, arch *out);

/* Appends how the model of a checkpoint, as ckpt_peek read it, is another one
 * than `a` ("holds gpt-neo-tiny with 4 layers, not gpt-j-tiny: ..."); nothing
 * if it is the same. Pure but for memory. Local. */
void ckpt_model_differs(const ckpt_info *info, const arch *a, strbuf *out);

/* Hands every parameter of the model to the sink, weights first, then (for
 * CKPT_ALL) both moments. Everything but the values is checked before the
 * first one is handed over; each tensor's checksum before it is. Fails with
 * what the sink returns, too. Local: every rank reads the file. */
MUST_USE status ckpt_load(const char *path, const arch *a, const params *ps,
                          ckpt_states states, const ckpt_sink *sink);

/* Tells one checkpoint from another without reading its tensors: a hash of
 * the step and of the checksums that are stored beside those of `states`.
 * Local. */
MUST_USE status ckpt_hash(const char *path, ckpt_states states, uint64_t *hash);

#endif
