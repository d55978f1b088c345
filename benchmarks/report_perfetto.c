/*
 * Traced steps as JSON that ui.perfetto.dev and chrome://tracing open.
 *
 * A process a rank, a thread a stream; a process more a rank for what was
 * predicted. Slices of one track must nest, but a message may be on its way
 * while the next one starts: such a slice goes to a second track of its
 * stream. Arrows lead from a send to its receive; the two are joined by ranks
 * and tag. Times are microseconds since the step began on the first rank to
 * begin it.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "benchmarks/report_impl.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"
#include "runtime/base/stop.h"
#include "runtime/base/text.h"
#include "runtime/program/program.h"

enum {
    TRACKS_MAX = 16,    /* of one stream, for slices that overlap            */
    RANKS_APART = 1000, /* process ids of a set-up: most of its ranks        */
};

typedef struct tracing {
    json_writer w;
    int base; /* process id of the set-up's rank 0                         */
    int flow; /* arrows so far                                             */
} tracing;

/* One slice, measured or predicted. */
typedef struct slice {
    const run_trace *op;
    double from, to; /* us */
    int stream, track;
} slice;

static int by_time(const void *a, const void *b)
{
    const slice *p = a;
    const slice *q = b;
    if (p->op->rank != q->op->rank) {
        return p->op->rank - q->op->rank;
    }
    if (p->from != q->from) {
        return (p->from > q->from) - (p->from < q->from);
    }
    return p->op->op - q->op->op;
}

/* The first track of the stream that is free when the slice begins. With
 * too many at once the slice is cut at the end of the last one. */
static void place(slice *s, double free_at[STREAM_COUNT + 1][TRACKS_MAX])
{
    double *ends = free_at[s->stream];
    int k = 0;
    while (k < TRACKS_MAX - 1 && ends[k] > s->from) {
        k++;
    }
    s->from = fmax(s->from, ends[k]);
    s->to = fmax(s->to, s->from);
    ends[k] = s->to;
    s->track = k;
}

static void place_all(slice *s, int64_t n)
{
    double free_at[STREAM_COUNT + 1][TRACKS_MAX];
    int rank = -1;
    qsort(s, (size_t)n, sizeof(*s), by_time);
    for (int64_t i = 0; i < n; i++) {
        if (s[i].op->rank != rank) {
            rank = s[i].op->rank;
            for (int k = 0; k <= STREAM_COUNT; k++) {
                for (int t = 0; t < TRACKS_MAX; t++) {
                    free_at[k][t] = -INFINITY;
                }
            }
        }
        place(&s[i], free_at);
    }
}

static int thread_of(const slice *s)
{
    return s->stream * TRACKS_MAX + s->track;
}

/* --- events --------------------------------------------------------------- */

static void begin(tracing *t, const char *phase, const char *name, int pid,
                  int tid)
{
    json_write_obj_flat(&t->w, NULL);
    json_write_str(&t->w, "ph", phase);
    json_write_str(&t->w, "name", name);
    json_write_i64(&t->w, "pid", pid);
    json_write_i64(&t->w, "tid", tid);
}

static void name_event(tracing *t, const char *what, int pid, int tid,
                       const char *name)
{
    begin(t, "M", what, pid, tid);
    json_write_obj_flat(&t->w, "args");
    json_write_str(&t->w, "name", name);
    json_write_end(&t->w);
    json_write_end(&t->w);
}

static void sort_event(tracing *t, const char *what, int pid, int tid)
{
    begin(t, "M", what, pid, tid);
    json_write_obj_flat(&t->w, "args");
    json_write_i64(&t->w, "sort_index", what[0] == 'p' ? pid : tid);
    json_write_end(&t->w);
    json_write_end(&t->w);
}

