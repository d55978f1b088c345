/*
 * What the tests of the report have in common: a report of one file or two of
 * the test's folder, its page, and the numbers in it. Included by one test
 * program each; `drop_files` fails where a file is left that is not listed.
 */
#ifndef WEFT_TESTS_UNIT_REPORT_MAKE_H
#define WEFT_TESTS_UNIT_REPORT_MAKE_H

#include "benchmarks/report.h"
#include "runtime/base/json.h"
#include "runtime/base/text.h"
#include "tests/unit/runfile_make.h"

static char *page; /* of the test at hand */

static const char *const names[] = {
    "run.h5",  "cut.h5", "cmp.h5",   "page.html", "again.html", "trace.json",
    "pipe.h5", "old.h5", "large.h5", "late.h5",   "same.h5",    "other.h5"};

/* --- making --------------------------------------------------------------- */

static inline status report(const char *file, const char *more, const char *out,
                            const char *trace)
{
    const char *files[3] = {path_of(file), NULL, NULL};
    char first[128], second[128], to[128], perfetto[128];
    report_config c = {.files = files};
    snprintf(first, sizeof(first), "%s", path_of(file));
    files[0] = first;
    if (more != NULL) {
        snprintf(second, sizeof(second), "%s", path_of(more));
        files[1] = second;
    }
    if (out != NULL) {
        snprintf(to, sizeof(to), "%s", path_of(out));
        c.out = to;
    }
    if (trace != NULL) {
        snprintf(perfetto, sizeof(perfetto), "%s", path_of(trace));
        c.perfetto = perfetto;
    }
    return report_run(&c);
}

/* Owns: caller, mem_free. */
static inline void read_text(const char *name, char **out)
{
    OK(text_read_file(path_of(name), 1 << 26, out, NULL));
}

static inline int drop_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        unlink(path_of(names[i]));
    }
    return rmdir(folder);
}

/* --- the page ------------------------------------------------------------- */

static inline int count(const char *text, const char *part)
{
    int n = 0;
    for (const char *s = text; (s = strstr(s, part)) != NULL; s++) {
        n++;
    }
    return n;
}

static inline void has(const char *part, int times)
{
    if (count(page, part) != times) {
        fail_msg("\"%s\" is there %d times, not %d", part, count(page, part),
                 times);
    }
}

/* Every tag that opens closes, in order: well-formed but for entities. */
static inline void check_nesting(const char *html)
{
    const char *open[256];
    size_t length[256];
    int depth = 0;
    for (const char *s = strchr(html, '<'); s != NULL; s = strchr(s, '<')) {
        const char *end = strchr(s, '>');
        assert_non_null(end);
        size_t n = strcspn(s + 1, " \n/>");
        if (s[1] == '/') {
            n = strcspn(s + 2, ">");
            assert_true(depth > 0);
            depth--;
            if (length[depth] != n || strncmp(open[depth], s + 2, n) != 0) {
                fail_msg("%.*s is closed by %.*s", (int)length[depth],
                         open[depth], (int)n + 3, s);
            }
        } else if (s[1] != '!' && end[-1] != '/') {
            assert_true(depth < 256);
            open[depth] = s + 1;
            length[depth++] = n;
        }
        s = end;
    }
    assert_int_equal(depth, 0);
}

/* --- its numbers ---------------------------------------------------------- */

static inline json_doc *data_of(const char *html)
{
    static const char mark[] = "id=\"weft-data\">";
    json_doc *doc = NULL;
    const char *from = strstr(html, mark);
    assert_non_null(from);
    from += strlen(mark);
    OK(json_parse(from, (size_t)(strstr(from, "</script>") - from), "data",
                  &doc));
    return doc;
}

static inline double number(json_val obj, const char *key)
{
    double x = 0;
    OK(json_get_f64(obj, key, -1e300, 1e300, &x));
    return x;
}

static inline const char *word(json_val obj, const char *key)
{
    const char *text = NULL;
    OK(json_get_str(obj, key, &text));
    return text;
}

#endif
