/*
 * A child process that reads a file before we do.
 *
 * libhdf5 trusts what it parses: of the HDF Group's own collection of broken
 * files 8 of 147 end even the plainest reader with a signal and one never
 * ends (Debian 12's 1.10.8). So every file is opened first by a child that
 * walks through all of it: every link, attribute, type and shape, the index
 * of every chunked data set, and the start of all data. What a file does to
 * the library it does there, under limits of time and memory, and the parent
 * says so in one line.
 *
 * A child instead of a parser of our own for "the HDF5 that we write": users
 * bring files of h5py and netCDF as well, and a second implementation of
 * superblocks, object headers, heaps and B-trees would be longer than all of
 * runtime/io. A fork instead of an exec: no start-up (10 to 30 ms in all
 * for checkpoints of 3 to 450 data sets), and it works the same in every
 * program that reads a file. It is safe beside MPI and threads because the
 * child calls libhdf5 and system calls only, leaves by _exit, and never takes a
 * lock of ours.
 *
 * Files that lead elsewhere (external links and storage, virtual data sets)
 * and filters that nobody here writes are refused: Weft reads the file it was
 * given. What it does not catch is a file that harms without a signal.
 *
 * The walk ends at the first error, as good: an object that cannot be read
 * is the reader's to report, if it ever wants it.
 */
#define _GNU_SOURCE /* pipe2 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/mem.h"
#include "runtime/base/text.h"
#include "runtime/io/h5_impl.h"

enum {
    CPU_S = 2,              /* good files take milliseconds                  */
    WALL_MS = 60 * 1000,    /* a slow disk is not a hostile file             */
    ROOM_MIB = 1024,        /* of address space beyond what the process has  */
    BUFFER_BYTES = 1 << 20, /* read of one attribute or data set          */
    TOTAL_BYTES = 16 << 20, /* of a file                                  */
    WHY_BYTES = 200,
    EXIT_REFUSED = 3 /* with a reason in the pipe                         */
};

/* --- in the child --------------------------------------------------------- */

typedef struct probe {
    int to;       /* of the pipe             */
    size_t left;  /* bytes of data to read   */
    char *buffer; /* of BUFFER_BYTES         */
} probe;

static _Noreturn void refuse(const probe *p, const char *what, const char *name)
{
    char why[WHY_BYTES];

    const int n =
        snprintf(why, sizeof(why), "%.*s: %s", text_fit(name, 120), name, what);
    const ssize_t wrote = write(
        p->to, why, (size_t)n < sizeof(why) ? (size_t)n : sizeof(why) - 1);
    _exit(wrote < 0 ? EXIT_FAILURE : EXIT_REFUSED);
}

static herr_t visit_link(hid_t group, const char *name, const H5L_info_t *info,
                         void *self)
{
    (void)group;
    if (info->type != H5L_TYPE_HARD && info->type != H5L_TYPE_SOFT) {
        refuse(self, "is a link to another file", name);
    }
    return 0;
}

static herr_t visit_attr(hid_t object, const char *name, const H5A_info_t *info,
                         void *self)
{
    const probe *p = self;
    (void)info;

    const hid_t attr = H5Aopen(object, name, H5P_DEFAULT);
    const hid_t type = H5Aget_type(attr);
    const hid_t space = H5Aget_space(attr);
    const hid_t native = H5Tget_native_type(type, H5T_DIR_DEFAULT);
    const hssize_t n = H5Sget_simple_extent_npoints(space);
    const size_t bytes = H5Tget_size(native);
    if (n > 0 && bytes > 0 && (size_t)n <= BUFFER_BYTES / bytes) {
        H5Aread(attr, native, p->buffer);
    }
    h5_shut(native);
    h5_shut(space);
    h5_shut(type);
    h5_shut(attr);
    return 0;
}

static void check_storage(const probe *p, hid_t create, const char *name)
{
    if (H5Pget_layout(create) == H5D_VIRTUAL) {
        refuse(p, "is a view of other data sets", name);
    }
    if (H5Pget_external_count(create) > 0) {
        refuse(p, "has its data in another file", name);
    }
    const int filters = H5Pget_nfilters(create);
    for (int i = 0; i < filters; i++) {
        unsigned flags = 0, config = 0;
        size_t values = 0;
        const H5Z_filter_t id = H5Pget_filter2(create, (unsigned)i, &flags,
                                               &values, NULL, 0, NULL, &config);
        if (id != H5Z_FILTER_DEFLATE && id != H5Z_FILTER_SHUFFLE &&
            id != H5Z_FILTER_FLETCHER32) {
            refuse(p,
                   "is packed by a filter other than deflate, shuffle and "
                   "fletcher32",
                   name);
        }
    }
}

