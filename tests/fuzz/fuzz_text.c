/*
 * Text for a tokenizer: what is taken comes back byte for byte from its ids,
 * the quick split is PCRE2's, and bytes that are no text are found.
 */
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/text/nfc.h"
#include "runtime/text/split.h"
#include "runtime/text/tokenizer.h"
#include "runtime/text/utf8.h"
#include "tests/fuzz/fuzz.h"

enum { STYLES = 2 };
static const char *const files[STYLES] = {"tests/golden/tokenizer/gpt2.json",
                                          "tests/golden/tokenizer/neox.json"};

/* Opened once and kept: reading a tokenizer takes milliseconds. */
typedef struct tools {
    tokenizer *t[STYLES];
    encoder *e[STYLES];
    splitter *s;
} tools;

typedef struct taken {
    const tokenizer *t;
    strbuf text;
} taken;

static status take(void *self, const int32_t *ids, int64_t n)
{
    taken *k = self;

    return tokenizer_decode(k->t, ids, n, &k->text);
}

static void check_split(splitter *s, const uint8_t *text, int64_t n)
{
    for (int64_t at = 0; at < n;) {
        int64_t end = 0, slow = 0;
        ASSERT(split_next(s, text, n, at, &end) == ST_OK);
        ASSERT(split_pcre(s, text, n, at, &slow) == ST_OK);
        ASSERT(end == slow && end > at && end <= n);
        at = end;
    }
}

/* Text that may be taken comes back, and text that must be is taken. */
static void check_style(const tools *a, int style, const uint8_t *text,
                        size_t n, bool may, bool must)
{
    taken k = {.t = a->t[style]};
    const status st =
        encoder_text(a->e[style], "x.txt", text, (int64_t)n, take, &k);

    ASSERT(st == ST_OK ? may : !must);
    if (st != ST_OK) {
        ASSERT(st == ST_BADFILE);
        fuzz_check_refusal(st);
    } else {
        ASSERT(k.text.len == n &&
               (n == 0 || memcmp(k.text.text, text, n) == 0));
    }
    strbuf_fini(&k.text);
}

static void fuzz_with(const tools *a, const uint8_t *data, size_t size)
{
    const bool valid = utf8_check(data, (int64_t)size) < 0;

    if (valid) {
        check_split(a->s, data, (int64_t)size);
    }
    check_style(a, 0, data, size, valid, valid);
    /* A character joins one before it, but never an added token. */
    check_style(a, 1, data, size, valid,
                valid && nfc_check(data, (int64_t)size) < 0);
}

/* An encoder asks for scratch when it first meets a long piece. */
static void make_tools(tools *a)
{
    static uint8_t longest[1 << 16];

    memset(longest, 'q', sizeof(longest));
    for (int i = 0; i < STYLES; i++) {
        ASSERT(tokenizer_open(files[i], &a->t[i]) == ST_OK);
        ASSERT(encoder_create(a->t[i], &a->e[i]) == ST_OK);
        check_style(a, i, longest, sizeof(longest), true, true);
    }
    ASSERT(split_create(&a->s) == ST_OK);
    fuzz_keep();
}

FUZZ_TARGET(text)
{
    static tools a;

    if (a.s == NULL) {
        make_tools(&a);
    }
    fuzz_with(&a, data, size);
}
