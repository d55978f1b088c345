/* The split of GPT-2: by example, and the ASCII path against PCRE2. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/mem.h"
#include "runtime/base/rng.h"
#include "runtime/text/split.h"

/* Pieces of `text` with '|' between them, by both ways. */
static void expect(const char *text, const char *pieces)
{
    char got[2][512] = {"", ""};
    const int64_t len = (int64_t)strlen(text);
    splitter *s = NULL;
    int64_t end = 0;

    assert_int_equal(split_create(&s), ST_OK);
    for (int way = 0; way < 2; way++) {
        size_t n = 0;
        for (int64_t from = 0; from < len; from = end) {
            const uint8_t *t = (const uint8_t *)text;
            assert_int_equal(way == 0 ? split_next(s, t, len, from, &end)
                                      : split_pcre(s, t, len, from, &end),
                             ST_OK);
            assert_true(end > from && end <= len);
            n += (size_t)snprintf(got[way] + n, sizeof(got[way]) - n, "%s%.*s",
                                  from > 0 ? "|" : "", (int)(end - from),
                                  text + from);
        }
        assert_string_equal(got[way], pieces);
    }
    split_destroy(s);
}

static void test_examples(void **state)
{
    (void)state;
    expect("Hello world", "Hello| world");
    expect("Don't stop,\n\n  he said.", "Don|'t| stop|,|\n\n | he| said|.");
    expect("we'll they've you're I'd I'm it's",
           "we|'ll| they|'ve| you|'re| I|'d| I|'m| it|'s");
    expect("I'LL 'tis 'quoted'", "I|'|LL| '|tis| '|quoted|'");
    expect("'s's''s", "'s|'s|''|s");
    expect("a  b   c", "a| | b|  | c");
    expect("end   ", "end|   ");
    expect("end ", "end| ");
    expect("   ", "   ");
    expect("\ta\n", "\t|a|\n");
    expect(" \n x", " \n| x");
    expect("12 345abc6", "12| 345|abc|6");
    expect("x=1;--y", "x|=|1|;--|y");
    expect(" !? .", " !?| .");
    expect("", "");
}

static void test_unicode(void **state)
{
    (void)state;
    expect("caf\xc3\xa9 ol\xc3\xa9!", "caf\xc3\xa9| ol\xc3\xa9|!");
    expect("a\xc2\xa0"
           "b",
           "a|\xc2\xa0|b"); /* no-break space */
    expect("a \xc2\xa0 b", "a| \xc2\xa0| b");
    expect("a\xe1\xa0\x8e"
           "b",
           "a|\xe1\xa0\x8e|b"); /* U+180E: no space */
    expect(" \xe1\xa0\x8e!", " \xe1\xa0\x8e!");
    expect("\xc2\xbd"
           "1\xd9\xa4",
           "\xc2\xbd"
           "1\xd9\xa4");                            /* numbers */
    expect("it\xe2\x80\x99s", "it|\xe2\x80\x99|s"); /* curly: no contraction */
    expect("!\xf0\x9f\x98\x80 ok", "!\xf0\x9f\x98\x80| ok");
    expect("'\xc3\xa9", "'|\xc3\xa9");
    expect(" '\xc3\xa9", " '|\xc3\xa9");
}

/* Random text of few characters meets all their sequences. */
static void test_ways_agree(void **state)
{
    static const char *const chars[] = {" ",        " ",        "\n",
                                        "\t",       "'",        "s",
                                        "t",        "l",        "v",
                                        "e",        "r",        "d",
                                        "m",        "A",        "0",
                                        "9",        ".",        "-",
                                        "a",        "\r",       "\v",
                                        "\f",       "_",        "x",
                                        "\xc3\xa9", "\xc2\xa0", "\xe2\x82\xac",
                                        "l",        "'",        "\x1c",
                                        "\x7f",     " "};
    uint8_t text[4000];
    splitter *s = NULL;
    (void)state;

    assert_int_equal(split_create(&s), ST_OK);
    for (uint64_t round = 0; round < 200; round++) {
        int64_t len = 0;
        while (len < (int64_t)sizeof(text) - 4) {
            const uint64_t k = rng_u64(7, round, (uint64_t)len) % 32;
            const size_t n = strlen(chars[k]);
            memcpy(text + len, chars[k], n);
            len += (int64_t)n;
        }
        for (int64_t from = 0, a = 0, b = 0; from < len; from = a) {
            assert_int_equal(split_next(s, text, len, from, &a), ST_OK);
            assert_int_equal(split_pcre(s, text, len, from, &b), ST_OK);
            assert_int_equal(a, b);
        }
    }
    split_destroy(s);
}

/* Runs that a naive matcher would go through again and again. */
static void test_long_runs(void **state)
{
    enum { LONG = 1000000 };
    static const char *const runs[] = {"a", " ", "\n",       "!",
                                       "'", "7", "\xc3\xa9", "\xc2\xa0"};
    uint8_t *text = NULL;
    splitter *s = NULL;
    int64_t end = 0;
    (void)state;

    assert_int_equal(MEM_NEW(&text, 2 * LONG + 1, "test"), ST_OK);
    assert_int_equal(split_create(&s), ST_OK);
    for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
        const size_t n = strlen(runs[i]);
        for (size_t k = 0; k < LONG; k++) {
            memcpy(text + k * n, runs[i], n);
        }
        const int64_t len = (int64_t)(n * LONG);
        assert_int_equal(split_next(s, text, len, 0, &end), ST_OK);
        assert_int_equal(end, len);
    }
    split_destroy(s);
    mem_free(text);
}

static int tear_down(void **state)
{
    (void)state;
    return mem_live() != 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples),
        cmocka_unit_test(test_unicode),
        cmocka_unit_test(test_ways_agree),
        cmocka_unit_test(test_long_runs),
    };

    return cmocka_run_group_tests(tests, NULL, tear_down) != 0;
}
