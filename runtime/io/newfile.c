#include "runtime/io/newfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "runtime/base/mem.h"
#include "runtime/base/text.h"
#include "runtime/base/units.h"

static const char temp_suffix[] = ".tmp";
static const char part_suffix[] = ".part";
static const char lock_suffix[] = ".lock";

enum { OWNER_SIZE = 128 }; /* "process 1234 on host" */

static status add_suffix(const char *path, const char *suffix, char **out)
{
    strbuf b = {0};

    strbuf_add(&b, path);
    strbuf_add(&b, suffix);
    return strbuf_take(&b, out);
}

static void release(newfile *f)
{
    if (f->fd >= 0) {
        close(f->fd); /* also gives up the lock */
    }
    mem_free(f->path);
    mem_free(f->target);
    mem_free(f->temp);
    *f = (newfile){.fd = -1};
}

/* ---- locks --------------------------------------------------------------- */

/* What this process writes into its locks. */
static void describe_owner(char out[OWNER_SIZE])
{
    char host[64] = "";

    (void)gethostname(host, sizeof(host) - 1);
    (void)snprintf(out, OWNER_SIZE, "process %ld on %s", (long)getpid(), host);
}

/* What the owner of a locked file wrote into it; "" if that was nothing, as
 * with temporaries, whose content is another. */
static void read_owner(int fd, char out[OWNER_SIZE])
{
    const ssize_t n = pread(fd, out, OWNER_SIZE - 1, 0);

    out[n > 0 ? n : 0] = '\0';
    if (!text_starts(out, "process ")) {
        out[0] = '\0';
    }
}

/* A lock that was left is empty or has its owner in it; anything else of that
 * name is somebody's file (package.lock). */
static bool is_lock(int fd)
{
    char owner[OWNER_SIZE];
    struct stat info;

    read_owner(fd, owner);
    return owner[0] != '\0' || (fstat(fd, &info) == 0 && info.st_size == 0);
}

static status fail_locked(const char *path, const char *owner)
{
    return FAIL(ST_LOCKED,
                "%s: another run%s%s%s is writing this file; wait for it or "
                "choose another name",
                path, owner[0] != '\0' ? " (" : "", owner,
                owner[0] != '\0' ? ")" : "");
}

/* Fails if another process has locked `name`, which need not be there. */
static status check_lock(const char *path, const char *name)
{
    char owner[OWNER_SIZE], self[OWNER_SIZE];
    status st = ST_OK;
    const int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    if (fd < 0) {
        return ST_OK; /* what is wrong with it shows when it is made */
    }
    /* Shared, so that two that only look do not meet. */
    if (flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        read_owner(fd, owner);
        describe_owner(self);
        st = strcmp(owner, self) == 0 ? ST_OK : fail_locked(path, owner);
    }
    close(fd);
    return st;
}

/* ---- what is ours -------------------------------------------------------- */

/*
 * An unfinished file has its sticky bit set, which on a file means nothing
 * else: from the instant it is made, through renames and after a crash. So a
 * left-over tells itself from somebody's file of that name. Where a file
 * system keeps no such bit, a left-over is taken for somebody's.
 */
enum { UNFINISHED = S_ISVTX };

/* An empty file is nobody's loss. */
static bool is_left_over(const struct stat *info)
{
    return S_ISREG(info->st_mode) &&
           ((info->st_mode & UNFINISHED) != 0 || info->st_size == 0);
}

/* Failure is no error: see above. */
static void mark(int fd, bool unfinished)
{
    struct stat info;

    if (fstat(fd, &info) == 0) {
        const mode_t mode = info.st_mode & 0777;
        (void)!fchmod(fd, unfinished ? mode | UNFINISHED : mode);
    }
}

static status fail_foreign(const char *path, const char *name)
{
    return FAIL(ST_CANTCREATE,
                "%s: %s is there and is no left-over of Weft, which would "
                "write there; move it away or choose another name",
                path, name);
}

/* Fails if `name` is there and is somebody's. */
static status check_left_over(const char *path, const char *target,
                              const char *suffix)
{
    struct stat info;
    char *name = NULL;
    status st = ST_OK;

    TRY(add_suffix(target, suffix, &name));
    if (lstat(name, &info) == 0 && !is_left_over(&info)) {
        st = fail_foreign(path, name);
    }
    mem_free(name);
    return st;
}

/* ---- locked files -------------------------------------------------------- */

