/*
 * Inside of the virtual clock: its state, and what its files share.
 *
 *   clock.c         ranks, messages, the loop over events, the result
 *   clock_engine.c  what engines do at an event
 */
#ifndef WEFT_SIM_CLOCK_IMPL_H
#define WEFT_SIM_CLOCK_IMPL_H

#include "runtime/program/check_impl.h"
#include "runtime/sim/clock.h"

enum { STEPS_MOST = 4 };

typedef enum engine_state { IDLE, RUN, MEET, SLEEP } engine_state;

typedef struct engine {
    int32_t *order; /* its operations, in issue order; the class's        */
    int32_t n;
    int32_t at;   /* next of them                                          */
    int32_t step; /* of it                                                 */
    engine_state state;
    bool side;    /* of the store: shares cores with compute               */
    double left;  /* RUN: seconds of work                                  */
    double until; /* SLEEP: when it ends; RUN: not before                  */
    double begin;
    double link_free; /* its direction of the store's link                 */
    double ended;     /* its last operation                                */
    op_stream stream;
    /* What it waits for since when, for the ledger. */
    double waits_since;
    int32_t waits_for;   /* operation, -1: nothing                           */
    double host_s;       /* loads: has waited for updates so far             */
    double host_before;  /* compute: that of loads when its wait began       */
    int32_t next_waiter; /* of its reduction: rank * STREAM_COUNT + engine  */
    int32_t call;
} engine;

/* What has happened to a message in a step; INFINITY: not yet. */
typedef struct passage {
    int32_t step;
    double sent, wanted, end;
} passage;

/* Steps that overlap may have two of a message's passages open. */
typedef struct message {
    int32_t from, to; /* ranks                                             */
    double cost;
    passage of[2]; /* by step                                              */
} message;

/* One reduction of one group. */
typedef struct call {
    int32_t arrived;
    int32_t waiters; /* list, -1: end */
    double met;
} call;

typedef struct rank {
    const program *p;
    const prog_place *place;
    const sim_work *work;
    engine eng[STREAM_COUNT];
    int32_t neng;
    double now;
    int32_t *done;
    int32_t *message; /* by operation, -1: none                            */
    int32_t calls[GROUP_COUNT];
    int32_t *open; /* messages posted and not ended, in order             */
    int32_t nopen;
    double ends[STEPS_MOST]; /* compute, or all, ended a step              */
    double cpu;
    double met; /* when compute last had to do with other ranks          */
} rank;

typedef struct event {
    double t;
    int32_t rank;
    int64_t age;
} event;

typedef struct clock_state {
    const sim_setup *in;
    const machine *m;
    const program_set *set;
    check_grid grid;
    int32_t steps;
    int32_t engine_of[STREAM_COUNT];
    int32_t nengines;
    int32_t **order; /* by class * STREAM_COUNT + engine                   */
    int32_t *norder;
    rank *ranks;
    message *messages;
    int32_t nmessages;
    call *calls[GROUP_COUNT]; /* by group * ncalls + number                */
    int32_t ncalls[GROUP_COUNT];
    event *heap;
    int64_t nheap, cap_heap, age;
    const sim_link *link; /* between ranks, NULL: none                     */
    sim_result *out;
    status failed;
} clock_state;

/* Something may happen on rank r at time t. */
void clock_post(clock_state *c, double t, int32_t r);
/* All that happens on a rank at time t, and when it goes on. */
void clock_rank(clock_state *c, rank *r, double t);
/* The operation that the engine waits for, -1: none. */
int32_t clock_blocker(const rank *r, const engine *e);

#endif
