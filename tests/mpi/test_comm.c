/*
 * Groups, agreement, collectives, and how a process ends, at any number of
 * ranks; run at 1, 2, 3 and 4.
 *
 * What ends a process (a second start, an MPI error) is tested by starting
 * this program again with an argument, from the run with one rank and before
 * that starts MPI: see main.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "runtime/base/clock.h"
#include "runtime/comm/comm.h"
#include "tests/mpi/mpi_test.h"

static void test_world(mpi_test *t)
{
    MPI_TEST(t, t->rank >= 0 && t->rank < t->size);
    /* The tests run on one node. */
    MPI_TEST(t, comm_node_size(t->world) == t->size);
    MPI_TEST(t, comm_node_rank(t->world) == t->rank);
    MPI_TEST(t, comm_node_cores(t->world) >= 1);
    MPI_TEST(t, strlen(comm_library()) > 3);
    MPI_TEST(t, strchr(comm_library(), '\n') == NULL);
    int64_t ranks = t->rank + 1;
    comm_sum_i64(t->world, &ranks, 1);
    MPI_TEST(t, ranks == t->size * (t->size + 1) / 2);
    comm *again = NULL;
    MPI_TEST(t, comm_init(&again) == ST_INTERNAL);
}

static void test_split_by_color(mpi_test *t)
{
    comm *g = NULL;
    int color = t->rank % 2;
    /* Keys turn the order round. */
    MPI_TEST_OK(t, comm_split(t->world, color, -t->rank, "half", &g));
    int members = (t->size + 1 - color) / 2;
    MPI_TEST(t, comm_size(g) == members);
    MPI_TEST(t, comm_rank(g) == members - 1 - t->rank / 2);
    MPI_TEST(t, comm_node_cores(g) == comm_node_cores(t->world));
    int64_t sum = t->rank;
    comm_sum_i64(g, &sum, 1);
    int64_t expected = 0;
    for (int r = color; r < t->size; r += 2) {
        expected += r;
    }
    MPI_TEST(t, sum == expected);
    comm_destroy(g);
}

static void test_split_leaves_out(mpi_test *t)
{
    comm *g = (comm *)t; /* must be overwritten */
    bool in = t->rank > 0;
    MPI_TEST_OK(t, comm_split(t->world, in ? 7 : -1, 0, "rest", &g));
    MPI_TEST(t, in == (g != NULL));
    if (g != NULL) {
        MPI_TEST(t, comm_size(g) == t->size - 1);
        MPI_TEST(t, comm_rank(g) == t->rank - 1);
    }
    comm_destroy(g);
}

/* One rank cannot allocate: all ranks get that error and nobody hangs. */
static void test_split_without_memory(mpi_test *t)
{
    comm *g = NULL;
    mem_fail_after(t->rank == t->size - 1 ? 1 : 0);
    MPI_TEST(t, comm_split(t->world, 0, 0, "none", &g) == ST_SYSTEM);
    mem_fail_after(0);
    MPI_TEST(t, g == NULL);
    MPI_TEST(t, strlen(status_text()) > 0);
    MPI_TEST_OK(t, comm_split(t->world, 0, 0, "some", &g));
    comm_destroy(g);
}

/* A world of the first ranks knows itself, and works while others are out. */
static void test_first_ranks(mpi_test *t)
{
    for (int n = 1; n <= t->size; n++) {
        comm *g = NULL;
        MPI_TEST_OK(t, comm_first(t->world, n, &g));
        MPI_TEST(t, (g != NULL) == (t->rank < n));
        if (g != NULL) {
            int64_t sum = 1;
            comm_sum_i64(g, &sum, 1);
            MPI_TEST(t, sum == n);
            MPI_TEST(t, comm_rank(g) == t->rank && comm_size(g) == n);
            /* All ranks of this test are on one node. */
            MPI_TEST(t, comm_node_size(g) == n);
            MPI_TEST(t, comm_node_rank(g) == t->rank);
            MPI_TEST(t, comm_node_cores(g) <= comm_node_cores(t->world));
            MPI_TEST(t, comm_bytes_sent(g) >= 0);
        }
        comm_destroy(g);
    }
    MPI_TEST(t, comm_node_size(t->world) == t->size);
    MPI_TEST(t, strlen(comm_thread_level()) >= 6); /* "single" */
}