/* True if fd still is what the name `temp` leads to. */
static bool is_same_file(int fd, const char *temp)
{
    struct stat mine, named;

    return fstat(fd, &mine) == 0 && stat(temp, &named) == 0 &&
           mine.st_dev == named.st_dev && mine.st_ino == named.st_ino;
}

/*
 * Opens, locks and empties `name`. Between open and flock another run may
 * have renamed its finished temporary, which then is somebody's result and
 * not ours to overwrite, or removed its lock; so we look again after locking.
 */
static status open_locked(const char *path, const char *name, int *out)
{
    const bool lock = text_ends(name, lock_suffix);
    const mode_t mode = lock ? 0666 : 0666 | UNFINISHED;
    struct stat info;
    int fd = -1;

    for (;;) {
        fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, mode);
        REQUIRE(fd >= 0, ST_CANTCREATE,
                "%s: cannot create %s: %s; choose another name or folder", path,
                text_path_base(name), strerror(errno));
        if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
            char owner[OWNER_SIZE];
            read_owner(fd, owner);
            close(fd);
            return fail_locked(path, owner);
        }
        if (is_same_file(fd, name)) {
            break;
        }
        close(fd);
    }
    if (lock && !is_lock(fd)) {
        close(fd);
        return FAIL(ST_CANTCREATE,
                    "%s: %s is there and is no lock of Weft, which would be "
                    "made there; choose another name",
                    path, name);
    }
    if (!lock && (fstat(fd, &info) != 0 || !is_left_over(&info))) {
        close(fd);
        return fail_foreign(path, name);
    }
    if (!lock) {
        mark(fd, true);
    }
    if (ftruncate(fd, 0) != 0) {
        const status st = FAIL(ST_IO, "%s: cannot empty a left-over: %s", name,
                               strerror(errno));
        close(fd);
        return st;
    }
    *out = fd;
    return ST_OK;
}

/* ---- looking ------------------------------------------------------------- */

static status check_folder(const char *path, const char *target)
{
    char *folder = NULL;
    status st = ST_OK;

    TRY(text_path_dir(target, &folder));
    if (!text_is_dir(folder)) {
        st = FAIL(ST_CANTCREATE,
                  "%s: cannot create: there is no folder %s; create it first "
                  "or choose another",
                  path, folder);
    } else if (access(folder, W_OK | X_OK) != 0) {
        st = FAIL(ST_CANTCREATE,
                  "%s: cannot create in %s: %s; choose another folder", path,
                  folder, strerror(errno));
    }
    mem_free(folder);
    return st;
}

static status check_unlocked(const char *path, const char *target,
                             const char *suffix)
{
    char *name = NULL;

    TRY(add_suffix(target, suffix, &name));
    const status st = check_lock(path, name);
    mem_free(name);
    return st;
}

status newfile_check(const char *path)
{
    struct stat info;
    char *target = NULL;
    status st = ST_OK;

    REQUIRE(path[0] != '\0', ST_CANTCREATE,
            "an output file has an empty name; give it a name");
    TRY(text_check_replace(path));
    TRY(text_path_target(path, &target));
    TRY_GOTO(check_folder(path, target), done);
    TRY_GOTO(check_unlocked(path, target, lock_suffix), done);
    TRY_GOTO(check_unlocked(path, target, temp_suffix), done);
    TRY_GOTO(check_left_over(path, target, temp_suffix), done);
    if (lstat(target, &info) == 0) {
        TRY_GOTO(check_left_over(path, target, part_suffix), done);
    }
done:
    mem_free(target);
    return st;
}

/* ---- a file -------------------------------------------------------------- */

status newfile_create(const char *path, newfile *out)
{
    newfile f = {.fd = -1};
    status st = ST_OK;

    TRY(newfile_check(path));
    TRY_GOTO(mem_strdup(path, &f.path), fail);
    TRY_GOTO(text_path_target(path, &f.target), fail);
    TRY_GOTO(add_suffix(f.target, temp_suffix, &f.temp), fail);
    TRY_GOTO(open_locked(path, f.temp, &f.fd), fail);
    *out = f;
    return ST_OK;
fail:
    release(&f);
    return st;
}

