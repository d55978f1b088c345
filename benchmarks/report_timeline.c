/*
 * Timelines: one step of all ranks of a set-up, a lane for each stream that
 * did something, what was predicted as a thin line above.
 *
 *   r0 compute  ========  ====      measured: thick
 *   r0 tensor        ===     ==
 *   r1 compute  =======   =====
 *
 * A step has thousands of operations, more than a drawing has pixels. So
 * neighbours of one kind in a lane are drawn as one where the gap between
 * them is below a share of the width; the share is doubled until the drawing
 * is small enough. All operations are in /trace, and in the Perfetto trace.
 *
 * Three times are kept apart: how long the step took (/steps), how long it was
 * predicted to take, and the end of the axis, which holds both. With a store,
 * a step returns before its updates have ended: they run into the next one.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "benchmarks/report_figure.h"
#include "runtime/base/mem.h"
#include "runtime/base/text.h"
#include "runtime/base/units.h"
#include "runtime/program/program.h"

enum {
    WIDTH = 760,
    AREA = 620,     /* pixels of the time axis, about                      */
    LANE = 19,      /* pixels of a lane                                    */
    RANKS_MAX = 16, /* drawn                                               */
    LANES_MAX = RANKS_MAX * (STREAM_COUNT + 1), /* the last: unknown streams */
    SPANS_ALL = 24000, /* of all timelines of a report                      */
    SPANS_MOST = 3000, /* of one                                            */
    SPANS_LEAST = 300,
};

typedef enum colour_group {
    GROUP_FORWARD,
    GROUP_BACKWARD,
    GROUP_LOADS,
    GROUP_DRAINS,
    GROUP_COMMS,
    GROUP_UPDATES,
    GROUP_UNKNOWN,
    COLOUR_GROUPS
} colour_group;

static const struct {
    const char *name;
    plot_colour colour;
} groups[COLOUR_GROUPS] = {
    [GROUP_FORWARD] = {"forward", PLOT_COMPUTE},
    [GROUP_BACKWARD] = {"backward", PLOT_BACKWARD},
    [GROUP_LOADS] = {"load", PLOT_LOAD},
    [GROUP_DRAINS] = {"drain", PLOT_DRAIN},
    [GROUP_COMMS] = {"communication", PLOT_COMM},
    [GROUP_UPDATES] = {"optimizer", PLOT_UPDATE},
    [GROUP_UNKNOWN] = {"unknown stream", PLOT_OTHER},
};

/* A stretch of a lane. */
typedef struct span {
    int lane;
    bool is_predicted;
    colour_group group;
    double from, to; /* ns */
} span;

typedef struct lane {
    int rank;
    int stream;
    double busy;   /* ns in which something was under way               */
    double inside; /* of them, until the step returned                  */
    int64_t ops;
} lane;

typedef struct timeline {
    lane lanes[LANES_MAX];
    int nlanes;
    span *spans;
    int64_t n;
    double step;     /* ns: the measured step, NaN if it is not in /steps   */
    double measured; /* ns: when the last operation ended                */
    double axis;     /* ns: all that is drawn                               */
    bool has_prediction;
    int ranks;
} timeline;

static colour_group group_of(const run_trace *t, int stream)
{
    static const char *const updates[] = {"grad_norm", "clip", "update", NULL};
    if (text_in_list(t->kind, updates)) {
        return GROUP_UPDATES;
    }
    switch (stream) {
    case STREAM_LOAD:
        return GROUP_LOADS;
    case STREAM_DRAIN:
        return GROUP_DRAINS;
    case STREAM_HOST:
        return GROUP_UPDATES;
    case STREAM_COMPUTE:
        return t->kind[0] == 'd' ? GROUP_BACKWARD : GROUP_FORWARD;
    case STREAM_COUNT:
        return GROUP_UNKNOWN;
    default:
        return GROUP_COMMS;
    }
}

