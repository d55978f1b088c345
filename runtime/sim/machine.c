/* Machines as JSON, both ways. */
#include "runtime/sim/machine.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/json.h"
#include "runtime/base/mem.h"
#include "runtime/base/text.h"

static const char *const kernels[KERNEL_COUNT + 1] = {
    [KERNEL_EXPAND] = "expand",
    [KERNEL_SUM] = "sum",
    [KERNEL_DWEIGHT] = "dweight",
    [KERNEL_ATTENTION] = "attention",
    [KERNEL_DATTENTION] = "dattention",
    [KERNEL_EMBED] = "embed",
    [KERNEL_DEMBED] = "dembed",
    [KERNEL_NORM] = "norm",
    [KERNEL_DNORM] = "dnorm",
    [KERNEL_DNORM_W] = "dnorm_w",
    [KERNEL_BIAS] = "bias",
    [KERNEL_DBIAS] = "dbias",
    [KERNEL_ROPE] = "rope",
    [KERNEL_ACT] = "act",
    [KERNEL_DACT] = "dact",
    [KERNEL_RESIDUAL] = "residual",
    [KERNEL_ADD] = "add",
    [KERNEL_ZERO] = "zero",
    [KERNEL_XENT_STATS] = "xent_stats",
    [KERNEL_XENT_PICK] = "xent_pick",
    [KERNEL_XENT_LOSS] = "xent_loss",
    [KERNEL_XENT_GRAD] = "xent_grad",
    [KERNEL_GRAD_NORM] = "grad_norm",
    [KERNEL_UPDATE] = "update",
    [KERNEL_COPY] = "copy",
    [KERNEL_DRAIN] = "drain",
    [KERNEL_STORE_NORM] = "store_norm",
    [KERNEL_BATCH] = "batch",
};

static const char *const law_keys[] = {[TERM_OP] = "op",
                                       [TERM_CALL] = "call",
                                       [TERM_ROW] = "row",
                                       [TERM_FLOP] = "flop",
                                       [TERM_A] = "a",
                                       [TERM_B] = "b",
                                       [TERM_C] = "c",
                                       [TERM_JOIN] = "join",
                                       [TERM_COUNT] = "items",
                                       "spread",
                                       "misfit",
                                       NULL};

/* A second is the most that one of anything may take. */
static const double MOST_S = 1;

const char *sim_kernel_name(sim_kernel k)
{
    return kernels[k];
}

void machine_init(machine *m)
{
    memset(m, 0, sizeof(*m));
    m->cores = 1;
    m->tile_m = 1;
    m->tile_n = 1;
    m->tile_k = 1;
    m->query_block = 1;
    m->sum_floats = INT64_MAX;
    m->side_rate = 1;
    for (int l = 0; l < SIM_LEVELS; l++) {
        m->level[l].ranks = 1;
        for (int k = 0; k < KERNEL_COUNT; k++) {
            m->level[l].law[k].spread = (double)NAN;
            m->level[l].law[k].misfit = (double)NAN;
        }
    }
}

/* --- reading -------------------------------------------------------------- */

static status get_text(json_val o, const char *key, bool needed, char *out,
                       int size)
{
    const char *text = NULL;
    TRY(needed ? json_get_str(o, key, &text) : json_get_str_opt(o, key, &text));
    text_copy(out, (size_t)size, text != NULL ? text : "");
    return ST_OK;
}

static status get_source(json_val o, char out[SIM_TEXT])
{
    return get_text(o, "source", true, out, SIM_TEXT);
}

/* Points [x, y] of a curve, if there are any. */
static status get_curve(json_val o, const char *key, double least, sim_curve *c)
{
    json_val list;
    if (!json_has(o, key)) {
        return ST_OK;
    }
    TRY(json_get_arr(o, key, &list));
    size_t n = json_len(list);
    if (n < 1 || n > SIM_POINTS) {
        return json_fail(list, ST_CONFIG, "has %zu points, allowed are 1 to %d",
                         n, SIM_POINTS);
    }
    for (size_t i = 0; i < n; i++) {
        json_val point = json_at(list, i);
        if (json_len(point) != 2) {
            return json_fail(point, ST_CONFIG, "a point is [%s]",
                             least < 1 ? "seconds of work, seconds"
                                       : "bytes, seconds of an item");
        }
        TRY(json_as_f64(json_at(point, 0), least, 1e18, &c->x[i]));
        TRY(json_as_f64(json_at(point, 1), 0, MOST_S, &c->y[i]));
        if (i > 0 && !(c->x[i] > c->x[i - 1])) {
            return json_fail(point, ST_CONFIG,
                             "%s must rise from point to "
                             "point",
                             least < 1 ? "seconds" : "bytes");
        }
    }
    c->points = (int32_t)n;
    return ST_OK;
}

