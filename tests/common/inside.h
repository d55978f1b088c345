/*
 * A folder of a test's own below TMPDIR, and the test inside it: for what
 * reads or writes by bare names. Set-up and teardown of its group. Included by
 * one test program each. Local.
 */
#ifndef WEFT_TESTS_COMMON_INSIDE_H
#define WEFT_TESTS_COMMON_INSIDE_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char home[4096];

static inline int enter(void **state)
{
    const char *tmp = getenv("TMPDIR");
    (void)state;
    snprintf(home, sizeof(home), "%s/weft-test-XXXXXX",
             tmp != NULL ? tmp : "/tmp");
    return mkdtemp(home) != NULL && chdir(home) == 0 ? 0 : -1;
}

static inline int leave(void **state)
{
    char command[5000];
    (void)state;
    snprintf(command, sizeof(command), "rm -rf '%s'", home);
    return chdir("/") == 0 && system(command) == 0 ? 0 : -1;
}

#endif