status newfile_show(newfile *f)
{
    struct stat info;
    char *name = NULL;
    status st = ST_OK;

    ASSERT(!f->shown);
    /* lstat: the target of a link that leads nowhere is free, too. */
    const bool taken = lstat(f->target, &info) == 0;
    if (taken) {
        TRY(check_left_over(f->path, f->target, part_suffix));
    } else {
        mark(f->fd, false); /* from now on it is the caller's */
    }
    TRY(add_suffix(f->target, taken ? part_suffix : "", &name));
    if (rename(f->temp, name) != 0) {
        st = FAIL(ST_CANTCREATE, "%s: cannot rename %s to %s: %s", f->path,
                  f->temp, name, strerror(errno));
        mem_free(name);
        return st;
    }
    mem_free(f->temp);
    f->temp = name;
    f->shown = true;
    /* Readers may lock it; the claim, if any, keeps other writers off. */
    (void)flock(f->fd, LOCK_UN);
    return ST_OK;
}

status newfile_commit(newfile *f)
{
    status st = ST_OK;

    mark(f->fd, false);
    if (fsync(f->fd) != 0) {
        st = FAIL(ST_IO, "%s: cannot write to disk: %s", f->temp,
                  strerror(errno));
        goto leave;
    }
    if (strcmp(f->temp, f->target) != 0 && rename(f->temp, f->target) != 0) {
        st = FAIL(ST_CANTCREATE, "%s: cannot rename %s to it: %s", f->path,
                  f->temp, strerror(errno));
        goto leave;
    }
    st = text_path_sync(f->target);
    release(f);
    return st;
leave:
    newfile_leave(f);
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

void newfile_leave(newfile *f)
{
    if (f->shown) {
        release(f);
    } else {
        newfile_abandon(f);
    }
}

/* ---- a claim ------------------------------------------------------------- */

static status write_owner(const newfile_claim *c, const char *path)
{
    char owner[OWNER_SIZE];

    describe_owner(owner);
    const ssize_t n = write(c->fd, owner, strlen(owner));
    REQUIRE(n == (ssize_t)strlen(owner), ST_IO, "%s: cannot write %s: %s", path,
            text_path_base(c->lock), strerror(errno));
    return ST_OK;
}

static status check_room(const char *path, const char *in, int64_t bytes)
{
    struct rlimit most;
    struct statvfs disk;

    REQUIRE(getrlimit(RLIMIT_FSIZE, &most) != 0 ||
                most.rlim_cur == RLIM_INFINITY ||
                (int64_t)most.rlim_cur >= bytes,
            ST_IO,
            "%s: takes %s, files may have %s here; raise the limit (ulimit "
            "-f)",
            path, units_bytes((double)bytes).s,
            units_bytes((double)most.rlim_cur).s);
    /* File systems without blocks do not tell. */
    if (statvfs(in, &disk) != 0 || disk.f_blocks == 0) {
        return ST_OK;
    }
    const fsblkcnt_t blocks = geteuid() == 0 ? disk.f_bfree : disk.f_bavail;
    const double free_bytes = (double)blocks * (double)disk.f_frsize;
    REQUIRE(free_bytes >= (double)bytes, ST_IO,
            "%s: takes %s, %s are free there; free some space or choose "
            "another folder",
            path, units_bytes((double)bytes).s, units_bytes(free_bytes).s);
    return ST_OK;
}

static status try_out(const newfile_claim *c, const char *path, int64_t bytes)
{
    newfile f;

    TRY(newfile_create(path, &f));
    newfile_abandon(&f);
    return check_room(path, c->lock, bytes);
}

status newfile_claim_take(const char *path, int64_t bytes, newfile_claim *out)
{
    newfile_claim c = {.fd = -1};
    char *target = NULL;
    status st = ST_OK;

    TRY(newfile_check(path));
    TRY(text_path_target(path, &target));
    TRY_GOTO(add_suffix(target, lock_suffix, &c.lock), done);
    TRY_GOTO(open_locked(path, c.lock, &c.fd), free_lock);
    TRY_GOTO(write_owner(&c, path), drop);
    TRY_GOTO(try_out(&c, path, bytes), drop);
    *out = c;
    goto done;
drop:
    newfile_claim_drop(&c);
free_lock:
    mem_free(c.lock);
done:
    mem_free(target);
    return st;
}

void newfile_claim_drop(newfile_claim *c)
{
    if (c->lock == NULL) {
        return;
    }
    unlink(c->lock);
    close(c->fd);
    mem_free(c->lock);
    *c = (newfile_claim){.fd = -1};
}
