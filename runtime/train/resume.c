/*
 * Where weights come from and go to. Every rank reads the whole checkpoint
 * and keeps its shard; rank 0 writes, one parameter at a time.
 */
#include "runtime/train/resume.h"

#include <float.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/json.h"
#include "runtime/base/log.h"
#include "runtime/train/run_impl.h"

static status sink_write(void *self, int par, store_state which,
                         const float *full)
{
    return train_state_put(self, par, which, full);
}

static status source_read(void *self, int par, store_state which, float *full)
{
    return train_state_get(self, par, which, full);
}

static status load(train *t, const char *path, ckpt_states states)
{
    ckpt_sink sink = {&t->state, sink_write};
    return ckpt_load(path, t->job->a, t->job->ps, states, &sink);
}

/* --- the same run --------------------------------------------------------- */

/* Another item of the list, set apart from the one before. */
static void next_item(strbuf *b)
{
    strbuf_add(b, b->len > 0 ? "; " : "");
}

static void add_numbers(strbuf *b, const ckpt_info *was, const resume_run *now)
{
    if (was->seed != now->seed) {
        next_item(b);
        strbuf_printf(b, "--seed %llu, not %llu", (unsigned long long)was->seed,
                      (unsigned long long)now->seed);
    }
    if (was->batch != now->batch || was->seq != now->seq) {
        next_item(b);
        strbuf_printf(b, "--batch %lld --seq %lld, not %lld and %lld",
                      (long long)was->batch, (long long)was->seq,
                      (long long)now->batch, (long long)now->seq);
    }
}

static void add_data(strbuf *b, const ckpt_info *was, const resume_run *now)
{
    if (was->data_hash != now->data_hash) {
        next_item(b);
        strbuf_printf(b, "other data (%s) than %s", was->data_path, now->data);
    }
}

/* Only exact sums have leaves. */
static void add_leaves(strbuf *b, const ckpt_info *was, const resume_run *now)
{
    const int64_t is[] = {now->data_leaves, now->tensor_leaves};
    const int64_t has[] = {was->data_leaves, was->tensor_leaves};
    static const char *const names[] = {"data", "tensor"};
    for (int i = 0; i < 2; i++) {
        if (is[i] > 0 && is[i] != has[i] && was->exact_sums) {
            next_item(b);
            strbuf_printf(b, "--%s-leaves %lld, not %lld", names[i],
                          (long long)has[i], (long long)is[i]);
        }
    }
}

status resume_check(const char *path, const ckpt_info *was,
                    const resume_run *now)
{
    strbuf b = {0};
    REQUIRE(!was->weights_only, ST_CONFIG,
            "%s has weights only: start a new run with --init %s", path, path);
    ckpt_model_differs(was, now->a, &b);
    bool other_model = b.len > 0;
    add_numbers(&b, was, now);
    add_data(&b, was, now);
    add_leaves(&b, was, now);
    status st = strbuf_check(&b);
    if (st == ST_OK && b.len > 0) {
        st = FAIL(ST_CONFIG,
                  "%s is of another run: %s; resume with what it has%s%s", path,
                  strbuf_view(&b),
                  other_model ? ""
                              : ", or start a new run from its weights: "
                                "--init ",
                  other_model ? "" : path);
    }
    strbuf_fini(&b);
    TRY(st);
    REQUIRE(was->step < now->steps, ST_CONFIG,
            "%s has done %lld steps already: --steps %lld has nothing to do",
            path, (long long)was->step, (long long)now->steps);
    return ST_OK;
}

/* --- what changes its course ---------------------------------------------- */

/* *text stays NULL where there is nothing to compare; `room` is its own. */
static status value_of(json_val of, const char *key, char room[32],
                       const char **text, double *number)
{
    json_val v;
    bool on = false;
    if (!json_has(of, key)) {
        return ST_OK; /* older than the option */
    }
    TRY(json_get(of, key, &v));
    switch (json_kind(v)) {
    case JSON_KIND_INT:
    case JSON_KIND_REAL:
        TRY(json_as_f64(v, -DBL_MAX, DBL_MAX, number));
        (void)snprintf(room, 32, "%.6g", *number);
        *text = room;
        return ST_OK;
    case JSON_KIND_BOOL:
        TRY(json_as_bool(v, &on));
        *text = on ? "true" : "false";
        return ST_OK;
    case JSON_KIND_STR:
        return json_as_str(v, text);
    default:
        return ST_OK;
    }
}

