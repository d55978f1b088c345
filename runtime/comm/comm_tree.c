/*
 * The reduction by leaves.
 *
 * Example: 3 ranks, 6 leaves, so rank 0 holds piece [0,2), rank 1 [2,4) and
 * rank 2 [4,6). A chunk of the data is cut into one slice per rank:
 *
 *              slice 0   slice 1   slice 2
 *   rank 0      a0        a1        a2       a = [0,2)
 *   rank 1      b0        b1        b2       b = [2,4)
 *   rank 2      c0        c1        c2       c = [4,6)
 *
 *   exchange    rank i gets ai, bi, ci: its own in place, the others in work
 *   local tree  rank i computes (ai + bi) + ci, the order the tree gives
 *   gather      everyone gets all slices of the sum into its data
 *
 * Every element is added by one rank, in the order of the tree over leaves,
 * whatever the ranks are: that is why the bits do not depend on them. Each
 * single addition is rounded exactly, so vector width and slice borders do
 * not matter either.
 *
 * Slices are multiples of UNIT floats (a cache line) but where the data ends;
 * with few elements some are empty and not sent. Data is done in chunks so
 * that `work` stays small. Pieces of different ranks are disjoint, so there
 * are never more pieces than leaves.
 *
 * work:  requests | slot 0 | slot 1 | ...   one slot a piece of other ranks
 */
#include <string.h>

#include "runtime/comm/comm_impl.h"

enum {
    UNIT = 16,   /* floats in a cache line                                */
    TILE = 4096, /* floats: a stack of such tiles stays in cache          */
    LINE_BYTES = 64
};

/* The pieces of all ranks, in the order of their leaves. */
typedef struct layout {
    int n;
    tree_span span[TREE_LEAVES_MAX];
    int owner[TREE_LEAVES_MAX];
    int most; /* pieces that one rank holds */
    int least;
} layout;

typedef struct job {
    comm *c;
    int leaves;
    const layout *all;
    float *data; /* own piece k at data + k * stride */
    int64_t stride;
    MPI_Request *req;
    int posted;
    float *slots;
    int64_t slot; /* floats of one */
} job;

static int64_t units_of(int64_t n)
{
    return (n + UNIT - 1) / UNIT;
}

/* First float of slice i of n floats. */
static int64_t slice_start(int64_t n, int size, int i)
{
    int64_t start = leaf_start(units_of(n), size, i) * UNIT;
    return start < n ? start : n;
}

static int64_t slice_length(int64_t n, int size, int i)
{
    return slice_start(n, size, i + 1) - slice_start(n, size, i);
}

/* Floats of the longest slice of any chunk, in whole cache lines. */
static int64_t slot_floats(int size, int64_t count)
{
    int64_t units =
        units_of(count < TREE_CHUNK_FLOATS ? count : TREE_CHUNK_FLOATS);
    return (units + size - 1) / size * UNIT;
}

static void layout_fill(layout *all, int leaves, int size)
{
    *all = (layout){.least = TREE_LEAVES_MAX};
    for (int r = 0; r < size; r++) {
        tree_span own[TREE_DEPTH_MAX * 2];
        int n = tree_pieces(leaves, leaf_of_rank(leaves, size, r),
                            leaf_of_rank(leaves, size, r + 1), own);
        for (int k = 0; k < n; k++) {
            all->span[all->n] = own[k];
            all->owner[all->n] = r;
            all->n++;
        }
        all->most = n > all->most ? n : all->most;
        all->least = n < all->least ? n : all->least;
    }
}

/* Bytes for all requests that are open at once: a receive a foreign piece
 * and a send an own piece and partner, or a send and a receive a partner. */
static size_t request_bytes(const layout *all, int size)
{
    size_t n = (size_t)all->n + (size_t)(size - 1) * (size_t)(all->most + 1);
    size_t bytes = n * sizeof(MPI_Request);
    return (bytes + LINE_BYTES - 1) / LINE_BYTES * LINE_BYTES;
}

size_t comm_tree_work_bytes(int size, int leaves, int64_t count)
{
    ASSERT(size >= 1 && leaves >= 1 && leaves <= TREE_LEAVES_MAX && count >= 0);
    if (size == 1) {
        return 0;
    }
    layout all;
    layout_fill(&all, leaves, size);
    size_t slots = (size_t)(all.n - all.least);
    size_t slot_bytes = (size_t)slot_floats(size, count) * sizeof(float);
    /* One line more, to align what the caller hands over. */
    return LINE_BYTES + request_bytes(&all, size) + slots * slot_bytes;
}

static void post_recv(job *j, int from, float *into, int64_t n)
{
    if (n > 0) {
        int rc = MPI_Irecv(into, (int)n, MPI_FLOAT, from, TAG_TREE, j->c->mpi,
                           &j->req[j->posted]);
        comm_impl_check(j->c, rc, "tree all-reduce (receive)", from);
        j->posted++;
        j->c->recv += n * (int64_t)sizeof(float);
    }
}

static void post_send(job *j, int to, const float *from, int64_t n)
{
    if (n > 0) {
        int rc = MPI_Isend(from, (int)n, MPI_FLOAT, to, TAG_TREE, j->c->mpi,
                           &j->req[j->posted]);
        comm_impl_check(j->c, rc, "tree all-reduce (send)", to);
        j->posted++;
        comm_impl_sent(j->c, to, n * (int64_t)sizeof(float));
    }
}