static int lane_of(timeline *t, int rank, int stream)
{
    for (int i = 0; i < t->nlanes; i++) {
        if (t->lanes[i].rank == rank && t->lanes[i].stream == stream) {
            return i;
        }
    }
    return -1;
}

/* Ranks in order, the streams of each in the order of op_stream. */
static void find_lanes(timeline *t, const run_trace *rows, int64_t n)
{
    bool used[RANKS_MAX][STREAM_COUNT + 1] = {0};
    for (int64_t i = 0; i < n; i++) {
        if (rows[i].rank >= 0 && rows[i].rank < RANKS_MAX) {
            used[rows[i].rank][report_stream_of(rows[i].stream)] = true;
        }
        t->ranks = rows[i].rank >= t->ranks ? rows[i].rank + 1 : t->ranks;
    }
    for (int r = 0; r < RANKS_MAX; r++) {
        for (int k = 0; k <= STREAM_COUNT; k++) {
            if (used[r][k]) {
                t->lanes[t->nlanes++] = (lane){.rank = r, .stream = k};
            }
        }
    }
}

static int by_lane(const void *a, const void *b)
{
    const span *p = a;
    const span *q = b;
    if (p->lane != q->lane) {
        return p->lane - q->lane;
    }
    if (p->is_predicted != q->is_predicted) {
        return (int)p->is_predicted - (int)q->is_predicted;
    }
    return p->from != q->from ? (p->from > q->from) - (p->from < q->from)
                              : (p->to > q->to) - (p->to < q->to);
}

/* How long the traced step took by /steps. */
static double step_ns(const run_summary *r)
{
    for (int64_t i = 0; i < r->nsteps; i++) {
        if (r->steps[i].step == r->trace_step && r->steps[i].wall_s > 0) {
            return r->steps[i].wall_s * 1e9;
        }
    }
    return (double)NAN;
}

/* Fills t->spans: one an operation, and one for its prediction. */
static status find_spans(timeline *t, const run_trace *rows, int64_t n)
{
    TRY(MEM_NEW(&t->spans, 2 * n + 1, "timeline"));
    for (int64_t i = 0; i < n; i++) {
        const run_trace *r = &rows[i];
        int stream = report_stream_of(r->stream);
        int at = lane_of(t, r->rank, stream);
        if (at < 0 || r->end_ns < r->start_ns) {
            continue;
        }
        span s = {.lane = at,
                  .group = group_of(r, stream),
                  .from = (double)r->start_ns,
                  .to = (double)r->end_ns};
        if (r->end_ns > r->start_ns) { /* else it did not run */
            t->spans[t->n++] = s;
            t->lanes[at].ops++;
            t->measured = fmax(t->measured, s.to);
            t->axis = fmax(t->axis, s.to);
        }
        if (isfinite(r->predicted_start_ns) && isfinite(r->predicted_ns)) {
            s.is_predicted = true;
            s.from = r->predicted_start_ns;
            s.to = s.from + r->predicted_ns;
            t->spans[t->n++] = s;
            t->has_prediction = true;
            t->axis = fmax(t->axis, s.to);
        }
    }
    qsort(t->spans, (size_t)t->n, sizeof(*t->spans), by_lane);
    return ST_OK;
}

/* Messages of a stream overlap; time counts once. Spans are in order. */
static void add_busy(timeline *t)
{
    double until = 0;
    int at = -1;
    for (int64_t i = 0; i < t->n; i++) {
        const span *s = &t->spans[i];
        if (s->is_predicted) {
            continue;
        }
        until = s->lane == at ? until : 0;
        at = s->lane;
        double from = fmax(s->from, until);
        t->lanes[at].busy += fmax(s->to - from, 0);
        t->lanes[at].inside += fmax(fmin(s->to, t->step) - from, 0);
        until = fmax(until, s->to);
    }
}

/* A store's updates ended after the step returned. (Where there is none, a
 * rank that began late also ended late.) */
