/*
 * Which set-ups stand side by side: those of one model that were asked to
 * compute the same thing. A run of other data, another length or another
 * machine is faster or smaller for reasons that are no merit of its set-up, so
 * it gets a section of its own, whose name says what differs.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "benchmarks/compare_impl.h"
#include "benchmarks/report_impl.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"
#include "runtime/base/text.h"

/* Keys of a task, in the order in which a section's name has them. */
enum {
    KEY_LAYERS,
    KEY_VOCAB,
    KEY_ARCH,
    KEY_DATA,
    KEY_BATCH,
    KEY_SEQ,
    KEY_SEED,
    KEY_STEPS,
    KEY_FIRST,
    KEY_INIT,
    KEY_VAL_FRACTION,
    KEY_LR,
    KEY_MIN_LR,
    KEY_WARMUP,
    KEY_BETA1,
    KEY_BETA2,
    KEY_EPS,
    KEY_WEIGHT_DECAY,
    KEY_GRAD_CLIP,
    KEY_HOST,
    KEYS
};
_Static_assert((int)KEYS == (int)REPORT_TASK_KEYS,
               "a task has a value for each key");

/* `config`: its name in a run's configuration; NULL: from elsewhere. */
static const struct {
    const char *word, *config;
} keys[KEYS] = {
    [KEY_LAYERS] = {"layers", "layers"},
    [KEY_VOCAB] = {"vocab", "vocab"},
    [KEY_ARCH] = {"architecture", NULL},
    [KEY_DATA] = {"data", "data"},
    [KEY_BATCH] = {"batch", NULL},
    [KEY_SEQ] = {"seq", NULL},
    [KEY_SEED] = {"seed", NULL},
    [KEY_STEPS] = {"steps", "steps"},
    [KEY_FIRST] = {"from step", NULL},
    [KEY_INIT] = {"init", "init"},
    [KEY_VAL_FRACTION] = {"val-fraction", "val_fraction"},
    [KEY_LR] = {"lr", "lr"},
    [KEY_MIN_LR] = {"min-lr", "min_lr"},
    [KEY_WARMUP] = {"warmup", "warmup"},
    [KEY_BETA1] = {"beta1", "beta1"},
    [KEY_BETA2] = {"beta2", "beta2"},
    [KEY_EPS] = {"eps", "eps"},
    [KEY_WEIGHT_DECAY] = {"weight-decay", "weight_decay"},
    [KEY_GRAD_CLIP] = {"grad-clip", "grad_clip"},
    [KEY_HOST] = {"on", NULL},
};

/* --- a set-up's task ------------------------------------------------------ */

static status from_config(json_val config, const char *key, char **out)
{
    char number[40];
    const char *text = number;
    json_val v;
    if (!json_has(config, key)) {
        return ST_OK;
    }
    TRY(json_get(config, key, &v));
    if (json_kind(v) == JSON_KIND_STR) {
        TRY(json_get_str(config, key, &text));
    } else if (json_kind(v) == JSON_KIND_INT ||
               json_kind(v) == JSON_KIND_REAL) {
        double x = 0;
        TRY(json_as_f64(v, -HUGE_VAL, HUGE_VAL, &x));
        (void)snprintf(number, sizeof(number), "%.12g", x);
    } else {
        return ST_OK;
    }
    TRY(mem_strdup(text, out));
    html_clean(*out);
    return ST_OK;
}

/* Files of others may have no configuration, or one that is no JSON: what is
 * in it is then not known. */
static status read_config(const char *text, report_task *t)
{
    json_doc *doc = NULL;
    if (json_parse(text, strlen(text), "config", &doc) != ST_OK) {
        return ST_OK;
    }
    json_val root = json_root(doc);
    status st = ST_OK;
    for (int k = 0; k < KEYS && st == ST_OK; k++) {
        if (keys[k].config != NULL && json_kind(root) == JSON_KIND_OBJ) {
            st = from_config(root, keys[k].config, &t->value[k]);
        }
    }
    json_close(doc);
    return st;
}

