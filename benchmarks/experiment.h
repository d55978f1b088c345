/*
 * Experiments: what `weft compare` compares, as data.
 *
 *   { "models": ["gpt-neo-mini", "gpt-j-mini"],
 *     "data": "build/data/kjv.txt",
 *     "machine": "host.json",
 *     "common": { "steps": 20, "batch": 8, "seq": 64 },
 *     "setups": [ { "name": "resident", "plan": "dp1" },
 *                 { "name": "streamed", "device_memory": "state/8" },
 *                 { "plan": "tp2.pp2" } ] }
 *
 * "machine" is optional: a file of weft calibrate; then every set-up's times
 * are predicted. Keys of "common" and of a set-up are options of `weft train`
 * with '_' for '-'. A set-up has those that describe a set-up (plan, store,
 * device_memory, sums, ...); what must be the same for all (steps, batch, lr,
 * seed, ...) is in "common", which may also have defaults for set-ups; there
 * store, link_rate and link_latency are for those without a plan, the others
 * cannot have them. "state/8" is an eighth of the model's state (16 bytes a
 * parameter). A set-up's name is its plan, or "streamed", unless given. Unknown
 * or misplaced keys and wrong values are errors (ST_CONFIG) that name file and
 * key. The judge is the first set-up with plan "dp1", exact sums and the
 * kernels of "common"; there being none, one named "judge" is added. Local.
 */
#ifndef WEFT_BENCHMARKS_EXPERIMENT_H
#define WEFT_BENCHMARKS_EXPERIMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "benchmarks/run_args.h"
#include "runtime/base/json.h"
#include "runtime/base/status.h"

enum {
    EXPERIMENT_SETUPS_MAX = 64,
    EXPERIMENT_MODELS_MAX = 16,
    EXPERIMENT_NAME_SIZE = 64 /* of a model or set-up, with the NUL */
};

/* Keys of "common" and of a set-up, NULL-terminated: what makes a set-up (in
 * "common": the default of all), and what must be the same for all, which
 * may stand in "common" only. A set-up has "name" besides. */
extern const char *const experiment_setup_keys[];
extern const char *const experiment_run_keys[];

/* One set-up; device memory of "state/n" is 0 until a model is known. */
typedef struct experiment_setup {
    char name[EXPERIMENT_NAME_SIZE];
    run_args args;
    int64_t state_part; /* n of "state/n", 0: not given so                */
    json_val keys;
} experiment_setup;

typedef struct experiment {
    json_doc *doc;
    const char *data;
    const char *machine; /* to predict times on, or NULL                   */
    const char *models[EXPERIMENT_MODELS_MAX];
    const char *names[EXPERIMENT_MODELS_MAX]; /* the end of a long path     */
    int nmodels;
    json_val common;
    experiment_setup setups[EXPERIMENT_SETUPS_MAX];
    int nsetups;
    int judge;  /* index of the set-up that all others must agree with     */
    char *text; /* the whole file                                         */
} experiment;

/* Owns: *out, experiment_close. */
MUST_USE status experiment_open(const char *path, experiment *out);
void experiment_close(experiment *e);

/* Its sums are fast. */
bool experiment_is_fast(const experiment_setup *s);

/* What a set-up promises: the judge's bits, or why not. */
typedef enum experiment_bits {
    EXPERIMENT_SAME,
    EXPERIMENT_FAST,    /* fast sums                                       */
    EXPERIMENT_NULL,    /* a store that keeps nothing                      */
    EXPERIMENT_KERNELS, /* not the judge's kernels                         */
    EXPERIMENT_BITS_COUNT
} experiment_bits;

experiment_bits experiment_promise(const experiment *e, int index);

/* Where the file has the plan of a set-up; no value for one that Weft adds. */
json_val experiment_plan_at(const experiment *e, int index);

/* Device memory of a set-up of this model, bytes; 0: no limit. */
MUST_USE status experiment_memory(const experiment_setup *s, const arch *a,
                                  int64_t *bytes);

/* Leaves that serve every plan of the experiment that can run with this model
 * and on ranks_most ranks (0: any number), as far as rules and the bound on
 * memory tell: from 4 to 8, a multiple of the degrees where there is one, and
 * no more tensor leaves than heads. What is refused does not count. */
MUST_USE status experiment_leaves(const experiment *e, const arch *a,
                                  int ranks_most, int *data, int *tensor);

/* The arguments of `weft train` for a set-up of a model, as one word each;
 * appended to `words`, separated by NUL; returns how many. */
MUST_USE status experiment_words(const experiment *e, int index,
                                 const char *model, int64_t device_memory,
                                 strbuf *words, int *count);

#endif
