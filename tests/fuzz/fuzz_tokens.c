/* Token files: the first byte says which name the file has, the rest is the
 * file. All tokens can be read, none is above the largest. */
#include "runtime/base/mem.h"
#include "runtime/io/tokens.h"
#include "tests/fuzz/fuzz.h"

static void check_tokens(const tokens *t)
{
    enum { CHUNK = 64 };
    const int64_t n = tokens_count(t);
    const int64_t most = tokens_max(t);
    int32_t ids[CHUNK];
    tokens_split split;

    ASSERT(n >= 1 && most >= 0);
    /* No vocabulary is larger than int32 allows. */
    ASSERT(tokens_check(t, most + 1) == (most < INT32_MAX ? ST_OK : ST_CONFIG));
    ASSERT(most == 0 || tokens_check(t, most) == ST_CONFIG);
    for (int64_t at = 0; at < n; at += CHUNK) {
        const int64_t k = n - at < CHUNK ? n - at : CHUNK;
        if (tokens_get(t, at, k, ids) != ST_OK) {
            ASSERT(most > INT32_MAX);
            continue;
        }
        for (int64_t i = 0; i < k; i++) {
            ASSERT(ids[i] >= 0 && ids[i] <= most);
        }
    }
    if (tokens_split_make(n, 3, 0.25, &split) == ST_OK) {
        ASSERT(split.train_windows * 3 + 1 <= n);
        ASSERT(split.val_windows == 0 ||
               split.val_first + split.val_windows * 3 + 1 <= n);
    }
}

FUZZ_TARGET(tokens)
{
    tokens *t = NULL;

    if (size < 1) {
        return;
    }
    const char *path =
        fuzz_file(data[0] % 2 == 0 ? "x.bin" : "x.txt", data + 1, size - 1);
    const status st = tokens_open(path, &t);
    if (st != ST_OK) {
        fuzz_check_refusal(st);
        return;
    }
    (void)tokens_hash(t);
    check_tokens(t);
    tokens_close(t);
}