static status get_law(json_val o, sim_law *law)
{
    TRY(json_as_obj(o));
    TRY(json_done(o, law_keys));
    for (int t = 0; t < TERM_COUNT; t++) {
        TRY(json_get_f64_opt(o, law_keys[t], 0, MOST_S, &law->term[t]));
    }
    TRY(get_curve(o, "items", 1, &law->items));
    TRY(json_get_f64_opt(o, "spread", 0, 1e6, &law->spread));
    TRY(json_get_f64_opt(o, "misfit", 0, 1e6, &law->misfit));
    law->known = true;
    return ST_OK;
}

static status get_level(json_val o, sim_level *level)
{
    static const char *const keys[] = {"threads", "ranks",   "pace",
                                       "source",  "kernels", NULL};
    json_val list;
    json_iter it = {0};
    const char *key;
    json_val v;
    TRY(json_as_obj(o));
    TRY(json_done(o, keys));
    TRY(json_get_int(o, "threads", 1, 1 << 20, &level->threads));
    level->ranks = 1;
    if (json_has(o, "ranks")) {
        TRY(json_get_int(o, "ranks", 1, 1 << 20, &level->ranks));
    }
    TRY(json_get_f64_opt(o, "pace", 0, MOST_S, &level->pace));
    TRY(get_source(o, level->source));
    TRY(json_get_obj(o, "kernels", &list));
    TRY(json_done(list, kernels));
    while (json_next(list, &it, &key, &v)) {
        for (int k = 0; k < KERNEL_COUNT; k++) {
            if (strcmp(key, kernels[k]) == 0) {
                TRY(get_law(v, &level->law[k]));
            }
        }
    }
    return ST_OK;
}

/* Threads rise, and then, on one thread, ranks at once. */
static status check_order(json_val o, const sim_level *before,
                          const sim_level *level)
{
    if (level->ranks == 1 && before != NULL &&
        (before->ranks > 1 || level->threads <= before->threads)) {
        return json_fail(o, ST_CONFIG,
                         "threads must rise from level to level, levels with "
                         "\"ranks\" come last");
    }
    if (level->ranks > 1 && (before == NULL || level->threads != 1 ||
                             level->ranks <= before->ranks)) {
        return json_fail(o, ST_CONFIG,
                         "a level of several ranks has \"threads\" 1, and "
                         "\"ranks\" must rise from level to level");
    }
    return ST_OK;
}

static status get_levels(json_val root, machine *m)
{
    json_val list;
    TRY(json_get_arr(root, "levels", &list));
    size_t n = json_len(list);
    if (n < 1 || n > SIM_LEVELS) {
        return json_fail(list, ST_CONFIG,
                         "has %zu entries, allowed are 1 to "
                         "%d",
                         n, SIM_LEVELS);
    }
    for (size_t i = 0; i < n; i++) {
        TRY(get_level(json_at(list, i), &m->level[i]));
        TRY(check_order(json_at(list, i), i > 0 ? &m->level[i - 1] : NULL,
                        &m->level[i]));
    }
    m->nlevels = (int32_t)n;
    return ST_OK;
}

static status get_transfer(json_val o, const char *key, sim_transfer *t)
{
    static const char *const keys[] = {"op", "message", "byte", "far", NULL};
    json_val v;
    TRY(json_get_obj(o, key, &v));
    TRY(json_done(v, keys));
    TRY(json_get_f64_opt(v, "op", 0, MOST_S, &t->op));
    TRY(json_get_f64_opt(v, "message", 0, MOST_S, &t->message));
    TRY(json_get_f64_opt(v, "byte", 0, MOST_S, &t->byte));
    return get_curve(v, "far", 1, &t->far);
}

