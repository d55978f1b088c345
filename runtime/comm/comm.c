/*
 * Groups, errors, waiting, and the agreement on a status.
 *
 * Waiting. MPI's own blocking calls spin. Where ranks share cores, a rank
 * that spins takes the core from the one it waits for, so everything that may
 * wait long is a non-blocking call that is polled here: yield at once, sleep
 * after SPIN_NS. Short waits stay short, and long ones cost nothing.
 */
#include "runtime/comm/comm.h"

#include <ctype.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/comm/comm_impl.h"

enum {
    SPIN_NS = 200 * 1000,     /* a few times the cost of falling asleep  */
    SLEEP_NS = 30 * 1000,     /* with the timer's slack about 80 us      */
    LONG_NS = 2 * 1000 * 1000 /* comm_barrier_sleeping: no hurry at all */
};

void comm_impl_check(const comm *c, int rc, const char *what, int peer)
{
    if (rc == MPI_SUCCESS) {
        return;
    }
    char error[MPI_MAX_ERROR_STRING] = "unknown error";
    int length = 0;
    MPI_Error_string(rc, error, &length);
    error[strcspn(error, "\n")] = '\0';
    if (peer == EVERYBODY) {
        fprintf(stderr, "weft: rank %d: %s with group %s: %s\n", c->world_rank,
                what, c->name, error);
    } else {
        fprintf(stderr, "weft: rank %d: %s with rank %d of %s: %s\n",
                c->world_rank, what, peer, c->name, error);
    }
    fflush(stderr);
    MPI_Abort(MPI_COMM_WORLD, ST_PEER);
    abort();
}

bool comm_impl_progress(comm *c, MPI_Request *req, int n, int *done,
                        const char *what, int peer)
{
    while (*done < n) {
        int complete = 0;
        int rc = MPI_Test(&req[*done], &complete, MPI_STATUS_IGNORE);
        comm_impl_check(c, rc, what, peer);
        if (!complete) {
            return false;
        }
        (*done)++;
    }
    return true;
}

static void sleep_ns(long ns)
{
    struct timespec pause = {.tv_sec = 0, .tv_nsec = ns};
    nanosleep(&pause, NULL); /* woken early by a signal: polls once more */
}

void comm_impl_finish(comm *c, MPI_Request *req, int n, const char *what,
                      int peer)
{
    int done = 0;
    if (comm_impl_progress(c, req, n, &done, what, peer)) {
        return;
    }
    int64_t start = c->crowded ? clock_wall_ns() : 0;
    while (!comm_impl_progress(c, req, n, &done, what, peer)) {
        sched_yield();
        if (c->crowded && clock_wall_ns() - start > SPIN_NS) {
            sleep_ns(SLEEP_NS);
        }
    }
}

static MPI_Request barrier_start(comm *c)
{
    MPI_Request req = MPI_REQUEST_NULL;
    int rc = MPI_Ibarrier(c->mpi, &req);
    comm_impl_check(c, rc, "barrier", EVERYBODY);
    return req;
}

int64_t comm_impl_meet(comm *c, comm_wait_ns *wait)
{
    int64_t start = wait != NULL ? clock_wall_ns() : 0;
    if (c->size == 1 || (wait == NULL && !c->crowded)) {
        return start;
    }
    MPI_Request req = barrier_start(c);
    comm_impl_finish(c, &req, 1, "barrier", EVERYBODY);
    if (wait == NULL) {
        return 0;
    }
    int64_t met = clock_wall_ns();
    wait->bubble += met - start;
    return met;
}

void comm_impl_transferred(comm_wait_ns *wait, int64_t start)
{
    if (wait != NULL) {
        wait->transfer += clock_wall_ns() - start;
    }
}

void comm_barrier(comm *c)
{
    if (c->size > 1) {
        MPI_Request req = barrier_start(c);
        comm_impl_finish(c, &req, 1, "barrier", EVERYBODY);
    }
}

void comm_barrier_sleeping(comm *c)
{
    if (c->size == 1) {
        return;
    }
    MPI_Request req = barrier_start(c);
    int done = 0;
    while (!comm_impl_progress(c, &req, 1, &done, "barrier", EVERYBODY)) {
        sleep_ns(LONG_NS);
    }
}

status comm_impl_new(int size, comm **out)
{
    comm *g = NULL;
    TRY(MEM_NEW(&g, 1, "comm"));
    status st = MEM_NEW(&g->sent_to, size, "comm");
    if (st == ST_OK) {
        st = MEM_NEW(&g->members, size, "comm");
    }
    if (st != ST_OK) {
        comm_impl_free(g);
        return st;
    }
    *out = g;
    return ST_OK;
}

void comm_impl_free(comm *g)
{
    if (g != NULL) {
        mem_free(g->sent_to);
        mem_free(g->members);
        mem_free(g);
    }
}

void comm_impl_sent(comm *c, int to, int64_t bytes)
{
    c->sent += bytes;
    c->sent_to[to] += bytes;
}

