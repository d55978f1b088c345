#include "runtime/app/run_files.h"

#include "partition/plan.h"
#include "runtime/base/mem.h"
#include "runtime/base/text.h"
#include "runtime/gpt/arch.h"
#include "runtime/io/filelist.h"
#include "runtime/io/tokens.h"
#include "runtime/results/checkpoint.h"

static status list_files(filelist *l, const run_args *a, const char *model)
{
    char *config = NULL;
    char *cut = NULL;
    status st = ST_OK;
    TRY(arch_config_path(model, &config));
    if (a->plan != NULL) {
        TRY_GOTO(plan_path(a->plan, &cut), done);
    }
    filelist_output(l, "--out", a->out);
    filelist_output(l, "--save", a->save);
    filelist_input(l, "the model", config);
    filelist_tokens(l, "--data", a->data);
    filelist_input(l, "--machine", a->machine);
    filelist_input(l, "--init", a->init);
    /* Going on with a checkpoint and saving under its name is fine. */
    filelist_input_of(l, "--resume", a->resume, "--save");
    filelist_input(l, "--plan", cut);
    mem_free(cut);
done:
    mem_free(config);
    return st;
}

static status check_apart(const run_args *a, const char *model)
{
    filelist l = {0};
    status st = list_files(&l, a, model);
    if (st == ST_OK) {
        st = filelist_check(&l, "train");
    }
    filelist_fini(&l);
    return st;
}

status run_files_check(const run_args *a, const char *model)
{
    tokens *data = NULL;
    tokens_split split;
    ckpt_info info;
    TRY(check_apart(a, model));
    TRY(tokens_open(a->data, &data));
    status st =
        tokens_split_make(tokens_count(data), a->seq, a->val_fraction, &split);
    tokens_close(data);
    if (st != ST_OK) {
        return FAIL(st, "%s: %s", a->data, status_text());
    }
    if (a->init != NULL) { /* a --resume is looked at when it is prepared */
        TRY(ckpt_peek(a->init, &info));
        ckpt_info_fini(&info);
    }
    return ST_OK;
}

status run_files_claim(const run_args *a, const params *ps, run_files *out)
{
    run_files f = {0};
    if (a->out != NULL) {
        TRY(newfile_claim_take(a->out, 0, &f.out));
    }
    if (a->save != NULL) {
        status st = newfile_claim_take(a->save, ckpt_bytes(ps), &f.save);
        if (st != ST_OK) {
            newfile_claim_drop(&f.out);
            return st;
        }
    }
    *out = f;
    return ST_OK;
}

void run_files_release(run_files *f)
{
    newfile_claim_drop(&f->save);
    newfile_claim_drop(&f->out);
}
