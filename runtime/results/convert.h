/*
 * Conversion of published models, both ways: a Hugging Face folder
 * (config.json and model.safetensors, in shards or not) to a checkpoint of
 * weights alone, from which a run starts with --init; and any checkpoint to
 * such a folder, which transformers loads.
 *
 * Reading: every tensor of the folder must be one of the model's, under the
 * name that Weft writes or another that published files have; and each of the
 * model's must be there, once, in its shape; the embedding of a tied model may
 * be there as its head. Passed over: buffers that old files carry (causal
 * masks, rotary frequencies), and the head of a tied model if it equals the
 * embedding bit for bit. Values become float32: exactly from F16 and BF16,
 * rounded from F64, of which those beyond float32 are refused.
 *
 * Writing: float32, names and layouts of published files. A folder that was
 * read and is written again has the same tensors bit for bit; so has a
 * checkpoint that was written and is read again. Of a run's state only the
 * weights go along.
 *
 * Everything but values is checked before an output is created; a checkpoint
 * and a folder appear whole or not at all. One parameter is in memory at a
 * time. Local, one thread. Blocks on the disk.
 */
#ifndef WEFT_RESULTS_CONVERT_H
#define WEFT_RESULTS_CONVERT_H

#include <stdint.h>

#include "runtime/base/status.h"

/* What was read or written. */
typedef struct convert_summary {
    int64_t tensors;
    int64_t parameters;
    int64_t widened; /* tensors that came as F16 or BF16: exact     */
    int64_t rounded; /* tensors that came as F64                    */
    int64_t shards;  /* files with tensors                          */
} convert_summary;

/* said may be NULL. Fails with ST_NOINPUT (no such folder or file in it),
 * ST_BADFILE (tensors unknown, missing, twice, of another shape or type, or
 * with a value beyond float32),
 * ST_CONFIG (config.json) and as ckpt_save. */
MUST_USE status convert_from_hf(const char *dir, const char *out_path,
                                convert_summary *said);

/* Writes the folder `dir`, which must not exist or be empty. Tensors go into
 * as few files of at most shard_bytes as their order allows; one that is
 * larger has a file of its own. said may be NULL. Fails as ckpt_load, and with
 * ST_CANTCREATE (folder not empty, no room for it), ST_LOCKED (another run is
 * writing it), ST_SIGNAL (base/stop.h), ST_IO, ST_CONFIG (more than
 * SAFETENSORS_SHARDS_MAX files). */
MUST_USE status convert_to_hf(const char *ckpt_path, const char *dir,
                              int64_t shard_bytes, convert_summary *said);

#endif
