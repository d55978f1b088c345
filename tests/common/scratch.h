/*
 * What tests of files have in common: a folder of their own, paths in it,
 * files put there, and words of an error.
 *
 * Included by one test program each, which makes the folder in its group's
 * set-up: drop_folder wants it empty again, wipe_folder removes what is left;
 * both fail where memory is. Local.
 */
#ifndef WEFT_TESTS_COMMON_SCRATCH_H
#define WEFT_TESTS_COMMON_SCRATCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/base/mem.h"
#include "runtime/base/status.h"

static char folder[80]; /* below TMPDIR, which has to be short */

/* The path of a file in the folder; the last four are kept. */
static inline const char *path_of(const char *name)
{
    static char path[4][256];
    static int next;
    char *out = path[next++ % 4];

    assert_true(snprintf(out, sizeof(path[0]), "%s/%s", folder, name) <
                (int)sizeof(path[0]));
    return out;
}

/* Writes a file there; its path. */
static inline const char *put(const char *name, const void *data, size_t bytes)
{
    const char *path = path_of(name);
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, bytes, f), bytes);
    assert_int_equal(fclose(f), 0);
    return path;
}

static inline const char *put_text(const char *name, const char *text)
{
    return put(name, text, strlen(text));
}

static inline void check(status st, int line)
{
    if (st != ST_OK) {
        fail_msg("line %d: %s", line, status_text());
    }
}
#define OK(call) check((call), __LINE__)

/* The last error says `part`. */
static inline void has_text(const char *part)
{
    if (strstr(status_text(), part) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", part, status_text());
    }
}

static inline int make_folder(void **state)
{
    const char *tmp = getenv("TMPDIR");
    (void)state;
    const int n = snprintf(folder, sizeof(folder), "%s/weft-test-XXXXXX",
                           tmp != NULL ? tmp : "/tmp");
    return n >= (int)sizeof(folder) || mkdtemp(folder) == NULL;
}

static inline int drop_folder(void **state)
{
    (void)state;
    return rmdir(folder) != 0 || mem_live() != 0;
}

static inline int wipe_folder(void **state)
{
    char command[128];
    (void)state;

    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    return system(command) != 0 || mem_live() != 0;
}

#endif