static bool runs_on(const timeline *t, const run_summary *r)
{
    bool stored = false;
    for (int64_t i = 0; i < r->nranks; i++) {
        stored = stored || r->ranks[i].store_bytes > 0;
    }
    return stored && t->measured > 1.001 * t->step;
}

/* Joins neighbours less than `gap` apart; returns how many are left. */
static int64_t join(span *s, int64_t n, double gap)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < n; i++) {
        span *last = kept > 0 ? &s[kept - 1] : NULL;
        if (last != NULL && last->lane == s[i].lane &&
            last->is_predicted == s[i].is_predicted &&
            last->group == s[i].group && s[i].from - last->to <= gap) {
            last->to = fmax(last->to, s[i].to);
        } else {
            s[kept++] = s[i];
        }
    }
    return kept;
}

/* Where groups take turns below a pixel, joining equal neighbours does not
 * help: the shorter of two close neighbours gives way. */
static int64_t absorb(span *s, int64_t n, double gap)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < n; i++) {
        span *last = kept > 0 ? &s[kept - 1] : NULL;
        bool is_close = last != NULL && last->lane == s[i].lane &&
                        last->is_predicted == s[i].is_predicted &&
                        s[i].to - last->from <= gap;
        if (is_close) {
            if (s[i].to - s[i].from > last->to - last->from) {
                last->group = s[i].group;
            }
            last->to = fmax(last->to, s[i].to);
        } else {
            s[kept++] = s[i];
        }
    }
    return kept;
}

static void thin(timeline *t, int64_t most)
{
    double gap = t->axis / AREA / 4;
    t->n = join(t->spans, t->n, gap);
    while (t->n > most && gap < t->axis) {
        gap *= 2;
        t->n = join(t->spans, t->n, gap);
        t->n = absorb(t->spans, t->n, gap);
    }
}

/* --- drawing -------------------------------------------------------------- */

/* A block a group and kind of line: each span a vector without a head (lines
 * of two points are joined badly in PNG). Spans below a pixel are made as
 * wide, or they would vanish. */
static bool add_group(const timeline *t, colour_group g, bool predicted,
                      double scale, strbuf *data)
{
    bool any = false;
    double least = t->axis / AREA * 0.7;
    for (int64_t i = 0; i < t->n; i++) {
        const span *s = &t->spans[i];
        if (s->group == g && s->is_predicted == predicted) {
            double to = s->to - s->from < least ? s->from + least : s->to;
            double y = s->lane + (predicted           ? -0.33
                                  : t->has_prediction ? 0.1
                                                      : 0.0);
            strbuf_printf(data, "%.6g %.2f %.6g 0\n", s->from * scale, y,
                          (to - s->from) * scale);
            any = true;
        }
    }
    strbuf_add(data, any ? "\n\n" : "");
    return any;
}

static void lane_names(const timeline *t, strbuf *script)
{
    for (int i = 0; i < t->nlanes; i++) {
        bool is_first = i == 0 || t->lanes[i - 1].rank != t->lanes[i].rank;
        strbuf_printf(script,
                      "set label '%s' at graph 0, first %d right offset "
                      "-0.6,0 font ',12'\n",
                      op_stream_name((op_stream)t->lanes[i].stream), i);
        if (is_first && t->ranks > 1) {
            strbuf_printf(script,
                          "set label 'rank %d' at screen 0.005, first %d left "
                          "font ',12'\n",
                          t->lanes[i].rank, i);
        }
        if (is_first && i > 0) {
            strbuf_printf(script,
                          "set arrow from graph 0, first %.1f to graph 1, "
                          "first %.1f nohead lw 1 lc rgb '%s'\n",
                          i - 0.5, i - 0.5, plot_colours[PLOT_AXIS].light);
        }
    }
}

/* Those that the step has. */
static int find_marks(const timeline *t, report_mark marks[COLOUR_GROUPS])
{
    bool used[COLOUR_GROUPS] = {false};
    int n = 0;
    for (int64_t i = 0; i < t->n; i++) {
        used[t->spans[i].group] = true;
    }
    for (int g = 0; g < COLOUR_GROUPS; g++) {
        if (used[g]) {
            marks[n++] = (report_mark){.name = groups[g].name,
                                       .colour = groups[g].colour,
                                       .pixels = 10};
        }
    }
    return n;
}