static void test_agree_ok(mpi_test *t)
{
    for (int i = 0; i < 10; i++) {
        MPI_TEST(t, comm_agree(t->world, ST_OK) == ST_OK);
    }
}

/* Then rank 0 alone prints it, see log_error_line. */
static bool is_handed_over(void)
{
    return strcmp(status_where(), "(handed over)") == 0;
}

static void test_agree_one_fails(mpi_test *t)
{
    for (int bad = 0; bad < t->size; bad++) {
        status_set(ST_OK, "old text");
        status mine = ST_OK;
        if (t->rank == bad) {
            mine = FAIL(ST_BADFILE, "file %d is broken", bad);
        }
        char expected[100];
        snprintf(expected, sizeof(expected), "rank %d: file %d is broken", bad,
                 bad);
        const char *text = t->size > 1 ? expected : "file 0 is broken";
        MPI_TEST(t, comm_agree(t->world, mine) == ST_BADFILE);
        MPI_TEST(t, strcmp(status_text(), text) == 0);
        MPI_TEST(t, t->size == 1 || is_handed_over());
    }
}

/* The largest status wins, and the lowest rank that has it. */
static void test_agree_worst_wins(mpi_test *t)
{
    status mine = t->rank == 0 ? FAIL(ST_USAGE, "small")
                               : FAIL(ST_CORRUPT, "large on %d", t->rank);
    status st = comm_agree(t->world, mine);
    if (t->size == 1) {
        MPI_TEST(t, st == ST_USAGE && strcmp(status_text(), "small") == 0);
    } else {
        MPI_TEST(t, st == ST_CORRUPT);
        MPI_TEST(t, strcmp(status_text(), "rank 1: large on 1") == 0);
    }
}

static void test_agree_all_same(mpi_test *t)
{
    status mine = FAIL(ST_CONFIG, "key 'x' is wrong everywhere");
    MPI_TEST(t, comm_agree(t->world, mine) == ST_CONFIG);
    MPI_TEST(t, strcmp(status_text(), "key 'x' is wrong everywhere") == 0);
    MPI_TEST(t, t->size == 1 || is_handed_over());
}

/* Agreed in a group, then in the world: the rank is named once, and by its
 * number in the world. */
static void test_agree_twice(mpi_test *t)
{
    comm *g = NULL;
    MPI_TEST_OK(t,
                comm_split(t->world, t->rank < 2 ? 1 : 0, -t->rank, "g", &g));
    status mine = t->rank == 0 ? FAIL(ST_IO, "disk full") : ST_OK;
    mine = comm_agree(g, mine);
    MPI_TEST(t, (mine == ST_IO) == (t->rank < 2));
    MPI_TEST(t, comm_agree(t->world, mine) == ST_IO);
    const char *text = t->size > 1 ? "rank 0: disk full" : "disk full";
    MPI_TEST(t, strcmp(status_text(), text) == 0);
    comm_destroy(g);
}

static void test_agree_long_text(mpi_test *t)
{
    char *text = mpi_test_alloc(STATUS_TEXT_MAX + 100, 1);
    memset(text, 'x', STATUS_TEXT_MAX + 99);
    status mine = t->rank == 0 ? FAIL(ST_IO, "%s", text) : ST_OK;
    MPI_TEST(t, comm_agree(t->world, mine) == ST_IO);
    MPI_TEST(t, strlen(status_text()) == STATUS_TEXT_MAX - 1);
    mem_free(text);
}

