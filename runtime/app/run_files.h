/*
 * The files of a training run, looked at before anything starts: a run must
 * not end at its first checkpoint because a folder is missing or a disk is
 * full, and must not destroy what it reads or what another run writes.
 *
 * Local. run_files_claim is for the rank that writes, rank 0; other nodes may
 * not even have the folder.
 */
#ifndef WEFT_APP_RUN_FILES_H
#define WEFT_APP_RUN_FILES_H

#include "benchmarks/run_args.h"
#include "runtime/base/status.h"
#include "runtime/gpt/params.h"
#include "runtime/io/newfile.h"

typedef struct run_files {
    newfile_claim save, out;
} run_files;

/* Inputs can be read, are long enough, and are none of the outputs. */
MUST_USE status run_files_check(const run_args *a, const char *model);

/* Both outputs are this process's until run_files_release; the disk has room
 * for a checkpoint of these parameters. Owns: *out. */
MUST_USE status run_files_claim(const run_args *a, const params *ps,
                                run_files *out);
/* An all-zero struct is fine. */
void run_files_release(run_files *f);

#endif
