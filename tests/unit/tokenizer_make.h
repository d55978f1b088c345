/*
 * What the tests of tokenizers have in common: ids of a text, and what to
 * expect of them, of a way back, and of a file that is refused. Included by
 * one test program each, which starts in the root of the repository.
 */
#ifndef WEFT_TESTS_UNIT_TOKENIZER_MAKE_H
#define WEFT_TESTS_UNIT_TOKENIZER_MAKE_H

#include "runtime/base/text.h"
#include "runtime/text/tokenizer.h"
#include "tests/common/scratch.h"

#define GOLDEN "tests/golden/tokenizer/"

typedef struct id_list {
    int32_t *ids;
    int64_t n;
} id_list;

static inline status take(void *self, const int32_t *ids, int64_t n)
{
    id_list *l = self;

    TRY(mem_resize((size_t)(l->n + n), sizeof(*ids), "test", (void **)&l->ids));
    memcpy(l->ids + l->n, ids, (size_t)n * sizeof(*ids));
    l->n += n;
    return ST_OK;
}

static inline id_list encode(const tokenizer *t, const void *text, int64_t len)
{
    id_list l = {0};
    encoder *e = NULL;

    assert_int_equal(encoder_create(t, &e), ST_OK);
    assert_int_equal(encoder_text(e, "text", text, len, take, &l), ST_OK);
    encoder_destroy(e);
    return l;
}

static inline void expect_ids(const tokenizer *t, const char *text,
                              const int32_t *ids, int64_t n)
{
    id_list l = encode(t, text, (int64_t)strlen(text));

    assert_int_equal(l.n, n);
    assert_memory_equal(l.ids, ids, (size_t)n * sizeof(*ids));
    mem_free(l.ids);
}

static inline void expect_back(const tokenizer *t, const id_list *l,
                               const void *text, size_t len)
{
    strbuf b = {0};

    assert_int_equal(tokenizer_decode(t, l->ids, l->n, &b), ST_OK);
    assert_int_equal(b.len, len);
    assert_memory_equal(strbuf_view(&b), text, len);
    strbuf_fini(&b);
}

static inline void expect_refused(const char *path, status code,
                                  const char *words)
{
    tokenizer *t = NULL;
    const status st = tokenizer_open(path, &t);

    if (st != code || strstr(status_text(), words) == NULL) {
        fail_msg("%s: status %d, \"%s\", expected %d and \"%s\"", path, st,
                 status_text(), code, words);
    }
    assert_null(t);
    assert_null(strchr(status_text(), '\n'));
}

#endif
