/*
 * Messages between two ranks.
 *
 * A request of a step is three messages or more: an empty one each way that
 * says that this end has arrived, and the data in parts. All are posted at
 * once, so that no order of waiting can deadlock. The empty messages need no
 * buffer and go out before any hand-shake about the data: who has seen the
 * partner's waits for bytes and not for the partner.
 *
 *   sender                            receiver
 *   ------                            --------
 *   comm_isend: posts all --------+   comm_irecv: posts all
 *   comm_req_wait             +---|-- arrived
 *     | bubble                |   |   comm_req_wait
 *     + arrived <-------------+   |     | bubble
 *     | transfer                  +---> + arrived
 *     + data                            | transfer
 *                                       + data
 */
#include "runtime/base/clock.h"
#include "runtime/comm/comm_impl.h"

static int part_at(const comm *c, int64_t bytes, int64_t at)
{
    int64_t left = bytes - at;
    return (int)(left < c->message_max ? left : c->message_max);
}

static void check_args(const comm *c, int peer, int tag, int64_t bytes)
{
    ASSERT(peer >= 0 && peer < c->size);
    ASSERT(tag >= 0 && tag < COMM_TAGS);
    ASSERT(bytes >= 0);
}

void comm_impl_send(comm *c, int to, int mpi_tag, const void *data,
                    int64_t bytes)
{
    int64_t at = 0;
    do { /* no bytes at all are one empty message */
        MPI_Request req = MPI_REQUEST_NULL;
        int part = part_at(c, bytes, at);
        int rc = MPI_Isend((const char *)data + at, part, MPI_BYTE, to, mpi_tag,
                           c->mpi, &req);
        comm_impl_check(c, rc, "send", to);
        comm_impl_finish(c, &req, 1, "send", to);
        at += part;
    } while (at < bytes);
    comm_impl_sent(c, to, bytes);
}

void comm_impl_recv(comm *c, int from, int mpi_tag, void *data, int64_t bytes)
{
    int64_t at = 0;
    do {
        MPI_Request req = MPI_REQUEST_NULL;
        int part = part_at(c, bytes, at);
        int rc = MPI_Irecv((char *)data + at, part, MPI_BYTE, from, mpi_tag,
                           c->mpi, &req);
        comm_impl_check(c, rc, "receive", from);
        comm_impl_finish(c, &req, 1, "receive", from);
        at += part;
    } while (at < bytes);
    c->recv += bytes;
}

void comm_send(comm *c, int to, int tag, const void *data, int64_t bytes)
{
    check_args(c, to, tag, bytes);
    comm_impl_send(c, to, TAG_BLOCKING + tag, data, bytes);
}

void comm_recv(comm *c, int from, int tag, void *data, int64_t bytes)
{
    check_args(c, from, tag, bytes);
    comm_impl_recv(c, from, TAG_BLOCKING + tag, data, bytes);
}

static comm_req *req_acquire(comm *c, int peer, bool is_recv)
{
    ASSERT(c->free_count > 0); /* more than COMM_REQS_MAX are open */
    c->free_count--;
    comm_req *r = &c->reqs[c->free_reqs[c->free_count]];
    r->c = c;
    r->n = 0;
    r->done = 0;
    r->peer = peer;
    r->is_recv = is_recv;
    r->open = true;
    return r;
}

static void req_release(comm_req *r)
{
    comm *c = r->c;
    r->open = false;
    c->free_reqs[c->free_count] = (int)(r - c->reqs);
    c->free_count++;
}

static const char *what_of(const comm_req *r)
{
    return r->is_recv ? "receive" : "send";
}

static void post_send(comm_req *r, const void *data, int bytes, int tag)
{
    comm *c = r->c;
    int rc =
        MPI_Isend(data, bytes, MPI_BYTE, r->peer, tag, c->mpi, &r->req[r->n]);
    comm_impl_check(c, rc, "send", r->peer);
    r->n++;
}

static void post_recv(comm_req *r, void *data, int bytes, int tag)
{
    comm *c = r->c;
    int rc =
        MPI_Irecv(data, bytes, MPI_BYTE, r->peer, tag, c->mpi, &r->req[r->n]);
    comm_impl_check(c, rc, "receive", r->peer);
    r->n++;
}

comm_req *comm_isend(comm *c, int to, int tag, const void *data, int64_t bytes)
{
    check_args(c, to, tag, bytes);
    ASSERT(bytes <= PARTS_MAX * c->message_max);
    comm_req *r = req_acquire(c, to, false);
    post_recv(r, NULL, 0, TAG_RECEIVER + tag);
    post_send(r, NULL, 0, TAG_SENDER + tag);
    for (int64_t at = 0; at < bytes; at += c->message_max) {
        post_send(r, (const char *)data + at, part_at(c, bytes, at), tag);
    }
    comm_impl_sent(c, to, bytes);
    return r;
}

comm_req *comm_irecv(comm *c, int from, int tag, void *data, int64_t bytes)
{
    check_args(c, from, tag, bytes);
    ASSERT(bytes <= PARTS_MAX * c->message_max);
    comm_req *r = req_acquire(c, from, true);
    post_recv(r, NULL, 0, TAG_SENDER + tag);
    post_send(r, NULL, 0, TAG_RECEIVER + tag);
    for (int64_t at = 0; at < bytes; at += c->message_max) {
        post_recv(r, (char *)data + at, part_at(c, bytes, at), tag);
    }
    c->recv += bytes;
    return r;
}

bool comm_req_test(comm_req *r)
{
    ASSERT(r->open);
    return comm_impl_progress(r->c, r->req, r->n, &r->done, what_of(r),
                              r->peer);
}

void comm_req_wait(comm_req *r, comm_wait_ns *wait)
{
    ASSERT(r->open);
    int64_t start = wait != NULL ? clock_wall_ns() : 0;
    comm_impl_finish(r->c, r->req, 1, what_of(r), r->peer);
    if (wait != NULL) {
        int64_t arrived = clock_wall_ns();
        wait->bubble += arrived - start;
        start = arrived;
    }
    comm_impl_finish(r->c, r->req, r->n, what_of(r), r->peer);
    comm_impl_transferred(wait, start);
    req_release(r);
}

/* Rank 0 answers with its time. */
static void tell_time(comm *c, int to, int times)
{
    for (int k = 0; k < times; k++) {
        char asked = 0;
        comm_recv(c, to, 0, &asked, 1);
        int64_t now = clock_wall_ns();
        comm_send(c, to, 0, &now, sizeof(now));
    }
}

static int64_t ask_time(comm *c, int times)
{
    int64_t ahead = 0;
    int64_t best = INT64_MAX;
    for (int k = 0; k < times; k++) {
        char ask = 0;
        int64_t theirs = 0;
        int64_t begin = clock_wall_ns();
        comm_send(c, 0, 0, &ask, 1);
        comm_recv(c, 0, 0, &theirs, sizeof(theirs));
        int64_t trip = clock_wall_ns() - begin;
        if (trip < best) {
            best = trip;
            ahead = begin + trip / 2 - theirs;
        }
    }
    return ahead;
}

int64_t comm_clock_ahead(comm *world)
{
    enum { TRIPS = 16 };
    int64_t ahead = 0;
    if (comm_node_size(world) == world->size) {
        return 0;
    }
    for (int r = 1; r < world->size; r++) {
        if (world->rank == 0) {
            tell_time(world, r, TRIPS);
        } else if (world->rank == r) {
            ahead = ask_time(world, TRIPS);
        }
    }
    return ahead;
}
