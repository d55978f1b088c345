/*
 * Registry: rank, level, whether a progress line is on the screen, and why
 * standard output takes no more. Lines
 * are built in one buffer and written by one call, because ranks of a job
 * share the terminal.
 */
#include "runtime/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/text.h"

static int log_rank = 0;
static log_level level_now = LOG_INFO;
static bool terminal = false;
static atomic_bool progress_shown = false;
static atomic_int lost_why = 0; /* errno */

void log_init(int rank, log_level level)
{
    log_rank = rank;
    level_now = level;
    terminal = rank == 0 && isatty(STDERR_FILENO) == 1;
    /* A pipe gets every step line when it is printed, not 4 kB later. */
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
}

/* Wipes a progress line, so that the next line does not stand behind it. */
static void clear_progress(void)
{
    if (atomic_exchange(&progress_shown, false)) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
    }
}

static void print_line(const char *kind, const char *fmt, va_list args)
{
    char line[STATUS_TEXT_MAX + 128];
    size_t room = sizeof(line) - 1; /* one place for the newline */
    int n = 0;
    if (kind != NULL && log_rank > 0) {
        n = snprintf(line, room, "weft: rank %d: %s", log_rank, kind);
    } else if (kind != NULL) {
        n = snprintf(line, room, "weft: %s", kind);
    }
    text_vprint(line + n, room - (size_t)n, fmt, args);
    clear_progress();
    strcat(line, "\n");
    fflush(stdout); /* on a terminal both streams end up in one place */
    fputs(line, stderr);
    fflush(stderr);
}

void log_out(const char *fmt, ...)
{
    if (log_rank != 0) {
        return;
    }
    clear_progress();
    va_list args;
    va_start(args, fmt);
    errno = 0;
    (void)vprintf(fmt, args);
    const int why = errno;
    va_end(args);
    if (ferror(stdout)) {
        log_lost(why);
    }
}

void log_lost(int why)
{
    int none = 0;
    if (atomic_compare_exchange_strong(&lost_why, &none,
                                       why != 0 ? why : EIO) &&
        why == EPIPE) {
        log_warn("nobody reads standard output any more; what it would have "
                 "said is dropped, the work goes on");
    }
}

status log_finish(void)
{
    errno = 0;
    if (fflush(stdout) != 0 || ferror(stdout)) {
        log_lost(errno);
    }
    const int why = atomic_load(&lost_why);
    REQUIRE(why == 0 || why == EPIPE, ST_IO,
            "standard output cannot be written: %s", strerror(why));
    return ST_OK;
}

void log_error(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    print_line("", fmt, args);
    va_end(args);
}

void log_warn(const char *fmt, ...)
{
    if (level_now < LOG_WARN) {
        return;
    }
    va_list args;
    va_start(args, fmt);
    print_line("warning: ", fmt, args);
    va_end(args);
}

void log_info(const char *fmt, ...)
{
    if (level_now < LOG_INFO || log_rank != 0) {
        return;
    }
    va_list args;
    va_start(args, fmt);
    print_line(NULL, fmt, args);
    va_end(args);
}

void log_debug(const char *fmt, ...)
{
    if (level_now < LOG_DEBUG) {
        return;
    }
    va_list args;
    va_start(args, fmt);
    print_line("debug: ", fmt, args);
    va_end(args);
}

bool log_has_progress(void)
{
    return terminal && level_now >= LOG_INFO;
}

void log_progress(const char *fmt, ...)
{
    if (!log_has_progress()) {
        return;
    }
    char line[256];
    va_list args;
    va_start(args, fmt);
    text_vprint(line, sizeof(line), fmt, args);
    va_end(args);
    fprintf(stderr, "\r\033[K%s", line);
    fflush(stderr);
    atomic_store(&progress_shown, true);
}

void log_error_line(status st)
{
    bool handed_over = strcmp(status_where(), "(handed over)") == 0;
    const char *text = status_text();
    if (st == ST_OK || (handed_over && (log_rank != 0 || text[0] == '\0'))) {
        return;
    }
    log_error("%s", text[0] != '\0' ? text : status_name(st));
    log_debug("recorded at %s, status %d (%s)", status_where(), (int)st,
              status_name(st));
}
