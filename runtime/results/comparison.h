/*
 * Comparison files: several set-ups of one or more models, side by side.
 *
 *   /runs              table, one row a set-up, refused ones too
 *   /<model>/<setup>   everything of its run file (runfile_read_at reads it)
 *   /config            the experiment, JSON text
 *   attributes         format "weft-comparison", format_version, created, ...
 *
 * Rows are added as set-ups finish and the file is readable meanwhile. See
 * benchmarks/RESULTS.md. Local, one thread. Fails like io/h5.h.
 */
#ifndef WEFT_RESULTS_COMPARISON_H
#define WEFT_RESULTS_COMPARISON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/status.h"

enum {
    COMPARISON_NAME_SIZE = 64,
    COMPARISON_GROUP_SIZE = 136,
    COMPARISON_REASONS_SIZE = 512,
    COMPARISON_WORD_SIZE = 8
};

/* A row of /runs. Not measured: NaN, and -1 in whole numbers. Texts longer
 * than their field are cut. Shares are of the steps' wall time, mean over
 * ranks, and add up to 1. */
typedef struct comparison_row {
    char name[COMPARISON_NAME_SIZE]; /* set-up: "streamed", "dp2.tp2"      */
    char model[COMPARISON_NAME_SIZE];
    char status[COMPARISON_WORD_SIZE]; /* "ok", "refused", "failed"        */
    char reasons[COMPARISON_REASONS_SIZE]; /* why not "ok"                 */
    char group[COMPARISON_GROUP_SIZE];    /* out: where its run is, "": none  */
    char clock[COMPARISON_WORD_SIZE];     /* rates by "wall" or "cpu" time    */
    char agreement[COMPARISON_WORD_SIZE]; /* with the judge: "bitwise",
                                           * "no"; "": not compared        */
    int32_t devices;
    int64_t peak_bytes; /* planned, largest of the ranks                   */
    double tokens_per_s;
    double flop_per_s;        /* model flops                               */
    double host_matmul_share; /* of the host's measured matmul rate        */
    double loss_first, loss_last;
    double loss_difference; /* largest, absolute, to the judge             */
    /* Of all ranks in one step. */
    double loaded_bytes, drained_bytes;
    double pipe_bytes, tensor_bytes, data_bytes, tie_bytes, world_bytes;
    double compute_share, load_share, comm_share, bubble_share;
    double optimizer_share, other_share;
    int64_t decisions;
    int64_t programs;
    int64_t communicators;
    int64_t messages;    /* in one step                                       */
    double first_step_s; /* from launch to the end of the first step       */
    int64_t switch_distance; /* characters                                 */
    double predicted_tokens_per_s; /* by the same clock as tokens_per_s    */
    double prediction_error; /* predicted over measured step time, less 1  */
    double prediction_pace;  /* of products, over that of calibration      */
} comparison_row;

/* Numbers "not measured", texts "". */
void comparison_row_init(comparison_row *row);

/* The group of a model, or under it of a set-up, of that name: all characters
 * but ASCII letters, digits and "_-+." are '_', and so is a first '.'; cut to
 * `size`. */
void comparison_group(const char *name, char *out, size_t size);
/* Whether the file has something else where the model's group would be. */
bool comparison_reserved(const char *model);

typedef struct comparison comparison;

/* A new file; an older one of that name stays until it is closed as whole, and
 * this one is `<path>.part` until then. config, commit may be NULL. Owns:
 * *out, comparison_close. */
MUST_USE status comparison_create(const char *path, const char *cmdline,
                                  const char *commit, const char *config,
                                  comparison **out);
/* Adds a row, and under row->group (comparison_group of model and name) a copy
 * of the run file; run_path NULL: there is none. A pair of model and name may
 * be added once. */
MUST_USE status comparison_add(comparison *c, comparison_row *row,
                               const char *run_path);
/* `whole`: all set-ups have been through; it takes the place of an older file.
 * Else the rows so far stay under the name they have, without any there is no
 * file. Frees *c, also on failure. A NULL *c is fine. */
MUST_USE status comparison_close(comparison **c, bool whole);
/* The name under which its rows can be read now; NULL: there are none yet.
 * Lends until it is closed. */
const char *comparison_path(const comparison *c);

/* All rows, in order. Owns: *rows, mem_free. */
MUST_USE status comparison_read(const char *path, comparison_row **rows,
                                int64_t *n);

#endif
