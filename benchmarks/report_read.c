/* Files of results -> set-ups, in one list, with clean texts. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "benchmarks/compare_impl.h"
#include "benchmarks/report_impl.h"
#include "runtime/base/mem.h"
#include "runtime/base/stop.h"
#include "runtime/base/text.h"
#include "runtime/io/h5.h"

/* --- clean texts ---------------------------------------------------------- */

static void clean_row(comparison_row *r)
{
    html_clean(r->name);
    html_clean(r->model);
    html_clean(r->status);
    html_clean(r->reasons);
    html_clean(r->clock);
    html_clean(r->agreement);
}

static void clean_info(run_info *i)
{
    html_clean(i->model);
    html_clean(i->plan);
    html_clean(i->cmdline);
    html_clean(i->commit);
    html_clean(i->created);
    html_clean(i->store);
    html_clean(i->kernels);
}

static void clean_run(run_summary *s)
{
    clean_info(&s->info);
    for (int64_t r = 0; r < s->nranks; r++) {
        html_clean(s->ranks[r].host);
    }
    for (int i = 0; i < s->setup.ndecisions; i++) {
        html_clean(s->setup.decisions[i].key);
        html_clean(s->setup.decisions[i].value);
        html_clean(s->setup.decisions[i].rules);
    }
    for (int i = 0; i < s->setup.nops; i++) {
        html_clean(s->setup.ops[i].kind);
    }
    html_clean(s->host.hostname);
    html_clean(s->host.cpu);
    html_clean(s->host.blas);
    html_clean(s->host.mpi);
    html_clean(s->host.hdf5);
    html_clean(s->prediction.machine);
    html_clean(s->prediction.clock);
    for (int i = 0; i < s->prediction.nkinds; i++) {
        html_clean(s->prediction.kinds[i].kind);
    }
}

/* --- reading -------------------------------------------------------------- */

/* The set-up's place in the list stays valid until the next is added. */
static status add_setup(report_data *d, int file, report_setup **out)
{
    TRY(mem_resize((size_t)d->nsetups + 1, sizeof(*d->setups), "report",
                   (void **)&d->setups));
    report_setup *s = &d->setups[d->nsetups++];
    s->file = file;
    s->difference = (double)NAN;
    *out = s;
    return ST_OK;
}

/* Whether there is something to draw, and whether it counts. */
static void classify(report_setup *s, bool is_ok)
{
    s->drawn = s->has_run && s->run.nsteps > 0;
    s->ran = s->drawn && is_ok;
    s->trains = s->has_run && strcmp(s->run.info.store, "null") != 0;
}

bool report_is_ranked(const report_setup *s)
{
    return s->ran && s->trains;
}

/* Ranks tell their memory and traffic at the end: of a run that was stopped
 * neither is known, which is not none. */
static void forget_traffic(comparison_row *row)
{
    row->loaded_bytes = (double)NAN;
    row->drained_bytes = (double)NAN;
    row->pipe_bytes = (double)NAN;
    row->tensor_bytes = (double)NAN;
    row->data_bytes = (double)NAN;
    row->tie_bytes = (double)NAN;
    row->world_bytes = (double)NAN;
}

/* A run has no row: what compare would have put there. */
static status describe(report_setup *s)
{
    const run_summary *r = &s->run;
    comparison_row_init(&s->row);
    text_copy(s->row.name, sizeof(s->row.name), r->info.plan);
    text_copy(s->row.model, sizeof(s->row.model), r->info.model);
    (void)snprintf(s->row.status, sizeof(s->row.status), "%s",
                   r->info.complete ? "ok" : "cut");
    if (!r->info.complete) {
        (void)snprintf(s->row.reasons, sizeof(s->row.reasons),
                       "the run has not ended, or was cut short after %lld "
                       "steps",
                       (long long)r->nsteps);
    }
    s->row.devices = r->info.ranks;
    double rate = r->has_host ? r->host.matmul_gflops * 1e9 : (double)NAN;
    TRY(compare_describe(r, rate, r->has_host ? r->host.cores : 1, &s->row));
    if (r->nranks == 0) {
        forget_traffic(&s->row);
    }
    return ST_OK;
}

