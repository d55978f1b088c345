/*
 * Collectives over plain bytes and numbers, in parts of at most message_max.
 *
 * MPI's gathers move whole sub-trees of ranks in one message, so they are
 * used only where the sum over all ranks is below message_max; above, plain
 * messages and broadcasts do the same.
 */
#include <string.h>

#include "runtime/comm/comm_impl.h"

static void bcast_parts(comm *c, char *data, int64_t bytes, int root)
{
    for (int64_t at = 0; at < bytes; at += c->message_max) {
        int64_t left = bytes - at;
        int part = (int)(left < c->message_max ? left : c->message_max);
        int rc = MPI_Bcast(data + at, part, MPI_BYTE, root, c->mpi);
        comm_impl_check(c, rc, "broadcast", EVERYBODY);
    }
}

static void sent_to_others(comm *c, int64_t bytes)
{
    for (int r = 0; r < c->size; r++) {
        if (r != c->rank) {
            comm_impl_sent(c, r, bytes);
        }
    }
}

void comm_bcast(comm *c, void *data, int64_t bytes, int root)
{
    ASSERT(bytes >= 0 && root >= 0 && root < c->size);
    if (c->size == 1 || bytes == 0) {
        return;
    }
    comm_impl_meet(c, NULL);
    bcast_parts(c, data, bytes, root);
    if (c->rank == root) {
        sent_to_others(c, bytes);
    } else {
        c->recv += bytes;
    }
}

/* n numbers of 8 bytes, in place, in every rank. */
static void reduce(comm *c, void *data, int64_t n, MPI_Datatype type, MPI_Op op,
                   comm_wait_ns *wait)
{
    ASSERT(n >= 0);
    if (c->size == 1 || n == 0) {
        return;
    }
    int64_t start = comm_impl_meet(c, wait);
    int64_t most = c->message_max / 8;
    for (int64_t at = 0; at < n; at += most) {
        int part = (int)(n - at < most ? n - at : most);
        int rc = MPI_Allreduce(MPI_IN_PLACE, (char *)data + at * 8, part, type,
                               op, c->mpi);
        comm_impl_check(c, rc, "all-reduce", EVERYBODY);
    }
    comm_impl_transferred(wait, start);
    int64_t ring = 2 * n * 8 * (c->size - 1) / c->size;
    comm_impl_sent(c, (c->rank + 1) % c->size, ring);
    c->recv += ring;
}

void comm_sum_f64(comm *c, double *data, int64_t n, comm_wait_ns *wait)
{
    reduce(c, data, n, MPI_DOUBLE, MPI_SUM, wait);
}

void comm_sum_i64(comm *c, int64_t *data, int64_t n)
{
    reduce(c, data, n, MPI_INT64_T, MPI_SUM, NULL);
}

void comm_max_i64(comm *c, int64_t *data, int64_t n)
{
    reduce(c, data, n, MPI_INT64_T, MPI_MAX, NULL);
}

static void gather_by_messages(comm *c, const void *send, int64_t bytes,
                               char *recv, int root)
{
    if (c->rank != root) {
        comm_impl_send(c, root, TAG_GATHER, send, bytes);
        return;
    }
    for (int r = 0; r < c->size; r++) {
        if (r == root) {
            memcpy(recv + r * bytes, send, (size_t)bytes);
        } else {
            comm_impl_recv(c, r, TAG_GATHER, recv + r * bytes, bytes);
        }
    }
}

void comm_gather(comm *c, const void *send, int64_t bytes, void *recv, int root)
{
    ASSERT(bytes >= 0 && root >= 0 && root < c->size);
    if (bytes == 0) {
        return;
    }
    comm_impl_meet(c, NULL);
    if (bytes * c->size > c->message_max) {
        gather_by_messages(c, send, bytes, recv, root);
        return; /* which counts its bytes itself */
    }
    int rc = MPI_Gather(send, (int)bytes, MPI_BYTE, recv, (int)bytes, MPI_BYTE,
                        root, c->mpi);
    comm_impl_check(c, rc, "gather", EVERYBODY);
    if (c->rank == root) {
        c->recv += bytes * (c->size - 1);
    } else {
        comm_impl_sent(c, root, bytes);
    }
}

void comm_allgather(comm *c, const void *send, int64_t bytes, void *recv)
{
    ASSERT(bytes >= 0);
    if (bytes == 0) {
        return;
    }
    comm_impl_meet(c, NULL);
    char *all = recv;
    if (bytes * c->size <= c->message_max) {
        int rc = MPI_Allgather(send, (int)bytes, MPI_BYTE, recv, (int)bytes,
                               MPI_BYTE, c->mpi);
        comm_impl_check(c, rc, "all-gather", EVERYBODY);
    } else {
        memcpy(all + c->rank * bytes, send, (size_t)bytes);
        for (int r = 0; r < c->size; r++) {
            bcast_parts(c, all + r * bytes, bytes, r);
        }
    }
    sent_to_others(c, bytes);
    c->recv += bytes * (c->size - 1);
}