static void slice_event(tracing *t, const slice *s, int pid, bool predicted)
{
    const run_trace *o = s->op;
    begin(t, "X", o->kind, pid, thread_of(s));
    json_write_str(&t->w, "cat", predicted ? "predicted" : o->stream);
    json_write_f64(&t->w, "ts", s->from);
    json_write_f64(&t->w, "dur", s->to - s->from);
    json_write_obj_flat(&t->w, "args");
    json_write_i64(&t->w, "op", o->op);
    json_write_i64(&t->w, "layer", o->layer);
    json_write_i64(&t->w, "seq0", o->seq0);
    json_write_i64(&t->w, "seqs", o->seqs);
    json_write_f64(&t->w, "cpu_us", (double)o->cpu_ns / 1000);
    json_write_f64(&t->w, "flops", o->flops);
    json_write_f64(&t->w, "bytes", o->bytes);
    json_write_end(&t->w);
    json_write_end(&t->w);
}

/* Processes and threads get their names when their first slice comes. */
static void name_tracks(tracing *t, const report_setup *r, const slice *s,
                        int64_t n, int shift, const char *what)
{
    bool named[(STREAM_COUNT + 1) * TRACKS_MAX] = {false};
    int rank = -1;
    char name[COMPARISON_NAME_SIZE + REPORT_LABEL_SIZE + 64];
    for (int64_t i = 0; i < n; i++) {
        int pid = t->base + shift + s[i].op->rank;
        int tid = thread_of(&s[i]);
        if (s[i].op->rank != rank) {
            rank = s[i].op->rank;
            memset(named, 0, sizeof(named));
            text_print(name, sizeof(name), "%s %s rank %d%s", r->row.model,
                       r->label, rank, what);
            name_event(t, "process_name", pid, 0, name);
            sort_event(t, "process_sort_index", pid, 0);
        }
        if (!named[tid]) {
            named[tid] = true;
            text_print(name, sizeof(name), s[i].track > 0 ? "%s %d" : "%s",
                       s[i].op->stream, s[i].track + 1);
            name_event(t, "thread_name", pid, tid, name);
            sort_event(t, "thread_sort_index", pid, tid);
        }
    }
}

/* --- arrows --------------------------------------------------------------- */

static bool is_kind(const slice *s, op_kind kind)
{
    return strcmp(s->op->kind, op_kind_name(kind)) == 0 && s->op->peer >= 0;
}

/* By sender, receiver and tag, a send before its receive. */
static int by_message(const void *a, const void *b)
{
    const slice *p = *(const slice *const *)a;
    const slice *q = *(const slice *const *)b;
    bool ps = is_kind(p, OP_SEND);
    bool qs = is_kind(q, OP_SEND);
    int64_t x[] = {ps ? p->op->rank : p->op->peer,
                   ps ? p->op->peer : p->op->rank, p->op->tag, !ps, p->op->op};
    int64_t y[] = {qs ? q->op->rank : q->op->peer,
                   qs ? q->op->peer : q->op->rank, q->op->tag, !qs, q->op->op};
    for (int i = 0; i < 5; i++) {
        if (x[i] != y[i]) {
            return x[i] < y[i] ? -1 : 1;
        }
    }
    return 0;
}

static bool is_pair(const slice *send, const slice *recv)
{
    return is_kind(send, OP_SEND) && is_kind(recv, OP_RECV) &&
           send->op->rank == recv->op->peer &&
           send->op->peer == recv->op->rank && send->op->tag == recv->op->tag;
}

static void arrow(tracing *t, const slice *s, const char *phase, double at)
{
    begin(t, phase, "message", t->base + s->op->rank, thread_of(s));
    json_write_str(&t->w, "cat", "message");
    json_write_i64(&t->w, "id", t->flow);
    json_write_f64(&t->w, "ts", at);
    if (phase[0] == 'f') {
        json_write_str(&t->w, "bp", "e");
    }
    json_write_end(&t->w);
}

