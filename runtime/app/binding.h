/*
 * How the ranks of a node share its cores: what train warns about at its
 * start, and doctor reports. The judgements are pure. Local.
 */
#ifndef WEFT_APP_BINDING_H
#define WEFT_APP_BINDING_H

#include <stdbool.h>

#include "runtime/base/text.h"
#include "runtime/comm/comm.h"

typedef struct binding {
    int ranks;    /* on this node                                           */
    int threads;  /* of each; 0: nobody said                                */
    int usable;   /* cores that this rank may use                           */
    int together; /* cores that the ranks of the node may use together      */
    int online;   /* cores of the node                                      */
} binding;

binding binding_of(const comm *world, int threads);

/* Threads of this rank where nobody said how many: its part of the cores that
 * the node's ranks have together, and no more than it may use itself. A mask
 * of fewer cores than are online says nothing: a container or a batch system
 * gives the same one to all ranks. */
int binding_share(const binding *b);

/* Ranks are bound to fewer cores than there are, and than they could use.
 * Where nobody said how many threads a rank has, any core more would do. */
bool binding_is_tight(const binding *b);
/* More threads than cores: wall time then says little. */
bool binding_is_crowded(const binding *b);

/* Who can have bound a process. */
typedef enum binding_cause {
    BOUND_BY_MPIRUN,   /* somebody's own                                   */
    BOUND_BY_VARIABLE, /* OpenMP binds this thread when it is loaded       */
    BOUND_FROM_OUTSIDE /* taskset, a batch system, a container             */
} binding_cause;

/* The variable that makes OpenMP bind threads, NULL if none is set. */
const char *binding_variable(void);
/* mpirun: a person's own mpirun started the ranks. */
binding_cause binding_cause_of(bool mpirun);
/* What to do about it: "add --bind-to none to mpirun". */
void binding_write_repair(binding_cause cause, strbuf *out);
/* "ranks are bound to 1 of 2 cores; add --bind-to none to mpirun". */
void binding_write_tight(const binding *b, binding_cause cause, strbuf *out);

#endif