static status get_link(json_val o, sim_link *l)
{
    static const char *const keys[] = {
        "ranks", "shared_cores", "p2p",     "tree",   "sum",
        "spin",  "waiting",      "at_work", "source", NULL};
    TRY(json_as_obj(o));
    TRY(json_done(o, keys));
    TRY(json_get_int(o, "ranks", 2, 1 << 30, &l->ranks));
    TRY(json_get_bool(o, "shared_cores", &l->shared_cores));
    TRY(get_transfer(o, "p2p", &l->p2p));
    TRY(get_transfer(o, "tree", &l->tree));
    TRY(get_transfer(o, "sum", &l->sum));
    TRY(json_get_f64_opt(o, "spin", 0, MOST_S, &l->spin));
    TRY(json_get_f64_opt(o, "waiting", 0, 1, &l->waiting));
    TRY(get_curve(o, "at_work", 1e-9, &l->at_work));
    return get_source(o, l->source);
}

static status get_links(json_val root, machine *m)
{
    json_val list;
    if (!json_has(root, "links")) {
        return ST_OK;
    }
    TRY(json_get_arr(root, "links", &list));
    size_t n = json_len(list);
    if (n > SIM_LINKS) {
        return json_fail(list, ST_CONFIG, "has %zu entries, allowed are %d", n,
                         SIM_LINKS);
    }
    for (size_t i = 0; i < n; i++) {
        TRY(get_link(json_at(list, i), &m->link[i]));
    }
    m->nlinks = (int32_t)n;
    return ST_OK;
}

static status get_streams(json_val root, const char *key, uint32_t *out)
{
    const char *names[STREAM_COUNT + 1] = {NULL};
    json_val list;
    for (int s = 0; s < STREAM_COUNT; s++) {
        names[s] = op_stream_name((op_stream)s);
    }
    if (!json_has(root, key)) {
        return ST_OK;
    }
    TRY(json_get_arr(root, key, &list));
    for (size_t i = 0; i < json_len(list); i++) {
        int s = 0;
        TRY(json_as_choice(json_at(list, i), names, &s));
        if (s == STREAM_COMPUTE) {
            return json_fail(json_at(list, i), ST_CONFIG,
                             "compute is what others run beside");
        }
        *out |= 1U << s;
    }
    return ST_OK;
}

static status get_head(json_val root, machine *m)
{
    TRY(get_text(root, "name", true, m->name, SIM_TEXT));
    TRY(get_source(root, m->source));
    TRY(get_text(root, "date", false, m->date, sizeof(m->date)));
    TRY(get_text(root, "cpu", false, m->cpu, SIM_TEXT));
    TRY(get_text(root, "libraries", false, m->libraries, SIM_TEXT));
    TRY(json_get_int(root, "cores", 1, 1 << 20, &m->cores));
    if (json_has(root, "memory")) {
        TRY(json_get_size(root, "memory", 1, INT64_MAX, &m->memory_bytes));
    }
    TRY(get_streams(root, "overlap", &m->overlap));
    TRY(get_streams(root, "overlap_store", &m->overlap_store));
    m->overlap_store |= m->overlap;
    if (json_has(root, "steps_overlap")) {
        TRY(json_get_bool(root, "steps_overlap", &m->steps_overlap));
    }
    if (json_has(root, "async_messages")) {
        TRY(json_get_bool(root, "async_messages", &m->async_messages));
    }
    return ST_OK;
}

static status get_shape(json_val root, machine *m)
{
    static const char *const keys[] = {
        "m", "n", "k", "query_block", "serial_items", "sum_floats", NULL};
    json_val o;
    TRY(json_get_obj(root, "tile", &o));
    TRY(json_done(o, keys));
    TRY(json_get_int(o, "m", 1, 1 << 20, &m->tile_m));
    TRY(json_get_int(o, "n", 1, 1 << 20, &m->tile_n));
    TRY(json_get_int(o, "k", 1, 1 << 20, &m->tile_k));
    TRY(json_get_int(o, "query_block", 1, 1 << 20, &m->query_block));
    TRY(json_get_i64_opt(o, "sum_floats", 1, INT64_MAX, &m->sum_floats));
    return json_get_i64_opt(o, "serial_items", 0, INT64_MAX, &m->serial_items);
}

static status get_dispatch(json_val root, machine *m)
{
    static const char *const keys[] = {"op",   "wake",   "late",
                                       "step", "source", NULL};
    json_val o;
    TRY(json_get_obj(root, "dispatch", &o));
    TRY(json_done(o, keys));
    TRY(json_get_f64(o, "op", 0, MOST_S, &m->dispatch_s));
    TRY(json_get_f64_opt(o, "wake", 0, MOST_S, &m->wake_s));
    TRY(json_get_f64_opt(o, "late", 0, MOST_S, &m->late_s));
    TRY(json_get_f64_opt(o, "step", 0, MOST_S, &m->step_s));
    return get_source(o, m->dispatch_source);
}

