/*
 * The folder that results and checkpoints go to, and asynchronous I/O there.
 */
#include <sys/resource.h>
#include <unistd.h>

#include "runtime/app/doctor.h"
#include "runtime/base/units.h"
#include "runtime/io/disk.h"
#include "runtime/io/uring.h"

static void check_uring(doctor *d)
{
    int fd = -1;
    if (disk_scratch(d->dir, &fd) != ST_OK) {
        doctor_add(d, DOCTOR_WARNING, "io_uring", "see disk",
                   "not tried: there is no file to try it on");
        return;
    }
    status st = uring_try(fd);
    (void)close(fd);
    if (st == ST_OK) {
        doctor_add(d, DOCTOR_OK, "io_uring", NULL,
                   "a ring wrote 4 KiB and read them back");
    } else {
        doctor_add(d, DOCTOR_WARNING, "io_uring",
                   st == ST_SYSTEM
                       ? "let the container's seccomp profile and "
                         "/proc/sys/kernel/io_uring_disabled allow it; plain "
                         "reads and writes do, but cannot overlap"
                       : "give a --dir on another file system; plain reads "
                         "and writes do, but cannot overlap",
                   "%s", status_text());
    }
}

/* Within ulimit -f, beyond which a process is killed. */
static int64_t bytes_to_write(int64_t asked)
{
    struct rlimit l;
    if (getrlimit(RLIMIT_FSIZE, &l) == 0 && l.rlim_cur < (rlim_t)asked) {
        return (int64_t)l.rlim_cur / 4096 * 4096;
    }
    return asked;
}

/* By how disk_measure failed. */
static const char *repair_of(status st)
{
    switch (st) {
    case ST_LOCKED:
        return "give --dir a folder that this user may write to";
    case ST_IO:
        return "make room there, or give another --dir";
    default:
        return "give another --dir";
    }
}

static void check_disk(doctor *d)
{
    const double most_s = 3;
    const double slow = 50e6; /* a spinning disk does twice that */
    disk_rates r;
    status st = disk_measure(d->dir, bytes_to_write(d->disk_bytes), most_s, &r);
    if (st != ST_OK) {
        doctor_add(d, DOCTOR_PROBLEM, "disk", repair_of(st), "%s",
                   status_text());
        return;
    }
    strbuf b = {0};
    strbuf_printf(&b,
                  "%s: %s%swrites %s with fsync (%s of it), reads %s%s, "
                  "%s free",
                  d->dir, r.kind, r.kind[0] != '\0' ? ", " : "",
                  units_rate(r.write_per_s).s, units_seconds(r.fsync_s).s,
                  units_rate(r.read_per_s).s,
                  r.direct ? " past the cache" : " through the cache",
                  units_bytes((double)r.free_bytes).s);
    const char *repair = NULL;
    if (r.in_memory) {
        repair = "give a --dir on a disk: this one is memory, what is there "
                 "is lost with the machine and takes from models";
    } else if (r.write_per_s < slow) {
        repair = "use a local disk for --save and --out; network folders are "
                 "slow";
    }
    doctor_add(d, repair != NULL ? DOCTOR_WARNING : DOCTOR_OK, "disk", repair,
               "%s", strbuf_view(&b));
    strbuf_fini(&b);
}

void doctor_disk(doctor *d)
{
    check_uring(d);
    check_disk(d);
}
