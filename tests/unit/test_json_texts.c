/*
 * JSON texts that must be taken and texts that must be refused, by the rules
 * of RFC 8259: one row a rule, each text of our own making. Beyond the RFC,
 * which leaves it open, refused are duplicate keys, NUL, numbers outside
 * int64 and double, deep nesting, a byte order mark.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/json.h"
#include "runtime/base/mem.h"

typedef struct text {
    const char *text;
    size_t len;
} text;

#define T(literal)                                                             \
    {                                                                          \
        literal, sizeof(literal) - 1                                           \
    }

static const text taken[] = {
    /* any value at the top, with space around it */
    T("null"),
    T("true"),
    T(" false "),
    T("0"),
    T("\"\""),
    T("[]"),
    T("{}"),
    T("\t\r\n [ \t\r\n ] \t\r\n "),
    /* numbers */
    T("[-0]"),
    T("[-0.0]"),
    T("[10, -10, 1203]"),
    T("[0.5, -0.5, 10.25]"),
    T("[1e2, 1E2, 1e+2, 1e-2, 0e0, 1.5e3]"),
    T("[9223372036854775807, -9223372036854775808]"),
    T("[1.7976931348623157e308, 5e-324, 1e-400]"),
    T("[0.1000000000000000055511151231257827021181583404541015625]"),
    /* strings */
    T("[\"a\"]"),
    T("[\"\\\" \\\\ \\/ \\b \\f \\n \\r \\t\"]"),
    T("[\"\\u0041\\u00e4\\u20AC\"]"),
    T("[\"\\ud834\\udd1e\"]"),
    T("[\"\xc3\xa4 \xe2\x82\xac \xf0\x9d\x84\x9e\"]"),
    T("[\"\xef\xbf\xbf \xf4\x8f\xbf\xbf\"]"),
    T("[\"\x7f\"]"),
    T("[\"// no comment /* none */\"]"),
    T("[\"\\u0001\"]"),
    /* arrays and objects */
    T("[1, [2, [3, []]], {}]"),
    T("{\"\": 0}"),
    T("{\"a\": {\"b\": [{\"c\": null}]}}"),
    T("{\"a\": 1, \"A\": 2}"),
    T("{\"\\u0061b\": 1, \"ac\": 2}"),
    T("[true,false,null]"),
};

static const text refused[] = {
    /* not one value */
    T(""),
    T(" "),
    T("1 2"),
    T("[] []"),
    T("{}x"),
    T("[1],"),
    T("]"),
    T("}"),
    T(","),
    T("\0"),
    T("{}\0"),
    T("[1]\0[2]"),
    T("\xef\xbb\xbf[]"),
    T("\xff\xfe[\0]\0"),
    /* words */
    T("nul"),
    T("True"),
    T("NULL"),
    T("nullx"),
    T("undefined"),
    T("[NaN]"),
    T("[Infinity]"),
    T("[-Infinity]"),
    T("[inf]"),
    /* numbers */
    T("[+1]"),
    T("[01]"),
    T("[-01]"),
    T("[-]"),
    T("[.5]"),
    T("[5.]"),
    T("[-.5]"),
    T("[1.e3]"),
    T("[1e]"),
    T("[1e+]"),
    T("[1eE2]"),
    T("[0x10]"),
    T("[1_000]"),
    T("[1 000]"),
    T("[1,5.]"),
    T("[--1]"),
    T("[1-]"),
    T("[1.2.3]"),
    T("[1a]"),
    T("[9223372036854775808]"),
    T("[-9223372036854775809]"),
    T("[100000000000000000000]"),
    T("[1e309]"),
    T("[-1e9999]"),
    /* strings */
    T("[\"a]"),
    T("[a]"),
    T("['a']"),
    T("[\"\\x41\"]"),
    T("[\"\\\"]"),
    T("[\"\\"),
    T("[\"\\u\"]"),
    T("[\"\\u12\"]"),
    T("[\"\\u12g4\"]"),
    T("[\"\\U0041\"]"),
    T("[\"\\u0000\"]"),
    T("[\"\\ud834\"]"),
    T("[\"\\udd1e\"]"),
    T("[\"\\ud834\\u0041\"]"),
    T("[\"\\ud834x\"]"),
    T("[\"a\nb\"]"),
    T("[\"a\tb\"]"),
    T("[\"a\0b\"]"),
    T("[\"\x1f\"]"),
    T("[\"\\'\"]"),
    /* not UTF-8: alone, cut, overlong, surrogate, beyond Unicode, Latin-1 */
    T("[\"\x80\"]"),
    T("[\"\xc3\"]"),
    T("[\"\xc3(\"]"),
    T("[\"\xe2\x82\"]"),
    T("[\"\xf0\x9d\x84\"]"),
    T("[\"\xc0\x80\"]"),
    T("[\"\xc0\xaf\"]"),
    T("[\"\xe0\x80\xaf\"]"),
    T("[\"\xf0\x80\x80\xaf\"]"),
    T("[\"\xed\xa0\x80\"]"),
    T("[\"\xf4\x90\x80\x80\"]"),
    T("[\"\xf8\x88\x80\x80\x80\"]"),
    T("[\"\xff\"]"),
    T("[\"\xe4\"]"),
    T("{\"\xe4\": 1}"),
    T("[\xc2\xa0]"),
    /* arrays */
    T("["),
    T("[1"),
    T("[1,"),
    T("[1,]"),
    T("[,1]"),
    T("[,]"),
    T("[1,,2]"),
    T("[1 2]"),
    T("[1:2]"),
    T("[1}"),
    T("[\f1]"),
    T("[1]]"),
    T("[*]"),
    /* objects */
    T("{"),
    T("{\"a\""),
    T("{\"a\":"),
    T("{\"a\":}"),
    T("{\"a\":1"),
    T("{\"a\":1,"),
    T("{\"a\":1,}"),
    T("{,\"a\":1}"),
    T("{\"a\":1,,\"b\":2}"),
    T("{\"a\" 1}"),
    T("{\"a\",1}"),
    T("{a:1}"),
    T("{'a':1}"),
    T("{1:1}"),
    T("{null:1}"),
    T("{\"a\"::1}"),
    T("{\"a\":1 \"b\":2}"),
    T("{\"a\":1]"),
    T("{\"a\":1}}"),
    T("{\"\\u0000\":1}"),
    /* twice the same key, however it is written */
    T("{\"a\":1,\"a\":1}"),
    T("{\"ab\":1,\"\\u0061b\":1}"),
    T("{\"\":1,\"\":2}"),
    T("[{\"x\":{\"y\":0,\"y\":0}}]"),
    /* comments */
    T("[1] // x"),
    T("[1 /* x */]"),
    T("# x\n[1]"),
};

