/*
 * Messages between two ranks, and where their waits go, at any number of
 * ranks; run at 1, 2, 3 and 4.
 */
#include <string.h>

#include "runtime/comm/comm.h"
#include "tests/mpi/mpi_test.h"

static void test_send_recv(mpi_test *t)
{
    static const int64_t sizes[] = {0, 1, 5000, 1 << 20};
    unsigned char *data = mpi_test_alloc(1 << 20, 1);
    for (int s = 0; s < 4; s++) {
        for (int r = 1; r < t->size; r++) {
            if (t->rank == 0) {
                mpi_test_fill(data, sizes[s], r, s);
                comm_send(t->world, r, s, data, sizes[s]);
            } else if (t->rank == r) {
                memset(data, 0, 1 << 20);
                comm_recv(t->world, 0, s, data, sizes[s]);
                MPI_TEST(t, mpi_test_holds(data, sizes[s], r, s));
            }
        }
    }
    mem_free(data);
    comm_barrier(t->world);
    MPI_TEST(t, true);
}

/* Messages with one tag of the two kinds do not meet, whatever the order. */
static void test_kinds_apart(mpi_test *t)
{
    int next = (t->rank + 1) % t->size;
    int last = (t->rank + t->size - 1) % t->size;
    int out[2] = {1, 2};
    int in[2] = {0, 0};
    comm_req *send = comm_isend(t->world, next, 3, &out[0], 4);
    if (t->size > 1) {
        comm_send(t->world, next, 3, &out[1], 4); /* small: does not block */
        comm_recv(t->world, last, 3, &in[1], 4);
        MPI_TEST(t, in[1] == 2);
    }
    comm_req_wait(comm_irecv(t->world, last, 3, &in[0], 4), NULL);
    comm_req_wait(send, NULL);
    MPI_TEST(t, in[0] == 1);
}

/* As many requests as there may be, to the next rank (with one rank: to
 * itself), waited for in another order than started. */
static void ring(mpi_test *t, int64_t bytes, int reqs)
{
    int next = (t->rank + 1) % t->size;
    int last = (t->rank + t->size - 1) % t->size;
    unsigned char *out = mpi_test_alloc((size_t)reqs, (size_t)bytes + 1);
    unsigned char *in = mpi_test_alloc((size_t)reqs, (size_t)bytes + 1);
    comm_req *send[COMM_REQS_MAX];
    comm_req *recv[COMM_REQS_MAX];
    comm_wait_ns wait = {0};
    int64_t allocated = mem_count();
    for (int i = 0; i < reqs; i++) {
        recv[i] = comm_irecv(t->world, last, i, in + i * (bytes + 1), bytes);
    }
    for (int i = reqs - 1; i >= 0; i--) {
        mpi_test_fill(out + i * (bytes + 1), bytes, t->rank, i);
        send[i] = comm_isend(t->world, next, i, out + i * (bytes + 1), bytes);
    }
    for (int k = 0; k < reqs; k++) {
        int i = k * 7 % reqs; /* 7 divides no number of requests used */
        comm_req_wait(recv[i], &wait);
        MPI_TEST(t, mpi_test_holds(in + i * (bytes + 1), bytes, last, i));
    }
    for (int i = 0; i < reqs; i++) {
        comm_req_wait(send[i], i % 2 == 0 ? &wait : NULL);
    }
    MPI_TEST(t, mem_count() == allocated);
    MPI_TEST(t, wait.bubble >= 0 && wait.transfer >= 0);
    mem_free(in);
    mem_free(out);
}

static void test_ring(mpi_test *t)
{
    static const int64_t sizes[] = {0, 1, 1000, 70000};
    for (int s = 0; s < 4; s++) {
        for (int again = 0; again < 3; again++) {
            ring(t, sizes[s], COMM_REQS_MAX / 2);
        }
    }
}

/* Two of one tag stay in order; test says when a request is done and may be
 * asked again; the wait comes after. */
static void test_req_test(mpi_test *t)
{
    int peer = t->size - 1 - t->rank;
    int in[2] = {0, 0};
    int out[2] = {10 + t->rank, 20 + t->rank};
    comm_req *r[4];
    r[0] = comm_irecv(t->world, peer, COMM_TAGS - 1, &in[0], 4);
    r[1] = comm_irecv(t->world, peer, COMM_TAGS - 1, &in[1], 4);
    r[2] = comm_isend(t->world, peer, COMM_TAGS - 1, &out[0], 4);
    r[3] = comm_isend(t->world, peer, COMM_TAGS - 1, &out[1], 4);
    for (int i = 0; i < 4; i++) {
        while (!comm_req_test(r[i])) {
            mpi_test_sleep_ms(1);
        }
        MPI_TEST(t, comm_req_test(r[i]));
    }
    for (int i = 0; i < 4; i++) {
        comm_req_wait(r[i], NULL);
    }
    MPI_TEST(t, in[0] == 10 + peer && in[1] == 20 + peer);
    comm_barrier(t->world);
}

enum { HAND_SHAKE_BYTES = 1 << 18 }; /* too large to be sent unasked */

