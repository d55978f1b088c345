/*
 * Communication: the only user of MPI.
 *
 * A comm is a group of ranks (an MPI communicator with a name). comm_init
 * starts MPI (thread level FUNNELED: only the thread that called comm_init
 * communicates) and makes the world; a process that was not started by
 * mpirun is a world of one rank, and every call works there.
 *
 * Errors. MPI errors end the job: one line naming rank, operation and peer,
 * then MPI_Abort with ST_PEER. Where one rank may fail alone, all ranks call
 * comm_agree before the next collective and leave by the same door.
 *
 * Waiting. Every blocking call reports how long this rank waited for the
 * last partner to arrive (bubble) and how long the transfer took after that
 * (exposed communication); see comm_wait_ns.
 */
#ifndef WEFT_COMM_COMM_H
#define WEFT_COMM_COMM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/status.h"
#include "runtime/base/tree.h"

typedef struct comm comm;

/* Where waiting time went, added up (never reset) by calls that take one. */
typedef struct comm_wait_ns {
    int64_t bubble;   /* until the last partner had arrived */
    int64_t transfer; /* after that                         */
} comm_wait_ns;

/* Starts MPI. Owns: *world, comm_fini. Collective over all processes. */
MUST_USE status comm_init(comm **world);
/* Ends MPI; every other comm must be destroyed. Collective. */
void comm_fini(comm *world);

int comm_rank(const comm *c);
int comm_size(const comm *c);
/* Ranks of the world on this rank's node, and this rank's index there. */
int comm_node_size(const comm *world);
int comm_node_rank(const comm *world);
/* Cores that the ranks of this node may use together. Fewer than
 * comm_node_size means that ranks share cores. */
int comm_node_cores(const comm *world);
/* MPI library version, one line. */
const char *comm_library(void);
/* What MPI grants to threads: "single", "funneled", "serialized" or
 * "multiple". Between comm_init and comm_fini. */
const char *comm_thread_level(void);

/* Ranks with the same color (>= 0) form a group in order of key; color -1
 * gets *out = NULL. Collective over c. Owns: comm_destroy. */
MUST_USE status comm_split(comm *c, int color, int key, const char *name,
                           comm **out);
void comm_destroy(comm *c);
/* The first n ranks of the world as a world of their own, which knows how its
 * ranks share their nodes; *out = NULL on the others. Collective over world.
 * Owns: comm_destroy. */
MUST_USE status comm_first(comm *world, int n, comm **out);

/* All ranks get the largest status and the text of the lowest rank that has
 * it, prefixed with "rank N: " where the group has more than one rank and
 * the texts differ. Collective. Returns the agreed status. */
MUST_USE status comm_agree(comm *c, status mine);

void comm_barrier(comm *c);
/* Like comm_barrier, but the waiting ranks sleep between polls. */
void comm_barrier_sleeping(comm *c);
void comm_bcast(comm *c, void *data, int64_t bytes, int root);
/* Exact when at most one rank contributes a non-zero value per slot (adding
 * +0 changes no bit): that is how it is used. Collective. */
void comm_sum_f64(comm *c, double *data, int64_t n, comm_wait_ns *wait);
void comm_sum_i64(comm *c, int64_t *data, int64_t n);
void comm_max_i64(comm *c, int64_t *data, int64_t n);
/* root gets size * bytes, in rank order. recv is used at root only. */
void comm_gather(comm *c, const void *send, int64_t bytes, void *recv,
                 int root);
/* Everyone gets all. */
void comm_allgather(comm *c, const void *send, int64_t bytes, void *recv);

/* Blocking byte messages for set-up and checkpoints, any size. */
void comm_send(comm *c, int to, int tag, const void *data, int64_t bytes);
void comm_recv(comm *c, int from, int tag, void *data, int64_t bytes);

/* By how many ns this rank's clock_wall_ns is ahead of rank 0's: 0 where all
 * share a node and so a clock; else from the fastest of some round trips, to
 * half of what that takes. Collective. */
int64_t comm_clock_ahead(comm *world);

/* Point to point in a step. Starts; finish with comm_req_wait. Borrows data
 * until then. At most COMM_REQS_MAX open at once per comm. Both ends tell each
 * other that they have arrived (empty messages), so that both can tell bubble
 * from transfer; a send is complete when its receive was posted. Tags are
 * below COMM_TAGS; messages of one tag stay in order. */
typedef struct comm_req comm_req;
comm_req *comm_isend(comm *c, int to, int tag, const void *data, int64_t bytes);
comm_req *comm_irecv(comm *c, int from, int tag, void *data, int64_t bytes);
/* True once r is complete; it still needs its comm_req_wait. */
bool comm_req_test(comm_req *r);
void comm_req_wait(comm_req *r, comm_wait_ns *wait);

/*
 * Reduction by leaves. Rank r of c holds the pieces (tree_pieces) of leaves
 * [leaf_of_rank(leaves, size, r), leaf_of_rank(leaves, size, r + 1)): piece p
 * at data + p * stride, each `count` floats. Afterwards every rank has the
 * sum of the whole tree in the first `count` floats of data; further pieces
 * are used up. The bits do not depend on the number of ranks. With fewer
 * leaves than ranks some hold no piece, but data has room for `count` floats
 * everywhere.
 *
 * How: an exchange of slices (rank i gets slice i of every piece), a local
 * tree, a gather of slices: the bytes of a ring all-reduce where each rank
 * holds one piece. `work` needs comm_tree_work_bytes. Collective, blocks.
 */
void comm_tree_allreduce(comm *c, int leaves, float *data, int64_t stride,
                         int64_t count, void *work, size_t work_bytes,
                         comm_wait_ns *wait);
size_t comm_tree_work_bytes(int size, int leaves, int64_t count);

/* Bytes this rank has sent / received through c so far, own accounting: the
 * payload of calls that were started, whatever MPI makes of it. A broadcast
 * counts once per receiver at its root, sums and maxima as a ring (2 (n-1)/n
 * of the data), barriers and arrived messages as nothing; so the sum over the
 * group of bytes sent equals that of bytes received. */
int64_t comm_bytes_sent(const comm *c);
/* Adds what it sent to each rank to to[rank of the world]; a ring goes to the
 * next rank. The sum of what is added is comm_bytes_sent. Local. */
void comm_bytes_to(const comm *c, int64_t *to);
int64_t comm_bytes_recv(const comm *c);

/* Test hook: cuts data into messages of at most `bytes` (a multiple of 8)
 * instead of 1 GiB. Groups split from c later inherit it. Collective: all
 * ranks must say the same. Local. */
void comm_message_max(comm *c, int64_t bytes);

enum { COMM_REQS_MAX = 256 };

enum { COMM_TAGS = 8000 };

#endif