/* A block at the start that has at most `most` elements: whole rows of the
 * last dimensions, one of the first. Its elements; 0: nothing to read. */
static size_t select_start(hid_t space, size_t most)
{
    hsize_t dim[H5S_MAX_RANK], start[H5S_MAX_RANK] = {0}, n = 1;

    const int dims = H5Sget_simple_extent_dims(space, dim, NULL);
    if (dims < 0 || most == 0 || H5Sget_simple_extent_type(space) == H5S_NULL) {
        return 0;
    }
    for (int i = dims - 1; i >= 0; i--) {
        const hsize_t fit = most / n;
        dim[i] = dim[i] < fit ? dim[i] : fit;
        n *= dim[i];
        if (n == 0) {
            return 0;
        }
    }
    if (dims > 0 && H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, dim,
                                        NULL) < 0) {
        return 0;
    }
    return n;
}

/* Numbers as the readers take them; others as they are. */
static hid_t type_to_read(hid_t type)
{
    switch (H5Tget_class(type)) {
    case H5T_FLOAT:
        return H5Tcopy(H5T_NATIVE_FLOAT);
    case H5T_INTEGER:
        return H5Tcopy(H5T_NATIVE_INT64);
    default:
        return H5Tget_native_type(type, H5T_DIR_DEFAULT);
    }
}

static void read_start(probe *p, hid_t set)
{
    const hid_t type = H5Dget_type(set);
    const hid_t space = H5Dget_space(set);
    const hid_t native = type_to_read(type);
    const size_t bytes = H5Tget_size(native);
    const size_t room = BUFFER_BYTES < p->left ? BUFFER_BYTES : p->left;
    const size_t n = bytes > 0 ? select_start(space, room / bytes) : 0;

    if (n > 0) {
        const hsize_t length = n;
        const hid_t memory = H5Screate_simple(1, &length, NULL);
        H5Dread(set, native, memory, space, H5P_DEFAULT, p->buffer);
        h5_shut(memory);
        p->left -= n * bytes;
    }
    h5_shut(native);
    h5_shut(space);
    h5_shut(type);
}

static void visit_data(probe *p, hid_t set, const char *name)
{
    const hid_t create = H5Dget_create_plist(set);

    check_storage(p, create, name);
    h5_shut(create);
    (void)H5Dget_storage_size(set); /* walks the index of the chunks */
    (void)H5Dget_offset(set);
    read_start(p, set);
}

static herr_t pass(hid_t group, const char *name, const H5L_info_t *info,
                   void *self)
{
    (void)group;
    (void)name;
    (void)info;
    (void)self;
    return 0;
}

static herr_t visit_object(hid_t root, const char *name, const H5O_info_t *info,
                           void *self)
{
    const hid_t object = H5Oopen(root, name, H5P_DEFAULT);

    H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, visit_attr, self);
    if (info->type == H5O_TYPE_DATASET) {
        visit_data(self, object, name);
    } else if (info->type == H5O_TYPE_GROUP) {
        /* The index that h5_group_member uses; old files have none. */
        H5Literate(object, H5_INDEX_CRT_ORDER, H5_ITER_INC, NULL, pass, NULL);
    }
    h5_shut(object);
    return 0;
}

static void walk(probe *p, const char *path)
{
    /* The library uses memory that it never set (a table of links, when its
     * reading fails): what it finds there is to be harmful here, so that it
     * is not harmful only later. */
    mallopt(M_PERTURB, 0xa5);
    const hid_t file = H5Fopen(path, H5F_ACC_RDONLY, h5_access_list(false));
    if (file >= 0) {
        H5Lvisit(file, H5_INDEX_NAME, H5_ITER_NATIVE, visit_link, p);
        H5Ovisit2(file, H5_INDEX_NAME, H5_ITER_NATIVE, visit_object, p,
                  H5O_INFO_BASIC);
    }
}

/* Pages of address space that the process has now, in bytes. */
static rlim_t address_bytes(void)
{
    char text[64] = "";

    const int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    const ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;
    if (fd >= 0) {
        close(fd);
    }
    return n > 0 ? strtoull(text, NULL, 10) * (rlim_t)sysconf(_SC_PAGESIZE) : 0;
}