void comm_impl_setup(comm *g, MPI_Comm mpi, const char *name, const comm *from)
{
    g->mpi = mpi;
    g->world_rank = from->world_rank;
    g->node_size = from->node_size;
    g->node_rank = from->node_rank;
    g->node_cores = from->node_cores;
    g->crowded = from->crowded;
    g->message_max = from->message_max;
    g->sent = 0;
    g->recv = 0;
    snprintf(g->name, sizeof(g->name), "%s", name);
    MPI_Comm_set_errhandler(mpi, MPI_ERRORS_RETURN);
    MPI_Comm_set_name(mpi, g->name);
    MPI_Comm_rank(mpi, &g->rank);
    MPI_Comm_size(mpi, &g->size);
    MPI_Allgather(&g->world_rank, 1, MPI_INT32_T, g->members, 1, MPI_INT32_T,
                  mpi);
    /* Handed out from the end: the first request is number 0. */
    g->free_count = COMM_REQS_MAX;
    for (int i = 0; i < COMM_REQS_MAX; i++) {
        g->free_reqs[i] = COMM_REQS_MAX - 1 - i;
    }
}

status comm_split(comm *c, int color, int key, const char *name, comm **out)
{
    ASSERT(color >= -1);
    comm *g = NULL;
    status st = color < 0 ? ST_OK : comm_impl_new(c->size, &g);
    st = comm_agree(c, st);
    if (st != ST_OK) {
        comm_impl_free(g);
        return st;
    }
    MPI_Comm mpi = MPI_COMM_NULL;
    int rc =
        MPI_Comm_split(c->mpi, color < 0 ? MPI_UNDEFINED : color, key, &mpi);
    comm_impl_check(c, rc, "splitting", EVERYBODY);
    if (g != NULL) {
        comm_impl_setup(g, mpi, name, c);
    }
    *out = g;
    return ST_OK;
}

void comm_destroy(comm *c)
{
    if (c == NULL) {
        return;
    }
    ASSERT(c->free_count == COMM_REQS_MAX); /* a request was never waited for */
    int rc = MPI_Comm_free(&c->mpi);
    comm_impl_check(c, rc, "leaving", EVERYBODY);
    comm_impl_free(c);
}

int comm_rank(const comm *c)
{
    return c->rank;
}

int comm_size(const comm *c)
{
    return c->size;
}

int comm_node_size(const comm *world)
{
    return world->node_size;
}

int comm_node_rank(const comm *world)
{
    return world->node_rank;
}

int comm_node_cores(const comm *world)
{
    return world->node_cores;
}

int64_t comm_bytes_sent(const comm *c)
{
    return c->sent;
}

void comm_bytes_to(const comm *c, int64_t *to)
{
    for (int r = 0; r < c->size; r++) {
        to[c->members[r]] += c->sent_to[r];
    }
}

int64_t comm_bytes_recv(const comm *c)
{
    return c->recv;
}

void comm_message_max(comm *c, int64_t bytes)
{
    ASSERT(bytes >= 8 && bytes % 8 == 0 && bytes <= MESSAGE_MAX_BYTES);
    c->message_max = bytes;
}

/* "rank 12: ...": agreed before, in a smaller group. */
static bool names_rank(const char *text)
{
    if (strncmp(text, "rank ", 5) != 0 || !isdigit((unsigned char)text[5])) {
        return false;
    }
    const char *rest = text + 5 + strspn(text + 5, "0123456789");
    return rest[0] == ':' && rest[1] == ' ';
}

/* What the rank with the worst status tells the others. */
typedef struct verdict {
    int world_rank;
    char text[STATUS_TEXT_MAX];
} verdict;

/* Takes over the text of rank `from`; with its number, unless all ranks had
 * the same to say. */
static status take_text(comm *c, status mine, status worst, int from)
{
    verdict v = {.world_rank = c->world_rank};
    if (c->rank == from) {
        snprintf(v.text, sizeof(v.text), "%s", status_text());
    }
    comm_bcast(c, &v, (int64_t)sizeof(v), from);
    bool same = mine == worst && strcmp(status_text(), v.text) == 0;
    int64_t differ = same ? 0 : 1;
    comm_max_i64(c, &differ, 1);
    /* Handed over, so that the job says it once. */
    if (differ == 0 || names_rank(v.text)) {
        return status_set(worst, v.text);
    }
    (void)FAIL(worst, "rank %d: %s", v.world_rank, v.text);
    return status_set(worst, status_text());
}

status comm_agree(comm *c, status mine)
{
    if (c->size == 1) {
        return mine;
    }
    /* One maximum finds the largest status and the lowest rank with it. */
    int64_t key = ((int64_t)mine << 32) | (c->size - 1 - c->rank);
    comm_max_i64(c, &key, 1);
    status worst = (status)(key >> 32);
    if (worst == ST_OK) {
        return ST_OK;
    }
    int from = c->size - 1 - (int)(key & 0x7fffffff);
    return take_text(c, mine, worst, from);
}
