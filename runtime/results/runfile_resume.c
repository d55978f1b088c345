/*
 * Going on with a run file of before: it must be of the same run, and loses
 * what the run will do again.
 */
#include <stdio.h>
#include <string.h>

#include "runtime/base/hash.h"
#include "runtime/base/mem.h"
#include "runtime/base/text.h"
#include "runtime/results/format.h"
#include "runtime/results/runfile_impl.h"

static status same_number(const h5_file *f, const char *name, int64_t now)
{
    int64_t was = now;

    TRY(h5_attr_get_i64(f, "/", name, now, &was));
    REQUIRE(was == now, ST_CONFIG,
            "%s: holds another run: its %s is %lld, this one's is %lld; give "
            "another --out",
            h5_path(f), name, (long long)was, (long long)now);
    return ST_OK;
}

static status same_model(const h5_file *f, const run_info *now)
{
    char *hash = NULL, *model = NULL;
    uint64_t was = now->arch_hash;

    TRY(h5_attr_get_text(f, "/", "arch_hash", "", &hash));
    status st = hash[0] != '\0' ? hash_parse(hash, &was) : ST_OK;
    mem_free(hash);
    TRY(st);
    if (was == now->arch_hash) {
        return ST_OK;
    }
    TRY(h5_attr_get_text(f, "/", "model", "", &model));
    st = FAIL(ST_CONFIG,
              "%s: holds another run: its model is %.*s, this one's is "
              "%.*s of another architecture; give another --out",
              h5_path(f), text_fit(model, 60), model, text_fit(now->model, 60),
              now->model);
    mem_free(model);
    return st;
}

static status same_run(const h5_file *f, const run_info *now)
{
    TRY(format_check(f, "/", run_format));
    TRY(same_model(f, now));
    TRY(same_number(f, "seed", (int64_t)now->seed));
    TRY(same_number(f, "batch", now->batch));
    return same_number(f, "seq", now->seq);
}

/* "pp2" that goes on as tp2 becomes "pp2, then tp2". */
static status join_plans(const h5_file *f, const char *now, strbuf *both)
{
    static const char then[] = ", then ";
    char *was = NULL;

    TRY(h5_attr_get_text(f, "/", "plan", "", &was));
    const char *last = was;
    for (const char *s = was; (s = strstr(s, then)) != NULL;) {
        last = s += strlen(then);
    }
    strbuf_add(both, was);
    if (strcmp(last, now) != 0) {
        strbuf_printf(both, "%s%s", then, now);
    }
    mem_free(was);
    return strbuf_check(both);
}

/* Exact only where all starts were. */
static status join_sums(const h5_file *f, bool *exact)
{
    char *was = NULL;

    TRY(h5_attr_get_text(f, "/", "sums", "", &was));
    *exact = *exact && strcmp(was, run_sums_text(true)) == 0;
    mem_free(was);
    return ST_OK;
}

/* Steps on two texts are of neither: the hash of both hashes. Not known where
 * that of the steps before is not. */
static status join_data(const h5_file *f, uint64_t *data)
{
    uint64_t both[2] = {0, *data};
    char *was = NULL;

    TRY(h5_attr_get_text(f, "/", "data_hash", "", &was));
    status st = was[0] != '\0' ? hash_parse(was, &both[0]) : ST_OK;
    if (both[0] != *data) {
        *data = both[0] != 0 ? hash64(both, sizeof(both)) : 0;
    }
    mem_free(was);
    return st;
}

/* What a start says of itself alone: it has still to say it. */
static status forget(h5_file *f)
{
    static const char *const of_a_start[] = {"/config",    "/ranks", "/traffic",
                                             "/setup",     "/host",  "/trace",
                                             "/prediction"};

    for (size_t i = 0; i < sizeof(of_a_start) / sizeof(of_a_start[0]); i++) {
        TRY(h5_remove(f, of_a_start[i]));
    }
    return ST_OK;
}

/* The file is of this start then, but for its steps and when it was made. */
static status take_over(h5_file *f, const run_info *info)
{
    strbuf plan = {0};
    char *created = NULL;
    run_info said = *info;
    status st = ST_OK;

    TRY_GOTO(join_plans(f, info->plan, &plan), done);
    TRY_GOTO(join_sums(f, &said.exact_sums), done);
    TRY_GOTO(join_data(f, &said.data_hash), done);
    TRY_GOTO(h5_attr_get_text(f, "/", "created", "", &created), done);
    said.plan = plan.text;
    said.created = created;
    TRY_GOTO(forget(f), done);
    TRY_GOTO(run_info_write(f, &said), done);
    st = h5_flush(f);
done:
    strbuf_fini(&plan);
    mem_free(created);
    return st;
}

status runfile_resume(const char *path, const run_info *info, int64_t step,
                      runfile **out)
{
    runfile *f = NULL;
    status st = ST_OK;

    TRY(MEM_NEW(&f, 1, "runfile"));
    TRY_GOTO(h5_live_open(path, &f->h5), fail);
    TRY_GOTO(same_run(f->h5, info), fail);
    TRY_GOTO(run_steps_cut(f, step), fail);
    TRY_GOTO(take_over(f->h5, info), fail);
    *out = f;
    return ST_OK;
fail:
    runfile_give_up(&f);
    return st;
}
