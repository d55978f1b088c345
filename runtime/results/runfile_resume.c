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
static status add_plan(h5_file *f, const char *now)
{
    static const char then[] = ", then ";
    char *was = NULL;
    strbuf both = {0};
    status st = ST_OK;

    TRY(h5_attr_get_text(f, "/", "plan", "", &was));
    const char *last = was;
    for (const char *s = was; (s = strstr(s, then)) != NULL;) {
        last = s += strlen(then);
    }
    if (strcmp(last, now) != 0) {
        strbuf_printf(&both, "%s%s%s", was, then, now);
        st = strbuf_check(&both);
        if (st == ST_OK) {
            st = h5_attr_set_text(f, "/", "plan", strbuf_view(&both));
        }
    }
    strbuf_fini(&both);
    mem_free(was);
    return st;
}

static status take_over(h5_file *f, const run_info *info)
{
    TRY(h5_attr_set_i64(f, "/", "complete", 0));
    TRY(add_plan(f, info->plan));
    TRY(h5_attr_set_text(f, "/", "cmdline",
                         info->cmdline != NULL ? info->cmdline : ""));
    TRY(h5_attr_set_i64(f, "/", "ranks", info->ranks));
    TRY(h5_attr_set_i64(f, "/", "oversubscribed", info->oversubscribed));
    return h5_flush(f);
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