/* Nobody leaves before the last one comes; one node has one wall clock. */
static void test_barriers(mpi_test *t)
{
    for (int late = 0; late < t->size; late++) {
        for (int kind = 0; kind < 2; kind++) {
            if (t->rank == late) {
                mpi_test_sleep_ms(20);
            }
            int64_t came = clock_wall_ns();
            if (kind == 0) {
                comm_barrier(t->world);
            } else {
                comm_barrier_sleeping(t->world);
            }
            int64_t left = clock_wall_ns();
            comm_max_i64(t->world, &came, 1);
            MPI_TEST(t, left >= came);
        }
    }
}

/* Who waits does not use the core. */
static bool waits_asleep(mpi_test *t)
{
    int64_t start = clock_cpu_process_ns();
    if (t->rank == 0) {
        mpi_test_sleep_ms(MPI_TEST_LATE_MS);
    }
    comm_barrier_sleeping(t->world);
    return clock_cpu_process_ns() - start < MPI_TEST_SEEN_NS / 2;
}

/* So does any wait where ranks share cores. */
static bool waits_politely(mpi_test *t)
{
    int64_t start = clock_cpu_process_ns();
    if (t->rank == 0) {
        mpi_test_sleep_ms(MPI_TEST_LATE_MS);
    }
    double x = 0.0;
    comm_sum_f64(t->world, &x, 1, NULL);
    return clock_cpu_process_ns() - start < MPI_TEST_SEEN_NS / 2;
}

static void test_barrier_sleeps(mpi_test *t)
{
    MPI_TEST(t, mpi_test_one_attempt_of(t, waits_asleep));
    if (comm_node_size(t->world) > comm_node_cores(t->world)) {
        MPI_TEST(t, mpi_test_one_attempt_of(t, waits_politely));
    }
}

static void test_bcast(mpi_test *t)
{
    static const int64_t sizes[] = {0, 1, 7, 64, 4097, 300000};
    for (int s = 0; s < 6; s++) {
        int64_t n = sizes[s];
        unsigned char *data = mpi_test_alloc((size_t)n + 1, 1);
        for (int root = 0; root < t->size; root++) {
            memset(data, 0, (size_t)n + 1);
            if (t->rank == root) {
                mpi_test_fill(data, n, root, s);
            }
            comm_bcast(t->world, data, n, root);
            MPI_TEST(t, mpi_test_holds(data, n, root, s) && data[n] == 0);
        }
        mem_free(data);
    }
}

static void test_sums(mpi_test *t)
{
    enum { N = 1000 };
    double real[N];
    int64_t whole[N];
    int64_t most[N];
    for (int i = 0; i < N; i++) {
        /* One contributor a slot: exact. */
        real[i] = i % t->size == t->rank ? 1.0 / (i + 1) : 0.0;
        whole[i] = ((int64_t)1 << 40) * (t->rank + 1) + i;
        most[i] = (t->rank * 7 + i) % t->size - 100;
    }
    comm_wait_ns wait = {0};
    comm_sum_f64(t->world, real, N, &wait);
    comm_sum_f64(t->world, real, 0, &wait);
    comm_sum_i64(t->world, whole, N);
    comm_max_i64(t->world, most, N);
    MPI_TEST(t, wait.bubble >= 0 && wait.transfer >= 0);
    int64_t ranks = t->size * (t->size + 1) / 2;
    for (int i = 0; i < N; i++) {
        int64_t best = -100;
        for (int r = 0; r < t->size; r++) {
            int64_t v = (r * 7 + i) % t->size - 100;
            best = v > best ? v : best;
        }
        MPI_TEST(t, real[i] == 1.0 / (i + 1));
        MPI_TEST(t, whole[i] == ((int64_t)1 << 40) * ranks + i * t->size);
        MPI_TEST(t, most[i] == best);
    }
}

