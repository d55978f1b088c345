/*
 * Inside of runtime/comm: what its files share. Nobody else includes this
 * (it is the one header that shows mpi.h).
 *
 * Tags. Four ranges keep the kinds of message of one comm apart:
 *
 *       0.. 7999   data of comm_isend / comm_irecv
 *    8000..15999   the empty message ahead of it: the sender has arrived
 *   16000..23999   the same the other way: the receiver has
 *   24000..31999   comm_send / comm_recv
 *   32000          slices of comm_tree_allreduce
 *   32001          a gather that is too large for MPI's own
 *
 * MPI guarantees tags up to 32767. Messages of one range between two ranks
 * stay in order, so a message cut in parts needs no numbering.
 *
 * Invariants. free_reqs[0, free_count) are the indices of the requests not
 * in use; a request in use has `open` set, its req[0, done) are complete.
 */
#ifndef WEFT_COMM_COMM_IMPL_H
#define WEFT_COMM_COMM_IMPL_H

#include <mpi.h>

#include "runtime/comm/comm.h"

enum {
    TAG_SENDER = COMM_TAGS,
    TAG_RECEIVER = 2 * COMM_TAGS,
    TAG_BLOCKING = 3 * COMM_TAGS,
    TAG_TREE = 4 * COMM_TAGS,
    TAG_GATHER
};

enum {
    PARTS_MAX = 16, /* of one comm_isend: 16 GiB, above any tensor of ours */
    NAME_MAX_BYTES = 64,
    EVERYBODY = -1 /* as a peer: the whole group */
};

/* Largest single MPI message or collective. Counts in MPI are int, and
 * transports have had faults from 2^31 bytes on; 1 GiB keeps clear of both.
 * A multiple of 64, so that parts of an aligned buffer are aligned. */
#define MESSAGE_MAX_BYTES (((int64_t)1 << 30) - 64)

struct comm_req {
    comm *c;
    /* From the partner that it has arrived, to it that we have, the data. */
    MPI_Request req[2 + PARTS_MAX];
    int n;
    int done; /* req[0, done) are complete */
    int peer;
    bool is_recv;
    bool open;
};

struct comm {
    MPI_Comm mpi;
    char name[NAME_MAX_BYTES];
    int rank;
    int size;
    int world_rank;
    int node_size;
    int node_rank;
    int node_cores;
    bool crowded; /* more ranks than cores on this node: sleep when waiting */
    int64_t message_max; /* bytes; MESSAGE_MAX_BYTES but in tests */
    int64_t sent;
    int64_t recv;
    int64_t *sent_to; /* by rank of this comm                             */
    int32_t *members; /* ranks of the world, by rank of this comm         */
    int free_reqs[COMM_REQS_MAX];
    int free_count;
    comm_req reqs[COMM_REQS_MAX];
};

/* Zeroed, with room for the accounts of `size` ranks. Owns: comm_impl_free,
 * which takes NULL too. Local. */
MUST_USE status comm_impl_new(int size, comm **out);
void comm_impl_free(comm *g);

/* Fills the fields that a group has of its own; the others come from `from`
 * (not NULL, may be g itself). Takes over `mpi`. Collective over mpi. */
void comm_impl_setup(comm *g, MPI_Comm mpi, const char *name, const comm *from);

/* Ends the job with one line if rc is an MPI error. `peer` is a rank of c or
 * EVERYBODY; `what` reads "<what> with <peer>". */
void comm_impl_check(const comm *c, int rc, const char *what, int peer);

/* Polls until req[0, n) are complete; they become MPI_REQUEST_NULL. Yields
 * the core, and sleeps where ranks share cores. */
void comm_impl_finish(comm *c, MPI_Request *req, int n, const char *what,
                      int peer);

/* Books bytes that this rank sends to rank `to` of c. */
void comm_impl_sent(comm *c, int to, int64_t bytes);

/* Completes req[*done...] as far as possible without waiting. True if all
 * n are complete. */
bool comm_impl_progress(comm *c, MPI_Request *req, int n, int *done,
                        const char *what, int peer);

/* comm_send and comm_recv with a tag of MPI. */
void comm_impl_send(comm *c, int to, int mpi_tag, const void *data,
                    int64_t bytes);
void comm_impl_recv(comm *c, int from, int mpi_tag, void *data, int64_t bytes);

/* Waits until all ranks are here and adds that to wait->bubble. Skipped for
 * one rank, and where nobody asks unless ranks share cores (a collective of
 * MPI would spin). Returns the time from which the transfer counts. */
int64_t comm_impl_meet(comm *c, comm_wait_ns *wait);

/* Adds the time since `start` to wait->transfer; wait may be NULL. */
void comm_impl_transferred(comm_wait_ns *wait, int64_t start);

#endif