/* Rank 0 is late to send: the receiver's wait is bubble. */
static bool late_send_tells(mpi_test *t)
{
    bool good = true;
    unsigned char *data = mpi_test_alloc(HAND_SHAKE_BYTES, 1);
    comm_wait_ns wait = {0};
    if (t->rank == 0) {
        mpi_test_sleep_ms(MPI_TEST_LATE_MS);
        comm_req *r = comm_isend(t->world, 1, 0, data, HAND_SHAKE_BYTES);
        comm_req_wait(r, &wait);
        good =
            wait.bubble < MPI_TEST_SEEN_NS && wait.transfer < MPI_TEST_SEEN_NS;
    } else if (t->rank == 1) {
        comm_req *r = comm_irecv(t->world, 0, 0, data, HAND_SHAKE_BYTES);
        comm_req_wait(r, &wait);
        good =
            wait.bubble >= MPI_TEST_SEEN_NS && wait.transfer < MPI_TEST_SEEN_NS;
    }
    mem_free(data);
    return good;
}

/* Rank 1 is late to receive: the sender's wait is bubble. */
static bool late_receive_tells(mpi_test *t)
{
    bool good = true;
    unsigned char *data = mpi_test_alloc(HAND_SHAKE_BYTES, 1);
    comm_wait_ns wait = {0};
    if (t->rank == 0) {
        comm_req *r = comm_isend(t->world, 1, 0, data, HAND_SHAKE_BYTES);
        comm_req_wait(r, &wait);
        good =
            wait.bubble >= MPI_TEST_SEEN_NS && wait.transfer < MPI_TEST_SEEN_NS;
    } else if (t->rank == 1) {
        mpi_test_sleep_ms(MPI_TEST_LATE_MS);
        comm_req *r = comm_irecv(t->world, 0, 0, data, HAND_SHAKE_BYTES);
        comm_req_wait(r, &wait);
        good =
            wait.bubble < MPI_TEST_SEEN_NS && wait.transfer < MPI_TEST_SEEN_NS;
    }
    mem_free(data);
    return good;
}

static void test_wait_of_receive(mpi_test *t)
{
    bool alone = t->size == 1;
    MPI_TEST(t, alone || mpi_test_one_attempt_of(t, late_send_tells));
    MPI_TEST(t, alone || mpi_test_one_attempt_of(t, late_receive_tells));
}

/* Again in messages of 1,000 bytes: the same as beyond 1 GiB. */
static void test_messages_in_parts(mpi_test *t)
{
    comm *g = NULL;
    MPI_TEST_OK(t, comm_split(t->world, 0, t->rank, "parts", &g));
    comm_message_max(g, 1000);
    mpi_test inner = *t;
    inner.world = g;
    ring(&inner, 15 * 1000 + 8, 3);
    ring(&inner, 1000, 3);
    test_send_recv(&inner);
    t->failed = inner.failed;
    t->checks = inner.checks;
    comm_destroy(g);
}

/* A real message beyond the limit of one MPI message, checked in places. */
static void test_beyond_one_gib(mpi_test *t)
{
    if (t->size != 2) { /* 2.2 GB of memory; once is enough */
        MPI_TEST(t, true);
        return;
    }
    int64_t bytes = ((int64_t)1 << 30) + 1000;
    unsigned char *data = mpi_test_alloc((size_t)bytes, 1);
    if (t->rank == 0) {
        for (int64_t i = 0; i < bytes; i += 4093) {
            data[i] = mpi_test_pattern(0, 1, i);
        }
        data[bytes - 1] = 77;
        comm_req_wait(comm_isend(t->world, 1, 5, data, bytes), NULL);
    } else {
        comm_req_wait(comm_irecv(t->world, 0, 5, data, bytes), NULL);
        bool same = data[bytes - 1] == 77;
        for (int64_t i = 0; i < bytes - 1; i += 4093) {
            same = same && data[i] == mpi_test_pattern(0, 1, i);
        }
        MPI_TEST(t, same);
    }
    MPI_TEST(t, true);
    mem_free(data);
}

static void test_bytes_of_messages(mpi_test *t)
{
    comm *g = NULL;
    MPI_TEST_OK(t, comm_split(t->world, 0, t->rank, "bytes", &g));
    char data[100] = {0};
    comm_req *r = comm_irecv(g, t->rank, 1, data, 40);
    comm_req_wait(comm_isend(g, t->rank, 1, data + 50, 40), NULL);
    comm_req_wait(r, NULL);
    MPI_TEST(t, comm_bytes_sent(g) == 40 && comm_bytes_recv(g) == 40);
    if (t->size > 1 && t->rank == 0) {
        comm_send(g, 1, 0, data, 7);
    } else if (t->rank == 1) {
        comm_recv(g, 0, 0, data, 7);
    }
    bool sends = t->size > 1 && t->rank == 0;
    MPI_TEST(t, comm_bytes_sent(g) == (sends ? 47 : 40));
    MPI_TEST(t, comm_bytes_recv(g) == (t->rank == 1 ? 47 : 40));
    comm_destroy(g);
}

int main(void)
{
    static const mpi_case cases[] = {
        MPI_CASE(test_send_recv),
        MPI_CASE(test_kinds_apart),
        MPI_CASE(test_ring),
        MPI_CASE(test_req_test),
        MPI_CASE(test_wait_of_receive),
        MPI_CASE(test_messages_in_parts),
        MPI_CASE(test_beyond_one_gib),
        MPI_CASE(test_bytes_of_messages),
    };
    return mpi_test_main(cases, MPI_TEST_COUNT(cases));
}
