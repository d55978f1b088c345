/* Experiments: what is taken gives the words of a command for every set-up. */
#include "benchmarks/experiment.h"
#include "runtime/base/mem.h"
#include "tests/fuzz/fuzz.h"

FUZZ_TARGET(experiment)
{
    static experiment e; /* large for a stack */
    const char *path = fuzz_file("experiment.json", data, size);
    const status st = experiment_open(path, &e);
    int leaves[2] = {0};
    arch a;

    if (st != ST_OK) {
        fuzz_check_refusal(st);
        return;
    }
    ASSERT(arch_open("configs/models/gpt-neo-tiny.json", &a) == ST_OK);
    ASSERT(experiment_leaves(&e, &a, 0, &leaves[0], &leaves[1]) == ST_OK);
    ASSERT(leaves[0] >= 1 && leaves[1] >= 1 && leaves[1] <= a.H);
    ASSERT(e.judge >= 0 && e.judge < e.nsetups);
    for (int i = 0; i < e.nsetups; i++) {
        strbuf words = {0};
        int count = 0;
        ASSERT(experiment_words(&e, i, "gpt-neo-tiny", 0, &words, &count) ==
               ST_OK);
        ASSERT(count > 0);
        strbuf_fini(&words);
    }
    experiment_close(&e);
}
