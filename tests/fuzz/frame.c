#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "tests/fuzz/fuzz.h"

enum { NAMES_MAX = 16 };

/* A file that was made in the folder; fd -1: it is not there now. */
typedef struct made {
    char path[160];
    int fd;
} made;

static char folder[64];
static made files[NAMES_MAX];
static int count;
static bool keep; /* this run leaves something behind on purpose */

static void remove_folder(void)
{
    for (int i = 0; i < count; i++) {
        unlink(files[i].path);
    }
    rmdir(folder);
}

/* In memory where there is such a place: thousands of files a second. */
static void make_folder(void)
{
    (void)snprintf(folder, sizeof(folder), "%s/weft-fuzz-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    ASSERT(mkdtemp(folder) != NULL);
    atexit(remove_folder);
}

static made *find(const char *name)
{
    char path[sizeof(files[0].path)];

    if (folder[0] == '\0') {
        make_folder();
    }
    ASSERT(snprintf(path, sizeof(path), "%s/%s", folder, name) <
           (int)sizeof(path));
    for (int i = 0; i < count; i++) {
        if (strcmp(files[i].path, path) == 0) {
            return &files[i];
        }
    }
    ASSERT(count < NAMES_MAX);
    strcpy(files[count].path, path);
    files[count].fd = -1;
    return &files[count++];
}

const char *fuzz_file(const char *name, const uint8_t *data, size_t size)
{
    made *f = find(name);

    if (f->fd < 0) {
        f->fd = open(f->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        ASSERT(f->fd >= 0);
    }
    ASSERT(pwrite(f->fd, data, size, 0) == (ssize_t)size);
    ASSERT(ftruncate(f->fd, (off_t)size) == 0);
    return f->path;
}

void fuzz_remove(const char *name)
{
    made *f = find(name);

    if (f->fd >= 0) {
        ASSERT(unlink(f->path) == 0);
        close(f->fd);
        f->fd = -1;
    }
}

void fuzz_keep(void)
{
    keep = true;
}

void fuzz_check_refusal(status st)
{
    ASSERT(st != ST_OK && st != ST_INTERNAL);
    ASSERT(status_text()[0] != '\0');
    ASSERT(strchr(status_text(), '\n') == NULL);
}

int fuzz_run(void (*one)(const uint8_t *data, size_t size), const uint8_t *data,
             size_t size)
{
    const int64_t live = mem_live();

    log_init(0, LOG_ERROR);
    keep = false;
    one(data, size);
    ASSERT(mem_live() == live || keep);
    return 0;
}
