/*
 * Inside of runfile: the object, and what its writer and its reader agree on.
 */
#ifndef WEFT_RESULTS_RUNFILE_IMPL_H
#define WEFT_RESULTS_RUNFILE_IMPL_H

#include "runtime/io/h5.h"
#include "runtime/results/runfile.h"

enum {
    RUN_STEP_COLUMNS = 6 + 2 * 6,
    RUN_PATH_SIZE = 512,
    RUN_WAIT_STEPS = 256 /* that wait to be written together */
};

struct runfile {
    h5_file *h5;
    int64_t last_step;  /* recorded, -1: none yet     */
    bool is_new;        /* of runfile_create          */
    bool has_steps;     /* that a reader can see      */
    bool has_trace;     /* this object wrote to it    */
    int64_t nsteps;     /* this object was given      */
    int64_t written_ns; /* when steps were, last      */
    bool broken;        /* columns may differ in length */
    int nwaiting;
    run_step waiting[RUN_WAIT_STEPS];
    int64_t ledger_ranks; /* of /ledger                 */
    run_ledger *ledgers;  /* [RUN_WAIT_STEPS][ledger_ranks] of waiting[]; NULL:
                             there is no /ledger        */
};

/* A column of /steps or /validation. All but the first, the step itself, are
 * doubles at `offset` of the row's struct. */
typedef struct run_column {
    const char *name;
    const char *units;
    const char *long_name;
    size_t offset;
} run_column;

extern const char run_format[];
extern const char run_steps_attr[]; /* of /ranks and /traffic */
extern const run_column run_step_columns[RUN_STEP_COLUMNS];
extern const run_column run_validation_column;

/* A number or text in a struct that is an attribute of a group. */
typedef enum run_attr_kind {
    RUN_ATTR_I32,
    RUN_ATTR_I64,
    RUN_ATTR_F64,
    RUN_ATTR_BOOL,
    RUN_ATTR_TEXT,  /* char *, owned by the reader                         */
    RUN_ATTR_FIELD, /* char[bytes]                                         */
    RUN_ATTR_HASH,  /* uint64_t as 16 hex digits                           */
} run_attr_kind;

typedef struct run_attr {
    const char *name;
    run_attr_kind kind;
    size_t offset;
    size_t bytes; /* RUN_ATTR_FIELD */
} run_attr;

typedef struct run_attrs {
    const run_attr *list;
    int n;
} run_attrs;

extern const run_attrs run_info_attrs, run_setup_attrs, run_host_attrs,
    run_prediction_attrs;
extern const h5_layout run_rank_layout, run_decision_layout, run_op_layout,
    run_traffic_layout, run_trace_layout, run_kind_layout, run_account_layout;

/* A row of /prediction/ledger; the rows are the accounts, in their order. */
typedef struct run_account {
    char account[RUN_KIND_SIZE];
    double predicted_s;
    double measured_s;
} run_account;

/* Attribute `sums`. */
const char *run_sums_text(bool exact);
/* Attributes of the file, which is not complete, and /config, which must not
 * be there. */
status run_info_write(h5_file *f, const run_info *info);

/* The columns of /steps and /validation; and those of a file of before without
 * what was recorded from `step` on, which must be the next. */
status run_steps_create(runfile *f);
status run_steps_cut(runfile *f, int64_t step);

/* Attributes of a group to and from the struct they belong to. A missing
 * attribute is NaN, -1, "" or 0. */
status run_attrs_write(h5_file *f, const char *group, const run_attrs *attrs,
                       const void *from);
status run_attrs_read(const h5_file *f, const char *group,
                      const run_attrs *attrs, void *to);

#endif
