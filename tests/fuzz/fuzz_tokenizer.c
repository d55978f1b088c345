/*
 * Files of tokenizers: a tokenizer.json, or merges with a vocab.json beside
 * them (after a zero byte), and added_tokens.json (after another). One that is
 * taken encodes text, and decodes it to the same.
 */
#include <string.h>
#include <unistd.h>

#include "runtime/base/mem.h"
#include "runtime/text/tokenizer.h"
#include "tests/fuzz/fuzz.h"

/* The first ids, which are all below the vocabulary. */
typedef struct taken {
    const tokenizer *t;
    strbuf text;
} taken;

static status take(void *self, const int32_t *ids, int64_t n)
{
    taken *k = self;

    for (int64_t i = 0; i < n; i++) {
        ASSERT(ids[i] >= 0 && ids[i] < tokenizer_vocab(k->t));
    }
    return tokenizer_decode(k->t, ids, n, &k->text);
}

static void check(const tokenizer *t, const char *text)
{
    encoder *e = NULL;
    taken k = {.t = t};
    const size_t n = strlen(text);

    ASSERT(encoder_create(t, &e) == ST_OK);
    const status st =
        encoder_text(e, "text", (const uint8_t *)text, (int64_t)n, take, &k);
    if (st != ST_OK) {
        fuzz_check_refusal(st); /* a byte that has no token */
    } else {
        ASSERT(k.text.len == n && memcmp(k.text.text, text, n) == 0);
    }
    strbuf_fini(&k.text);
    encoder_destroy(e);
}

FUZZ_TARGET(tokenizer)
{
    tokenizer *t = NULL;
    const uint8_t *zero = size > 0 ? memchr(data, 0, size) : NULL;
    const char *path;

    if (zero != NULL) {
        const size_t first = (size_t)(zero - data);
        const size_t rest = size - first - 1;
        const uint8_t *more = rest > 0 ? memchr(zero + 1, 0, rest) : NULL;
        const size_t vocab = more == NULL ? rest : (size_t)(more - zero - 1);
        (void)fuzz_file("vocab.json", zero + 1, vocab);
        if (more != NULL) {
            (void)fuzz_file("added_tokens.json", more + 1, rest - vocab - 1);
        } else {
            fuzz_remove("added_tokens.json");
        }
        path = fuzz_file("merges.txt", data, first);
    } else {
        fuzz_remove("vocab.json");
        path = fuzz_file("tokenizer.json", data, size);
    }
    const status st = tokenizer_open(path, &t);
    if (st != ST_OK) {
        fuzz_check_refusal(st);
        return;
    }
    check(t, "the then \xc3\xa9  1\n<|endoftext|>aab");
    tokenizer_close(t);
}
