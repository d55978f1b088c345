/* model.safetensors.index.json beside one shard: nothing else is opened. */
#include <string.h>

#include "runtime/base/text.h"
#include "runtime/io/safetensors.h"
#include "tests/fuzz/fuzz.h"

static const char header[] =
    "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
    "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}";

static void put_shard(void)
{
    uint8_t file[8 + sizeof(header) - 1 + 8] = {sizeof(header) - 1};

    memcpy(file + 8, header, sizeof(header) - 1);
    (void)fuzz_file("one.safetensors", file, sizeof(file));
}

FUZZ_TARGET(index)
{
    static bool made;
    safetensors *s = NULL;

    if (!made) {
        put_shard();
        made = true;
    }
    const char *path = fuzz_file("x.index.json", data, size);
    const status st = safetensors_open(path, &s);
    if (st != ST_OK) {
        fuzz_check_refusal(st);
        return;
    }
    ASSERT(safetensors_files(s) <= 1);
    for (int64_t i = 0; i < safetensors_count(s); i++) {
        ASSERT(text_ends(safetensors_at(s, i)->path, "/one.safetensors"));
    }
    safetensors_close(s);
}
