/*
 * The virtual clock: runs the programs of a set on a described machine, with
 * no data, and says when every operation begins and ends.
 *
 * It runs what exec runs, by the same rules. Streams that do not overlap
 * share an engine and run in issue order; an operation starts when its engine
 * has come to it and what it waits for is done. A reduction starts when all
 * members of its group are there. A message moves when its sender has reached
 * it and its receiver has and waits for somebody (or has posted it, where the
 * machine moves messages by itself); a sender waits for it where its buffer is
 * needed again, at the latest at the end of the step. A transfer over the
 * store's link takes the copy's time, and at least latency and bytes at the
 * link's rate. While engines of the store work, they slow compute and compute
 * slows them, as the machine says. The guard chooses the sound tail.
 *
 * Where steps do not overlap, a step begins with nothing outstanding and one
 * is simulated. Where they do, several are, with waits on the step before,
 * and the last one counts. Steps of a store overlap as exec's do: a step begins
 * when compute has ended the one before and its guard has chosen; updates run
 * on. Where the machine's steps overlap, each engine goes on by itself.
 *
 * Time goes to the accounts of exec's ledger, seen from the compute engine.
 *
 * Results do not depend on the order in which ranks are looked at: the same
 * input gives the same bits. Pure, local.
 */
#ifndef WEFT_SIM_CLOCK_H
#define WEFT_SIM_CLOCK_H

#include "runtime/sim/cost.h"

/* Where a rank's step went, seconds; see exec_ledger. */
typedef struct sim_ledger {
    double compute, load, comm, bubble, optimizer, other;
} sim_ledger;

typedef struct sim_op {
    double start, end; /* seconds since the step began                     */
    double busy;       /* of its stream: end - start, of a message what its
                        * rank waited                                     */
    double own;        /* CPU time of the thread that runs it             */
} sim_op;

typedef struct sim_rank {
    sim_op *op; /* [nops of its class]; not run: zeros                     */
    sim_ledger ledger;
    double end;
} sim_rank;

typedef struct sim_result {
    int32_t nranks;
    sim_rank *rank;
    double step_s; /* a core for every thread                             */
    double cpu_s;  /* of all ranks together                               */
    int64_t peak_bytes; /* arena of the fullest rank                       */
} sim_result;

/* in->sh, ranks and the set belong together. Owns: *out, sim_result_fini.
 * Fails with ST_CONFIG like sim_costs; ST_INTERNAL if the ranks wait for each
 * other for ever, which a set that passes prog_set_check never does. */
MUST_USE status sim_run(const sim_setup *in, const program_set *set,
                        sim_result *out);
/* The same with costs at hand: work[class][operation]. For tests and whoever
 * has costs from elsewhere. */
MUST_USE status sim_run_costs(const sim_setup *in, const program_set *set,
                              sim_work *const *work, sim_result *out);
void sim_result_fini(sim_result *r);

#endif
