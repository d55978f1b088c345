/* The byte map, UTF-8, NFC: the small pieces below a tokenizer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/text/bytemap.h"
#include "runtime/text/nfc.h"
#include "runtime/text/utf8.h"

static void test_bytemap(void **state)
{
    bytemap m;
    char text[512];
    uint8_t back[512];
    bool seen[256] = {false};
    size_t len = 0, n = 0;
    (void)state;

    bytemap_init(&m);
    for (int b = 0; b < 256; b++) {
        len += bytemap_put(&m, (uint8_t)b, text + len);
        assert_false(seen[m.order[b]]);
        seen[m.order[b]] = true;
    }
    assert_true(bytemap_bytes(&m, text, len, back, &n));
    assert_int_equal(n, 256);
    for (int b = 0; b < 256; b++) {
        assert_int_equal(back[b], b);
    }
    /* The ends of GPT-2's three ranges, and the first of the rest. */
    assert_int_equal(m.order[0], '!');
    assert_int_equal(m.order[93], '~');
    assert_int_equal(m.order[94], 161);
    assert_int_equal(m.order[187], 255);
    assert_int_equal(m.order[188], 0);
    assert_int_equal(m.order[255], 173);
    assert_int_equal(bytemap_put(&m, ' ', text), 2);
    assert_memory_equal(text, "\xc4\xa0", 2); /* U+0120 */
    assert_int_equal(bytemap_put(&m, '\n', text), 2);
    assert_memory_equal(text, "\xc4\x8a", 2); /* U+010A */
}

static void test_bytemap_foreign(void **state)
{
    static const char *const foreign[] = {
        " ", "a b", "\n", "\xc2\xad", "\xc5\x84", "\xe2\x82\xac", "a\xc3"};
    bytemap m;
    uint8_t out[16];
    size_t n = 77;
    (void)state;

    bytemap_init(&m);
    for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
        assert_false(
            bytemap_bytes(&m, foreign[i], strlen(foreign[i]), out, &n));
    }
    assert_int_equal(n, 77);
    assert_true(bytemap_bytes(&m, "\xc5\x83", 2, out, &n)); /* the last */
    assert_int_equal(n, 1);
    assert_int_equal(out[0], 173);
}

static int64_t check(const char *text)
{
    return utf8_check((const uint8_t *)text, (int64_t)strlen(text));
}

static void test_utf8(void **state)
{
    (void)state;
    assert_int_equal(check(""), -1);
    assert_int_equal(check("plain ASCII, more than eight bytes"), -1);
    assert_int_equal(check("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"), -1);
    assert_int_equal(check("\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf"), -1);
    assert_int_equal(check("abcdefgh\xff"), 8);
    assert_int_equal(check("ab\x80"), 2);            /* no beginning   */
    assert_int_equal(check("abc\xc3"), 3);           /* cut            */
    assert_int_equal(check("\xe2\x82 abcdefgh"), 0); /* cut            */
    assert_int_equal(check("a\xc0\xaf"), 1);         /* overlong       */
    assert_int_equal(check("a\xc1\xbf"), 1);         /* overlong       */
    assert_int_equal(check("a\xe0\x9f\xbf"), 1);     /* overlong       */
    assert_int_equal(check("a\xf0\x8f\xbf\xbf"), 1); /* overlong       */
    assert_int_equal(check("a\xed\xa0\x80"), 1);     /* surrogate      */
    assert_int_equal(check("a\xf4\x90\x80\x80"), 1); /* beyond U+10FFFF */
    assert_int_equal(check("a\xf5\x80\x80\x80"), 1); /* beyond         */
    assert_int_equal(check("\xc3\xa9\xe2\x82\xf0"), 2);
}

static void test_utf8_next(void **state)
{
    const uint8_t text[] = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80";
    int64_t at = 0;
    (void)state;

    assert_int_equal(utf8_next(text, &at), 'a');
    assert_int_equal(utf8_next(text, &at), 0xe9);
    assert_int_equal(utf8_next(text, &at), 0x20ac);
    assert_int_equal(utf8_next(text, &at), 0x1f600);
    assert_int_equal(at, sizeof(text) - 1);
}

static int64_t nfc(const char *text)
{
    return nfc_check((const uint8_t *)text, (int64_t)strlen(text));
}

static void test_nfc(void **state)
{
    (void)state;
    assert_int_equal(nfc(""), -1);
    assert_int_equal(nfc("ASCII and caf\xc3\xa9"), -1);
    assert_int_equal(nfc("cafe\xcc\x81"), 4);      /* e + acute: joins       */
    assert_int_equal(nfc("\xd0\xb0\xcc\x81"), -1); /* Cyrillic a: has none   */
    assert_int_equal(nfc("x \xe2\x84\xab"), 2);    /* the Angstrom sign      */
    assert_int_equal(nfc("q\xcc\x87\xcc\xa3"), 3); /* above before below     */
    assert_int_equal(nfc("q\xcc\xa3\xcc\x87"), -1);
    assert_int_equal(nfc("a\xcc\xb4\xcc\x81"), 3); /* overlay: not in the way */
    assert_int_equal(nfc("a\xcc\x8d\xcc\x81"), -1); /* blocked by U+030D      */
    assert_int_equal(nfc("\xc3\x82\xcc\xa8"), 2);   /* A^ + ogonek            */
    assert_int_equal(nfc("\xe1\x84\x80\xe1\x85\xa1"), 3);  /* Hangul L V    */
    assert_int_equal(nfc("\xea\xb0\x80\xe1\x86\xa8"), 3);  /* Hangul LV T   */
    assert_int_equal(nfc("\xea\xb0\x81\xe1\x86\xa8"), -1); /* LVT T         */
    assert_int_equal(nfc("\xe0\xa4\xb0\xe0\xa5\x8d\xe0\xa4\xae"), -1);
    assert_int_equal(nfc("\xcc\x81"), -1); /* a mark alone */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytemap), cmocka_unit_test(test_bytemap_foreign),
        cmocka_unit_test(test_utf8),    cmocka_unit_test(test_utf8_next),
        cmocka_unit_test(test_nfc),
    };

    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
