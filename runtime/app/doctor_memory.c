/*
 * Memory: what is free, what limits it, huge pages, shared memory.
 */
#define _GNU_SOURCE /* MADV_HUGEPAGE */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "runtime/app/doctor.h"
#include "runtime/base/cgroup.h"
#include "runtime/base/mem.h"
#include "runtime/base/units.h"

static void check_memory(doctor *d)
{
    cgroup_limits group = cgroup_read("");
    int64_t all = mem_proc_bytes("/proc/meminfo", "MemTotal:");
    int64_t left = mem_host_available();
    bool limited = group.memory_limit < all;
    strbuf b = {0};
    strbuf_printf(&b, "%s free of %s", units_bytes((double)left).s,
                  units_bytes((double)all).s);
    if (limited) {
        strbuf_printf(&b, ", a control group grants %s",
                      units_bytes((double)group.memory_limit).s);
    }
    strbuf_printf(&b, "; a streamed model of %s parameters at most",
                  units_count((double)left / 16).s);
    bool little = left < INT64_C(1) << 30;
    doctor_add(d, little || limited ? DOCTOR_WARNING : DOCTOR_OK, "memory",
               limited  ? "ask for more in the job or container if a model "
                          "does not fit"
               : little ? "stop what else runs here"
                        : NULL,
               "%s", strbuf_view(&b));
    strbuf_fini(&b);
}

/* --- limits of the process ------------------------------------------------ */

static void add_limit(strbuf *b, const char *what, int which, bool bytes)
{
    struct rlimit l;
    strbuf_printf(b, "%s%s ", b->len > 0 ? ", " : "", what);
    if (getrlimit((__rlimit_resource_t)which, &l) != 0) {
        strbuf_add(b, "unknown");
    } else if (l.rlim_cur == RLIM_INFINITY) {
        strbuf_add(b, "unlimited");
    } else if (bytes) {
        strbuf_printf(b, "%s", units_bytes((double)l.rlim_cur).s);
    } else {
        strbuf_printf(b, "%" PRIu64, (uint64_t)l.rlim_cur);
    }
}

static int64_t limit_of(int which)
{
    struct rlimit l;
    if (getrlimit((__rlimit_resource_t)which, &l) != 0 ||
        l.rlim_cur == RLIM_INFINITY) {
        return INT64_MAX;
    }
    return (int64_t)l.rlim_cur;
}

/* 64 files are more than a rank opens; Open MPI adds some for each rank of
 * the node. A locked page is needed by io_uring on old kernels only. */
static void check_limits(doctor *d)
{
    enum { FILES_LEAST = 256 };
    strbuf b = {0};
    add_limit(&b, "address space (-v)", RLIMIT_AS, true);
    add_limit(&b, "data (-d)", RLIMIT_DATA, true);
    add_limit(&b, "stack (-s)", RLIMIT_STACK, true);
    add_limit(&b, "locked (-l)", RLIMIT_MEMLOCK, true);
    add_limit(&b, "file size (-f)", RLIMIT_FSIZE, true);
    add_limit(&b, "open files (-n)", RLIMIT_NOFILE, false);
    const char *repair = NULL;
    if (limit_of(RLIMIT_AS) != INT64_MAX ||
        limit_of(RLIMIT_DATA) != INT64_MAX) {
        repair = "ulimit -v unlimited -d unlimited: a large model fails below "
                 "the memory there is";
    } else if (limit_of(RLIMIT_FSIZE) != INT64_MAX) {
        repair = "ulimit -f unlimited: a large checkpoint is cut off";
    } else if (limit_of(RLIMIT_NOFILE) < FILES_LEAST) {
        repair = "ulimit -n 1024";
    }
    doctor_add(d, repair != NULL ? DOCTOR_WARNING : DOCTOR_OK, "limits", repair,
               "%s", strbuf_view(&b));
    strbuf_fini(&b);
}

/* --- huge pages ----------------------------------------------------------- */

