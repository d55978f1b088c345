#define PCRE2_CODE_UNIT_WIDTH 8

#include "runtime/text/split.h"

#include <pcre2.h>
#include <string.h>

#include "runtime/base/mem.h"

/* White_Space of Unicode. */
#define SPACES                                                                 \
    "\\x{9}-\\x{d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}"  \
    "\\x{2029}\\x{202f}\\x{205f}\\x{3000}"

static const char pattern[] = "'(?:[sdmt]|ll|ve|re)"
                              "| ?\\p{L}+"
                              "| ?\\p{N}+"
                              "| ?[^" SPACES "\\p{L}\\p{N}]+"
                              "|[" SPACES "]+(?![^" SPACES "])"
                              "|[" SPACES "]+";

enum class { OTHER, LETTER, DIGIT, SPACE, HIGH };

struct splitter {
    pcre2_code *code;
    pcre2_match_data *match;
    uint8_t class_of[256];
};

/* ---- PCRE2 --------------------------------------------------------------- */

static void fill_classes(splitter *s)
{
    for (int c = 0; c < 256; c++) {
        const int lower = c | 0x20;
        s->class_of[c] = c >= 0x80                         ? HIGH
                         : lower >= 'a' && lower <= 'z'    ? LETTER
                         : c >= '0' && c <= '9'            ? DIGIT
                         : c == ' ' || (c >= 9 && c <= 13) ? SPACE
                                                           : OTHER;
    }
}

status split_create(splitter **out)
{
    splitter *s = NULL;
    int error = 0;
    PCRE2_SIZE at = 0;

    TRY(MEM_NEW(&s, 1, "split"));
    fill_classes(s);
    s->code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
                            PCRE2_UTF | PCRE2_UCP | PCRE2_ANCHORED, &error, &at,
                            NULL);
    if (s->code != NULL) {
        s->match = pcre2_match_data_create(1, NULL);
    }
    if (s->match == NULL) {
        split_destroy(s);
        return FAIL(ST_SYSTEM,
                    "PCRE2 cannot compile the split (error %d at "
                    "%zu); it must be built with Unicode support",
                    error, (size_t)at);
    }
    /* Where there is no JIT, PCRE2 interprets: slower, the same pieces. */
    (void)pcre2_jit_compile(s->code, PCRE2_JIT_COMPLETE);
    *out = s;
    return ST_OK;
}

void split_destroy(splitter *s)
{
    if (s != NULL) {
        pcre2_match_data_free(s->match);
        pcre2_code_free(s->code);
        mem_free(s);
    }
}

status split_pcre(splitter *s, const uint8_t *text, int64_t len, int64_t from,
                  int64_t *end)
{
    const int found =
        pcre2_match(s->code, (PCRE2_SPTR)text, (PCRE2_SIZE)len,
                    (PCRE2_SIZE)from, PCRE2_NO_UTF_CHECK, s->match, NULL);

    REQUIRE(found >= 0, ST_SYSTEM,
            "the text cannot be split at byte %lld: PCRE2 error %d",
            (long long)from, found);
    *end = (int64_t)pcre2_get_ovector_pointer(s->match)[1];
    return ST_OK;
}

/* ---- ASCII --------------------------------------------------------------- */

/* Length of a contraction that begins with the ' at p, else 0. */
static int64_t contraction(const uint8_t *p, int64_t left)
{
    if (left >= 2 &&
        (p[1] == 's' || p[1] == 'd' || p[1] == 'm' || p[1] == 't')) {
        return 2;
    }
    if (left >= 3 &&
        ((p[1] == 'l' && p[2] == 'l') || (p[1] == 'v' && p[2] == 'e') ||
         (p[1] == 'r' && p[2] == 'e'))) {
        return 3;
    }
    return 0;
}

/* End of the run of characters of one class from `at` on; -1 if what stops
 * it is not ASCII. */
static int64_t run_end(const splitter *s, const uint8_t *text, int64_t len,
                       int64_t at, int class)
{
    while (at < len && s->class_of[text[at]] == class) {
        at++;
    }
    return at < len && s->class_of[text[at]] == HIGH ? -1 : at;
}

/* End of the piece, or -1 where ASCII alone does not tell. */
static int64_t ascii_next(const splitter *s, const uint8_t *text, int64_t len,
                          int64_t from)
{
    if (text[from] == '\'') {
        const int64_t n = contraction(text + from, len - from);
        if (n > 0) {
            return from + n;
        }
    }
    const int64_t first = from + (text[from] == ' ' && from + 1 < len);
    const int class = s->class_of[text[first]];
    if (class == HIGH || s->class_of[text[from]] == HIGH) {
        return -1;
    }
    if (class != SPACE) {
        return run_end(s, text, len, first, class);
    }
    /* The last space of a run goes to what follows, if something does. */
    const int64_t end = run_end(s, text, len, from, SPACE);
    return end == len || end - from <= 1 ? end : end - 1;
}

status split_next(splitter *s, const uint8_t *text, int64_t len, int64_t from,
                  int64_t *end)
{
    const int64_t at = ascii_next(s, text, len, from);

    if (at >= 0) {
        *end = at;
        return ST_OK;
    }
    return split_pcre(s, text, len, from, end);
}
