#include "runtime/train/run.h"

#include <math.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/base/stop.h"
#include "runtime/train/run_impl.h"

double train_rate(const train_recipe *r, int64_t step)
{
    if (step < r->warmup) {
        return r->lr * (double)(step + 1) / (double)r->warmup;
    }
    int64_t span = r->steps - r->warmup;
    double x = span > 0 ? (double)(step - r->warmup) / (double)span : 0;
    return r->min_lr + 0.5 * (r->lr - r->min_lr) * (1 + cos(M_PI * x));
}

static status make_exec(train *t)
{
    const train_job *j = t->job;
    exec_config c = {.a = j->a,
                     .ps = j->ps,
                     .set = j->set,
                     .sh = j->sh,
                     .math = j->math,
                     .threads = j->sh.threads,
                     .world = j->world,
                     .store = j->store,
                     .device_memory = j->device_memory,
                     .link_rate = j->link_rate,
                     .link_latency = j->link_latency,
                     .batch = train_data_batch,
                     .batch_self = &t->data,
                     .between = j->machine != NULL ? predict_between : NULL,
                     .between_self = t};
    int64_t begin = clock_wall_ns();
    TRY(exec_create(&c, &t->e));
    t->job->measures.communicators_s = (double)(clock_wall_ns() - begin) * 1e-9;
    t->state = (train_state){t->e, j->a, j->ps, j->store, j->world};
    return ST_OK;
}

/* One status for all ranks; the failing step's data is not touched. Where the
 * run looks at weights after it (calm), its updates belong to its time. */
static status one_step(train *t, int64_t step, bool calm, exec_result *r)
{
    const train_recipe *rc = &t->job->recipe;
    exec_scalars s = {.lr = (float)train_rate(rc, step),
                      .beta1 = (float)rc->beta1,
                      .beta2 = (float)rc->beta2,
                      .eps = (float)rc->eps,
                      .weight_decay = (float)rc->weight_decay,
                      .grad_clip = rc->grad_clip,
                      .skip_broken = rc->skip_broken,
                      .adam_step = t->updates + 1};
    int64_t allocs = mem_count();
    int64_t begin = clock_wall_ns();
    TRY(exec_step(t->e, step, &s, r));
    if (calm) {
        TRY(exec_settle(t->e, &r->ledger));
    }
    t->step_allocs += mem_count() - allocs;
    t->updates += !r->skipped;
    double seconds = (double)(clock_wall_ns() - begin) * 1e-9;
    if (step == t->first) {
        return report_first_step(t, seconds);
    }
    t->wall_done += seconds;
    t->timed++;
    return ST_OK;
}

static status validate(train *t, int64_t step)
{
    int64_t n = train_data_val_batches(&t->data);
    n = n < t->job->val_batches ? n : t->job->val_batches;
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        double loss;
        TRY(exec_evaluate(t->e, -1 - i, &loss));
        sum += loss;
    }
    return n > 0 ? report_validation(t, step, sum / (double)n) : ST_OK;
}

static bool due(int64_t every, int64_t done)
{
    return every > 0 && done % every == 0;
}

/* Signals reach ranks at different times, so all ranks agree. */
static bool must_stop(const train *t, int64_t done)
{
    int64_t asked = stop_asked() || done - t->first == t->job->stop_after;
    comm_max_i64(t->job->world, &asked, 1);
    return asked != 0;
}

static status stopped(const train *t, int64_t done)
{
    const train_job *j = t->job;
    bool signal = done - t->first != j->stop_after;
    return FAIL(ST_SIGNAL, "stopped %s after step %lld%s%s",
                signal ? "by a signal" : "as --stop-after says",
                (long long)done,
                j->save != NULL ? "; go on with --resume "
                                : "; no checkpoint was asked for",
                j->save != NULL ? j->save : "");
}

static status all_steps(train *t)
{
    const train_job *j = t->job;
    bool stop = false;
    int64_t step = t->first;
    for (; step < j->recipe.steps && !stop; step++) {
        int64_t done = step + 1;
        bool last = done == j->recipe.steps;
        bool check = due(j->val_every, done) || (j->val_every > 0 && last);
        bool save = j->save != NULL && (last || due(j->save_every, done));
        exec_result r;
        TRY(comm_agree(j->world, one_step(t, step, last || check || save, &r)));
        TRY(report_step(t, step, &r));
        if (check) {
            traffic_leave(t);
            TRY(validate(t, done));
            traffic_return(t);
        }
        stop = must_stop(t, done);
        if (save || (stop && j->save != NULL)) {
            traffic_leave(t);
            TRY(resume_save(t, done));
            traffic_return(t);
        }
    }
    status st = exec_settle(t->e, NULL);
    /* What predictions and results send is none of the steps'. */
    traffic_leave(t);
    TRY(comm_agree(j->world, st));
    st = step < j->recipe.steps ? stopped(t, step) : ST_OK;
    return comm_agree(j->world, st); /* one rank says it */
}

/* Asked for, but no sequence fits. */
static status check_validation(const train *t)
{
    const train_job *j = t->job;
    REQUIRE(j->val_every == 0 || train_data_val_batches(&t->data) > 0,
            ST_CONFIG,
            "%s: --val-every: --val-fraction %g of it is less than a sequence "
            "of %lld tokens; take more text, a larger --val-fraction or a "
            "shorter --seq",
            j->data, j->val_fraction, (long long)j->sh.T);
    return ST_OK;
}

static status run_all(train *t)
{
    const train_job *j = t->job;
    status st = train_data_open(j->data, j->a->V, j->sh.N, j->sh.T,
                                j->val_fraction, j->recipe.seed, &t->data);
    st = st == ST_OK ? check_validation(t) : st;
    st = st == ST_OK ? traffic_init(t) : st;
    TRY(comm_agree(j->world, st));
    TRY(make_exec(t));
    int64_t begin = clock_wall_ns();
    TRY(resume_begin(t));
    t->job->measures.weights_s = (double)(clock_wall_ns() - begin) * 1e-9;
    TRY(report_begin(t));
    traffic_return(t);
    t->begin_ns = clock_wall_ns();
    return all_steps(t);
}

status train_run(train_job *job)
{
    train t = {.job = job};
    status st = run_all(&t);
    status end = report_end(&t, st);
    st = end != ST_OK ? end : st;
    exec_destroy(t.e);
    train_data_close(&t.data);
    mem_free(t.ledgers);
    mem_free(t.gathered);
    mem_free(t.kept);
    mem_free(t.paces);
    pace_close(t.pace);
    traffic_fini(&t);
    return st;
}