static status add_arrows(tracing *t, const slice *s, int64_t n)
{
    const slice **ends = NULL;
    int64_t found = 0;
    TRY(MEM_NEW(&ends, n + 1, "perfetto"));
    for (int64_t i = 0; i < n; i++) {
        if (is_kind(&s[i], OP_SEND) || is_kind(&s[i], OP_RECV)) {
            ends[found++] = &s[i];
        }
    }
    qsort(ends, (size_t)found, sizeof(*ends), by_message);
    for (int64_t i = 0; i + 1 < found; i++) {
        if (is_pair(ends[i], ends[i + 1])) {
            const slice *recv = ends[i + 1];
            arrow(t, ends[i], "s", ends[i]->from);
            /* Inside the slice: an arrow that ends outside is not drawn. */
            arrow(t, recv, "f", recv->from + 0.99 * (recv->to - recv->from));
            t->flow++;
        }
    }
    mem_free(ends);
    return ST_OK;
}

/* --- files ---------------------------------------------------------------- */

static void add_slices(tracing *t, const report_setup *r, slice *s, int64_t n,
                       bool predicted)
{
    int shift = predicted ? RANKS_APART / 2 : 0;
    place_all(s, n);
    name_tracks(t, r, s, n, shift, predicted ? ", predicted" : "");
    for (int64_t i = 0; i < n; i++) {
        slice_event(t, &s[i], t->base + shift + s[i].op->rank, predicted);
    }
}

static int64_t collect(const run_trace *rows, int64_t n, bool predicted,
                       slice *out)
{
    int64_t found = 0;
    for (int64_t i = 0; i < n; i++) {
        const run_trace *o = &rows[i];
        double from = (double)o->start_ns;
        double to = (double)o->end_ns;
        if (predicted) {
            from = o->predicted_start_ns;
            to = from + o->predicted_ns;
        }
        /* What ends when it starts was measured by nobody: it did not run. */
        bool ran = predicted ? to >= from : to > from;
        if (isfinite(from) && ran && o->rank >= 0 &&
            o->rank < RANKS_APART / 2) {
            out[found++] = (slice){.op = o,
                                   .from = from / 1000,
                                   .to = to / 1000,
                                   .stream = report_stream_of(o->stream)};
        }
    }
    return found;
}

static status add_setup(tracing *t, const report_data *d, const report_setup *r)
{
    run_trace *rows = NULL;
    slice *s = NULL;
    int64_t n = 0;
    TRY(stop_check());
    TRY(report_read_trace(d, r, &rows, &n));
    status st = MEM_NEW(&s, n + 1, "perfetto");
    if (st == ST_OK) {
        int64_t found = collect(rows, n, false, s);
        add_slices(t, r, s, found, false);
        st = add_arrows(t, s, found);
        add_slices(t, r, s, collect(rows, n, true, s), true);
    }
    mem_free(s);
    mem_free(rows);
    return st;
}

status report_perfetto(const report_data *d, const char *path)
{
    tracing t = {.base = 0};
    char *text = NULL;
    int traced = 0;
    status st = ST_OK;
    json_writer_init(&t.w);
    json_write_obj(&t.w, NULL);
    json_write_str(&t.w, "displayTimeUnit", "ms");
    json_write_arr(&t.w, "traceEvents");
    for (int i = 0; i < d->nsetups && st == ST_OK; i++) {
        if (d->setups[i].run.ntrace > 0) {
            st = add_setup(&t, d, &d->setups[i]);
            t.base += RANKS_APART;
            traced++;
        }
    }
    json_write_end(&t.w);
    json_write_end(&t.w);
    if (st == ST_OK && traced == 0) {
        st = FAIL(ST_CONFIG,
                  "%s: no set-up has a trace: the runs have not "
                  "ended, or were cut short",
                  d->files[0].name);
    }
    if (st == ST_OK) {
        st = json_writer_take(&t.w, &text);
    }
    if (st == ST_OK) {
        st = text_write_file(path, text, strlen(text));
    }
    json_writer_fini(&t.w);
    mem_free(text);
    return st;
}
