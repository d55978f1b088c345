/*
 * Run files: the results of one run, readable while they are written.
 *
 *   /steps        columns by step: loss, rate, times, time ledger
 *   /ledger       seconds by step, rank and account (optional)
 *   /validation   columns by step: loss
 *   /ranks        table, one row a rank: memory, bytes, place
 *   /traffic      table, bytes from rank to rank (optional)
 *   /setup        what it took to set up: decisions, machinery, seconds
 *   /host         the machine and libraries
 *   /trace        table, one row an operation of one step (optional)
 *   /prediction   what a model of the machine said of the steps (optional)
 *   /config       effective configuration, JSON text
 *   attributes    format "weft-run", format_version, run_info
 *
 * benchmarks/RESULTS.md describes every column, with units; the structs here
 * are its rows. All parts but the attributes are optional for a reader: a run
 * in progress or cut short has fewer.
 *
 * Rank 0 alone makes a run file; what other ranks know comes to it in plain
 * arrays, gathered by the caller. What a call records is handed to the
 * operating system before it returns: another process sees it, a crash of
 * this one loses nothing of it. Steps are the exception: writing one costs 2
 * ms, so short steps are written together, about five times a second (a crash
 * loses a quarter of a second of them); longer ones each at once.
 *
 * Times are seconds, sizes bytes; NaN is "not measured" in real numbers, -1
 * in whole ones where said. Texts longer than their field are cut.
 *
 * Local, one thread (HDF5 is not thread-safe). Fails like io/h5.h.
 */
#ifndef WEFT_RESULTS_RUNFILE_H
#define WEFT_RESULTS_RUNFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/status.h"
#include "runtime/base/text.h"
#include "runtime/program/program.h"

/* ---- rows ---------------------------------------------------------------- */

/* The run as a whole. For runfile_create texts are the caller's, NULL where
 * not known; runfile_read makes its own, "" where the file has none. */
typedef struct run_info {
    char *model;
    char *plan; /* "streamed" or shorthand, "dp2.tp2"                    */
    char *cmdline;
    char *commit;  /* of the source, if known                               */
    char *config;  /* effective configuration, JSON text                    */
    char *created; /* out only: UTC, "2026-01-31T12:34:56Z"                */
    char *store;   /* that a streamed model is in: "ram", "null"; else ""   */
    char *kernels; /* "opt" or "ref"                                        */
    uint64_t arch_hash;
    uint64_t data_hash; /* tokens_hash of the data; 0: not known           */
    uint64_t seed;
    int64_t parameters;
    double flops_per_token; /* model flops, see arch_flops_per_token       */
    int64_t batch;          /* sequences in the global batch               */
    int64_t seq;            /* tokens in a sequence                        */
    int32_t ranks;
    int32_t data_leaves;
    int32_t tensor_leaves;
    bool exact_sums;
    bool oversubscribed; /* ranks share cores: wall times mean little      */
    bool complete;       /* out only: the run ended as it should           */
} run_info;

/* Where the time of a step went, seconds; see exec_ledger. */
typedef struct run_ledger {
    double compute;
    double load;
    double comm;
    double bubble;
    double optimizer;
    double other;
} run_ledger;

/* The ledger's accounts: the last dimension of /ledger, in this order. */
enum { RUN_ACCOUNTS = 6 };
extern const char *const run_account_names[RUN_ACCOUNTS];
_Static_assert(sizeof(run_ledger) == RUN_ACCOUNTS * sizeof(double),
               "a ledger is its accounts and nothing else");

typedef struct run_step {
    int64_t step;
    double loss;
    double grad_norm; /* before clipping                                   */
    double lr;
    double wall_s;
    double cpu_s; /* of all ranks together                                 */
    double tokens_per_s;
    run_ledger mean; /* over ranks                                         */
    run_ledger max;
} run_step;

typedef struct run_validation {
    int64_t step; /* steps done before it                                  */
    double loss;
} run_validation;

enum { RUN_NAME_SIZE = 64, RUN_TEXT_SIZE = 256, RUN_KIND_SIZE = 16 };

typedef struct run_rank {
    int32_t rank;
    int32_t data, pipe, tensor; /* place in the grid                       */
    int32_t class_index;        /* which program it runs                   */
    int32_t threads;
    char host[RUN_NAME_SIZE];
    int64_t arena_bytes;
    int64_t peak_bytes;                   /* planned                       */
    int64_t class_bytes[BUF_CLASS_COUNT]; /* of the peak, by buf_class     */
    /* Of the arena, up to the end of the highest page that was touched;
     * -1 or 0: not known. */
    int64_t touched_bytes;
    /* In the steps that run_summary.ranks_steps counts. */
    int64_t loaded_bytes, drained_bytes;
    int64_t sent_bytes[GROUP_COUNT]; /* by op_group; GROUP_NONE: pipe      */
    int64_t received_bytes[GROUP_COUNT];
    int64_t store_bytes;   /* state held by its store, 0: none               */
    int64_t step_allocs;   /* our allocations during steps: must be 0        */
    int64_t library_bytes; /* heap that libraries hold at the end: packing
                            * buffers, MPI, HDF5                           */
} run_rank;

