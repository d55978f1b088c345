#include "runtime/app/sample_text.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/mem.h"

enum { BYTES = 256 };

static status check_vocab(const sample_text *t, int32_t model_vocab)
{
    REQUIRE(tokenizer_is_bytes(t->tok) || t->vocab <= model_vocab, ST_CONFIG,
            "%s has %d tokens, the model's vocabulary has %d: it was trained "
            "with another tokenizer",
            tokenizer_name(t->tok), t->vocab, model_vocab);
    return ST_OK;
}

static status find_start(sample_text *t)
{
    int32_t *ids = NULL;
    int64_t n = 0;
    t->start = t->end;
    if (t->end >= 0 && !tokenizer_is_bytes(t->tok)) {
        return ST_OK;
    }
    TRY(sample_text_encode(t, "\n", 1, &ids, &n));
    ASSERT(n >= 1);
    t->start = ids[n - 1];
    mem_free(ids);
    return ST_OK;
}

status sample_text_open(const char *name, const char *eot, int32_t model_vocab,
                        sample_text *out)
{
    REQUIRE(name != NULL || model_vocab == BYTES || model_vocab == BYTES + 1,
            ST_USAGE,
            "sample: a vocabulary of %d tokens is not that of bytes (256); "
            "--tokenizer FILE names what the model was trained with, bytes if "
            "that was plain text",
            model_vocab);
    sample_text t = {0};
    TRY(tokenizer_open(name != NULL ? name : "bytes", &t.tok));
    t.vocab = (int32_t)tokenizer_vocab(t.tok);
    status st = eot != NULL ? tokenizer_set_eot(t.tok, eot) : ST_OK;
    t.end = tokenizer_eot(t.tok);
    if (st == ST_OK) {
        st = check_vocab(&t, model_vocab);
    }
    if (st == ST_OK) {
        st = find_start(&t);
    }
    if (st != ST_OK) {
        sample_text_close(&t);
        return st;
    }
    *out = t;
    return ST_OK;
}

void sample_text_close(sample_text *t)
{
    tokenizer_close(t->tok);
    memset(t, 0, sizeof(*t));
}

/* Ids as they come from the encoder. */
typedef struct id_list {
    int32_t *ids;
    int64_t n;
} id_list;

static status take(void *self, const int32_t *ids, int64_t n)
{
    id_list *l = self;
    TRY(mem_resize((size_t)(l->n + n) + 1, sizeof(*l->ids), "sample",
                   (void **)&l->ids));
    memcpy(l->ids + l->n, ids, (size_t)n * sizeof(*ids));
    l->n += n;
    return ST_OK;
}

status sample_text_encode(const sample_text *t, const char *text, size_t len,
                          int32_t **ids, int64_t *n)
{
    encoder *e = NULL;
    id_list list = {0};
    TRY(encoder_create(t->tok, &e));
    status st = encoder_text(e, "the prompt", (const uint8_t *)text,
                             (int64_t)len, take, &list);
    encoder_destroy(e);
    if (st != ST_OK) {
        mem_free(list.ids);
        return st;
    }
    *ids = list.ids;
    *n = list.n;
    return ST_OK;
}

status sample_text_print(sample_text *t, int32_t id)
{
    word w = tokenizer_token(t->tok, id);
    size_t len = (size_t)w.len;
    t->in_line = len > 0 ? w.bytes[len - 1] != '\n' : t->in_line;
    REQUIRE(fwrite(w.bytes, 1, len, stdout) == len && fflush(stdout) == 0,
            ST_IO, "standard output cannot be written");
    return ST_OK;
}
