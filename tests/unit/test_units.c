/* Units: what parses to what, what is refused, and how numbers look. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "runtime/base/units.h"

static void expect_size(const char *text, int64_t want)
{
    int64_t got = -1;
    assert_int_equal(units_parse_size(text, &got), ST_OK);
    assert_int_equal(got, want);
}

static void test_sizes(void **state)
{
    (void)state;
    expect_size("8192", 8192);
    expect_size("0", 0);
    expect_size("64MiB", 64 << 20);
    expect_size("64 MiB", 64 << 20);
    expect_size("64mib", 64 << 20);
    expect_size("64Mi", 64 << 20);
    expect_size("64M", 64000000);
    expect_size("1.5GB", 1500000000);
    expect_size("1.5GiB", 1610612736);
    expect_size("1.1KB", 1100);
    expect_size("1e3", 1000);
    expect_size("12B", 12);
    expect_size("12.4MiB", 13002342);
    expect_size("2TiB", (int64_t)2 << 40);
    static const char *const bad[] = {"",     "x",   "-1",       "64Mx",
                                      "MiB",  "1.5", "0.0001KB", "1 2",
                                      "0x10", "nan", " 5",       "--5"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        int64_t got = 77;
        assert_int_equal(units_parse_size(bad[i], &got), ST_CONFIG);
        assert_int_equal(got, 77);
    }
}

static void expect_rate(const char *text, double want)
{
    double got = -1;
    assert_int_equal(units_parse_rate(text, &got), ST_OK);
    assert_true(fabs(got - want) <= 1e-12 * want);
}

static void test_rates(void **state)
{
    (void)state;
    expect_rate("10GB/s", 1e10);
    expect_rate("10 GB/s", 1e10);
    expect_rate("800MiB/s", 800.0 * 1048576);
    expect_rate("100Gbit/s", 12.5e9);
    expect_rate("5e9", 5e9);
    double got = 7;
    assert_int_equal(units_parse_rate("10Gb/s", &got), ST_CONFIG);
    assert_non_null(strstr(status_text(), "Gbit/s"));
    assert_int_equal(units_parse_rate("10GB", &got), ST_CONFIG);
    assert_int_equal(units_parse_rate("-1GB/s", &got), ST_CONFIG);
    assert_int_equal(units_parse_rate("fast", &got), ST_CONFIG);
    /* A number alone, and no number with its unit. */
    expect_rate("1e300", 1e300);
    assert_int_equal(units_parse_rate("1e300GB/s", &got), ST_CONFIG);
    assert_int_equal(units_parse_rate("1e306KiB/s", &got), ST_CONFIG);
    assert_int_equal(units_parse_rate("1e307Gbit/s", &got), ST_CONFIG);
    assert_true(got == 7);
}

static void expect_count(const char *text, int64_t want)
{
    int64_t got = -1;
    assert_int_equal(units_parse_count(text, &got), ST_OK);
    assert_true(got == want);
}

static void test_counts(void **state)
{
    (void)state;
    expect_count("4096", 4096);
    expect_count("-3", -3);
    expect_count("20k", 20000);
    expect_count("1.3M", 1300000);
    expect_count("6B", 6000000000);
    expect_count("4Ki", 4096);
    expect_count("1e9", 1000000000);
    expect_count("9223372036854775806", INT64_MAX - 1);
    int64_t got = 7;
    assert_int_equal(units_parse_count("1.5", &got), ST_CONFIG);
    assert_int_equal(units_parse_count("ten", &got), ST_CONFIG);
    assert_int_equal(units_parse_count("", &got), ST_CONFIG);
    assert_int_equal(units_parse_count("99999999999999999999", &got),
                     ST_CONFIG);
    assert_int_equal(units_parse_count("3kk", &got), ST_CONFIG);
    assert_int_equal(got, 7);
}

static void expect_seconds(const char *text, double want)
{
    double got = -1;
    assert_int_equal(units_parse_seconds(text, &got), ST_OK);
    assert_true(fabs(got - want) <= 1e-12 * want);
}

static void test_seconds(void **state)
{
    (void)state;
    expect_seconds("20us", 20e-6);
    expect_seconds("3 ms", 3e-3);
    expect_seconds("1.5s", 1.5);
    expect_seconds("0.25", 0.25);
    expect_seconds("2min", 120);
    expect_seconds("1h", 3600);
    expect_seconds("0", 0);
    double got = 7;
    assert_int_equal(units_parse_seconds("3m", &got), ST_CONFIG);
    assert_int_equal(units_parse_seconds("-1s", &got), ST_CONFIG);
    assert_int_equal(units_parse_seconds("soon", &got), ST_CONFIG);
    expect_seconds("1e306", 1e306);
    assert_int_equal(units_parse_seconds("1e306h", &got), ST_CONFIG);
    assert_int_equal(units_parse_seconds("1e304d", &got), ST_CONFIG);
    assert_true(got == 7);
}

