#include "benchmarks/experiment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/text.h"
#include "runtime/results/comparison.h"

/* --- which keys may stand where ------------------------------------------- */

static const char *const top_keys[] = {"models", "data",   "machine",
                                       "common", "setups", NULL};

/* What only a streamed set-up has. */
#define STREAM_KEYS "store", "link_rate", "link_latency"
/* What makes a set-up; in "common": the default of all set-ups. */
#define SETUP_KEYS                                                             \
    "plan", STREAM_KEYS, "device_memory", "micro_batch", "recompute", "sums",  \
        "threads", "reference_kernels"
/* What must be the same for all, or there would be nothing to compare. */
#define RUN_KEYS                                                               \
    "steps", "batch", "seq", "layers", "vocab", "lr", "min_lr", "warmup",      \
        "beta1", "beta2", "eps", "weight_decay", "grad_clip", "on_nan",        \
        "seed", "data_leaves", "tensor_leaves", "val_fraction", "val_every",   \
        "val_batches"

const char *const experiment_setup_keys[] = {SETUP_KEYS, NULL};
const char *const experiment_run_keys[] = {RUN_KEYS, NULL};
static const char *const stream_keys[] = {STREAM_KEYS, NULL};
static const char *const setup_keys[] = {"name", SETUP_KEYS, NULL};
static const char *const common_keys[] = {SETUP_KEYS, RUN_KEYS, NULL};

/* Options of `weft train` that an experiment cannot have. */
static const struct {
    const char *key, *where;
} elsewhere[] = {
    {"data", "has a key of its own at the top of the file"},
    {"machine", "has a key of its own at the top of the file"},
    {"out", "belongs on the command line: weft compare --out FILE"},
    {"save", "belongs to weft train; a comparison keeps no checkpoints"},
    {"save_every", "belongs to weft train; a comparison keeps no checkpoints"},
    {"resume", "belongs to weft train; a comparison starts from the seed"},
    {"init", "belongs to weft train; a comparison starts from the seed"},
    {"stop_after", "belongs to weft train; use \"steps\" in \"common\""},
    {"launched_at", "belongs to Weft itself; leave it out"},
    {"quiet", "belongs to weft train; a comparison prints its own lines"},
    {"log_every", "belongs to weft train; a comparison prints its own lines"},
};

/* A key that exists, but not here. */
static status check_place(json_val v, const char *key, const char *const *known)
{
    if (text_in_list(key, known)) {
        return ST_OK;
    }
    for (size_t i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++) {
        if (strcmp(key, elsewhere[i].key) == 0) {
            return json_fail(v, ST_CONFIG, "%s", elsewhere[i].where);
        }
    }
    if (text_in_list(key, experiment_run_keys)) {
        return json_fail(v, ST_CONFIG,
                         "must be the same for all set-ups: it belongs in "
                         "\"common\"");
    }
    if (text_in_list(key, setup_keys)) {
        return json_fail(v, ST_CONFIG, "belongs in an object of \"setups\"");
    }
    return ST_OK;
}

static status check_keys(json_val obj, const char *const *known)
{
    json_iter it = {0};
    const char *key;
    json_val v;
    TRY(json_as_obj(obj));
    while (json_next(obj, &it, &key, &v)) {
        TRY(check_place(v, key, known));
    }
    return json_done(obj, known);
}

/* --- values --------------------------------------------------------------- */

/* In the results a name is a group, for which some characters change. */
static bool same_group(const char *a, const char *b)
{
    char group_a[COMPARISON_GROUP_SIZE];
    char group_b[COMPARISON_GROUP_SIZE];
    comparison_group(a, group_a, sizeof(group_a));
    comparison_group(b, group_b, sizeof(group_b));
    return strcmp(group_a, group_b) == 0;
}

/* A path may be written in several ways, which have different groups. */
static status check_model_name(const experiment *e, json_val v,
                               const char *name)
{
    if (comparison_reserved(name)) {
        return json_fail(v, ST_CONFIG,
                         "'%s' is a part of every results file, which can "
                         "have no model of that name; for a file or folder "
                         "write './%s'",
                         name, name);
    }
    for (int i = 0; i < e->nmodels; i++) {
        if (strcmp(e->names[i], name) == 0) {
            return json_fail(v, ST_CONFIG, "'%s' is there twice; take one out",
                             name);
        }
        if (same_group(e->names[i], name)) {
            return json_fail(v, ST_CONFIG,
                             "'%s' and '%s' have one name in the results, "
                             "where all but letters, digits and \"._-+\" is "
                             "'_'; rename one or, being a path, write './%s'",
                             name, e->names[i],
                             name[0] == '/' ? e->names[i] : name);
        }
    }
    return ST_OK;
}

/* Of a long path as much of the end as a name may have: from a folder on, or
 * from a character. */