static void finish_posted(job *j)
{
    comm_impl_finish(j->c, j->req, j->posted, "tree all-reduce", EVERYBODY);
    j->posted = 0;
}

/* The i-th partner, starting after this rank: so that not everybody sends to
 * rank 0 first. */
static int partner(const comm *c, int i)
{
    return (c->rank + 1 + i) % c->size;
}

/* Gets this rank's slice of every piece of chunk [at, at + n); piece[p] is
 * where piece p's slice is afterwards. */
static void exchange(job *j, int64_t at, int64_t n, float **piece)
{
    comm *c = j->c;
    const layout *all = j->all;
    int64_t start = slice_start(n, c->size, c->rank);
    int64_t length = slice_length(n, c->size, c->rank);
    float *slot = j->slots;
    float *own = j->data + at;
    int own_n = 0;
    for (int p = 0; p < all->n; p++) {
        if (all->owner[p] == c->rank) {
            piece[p] = own + own_n * j->stride + start;
            own_n++;
        } else {
            piece[p] = slot;
            slot += j->slot;
            post_recv(j, all->owner[p], piece[p], length);
        }
    }
    for (int i = 0; i < c->size - 1; i++) {
        int to = partner(c, i);
        for (int k = 0; k < own_n; k++) {
            post_send(j, to, own + k * j->stride + slice_start(n, c->size, to),
                      slice_length(n, c->size, to));
        }
    }
    finish_posted(j);
}

static void add(float *into, const float *from, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        into[i] += from[i];
    }
}

/* Adds n floats of all pieces by the tree; the sum comes to lie at piece[0],
 * the other pieces are used up. */
static void add_tile(const job *j, float **piece, int64_t at, int64_t n)
{
    tree_span span[TREE_LEAVES_MAX];
    float *sum[TREE_LEAVES_MAX];
    int top = 0;
    for (int p = 0; p < j->all->n; p++) {
        span[top] = j->all->span[p];
        sum[top] = piece[p] + at;
        top++;
        while (top > 1 &&
               tree_can_join(j->leaves, span[top - 2], span[top - 1])) {
            add(sum[top - 2], sum[top - 1], n);
            span[top - 2].hi = span[top - 1].hi;
            top--;
        }
    }
    ASSERT(top == 1 && span[0].lo == 0 && span[0].hi == j->leaves);
}

static void add_slice(const job *j, float **piece, float *out, int64_t n)
{
    for (int64_t at = 0; at < n; at += TILE) {
        int64_t part = n - at < TILE ? n - at : TILE;
        add_tile(j, piece, at, part);
        if (piece[0] != out) {
            memcpy(out + at, piece[0] + at, (size_t)part * sizeof(float));
        }
    }
}

/* Everyone gets everyone's slice of the sum. */
static void gather(job *j, int64_t at, int64_t n)
{
    comm *c = j->c;
    float *chunk = j->data + at;
    for (int i = 0; i < c->size - 1; i++) {
        int from = partner(c, i);
        post_recv(j, from, chunk + slice_start(n, c->size, from),
                  slice_length(n, c->size, from));
    }
    const float *mine = chunk + slice_start(n, c->size, c->rank);
    for (int i = 0; i < c->size - 1; i++) {
        post_send(j, partner(c, i), mine, slice_length(n, c->size, c->rank));
    }
    finish_posted(j);
}

/* Places requests and slots in work; nothing is there for one rank. */
static void job_place(job *j, int64_t count, void *work)
{
    uintptr_t line = ((uintptr_t)work + LINE_BYTES - 1) / LINE_BYTES;
    char *start = (char *)work + (line * LINE_BYTES - (uintptr_t)work);
    j->req = (MPI_Request *)(void *)start;
    j->slots = (float *)(void *)(start + request_bytes(j->all, j->c->size));
    j->slot = slot_floats(j->c->size, count);
}

void comm_tree_allreduce(comm *c, int leaves, float *data, int64_t stride,
                         int64_t count, void *work, size_t work_bytes,
                         comm_wait_ns *wait)
{
    ASSERT(leaves >= 1 && leaves <= TREE_LEAVES_MAX && count >= 0);
    ASSERT(work_bytes >= comm_tree_work_bytes(c->size, leaves, count));
    layout all;
    layout_fill(&all, leaves, c->size);
    ASSERT(all.most <= 1 || stride >= count);
    job j = {
        .c = c, .leaves = leaves, .all = &all, .data = data, .stride = stride};
    if (c->size > 1) {
        job_place(&j, count, work);
    }
    int64_t begin = comm_impl_meet(c, wait);
    for (int64_t at = 0; at < count; at += TREE_CHUNK_FLOATS) {
        int64_t n =
            count - at < TREE_CHUNK_FLOATS ? count - at : TREE_CHUNK_FLOATS;
        float *piece[TREE_LEAVES_MAX];
        exchange(&j, at, n, piece);
        add_slice(&j, piece, data + at + slice_start(n, c->size, c->rank),
                  slice_length(n, c->size, c->rank));
        gather(&j, at, n);
    }
    comm_impl_transferred(wait, begin);
}
