/*
 * The model and the jobs that the tests of plans are about.
 */
#ifndef WEFT_TESTS_UNIT_PLAN_MAKE_H
#define WEFT_TESTS_UNIT_PLAN_MAKE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "partition/plan.h"
#include "runtime/base/mem.h"

/* gpt-neo-tiny: 4 layers, 4 heads, width 128, inner width 512, 256 tokens,
 * 256 positions, sequential, tied. */
static arch tiny;

static inline plan_job job_of(int64_t N, int ranks)
{
    return (plan_job){
        .a = &tiny, .N = N, .T = 64, .D = 4, .S = 4, .ranks = ranks};
}

static inline plan parsed(const char *text)
{
    plan p;
    assert_int_equal(plan_parse(text, &p), ST_OK);
    return p;
}

static inline void assert_has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", part, text);
    }
}

static inline int open_tiny(void **state)
{
    (void)state;
    return arch_open("gpt-neo-tiny", &tiny) != ST_OK;
}

#endif
