/*
 * A text with a unit is a number, an optional power (K, Mi, ...) and an
 * optional unit word. split() takes it apart; the four parsers differ in the
 * unit words they know.
 */
#include "runtime/base/units.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Integers up to here are exact in a double. */
#define EXACT_MAX 9007199254740992.0

/* The number at the start of text; *rest points behind it and spaces. Only
 * plain decimal: strtod alone would take "nan", "inf" and "0x10". */
static bool split(const char *text, double *number, const char **rest)
{
    if (text[0] != '-' && text[0] != '+' && text[0] != '.' &&
        !isdigit((unsigned char)text[0])) {
        return false;
    }
    size_t plain = strspn(text, "+-.0123456789eE");
    char *end = NULL;
    double value = strtod(text, &end);
    if (end == text || (size_t)(end - text) > plain || !isfinite(value)) {
        return false;
    }
    while (*end == ' ') {
        end++;
    }
    *number = value;
    *rest = end;
    return true;
}

/* Factor of the power at *rest, which moves behind it; 1 if there is none. */
static double take_power(const char **rest)
{
    static const char letters[] = "kmgtp";
    const char *at = NULL;
    if (**rest != '\0') {
        at = strchr(letters, tolower((unsigned char)**rest));
    }
    if (at == NULL) {
        return 1.0;
    }
    (*rest)++;
    double base = 1000.0;
    if (**rest == 'i' || **rest == 'I') {
        (*rest)++;
        base = 1024.0;
    }
    return pow(base, (double)(at - letters + 1));
}

/* A product such as 1.1 * 1000 may miss its integer by a rounding error. */
static bool to_integer(double value, int64_t *out)
{
    double whole = nearbyint(value);
    if (!(fabs(value - whole) <= 1e-6) || !(fabs(whole) <= EXACT_MAX)) {
        return false;
    }
    *out = (int64_t)whole;
    return true;
}

status units_parse_size(const char *text, int64_t *bytes)
{
    double number = 0;
    const char *rest = NULL;
    bool good = split(text, &number, &rest);
    double factor = good ? take_power(&rest) : 1.0;
    good = good && (*rest == '\0' || strcasecmp(rest, "B") == 0);
    REQUIRE(good, ST_CONFIG,
            "'%s' is no size: write bytes, or for example 64MiB or 1.5GB",
            text);
    /* "12.4MiB" is meant roughly: a limit is never rounded up. */
    double whole = number * factor > 1 && factor > 1 ? floor(number * factor)
                                                     : number * factor;
    REQUIRE(number >= 0 && to_integer(whole, bytes), ST_CONFIG,
            "'%s' is no size: it must be a whole number of bytes, 0 or more",
            text);
    return ST_OK;
}

status units_parse_rate(const char *text, double *bytes_per_s)
{
    double number = 0;
    const char *rest = NULL;
    bool good = split(text, &number, &rest);
    double factor = good ? take_power(&rest) : 1.0;
    /* "Gb/s" means bits to some and bytes to others. */
    REQUIRE(!good || rest[0] != 'b' || strncmp(rest, "bit", 3) == 0, ST_CONFIG,
            "'%s' is no rate: write GB/s for bytes or Gbit/s for bits", text);
    if (good && strcmp(rest, "bit/s") == 0) {
        factor /= 8.0;
    } else {
        good = good && (*rest == '\0' || strcmp(rest, "B/s") == 0);
    }
    REQUIRE(good && number >= 0, ST_CONFIG,
            "'%s' is no rate: write for example 10GB/s, 800MiB/s or "
            "100Gbit/s",
            text);
    REQUIRE(isfinite(number * factor), ST_CONFIG,
            "'%s' is no rate: it is beyond all numbers; write for example "
            "10GB/s",
            text);
    *bytes_per_s = number * factor;
    return ST_OK;
}

