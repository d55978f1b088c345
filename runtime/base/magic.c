#include "runtime/base/magic.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Eight bytes of length, then so many bytes of JSON. */
static bool is_safetensors(const uint8_t *bytes, size_t n)
{
    uint64_t length = 0;

    if (n < 10) {
        return false;
    }
    memcpy(&length, bytes, sizeof(length));
    return length >= 2 && length <= n - 8 && bytes[8] == '{';
}

const char *magic_name(const void *bytes, size_t file_bytes)
{
    static const struct {
        const char *bytes;
        size_t count;
        const char *what;
    } known[] = {
        {"\211HDF\r\n\032\n", 8, "an HDF5 file"},
        {"TNTIDX\0\0", 8, "an old index of fairseq; make it again as mmap"},
        {"MMIDIDX\0\0", 9,
         "the index of a Megatron data set, which is PREFIX.idx beside "
         "PREFIX.bin"},
        {"PK\003\004", 4, "a zip archive or PyTorch checkpoint"},
        {"\037\213\010", 3, "gzip-compressed; unpack it first"},
        {"\375"
         "7zXZ",
         5, "xz-compressed; unpack it first"},
        {"\050\265\057\375", 4, "zstd-compressed; unpack it first"},
        {"\xc6\xd7\x34\x01", 4, "an llm.c model checkpoint"},
        {"\xc7\xd7\x34\x01", 4, "an llm.c debug state"},
        {"\xc8\xd7\x34\x01", 4, "an llm.c tokenizer"},
        {"\x8a\xd8\x34\x01", 4, "an llm.c multiple-choice file"},
        {"\x8f\xd8\x34\x01", 4, "an llm.c optimizer state"},
        {"\223NUMPY", 6, "a NumPy array; write its tokens as uint16"},
        {"PAR1", 4, "a Parquet table; take the text out of it first"},
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (file_bytes >= known[i].count &&
            memcmp(bytes, known[i].bytes, known[i].count) == 0) {
            return known[i].what;
        }
    }
    return is_safetensors(bytes, file_bytes) ? "a safetensors file of weights"
                                             : NULL;
}