/* "always [madvise] never" -> "madvise". */
static void chosen_word(const char *path, char *out, size_t size)
{
    char line[128] = "";
    FILE *f = fopen(path, "r");
    if (f != NULL) {
        if (fgets(line, sizeof(line), f) == NULL) {
            line[0] = '\0';
        }
        (void)fclose(f);
    }
    char *from = strchr(line, '[');
    char *to = from != NULL ? strchr(from, ']') : NULL;
    if (to != NULL) {
        *to = '\0';
    }
    (void)snprintf(out, size, "%s", to != NULL ? from + 1 : "unknown");
}

/* Does as the arena does with 32 MiB, and asks how much of it came in huge
 * pages; -1 if it cannot be told. */
static int64_t huge_bytes(int64_t bytes)
{
    static const char rollup[] = "/proc/self/smaps_rollup";
    int64_t before = mem_proc_bytes(rollup, "AnonHugePages:");
    void *map = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED || before < 0) {
        return -1;
    }
    (void)madvise(map, (size_t)bytes, MADV_HUGEPAGE);
    memset(map, 1, (size_t)bytes);
    int64_t after = mem_proc_bytes(rollup, "AnonHugePages:");
    (void)munmap(map, (size_t)bytes);
    return after < 0 ? -1 : after - before;
}

static void check_huge_pages(doctor *d)
{
    const int64_t bytes = 32 << 20;
    char mode[32];
    chosen_word("/sys/kernel/mm/transparent_hugepage/enabled", mode,
                sizeof(mode));
    int64_t got = huge_bytes(bytes);
    if (got < 0) {
        doctor_add(d, DOCTOR_OK, "huge pages", NULL,
                   "mode %s; the kernel does not tell how many there are",
                   mode);
        return;
    }
    bool few = got < bytes / 2;
    doctor_add(d, few ? DOCTOR_WARNING : DOCTOR_OK, "huge pages",
               few ? "as root: echo madvise "
                     ">/sys/kernel/mm/transparent_hugepage/enabled"
                   : NULL,
               "mode %s, %s of %s came in them", mode,
               units_bytes((double)got).s, units_bytes((double)bytes).s);
}

/* --- /dev/shm ------------------------------------------------------------- */

/* Segments of jobs that were killed: ours, and older than an hour, so that no
 * job of now is meant. */
static int count_leftovers(const char *dir)
{
    enum { HOUR = 3600 };
    int n = 0;
    DIR *at = opendir(dir);
    struct dirent *e = NULL;
    struct stat s;
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    while (at != NULL && (e = readdir(at)) != NULL) {
        if (text_starts(e->d_name, "vader_segment.") &&
            fstatat(dirfd(at), e->d_name, &s, 0) == 0 &&
            s.st_uid == geteuid() && now.tv_sec - s.st_mtime > HOUR) {
            n++;
        }
    }
    if (at != NULL) {
        (void)closedir(at);
    }
    return n;
}

static void check_shm(doctor *d)
{
    static const char dir[] = "/dev/shm";
    const int64_t each = 16 << 20; /* Open MPI's segment of a rank, and room */
    struct statvfs s;
    if (statvfs(dir, &s) != 0 || access(dir, W_OK | X_OK) != 0) {
        doctor_add(d, DOCTOR_WARNING, dir,
                   "mount a tmpfs there; Open MPI puts its segments into /tmp "
                   "else",
                   "%s", strerror(errno));
        return;
    }
    int ranks = d->nranks > 4 ? d->nranks : 4;
    int64_t left = (int64_t)s.f_bavail * (int64_t)s.f_frsize;
    int old = count_leftovers(dir);
    const char *repair = NULL;
    if (left < each * ranks) {
        repair = "docker run --shm-size=1g, or mount -o remount,size=1g "
                 "/dev/shm";
    } else if (old > 0) {
        repair = "while no job runs: rm /dev/shm/vader_segment.*";
    }
    doctor_add(d, repair != NULL ? DOCTOR_WARNING : DOCTOR_OK, dir, repair,
               "%s free, %d left-over%s of killed jobs",
               units_bytes((double)left).s, old, old == 1 ? "" : "s");
}

void doctor_memory(doctor *d)
{
    check_memory(d);
    check_limits(d);
    check_huge_pages(d);
    check_shm(d);
}