static const char *end_of(const char *path)
{
    const char *end = text_tail(path, EXPERIMENT_NAME_SIZE - 1);
    const char *folder = end > path ? strchr(end - 1, '/') : NULL;
    return folder != NULL && folder[1] != '\0' ? folder + 1 : end;
}

static status read_models(experiment *e, json_val root)
{
    json_val list;
    TRY(json_get_arr(root, "models", &list));
    size_t n = json_len(list);
    if (n < 1 || n > EXPERIMENT_MODELS_MAX) {
        return json_fail(list, ST_CONFIG, "needs 1 to %d models, has %d",
                         EXPERIMENT_MODELS_MAX, (int)n);
    }
    for (size_t i = 0; i < n; i++) {
        const char *name = NULL;
        TRY(json_as_str(json_at(list, i), &name));
        if (name[0] == '\0') {
            return json_fail(json_at(list, i), ST_CONFIG,
                             "is empty; give a name in configs/models, a "
                             "config.json or its folder");
        }
        TRY(check_model_name(e, json_at(list, i), end_of(name)));
        e->models[e->nmodels] = name;
        e->names[e->nmodels++] = end_of(name);
    }
    return ST_OK;
}

/* "state/8" -> 8; *part stays 0 for an ordinary size. */
static status read_state_part(json_val obj, int64_t *part)
{
    enum { PART_MAX = 1000000 };
    json_val v;
    const char *text = NULL;
    if (!json_has(obj, "device_memory")) {
        return ST_OK;
    }
    *part = 0;
    TRY(json_get(obj, "device_memory", &v));
    if (json_kind(v) != JSON_KIND_STR) {
        return ST_OK;
    }
    TRY(json_as_str(v, &text));
    if (!text_starts(text, "state")) {
        return ST_OK;
    }
    int64_t n = 0;
    const char *digits = text_starts(text, "state/") ? text + 6 : "";
    size_t len = strlen(digits);
    if (len <= 7 && strspn(digits, "0123456789") == len) {
        n = strtoll(digits, NULL, 10); /* 0 for an empty text */
    }
    if (n < 1 || n > PART_MAX) {
        return json_fail(v, ST_CONFIG,
                         "'%s' is not possible; write \"state/8\" for an "
                         "eighth of the model state, up to state/%d",
                         text, PART_MAX);
    }
    *part = n;
    return ST_OK;
}

/* index -1: obj is "common". */
static status read_options(json_val obj, int index, experiment_setup *s)
{
    TRY(check_keys(obj, index < 0 ? common_keys : setup_keys));
    TRY(read_state_part(obj, &s->state_part));
    /* What no option can read. */
    const char *const skip[] = {
        "name", s->state_part > 0 ? "device_memory" : NULL, NULL};
    return opt_read_json(&train_command, obj, skip, NULL, &s->args);
}

bool experiment_is_fast(const experiment_setup *s)
{
    return s->args.sums == 1;
}

experiment_bits experiment_promise(const experiment *e, int index)
{
    const run_args *a = &e->setups[index].args;
    if (a->store == SETUP_STORE_NULL) {
        return EXPERIMENT_NULL;
    }
    if (a->reference != e->setups[e->judge].args.reference) {
        return EXPERIMENT_KERNELS;
    }
    return a->sums == 1 ? EXPERIMENT_FAST : EXPERIMENT_SAME;
}

static status check_name(const experiment *e, json_val obj, const char *name)
{
    if (name[0] == '\0' || strlen(name) >= EXPERIMENT_NAME_SIZE) {
        return json_fail(obj, ST_CONFIG,
                         "its name has %d characters, allowed is 1 to %d; "
                         "give it another \"name\"",
                         (int)strlen(name), EXPERIMENT_NAME_SIZE - 1);
    }
    for (int i = 0; i < e->nsetups; i++) {
        const char *other = e->setups[i].name;
        if (strcmp(other, name) == 0) {
            return json_fail(obj, ST_CONFIG,
                             "a second set-up named '%s'; give it a \"name\" "
                             "of its own",
                             name);
        }
        if (same_group(other, name)) {
            char group[COMPARISON_GROUP_SIZE];
            comparison_group(name, group, sizeof(group));
            return json_fail(obj, ST_CONFIG,
                             "'%s' and '%s' have one name in the results, '%s' "
                             "(all but letters, digits and \"._-+\" is '_'); "
                             "give one another \"name\"",
                             name, other, group);
        }
    }
    return ST_OK;
}

/* A plan has no store: those of "common" are not for it. */
static void forget_stream(run_args *a)
{
    a->store = SETUP_STORE_RAM;
    a->link_rate = 0;
    a->link_latency = 0;
}