static status read_run(report_data *d, int file)
{
    report_setup *s = NULL;
    TRY(add_setup(d, file, &s));
    TRY(runfile_read(d->files[file].path, &s->run));
    s->has_run = true;
    (void)snprintf(s->row.group, sizeof(s->row.group), "/");
    clean_run(&s->run);
    TRY(describe(s));
    (void)snprintf(s->row.group, sizeof(s->row.group), "/");
    classify(s, s->run.info.complete);
    return ST_OK;
}

static status read_row(report_data *d, int file, const comparison_row *row)
{
    report_setup *s = NULL;
    TRY(add_setup(d, file, &s));
    s->row = *row;
    clean_row(&s->row);
    if (row->group[0] != '\0') {
        TRY(runfile_read_at(d->files[file].path, row->group, &s->run));
        s->has_run = true;
        clean_run(&s->run);
    }
    classify(s, strcmp(row->status, "ok") == 0);
    return ST_OK;
}

static status read_rows(report_data *d, int file)
{
    comparison_row *rows = NULL;
    int64_t n = 0;
    TRY(comparison_read(d->files[file].path, &rows, &n));
    status st = ST_OK;
    for (int64_t i = 0; i < n && st == ST_OK; i++) {
        st = read_row(d, file, &rows[i]);
    }
    mem_free(rows);
    return st;
}

static status read_attributes(const h5_file *h5, report_file *f)
{
    TRY(h5_attr_get_text(h5, "/", "created", "", &f->created));
    TRY(h5_attr_get_text(h5, "/", "cmdline", "", &f->cmdline));
    TRY(h5_attr_get_text(h5, "/", "commit", "", &f->commit));
    html_clean(f->created);
    html_clean(f->cmdline);
    html_clean(f->commit);
    return ST_OK;
}

static status look_at(const char *path, report_file *f)
{
    h5_file *h5 = NULL;
    char *format = NULL;
    f->path = path;
    TRY(mem_strdup(path, &f->name));
    html_clean(f->name);
    TRY(h5_open(path, &h5));
    status st = h5_attr_get_text(h5, "/", "format", "", &format);
    if (st == ST_OK) {
        f->is_comparison = strcmp(format, "weft-comparison") == 0;
        if (!f->is_comparison && strcmp(format, "weft-run") != 0) {
            st = FAIL(ST_BADFILE,
                      "%s: is %s%.*s, a report is of results: run files "
                      "(weft train --out) and comparisons (weft compare)",
                      path, format[0] != '\0' ? "a " : "no file of Weft's",
                      text_fit(format, 40), format);
        }
    }
    mem_free(format);
    st = st == ST_OK ? read_attributes(h5, f) : st;
    status closed = h5_close(&h5);
    return st != ST_OK ? st : closed;
}

/* --- all of it ------------------------------------------------------------ */

/* Every model has set-ups of the same names: each once. */
static status fail_no_setup(const report_data *d, const char *name)
{
    const char **names = NULL;
    strbuf b = {0};
    int n = 0;
    TRY(MEM_NEW(&names, d->nsetups + 1, "report"));
    for (int i = 0; i < d->nsetups; i++) {
        const char *one = d->setups[i].row.name;
        int k = 0;
        while (k < n && strcmp(names[k], one) != 0) {
            k++;
        }
        names[k] = one;
        n += k == n ? 1 : 0;
    }
    const char *near = text_nearest(name, names);
    text_add_list(&b, names);
    status st = FAIL(
        ST_CONFIG, "--setup %s: no set-up has this name%s%s%s; there is %s",
        name, near != NULL ? ", did you mean \"" : "", near != NULL ? near : "",
        near != NULL ? "\"" : "", strbuf_view(&b));
    strbuf_fini(&b);
    mem_free(names);
    return st;
}