status units_parse_count(const char *text, int64_t *count)
{
    /* Plain integers first: all 64 bits of them are good. */
    char *end = NULL;
    if (text[strspn(text, "+-0123456789")] == '\0') {
        long long value = strtoll(text, &end, 10);
        bool whole = end != text && *end == '\0';
        bool fits = value != INT64_MAX && value != INT64_MIN;
        if (whole && fits) {
            *count = value;
            return ST_OK;
        }
    }
    double number = 0;
    const char *rest = NULL;
    bool good = split(text, &number, &rest);
    double factor = 1.0;
    if (good && strcasecmp(rest, "B") == 0) {
        factor = 1e9;
        rest++;
    } else if (good) {
        factor = take_power(&rest);
    }
    good = good && *rest == '\0' && to_integer(number * factor, count);
    REQUIRE(good, ST_CONFIG,
            "'%s' is no whole number: write for example 4096, 20k or 1.3M",
            text);
    return ST_OK;
}

status units_parse_seconds(const char *text, double *seconds)
{
    static const struct {
        const char *word;
        double factor;
    } words[] = {{"", 1},      {"s", 1},      {"ns", 1e-9}, {"us", 1e-6},
                 {"ms", 1e-3}, {"min", 60.0}, {"h", 3600},  {"d", 86400}};
    double number = 0;
    const char *rest = NULL;
    if (split(text, &number, &rest) && number >= 0) {
        for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
            if (strcmp(rest, words[i].word) != 0) {
                continue;
            }
            REQUIRE(isfinite(number * words[i].factor), ST_CONFIG,
                    "'%s' is no time: it is beyond all numbers; write for "
                    "example 20us or 1h",
                    text);
            *seconds = number * words[i].factor;
            return ST_OK;
        }
    }
    return FAIL(ST_CONFIG,
                "'%s' is no time: write seconds, or for example 20us, 3ms, "
                "2min or 1h",
                text);
}

/* Three significant digits: "1.50", "15.0", "150". The limits are where
 * printf would round up to one digit more. */
static void three_digits(char *out, size_t room, double v)
{
    double a = fabs(v);
    int decimals = a < 9.995 ? 2 : a < 99.95 ? 1 : 0;
    snprintf(out, room, "%.*f", decimals, v);
}

/* v with a power of `base` in front of the unit; whole numbers below the
 * first power have no decimals ("512 B"). */
static units_text scaled(double v, double base, const char *const *powers,
                         const char *unit)
{
    units_text t = {{0}};
    if (!isfinite(v)) {
        snprintf(t.s, sizeof(t.s), "%f %s", v, unit);
        return t;
    }
    int p = 0;
    while (fabs(v) >= base - 0.5 && powers[p + 1] != NULL) {
        v /= base;
        p++;
    }
    char number[24];
    if (fabs(v - nearbyint(v)) <= 1e-9 && fabs(v) < 1e5 &&
        (p == 0 || base == 1024.0)) {
        snprintf(number, sizeof(number), "%.0f", v);
    } else if (fabs(v) < 1e9) {
        three_digits(number, sizeof(number), v);
    } else {
        snprintf(number, sizeof(number), "%.3g", v);
    }
    const char *space = powers[p][0] != '\0' || unit[0] != '\0' ? " " : "";
    snprintf(t.s, sizeof(t.s), "%s%s%s%s", number, space, powers[p], unit);
    return t;
}

static const char *const powers_1000[] = {"",  "k", "M", "G",
                                          "T", "P", "E", NULL};
static const char *const powers_1024[] = {"",   "Ki", "Mi", "Gi",
                                          "Ti", "Pi", NULL};

units_text units_bytes(double bytes)
{
    return scaled(bytes, 1024.0, powers_1024, "B");
}

units_text units_rate(double bytes_per_s)
{
    return scaled(bytes_per_s, 1000.0, powers_1000, "B/s");
}

units_text units_count(double count)
{
    return scaled(count, 1000.0, powers_1000, "");
}

/* The largest power that divides it. */
static units_text in_powers(int64_t bytes, int64_t base,
                            const char *const *names)
{
    int p = 0;
    while (bytes != 0 && bytes % base == 0 && p < 4) {
        bytes /= base;
        p++;
    }
    units_text t = {{0}};
    snprintf(t.s, sizeof(t.s), "%lld%s%s", (long long)bytes, names[p],
             p > 0 ? "B" : "");
    return t;
}

