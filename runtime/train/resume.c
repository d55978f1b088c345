/*
 * Where weights come from and go to. Every rank reads the whole checkpoint
 * and keeps its shard; rank 0 writes, one parameter at a time.
 */
#include <string.h>

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

/* A run keeps its seed, leaves and batch: with others it would be another
 * run, and its losses would not be those of the uninterrupted one. */
static status check_same_run(const train *t, const char *path,
                             const ckpt_info *info)
{
    const train_job *j = t->job;
    REQUIRE(!info->weights_only, ST_CONFIG,
            "%s has weights only: start a new run with --init %s", path, path);
    REQUIRE(info->seed == j->recipe.seed, ST_CONFIG,
            "%s was made with --seed %llu, not %llu", path,
            (unsigned long long)info->seed, (unsigned long long)j->recipe.seed);
    REQUIRE(info->batch == j->sh.N && info->seq == j->sh.T, ST_CONFIG,
            "%s was made with --batch %lld --seq %lld, not %lld and %lld", path,
            (long long)info->batch, (long long)info->seq, (long long)j->sh.N,
            (long long)j->sh.T);
    REQUIRE(info->data_leaves == j->sh.D && info->tensor_leaves == j->sh.S,
            ST_CONFIG,
            "%s was made with --data-leaves %d --tensor-leaves %d, not %d "
            "and %d; leaves belong to a run: use those, or start a new run "
            "from its weights with --init %s",
            path, info->data_leaves, info->tensor_leaves, j->sh.D, j->sh.S,
            path);
    REQUIRE(info->data_hash == tokens_hash(t->data.file), ST_CONFIG,
            "%s was made with other data (%s) than %s", path, info->data_path,
            j->data);
    return ST_OK;
}

static status resume_from(train *t)
{
    ckpt_info info;
    memset(&info, 0, sizeof(info));
    TRY(ckpt_peek(t->job->resume, &info));
    status st = check_same_run(t, t->job->resume, &info);
    t->first = info.step;
    t->updates = info.adam_step;
    ckpt_info_fini(&info);
    TRY(st);
    REQUIRE(t->first < t->job->recipe.steps, ST_CONFIG,
            "%s has done %lld steps already: --steps %lld has nothing to do",
            t->job->resume, (long long)t->first,
            (long long)t->job->recipe.steps);
    return load(t, t->job->resume, CKPT_ALL);
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
