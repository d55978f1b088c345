#include "runtime/io/newfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/mem.h"

static const char *temp_suffix = ".tmp";

static void release(newfile *f)
{
    if (f->fd >= 0) {
        close(f->fd); /* also gives up the lock */
    }
    mem_free(f->path);
    mem_free(f->temp);
    *f = (newfile){.fd = -1};
}

/* True if fd still is what the name `temp` leads to. */
static bool is_same_file(int fd, const char *temp)
{
    struct stat mine, named;

    return fstat(fd, &mine) == 0 && stat(temp, &named) == 0 &&
           mine.st_dev == named.st_dev && mine.st_ino == named.st_ino;
}

/*
 * Opens and locks f->temp. Between open and flock another run may have
 * renamed its finished temporary, which then is somebody's result and not
 * ours to overwrite; so we look again after locking.
 */
static status open_locked(newfile *f)
{
    for (;;) {
        f->fd = open(f->temp, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
        REQUIRE(f->fd >= 0, ST_CANTCREATE,
                "%s: cannot create: %s; create the folder first or choose "
                "another with --out or --save",
                f->temp, strerror(errno));
        if (flock(f->fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
            return FAIL(ST_LOCKED,
                        "%s: another run is writing this file; wait for it "
                        "or choose another name",
                        f->path);
        }
        if (is_same_file(f->fd, f->temp)) {
            break;
        }
        close(f->fd);
        f->fd = -1;
    }
    if (ftruncate(f->fd, 0) != 0) {
        return FAIL(ST_IO, "%s: cannot empty a left-over: %s", f->temp,
                    strerror(errno));
    }
    return ST_OK;
}

/* The folder part of a path, "." if it has none. */
static status folder_of(const char *path, char out[PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    /* The root keeps its slash. */
    const size_t len = slash == NULL   ? 1
                       : slash == path ? 1
                                       : (size_t)(slash - path);

    REQUIRE(len < PATH_MAX, ST_CANTCREATE, "%.60s...: the name is too long",
            path);
    memcpy(out, slash == NULL ? "." : path, len);
    out[len] = '\0';
    return ST_OK;
}

status newfile_check(const char *path)
{
    char folder[PATH_MAX];
    struct stat info;

    REQUIRE(path[0] != '\0', ST_CANTCREATE,
            "an output file has an empty name; give it a name");
    if (stat(path, &info) == 0) {
        REQUIRE(!S_ISDIR(info.st_mode), ST_CANTCREATE,
                "%s: is a folder; give the name of a file in it", path);
        /* A device or a pipe would be replaced by a file. */
        REQUIRE(S_ISREG(info.st_mode), ST_CANTCREATE,
                "%s: is there and is not a regular file; give another name",
                path);
    }
    TRY(folder_of(path, folder));
    REQUIRE(stat(folder, &info) == 0 && S_ISDIR(info.st_mode), ST_CANTCREATE,
            "%s: cannot create: there is no folder %s; create it first or "
            "choose another with --out or --save",
            path, folder);
    REQUIRE(access(folder, W_OK | X_OK) == 0, ST_CANTCREATE,
            "%s: cannot create in %s: %s; choose another folder with --out "
            "or --save",
            path, folder, strerror(errno));
    return ST_OK;
}

status newfile_create(const char *path, newfile *out)
{
    newfile f = {.fd = -1};
    status st = ST_OK;

    TRY(newfile_check(path));
    TRY_GOTO(mem_strdup(path, &f.path), fail);
    const size_t size = strlen(path) + strlen(temp_suffix) + 1;
    TRY_GOTO(MEM_NEW(&f.temp, size, "newfile"), fail);
    snprintf(f.temp, size, "%s%s", path, temp_suffix);
    TRY_GOTO(open_locked(&f), fail);
    *out = f;
    return ST_OK;
fail:
    release(&f);
    return st;
}

/* Makes the new name itself durable. Some file systems cannot fsync a
 * folder (EINVAL); they have nothing better to offer. */
static status sync_folder(const char *path)
{
    char folder[PATH_MAX];

    TRY(folder_of(path, folder));
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    REQUIRE(fd >= 0, ST_IO, "%s: cannot open the folder: %s", folder,
            strerror(errno));
    const int failed = fsync(fd) != 0 && errno != EINVAL ? errno : 0;
    close(fd);
    REQUIRE(failed == 0, ST_IO, "%s: cannot sync the folder: %s", folder,
            strerror(failed));
    return ST_OK;
}

status newfile_commit(newfile *f)
{
    status st = ST_OK;

    if (fsync(f->fd) != 0) {
        st = FAIL(ST_IO, "%s: cannot write to disk: %s", f->temp,
                  strerror(errno));
        goto abandon;
    }
    if (rename(f->temp, f->path) != 0) {
        st = FAIL(ST_CANTCREATE, "%s: cannot rename %s to it: %s", f->path,
                  f->temp, strerror(errno));
        goto abandon;
    }
    st = sync_folder(f->path);
    release(f);
    return st;
abandon:
    newfile_abandon(f);
    return st;
}

void newfile_abandon(newfile *f)
{
    if (f->temp == NULL) {
        return;
    }
    unlink(f->temp);
    release(f);
}
