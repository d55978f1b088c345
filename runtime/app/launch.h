/*
 * Starting jobs: the environment that ranks need, and running this program
 * under mpirun. Local, before MPI starts.
 */
#ifndef WEFT_APP_LAUNCH_H
#define WEFT_APP_LAUNCH_H

#include <stdbool.h>

#include "runtime/base/status.h"

/* Descriptors 0 to 2 that are closed get /dev/null, or a file that is opened
 * later would be taken for the standard output and written into. A file size
 * over the limit (ulimit -f) becomes an error of the write, not a signal. */
void launch_fix_descriptors(void);

/* Sets what libraries read when they are loaded and starts the program over
 * if something was missing: idle OpenMP threads must sleep, not spin, or
 * they take the core from the thread that moves weights. */
void launch_fix_environment(char **argv);

/* True if this process was started by mpirun. */
bool launch_is_rank(void);
/* Ranks that mpirun started, 0 if it did not start this process; and which
 * of them this is. */
int launch_ranks(void);
int launch_rank(void);
/* How many of them are on this node. */
int launch_local_ranks(void);

/* srun without PMIx has started several of us, each alone. */
bool launch_slurm_alone(void);
/* Fails with ST_CONFIG then: each would do the whole work, or start a whole
 * job of its own. */
MUST_USE status launch_check_slurm(void);

/* A variable that a library or a launcher reads, for reports on them; never
 * an option of Weft. NULL if it is not set. */
const char *launch_variable(const char *name);

/* Runs `weft args...` (NULL-terminated, without the program's name) as
 * `ranks` ranks under mpirun, or as a plain process for one rank. Blocks.
 * *code is its exit code; if that is not 0, status_text()
 * is the first error that it wrote to standard error, "" if there is none or
 * a rank alone, not quiet, wrote it (to ours). SIGINT, SIGTERM, SIGHUP, SIGUSR1
 * of this one become SIGUSR1 of the job: save at the next step and stop. A
 * second SIGINT ends the job within about a second and then this process (exit
 * code 130); the death of this process ends the job, too. A command that has
 * called stop_catch finds stop_asked afterwards. quiet: its stdout goes
 * nowhere. Fails with ST_SYSTEM if it cannot be started, with ST_IO if it did
 * what it should but its stdout could not be passed on, and as
 * launch_check_slurm. */
MUST_USE status launch_run(const char *const *args, int ranks, bool quiet,
                           int *code);

/* The same, quiet, as a comparison starts its set-ups; self: not used. */
MUST_USE status launch_job(void *self, const char *const *args, int ranks,
                           int *code);

void launch_print_version(void);

#endif