/* Each of the names is one of a set-up. */
static status check_names(const report_data *d, const char *const *names)
{
    for (int i = 0; names[i] != NULL; i++) {
        int k = 0;
        while (k < d->nsetups && strcmp(d->setups[k].row.name, names[i]) != 0) {
            k++;
        }
        if (k == d->nsetups) {
            return fail_no_setup(d, names[i]);
        }
    }
    return ST_OK;
}

/* Only set-ups of these names stay. */
static status select(report_data *d, const char *const *names)
{
    int kept = 0;
    TRY(check_names(d, names));
    for (int i = 0; i < d->nsetups; i++) {
        report_setup s = d->setups[i];
        if (text_in_list(s.row.name, names)) {
            /* Swapped, so that the others are still freed. */
            d->setups[i] = d->setups[kept];
            d->setups[kept++] = s;
        }
    }
    for (int i = kept; i < d->nsetups; i++) {
        run_summary_fini(&d->setups[i].run);
    }
    d->nsetups = kept;
    return ST_OK;
}

status report_read(const report_config *c, report_data *out)
{
    report_data d = {0};
    int n = 0;
    while (c->files[n] != NULL) {
        n++;
    }
    status st = ST_OK;
    TRY(MEM_NEW(&d.files, n, "report"));
    for (int i = 0; i < n; i++) {
        d.nfiles = i + 1;
        TRY_GOTO(stop_check(), fail);
        TRY_GOTO(look_at(c->files[i], &d.files[i]), fail);
        TRY_GOTO(d.files[i].is_comparison ? read_rows(&d, i) : read_run(&d, i),
                 fail);
    }
    if (d.nsetups == 0) {
        st = FAIL(ST_CONFIG,
                  "%s: no set-up has ended yet, there is nothing "
                  "to report",
                  c->files[0]);
        goto fail;
    }
    if (c->setups != NULL) {
        TRY_GOTO(select(&d, c->setups), fail);
    }
    TRY_GOTO(report_group(&d), fail);
    *out = d;
    return ST_OK;
fail:
    report_data_fini(&d);
    return st;
}

void report_data_fini(report_data *d)
{
    report_group_fini(d);
    for (int i = 0; i < d->nsetups; i++) {
        run_summary_fini(&d->setups[i].run);
    }
    for (int i = 0; i < d->nfiles; i++) {
        mem_free(d->files[i].name);
        mem_free(d->files[i].created);
        mem_free(d->files[i].cmdline);
        mem_free(d->files[i].commit);
    }
    mem_free(d->files);
    mem_free(d->setups);
    mem_free(d->models);
    *d = (report_data){0};
}

const report_setup *report_of_model(const report_data *d, int model, bool all,
                                    int i)
{
    for (int k = 0; k < d->nsetups; k++) {
        const report_setup *s = &d->setups[k];
        if (s->model == model && (all || s->drawn) && i-- == 0) {
            return s;
        }
    }
    return NULL;
}

int report_stream_of(const char *name)
{
    int k = 0;
    while (k < STREAM_COUNT &&
           strcmp(name, op_stream_name((op_stream)k)) != 0) {
        k++;
    }
    return k;
}

status report_read_trace(const report_data *d, const report_setup *s,
                         run_trace **rows, int64_t *n)
{
    *rows = NULL;
    *n = 0;
    if (!s->has_run || s->run.ntrace == 0) {
        return ST_OK;
    }
    TRY(runfile_read_trace(d->files[s->file].path, s->row.group, rows, n));
    for (int64_t i = 0; i < *n; i++) {
        html_clean((*rows)[i].kind);
        html_clean((*rows)[i].stream);
    }
    return ST_OK;
}