/* What one rank sent to another, in run_summary.traffic_steps steps. */
typedef struct run_traffic {
    int32_t from, to;
    int64_t bytes;
} run_traffic;

/* A decision that a person had to make, and the rules it takes part in. */
typedef struct run_decision {
    char key[RUN_NAME_SIZE];
    char value[RUN_NAME_SIZE];
    char rules[RUN_TEXT_SIZE];
} run_decision;

/* Operations of one kind in one step, all ranks. */
typedef struct run_op_count {
    char kind[RUN_KIND_SIZE];
    int64_t count;
    double flops;
    double bytes;
} run_op_count;

typedef struct run_setup {
    run_decision *decisions;
    int32_t ndecisions;
    run_op_count *ops;
    int32_t nops;
    int64_t programs;      /* different ones: classes                      */
    int64_t communicators; /* groups of ranks                              */
    int64_t messages;      /* in one step, all ranks                       */
    double bytes;          /* in them                                      */
    /* Time to the first step, by part; NaN: not measured. */
    double launch_s, planning_s, communicators_s, weights_s, first_step_s;
    int64_t switch_distance; /* characters, -1: not measured               */
} run_setup;

typedef struct run_host {
    char hostname[RUN_NAME_SIZE];
    char cpu[RUN_TEXT_SIZE];
    char blas[RUN_TEXT_SIZE];
    char mpi[RUN_TEXT_SIZE];
    char hdf5[RUN_NAME_SIZE]; /* out only                                  */
    int32_t cores;            /* usable by the run on this machine         */
    int32_t threads;          /* with which matmul_gflops was measured     */
    double matmul_gflops;
} run_host;

typedef struct run_trace {
    int32_t rank;
    int32_t op; /* index in the rank's program                             */
    char kind[RUN_KIND_SIZE];
    char stream[RUN_KIND_SIZE];
    int32_t layer; /* -1: none                                             */
    int32_t seq0;  /* micro-batch: local sequences [seq0, seq0 + seqs)     */
    int32_t seqs;
    int32_t peer;     /* the other rank of a message, -1: none                */
    int32_t tag;      /* same at both ends of a message, -1: none             */
    int64_t start_ns; /* since the step began                              */
    int64_t end_ns;
    int64_t cpu_ns;
    double flops;
    double bytes;
    double predicted_ns; /* duration, NaN: not predicted                   */
    double predicted_start_ns;
} run_trace;

/* What the virtual clock said of a run's steps, beside what was measured. NaN
 * and -1: not measured. Times of operations are sums over all ranks, of the
 * traced step. A send or receive counts for what its rank waited. */
typedef struct run_predicted_kind {
    char kind[RUN_KIND_SIZE];
    int64_t count; /* operations of one step, all ranks                    */
    double predicted_wall_ns;
    double measured_wall_ns;
    double predicted_cpu_ns; /* of the thread that ran it                  */
    double measured_cpu_ns;
} run_predicted_kind;

enum { RUN_CLOCK_SIZE = 8 };

typedef struct run_prediction {
    char machine[RUN_TEXT_SIZE]; /* its name, or its file                  */
    char clock[RUN_CLOCK_SIZE];  /* which of both step_s is by: "wall", or
                                  * "cpu" where ranks shared cores         */
    double step_s;
    double measured_step_s; /* median of the timed steps                   */
    double wall_s, measured_wall_s;
    double cpu_s, measured_cpu_s; /* of all ranks together                 */
    double pace; /* of products while it ran, over that of calibration: what
                  * is predicted is for it; NaN: not known                 */
    int64_t peak_bytes;          /* arena, largest of the ranks: planned  */
    int64_t measured_peak_bytes; /* what was touched of it, to the page   */
    run_ledger ledger; /* seconds of a step's wall time, mean over ranks   */
    run_ledger measured_ledger;
    run_predicted_kind *kinds;
    int32_t nkinds;
} run_prediction;

/* ---- writing (rank 0) ---------------------------------------------------- */

typedef struct runfile runfile;

/* A new file; an older one of that name stays until runfile_close, and this
 * one is `<path>.part` until then. Owns: *out, runfile_close. */
MUST_USE status runfile_create(const char *path, const run_info *info,
                               runfile **out);
/* Goes on with an existing run file from `step`: records of that step and
 * later ones are dropped. All else is info's from then on but `created`, a
 * plan that changed ("pp2, then tp2"), and sums, exact only if they always
 * were; ranks, traffic, set-up, host, trace and prediction of the earlier
 * start are gone, and there again once they are written.
 * Fails, and changes nothing, with ST_BADFILE if the file has no record of the
 * step before, with ST_CONFIG if it is of another model, seed, batch or
 * sequence. */
