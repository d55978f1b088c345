/* config.json: a model that is taken has a parameter table, and what is
 * written for transformers describes the same model. */
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/gpt/arch.h"
#include "runtime/gpt/params.h"
#include "tests/fuzz/fuzz.h"

static void check_table(const arch *a)
{
    params ps;
    int64_t total = 0;

    ASSERT(params_init(a, &ps) == ST_OK);
    for (int i = 0; i < ps.n; i++) {
        param_part parts[PARAM_PARTS_MAX];
        const int n = param_parts(a, &ps, i, parts);
        int64_t floats = 0;
        for (int k = 0; k < n; k++) {
            floats +=
                parts[k].dims[0] * (parts[k].ndims > 1 ? parts[k].dims[1] : 1);
        }
        ASSERT(floats == ps.list[i].rows * ps.list[i].cols);
        total += floats;
    }
    ASSERT(total == ps.total && total > 0);
    params_fini(&ps);
    ASSERT(arch_flops_per_token(a, 1) > 0);
}

FUZZ_TARGET(config)
{
    const char *path = fuzz_file("config.json", data, size);
    char *text = NULL, *written = NULL;
    arch a, b;
    const status st = arch_open(path, &a);

    if (st != ST_OK) {
        fuzz_check_refusal(st);
        return;
    }
    check_table(&a);
    ASSERT(arch_config_text(path, &text) == ST_OK);
    ASSERT(arch_hf_config(&a, text, &written) == ST_OK);
    path = fuzz_file("config.json", (const uint8_t *)written, strlen(written));
    ASSERT(arch_open(path, &b) == ST_OK);
    ASSERT(arch_hash(&a) == arch_hash(&b));
    mem_free(text);
    mem_free(written);
}