static status put_whole(report_task *t, int key, int64_t n)
{
    char text[24];
    (void)snprintf(text, sizeof(text), "%" PRId64, n);
    return mem_strdup(text, &t->value[key]);
}

static status read_task(report_setup *s)
{
    const run_summary *r = &s->run;
    report_task *t = &s->task;
    char text[RUN_TEXT_SIZE + 32];
    TRY(read_config(r->info.config, t));
    (void)snprintf(text, sizeof(text), "%016" PRIx64, r->info.arch_hash);
    TRY(mem_strdup(text, &t->value[KEY_ARCH]));
    t->data_hash = r->info.data_hash;
    TRY(put_whole(t, KEY_BATCH, r->info.batch));
    TRY(put_whole(t, KEY_SEQ, r->info.seq));
    TRY(put_whole(t, KEY_SEED, (int64_t)r->info.seed));
    if (r->nsteps > 0) {
        TRY(put_whole(t, KEY_FIRST, r->steps[0].step + 1));
    }
    if (r->has_host) {
        text_print(text, sizeof(text), "%d cores of %s", r->host.cores,
                   r->host.cpu);
        TRY(mem_strdup(text, &t->value[KEY_HOST]));
    }
    return ST_OK;
}

/* Data is what is in it, wherever it lies. Files of before 1.2 tell its path
 * alone. */
static bool same_value(const report_task *a, const report_task *b, int key)
{
    if (key == KEY_DATA && a->data_hash != 0 && b->data_hash != 0) {
        return a->data_hash == b->data_hash;
    }
    const char *x = a->value[key];
    const char *y = b->value[key];
    return x == NULL || y == NULL ? x == y : strcmp(x, y) == 0;
}

/* The configuration's depth and vocabulary may say the same in two ways ("all
 * of 4", "4"): what counts is the architecture that came of them. A run that
 * was killed may not have told its machine, or its first step. */
static bool same_task(const report_task *a, const report_task *b)
{
    for (int k = 0; k < KEYS; k++) {
        bool silent = (k == KEY_HOST || k == KEY_FIRST) &&
                      (a->value[k] == NULL || b->value[k] == NULL);
        if (k != KEY_LAYERS && k != KEY_VOCAB && !silent &&
            !same_value(a, b, k)) {
            return false;
        }
    }
    return true;
}

/* --- sections ------------------------------------------------------------- */

/* The task of all that are in the section: of some not everything is known,
 * so two of them may both be the task of a third. Set-ups before `index` have
 * their sections. */
static bool belongs(const report_data *d, int model, int index)
{
    const report_setup *s = &d->setups[index];
    for (int i = 0; i < index; i++) {
        const report_setup *o = &d->setups[i];
        if (o->has_run && o->model == model && !same_task(&o->task, &s->task)) {
            return false;
        }
    }
    return true;
}

static bool same_name(const report_model *m, const report_setup *s)
{
    return strcmp(m->name, s->row.model) == 0;
}

static void join(report_data *d, report_setup *s, int m)
{
    if (m == d->nmodels) {
        d->models[d->nmodels++] =
            (report_model){.name = s->row.model, .base = -1};
    }
    const report_task *t = d->models[m].task;
    if (s->has_run && (t == NULL || t->data_hash == 0)) {
        d->models[m].task = &s->task;
    }
    s->model = m;
    d->models[m].nsetups++;
    d->models[m].ndrawn += s->drawn;
    d->models[m].nran += s->ran;
}

/* A set-up that never ran stands with those of its file, which were asked for
 * the same. */
static int place_of_refused(const report_data *d, const report_setup *s)
{
    for (int i = 0; i < d->nsetups; i++) {
        const report_setup *o = &d->setups[i];
        if (o->has_run && o->file == s->file &&
            strcmp(o->row.model, s->row.model) == 0) {
            return o->model;
        }
    }
    int m = 0;
    while (m < d->nmodels && !same_name(&d->models[m], s)) {
        m++;
    }
    return m;
}