/* The last rank is late: the others' wait is bubble, not transfer. */
static bool sum_tells(mpi_test *t)
{
    double x = t->rank == 0 ? 1.5 : 0.0;
    comm_wait_ns wait = {0};
    bool late = t->rank == t->size - 1;
    if (late) {
        mpi_test_sleep_ms(MPI_TEST_LATE_MS);
    }
    comm_sum_f64(t->world, &x, 1, &wait);
    bool waited = wait.bubble >= MPI_TEST_SEEN_NS;
    return x == 1.5 && waited == !late && wait.transfer < MPI_TEST_SEEN_NS;
}

static void test_wait_of_sum(mpi_test *t)
{
    MPI_TEST(t, mpi_test_one_attempt_of(t, sum_tells));
}

static void test_gathers(mpi_test *t)
{
    static const int64_t sizes[] = {0, 1, 13, 5000};
    for (int s = 0; s < 4; s++) {
        int64_t n = sizes[s];
        unsigned char *mine = mpi_test_alloc((size_t)n + 1, 1);
        unsigned char *all = mpi_test_alloc((size_t)(n * t->size) + 1, 1);
        mpi_test_fill(mine, n, t->rank, s);
        for (int root = 0; root < t->size; root++) {
            memset(all, 0, (size_t)(n * t->size));
            comm_gather(t->world, mine, n, t->rank == root ? all : NULL, root);
            for (int r = 0; r < t->size && t->rank == root; r++) {
                MPI_TEST(t, mpi_test_holds(all + r * n, n, r, s));
            }
        }
        memset(all, 0, (size_t)(n * t->size));
        comm_allgather(t->world, mine, n, all);
        for (int r = 0; r < t->size; r++) {
            MPI_TEST(t, mpi_test_holds(all + r * n, n, r, s));
        }
        mem_free(all);
        mem_free(mine);
    }
}

/* Again in messages of 1,000 bytes: the same as beyond 1 GiB. */
static void test_collectives_in_parts(mpi_test *t)
{
    enum { WORDS = 1999 };
    comm *g = NULL;
    comm *part = NULL;
    MPI_TEST_OK(t, comm_split(t->world, 0, t->rank, "parts", &g));
    comm_message_max(g, 1000);
    MPI_TEST_OK(t, comm_split(g, 0, t->rank, "inherits", &part));
    comm_destroy(g);
    mpi_test inner = *t;
    inner.world = part;
    test_bcast(&inner);
    test_gathers(&inner);
    t->failed = inner.failed;
    t->checks = inner.checks;
    int64_t *words = mpi_test_alloc(WORDS, 8);
    for (int i = 0; i < WORDS; i++) {
        words[i] = i * (t->rank + 1);
    }
    comm_sum_i64(part, words, WORDS);
    for (int i = 0; i < WORDS; i++) {
        MPI_TEST(t, words[i] == (int64_t)i * t->size * (t->size + 1) / 2);
    }
    mem_free(words);
    comm_destroy(part);
}

/* Of the call between, on this rank. */
typedef struct moved {
    int64_t sent;
    int64_t recv;
} moved;

static moved moved_since(const comm *c, moved before)
{
    return (moved){comm_bytes_sent(c) - before.sent,
                   comm_bytes_recv(c) - before.recv};
}

static moved moved_now(const comm *c)
{
    return (moved){comm_bytes_sent(c), comm_bytes_recv(c)};
}

/* In groups of their own, in reversed order: who got the bytes is told by
 * the rank of the world. */
static void test_bytes_by_rank(mpi_test *t)
{
    comm *g = NULL;
    int64_t to[64] = {0}, all[64] = {0}, one = 1;
    MPI_TEST(t, t->size <= 64);
    MPI_TEST_OK(t, comm_split(t->world, t->rank % 2, -t->rank, "half", &g));
    comm_allgather(g, &one, sizeof(one), all);
    comm_bytes_to(g, to);
    int64_t sum = 0;
    for (int r = 0; r < t->size; r++) {
        bool told = r != t->rank && r % 2 == t->rank % 2;
        MPI_TEST(t, to[r] == (told ? 8 : 0));
        sum += to[r];
    }
    MPI_TEST(t, sum == comm_bytes_sent(g));
    comm_sum_i64(g, &one, 1);
    comm_bcast(g, all, 16, comm_size(g) - 1);
    comm_gather(g, &one, 8, all, 0);
    memset(to, 0, sizeof(to));
    comm_bytes_to(g, to);
    sum = 0;
    for (int r = 0; r < t->size; r++) {
        sum += to[r];
    }
    MPI_TEST(t, sum == comm_bytes_sent(g));
    comm_destroy(g);
}

