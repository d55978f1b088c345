/*
 * The reduction by leaves has the bits of a serial evaluation of the tree,
 * at any number of ranks; run at 1, 2, 3 and 4.
 */
#include <string.h>

#include "runtime/comm/comm.h"
#include "tests/mpi/mpi_test.h"

/* Element k of leaf i: of very different sizes, so that the order shows. */
static float leaf_value(int i, int64_t k)
{
    uint64_t x = ((uint64_t)k * 64 + (uint64_t)i + 1) * 0x9e3779b97f4a7c15u;
    x ^= x >> 29;
    x *= 0xbf58476d1ce4e5b9u;
    x ^= x >> 32;
    float v = (float)((int64_t)(x & 0xffffff) - 0x800000) / 8388608.0f;
    return v * (float)(1 << (x >> 24 & 15));
}

/* The definition, evaluated by recursion: node [lo, hi) splits at the largest
 * power of two below its size. */
static float tree_value(int lo, int hi, int64_t k)
{
    if (hi - lo == 1) {
        return leaf_value(lo, k);
    }
    int left = 1;
    while (left * 2 < hi - lo) {
        left *= 2;
    }
    return tree_value(lo, lo + left, k) + tree_value(lo + left, hi, k);
}

static bool is_sum(const float *data, int leaves, int64_t count)
{
    int64_t wrong = 0;
    for (int64_t k = 0; k < count; k++) {
        float sum = tree_value(0, leaves, k);
        wrong += memcmp(&sum, &data[k], sizeof(sum)) != 0;
    }
    return wrong == 0;
}

/* This rank's pieces, `stride` floats apart, every gap filled with 1234. */
static float *make_pieces(mpi_test *t, int leaves, int64_t count,
                          int64_t stride, int *pieces)
{
    tree_span span[TREE_DEPTH_MAX * 2];
    int n = tree_pieces(leaves, leaf_of_rank(leaves, t->size, t->rank),
                        leaf_of_rank(leaves, t->size, t->rank + 1), span);
    int room = n > 0 ? n : 1; /* a rank without leaves gets the sum, too */
    float *data = mpi_test_alloc((size_t)(room * stride) + 1, sizeof(float));
    for (int64_t i = 0; i < room * stride; i++) {
        data[i] = 1234.0f;
    }
    for (int p = 0; p < n; p++) {
        for (int64_t k = 0; k < count; k++) {
            data[p * stride + k] = tree_value(span[p].lo, span[p].hi, k);
        }
    }
    *pieces = room;
    return data;
}

static void reduce_case(mpi_test *t, int leaves, int64_t count)
{
    int64_t stride = count + 5;
    int pieces = 0;
    float *data = make_pieces(t, leaves, count, stride, &pieces);
    size_t bytes = comm_tree_work_bytes(t->size, leaves, count);
    /* Not aligned, and with a guard behind. */
    unsigned char *work = mpi_test_alloc(bytes + 2, 1);
    work[bytes + 1] = 99;
    int64_t allocated = mem_count();
    comm_wait_ns wait = {0};
    comm_tree_allreduce(t->world, leaves, data, stride, count, work + 1, bytes,
                        &wait);
    MPI_TEST(t, mem_count() == allocated);
    MPI_TEST(t, work[bytes + 1] == 99);
    MPI_TEST(t, is_sum(data, leaves, count));
    bool gaps = true;
    for (int p = 0; p < pieces; p++) {
        for (int64_t k = count; k < stride; k++) {
            gaps = gaps && data[p * stride + k] == 1234.0f;
        }
    }
    MPI_TEST(t, gaps);
    mem_free(work);
    mem_free(data);
}

static void test_tree_small(mpi_test *t)
{
    static const int64_t counts[] = {0, 1, 15, 16, 17, 33, 1000};
    for (int leaves = 1; leaves <= 12; leaves++) {
        for (int i = 0; i < 7; i++) {
            reduce_case(t, leaves, counts[i]);
        }
    }
    reduce_case(t, TREE_LEAVES_MAX, 1000);
    reduce_case(t, TREE_LEAVES_MAX - 1, 1000);
}