static status find_models(report_data *d)
{
    TRY(MEM_NEW(&d->models, d->nsetups, "report"));
    for (int i = 0; i < d->nsetups; i++) {
        report_setup *s = &d->setups[i];
        int m = 0;
        if (!s->has_run) {
            continue;
        }
        TRY(read_task(s));
        while (m < d->nmodels &&
               !(same_name(&d->models[m], s) && belongs(d, m, i))) {
            m++;
        }
        join(d, s, m);
    }
    for (int i = 0; i < d->nsetups; i++) {
        report_setup *s = &d->setups[i];
        if (!s->has_run) {
            join(d, s, place_of_refused(d, s));
        }
    }
    return ST_OK;
}

/* --- their names ---------------------------------------------------------- */

/* If models of this name differ in a key. */
static bool varies(const report_data *d, const report_model *m, int key)
{
    for (int i = 0; i < d->nmodels; i++) {
        const report_model *o = &d->models[i];
        if (o->task != NULL && strcmp(o->name, m->name) == 0 &&
            !same_value(o->task, m->task, key)) {
            return true;
        }
    }
    return false;
}

/* The data of another model of this name has the same path, but is other. */
static bool needs_hash(const report_data *d, const report_model *m)
{
    const char *path = m->task->value[KEY_DATA];
    for (int i = 0; i < d->nmodels; i++) {
        const report_model *o = &d->models[i];
        const char *other = o->task != NULL ? o->task->value[KEY_DATA] : NULL;
        if (strcmp(o->name, m->name) == 0 && path != NULL && other != NULL &&
            strcmp(path, other) == 0 &&
            !same_value(o->task, m->task, KEY_DATA)) {
            return true;
        }
    }
    return false;
}

static void add_words(const report_data *d, const report_model *m, int key,
                      strbuf *out)
{
    const char *value = m->task->value[key];
    bool other_arch = varies(d, m, KEY_ARCH);
    bool shape = varies(d, m, KEY_LAYERS) || varies(d, m, KEY_VOCAB);
    bool is_shape = key == KEY_LAYERS || key == KEY_VOCAB;
    if (!varies(d, m, key) || (is_shape && !other_arch) ||
        (key == KEY_ARCH && shape)) {
        return;
    }
    strbuf_add(out, out->len > 0 ? ", " : "");
    if (is_shape && value != NULL && strcmp(value, "0") == 0) {
        strbuf_printf(out, "all %s", keys[key].word);
    } else {
        strbuf_printf(out, "%s %s", keys[key].word,
                      value != NULL ? value : "not given");
    }
    if (key == KEY_DATA && needs_hash(d, m)) {
        strbuf_printf(out, " (hash %016" PRIx64 ")", m->task->data_hash);
    }
}

static status name_models(report_data *d)
{
    for (int i = 0; i < d->nmodels; i++) {
        report_model *m = &d->models[i];
        strbuf words = {0};
        for (int k = 0; k < KEYS && m->task != NULL; k++) {
            add_words(d, m, k, &words);
        }
        status st = strbuf_check(&words);
        st = st == ST_OK ? mem_strdup(strbuf_view(&words), &m->differs) : st;
        strbuf_fini(&words);
        TRY(st);
    }
    return ST_OK;
}

void report_model_name(const report_model *m, strbuf *out)
{
    bool more = m->differs != NULL && m->differs[0] != '\0';
    strbuf_printf(out, "%s%s%s", m->name[0] != '\0' ? m->name : "no model",
                  more ? ": " : "", more ? m->differs : "");
}

/* The last n names of a path. */
static const char *tail(const char *path, int n)
{
    const char *at = path + strlen(path);
    while (at > path && (at[-1] != '/' || --n > 0)) {
        at--;
    }
    return at;
}

/* As much of the file's path as tells it from those of set-ups alike:
 * "r1/run.h5" where there is "r2/run.h5", too. A file that was given twice,
 * and one whose path is too long to be shown, have their number as well. */
