#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "tests/fuzz/fuzz.h"

enum { NAMES_MAX = 16 };

static char folder[64];
static char names[NAMES_MAX][64]; /* files made in it */
static int count;

static void remove_folder(void)
{
    char path[160];

    for (int i = 0; i < count; i++) {
        (void)snprintf(path, sizeof(path), "%s/%.60s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
}

static void note_name(const char *name)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(names[i], name) == 0) {
            return;
        }
    }
    ASSERT(count < NAMES_MAX && strlen(name) < sizeof(names[0]));
    strcpy(names[count++], name);
}

/* In memory where there is such a place: thousands of files a second. */
static void make_folder(void)
{
    (void)snprintf(folder, sizeof(folder), "%s/weft-fuzz-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    ASSERT(mkdtemp(folder) != NULL);
    atexit(remove_folder);
}

const char *fuzz_file(const char *name, const uint8_t *data, size_t size)
{
    static char path[160];

    if (folder[0] == '\0') {
        make_folder();
    }
    note_name(name);
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    ASSERT(f != NULL);
    ASSERT(fwrite(data, 1, size, f) == size);
    ASSERT(fclose(f) == 0);
    return path;
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
    one(data, size);
    ASSERT(mem_live() == live);
    return 0;
}