/* "lr 5 (was 0.001)": a value of both configurations that is not the same. */
static status add_change(strbuf *b, const char *key, json_val now, json_val was)
{
    const char *text[2] = {NULL, NULL};
    double number[2] = {0, 0};
    char room[2][32];
    TRY(value_of(now, key, room[0], &text[0], &number[0]));
    TRY(value_of(was, key, room[1], &text[1], &number[1]));
    if (text[0] != NULL && text[1] != NULL &&
        (number[0] != number[1] || strcmp(text[0], text[1]) != 0)) {
        strbuf_printf(b, "%s%s %s (was %s)", b->len > 0 ? ", " : "", key,
                      text[0], text[1]);
    }
    return ST_OK;
}

static status add_changes(json_val was, json_val now, strbuf *out)
{
    static const char *const keys[] = {
        "steps",       "lr",        "min_lr", "warmup",
        "beta1",       "beta2",     "eps",    "weight_decay",
        "sums",        "grad_clip", "on_nan", "reference_kernels",
        "val_fraction"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        TRY(add_change(out, keys[i], now, was));
    }
    return strbuf_check(out);
}

status resume_changes(const char *was, const char *now, strbuf *out)
{
    json_doc *docs[2] = {NULL, NULL};
    status st = json_parse(was, strlen(was), "was", &docs[0]);
    st = st == ST_OK ? json_parse(now, strlen(now), "now", &docs[1]) : st;
    if (st == ST_OK) {
        st = add_changes(json_root(docs[0]), json_root(docs[1]), out);
    }
    json_close(docs[0]);
    json_close(docs[1]);
    return st == ST_BADFILE ? ST_OK : st; /* no JSON */
}

/* Said once, by rank 0. */
static status warn_of_changes(const train *t, const ckpt_info *was)
{
    strbuf b = {0};
    status st = ST_OK;
    if (comm_rank(t->job->world) == 0) {
        st = resume_changes(was->run_config, t->job->config, &b);
    }
    if (st == ST_OK && b.len > 0) {
        log_warn("%s goes on with %s: the result will not be that of the run "
                 "not stopped",
                 t->job->resume, strbuf_view(&b));
    }
    strbuf_fini(&b);
    return st;
}

/* --- from and to a file --------------------------------------------------- */

static status resume_from(train *t)
{
    ckpt_info info;
    memset(&info, 0, sizeof(info));
    TRY(ckpt_peek(t->job->resume, &info));
    t->first = info.step;
    t->updates = info.adam_step;
    status st = load(t, t->job->resume, CKPT_ALL);
    if (st == ST_OK) {
        st = warn_of_changes(t, &info);
    }
    ckpt_info_fini(&info);
    return st;
}

status resume_begin(train *t)
{
    status st;
    if (t->job->resume != NULL) {
        st = resume_from(t);
    } else if (t->job->init != NULL) {
        st = load(t, t->job->init, CKPT_WEIGHTS);
    } else {
        st = train_state_init(&t->state, t->job->recipe.seed);
    }
    return comm_agree(t->job->world, st);
}

status resume_save(train *t, int64_t done)
{
    const train_job *j = t->job;
    ckpt_info info = {
        .step = done,
        .adam_step = t->updates,
        .seed = j->recipe.seed,
        .data_leaves = j->sh.D,
        .tensor_leaves = j->sh.S,
        .exact_sums = j->exact_sums,
        .batch = j->sh.N,
        .seq = j->sh.T,
        .tokens = done * j->sh.N * j->sh.T,
        .data_hash = tokens_hash(t->data.file),
        .data_path = (char *)j->data,
        .config = (char *)j->model_config,
        .run_config = (char *)j->config,
    };
    ckpt_source source = {&t->state, source_read};
    TRY(ckpt_save(j->world, j->save, j->a, j->ps, &info, &source));
    if (!j->quiet) {
        log_out("saved %s after step %lld\n", j->save, (long long)done);
    }
    return ST_OK;
}
