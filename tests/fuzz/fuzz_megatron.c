/* Megatron's index: two bytes say how long the .bin is, the rest is the .idx.
 * All tokens that it claims lie in the .bin. */
#include "runtime/io/megatron.h"
#include "tests/fuzz/fuzz.h"

FUZZ_TARGET(megatron)
{
    static char name[] = "x.idx";
    megatron_index m = {0};

    if (size < 3) {
        return;
    }
    const int64_t bin_bytes = data[0] | data[1] << 8;
    const mapfile idx = {
        .path = name, .data = data + 2, .bytes = (int64_t)size - 2};
    const status st = megatron_read(&idx, "x.bin", bin_bytes, &m);
    if (st != ST_OK) {
        fuzz_check_refusal(st);
        return;
    }
    ASSERT(megatron_is_index(&idx));
    ASSERT(m.item_bytes == 1 || m.item_bytes == 2 || m.item_bytes == 4);
    ASSERT(m.count >= 0 && m.count * m.item_bytes <= bin_bytes);
}
