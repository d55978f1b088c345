/* One safetensors file: every byte that an entry claims can be read. */
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/io/safetensors.h"
#include "tests/fuzz/fuzz.h"

static void read_tensor(const safetensors_info *t)
{
    volatile uint8_t sum = 0;
    float *values = NULL;

    for (int64_t i = 0; i < t->bytes; i++) {
        sum = (uint8_t)(sum + t->data[i]);
    }
    /* A claim of 2^60 empty rows is no reason to ask for their room. */
    ASSERT(t->count <= 8 * t->bytes);
    ASSERT(MEM_NEW(&values, t->count + 1, "fuzz") == ST_OK);
    const status st = safetensors_read_all(t, t->count, values);
    if (st != ST_OK) {
        fuzz_check_refusal(st);
    }
    mem_free(values);
}

FUZZ_TARGET(safetensors)
{
    const char *path = fuzz_file("x.safetensors", data, size);
    safetensors *s = NULL;
    const status st = safetensors_open(path, &s);

    if (st != ST_OK) {
        fuzz_check_refusal(st);
        return;
    }
    for (int64_t i = 0; i < safetensors_count(s); i++) {
        const safetensors_info *t = safetensors_at(s, i);
        ASSERT(safetensors_find(s, t->name) == t);
        read_tensor(t);
    }
    (void)safetensors_metadata(s, "format");
    safetensors_close(s);
}
