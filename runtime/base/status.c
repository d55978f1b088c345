/*
 * Status texts are per thread, so that two workers that fail at once cannot
 * mix their lines. The abort hook is a registry: comm fills it once.
 */
#include "runtime/base/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/text.h"

enum { WHERE_MAX = 256 };

static _Thread_local char error_text[STATUS_TEXT_MAX];
static _Thread_local char error_where[WHERE_MAX];

static int abort_rank = -1; /* -1: comm has not started, no rank to name */
static void (*abort_hook)(int code) = NULL;

/* A text is one line by contract; control characters that came in with a
 * file name or a value must not break it or reach the terminal. */
static void flatten(char *text)
{
    for (char *c = text; *c != '\0'; c++) {
        unsigned char u = (unsigned char)*c;
        if (u < 0x20 || u == 0x7f) {
            *c = ' ';
        }
    }
}

status status_fail(status code, const char *file, int line, const char *fmt,
                   ...)
{
    /* Through a local buffer: an argument may be status_text() itself. */
    char text[STATUS_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    int n = text_vprint(text, sizeof(text), fmt, args);
    va_end(args);
    if (n < 0) {
        snprintf(text, sizeof(text), "(error text cannot be formatted)");
    }
    flatten(text);
    memcpy(error_text, text, sizeof(error_text));
    snprintf(error_where, sizeof(error_where), "%s:%d", file, line);
    return code;
}

const char *status_text(void)
{
    return error_text;
}

const char *status_where(void)
{
    return error_where;
}

status status_set(status code, const char *text)
{
    if (text != error_text) {
        text_copy(error_text, sizeof(error_text), text);
        flatten(error_text);
    }
    snprintf(error_where, sizeof(error_where), "(handed over)");
    return code;
}

const char *status_name(status code)
{
    switch (code) {
    case ST_OK:
        return "ok";
    case ST_USAGE:
        return "wrong command line";
    case ST_BADFILE:
        return "malformed input file";
    case ST_NOINPUT:
        return "missing input";
    case ST_INTERNAL:
        return "internal check failed";
    case ST_SYSTEM:
        return "system error";
    case ST_CANTCREATE:
        return "cannot create output";
    case ST_IO:
        return "input/output error";
    case ST_PEER:
        return "another rank is lost";
    case ST_NUMERIC:
        return "NaN or infinity";
    case ST_LOCKED:
        return "file in use or no permission";
    case ST_CONFIG:
        return "bad configuration";
    case ST_CORRUPT:
        return "checksum mismatch";
    case ST_BUDGET:
        return "over the device memory";
    case ST_SIGNAL:
        return "stopped by a signal";
    }
    return "unknown status";
}

bool status_known(int code)
{
    return strcmp(status_name((status)code), status_name((status)-1)) != 0;
}

_Noreturn void status_abort(const char *file, int line, const char *cond)
{
    if (abort_rank >= 0) {
        fprintf(stderr, "weft: rank %d: internal check failed: %s (%s:%d)\n",
                abort_rank, cond, file, line);
    } else {
        fprintf(stderr, "weft: internal check failed: %s (%s:%d)\n", cond, file,
                line);
    }
    fflush(stderr);
    if (abort_hook != NULL) {
        /* Cleared first: an ASSERT inside the hook must not come back here. */
        void (*hook)(int) = abort_hook;
        abort_hook = NULL;
        hook(ST_INTERNAL);
    }
    abort();
}

void status_abort_hook(int rank, void (*hook)(int code))
{
    abort_rank = rank;
    abort_hook = hook;
}