static void limit(int what, rlim_t most)
{
    struct rlimit now;

    if (getrlimit(what, &now) == 0) {
        now.rlim_max = now.rlim_max < most ? now.rlim_max : most;
        now.rlim_cur = now.rlim_max;
        (void)setrlimit(what, &now);
    }
}

/* Signals end it at once and in silence, whoever catches them otherwise. */
static void live_quietly(void)
{
    static const int fatal[] = {SIGSEGV, SIGBUS,  SIGFPE,  SIGILL, SIGABRT,
                                SIGTERM, SIGXCPU, SIGALRM, SIGSYS};
    sigset_t none;

    for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++) {
        signal(fatal[i], SIG_DFL);
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (null >= 0) {
        dup2(null, STDERR_FILENO);
    }
    const rlim_t now = address_bytes();
    if (now > 0) {
        limit(RLIMIT_AS, now + (rlim_t)ROOM_MIB * 1048576);
    }
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_CPU, CPU_S);
}

static _Noreturn void run_child(const char *path, int to, char *buffer)
{
    probe p = {.to = to, .left = TOTAL_BYTES, .buffer = buffer};

    live_quietly();
    walk(&p, path);
    _exit(EXIT_SUCCESS);
}

/* --- in the parent -------------------------------------------------------- */

/* What the child said until it ended; false if it did not in time. */
static bool listen_to(int from, char why[WHY_BYTES])
{
    size_t n = 0;

    for (;;) {
        struct pollfd p = {.fd = from, .events = POLLIN};
        const int ready = poll(&p, 1, WALL_MS);
        if (ready < 0 && errno == EINTR) {
            continue;
        }
        const ssize_t k =
            ready > 0 ? read(from, why + n, WHY_BYTES - 1 - n) : -1;
        if (k <= 0) {
            why[n] = '\0';
            return k == 0;
        }
        n += (size_t)k;
    }
}

static int wait_for(pid_t child)
{
    int how = 0;

    while (waitpid(child, &how, 0) < 0 && errno == EINTR) {
    }
    return how;
}

static status judge(const char *path, int how, bool ended, char *why)
{
    for (char *c = why; *c != '\0'; c++) {
        if ((unsigned char)*c < ' ') {
            *c = '?';
        }
    }
    if (WIFEXITED(how) && WEXITSTATUS(how) == EXIT_SUCCESS) {
        return ST_OK;
    }
    if (WIFEXITED(how) && WEXITSTATUS(how) == EXIT_REFUSED) {
        return FAIL(ST_BADFILE,
                    "%s: %s, which Weft does not read; write it into a plain "
                    "file (h5repack, h5py)",
                    path, why);
    }
    const int by = WIFSIGNALED(how) ? WTERMSIG(how) : 0;
    if (!ended || by == SIGXCPU || by == SIGKILL) {
        return FAIL(ST_BADFILE,
                    "%s: is damaged: the HDF5 library does not come to an end "
                    "with it; copy it again or use an older one",
                    path);
    }
    return FAIL(ST_BADFILE,
                "%s: is damaged: it would crash the HDF5 library (%s); copy "
                "it again or use an older one",
                path, by != 0 ? strsignal(by) : "it ended by itself");
}

static status run_probe(const char *path, char *buffer)
{
    int ends[2];
    char why[WHY_BYTES] = "";

    REQUIRE(pipe2(ends, O_CLOEXEC) == 0, ST_SYSTEM,
            "%s: no pipe to a process that looks at it: %s", path,
            strerror(errno));
    const pid_t child = fork();
    if (child == 0) {
        run_child(path, ends[1], buffer);
    }
    close(ends[1]);
    if (child < 0) {
        close(ends[0]);
        return FAIL(ST_SYSTEM, "%s: no process to look at it: %s", path,
                    strerror(errno));
    }
    const bool ended = listen_to(ends[0], why);
    close(ends[0]);
    if (!ended) {
        kill(child, SIGKILL);
    }
    return judge(path, wait_for(child), ended, why);
}

status h5_probe(const char *path)
{
    char *buffer = NULL;

    /* Made here, since the child takes no lock of ours. */
    TRY(MEM_NEW(&buffer, BUFFER_BYTES, "h5"));
    const status st = run_probe(path, buffer);
    mem_free(buffer);
    return st;
}