static void test_bytes_text(void **state)
{
    (void)state;
    assert_string_equal(units_bytes(0).s, "0 B");
    assert_string_equal(units_bytes(512).s, "512 B");
    assert_string_equal(units_bytes(1024).s, "1 KiB");
    assert_string_equal(units_bytes(192.0 * 1048576).s, "192 MiB");
    assert_string_equal(units_bytes(1.5 * 1073741824).s, "1.50 GiB");
    assert_string_equal(units_bytes(12.34 * 1048576).s, "12.3 MiB");
    assert_string_equal(units_bytes(1023.7 * 1024).s, "1.00 MiB");
    assert_string_equal(units_bytes_exact(64 << 20).s, "64MiB");
    assert_string_equal(units_bytes_exact(8193).s, "8193");
    assert_string_equal(units_bytes_exact(0).s, "0");
    assert_string_equal(units_bytes_exact(1000000000000000).s, "1000TB");
    assert_string_equal(units_bytes_exact(1000).s, "1000");
    assert_string_equal(units_bytes_up(0).s, "0B");
    assert_string_equal(units_bytes_up(102399).s, "102399B");
    assert_string_equal(units_bytes_up(102401).s, "101KiB");
    assert_string_equal(units_bytes_up(26109000).s, "25498KiB");
    assert_string_equal(units_bytes_up(709885952).s, "677MiB");
    assert_string_equal(units_bytes_under(7 << 20, 12952000).s, "7168KiB");
    assert_string_equal(units_bytes_under(454848, 1163264).s, "444.1KiB");
    assert_string_equal(units_bytes_under(1023, 1163264).s, "1023B");
    assert_string_equal(units_bytes_under(7, 102399).s, "7B");
    for (int64_t n = 1; n < (int64_t)1 << 50; n = n * 3 + 1) {
        int64_t got = 0;
        assert_string_not_equal(units_bytes_under(n - 1, n).s,
                                units_bytes_up(n).s);
        assert_int_equal(units_parse_size(units_bytes_up(n).s, &got), ST_OK);
        assert_true(got >= n && got <= n + n / 100);
    }
    for (int64_t n = 1; n < (int64_t)1 << 50; n = n * 3 + 512) {
        expect_size(units_bytes_exact(n).s, n);
    }
}

static void test_other_text(void **state)
{
    (void)state;
    assert_string_equal(units_rate(12.5e9).s, "12.5 GB/s");
    assert_string_equal(units_rate(1e9).s, "1.00 GB/s");
    assert_string_equal(units_count(124439808).s, "124 M");
    assert_string_equal(units_count(6.05e9).s, "6.05 G");
    assert_string_equal(units_count(512).s, "512");
    assert_string_equal(units_count(999.7).s, "1.00 k");
    assert_string_equal(units_int(124439808).s, "124,439,808");
    assert_string_equal(units_int(-1234).s, "-1,234");
    assert_string_equal(units_int(999).s, "999");
    assert_string_equal(units_int(INT64_MIN).s, "-9,223,372,036,854,775,808");
    assert_string_equal(units_seconds(0).s, "0.00 s");
    assert_string_equal(units_seconds(20e-9).s, "20.0 ns");
    assert_string_equal(units_seconds(3.21e-3).s, "3.21 ms");
    assert_string_equal(units_seconds(12.04).s, "12.0 s");
    assert_string_equal(units_seconds(200).s, "3 min 20 s");
    assert_string_equal(units_seconds(7500).s, "2 h 05 min");
    assert_string_equal(units_seconds(4.1 * 86400).s, "4.1 days");
    assert_string_equal(units_clock(42.4).s, "0:42");
    assert_string_equal(units_clock(200).s, "3:20");
    assert_string_equal(units_clock(7500).s, "2:05:00");
    assert_string_equal(units_clock(NAN).s, "--:--");
    assert_non_null(strstr(units_bytes(INFINITY).s, "inf"));
    assert_true(strlen(units_count(1e300).s) < 39);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),      cmocka_unit_test(test_rates),
        cmocka_unit_test(test_counts),     cmocka_unit_test(test_seconds),
        cmocka_unit_test(test_bytes_text), cmocka_unit_test(test_other_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