static status get_side(json_val root, machine *m)
{
    static const char *const keys[] = {"rate", "loss", "source", NULL};
    json_val o;
    if (!json_has(root, "side")) {
        return ST_OK;
    }
    TRY(json_get_obj(root, "side", &o));
    TRY(json_done(o, keys));
    TRY(json_get_f64(o, "rate", 0.01, 1, &m->side_rate));
    TRY(json_get_f64(o, "loss", 0, 1, &m->side_loss));
    return get_source(o, m->side_source);
}

static status get_store(json_val root, machine *m)
{
    static const char *const keys[] = {"latency", "rate", "source", NULL};
    json_val o;
    if (!json_has(root, "store")) {
        return ST_OK;
    }
    TRY(json_get_obj(root, "store", &o));
    TRY(json_done(o, keys));
    TRY(json_get_seconds(o, "latency", 0, MOST_S, &m->store_latency_s));
    TRY(json_get_rate(o, "rate", 0, 1e18, &m->store_bytes_per_s));
    return get_source(o, m->store_source);
}

static const char *const root_keys[] = {
    "format",        "name",           "source", "date",     "cpu",
    "libraries",     "cores",          "memory", "overlap",  "overlap_store",
    "steps_overlap", "async_messages", "tile",   "dispatch", "side",
    "store",         "levels",         "links",  NULL};

static status read_root(json_val root, machine *m)
{
    static const char *const formats[] = {"weft-machine-1", NULL};
    int format = 0;
    TRY(json_as_obj(root));
    TRY(json_get_choice(root, "format", formats, &format));
    TRY(json_done(root, root_keys));
    TRY(get_head(root, m));
    TRY(get_shape(root, m));
    TRY(get_dispatch(root, m));
    TRY(get_side(root, m));
    TRY(get_store(root, m));
    TRY(get_levels(root, m));
    return get_links(root, m);
}

static status read_doc(json_doc *doc, machine *out)
{
    machine *m = NULL;
    TRY(MEM_NEW(&m, 1, "machine"));
    machine_init(m);
    status st = read_root(json_root(doc), m);
    if (st == ST_OK) {
        *out = *m;
    }
    mem_free(m);
    return st;
}

status machine_parse(const char *text, const char *name, machine *out)
{
    json_doc *doc = NULL;
    TRY(json_parse(text, strlen(text), name, &doc));
    status st = read_doc(doc, out);
    json_close(doc);
    return st;
}

status machine_open(const char *path, machine *out)
{
    json_doc *doc = NULL;
    TRY(json_open(path, &doc));
    status st = read_doc(doc, out);
    json_close(doc);
    return st;
}

/* --- writing -------------------------------------------------------------- */

static void put_curve(json_writer *w, const char *key, const sim_curve *c)
{
    if (c->points == 0) {
        return;
    }
    json_write_arr_flat(w, key);
    for (int i = 0; i < c->points; i++) {
        json_write_arr(w, NULL);
        json_write_f64(w, NULL, c->x[i]);
        json_write_f64(w, NULL, c->y[i]);
        json_write_end(w);
    }
    json_write_end(w);
}

static void put_law(json_writer *w, const char *key, const sim_law *law)
{
    json_write_obj_flat(w, key);
    for (int t = 0; t < TERM_COUNT; t++) {
        if (law->term[t] != 0) {
            json_write_f64(w, law_keys[t], law->term[t]);
        }
    }
    put_curve(w, "items", &law->items);
    if (isfinite(law->spread)) {
        json_write_f64(w, "spread", law->spread);
    }
    if (isfinite(law->misfit)) {
        json_write_f64(w, "misfit", law->misfit);
    }
    json_write_end(w);
}

static void put_levels(json_writer *w, const machine *m)
{
    json_write_arr(w, "levels");
    for (int i = 0; i < m->nlevels; i++) {
        const sim_level *l = &m->level[i];
        json_write_obj(w, NULL);
        json_write_i64(w, "threads", l->threads);
        if (l->ranks > 1) {
            json_write_i64(w, "ranks", l->ranks);
        }
        if (l->pace != 0) {
            json_write_f64(w, "pace", l->pace);
        }
        json_write_str(w, "source", l->source);
        json_write_obj(w, "kernels");
        for (int k = 0; k < KERNEL_COUNT; k++) {
            if (l->law[k].known) {
                put_law(w, kernels[k], &l->law[k]);
            }
        }
        json_write_end(w);
        json_write_end(w);
    }
    json_write_end(w);
}

