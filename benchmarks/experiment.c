#include "benchmarks/experiment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "partition/plan.h"
#include "runtime/base/mem.h"
#include "runtime/base/text.h"

static const char *const top_keys[] = {"models", "data", "common", "setups",
                                       NULL};

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
        TRY(json_as_str(json_at(list, i), &e->models[i]));
        e->nmodels++;
    }
    return ST_OK;
}

/* "state/8" -> 8; anything else is an ordinary size. */
static status read_state_part(json_val obj, int64_t *part)
{
    json_val v;
    const char *text = NULL;
    *part = 0;
    if (!json_has(obj, "device_memory")) {
        return ST_OK;
    }
    TRY(json_get(obj, "device_memory", &v));
    if (json_kind(v) != JSON_KIND_STR) {
        return ST_OK;
    }
    TRY(json_as_str(v, &text));
    if (strncmp(text, "state/", 6) == 0) {
        *part = atoll(text + 6);
        if (*part < 1) {
            return json_fail(v, ST_CONFIG,
                             "'%s' is not possible; write "
                             "\"state/8\" for an eighth of the model state",
                             text);
        }
    }
    return ST_OK;
}

/* Keys that are not options of a run, and those that are but cannot be read
 * as an option (state/n), are taken out of the way by a writer. */
static status read_options(json_val obj, int64_t part, run_args *args)
{
    json_writer w;
    json_writer_init(&w);
    json_write_obj(&w, NULL);
    json_iter it = {0};
    const char *key;
    json_val v;
    while (json_next(obj, &it, &key, &v)) {
        bool skip = strcmp(key, "name") == 0 ||
                    (part > 0 && strcmp(key, "device_memory") == 0);
        if (!skip) {
            json_write_val(&w, key, v);
        }
    }
    json_write_end(&w);
    json_doc *doc = NULL;
    status st = json_parse(strbuf_view(&w.out), strlen(strbuf_view(&w.out)),
                           json_name(obj.doc), &doc);
    if (st == ST_OK) {
        st = opt_read_json(&train_command, json_root(doc), NULL, args);
    }
    json_writer_fini(&w);
    /* Strings in args are lent by the document: take them from the original,
     * which lives as long as the experiment. */
    if (st == ST_OK) {
        st = json_get_str_opt(obj, "plan", &args->plan);
    }
    json_close(doc);
    return st;
}

static void default_name(experiment_setup *s)
{
    (void)snprintf(s->name, sizeof(s->name), "%s",
                   s->args.plan != NULL ? s->args.plan : "streamed");
}

static status read_setup(experiment *e, json_val obj)
{
    experiment_setup *s = &e->setups[e->nsetups];
    const char *name = NULL;
    TRY(json_as_obj(obj));
    s->keys = obj;
    s->args = e->setups[EXPERIMENT_SETUPS_MAX - 1].args;
    TRY(read_state_part(obj, &s->state_part));
    TRY(read_options(obj, s->state_part, &s->args));
    TRY(json_get_str_opt(obj, "name", &name));
    default_name(s);
    if (name != NULL) {
        (void)snprintf(s->name, sizeof(s->name), "%s", name);
    }
    for (int i = 0; i < e->nsetups; i++) {
        if (strcmp(e->setups[i].name, s->name) == 0) {
            return json_fail(obj, ST_CONFIG,
                             "a second set-up named '%s'; give it a \"name\"",
                             s->name);
        }
    }
    if (s->args.plan != NULL && strcmp(s->args.plan, "dp1") == 0 &&
        e->judge < 0) {
        e->judge = e->nsetups;
    }
    e->nsetups++;
    return ST_OK;
}

/* Somebody has to be agreed with. */
static status add_judge(experiment *e)
{
    REQUIRE(e->nsetups + 1 < EXPERIMENT_SETUPS_MAX, ST_CONFIG,
            "no room for the judge: take one set-up out");
    experiment_setup *s = &e->setups[e->nsetups];
    s->args = e->setups[EXPERIMENT_SETUPS_MAX - 1].args;
    s->args.plan = "dp1";
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
    run_args *common = &e->setups[EXPERIMENT_SETUPS_MAX - 1].args;
    TRY(default_args(common));
    TRY(json_get_obj_opt(root, "common", &e->common));
    if (json_kind(e->common) == JSON_KIND_OBJ) {
        TRY(read_options(e->common, 0, common));
    }
    TRY(json_get_arr(root, "setups", &list));
    size_t n = json_len(list);
    if (n < 1 || n >= EXPERIMENT_SETUPS_MAX) {
        return json_fail(list, ST_CONFIG, "needs 1 to %d set-ups, has %d",
                         EXPERIMENT_SETUPS_MAX - 1, (int)n);
    }
    for (size_t i = 0; i < n; i++) {
        TRY(read_setup(e, json_at(list, i)));
    }
    return e->judge < 0 ? add_judge(e) : ST_OK;
}

status experiment_open(const char *path, experiment *e)
{
    memset(e, 0, sizeof(*e));
    e->judge = -1;
    TRY(json_open(path, &e->doc));
    json_val root = json_root(e->doc);
    status st = json_as_obj(root);
    if (st == ST_OK) {
        st = json_done(root, top_keys);
    }
    if (st == ST_OK) {
        st = read_models(e, root);
    }
    if (st == ST_OK) {
        st = json_get_str(root, "data", &e->data);
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

static int gcd(int a, int b)
{
    return b == 0 ? a : gcd(b, a % b);
}

static int join_leaves(int lcm, int most)
{
    int n = lcm <= 8 ? lcm : most;
    int leaves = n;
    while (leaves < 4) {
        leaves += n;
    }
    return leaves;
}

void experiment_leaves(const experiment *e, int *data, int *tensor)
{
    int lcm[2] = {1, 1};
    int most[2] = {1, 1};
    for (int i = 0; i < e->nsetups; i++) {
        plan p;
        const char *text = e->setups[i].args.plan;
        if (text == NULL || plan_open(text, &p) != ST_OK) {
            continue;
        }
        int degree[2] = {p.data, p.tensor};
        for (int k = 0; k < 2; k++) {
            /* What is too much for leaves is refused later, with reasons. */
            if (degree[k] <= 8) {
                lcm[k] = lcm[k] / gcd(lcm[k], degree[k]) * degree[k];
                most[k] = degree[k] > most[k] ? degree[k] : most[k];
            }
        }
    }
    *data = join_leaves(lcm[0], most[0]);
    *tensor = join_leaves(lcm[1], most[1]);
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
    double number = 0;
    if (flag) {
        if (json_as_bool(v, &on) != ST_OK || !on) {
            return;
        }
    } else if (json_kind(v) == JSON_KIND_STR) {
        if (json_as_str(v, &text) != ST_OK) {
            return;
        }
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

static void add_object(strbuf *words, int *count, json_val obj, json_val over)
{
    json_iter it = {0};
    const char *key;
    json_val v;
    while (json_kind(obj) == JSON_KIND_OBJ && json_next(obj, &it, &key, &v)) {
        bool skip = key[0] == '_' || strcmp(key, "name") == 0 ||
                    strcmp(key, "device_memory") == 0 ||
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
    add_object(words, count, e->common, s->keys);
    add_object(words, count, s->keys, none);
    if (json_kind(s->keys) != JSON_KIND_OBJ) {
        add_word(words, count, "--plan");
        add_word(words, count, s->args.plan);
    }
    if (device_memory > 0) {
        (void)snprintf(bytes, sizeof(bytes), "%lld", (long long)device_memory);
        add_word(words, count, "--device-memory");
        add_word(words, count, bytes);
    }
    return strbuf_check(words);
}
