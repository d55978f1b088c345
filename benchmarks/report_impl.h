/* Inside of the report: what its files share. */
#ifndef WEFT_BENCHMARKS_REPORT_IMPL_H
#define WEFT_BENCHMARKS_REPORT_IMPL_H

#include <stdbool.h>
#include <stdint.h>

#include "benchmarks/html.h"
#include "benchmarks/plot.h"
#include "benchmarks/report.h"
#include "runtime/results/comparison.h"
#include "runtime/results/runfile.h"

/* What a run was asked to compute, as words: with which model, data and
 * recipe, on what processor. Runs are compared only where all of it is equal;
 * how they compute it (plan, memory, sums) is what a report compares. */
enum { REPORT_TASK_KEYS = 20 };
typedef struct report_task {
    char *value[REPORT_TASK_KEYS]; /* report_groups.c names them; NULL: not
                                    * known, or as usual                   */
    uint64_t data_hash;            /* 0: not known                         */
} report_task;

/* Bytes of a file's path that a label shows, and room for it and a name. */
enum {
    REPORT_FILE_MAX = 96,
    REPORT_LABEL_SIZE = COMPARISON_NAME_SIZE + REPORT_FILE_MAX + 32
};

/* A set-up: a row of a comparison, or a run file of its own. All texts are
 * clean (html_clean). */
typedef struct report_setup {
    comparison_row row;
    /* Its name; with the file's where it is there twice. */
    char label[REPORT_LABEL_SIZE];
    int file; /* index in report_data.files                          */
    int model;
    report_task task; /* of a set-up that has a run                        */
    bool has_run; /* `run` is filled                                       */
    run_summary run;
    bool drawn; /* has steps: is in tables and drawings                    */
    bool ran;   /* and did what it was asked to, to the end                */
    /* Its store keeps what it learns. Without (--store null) its losses mean
     * nothing: it is compared with nobody, and none of the best. */
    bool trains;
    /* Its kernels are the base's. Without, no equal bits are promised. */
    bool same_kernels;
    /* Largest absolute difference of a loss to that of the model's base; NaN:
     * no steps, or a loss that is a number on one side only. */
    double difference;
    bool same_steps; /* as many steps as the base                          */
    int64_t shared_steps; /* that both have: those compared                */
} report_setup;

/* An input file. */
typedef struct report_file {
    const char *path; /* lent by the caller                                */
    char *name;       /* the same, clean                                   */
    bool is_comparison;
    /* Of a comparison; of a run they stand in its run_info. */
    char *created, *cmdline, *commit;
} report_file;

/* A section of the page: set-ups of one model and one task. */
typedef struct report_model {
    const char *name; /* lent by a set-up                                  */
    char *differs;    /* what its task has that others of the name do not:
                       * "seq 32, seed 2"; "": there is no other           */
    const report_task *task; /* lent by a set-up; NULL: nobody has one     */
    int base; /* set-up that the others are compared with, or -1   */
    int nsetups;
    int ndrawn;
    int nran;
} report_model;

typedef struct report_data {
    report_file *files;
    int nfiles;
    report_setup *setups; /* in the order of the files, of rows in a file  */
    int nsetups;
    report_model *models; /* in order of appearance                        */
    int nmodels;
} report_data;

/* report_read.c. Owns: *out, report_data_fini. */
MUST_USE status report_read(const report_config *c, report_data *out);
void report_data_fini(report_data *d);
/* report_groups.c: which set-ups stand side by side. Fills d->models and, of
 * each set-up, model, task, label and difference. */
MUST_USE status report_group(report_data *d);
void report_group_fini(report_data *d);
/* "gpt-neo-mini: seq 32, seed 2". Appended. */
void report_model_name(const report_model *m, strbuf *out);
/* The set-up's traced step. Owns: *rows, mem_free; none: NULL and 0. */
MUST_USE status report_read_trace(const report_data *d, const report_setup *s,
                                  run_trace **rows, int64_t *n);
/* The op_stream of this name; STREAM_COUNT for one that Weft has not. */
int report_stream_of(const char *name);
/* The i-th set-up of a model that is drawn (all: or not), NULL behind the
 * last. */
const report_setup *report_of_model(const report_data *d, int model, bool all,
                                    int i);

/* It may be the best at something: it ran to the end, and trains. */
bool report_is_ranked(const report_setup *s);

/* report_figures.c, report_timeline.c: each appends a <figure>, or nothing
 * where the files have nothing for it. */
MUST_USE status report_draw_loss(const report_data *d, int model, plotter *p,
                                 strbuf *page);
MUST_USE status report_draw_memory(const report_data *d, int model, plotter *p,
                                   strbuf *page);
MUST_USE status report_draw_state(const report_data *d, int model, plotter *p,
                                  strbuf *page);
MUST_USE status report_draw_ledger(const report_data *d, int model, plotter *p,
                                   strbuf *page);
MUST_USE status report_draw_start(const report_data *d, int model, plotter *p,
                                  strbuf *page);
MUST_USE status report_draw_pareto(const report_data *d, int model, plotter *p,
                                   strbuf *page);
MUST_USE status report_draw_timelines(const report_data *d, int model,
                                      plotter *p, strbuf *page);

/* report_page.c: the whole page. report_tables.c: parts that are tables. */
MUST_USE status report_page(const report_data *d, plotter *p, strbuf *page);
void report_add_style(strbuf *page);
void report_add_summary(const report_data *d, int model, strbuf *page);
void report_add_measures(const report_data *d, int model, strbuf *page);
MUST_USE status report_add_traffic(const report_data *d, int model,
                                   strbuf *page);
void report_add_provenance(const report_data *d, strbuf *page);

/* report_json.c: everything that the page shows, as JSON. */
MUST_USE status report_json(const report_data *d, char **out);

/* report_perfetto.c */
MUST_USE status report_perfetto(const report_data *d, const char *path);

/* A number as text, "–" where it was not measured. */
typedef struct report_cell {
    char s[48];
} report_cell;
report_cell report_bytes(double bytes);
report_cell report_seconds(double s);
report_cell report_count(double n);  /* "1.3 k" */
report_cell report_whole(int64_t n); /* "1,300"; -1: not measured */
report_cell report_real(double x, const char *fmt);

/* At most this many points of a curve are drawn and listed. */
enum { REPORT_POINTS_MAX = 1000 };
/* Steps between the points of a curve of n steps; the last is always one. */
int64_t report_stride(int64_t n);

#endif
