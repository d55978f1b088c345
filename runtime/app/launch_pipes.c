#define _GNU_SOURCE /* pipe2 */
#include "runtime/app/launch_pipes.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/log.h"

static void shut(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
    }
    *fd = -1;
}

status pipes_init(job_pipes *p, bool out, bool err)
{
    *p = (job_pipes){.out = {-1, -1}, .err = {-1, -1}};
    if ((out && pipe2(p->out, O_CLOEXEC) != 0) ||
        (err && pipe2(p->err, O_CLOEXEC) != 0)) {
        int why = errno;
        pipes_fini(p);
        return FAIL(ST_SYSTEM, "cannot make a pipe: %s", strerror(why));
    }
    return ST_OK;
}

void pipes_become(const job_pipes *p, int null)
{
    (void)dup2(p->out[1] >= 0 ? p->out[1] : null, STDOUT_FILENO);
    if (p->err[1] >= 0) {
        (void)dup2(p->err[1], STDERR_FILENO);
    }
}

/* Returns errno, 0 if all is written. */
static int write_all(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, bytes, n);
        if (done < 0 && errno != EINTR) {
            return errno;
        }
        bytes += done > 0 ? done : 0;
        n -= done > 0 ? (size_t)done : 0;
    }
    return 0;
}

/* Up to len bytes; 0 at the end. */
static size_t take(int *from, char *bytes, size_t len)
{
    ssize_t n = -1;
    do {
        n = read(*from, bytes, len);
    } while (n < 0 && errno == EINTR);
    if (n <= 0) {
        shut(from);
    }
    return n > 0 ? (size_t)n : 0;
}

static void pass_out(job_pipes *p)
{
    char bytes[4096];
    size_t n = take(&p->out[0], bytes, sizeof(bytes));
    if (p->unwritten == 0) {
        p->unwritten = write_all(STDOUT_FILENO, bytes, n);
        if (p->unwritten != 0) {
            log_lost(p->unwritten);
        }
    }
}

static void pass_err(job_pipes *p)
{
    char bytes[4096];
    strbuf on = {0};
    size_t n = take(&p->err[0], bytes, sizeof(bytes));
    words_take(&p->said, bytes, n, &on);
    if (p->err[0] < 0) {
        words_end(&p->said, &on);
    }
    /* Nobody is left to be told of a failure. */
    (void)write_all(STDERR_FILENO, strbuf_view(&on), on.len);
    strbuf_fini(&on);
}

void pipes_pass_on(job_pipes *p)
{
    shut(&p->out[1]);
    shut(&p->err[1]);
    while (p->out[0] >= 0 || p->err[0] >= 0) {
        /* poll passes over what is negative. */
        struct pollfd ends[2] = {{.fd = p->out[0], .events = POLLIN},
                                 {.fd = p->err[0], .events = POLLIN}};
        if (poll(ends, 2, -1) < 0) {
            if (errno == EINTR) {
                continue;
            }
            break;
        }
        if (ends[0].revents != 0) {
            pass_out(p);
        }
        if (ends[1].revents != 0) {
            pass_err(p);
        }
    }
}

void pipes_fini(job_pipes *p)
{
    for (int i = 0; i < 2; i++) {
        shut(&p->out[i]);
        shut(&p->err[i]);
    }
    words_fini(&p->said);
}
