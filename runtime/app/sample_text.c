#include "runtime/app/sample_text.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/mem.h"

enum { BYTES = 256 };

status sample_text_open(const char *tokenizer, int32_t model_vocab,
                        sample_text *out)
{
    if (tokenizer == NULL) {
        REQUIRE(model_vocab == BYTES || model_vocab == BYTES + 1, ST_USAGE,
                "sample: a vocabulary of %d tokens is not that of bytes (256); "
                "--tokenizer bytes if the model was trained on plain text",
                model_vocab);
    } else {
        REQUIRE(strcmp(tokenizer, "bytes") == 0, ST_USAGE,
                "sample: --tokenizer %s is not known; allowed is bytes",
                tokenizer);
    }
    *out = (sample_text){.vocab = BYTES, .start = '\n', .end = -1};
    return ST_OK;
}

void sample_text_close(sample_text *t)
{
    memset(t, 0, sizeof(*t));
}

status sample_text_encode(const sample_text *t, const char *text, size_t len,
                          int32_t **ids, int64_t *n)
{
    (void)t;
    TRY(MEM_NEW(ids, len + 1, "sample"));
    for (size_t i = 0; i < len; i++) {
        (*ids)[i] = (unsigned char)text[i];
    }
    *n = (int64_t)len;
    return ST_OK;
}

status sample_text_print(sample_text *t, int32_t id)
{
    t->in_line = id != '\n';
    REQUIRE(putchar(id) != EOF && fflush(stdout) == 0, ST_IO,
            "standard output cannot be written");
    return ST_OK;
}