static void add_file(const report_data *d, report_setup *s)
{
    const char *path = d->files[s->file].name;
    bool is_twice = false;
    int n = 1;
    for (int i = 0; i < d->nsetups; i++) {
        const report_setup *o = &d->setups[i];
        const char *other = d->files[o->file].name;
        if (o->file == s->file || o->model != s->model ||
            strcmp(o->row.name, s->row.name) != 0) {
            continue;
        }
        is_twice = is_twice || strcmp(path, other) == 0;
        while (strcmp(path, other) != 0 &&
               strcmp(tail(path, n), tail(other, n)) == 0) {
            n++;
        }
    }
    const char *end = tail(path, n);
    int fit = text_fit(end, REPORT_FILE_MAX);
    bool is_cut = end[fit] != '\0';
    bool is_numbered = is_cut || is_twice;
    size_t at = strlen(s->label);
    text_print(s->label + at, sizeof(s->label) - at, " (%.*s%s%s%.0d)", fit,
               end, is_cut ? "..." : "", is_numbered ? ", file " : "",
               is_numbered ? s->file + 1 : 0);
}

/* Names are one a section, or the file is named, too. */
static void label(report_data *d)
{
    for (int i = 0; i < d->nsetups; i++) {
        report_setup *s = &d->setups[i];
        int alike = 0;
        for (int k = 0; k < d->nsetups; k++) {
            const report_setup *o = &d->setups[k];
            alike +=
                o->model == s->model && strcmp(o->row.name, s->row.name) == 0;
        }
        text_copy(s->label, sizeof(s->label),
                  s->row.name[0] != '\0' ? s->row.name : "no name");
        if (alike > 1) {
            add_file(d, s);
        }
    }
}

/* --- losses --------------------------------------------------------------- */

/* The plan dp1 holds everything in one place, as the judge does; fast sums
 * are nobody's judge, and the plain kernels only where there are no others. */
static int rank_as_base(const report_setup *s)
{
    return (s->run.info.exact_sums ? 4 : 0) +
           (strcmp(s->run.info.kernels, "ref") == 0 ? 0 : 2) +
           (strcmp(s->run.info.plan, "dp1") == 0 ? 1 : 0);
}

static void find_base(report_data *d, int model)
{
    int *base = &d->models[model].base;
    for (int i = 0; i < d->nsetups; i++) {
        const report_setup *s = &d->setups[i];
        if (s->model == model && s->drawn && s->trains &&
            (*base < 0 || rank_as_base(s) > rank_as_base(&d->setups[*base]))) {
            *base = i;
        }
    }
}

/* Files of before 1.2 do not tell. */
static bool same_kernels(const char *a, const char *b)
{
    return a[0] == '\0' || b[0] == '\0' || strcmp(a, b) == 0;
}

static void compare(const report_data *d, report_setup *s)
{
    int base = d->models[s->model].base;
    if (base < 0 || !s->drawn || !s->trains) {
        return;
    }
    const run_summary *a = &d->setups[base].run;
    const run_summary *b = &s->run;
    double most = 0;
    s->same_kernels = same_kernels(a->info.kernels, b->info.kernels);
    s->shared_steps = a->nsteps < b->nsteps ? a->nsteps : b->nsteps;
    for (int64_t i = 0; i < s->shared_steps; i++) {
        most = compare_larger(
            most, compare_difference(a->steps[i].loss, b->steps[i].loss));
    }
    s->difference = most;
    s->same_steps = a->nsteps == b->nsteps;
}

status report_group(report_data *d)
{
    TRY(find_models(d));
    TRY(name_models(d));
    label(d);
    for (int m = 0; m < d->nmodels; m++) {
        find_base(d, m);
    }
    for (int i = 0; i < d->nsetups; i++) {
        compare(d, &d->setups[i]);
    }
    return ST_OK;
}

void report_group_fini(report_data *d)
{
    for (int i = 0; i < d->nsetups; i++) {
        for (int k = 0; k < KEYS; k++) {
            mem_free(d->setups[i].task.value[k]);
        }
    }
    for (int m = 0; m < d->nmodels; m++) {
        mem_free(d->models[m].differs);
    }
}