/* A key of its own that would do nothing was not meant so. */
static status check_stream(json_val obj, const char *plan_text)
{
    for (int i = 0; stream_keys[i] != NULL; i++) {
        json_val v;
        if (json_has(obj, stream_keys[i])) {
            TRY(json_get(obj, stream_keys[i], &v));
            return json_fail(v, ST_CONFIG,
                             "is for streaming, but the set-up has plan %s; "
                             "allowed are a set-up without a plan, or "
                             "\"common\", which means those",
                             plan_text);
        }
    }
    return ST_OK;
}

/* Where the file has an option of a set-up: there, in "common", or not. */
static json_val find_option(const experiment *e, json_val obj, const char *key)
{
    json_val v = {0};
    const json_val objects[] = {obj, e->common};
    for (int i = 0; i < 2 && json_kind(v) == JSON_KIND_NONE; i++) {
        if (json_kind(objects[i]) == JSON_KIND_OBJ &&
            json_has(objects[i], key)) {
            (void)!json_get(objects[i], key, &v);
        }
    }
    return v;
}

static status check_values(const experiment *e, json_val obj, const run_args *a)
{
    char why[RUN_ARGS_WHY_SIZE];
    const char *fault = run_args_fault(a, why);
    return fault == NULL
               ? ST_OK
               : json_fail(find_option(e, obj, fault), ST_CONFIG, "%s", why);
}

static status read_setup(experiment *e, json_val obj)
{
    experiment_setup *s = &e->setups[e->nsetups];
    const char *name = NULL;
    const experiment_setup *common = &e->setups[EXPERIMENT_SETUPS_MAX - 1];
    *s = *common;
    s->keys = obj;
    TRY(read_options(obj, e->nsetups, s));
    if (s->args.plan != NULL) {
        TRY(check_stream(obj, s->args.plan));
        forget_stream(&s->args);
    }
    TRY(check_values(e, obj, &s->args));
    TRY(json_get_str_opt(obj, "name", &name));
    if (name == NULL) {
        name = s->args.plan != NULL ? s->args.plan : "streamed";
    }
    TRY(check_name(e, obj, name));
    (void)snprintf(s->name, sizeof(s->name), "%s", name);
    if (s->args.plan != NULL && strcmp(s->args.plan, "dp1") == 0 &&
        !experiment_is_fast(s) && e->judge < 0 &&
        s->args.reference == common->args.reference) {
        e->judge = e->nsetups;
    }
    e->nsetups++;
    return ST_OK;
}

/* Somebody has to be agreed with. */
static status add_judge(experiment *e, json_val list)
{
    REQUIRE(e->nsetups + 1 < EXPERIMENT_SETUPS_MAX, ST_CONFIG,
            "%s: no room for the judge: take one set-up out",
            json_name(e->doc));
    experiment_setup *s = &e->setups[e->nsetups];
    for (int i = 0; i < e->nsetups; i++) {
        if (same_group(e->setups[i].name, "judge")) {
            return json_fail(json_at(list, (size_t)i), ST_CONFIG,
                             "'judge' is the name of the set-up with plan "
                             "dp1 that Weft adds; give another \"name\"");
        }
    }
    *s = e->setups[EXPERIMENT_SETUPS_MAX - 1];
    s->args.plan = "dp1";
    s->args.sums = 0;
    s->args.device_memory = 0;
    forget_stream(&s->args);
    s->state_part = 0;
    (void)snprintf(s->name, sizeof(s->name), "judge");
    e->judge = e->nsetups++;
    return ST_OK;
}

static status default_args(run_args *out)
{
    static const char *const argv[] = {"train", "x"};
    opt_parsed *parsed = NULL;
    TRY(opt_parse(&train_command, 2, argv, out, sizeof(*out), &parsed));
    opt_destroy(parsed);
    return ST_OK;
}

static status read_setups(experiment *e, json_val root)
{
    json_val list;
    /* The last slot holds defaults and common options while reading. */
    experiment_setup *common = &e->setups[EXPERIMENT_SETUPS_MAX - 1];
    TRY(default_args(&common->args));
    TRY(json_get_obj_opt(root, "common", &e->common));
    if (json_kind(e->common) == JSON_KIND_OBJ) {
        TRY(read_options(e->common, -1, common));
    }
    run_args_default(&common->args, json_has(e->common, "min_lr"));
    TRY(json_get_arr(root, "setups", &list));
    size_t n = json_len(list);
    if (n < 1 || n >= EXPERIMENT_SETUPS_MAX) {
        return json_fail(list, ST_CONFIG, "needs 1 to %d set-ups, has %d",
                         EXPERIMENT_SETUPS_MAX - 1, (int)n);
    }
    for (size_t i = 0; i < n; i++) {
        TRY(read_setup(e, json_at(list, i)));
    }
    return e->judge < 0 ? add_judge(e, list) : ST_OK;
}