static void test_tree_100003(mpi_test *t)
{
    for (int leaves = t->size; leaves <= 9; leaves++) {
        reduce_case(t, leaves, 100003);
    }
}

/* More than one chunk; work stays at that of one, which is what was planned
 * for, and is no more than that anywhere. */
static void test_tree_chunks(mpi_test *t)
{
    int64_t chunk = TREE_CHUNK_FLOATS;
    int64_t count = chunk + 1003;
    size_t whole = comm_tree_work_bytes(t->size, 5, chunk);
    reduce_case(t, 5, count);
    MPI_TEST(t, comm_tree_work_bytes(t->size, 5, count) == whole);
    MPI_TEST(t, comm_tree_work_bytes(t->size, 5, 100 * count) == whole);
    MPI_TEST(t, t->size == 1 ||
                    comm_tree_work_bytes(t->size, 5, chunk / 2) < whole);
    for (int64_t n = 1; n <= 4 * chunk; n *= 2) {
        MPI_TEST(t, comm_tree_work_bytes(t->size, 5, n) <=
                        tree_exchange_bytes(t->size, 5, n));
    }
}

/* The serial order must differ from the tree somewhere, or the tests above
 * could not tell a wrong order. */
static void test_tree_order_shows(mpi_test *t)
{
    int differ = 0;
    for (int64_t k = 0; k < 1000; k++) {
        float fold = leaf_value(0, k);
        for (int i = 1; i < 6; i++) {
            fold += leaf_value(i, k);
        }
        differ += fold != tree_value(0, 6, k);
    }
    MPI_TEST(t, differ > 100);
}

static bool tree_tells(mpi_test *t)
{
    enum { N = 1000 };
    float data[N] = {0};
    size_t bytes = comm_tree_work_bytes(t->size, t->size, N);
    void *work = mpi_test_alloc(bytes + 1, 1);
    comm_wait_ns wait = {0};
    bool late = t->rank == 0;
    if (late) {
        mpi_test_sleep_ms(MPI_TEST_LATE_MS);
    }
    comm_tree_allreduce(t->world, t->size, data, N, N, work, bytes, &wait);
    mem_free(work);
    bool waited = wait.bubble >= MPI_TEST_SEEN_NS;
    return waited == !late && wait.transfer < MPI_TEST_SEEN_NS;
}

static void test_wait_of_tree(mpi_test *t)
{
    MPI_TEST(t, mpi_test_one_attempt_of(t, tree_tells));
}

/* With one piece a rank the tree moves what a ring would. */
static void test_bytes_of_tree(mpi_test *t)
{
    enum { N = 1200 * 16 }; /* slices are equal for 1, 2, 3, 4 ranks */
    comm *g = NULL;
    MPI_TEST_OK(t, comm_split(t->world, 0, t->rank, "bytes", &g));
    float *data = mpi_test_alloc(N, sizeof(float));
    size_t bytes = comm_tree_work_bytes(t->size, t->size, N);
    void *work = mpi_test_alloc(bytes + 1, 1);
    comm_tree_allreduce(g, t->size, data, N, N, work, bytes, NULL);
    if (1200 % t->size == 0) {
        int64_t ring_bytes = 2 * (int64_t)N * 4 * (t->size - 1) / t->size;
        MPI_TEST(t, comm_bytes_sent(g) == ring_bytes);
        MPI_TEST(t, comm_bytes_recv(g) == ring_bytes);
    }
    mem_free(work);
    mem_free(data);
    comm_destroy(g);
}

int main(void)
{
    static const mpi_case cases[] = {
        MPI_CASE(test_tree_small),   MPI_CASE(test_tree_100003),
        MPI_CASE(test_tree_chunks),  MPI_CASE(test_tree_order_shows),
        MPI_CASE(test_wait_of_tree), MPI_CASE(test_bytes_of_tree),
    };
    return mpi_test_main(cases, MPI_TEST_COUNT(cases));
}
