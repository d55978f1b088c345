/*
 * Numbers with units, as people write and read them.
 *
 * Parsing takes a whole text (no rest) and fails with ST_CONFIG and a text
 * that names the value and shows a right one; the caller, who knows the file
 * and key, puts them in front. K M G T are powers of 1000, Ki Mi Gi Ti of
 * 1024; letter case of these and of B does not matter, a space before the
 * unit is fine.
 *
 * Formatting returns a small struct by value; use its text in the same
 * expression: printf("%s\n", units_bytes(n).s). Pure. Local, any thread.
 */
#ifndef WEFT_BASE_UNITS_H
#define WEFT_BASE_UNITS_H

#include <stdint.h>

#include "runtime/base/status.h"

typedef struct units_text {
    char s[40];
} units_text;

/* "64MiB", "1.5GB", "8192" -> bytes; a fraction of a byte is refused. */
MUST_USE status units_parse_size(const char *text, int64_t *bytes);
/* "10GB/s", "100Gbit/s", "5e9" -> bytes per second. */
MUST_USE status units_parse_rate(const char *text, double *bytes_per_s);
/* "1.3M", "20k", "1e9", "4096" -> a count; B is billion. */
MUST_USE status units_parse_count(const char *text, int64_t *count);
/* "20us", "3 ms", "1.5s", "2min", "1h", "0.1" -> seconds. */
MUST_USE status units_parse_seconds(const char *text, double *seconds);

/* "192 MiB", "1.50 GiB", "0 B". */
units_text units_bytes(double bytes);
/* Exact and readable by units_parse_size: "64MiB", "1000TB", "8193". */
units_text units_bytes_exact(int64_t bytes);
/* As little more as makes it short, readable by units_parse_size: "25498KiB".
 * For a size that a person is told to give. */
units_text units_bytes_up(int64_t bytes);
/* A size that is less than `more`, to be read beside units_bytes_up(more): in
 * its unit, rounded down, so that the two texts differ: "25497.9KiB". */
units_text units_bytes_under(int64_t bytes, int64_t more);
/* "12.5 GB/s". */
units_text units_rate(double bytes_per_s);
/* "124 M", "6.05 G", "512"; for flops, parameters, tokens per second. */
units_text units_count(double count);
/* "124,439,808". */
units_text units_int(int64_t n);
/* "3.21 ms", "12.0 s", "3 min 20 s", "2 h 05 min", "4.1 days". */
units_text units_seconds(double seconds);
/* "0:42", "3:20", "2:05:00": time left on a progress line. */
units_text units_clock(double seconds);

#endif
