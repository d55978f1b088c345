/* Inside of safetensors: one parsed file, shared by safetensors*.c alone. */
#ifndef WEFT_IO_SAFETENSORS_IMPL_H
#define WEFT_IO_SAFETENSORS_IMPL_H

#include "runtime/base/json.h"
#include "runtime/io/mapfile.h"
#include "runtime/io/safetensors.h"

typedef struct safetensors_shard {
    mapfile file;
    json_doc *doc;           /* the header; lends names and metadata */
    safetensors_info *infos; /* in the order of their data           */
    int64_t count;
} safetensors_shard;

/* Maps and checks one file. Owns: *out, safetensors_shard_close. */
MUST_USE status safetensors_shard_open(const char *path,
                                       safetensors_shard *out);
/* A zeroed struct is fine. */
void safetensors_shard_close(safetensors_shard *s);

#endif