MUST_USE status runfile_resume(const char *path, const run_info *info,
                               int64_t step, runfile **out);
/* The run has ended in order; `complete`: it did what it was asked to. Takes
 * the place of an older file. Frees *f, also on failure. A NULL *f is fine. */
MUST_USE status runfile_close(runfile **f, bool complete);
/* The run has failed: an older file stays, and so do the records so far under
 * the name they have (runfile_path); a new file without a step is removed. A
 * NULL *f is fine. */
void runfile_give_up(runfile **f);
/* The name under which its steps can be read now; NULL: there are none yet.
 * Lends until it is closed. */
const char *runfile_path(const runfile *f);

/* One step. ledgers: one a rank, from which mean and max are made and which
 * are recorded too; NULL: s has them already. The first ledgers make /ledger,
 * with that many ranks, and allocate; a step that has none, or another number
 * of ranks (a file resumed under another plan), is NaN there. Steps come in
 * rising order. */
MUST_USE status runfile_step(runfile *f, const run_step *s,
                             const run_ledger *ledgers, int nranks);
/* Writes the steps that wait to be written. */
MUST_USE status runfile_flush(runfile *f);
MUST_USE status runfile_validation(runfile *f, int64_t step, double loss);
/* Once each; again replaces. The bytes of ranks and traffic are those of the
 * steps that f was given so far: not of the steps before a resume. */
MUST_USE status runfile_ranks(runfile *f, const run_rank *ranks, int n);
MUST_USE status runfile_traffic(runfile *f, const run_traffic *t, int64_t n);
MUST_USE status runfile_setup(runfile *f, const run_setup *s);
MUST_USE status runfile_host(runfile *f, const run_host *h);
MUST_USE status runfile_prediction(runfile *f, const run_prediction *p);
/* Rows of one traced step; called once or once a rank, in order of ranks. */
MUST_USE status runfile_trace(runfile *f, int64_t step, const run_trace *rows,
                              int64_t n);

/* Mean and largest of n ranks' ledgers. Pure. */
void run_step_summarize(const run_ledger *ledgers, int n, run_step *s);
/* A prediction as a table for people, appended: kinds, accounts, the step.
 * Pure. */
void run_prediction_text(const run_prediction *p, strbuf *out);
/* Place, class and planned memory of a rank, from its program; the other
 * fields are left alone. Pure. */
void run_rank_describe(const program *p, const prog_place *place, run_rank *r);
/* Everything of rows[p->nops] but the times, which are 0, and the prediction,
 * which is NaN. Pure. */
void run_trace_describe(const program *p, const prog_place *place, int rank,
                        run_trace *rows);
/* Operations by kind, messages and bytes of a step over all ranks: fills ops
 * (room for OP_KIND_COUNT), nops, programs, messages and bytes. Pure. */
void run_setup_describe(const program_set *set, run_op_count *ops,
                        run_setup *s);

/* ---- reading back -------------------------------------------------------- */

typedef struct run_summary {
    run_info info;
    int64_t nsteps;
    run_step *steps;
    run_ledger ledger; /* mean over the steps after the first, or of a lone
                          one, of steps[].mean                             */
    /* [nsteps][ledger_ranks], NaN: not recorded. NULL and 0: no /ledger. It
     * is there before nranks is, and may differ after a resume. */
    run_ledger *rank_ledgers;
    int64_t ledger_ranks;
    int64_t nvalidations;
    run_validation *validations;
    int64_t nranks; /* 0 in a run without an end                           */
    run_rank *ranks;
    /* Of how many steps the bytes in ranks and traffic are: fewer than nsteps
     * where the run was resumed. 0: of none that is known. */
    int64_t ranks_steps, traffic_steps;
    int64_t ntraffic; /* pairs of ranks that sent something; 0: not known  */
    run_traffic *traffic;
    bool has_setup;
    run_setup setup;
    bool has_host;
    run_host host;
    bool has_prediction;
    run_prediction prediction;
    int64_t ntrace; /* rows there are; see runfile_read_trace              */
    int64_t trace_step;
} run_summary;

/* Owns: *out, run_summary_fini. Also of a file that is being written. */
MUST_USE status runfile_read(const char *path, run_summary *out);
/* The same of a set-up's group in a comparison, "/gpt-neo-tiny/dp2". */
MUST_USE status runfile_read_at(const char *path, const char *group,
                                run_summary *out);
/* A zeroed struct is fine. */
void run_summary_fini(run_summary *s);
/* The trace of a run file (group "/") or of a set-up in a comparison. Owns:
 * *rows, mem_free. */
MUST_USE status runfile_read_trace(const char *path, const char *group,
                                   run_trace **rows, int64_t *n);

#endif
