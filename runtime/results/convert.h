/*
 * Conversion of published models: a Hugging Face folder (config.json and
 * model.safetensors, in shards or not) to a checkpoint of weights alone, from
 * which a run starts with --init.
 *
 * Every tensor of the folder must be one of the model's, under the name that
 * Weft writes or another that published files have; and each of the model's
 * must be there, once, in its shape. Passed over: buffers that old files
 * carry (causal masks, rotary frequencies), and the head of a tied model if
 * it equals the embedding bit for bit. Values become float32.
 *
 * Everything but values is checked before the output is created; the output
 * appears whole or not at all. One parameter is in memory at a time. Local,
 * one thread.
 */
#ifndef WEFT_RESULTS_CONVERT_H
#define WEFT_RESULTS_CONVERT_H

#include "runtime/base/status.h"

/* Fails with ST_NOINPUT (no such folder or file in it), ST_BADFILE (tensors
 * unknown, missing, twice, of another shape or type), ST_CONFIG (config.json)
 * and as ckpt_save. Blocks on the disk. */
MUST_USE status convert_from_hf(const char *dir, const char *out_path);

#endif