/* Where the axis goes on behind the measured step, its end is marked. */
static bool has_mark(const timeline *t)
{
    return t->axis > 1.005 * t->step;
}

static void mark_end(const timeline *t, double scale, strbuf *script)
{
    const char *colour = plot_colours[PLOT_AXIS].light;
    const char *side = t->step < 0.15 * t->axis   ? "left"
                       : t->step > 0.85 * t->axis ? "right"
                                                  : "center";
    strbuf_printf(script,
                  "set arrow from first %.6g, graph 0 to first %.6g, graph 1 "
                  "nohead front lw 2 lc rgb '%s'\n"
                  "set label 'the step returned' at first %.6g, graph 1 %s "
                  "offset 0,0.6 font ',12'\n",
                  t->step * scale, t->step * scale, colour, t->step * scale,
                  side);
}

static void script_of(const timeline *t, plot_figure *f)
{
    double scale = t->axis < 1e6 ? 1e-3 : t->axis < 1e9 ? 1e-6 : 1e-9;
    const char *unit = t->axis < 1e6 ? "µs" : t->axis < 1e9 ? "ms" : "s";
    report_mark marks[COLOUR_GROUPS];
    int nmarks = find_marks(t, marks);
    f->width = WIDTH;
    int above = report_legend_height(f, marks, nmarks) + (has_mark(t) ? 16 : 0);
    f->height = above + 58 + t->nlanes * LANE;
    report_legend(f, marks, nmarks);
    lane_names(t, &f->script);
    if (has_mark(t)) {
        mark_end(t, scale, &f->script);
    }
    strbuf_printf(&f->script,
                  "set tmargin at screen %.4f\nset bmargin at screen %.4f\n"
                  "set lmargin at screen %.4f\nset rmargin 2\nset border 1\n"
                  "unset ytics\nset grid noytics xtics\n"
                  "set yrange [%.1f:-0.5]\nset xrange [0:%.6g]\n"
                  "set xlabel '%s since the step began'\n",
                  1.0 - (double)above / f->height, 54.0 / f->height,
                  (t->ranks > 1 ? 132.0 : 80.0) / WIDTH, t->nlanes - 0.5,
                  t->axis * scale * 1.005, unit);
    int block = 0;
    for (int k = 0; k < 2 * COLOUR_GROUPS; k++) {
        colour_group g = (colour_group)(k % COLOUR_GROUPS);
        bool predicted = k >= COLOUR_GROUPS;
        if (!add_group(t, g, predicted, scale, &f->data)) {
            continue;
        }
        strbuf_printf(
            &f->script,
            "%s data index %d using 1:2:3:4 with vectors nohead lw %d lc "
            "rgb '%s'",
            block == 0 ? "plot" : ", \\\n", block, predicted ? 4 : 10,
            plot_colours[groups[g].colour].light);
        block++;
    }
    strbuf_add(&f->script, "\n");
}

static void numbers_of(const timeline *t, strbuf *out)
{
    static const char *const heads[] = {"rank, stream",
                                        "operations",
                                        "busy",
                                        "after the step returned",
                                        "of the step's wall time",
                                        NULL};
    html_table(out, "What each stream did in this step", heads);
    for (int i = 0; i < t->nlanes; i++) {
        const lane *l = &t->lanes[i];
        html_row(out);
        html_headf(out, "%d, %s", l->rank,
                   op_stream_name((op_stream)l->stream));
        html_cellf(out, "%s", report_whole(l->ops).s);
        html_cellf(out, "%s", report_seconds(l->busy * 1e-9).s);
        html_cellf(out, "%s",
                   report_seconds(isnan(t->step) ? t->step
                                                 : (l->busy - l->inside) * 1e-9)
                       .s);
        html_cellf(out, "%s",
                   report_real(100 * l->inside / t->step, "%.1f %%").s);
        html_row_end(out);
    }
    html_table_end(out);
}

