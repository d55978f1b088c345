/*
 * Status and errors: how every function of Weft says that it failed.
 *
 * A function that can fail returns a `status`. The values are the exit codes
 * of the program (sysexits-like, see README), so main only returns what it
 * was handed. The first function that knows the error records one line of
 * text with FAIL(); callers pass the status on with TRY() or TRY_GOTO() and
 * add nothing. Outputs are set only on success.
 *
 * The text is kept per thread: a thread that fails copies it to the thread
 * that waits for it (status_text, status_set). Local, any thread.
 *
 *   REQUIRE  input is wrong: always on, returns a status
 *   ASSERT   our own bug: always on, prints and aborts the job
 *   DASSERT  our own bug in an inner loop: only with -DWEFT_DEBUG
 */
#ifndef WEFT_BASE_STATUS_H
#define WEFT_BASE_STATUS_H

#include <stdarg.h>
#include <stdbool.h>

typedef enum status {
    ST_OK = 0,
    ST_USAGE = 64,      /* wrong command line                              */
    ST_BADFILE = 65,    /* an input file is malformed                      */
    ST_NOINPUT = 66,    /* an input file or folder is missing              */
    ST_INTERNAL = 70,   /* an internal check failed                        */
    ST_SYSTEM = 71,     /* out of memory, threads, MPI failure             */
    ST_CANTCREATE = 73, /* an output cannot be created                     */
    ST_IO = 74,         /* read, write or flush failed; disk full          */
    ST_PEER = 75,       /* another rank is lost                            */
    ST_NUMERIC = 76,    /* NaN or Inf in loss or gradient norm             */
    ST_LOCKED = 77,     /* file is in use by another run, no permission    */
    ST_CONFIG = 78,     /* bad configuration: keys, values, ranks, rules   */
    ST_CORRUPT = 79,    /* a checksum does not match                       */
    ST_BUDGET = 80,     /* the plan exceeds the device memory              */
    ST_SIGNAL = 85      /* stopped by a signal after saving                */
} status;

#define MUST_USE __attribute__((warn_unused_result))

/* Records the text of an error (printf-like, one line, no newline, ends with
 * the likely repair where one is known) and returns `code`. */
#define FAIL(code, ...) status_fail((code), __FILE__, __LINE__, __VA_ARGS__)

#define TRY(expr)                                                              \
    do {                                                                       \
        status try_status_ = (expr);                                           \
        if (try_status_ != ST_OK) {                                            \
            return try_status_;                                                \
        }                                                                      \
    } while (0)

/* For functions with clean-up labels: sets the variable `st`, then jumps. */
#define TRY_GOTO(expr, label)                                                  \
    do {                                                                       \
        st = (expr);                                                           \
        if (st != ST_OK) {                                                     \
            goto label;                                                        \
        }                                                                      \
    } while (0)

#define REQUIRE(cond, code, ...)                                               \
    do {                                                                       \
        if (!(cond)) {                                                         \
            return FAIL((code), __VA_ARGS__);                                  \
        }                                                                      \
    } while (0)

#define ASSERT(cond)                                                           \
    ((cond) ? (void)0 : status_abort(__FILE__, __LINE__, #cond))

#ifdef WEFT_DEBUG
#define DASSERT(cond) ASSERT(cond)
#else
#define DASSERT(cond) ((void)sizeof(!(cond)))
#endif

/* Use the macro FAIL. The text is cut at STATUS_TEXT_MAX - 1 bytes. */
status status_fail(status code, const char *file, int line, const char *fmt,
                   ...) __attribute__((format(printf, 4, 5)));

/* The last recorded text of this thread, "" if none. Lends until the next
 * FAIL or status_set of this thread. */
const char *status_text(void);

/* Where it was recorded, "file:line", for --debug and bug reports. */
const char *status_where(void);

/* Takes over an error of another thread or rank. Returns `code`. */
status status_set(status code, const char *text);

/* Short English name of a code ("bad configuration"), never NULL. */
const char *status_name(status code);
/* True for the codes above: what a program of ours may end with. */
bool status_known(int code);

/* Prints the failed condition with rank and step, then aborts the process
 * through the hook that comm installs (MPI_Abort), or abort(). */
_Noreturn void status_abort(const char *file, int line, const char *cond);

/* comm installs the way to end the whole job; rank is printed. Local. */
void status_abort_hook(int rank, void (*hook)(int code));

enum { STATUS_TEXT_MAX = 2048 };

#endif