static void show(const text *t, const char *what)
{
    char out[128];
    size_t n = 0;
    for (size_t i = 0; i < t->len && n + 5 < sizeof(out); i++) {
        const unsigned char c = (unsigned char)t->text[i];
        n += (size_t)snprintf(out + n, sizeof(out) - n,
                              c >= ' ' && c < 0x7f ? "%c" : "\\x%02x", c);
    }
    out[n] = '\0';
    fail_msg("%s: %s (%s)", what, out, status_text());
}

/* Taken texts are written and read again: what the writer makes is JSON. */
static void check_taken(const text *t)
{
    json_doc *doc = NULL, *again = NULL;
    json_writer w;
    char *copy = NULL;

    if (json_parse(t->text, t->len, "t.json", &doc) != ST_OK) {
        show(t, "refused");
    }
    json_writer_init(&w);
    json_write_val(&w, NULL, json_root(doc));
    assert_int_equal(json_writer_take(&w, &copy), ST_OK);
    if (json_parse(copy, strlen(copy), "t.json", &again) != ST_OK) {
        show(t, "not readable once written");
    }
    assert_int_equal(json_kind(json_root(doc)), json_kind(json_root(again)));
    assert_int_equal(json_len(json_root(doc)), json_len(json_root(again)));
    mem_free(copy);
    json_close(doc);
    json_close(again);
}

static void test_taken(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
        check_taken(&taken[i]);
    }
    assert_int_equal(mem_live(), 0);
}

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        json_doc *doc = NULL;
        if (json_parse(refused[i].text, refused[i].len, "t.json", &doc) !=
            ST_BADFILE) {
            show(&refused[i], "taken");
        }
        assert_null(doc);
        assert_non_null(strstr(status_text(), "t.json:"));
        assert_null(strchr(status_text(), '\n'));
    }
    assert_int_equal(mem_live(), 0);
}

/* A value cut anywhere is refused; but for a number, which may end early. */
static void test_cut(void **state)
{
    static const char whole[] = "{\"a\": [1.5e3, true, \"\\u00e4\xc3\xa4\"], "
                                "\"b\": {\"c\": null}}";
    (void)state;
    for (size_t n = 0; n < sizeof(whole) - 1; n++) {
        json_doc *doc = NULL;
        assert_int_equal(json_parse(whole, n, "t.json", &doc), ST_BADFILE);
    }
}

/* Long ones: digits without end, many members, a string of megabytes. */
static void test_long(void **state)
{
    strbuf b = {0};
    json_doc *doc = NULL;
    (void)state;

    strbuf_add(&b, "[0.");
    strbuf_fill(&b, '1', 100000);
    strbuf_add(&b, "]");
    assert_int_equal(json_parse(b.text, b.len, "t.json", &doc), ST_OK);
    json_close(doc);
    strbuf_cut(&b, 0);
    strbuf_add(&b, "[");
    strbuf_fill(&b, '1', 100000);
    strbuf_add(&b, "]");
    assert_int_equal(json_parse(b.text, b.len, "t.json", &doc), ST_BADFILE);
    strbuf_cut(&b, 0);
    strbuf_add(&b, "\"");
    strbuf_fill(&b, 'x', 4 << 20);
    strbuf_add(&b, "\"");
    assert_int_equal(json_parse(b.text, b.len, "t.json", &doc), ST_OK);
    json_close(doc);
    strbuf_cut(&b, 0);
    strbuf_add(&b, "{");
    for (int i = 0; i < 20000; i++) {
        strbuf_printf(&b, "%s\"k%d\":%d", i > 0 ? "," : "", i, i);
    }
    strbuf_add(&b, "}");
    assert_int_equal(json_parse(b.text, b.len, "t.json", &doc), ST_OK);
    assert_int_equal(json_len(json_root(doc)), 20000);
    json_close(doc);
    strbuf_fill(&b, ' ', JSON_BYTES_MAX);
    assert_int_equal(json_parse(b.text, b.len, "t.json", &doc), ST_BADFILE);
    strbuf_fini(&b);
    assert_int_equal(mem_live(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_taken),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
