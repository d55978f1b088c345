/* What Weft finds out about a machine: control groups, the shelf of named
 * configurations, disks, io_uring, the HDF5 library. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/cgroup.h"
#include "runtime/base/mem.h"
#include "runtime/base/shelf.h"
#include "runtime/base/text.h"
#include "runtime/io/disk.h"
#include "runtime/io/h5.h"
#include "runtime/io/uring.h"

static char root[] = "/tmp/test_machine.XXXXXX";

static int make_root(void **state)
{
    (void)state;
    return mkdtemp(root) == NULL ? 1 : 0;
}

static int remove_root(void **state)
{
    (void)state;
    char command[128];
    (void)snprintf(command, sizeof(command), "rm -r %s", root);
    return system(command);
}

/* Writes root/PATH, folders on the way too. */
static void put(const char *path, const char *text)
{
    char full[256];
    char *dir = NULL;
    (void)snprintf(full, sizeof(full), "%s/%s", root, path);
    assert_int_equal(text_path_dir(full, &dir), ST_OK);
    assert_int_equal(text_make_dirs(dir), ST_OK);
    mem_free(dir);
    assert_int_equal(text_write_file(full, text, strlen(text)), ST_OK);
}

static cgroup_limits limits_of(const char *name)
{
    char full[256];
    (void)snprintf(full, sizeof(full), "%s/%s", root, name);
    return cgroup_read(full);
}

/* --- control groups ------------------------------------------------------- */

static void test_no_groups(void **state)
{
    (void)state;
    cgroup_limits l = limits_of("nothing");
    assert_true(l.memory_limit == INT64_MAX && l.memory_free == INT64_MAX);
    assert_true(l.cores == 0);
}

/* The limit is the parent's, the use of files does not count. */
static void test_groups_v2(void **state)
{
    (void)state;
    put("b/proc/self/cgroup", "0::/job/task\n");
    put("b/sys/fs/cgroup/job/task/memory.max", "max\n");
    put("b/sys/fs/cgroup/job/task/cpu.max", "max 100000\n");
    put("b/sys/fs/cgroup/job/memory.max", "1073741824\n");
    put("b/sys/fs/cgroup/job/memory.current", "536870912\n");
    put("b/sys/fs/cgroup/job/memory.stat",
        "anon 1\ninactive_file 268435456\nactive_file 7\n");
    put("b/sys/fs/cgroup/job/cpu.max", "150000 100000\n");
    cgroup_limits l = limits_of("b");
    assert_int_equal(l.memory_limit, 1 << 30);
    assert_int_equal(l.memory_free, (1 << 30) - (1 << 28));
    assert_true(l.cores == 1.5);
}

