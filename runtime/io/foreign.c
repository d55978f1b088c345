#include "runtime/io/foreign.h"

#include <string.h>

#include "runtime/base/magic.h"
#include "runtime/io/tokens_format.h"

static status refuse(const mapfile *file, const char *wanted)
{
    const char *what = magic_name(file->data, (size_t)file->bytes);
    REQUIRE(what == NULL, ST_BADFILE, "%s: is %s; %s", file->path, what,
            wanted);
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
