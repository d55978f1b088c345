#include "runtime/train/data.h"

#include <string.h>

#include "runtime/base/mem.h"

status train_data_open(const char *path, int64_t vocab, int64_t N, int64_t T,
                       double val_fraction, uint64_t seed, train_data *out)
{
    train_data d = {.seed = seed, .N = N, .T = T};
    TRY(tokens_open(path, &d.file));
    status st = tokens_check(d.file, vocab);
    if (st == ST_OK) {
        st = tokens_split_make(tokens_count(d.file), T, val_fraction, &d.split);
    }
    if (st == ST_OK) {
        st = MEM_NEW(&d.window, T + 1, "data");
    }
    if (st != ST_OK) {
        tokens_close(d.file);
        return st;
    }
    *out = d;
    return ST_OK;
}

void train_data_close(train_data *d)
{
    tokens_close(d->file);
    mem_free(d->window);
    memset(d, 0, sizeof(*d));
}

/* First token of sequence i of a step's batch. */
static int64_t first_token(const train_data *d, int64_t step, int64_t i)
{
    if (step >= 0) {
        return tokens_window(d->seed, step, i, d->N, d->split.train_windows) *
               d->T;
    }
    int64_t w = ((-1 - step) * d->N + i) % d->split.val_windows;
    return d->split.val_first + w * d->T;
}

status train_data_batch(void *self, int64_t step, int64_t seq0, int64_t seqs,
                        int32_t *ids, int32_t *targets)
{
    train_data *d = self;
    size_t bytes = (size_t)d->T * sizeof(int32_t);
    for (int64_t s = 0; s < seqs; s++) {
        TRY(tokens_get(d->file, first_token(d, step, seq0 + s), d->T + 1,
                       d->window));
        memcpy(ids + s * d->T, d->window, bytes);
        memcpy(targets + s * d->T, d->window + 1, bytes);
    }
    return ST_OK;
}

int64_t train_data_val_batches(const train_data *d)
{
    int64_t whole = d->split.val_windows / d->N;
    return whole == 0 && d->split.val_windows > 0 ? 1 : whole;
}
