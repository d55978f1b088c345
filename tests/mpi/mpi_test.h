/*
 * A small frame for tests that run under mpirun, at any number of ranks.
 *
 * A rank that left a test early would leave the others hanging in the next
 * collective, so a failed check is noted and the test goes on. At the end of
 * each test all ranks agree on the number of failures; rank 0 prints one line
 * a test, and every rank returns the same exit code: 0 or 1. A rank whose own
 * checks failed never returns 0, even if the agreement is what is broken.
 *
 *     static void test_ring(mpi_test *t) { MPI_TEST(t, comm_size(...) > 0); }
 *     int main(void) {
 *         static const mpi_case cases[] = {MPI_CASE(test_ring)};
 *         return mpi_test_main(cases, MPI_TEST_COUNT(cases));
 *     }
 */
#ifndef WEFT_TESTS_MPI_MPI_TEST_H
#define WEFT_TESTS_MPI_MPI_TEST_H

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "runtime/base/mem.h"
#include "runtime/base/status.h"
#include "runtime/comm/comm.h"

typedef struct mpi_test {
    comm *world;
    int rank;
    int size;
    int64_t checks; /* in this case, on this rank */
    int64_t failed;
} mpi_test;

typedef struct mpi_case {
    const char *name;
    void (*run)(mpi_test *t);
} mpi_case;

#define MPI_CASE(fn)                                                           \
    {                                                                          \
#fn, fn                                                                \
    }
#define MPI_TEST_COUNT(cases) ((int)(sizeof(cases) / sizeof((cases)[0])))
#define MPI_TEST(t, cond)     mpi_test_check((t), (cond), __LINE__, #cond)
#define MPI_TEST_OK(t, call)  mpi_test_ok((t), (call), __LINE__, #call)

/* Local. Returns cond, so that a test can skip what needs it. */
static inline bool mpi_test_check(mpi_test *t, bool cond, int line,
                                  const char *text)
{
    enum { SHOWN = 10 }; /* a broken loop must not flood the log */
    t->checks++;
    if (!cond) {
        t->failed++;
        if (t->failed <= SHOWN) {
            fprintf(stderr, "rank %d of %d: line %d: not true: %s\n", t->rank,
                    t->size, line, text);
        }
    }
    return cond;
}

static inline bool mpi_test_ok(mpi_test *t, status st, int line,
                               const char *text)
{
    if (st != ST_OK) {
        fprintf(stderr, "rank %d: %s\n", t->rank, status_text());
    }
    return mpi_test_check(t, st == ST_OK, line, text);
}

/* Collective. Returns the failures of all ranks. */
static inline int64_t mpi_test_run(mpi_test *t, const mpi_case *one)
{
    t->checks = 0;
    t->failed = 0;
    int64_t live = mem_live();
    one->run(t);
    mpi_test_check(t, mem_live() == live, __LINE__, "no block is left over");
    int64_t sum[2] = {t->checks, t->failed};
    comm_sum_i64(t->world, sum, 2);
    if (sum[0] <= t->size) { /* only the one above: this tests nothing */
        sum[1]++;
    }
    if (t->rank == 0) {
        printf("%s %s (%d ranks, %lld checks)\n", sum[1] == 0 ? "ok  " : "FAIL",
               one->name, t->size, (long long)sum[0]);
        fflush(stdout);
    }
    return sum[1] > t->failed ? sum[1] : t->failed;
}

static inline int mpi_test_main(const mpi_case *cases, int n)
{
    mpi_test t = {0};
    if (comm_init(&t.world) != ST_OK) {
        fprintf(stderr, "comm_init: %s\n", status_text());
        return 1;
    }
    t.rank = comm_rank(t.world);
    t.size = comm_size(t.world);
    int64_t failed = 0;
    for (int i = 0; i < n; i++) {
        failed += mpi_test_run(&t, &cases[i]);
    }
    comm_fini(t.world);
    if (mem_live() != 0) {
        fprintf(stderr, "rank %d: blocks are left over\n", t.rank);
        failed++;
    }
    return failed == 0 && n > 0 ? 0 : 1;
}

/* ---- what several tests need ---- */

/* How long a rank is late, and what the others must at least notice of it. */
enum { MPI_TEST_LATE_MS = 150, MPI_TEST_SEEN_NS = 100 * 1000 * 1000 };

static inline void mpi_test_sleep_ms(int64_t ms)
{
    struct timespec t = {.tv_sec = 0, .tv_nsec = ms * 1000 * 1000};
    nanosleep(&t, NULL);
}

/* Memory or the end of the test program: not what is tested here. */
static inline void *mpi_test_alloc(size_t n, size_t size)
{
    void *block = NULL;
    if (mem_alloc(n, size, "test", &block) != ST_OK) {
        fprintf(stderr, "%s\n", status_text());
        abort();
    }
    return block;
}

/* Upper limits on times fail when something else takes the cores, so one good
 * attempt of several will do: all ranks agree on whether it was one. */
static inline bool mpi_test_one_attempt_of(mpi_test *t,
                                           bool (*attempt)(mpi_test *t))
{
    enum { ATTEMPTS = 8 };
    for (int i = 0; i < ATTEMPTS; i++) {
        comm_barrier(t->world);
        int64_t bad = attempt(t) ? 0 : 1;
        comm_sum_i64(t->world, &bad, 1);
        if (bad == 0) {
            return true;
        }
    }
    return false;
}

/* A byte that depends on who, where and which message. */
static inline unsigned char mpi_test_pattern(int rank, int message, int64_t i)
{
    uint64_t x = (uint64_t)i * 2654435761u + (uint64_t)rank * 40503u +
                 (uint64_t)message * 97u;
    return (unsigned char)(x >> 7 ^ x);
}

static inline void mpi_test_fill(unsigned char *data, int64_t n, int rank,
                                 int message)
{
    for (int64_t i = 0; i < n; i++) {
        data[i] = mpi_test_pattern(rank, message, i);
    }
}

static inline bool mpi_test_holds(const unsigned char *data, int64_t n,
                                  int rank, int message)
{
    for (int64_t i = 0; i < n; i++) {
        if (data[i] != mpi_test_pattern(rank, message, i)) {
            return false;
        }
    }
    return true;
}

#endif