units_text units_bytes_exact(int64_t bytes)
{
    units_text t = in_powers(bytes, 1024, powers_1024);
    units_text round = in_powers(bytes, 1000, powers_1000);
    /* 1000TB is no whole number of MiB. */
    bool shorter = bytes % 1000000 == 0 && strlen(round.s) < strlen(t.s);
    return shorter ? round : t;
}

enum { KIB = 1024 };

/* The unit in which a size is short and at most 1 % off. */
static int64_t unit_of(int64_t bytes)
{
    enum { ENOUGH = 100 };
    int64_t unit = 1;
    while (unit < (int64_t)KIB * KIB && bytes / ENOUGH >= unit * KIB) {
        unit *= KIB;
    }
    return unit;
}

static const char *unit_name(int64_t unit)
{
    return unit == 1 ? "B" : unit == KIB ? "KiB" : "MiB";
}

units_text units_bytes_up(int64_t bytes)
{
    int64_t unit = unit_of(bytes);
    units_text t = {{0}};
    snprintf(t.s, sizeof(t.s), "%lld%s", (long long)((bytes + unit - 1) / unit),
             unit_name(unit));
    return t;
}

units_text units_bytes_under(int64_t bytes, int64_t more)
{
    int64_t unit = unit_of(more);
    unit = bytes < unit ? 1 : unit;
    int64_t tenths = bytes % unit * 10 / unit;
    char part[8] = "";
    if (tenths > 0) {
        snprintf(part, sizeof(part), ".%d", (int)tenths);
    }
    units_text t = {{0}};
    snprintf(t.s, sizeof(t.s), "%lld%s%s", (long long)(bytes / unit), part,
             unit_name(unit));
    return t;
}

units_text units_int(int64_t n)
{
    char digits[24];
    snprintf(digits, sizeof(digits), "%lld", (long long)n);
    units_text t = {{0}};
    size_t len = strlen(digits);
    size_t sign = digits[0] == '-' ? 1 : 0;
    size_t at = 0;
    for (size_t i = 0; i < len; i++) {
        if (i > sign && (len - i) % 3 == 0) {
            t.s[at] = ',';
            at++;
        }
        t.s[at] = digits[i];
        at++;
    }
    return t;
}

units_text units_seconds(double seconds)
{
    static const struct {
        double below;
        double factor;
        const char *unit;
    } rows[] = {
        {0.9995e-6, 1e9, "ns"}, {0.9995e-3, 1e6, "us"}, {0.9995, 1e3, "ms"}};
    units_text t = {{0}};
    double a = fabs(seconds);
    char number[24];
    for (size_t i = 0; i < 3; i++) {
        if (a > 0 && a < rows[i].below) {
            three_digits(number, sizeof(number), seconds * rows[i].factor);
            snprintf(t.s, sizeof(t.s), "%s %s", number, rows[i].unit);
            return t;
        }
    }
    if (a < 99.95) {
        three_digits(number, sizeof(number), seconds);
        snprintf(t.s, sizeof(t.s), "%s s", number);
    } else if (a < 3599.5) {
        long s = lround(seconds);
        snprintf(t.s, sizeof(t.s), "%ld min %02ld s", s / 60, labs(s) % 60);
    } else if (a < 172770) {
        long m = lround(seconds / 60);
        snprintf(t.s, sizeof(t.s), "%ld h %02ld min", m / 60, labs(m) % 60);
    } else {
        snprintf(t.s, sizeof(t.s), "%.3g days", seconds / 86400);
    }
    return t;
}

units_text units_clock(double seconds)
{
    units_text t = {{0}};
    if (!(seconds >= 0) || seconds > 1e9) {
        snprintf(t.s, sizeof(t.s), "--:--");
        return t;
    }
    long s = lround(seconds);
    if (s < 3600) {
        snprintf(t.s, sizeof(t.s), "%ld:%02ld", s / 60, s % 60);
    } else {
        snprintf(t.s, sizeof(t.s), "%ld:%02ld:%02ld", s / 3600, s / 60 % 60,
                 s % 60);
    }
    return t;
}
