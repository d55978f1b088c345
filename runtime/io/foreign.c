#include "runtime/io/foreign.h"

#include <stdbool.h>
#include <string.h>

#include "runtime/io/tokens_format.h"

/* Eight bytes of length, then so many bytes of JSON. */
static bool is_safetensors(const mapfile *file)
{
    uint64_t length = 0;

    if (file->bytes < 10) {
        return false;
    }
    memcpy(&length, file->data, sizeof(length));
    return length >= 2 && length <= (uint64_t)file->bytes - 8 &&
           file->data[8] == '{';
}

static status refuse(const mapfile *file, const char *wanted)
{
    static const struct {
        const char *bytes;
        int count;
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
        if (file->bytes >= known[i].count &&
            memcmp(file->data, known[i].bytes, (size_t)known[i].count) == 0) {
            return FAIL(ST_BADFILE, "%s: is %s; %s", file->path, known[i].what,
                        wanted);
        }
    }
    REQUIRE(!is_safetensors(file), ST_BADFILE,
            "%s: is a safetensors file of weights; %s", file->path, wanted);
    return ST_OK;
}

status foreign_refuse(const mapfile *file)
{
    return refuse(file, "data is plain text or a token file (of nanoGPT, "
                        "llm.c or Megatron)");
}

status foreign_refuse_for_text(const mapfile *file)
{
    int32_t magic = 0;

    if (file->bytes >= (int64_t)sizeof(magic)) {
        memcpy(&magic, file->data, sizeof(magic));
    }
    REQUIRE(magic != LLMC_MAGIC && magic != LLMC32_MAGIC, ST_BADFILE,
            "%s: is an llm.c token file, which train --data reads as it is; a "
            "text to tokenize is plain text",
            file->path);
    return refuse(file, "a text to tokenize is plain text");
}