static void note_of(const report_setup *s, const timeline *t, int64_t ops,
                    strbuf *note)
{
    const run_summary *r = &s->run;
    long long step = (long long)r->trace_step + 1;
    if (isnan(t->step)) {
        strbuf_printf(note,
                      "Step %lld, whose wall time was not recorded; its last "
                      "operation ended after %s",
                      step, report_seconds(t->measured * 1e-9).s);
    } else {
        strbuf_printf(note, "Step %lld took %s", step,
                      report_seconds(t->step * 1e-9).s);
    }
    if (t->has_prediction && r->has_prediction) {
        strbuf_printf(note, ", predicted %s%s",
                      report_seconds(r->prediction.wall_s).s,
                      r->info.oversubscribed ? " with a core a thread" : "");
    }
    strbuf_printf(note, "; %s operations.", report_whole(ops).s);
    if (t->has_prediction) {
        strbuf_add(note, " The thin line above each lane is what was "
                         "predicted.");
    }
    if (has_mark(t)) {
        strbuf_add(note, " The vertical line is where the step returned");
        if (runs_on(t, r)) {
            strbuf_printf(note,
                          ": its updates ran on into the next one, until %s",
                          report_seconds(t->measured * 1e-9).s);
        }
        strbuf_add(note, ".");
    }
    if (t->ranks > RANKS_MAX) {
        strbuf_printf(note, " Ranks 0 to %d of %d.", RANKS_MAX - 1, t->ranks);
    }
    if (r->info.oversubscribed) {
        strbuf_add(note, " Ranks share cores: an operation's time includes "
                         "the turns of others.");
    }
}

static status draw(const report_setup *s, int number, timeline *t,
                   const run_trace *rows, int64_t n, int64_t most, plotter *p,
                   strbuf *page)
{
    plot_figure f;
    char what[24];
    char title[REPORT_LABEL_SIZE + 16];
    find_lanes(t, rows, n);
    TRY(find_spans(t, rows, n));
    if (t->n == 0 || !(t->axis > 0)) {
        return ST_OK;
    }
    t->step = step_ns(&s->run);
    add_busy(t);
    thin(t, most);
    strbuf note = {0};
    strbuf numbers = {0};
    (void)snprintf(what, sizeof(what), "step-%d", number);
    text_print(title, sizeof(title), "A step of %s.", s->label);
    report_figure_init(&f, s->model, what, title);
    script_of(t, &f);
    note_of(s, t, n, &note);
    numbers_of(t, &numbers);
    status st =
        report_figure_end(&f, p, strbuf_view(&note), &numbers, true, page);
    strbuf_fini(&note);
    strbuf_fini(&numbers);
    return st;
}

static int64_t share_of_spans(const report_data *d)
{
    int64_t n = 1;
    for (int i = 0; i < d->nsetups; i++) {
        n += d->setups[i].run.ntrace > 0;
    }
    int64_t most = SPANS_ALL / n;
    most = most > SPANS_MOST ? SPANS_MOST : most;
    return most < SPANS_LEAST ? SPANS_LEAST : most;
}

status report_draw_timelines(const report_data *d, int model, plotter *p,
                             strbuf *page)
{
    const report_setup *s;
    for (int i = 0; (s = report_of_model(d, model, false, i)) != NULL; i++) {
        run_trace *rows = NULL;
        timeline *t = NULL;
        int64_t n = 0;
        TRY(report_read_trace(d, s, &rows, &n));
        status st = MEM_NEW(&t, 1, "timeline");
        if (st == ST_OK) {
            st = draw(s, i + 1, t, rows, n, share_of_spans(d), p, page);
            mem_free(t->spans);
        }
        mem_free(t);
        mem_free(rows);
        TRY(st);
    }
    return ST_OK;
}
