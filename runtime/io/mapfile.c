#include "runtime/io/mapfile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/mem.h"

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
    *out = f;
    return ST_OK;
}

void mapfile_close(mapfile *f)
{
    if (f->data != NULL) {
        munmap((void *)(uintptr_t)f->data, (size_t)f->bytes);
    }
    mem_free(f->path);
    *f = (mapfile){0};
}