static void test_bytes_of_collectives(mpi_test *t)
{
    comm *g = NULL;
    MPI_TEST_OK(t, comm_split(t->world, 0, t->rank, "bytes", &g));
    MPI_TEST(t, comm_bytes_sent(g) == 0 && comm_bytes_recv(g) == 0);
    int64_t n = t->size - 1;
    int64_t data[24] = {0};
    int64_t all[24 * 8] = {0};
    moved before = moved_now(g);
    comm_bcast(g, data, 100, 0);
    moved m = moved_since(g, before);
    MPI_TEST(t, m.sent == (t->rank == 0 ? 100 * n : 0));
    MPI_TEST(t, m.recv == (t->rank == 0 ? 0 : 100));
    before = moved_now(g);
    comm_max_i64(g, data, 24);
    m = moved_since(g, before);
    MPI_TEST(t, m.sent == 2 * 192 * n / t->size && m.recv == m.sent);
    before = moved_now(g);
    if (t->size <= 8) {
        comm_gather(g, data, 24, all, 0);
        m = moved_since(g, before);
        MPI_TEST(t, m.sent == (t->rank == 0 ? 0 : 24));
        MPI_TEST(t, m.recv == (t->rank == 0 ? 24 * n : 0));
        before = moved_now(g);
        comm_allgather(g, data, 24, all);
        m = moved_since(g, before);
        MPI_TEST(t, m.sent == 24 * n && m.recv == 24 * n);
    }
    before = moved_now(g);
    comm_barrier(g);
    m = moved_since(g, before);
    MPI_TEST(t, m.sent == 0 && m.recv == 0);
    comm_destroy(g);
}

/* ---- what ends a process ---- */

/* Rank 1 receives less than it is sent: MPI reports it on rank 1 alone. */
static int be_truncated(void)
{
    comm *world = NULL;
    if (comm_init(&world) != ST_OK) {
        return 1;
    }
    char data[100] = {0};
    if (comm_rank(world) == 0) {
        comm_send(world, 1, 3, data, 100);
    } else {
        comm_recv(world, 0, 3, data, 50);
    }
    comm_barrier(world); /* the abort ends this wait of rank 0 */
    comm_fini(world);
    return 0;
}

static int be_our_bug(void)
{
    comm *world = NULL;
    if (comm_init(&world) != ST_OK) {
        return 1;
    }
    if (comm_rank(world) == 1) {
        comm_send(world, 99, 0, NULL, 0); /* no such rank: an ASSERT */
    }
    comm_barrier(world);
    comm_fini(world);
    return 0;
}

/* Started alone; says on its exit code what comm_init says. */
static int be_alone(void)
{
    comm *world = NULL;
    status st = comm_init(&world);
    if (st != ST_OK) {
        fprintf(stderr, "%s\n", status_text());
        return (int)st;
    }
    bool alone = comm_size(world) == 1 && comm_node_size(world) == 1;
    /* A launcher started from here must find a clean environment. */
    alone = alone && getenv("OMPI_MCA_ess") == NULL &&
            getenv("OMPI_MCA_pmix") == NULL;
    comm_fini(world);
    return alone ? 0 : 1;
}

/* Runs a shell command without the variables of our own launch; true if it
 * ends with `code` and, if not NULL, prints `text`. %s is this program. */