status experiment_open(const char *path, experiment *e)
{
    memset(e, 0, sizeof(*e));
    e->judge = -1;
    TRY(json_open(path, &e->doc));
    json_val root = json_root(e->doc);
    status st = check_keys(root, top_keys);
    if (st == ST_OK) {
        st = read_models(e, root);
    }
    if (st == ST_OK) {
        st = json_get_str(root, "data", &e->data);
    }
    if (st == ST_OK) {
        st = json_get_str_opt(root, "machine", &e->machine);
    }
    if (st == ST_OK) {
        st = read_setups(e, root);
    }
    if (st == ST_OK) {
        st = text_read_file(path, JSON_BYTES_MAX, &e->text, NULL);
    }
    if (st != ST_OK) {
        experiment_close(e);
    }
    return st;
}

void experiment_close(experiment *e)
{
    json_close(e->doc);
    mem_free(e->text);
    memset(e, 0, sizeof(*e));
}

json_val experiment_plan_at(const experiment *e, int index)
{
    return find_option(e, e->setups[index].keys, "plan");
}

status experiment_memory(const experiment_setup *s, const arch *a,
                         int64_t *bytes)
{
    params ps;
    *bytes = s->args.device_memory;
    if (s->state_part > 0) {
        TRY(params_init(a, &ps));
        int64_t part = 16 * ps.total / s->state_part;
        *bytes = part > 0 ? part : 1; /* 0 would be: no limit */
        params_fini(&ps);
    }
    return ST_OK;
}

/* --- as words of a command line ------------------------------------------- */

static void add_word(strbuf *words, int *count, const char *text)
{
    strbuf_add_bytes(words, text, strlen(text) + 1);
    (*count)++;
}

static void add_option(strbuf *words, int *count, const char *key, json_val v)
{
    char name[80];
    char value[64];
    const char *text = value;
    (void)snprintf(name, sizeof(name), "--%s", key);
    for (char *c = name; *c != '\0'; c++) {
        *c = *c == '_' ? '-' : *c;
    }
    bool flag = json_kind(v) == JSON_KIND_BOOL;
    bool on = false;
    int64_t whole = 0;
    double number = 0;
    if (flag) {
        if (json_as_bool(v, &on) != ST_OK || !on) {
            return;
        }
    } else if (json_kind(v) == JSON_KIND_STR) {
        if (json_as_str(v, &text) != ST_OK) {
            return;
        }
    } else if (json_kind(v) == JSON_KIND_INT) { /* not by way of a double */
        if (json_as_i64(v, INT64_MIN, INT64_MAX, &whole) != ST_OK) {
            return;
        }
        (void)snprintf(value, sizeof(value), "%lld", (long long)whole);
    } else if (json_as_f64(v, -1e300, 1e300, &number) == ST_OK) {
        (void)snprintf(value, sizeof(value), "%.17g", number);
    } else {
        return;
    }
    add_word(words, count, name);
    if (!flag) {
        add_word(words, count, text);
    }
}

/* The options of an object that `over` does not have. */
static void add_object(strbuf *words, int *count, json_val obj, json_val over,
                       bool streamed)
{
    json_iter it = {0};
    const char *key;
    json_val v;
    while (json_kind(obj) == JSON_KIND_OBJ && json_next(obj, &it, &key, &v)) {
        bool skip = key[0] == '_' || strcmp(key, "name") == 0 ||
                    strcmp(key, "device_memory") == 0 ||
                    (!streamed && text_in_list(key, stream_keys)) ||
                    (json_kind(over) == JSON_KIND_OBJ && json_has(over, key));
        if (!skip) {
            add_option(words, count, key, v);
        }
    }
}

status experiment_words(const experiment *e, int index, const char *model,
                        int64_t device_memory, strbuf *words, int *count)
{
    char bytes[32];
    const json_val none = {0};
    const experiment_setup *s = &e->setups[index];
    *count = 0;
    add_word(words, count, "train");
    add_word(words, count, model);
    add_word(words, count, "--data");
    add_word(words, count, e->data);
    if (e->machine != NULL) {
        add_word(words, count, "--machine");
        add_word(words, count, e->machine);
    }
    const bool streamed = s->args.plan == NULL;
    add_object(words, count, e->common, s->keys, streamed);
    add_object(words, count, s->keys, none, streamed);
    if (json_kind(s->keys) != JSON_KIND_OBJ) {
        add_word(words, count, "--plan");
        add_word(words, count, s->args.plan);
        add_word(words, count, "--sums");
        add_word(words, count, "exact");
    }
    if (device_memory > 0) {
        (void)snprintf(bytes, sizeof(bytes), "%lld", (long long)device_memory);
        add_word(words, count, "--device-memory");
        add_word(words, count, bytes);
    }
    return strbuf_check(words);
}