static void put_transfer(json_writer *w, const char *key, const sim_transfer *t)
{
    json_write_obj_flat(w, key);
    json_write_f64(w, "op", t->op);
    json_write_f64(w, "message", t->message);
    json_write_f64(w, "byte", t->byte);
    put_curve(w, "far", &t->far);
    json_write_end(w);
}

static void put_links(json_writer *w, const machine *m)
{
    json_write_arr(w, "links");
    for (int i = 0; i < m->nlinks; i++) {
        const sim_link *l = &m->link[i];
        json_write_obj(w, NULL);
        json_write_i64(w, "ranks", l->ranks);
        json_write_bool(w, "shared_cores", l->shared_cores);
        put_transfer(w, "p2p", &l->p2p);
        put_transfer(w, "tree", &l->tree);
        put_transfer(w, "sum", &l->sum);
        json_write_f64(w, "spin", l->spin);
        json_write_f64(w, "waiting", l->waiting);
        put_curve(w, "at_work", &l->at_work);
        json_write_str(w, "source", l->source);
        json_write_end(w);
    }
    json_write_end(w);
}

static void put_streams(json_writer *w, const char *key, uint32_t set)
{
    json_write_arr_flat(w, key);
    for (int s = 0; s < STREAM_COUNT; s++) {
        if (set & (1U << s)) {
            json_write_str(w, NULL, op_stream_name((op_stream)s));
        }
    }
    json_write_end(w);
}

static void put_head(json_writer *w, const machine *m)
{
    json_write_str(w, "format", "weft-machine-1");
    json_write_str(w, "name", m->name);
    json_write_str(w, "source", m->source);
    json_write_str(w, "date", m->date);
    json_write_str(w, "cpu", m->cpu);
    json_write_str(w, "libraries", m->libraries);
    json_write_i64(w, "cores", m->cores);
    if (m->memory_bytes > 0) {
        json_write_i64(w, "memory", m->memory_bytes);
    }
    put_streams(w, "overlap", m->overlap);
    put_streams(w, "overlap_store", m->overlap_store);
    json_write_bool(w, "steps_overlap", m->steps_overlap);
    json_write_bool(w, "async_messages", m->async_messages);
}

static void put_constants(json_writer *w, const machine *m)
{
    json_write_obj(w, "tile");
    json_write_i64(w, "m", m->tile_m);
    json_write_i64(w, "n", m->tile_n);
    json_write_i64(w, "k", m->tile_k);
    json_write_i64(w, "query_block", m->query_block);
    json_write_i64(w, "serial_items", m->serial_items);
    json_write_i64(w, "sum_floats", m->sum_floats);
    json_write_end(w);
    json_write_obj(w, "dispatch");
    json_write_f64(w, "op", m->dispatch_s);
    json_write_f64(w, "wake", m->wake_s);
    json_write_f64(w, "late", m->late_s);
    json_write_f64(w, "step", m->step_s);
    json_write_str(w, "source", m->dispatch_source);
    json_write_end(w);
    json_write_obj(w, "side");
    json_write_f64(w, "rate", m->side_rate);
    json_write_f64(w, "loss", m->side_loss);
    json_write_str(w, "source", m->side_source);
    json_write_end(w);
    json_write_obj(w, "store");
    json_write_f64(w, "latency", m->store_latency_s);
    json_write_f64(w, "rate", m->store_bytes_per_s);
    json_write_str(w, "source", m->store_source);
    json_write_end(w);
}

/* Nobody could read it back. */
static status check_finite(const json_writer *w, const machine *m)
{
    REQUIRE(w->not_finite[0] == '\0', ST_NUMERIC,
            "machine %s: %s is not a finite number; measure it again, with the "
            "machine left to itself",
            m->name,
            strcmp(w->not_finite, "[]") == 0 ? "a point of a curve"
                                             : w->not_finite);
    return ST_OK;
}

status machine_text(const machine *m, char **text)
{
    json_writer w;
    json_writer_init(&w);
    json_write_obj(&w, NULL);
    put_head(&w, m);
    put_constants(&w, m);
    put_levels(&w, m);
    put_links(&w, m);
    json_write_end(&w);
    status st = check_finite(&w, m);
    st = st == ST_OK ? json_writer_take(&w, text) : st;
    json_writer_fini(&w);
    return st;
}