static bool ends_with(const char *format, const char *self, int code,
                      const char *text)
{
    char command[4096];
    char output[8192] = "";
    snprintf(command, sizeof(command), format, self);
    FILE *pipe = popen(command, "r");
    if (pipe == NULL) {
        return false;
    }
    size_t n = fread(output, 1, sizeof(output) - 1, pipe);
    output[n] = '\0';
    int ended = pclose(pipe);
    bool good = WIFEXITED(ended) && WEXITSTATUS(ended) == code &&
                (text == NULL || strstr(output, text) != NULL);
    if (!good) {
        fprintf(stderr, "%s\nended with %d, not %d and \"%s\":\n%s\n", command,
                WEXITSTATUS(ended), code, text == NULL ? "" : text, output);
    }
    return good;
}

/* An environment of its own but for what a sanitizer was told. */
#define BARE                                                                   \
    "env -i ASAN_OPTIONS=\"$ASAN_OPTIONS\" LSAN_OPTIONS=\"$LSAN_OPTIONS\" "    \
    "UBSAN_OPTIONS=\"$UBSAN_OPTIONS\" "
#define TWO_RANKS                                                              \
    BARE "PATH=\"$PATH\" HOME=\"$HOME\" OMPI_ALLOW_RUN_AS_ROOT=1 "             \
         "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 timeout 60 "                        \
         "mpirun --map-by :OVERSUBSCRIBE -np 2 "

static int test_endings(const char *self)
{
    bool good = ends_with(BARE "PATH=\"$PATH\" %s alone 2>&1", self, 0, NULL);
    /* No ssh, no daemon, no home. */
    good &= ends_with(BARE "PATH=/nowhere %s alone 2>&1", self, 0, NULL);
    good &= ends_with(BARE "SLURM_STEP_NUM_TASKS=4 %s alone 2>&1", self,
                      ST_CONFIG, "srun --mpi=pmix");
    good &= ends_with(BARE "SLURM_STEP_NUM_TASKS=1 SLURM_NTASKS=4 "
                           "%s alone 2>&1",
                      self, 0, NULL);
    good &= ends_with(TWO_RANKS "%s truncated 2>&1", self, ST_PEER,
                      "weft: rank 1: receive with rank 0 of world: ");
    good &= ends_with(TWO_RANKS "%s bug 2>&1", self, ST_INTERNAL,
                      "weft: rank 1: internal check failed");
    printf("%s test_endings\n", good ? "ok  " : "FAIL");
    fflush(stdout); /* MPI may end the process before the buffer is written */
    return good ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "alone") == 0) {
        return be_alone();
    }
    if (argc == 2 && strcmp(argv[1], "truncated") == 0) {
        return be_truncated();
    }
    if (argc == 2 && strcmp(argv[1], "bug") == 0) {
        return be_our_bug();
    }
    int bad = 0;
    const char *launched = getenv("OMPI_COMM_WORLD_SIZE");
    if (launched == NULL || strcmp(launched, "1") == 0) {
        bad = test_endings(argv[0]);
    }
    static const mpi_case cases[] = {
        MPI_CASE(test_world),
        MPI_CASE(test_split_by_color),
        MPI_CASE(test_split_leaves_out),
        MPI_CASE(test_split_without_memory),
        MPI_CASE(test_first_ranks),
        MPI_CASE(test_agree_ok),
        MPI_CASE(test_agree_one_fails),
        MPI_CASE(test_agree_worst_wins),
        MPI_CASE(test_agree_all_same),
        MPI_CASE(test_agree_twice),
        MPI_CASE(test_agree_long_text),
        MPI_CASE(test_barriers),
        MPI_CASE(test_barrier_sleeps),
        MPI_CASE(test_bcast),
        MPI_CASE(test_sums),
        MPI_CASE(test_wait_of_sum),
        MPI_CASE(test_gathers),
        MPI_CASE(test_collectives_in_parts),
        MPI_CASE(test_bytes_by_rank),
        MPI_CASE(test_bytes_of_collectives),
    };
    return mpi_test_main(cases, MPI_TEST_COUNT(cases)) | bad;
}
