#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "benchmarks/experiment.h"
#include "benchmarks/figures.h"
#include "benchmarks/ratio.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/base/stop.h"
#include "runtime/results/comparison.h"

enum { SETUPS_MAX = 16 };

typedef struct tally {
    char name[COMPARISON_NAME_SIZE];
    int data, pipe; /* degrees of its plan                                 */
    double v[RATIO_MAX];
    int64_t n;
} tally;

/* The set-ups of an experiment with their plans. */
static status list_setups(const char *path, tally *all, int64_t *n)
{
    experiment e;
    TRY(experiment_open(path, &e));
    status st = ST_OK;
    if (e.nsetups > SETUPS_MAX) {
        st = FAIL(ST_CONFIG, "%s: %d set-ups, allowed is 2 to %d", path,
                  e.nsetups, SETUPS_MAX);
    }
    for (int i = 0; st == ST_OK && i < e.nsetups; i++) {
        plan p = {.data = 1, .pipe = 1};
        const char *text = e.setups[i].args.plan;
        st = text != NULL ? plan_open(text, &p) : ST_OK;
        all[i].data = p.data;
        all[i].pipe = p.pipe;
        (void)snprintf(all[i].name, sizeof(all[i].name), "%s",
                       e.setups[i].name);
    }
    *n = e.nsetups;
    experiment_close(&e);
    return st;
}

/* Tokens a second, as if a pipeline had no bubble. */
static double rate_of(const comparison_row *row, const tally *t)
{
    return row->tokens_per_s / (t->pipe > 1 ? 1 - row->bubble_share : 1);
}

/* The set-up that a row is of, or NULL. */
static tally *tally_of(tally *all, int64_t n, const char *name)
{
    for (int64_t i = 0; i < n; i++) {
        if (strcmp(all[i].name, name) == 0) {
            return &all[i];
        }
    }
    return NULL;
}

static status add_row(const comparison_row *row, const comparison_row *one,
                      tally *t)
{
    bool ok = t != NULL && strcmp(row->status, "ok") == 0 &&
              strcmp(row->agreement, "bitwise") == 0;
    REQUIRE(ok, ST_INTERNAL, "INVALID: set-up %s: %s %s", row->name,
            row->status, row->reasons);
    REQUIRE(strcmp(row->clock, one->clock) == 0, ST_CONFIG,
            "set-up %s is timed by the %s clock, one by %s: ranks share "
            "cores here",
            row->name, row->clock, one->clock);
    t->v[t->n++] = rate_of(row, t) / one->tokens_per_s;
    return ST_OK;
}

/* Into `file`, which is not there: none of before stays meanwhile. */
static status one_round(const char *path, const char *data, const char *file,
                        compare_launch launch, tally *all, int64_t nall)
{
    compare_config c = {.experiment = path,
                        .data = data,
                        .out = file,
                        .cmdline = "weft bench",
                        .launch = launch};
    comparison_row *rows = NULL;
    int64_t n = 0;
    TRY(compare_run(&c));
    TRY(comparison_read(file, &rows, &n));
    status st = ST_OK;
    if (n < 2 || strcmp(rows[0].name, "one") != 0) {
        st = FAIL(ST_CONFIG,
                  "%s: %lld set-ups, allowed is 2 or more, the first is "
                  "called one",
                  path, (long long)n);
    }
    for (int64_t i = 1; st == ST_OK && i < n; i++) {
        st = add_row(&rows[i], &rows[0], tally_of(all, nall, rows[i].name));
    }
    mem_free(rows);
    return st;
}

/* Data parallelism repeats the optimizer on every rank. */
static double goal_of(const tally *t)
{
    return t->data > 1 ? 0.80 : 0.85;
}

/* A folder for the comparisons, and the file in it. Owns: both. */
static status temporary_folder(const char *dir, char **folder, char **file)
{
    strbuf path = {0};
    strbuf_printf(&path, "%s/weft-bench-XXXXXX", dir);
    TRY(strbuf_take(&path, folder));
    if (mkdtemp(*folder) == NULL) {
        return FAIL(ST_CANTCREATE,
                    "%s: cannot create: %s; set TMPDIR to a folder for "
                    "temporary files",
                    *folder, strerror(errno));
    }
    strbuf_printf(&path, "%s/cmp.h5", *folder);
    return strbuf_take(&path, file);
}

static status run_rounds(const char *path, const char *data, int64_t rounds,
                         const char *file, compare_launch launch, tally *all,
                         int64_t n)
{
    status st = ST_OK;
    for (int64_t i = 0; st == ST_OK && i < rounds; i++) {
        st = one_round(path, data, file, launch, all, n);
        (void)unlink(file);
    }
    /* A comparison says where its rows are; they are gone with the file. */
    return st == ST_SIGNAL && stop_asked() ? stop_check() : st;
}

/* The one that others are compared with has no figure. */
static status write_figures(tally *all, int64_t n, strbuf *out, int *noisy)
{
    for (int64_t i = 0; i < n; i++) {
        strbuf what = {0};
        if (all[i].n == 0) {
            continue;
        }
        strbuf_printf(&what, "%s%s against one rank", all[i].name,
                      all[i].pipe > 1 ? ", bubble taken out," : "");
        TRY(strbuf_check(&what));
        *noisy += ratio_line(out, strbuf_view(&what),
                             ratio_of(all[i].v, all[i].n), goal_of(&all[i]));
        strbuf_fini(&what);
    }
    return ST_OK;
}

status figures_ranks(const char *path, const char *data, int64_t rounds,
                     const char *dir, compare_launch launch, strbuf *out,
                     int *noisy)
{
    tally all[SETUPS_MAX];
    int64_t n = 0;
    char *folder = NULL;
    char *file = NULL;
    memset(all, 0, sizeof(all));
    TRY(list_setups(path, all, &n));
    status st = temporary_folder(dir, &folder, &file);
    if (st == ST_OK) {
        st = run_rounds(path, data, rounds, file, launch, all, n);
        (void)rmdir(folder);
    }
    mem_free(file);
    mem_free(folder);
    return st == ST_OK ? write_figures(all, n, out, noisy) : st;
}