static void test_groups_v1(void **state)
{
    (void)state;
    put("a/proc/self/cgroup", "4:memory:/docker/1\n2:cpuacct,cpu:/docker/1\n"
                              "0::/\n");
    /* A container sees its own group at the top. */
    put("a/sys/fs/cgroup/memory/memory.limit_in_bytes", "2097152\n");
    put("a/sys/fs/cgroup/memory/memory.usage_in_bytes", "3145728\n");
    put("a/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "50000\n");
    put("a/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    cgroup_limits l = limits_of("a");
    assert_int_equal(l.memory_limit, 2097152);
    assert_int_equal(l.memory_free, 0); /* never negative */
    assert_true(l.cores == 0.5);
    put("a/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "9223372036854771712\n");
    put("a/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
    l = limits_of("a");
    assert_true(l.memory_limit == INT64_MAX && l.memory_free == INT64_MAX);
    assert_true(l.cores == 0);
}

/* What we are told of ourselves is what models are measured by. Others take
 * and give memory between two looks, so one of many pairs of them will do. */
static void test_available(void **state)
{
    (void)state;
    bool within = false;
    for (int i = 0; i < 1000 && !within; i++) {
        int64_t available = mem_host_available();
        assert_true(available > 0);
        within = available <= cgroup_read("").memory_free;
    }
    assert_true(within);
}

/* --- the shelf ------------------------------------------------------------ */

static void test_shelf(void **state)
{
    (void)state;
    char here[4096];
    char *path = NULL;
    char **names = NULL;
    assert_non_null(getcwd(here, sizeof(here)));
    put("configs/zoo/zebra.json", "{}");
    put("configs/zoo/ape.json", "{}");
    put("configs/zoo/.hidden.json", "{}");
    put("configs/zoo/readme.txt", "");
    assert_int_equal(chdir(root), 0);
    assert_int_equal(shelf_list("zoo", &names), ST_OK);
    assert_string_equal(names[0], "ape");
    assert_string_equal(names[1], "zebra");
    assert_null(names[2]);
    shelf_list_free(names);
    assert_int_equal(shelf_find("zoo", "zebra", &path), ST_OK);
    assert_string_equal(path, "configs/zoo/zebra.json");
    mem_free(path);
    assert_int_equal(shelf_find("zoo", "ape.json", &path), ST_OK);
    assert_string_equal(path, "configs/zoo/ape.json");
    mem_free(path);
    assert_int_equal(shelf_find("zoo", "yak", &path), ST_OK);
    assert_null(path);
    /* As people write it: a name, the path of a source tree, a file. */
    assert_int_equal(shelf_resolve("zoo", "ape", &path), ST_OK);
    assert_string_equal(path, "configs/zoo/ape.json");
    mem_free(path);
    put("ape", "{}");
    assert_int_equal(shelf_resolve("zoo", "ape", &path), ST_OK);
    assert_string_equal(path, "ape");
    mem_free(path);
    assert_int_equal(shelf_resolve("zoo", "elsewhere/ape.json", &path), ST_OK);
    assert_null(path);
    assert_int_equal(shelf_resolve("zoo", "configs/zoo/../ape", &path), ST_OK);
    assert_null(path);
    assert_int_equal(shelf_resolve("zoo", "configs/zoo/", &path), ST_OK);
    assert_null(path);
    assert_int_equal(shelf_fail_unknown("zoo", "beast", "zebro"), ST_NOINPUT);
    assert_string_equal(status_text(), "zebro: no such beast, did you mean "
                                       "\"zebra\"? configs/zoo has ape, zebra");
    assert_int_equal(shelf_list("no-such-kind", &names), ST_OK);
    assert_null(names[0]);
    shelf_list_free(names);
    shelf_list_free(NULL);
    assert_int_equal(chdir(here), 0);
    assert_int_equal(mem_live(), 0);
}

static void test_shelf_memory(void **state)
{
    (void)state;
    char **names = NULL;
    char *path = NULL;
    put("configs/zoo/ape.json", "{}");
    char here[4096];
    assert_non_null(getcwd(here, sizeof(here)));
    assert_int_equal(chdir(root), 0);
    int failures = 0;
    for (int n = 1; n < 40; n++) {
        mem_fail_after(n);
        status st = shelf_list("zoo", &names);
        mem_fail_after(n);
        status found = shelf_find("zoo", "ape", &path);
        mem_fail_after(0);
        failures += (st != ST_OK) + (found != ST_OK);
        assert_true(st == ST_OK || st == ST_SYSTEM);
        if (st == ST_OK) {
            shelf_list_free(names);
        }
        if (found == ST_OK) {
            mem_free(path);
        }
        assert_int_equal(mem_live(), 0);
    }
    assert_true(failures > 4);
    assert_int_equal(chdir(here), 0);
}

/* --- disks ---------------------------------------------------------------- */

static int files_in_root(void)
{
    int n = 0;
    DIR *dir = opendir(root);
    assert_non_null(dir);
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        n += e->d_type == DT_REG ? 1 : 0;
    }
    closedir(dir);
    return n;
}

static void test_disk(void **state)
{
    (void)state;
    disk_rates r;
    assert_int_equal(disk_measure(root, 9 << 20, 10, &r), ST_OK);
    assert_int_equal(r.bytes, 9 << 20);
    assert_true(r.write_per_s > 0 && r.write_per_s < 1e12);
    assert_true(r.read_per_s > 0 && r.read_per_s < 1e12);
    assert_true(r.fsync_s >= 0 && r.free_bytes > 0);
    assert_int_equal(files_in_root(), 0);
    /* Time is up at once: one block is written all the same. */
    assert_int_equal(disk_measure(root, 64 << 20, 0, &r), ST_OK);
    assert_int_equal(r.bytes, 8 << 20);
    int fd = -1;
    assert_int_equal(disk_scratch("/no/such/folder", &fd), ST_CANTCREATE);
    assert_non_null(strstr(status_text(), "/no/such/folder: no file can be"));
    assert_int_equal(fd, -1);
    if (geteuid() != 0) { /* root may write anywhere */
        assert_int_equal(disk_scratch("/", &fd), ST_LOCKED);
    }
    assert_int_equal(disk_measure("/no/such/folder", 1 << 20, 1, &r),
                     ST_NOINPUT);
    assert_int_equal(mem_live(), 0);
}

/* Where /proc/mounts says tmpfs, so do we. */
static void test_tmpfs(void **state)
{
    (void)state;
    char *mounts = NULL;
    disk_rates r;
    if (text_read_file("/proc/mounts", 1 << 24, &mounts, NULL) != ST_OK ||
        strstr(mounts, " /dev/shm tmpfs ") == NULL ||
        access("/dev/shm", W_OK) != 0) {
        print_message("no tmpfs on /dev/shm here\n");
        mem_free(mounts);
        return;
    }
    mem_free(mounts);
    assert_int_equal(disk_measure("/dev/shm", 1 << 20, 1, &r), ST_OK);
    assert_true(r.in_memory);
    assert_string_equal(r.kind, "tmpfs");
    assert_false(r.direct);
}

/* Works, or the kernel says why not; a file that cannot be written is told
 * from a ring that cannot be made. */
static void test_uring(void **state)
{
    (void)state;
    int fd = -1;
    assert_int_equal(disk_scratch(root, &fd), ST_OK);
    status st = uring_try(fd);
    assert_true(st == ST_OK || st == ST_SYSTEM);
    close(fd);
    if (st == ST_OK) {
        fd = open("/dev/null", O_RDONLY);
        assert_int_equal(uring_try(fd), ST_IO);
        assert_non_null(strstr(status_text(), "Bad file descriptor"));
        close(fd);
    }
}

static void test_h5_features(void **state)
{
    (void)state;
    h5_features f;
    assert_int_equal(h5_features_get(&f), ST_OK);
    assert_string_equal(f.version, f.header_version);
    assert_non_null(strstr(h5_library(), f.version));
    assert_true(f.gzip && f.shuffle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_groups), cmocka_unit_test(test_groups_v2),
        cmocka_unit_test(test_groups_v1), cmocka_unit_test(test_available),
        cmocka_unit_test(test_disk),      cmocka_unit_test(test_tmpfs),
        cmocka_unit_test(test_uring),     cmocka_unit_test(test_h5_features),
        cmocka_unit_test(test_shelf),     cmocka_unit_test(test_shelf_memory),
    };
    return cmocka_run_group_tests(tests, make_root, remove_root) != 0;
}
