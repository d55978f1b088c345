/* Text of files in pages and drawings: nothing of it becomes markup. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "benchmarks/html.h"
#include "benchmarks/plot.h"
#include "runtime/base/mem.h"

static char home[4096]; /* drawings; removed at the end */

static void is_text(strbuf *have, const char *want)
{
    assert_string_equal(strbuf_view(have), want);
    strbuf_fini(have);
}

static void test_escape(void **state)
{
    strbuf b = {0};
    (void)state;
    html_text(&b, "<script>alert('x')</script> & \"y\"");
    is_text(&b, "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; "
                "&quot;y&quot;");
    html_textf(&b, "%s is %d %%", "<é>", 7);
    is_text(&b, "&lt;é&gt; is 7 %");
}

/* Longer than the buffer that formatting begins with. */
static void test_escape_long(void **state)
{
    char text[3001];
    strbuf b = {0};
    (void)state;
    memset(text, '<', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    html_textf(&b, "%s", text);
    assert_int_equal(b.len, 4 * 3000);
    strbuf_fini(&b);
}

static void test_clean(void **state)
{
    static const struct {
        const char *from, *to;
    } cases[] = {
        {"plain é – 😀", "plain é – 😀"},
        {"tab\tline\n\x01\x7f", "tab line   "},
        {"\xff\xfe", "??"},
        {"\xc3", "?"},                /* cut in the middle                */
        {"\xe2\x80", "??"},           /* the same                         */
        {"\xc0\xaf", "??"},           /* '/' in too many bytes            */
        {"\xed\xa0\x80", "???"},      /* half of a surrogate pair         */
        {"\xf4\x90\x80\x80", "????"}, /* beyond Unicode                   */
        {"\xc2\x85x", "  x"},         /* a control character of two bytes */
        {"\xe0\x80\xaf", "???"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[64];
        strcpy(text, cases[i].from);
        html_clean(text);
        assert_string_equal(text, cases[i].to);
    }
}

static void test_length(void **state)
{
    (void)state;
    assert_int_equal(html_length("aé😀"), 3);
    assert_int_equal(html_prefix("aé😀", 2), 3);
    assert_int_equal(html_prefix("aé", 9), 3);
    assert_int_equal(html_prefix("é", 0), 0);
}

static void test_table(void **state)
{
    static const char *const heads[] = {"a<", "b", NULL};
    strbuf b = {0};
    (void)state;
    html_table(&b, "c&", heads);
    html_row(&b);
    html_headf(&b, "%s", "<r>");
    html_cellf(&b, "%d", 5);
    html_row_end(&b);
    html_table_end(&b);
    assert_non_null(strstr(strbuf_view(&b), "<caption>c&amp;</caption>"));
    assert_non_null(strstr(strbuf_view(&b), "<th scope=\"col\">a&lt;</th>"));
    assert_non_null(strstr(strbuf_view(&b), "<tr><th scope=\"row\">&lt;r&gt;"
                                            "</th><td>5</td></tr>"));
    strbuf_fini(&b);
}

/* --- drawings ------------------------------------------------------------- */

static const html_colour palette[] = {{"c1", "#0072b2", "#ffffff"},
                                      {"c2", "#d55e00", "#ffffff"},
                                      {NULL, NULL, NULL}};

static const char drawing[] =
    "<?xml version=\"1.0\"?>\n<svg \n width=\"9\" viewBox=\"0 0 48 30\"\n "
    "xmlns:xlink=\"http://www.w3.org/1999/xlink\"\n>\n\n<title>Gnuplot</title>"
    "\n<desc>by gnuplot</desc>\n<g id=\"gnuplot_canvas\">\n<defs><circle "
    "id='gpDot' r='0.5'/><filter id='textbox'><feFlood/></filter></defs>\n"
    "<g id=\"gnuplot_plot_1\" ><title>gnuplot_plot_1</title>\n<g fill=\"none\" "
    "color=\"black\">\n</g>\n<path stroke='rgb(  0, 114, 178)' d='M1,1 L2,2'/>"
    "<use xlink:href='#gpDot' color='rgb(213,  94,   0)'/>\n"
    "<polygon fill = 'rgb(1, 2, 3)' points = '1,1 2,2'/>\n"
    "<text font-family=\"sans-serif\" fill=\"rgb(0,0,0)\">a &lt;b></text>\n"
    "</g></g></svg>\n";

static status adopt(const char *svg, strbuf *out)
{
    return html_adopt_svg(svg, "m1-x", "t <i>", "d & e", palette, out);
}

static void has(const strbuf *b, const char *part, bool wanted)
{
    if ((strstr(strbuf_view(b), part) != NULL) != wanted) {
        fail_msg("\"%s\" is %s in: %s", part, wanted ? "not" : "", b->text);
    }
}

static void test_adopt(void **state)
{
    strbuf b = {0};
    (void)state;
    assert_int_equal(adopt(drawing, &b), ST_OK);
    has(&b, "<svg class=\"plot\" viewBox=\"0 0 48 30\" role=\"img\"", true);
    has(&b, "<title id=\"m1-x-title\">t &lt;i&gt;</title>", true);
    has(&b, "<desc id=\"m1-x-desc\">d &amp; e</desc>", true);
    has(&b, "stroke=\"var(--c1)\"", true);
    has(&b, "href=\"#m1-x-gpDot\" color=\"var(--c2)\"", true);
    has(&b, "id=\"m1-x-gpDot\"", true);
    has(&b, "<polygon fill=\"rgb(1, 2, 3)\" points=\"1,1 2,2\"/>", true);
    has(&b, "<text fill=\"currentColor\">a &lt;b></text>", true);
    has(&b, "Gnuplot", false);
    has(&b, "gnuplot_", false);
    has(&b, "xml", false);
    has(&b, "xlink", false);
    has(&b, "filter", false);
    has(&b, "font-family", false);
    has(&b, "black", false);
    has(&b, "width=", false);
    strbuf_fini(&b);
}

static void test_adopt_refuses(void **state)
{
    static const char *const bad[] = {
        "",
        "no drawing",
        "<svg viewBox=\"0 0 1 1\"><g>", /* cut */
        "<svg ></svg>",
        "<svg viewBox=\"0 0 1 1\"><script>x</script></svg>",
        "<svg viewBox=\"0 0 1 1\"><path d=></path></svg>",
        "<svg viewBox=\"0 0 1 1\"><path d='></path></svg>",
        "<svg viewBox=\"0 0 1 1\"><path d</svg>",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        strbuf b = {0};
        if (adopt(bad[i], &b) != ST_BADFILE) {
            fail_msg("\"%s\" was taken for a drawing", bad[i]);
        }
        strbuf_fini(&b);
    }
}

/* Every beginning of a drawing: refused, and nothing is read behind its end
 * (the sanitizers see). */
static void test_adopt_cut(void **state)
{
    (void)state;
    for (size_t n = 0; n + 8 < sizeof(drawing); n++) {
        char *part = malloc(n + 1);
        strbuf b = {0};
        assert_non_null(part);
        memcpy(part, drawing, n);
        part[n] = '\0';
        assert_int_equal(adopt(part, &b), ST_BADFILE);
        strbuf_fini(&b);
        free(part);
    }
}

/* --- gnuplot -------------------------------------------------------------- */

static void test_quote(void **state)
{
    strbuf b = {0};
    (void)state;
    plot_quote(&b, "it's `date` \"x\" \\n $y @z\n!", 99);
    is_text(&b, "'it’s `date` \"x\" \\n $y @z !'");
    plot_quote(&b, "aééé😀", 3);
    is_text(&b, "'a…😀'");
    plot_quote(&b, "dp1 (first/run/of/all.h5)", 11);
    is_text(&b, "'dp1 (…l.h5)'");
    plot_quote(&b, "", 3);
    is_text(&b, "''");
    plot_quote(&b, "aéé", 3);
    is_text(&b, "'aéé'");
}

static void test_number(void **state)
{
    strbuf b = {0};
    (void)state;
    plot_number(&b, 0.5);
    plot_number(&b, (double)NAN);
    is_text(&b, " 0.5 NaN");
}

/* A name that would be a command if it was not quoted. */
static void test_draw(void **state)
{
    char path[4200];
    plotter *p = NULL;
    strbuf page = {0};
    plot_figure f = {.name = "m1-x", .width = 200, .height = 100};
    (void)state;
    assert_int_equal(plot_open(home, NULL, "", &p), ST_OK);
    strbuf_add(&f.script, "set label ");
    plot_quote(&f.script, "' ; !touch bad `touch bad` <b>", 99);
    strbuf_add(&f.script, " at 0,0\nplot data using 1:2 with lines lc rgb "
                          "'#0072b2'\n");
    strbuf_add(&f.data, "0 0\n1 1\n");
    status st = plot_draw(p, &f, &page);
    if (st != ST_OK) {
        fail_msg("%s", status_text());
    }
    has(&page, "’ ; !touch bad `touch bad` &lt;b>", true);
    has(&page, "var(--c1)", true);
    plot_close(p);
    snprintf(path, sizeof(path), "%s/bad", home);
    assert_int_equal(access(path, F_OK), -1);
    plot_figure_fini(&f);
    strbuf_fini(&page);
}

/* What gnuplot says is in the error, and nothing is left behind. */
static void test_draw_fails(void **state)
{
    plotter *p = NULL;
    strbuf page = {0};
    plot_figure f = {.name = "m1-x", .width = 200, .height = 100};
    (void)state;
    char beside[4200];
    snprintf(beside, sizeof(beside), "%s/x", home);
    assert_int_equal(plot_open(NULL, NULL, beside, &p), ST_OK);
    strbuf_add(&f.script, "nonsense\n");
    assert_int_equal(plot_draw(p, &f, &page), ST_SYSTEM);
    assert_non_null(strstr(status_text(), "nonsense"));
    plot_close(p);
    plot_figure_fini(&f);
    strbuf_fini(&page);
}

static void test_no_gnuplot(void **state)
{
    plotter *p = NULL;
    char path[4096];
    (void)state;
    snprintf(path, sizeof(path), "%s", getenv("PATH"));
    setenv("PATH", "/nowhere", 1);
    status st = plot_open(NULL, NULL, "/tmp/x", &p);
    setenv("PATH", path, 1);
    assert_int_equal(st, ST_NOINPUT);
    assert_non_null(strstr(status_text(), "gnuplot-nox"));
}

static int enter(void **state)
{
    const char *tmp = getenv("TMPDIR");
    (void)state;
    snprintf(home, sizeof(home), "%s/weft-html-XXXXXX",
             tmp != NULL ? tmp : "/tmp");
    return mkdtemp(home) != NULL ? 0 : -1;
}

/* After a failure, too. */
static int leave(void **state)
{
    char command[4200];
    (void)state;
    snprintf(command, sizeof(command), "rm -rf '%s'", home);
    return system(command) == 0 ? 0 : -1;
}

static int no_leak(void **state)
{
    (void)state;
    return mem_live() == 0 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_escape, no_leak),
        cmocka_unit_test_teardown(test_escape_long, no_leak),
        cmocka_unit_test_teardown(test_clean, no_leak),
        cmocka_unit_test_teardown(test_length, no_leak),
        cmocka_unit_test_teardown(test_table, no_leak),
        cmocka_unit_test_teardown(test_adopt, no_leak),
        cmocka_unit_test_teardown(test_adopt_refuses, no_leak),
        cmocka_unit_test_teardown(test_adopt_cut, no_leak),
        cmocka_unit_test_teardown(test_quote, no_leak),
        cmocka_unit_test_teardown(test_number, no_leak),
        cmocka_unit_test_teardown(test_draw, no_leak),
        cmocka_unit_test_teardown(test_draw_fails, no_leak),
        cmocka_unit_test_teardown(test_no_gnuplot, no_leak),
    };
    return cmocka_run_group_tests(tests, enter, leave) != 0;
}
