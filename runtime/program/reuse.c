/*
 * A node of the tree has the newest operations of buffers that hold all of its
 * bytes and not all of its parent's (`through`), and those of all buffers that
 * hold any of them (`within`). What a range has seen is `within` of the nodes
 * that it is made of, and `through` of all above these.
 */
#include "runtime/program/reuse.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/base/mem.h"

typedef struct node {
    reuse_ops through, within;
} node;

struct reuse {
    int64_t *edges; /* where buffers begin and end, sorted                 */
    int32_t nedges;
    int32_t leaves; /* up to a power of two                                */
    node *nodes;    /* a heap from 1 on; leaf i is from edge i to the next */
};

/* Leaves [from, to), never empty. */
typedef struct range {
    int32_t from, to;
} range;

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static status list_edges(reuse *r, const program *p)
{
    int32_t n = 0;
    TRY(MEM_NEW(&r->edges, 2 * (int64_t)p->nbufs + 2, "plan"));
    for (int32_t i = 0; i < p->nbufs; i++) {
        const prog_buf *b = &p->bufs[i];
        if (b->first >= 0 && !b->persistent) {
            r->edges[n++] = b->offset;
            r->edges[n++] = b->offset + prog_buf_bytes(b);
        }
    }
    qsort(r->edges, (size_t)n, sizeof(*r->edges), by_value);
    for (int32_t i = 0; i < n; i++) {
        if (r->nedges == 0 || r->edges[i] != r->edges[r->nedges - 1]) {
            r->edges[r->nedges++] = r->edges[i];
        }
    }
    return ST_OK;
}

status reuse_create(const program *p, reuse **out)
{
    reuse *r = NULL;
    TRY(MEM_NEW(&r, 1, "plan"));
    status st = list_edges(r, p);
    r->leaves = 1;
    while (r->leaves < r->nedges) {
        r->leaves *= 2;
    }
    size_t bytes = 2 * (size_t)r->leaves * sizeof(node);
    if (st == ST_OK) {
        st = mem_extend(bytes, 1, "plan", (void **)&r->nodes);
    }
    if (st != ST_OK) {
        reuse_destroy(r);
        return st;
    }
    memset(r->nodes, -1, bytes);
    *out = r;
    return ST_OK;
}

void reuse_destroy(reuse *r)
{
    if (r != NULL) {
        mem_free(r->edges);
        mem_free(r->nodes);
        mem_free(r);
    }
}

static int32_t edge_at(const reuse *r, int64_t bytes)
{
    const int64_t *at = bsearch(&bytes, r->edges, (size_t)r->nedges,
                                sizeof(*r->edges), by_value);
    ASSERT(at != NULL);
    return (int32_t)(at - r->edges);
}

static range range_of(const reuse *r, const prog_buf *b)
{
    return (range){edge_at(r, b->offset),
                   edge_at(r, b->offset + prog_buf_bytes(b))};
}

static void join(reuse_ops *into, const reuse_ops *from)
{
    for (int k = 0; k < RUNS; k++) {
        for (int s = 0; s < STREAM_COUNT; s++) {
            int32_t op = from->newest[k][s];
            into->newest[k][s] =
                op > into->newest[k][s] ? op : into->newest[k][s];
        }
    }
}

/* Node k holds the leaves [lo, lo + size). */
static void note(reuse *r, int32_t k, int32_t lo, int32_t size, range at,
                 const reuse_ops *ops)
{
    if (at.to <= lo || lo + size <= at.from) {
        return;
    }
    join(&r->nodes[k].within, ops);
    if (at.from <= lo && lo + size <= at.to) {
        join(&r->nodes[k].through, ops);
        return;
    }
    note(r, 2 * k, lo, size / 2, at, ops);
    note(r, 2 * k + 1, lo + size / 2, size / 2, at, ops);
}

static void find(const reuse *r, int32_t k, int32_t lo, int32_t size, range at,
                 reuse_ops *out)
{
    if (at.to <= lo || lo + size <= at.from) {
        return;
    }
    if (at.from <= lo && lo + size <= at.to) {
        join(out, &r->nodes[k].within);
        return;
    }
    join(out, &r->nodes[k].through);
    find(r, 2 * k, lo, size / 2, at, out);
    find(r, 2 * k + 1, lo + size / 2, size / 2, at, out);
}

void reuse_note(reuse *r, const prog_buf *b, const reuse_ops *ops)
{
    note(r, 1, 0, r->leaves, range_of(r, b), ops);
}

void reuse_find(const reuse *r, const prog_buf *b, reuse_ops *out)
{
    memset(out, -1, sizeof(*out));
    find(r, 1, 0, r->leaves, range_of(r, b), out);
}
