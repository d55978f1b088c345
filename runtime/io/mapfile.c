#define _GNU_SOURCE
#include "runtime/io/mapfile.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/mem.h"
#include "runtime/base/text.h"

/* --- files that are cut while they are read ------------------------------- */

enum { MAPS = 32, LINE_BYTES = 512 };

/* An open map, for the handler: a registry, because a signal has no argument
 * of ours. What it says is there before `begin` is. */
typedef struct watched {
    _Atomic(uintptr_t) begin; /* 0: a free slot                            */
    uintptr_t end;
    char line[LINE_BYTES];
} watched;

static watched maps[MAPS];
static struct sigaction before; /* us */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

/* Of another cause: as if we were not there. */
static void on_bus(int sig, siginfo_t *info, void *context)
{
    uintptr_t at = (uintptr_t)info->si_addr;
    (void)context;
    for (int i = 0; i < MAPS; i++) {
        uintptr_t begin = atomic_load(&maps[i].begin);
        if (begin != 0 && at >= begin && at < maps[i].end) {
            const char *line = maps[i].line;
            ssize_t said = write(STDERR_FILENO, line, strlen(line));
            _exit(said < 0 ? ST_INTERNAL : ST_IO);
        }
    }
    (void)sigaction(sig, &before, NULL);
}

static void catch_bus(void)
{
    struct sigaction sa;
    memset(&sa, 0, sizeof(sa));
    sa.sa_sigaction = on_bus;
    sa.sa_flags = SA_SIGINFO;
    (void)sigaction(SIGBUS, &sa, &before);
}

/* More than MAPS at once are not watched. */
static void watch(const mapfile *f)
{
    (void)pthread_once(&once, catch_bus);
    (void)pthread_mutex_lock(&mutex);
    for (int i = 0; i < MAPS; i++) {
        watched *w = &maps[i];
        if (atomic_load(&w->begin) == 0) {
            (void)snprintf(w->line, sizeof(w->line),
                           "weft: %.*s: was cut while it was read; put it "
                           "back whole and start again\n",
                           text_fit(f->path, 300), f->path);
            w->end = (uintptr_t)f->data + (uintptr_t)f->bytes;
            atomic_store(&w->begin, (uintptr_t)f->data);
            break;
        }
    }
    (void)pthread_mutex_unlock(&mutex);
}

static void watch_no_more(const mapfile *f)
{
    for (int i = 0; i < MAPS; i++) {
        if (atomic_load(&maps[i].begin) == (uintptr_t)f->data) {
            atomic_store(&maps[i].begin, 0);
        }
    }
}

/* --- opening -------------------------------------------------------------- */

/* Maps all of fd; nothing is read yet. */
static status map(const char *path, int fd, mapfile *f)
{
    struct stat info;

    REQUIRE(fstat(fd, &info) == 0, ST_IO, "%s: %s", path, strerror(errno));
    REQUIRE(!S_ISDIR(info.st_mode), ST_BADFILE,
            "%s: is a folder; give the name of a file in it", path);
    REQUIRE(S_ISREG(info.st_mode), ST_BADFILE,
            "%s: is not a regular file (a pipe or device); save it to a file "
            "first",
            path);
    REQUIRE(info.st_size > 0, ST_BADFILE, "%s: is empty", path);
    f->bytes = info.st_size;
    void *data = mmap(NULL, (size_t)f->bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    REQUIRE(data != MAP_FAILED, ST_SYSTEM, "%s: cannot be mapped: %s", path,
            strerror(errno));
    f->data = data;
    return ST_OK;
}

status mapfile_open(const char *path, mapfile *out)
{
    mapfile f = {0};

    /* Not blocking: a pipe by mistake would wait here for a writer. */
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        const bool denied = errno == EACCES || errno == EPERM;
        return FAIL(denied ? ST_LOCKED : ST_NOINPUT, "%s: %s; check the %s",
                    path, strerror(errno), denied ? "permissions" : "name");
    }
    status st = map(path, fd, &f);
    close(fd); /* the map lives on */
    if (st == ST_OK) {
        st = mem_strdup(path, &f.path);
    }
    if (st != ST_OK) {
        mapfile_close(&f);
        return st;
    }
    watch(&f);
    *out = f;
    return ST_OK;
}

void mapfile_close(mapfile *f)
{
    if (f->data != NULL) {
        watch_no_more(f);
        munmap((void *)(uintptr_t)f->data, (size_t)f->bytes);
    }
    mem_free(f->path);
    *f = (mapfile){0};
}
