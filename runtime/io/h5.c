#define _GNU_SOURCE /* memfd_create, fallocate */
#include "runtime/io/h5.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/base/text.h"
#include "runtime/io/h5_impl.h"
#include "runtime/io/seal.h"

enum { PAGE_BYTES = 4096 /* what O_DIRECT needs on every disk we met */ };

/* ---- errors and handles -------------------------------------------------- */

/* HDF5 walks from the innermost failure outwards; the first entry is the
 * reason, the others only say who called. */
static herr_t keep_first(unsigned n, const H5E_error2_t *entry, void *out)
{
    if (n == 0 && entry->desc != NULL) {
        snprintf(out, STATUS_TEXT_MAX / 4, "%s", entry->desc);
    }
    return 0;
}

/* Failed system calls come with time, file, descriptor and buffer state over
 * several lines; what strerror said stands in quotes among them. Cuts `why`
 * there and returns the part that matters. */
static const char *system_reason(char *why)
{
    static const char mark[] = "error message = '";
    char *at = strstr(why, mark);

    if (at == NULL) {
        return why;
    }
    at += sizeof(mark) - 1;
    at[strcspn(at, "'")] = '\0';
    return at;
}

status h5_fail(const char *file, int line, const char *path, status code,
               const char *object, const char *what)
{
    char why[STATUS_TEXT_MAX / 4] = "";

    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_first, why);
    H5Eclear2(H5E_DEFAULT);
    const char *reason = system_reason(why);
    for (char *c = why; *c != '\0'; c++) {
        if (*c == '\n' || *c == '\r') {
            *c = ' ';
        }
    }
    return status_fail(code, file, line, "%s%s%s: %s%s%s%s", path,
                       object != NULL ? ": " : "", object != NULL ? object : "",
                       what, reason[0] != '\0' ? " (HDF5: " : "", reason,
                       reason[0] != '\0' ? ")" : "");
}

void h5_shut(hid_t id)
{
    if (id < 0) {
        return;
    }
    switch (H5Iget_type(id)) {
    case H5I_GROUP:
        H5Gclose(id);
        break;
    case H5I_DATATYPE:
        H5Tclose(id);
        break;
    case H5I_DATASPACE:
        H5Sclose(id);
        break;
    case H5I_DATASET:
        H5Dclose(id);
        break;
    case H5I_ATTR:
        H5Aclose(id);
        break;
    case H5I_GENPROP_LST:
        H5Pclose(id);
        break;
    default:
        H5Oclose(id);
        break;
    }
}

/* ---- types --------------------------------------------------------------- */

/* bfloat16 as HDF5 sees it: the upper half of an IEEE single. h5py and
 * h5dump then show right numbers without knowing about it. */
static hid_t type_bf16(void)
{
    const hid_t t = H5Tcopy(H5T_IEEE_F32LE);

    if (t < 0 || H5Tset_fields(t, 15, 7, 8, 0, 7) < 0 ||
        H5Tset_precision(t, 16) < 0 || H5Tset_size(t, 2) < 0 ||
        H5Tset_ebias(t, 127) < 0) {
        h5_shut(t);
        return H5I_INVALID_HID;
    }
    return t;
}

hid_t h5_type_in_file(h5_type type)
{
    switch (type) {
    case H5_F32:
        return H5Tcopy(H5T_IEEE_F32LE);
    case H5_F64:
        return H5Tcopy(H5T_IEEE_F64LE);
    case H5_I64:
        return H5Tcopy(H5T_STD_I64LE);
    case H5_I32:
        return H5Tcopy(H5T_STD_I32LE);
    case H5_U8:
        return H5Tcopy(H5T_STD_U8LE);
    case H5_BF16:
        return type_bf16();
    case H5_TEXT:
        break; /* has no width of its own: only a field of a table */
    }
    return H5I_INVALID_HID;
}

/* The host is little-endian (checked in tokens.c), so both are the same. */
hid_t h5_type_in_memory(h5_type type)
{
    return h5_type_in_file(type);
}

size_t h5_type_bytes(h5_type type)
{
    static const size_t bytes[] = {
        [H5_F32] = 4, [H5_F64] = 8, [H5_I64] = 8,
        [H5_I32] = 4, [H5_U8] = 1,  [H5_BF16] = 2,
    };

    ASSERT((size_t)type < sizeof(bytes) / sizeof(bytes[0]));
    return bytes[type];
}

hid_t h5_type_text(size_t bytes, bool utf8)
{
    const hid_t t = H5Tcopy(H5T_C_S1);

    if (t < 0 || H5Tset_size(t, bytes > 0 ? bytes : 1) < 0 ||
        H5Tset_strpad(t, H5T_STR_NULLPAD) < 0 ||
        H5Tset_cset(t, utf8 ? H5T_CSET_UTF8 : H5T_CSET_ASCII) < 0) {
        h5_shut(t);
        return H5I_INVALID_HID;
    }
    return t;
}

/* ---- opening ------------------------------------------------------------- */

static status file_new(const char *path, h5_file **out)
{
    h5_file *f;
    status st = ST_OK;

    /* Files are closed by hand; see divert for what may be left at exit. */
    H5dont_atexit();
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    TRY(MEM_NEW(&f, 1, "h5"));
    f->id = H5I_INVALID_HID;
    f->temp.fd = -1;
    TRY_GOTO(mem_strdup(path, &f->path), fail);
    *out = f;
    return ST_OK;
fail:
    mem_free(f);
    return st;
}

static void file_free(h5_file **f)
{
    newfile_leave(&(*f)->temp);
    mem_free((*f)->path);
    mem_free(*f);
    *f = NULL;
}

hid_t h5_access_list(bool aligned)
{
    const hid_t p = H5Pcreate(H5P_FILE_ACCESS);

    if (p < 0 ||
        H5Pset_libver_bounds(p, H5F_LIBVER_EARLIEST, H5F_LIBVER_V18) < 0 ||
        H5Pset_file_locking(p, 0, 1) < 0 ||
        H5Pset_fclose_degree(p, H5F_CLOSE_STRONG) < 0 ||
        (aligned && H5Pset_alignment(p, PAGE_BYTES, PAGE_BYTES) < 0)) {
        h5_shut(p);
        return H5I_INVALID_HID;
    }
    return p;
}

static status file_make(h5_file *f, const char *name)
{
    const hid_t access = h5_access_list(f->aligned);
    const hid_t create = H5Pcreate(H5P_FILE_CREATE);

    if (access >= 0 && create >= 0 &&
        H5Pset_link_creation_order(create, H5P_CRT_ORDER_TRACKED |
                                               H5P_CRT_ORDER_INDEXED) >= 0) {
        f->id = H5Fcreate(name, H5F_ACC_TRUNC, create, access);
    }
    f->writable = true;
    const status st =
        f->id >= 0
            ? ST_OK
            : H5_FAIL(f, ST_CANTCREATE, NULL,
                      "cannot create; check that the folder exists and may "
                      "be written");
    h5_shut(create);
    h5_shut(access);
    return st;
}

status h5_create(const char *path, h5_mode mode, h5_file **out)
{
    h5_file *f;
    status st = ST_OK;

    TRY(file_new(path, &f));
    f->aligned = mode == H5_ALIGNED;
    TRY_GOTO(newfile_create(path, &f->temp), fail);
    TRY_GOTO(file_make(f, f->temp.temp), fail);
    *out = f;
    return ST_OK;
fail:
    file_free(&f);
    return st;
}

status h5_live_create(const char *path, h5_file **out)
{
    h5_file *f;

    TRY(h5_create(path, H5_PLAIN, &f));
    f->live = true;
    *out = f;
    return ST_OK;
}

status h5_live_show(h5_file *f)
{
    ASSERT(f->live);
    TRY(h5_flush(f));
    return newfile_show(&f->temp);
}

/* By errno: there is no such file, or it may not be opened. */
static status fail_access(const h5_file *f)
{
    const bool denied = errno == EACCES || errno == EPERM || errno == EROFS;

    return FAIL(denied ? ST_LOCKED : ST_NOINPUT, "%s: %s; check the %s",
                f->path, strerror(errno), denied ? "permissions" : "name");
}

/* A file that is what we wrote is good, one that says so and is not is bad,
 * any other may be anything. One that is to be written is no longer what it
 * was sealed as. */
static status look_before(const h5_file *f, bool writable)
{
    int64_t bytes = -1;

    const int fd = open(f->path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    REQUIRE(fd >= 0, errno == EACCES ? ST_LOCKED : ST_NOINPUT,
            "%s: cannot be opened: %s", f->path, strerror(errno));
    status st = seal_check(fd, f->path, &bytes);
    if (st == ST_OK && bytes >= 0 && writable) {
        st = seal_cut(fd, f->path);
    }
    close(fd);
    return st == ST_OK && bytes < 0 ? h5_probe(f->path) : st;
}

/* One line each for missing, a folder, no permission, foreign, truncated. */
static status file_open(h5_file *f, bool writable)
{
    struct stat info;

    if (stat(f->path, &info) != 0) {
        return fail_access(f);
    }
    REQUIRE(!S_ISDIR(info.st_mode), ST_BADFILE,
            "%s: is a folder; give an HDF5 file (of a Hugging Face folder weft "
            "convert makes one)",
            f->path);
    REQUIRE(S_ISREG(info.st_mode), ST_BADFILE,
            "%s: is not a regular file; give an HDF5 file", f->path);
    REQUIRE(info.st_size > 0, ST_BADFILE,
            "%s: is empty; an HDF5 file was expected", f->path);
    if (access(f->path, writable ? R_OK | W_OK : R_OK) != 0) {
        return fail_access(f);
    }
    const htri_t is = H5Fis_hdf5(f->path);
    if (is < 0) {
        return H5_FAIL(f, ST_NOINPUT, NULL, "cannot be read");
    }
    REQUIRE(is > 0, ST_BADFILE,
            "%s: is not an HDF5 file (signature not found)%s", f->path,
            text_ends(f->path, ".safetensors")
                ? "; weft convert makes one of the folder that it is in"
                : "");
    TRY(look_before(f, writable));
    const hid_t access = h5_access_list(false);
    f->writable = writable;
    f->id = H5Fopen(f->path, writable ? H5F_ACC_RDWR : H5F_ACC_RDONLY, access);
    const status st =
        f->id >= 0 ? ST_OK
                   : H5_FAIL(f, ST_BADFILE, NULL,
                             "is truncated or damaged and cannot be opened; "
                             "copy it again or use an older one");
    h5_shut(access);
    return st;
}

static status open_as(const char *path, bool writable, h5_file **out)
{
    h5_file *f;

    TRY(file_new(path, &f));
    const status st = file_open(f, writable);
    if (st != ST_OK) {
        file_free(&f);
        return st;
    }
    *out = f;
    return ST_OK;
}

status h5_open(const char *path, h5_file **out)
{
    return open_as(path, false, out);
}

status h5_live_open(const char *path, h5_file **out)
{
    return open_as(path, true, out);
}

/* ---- finishing ----------------------------------------------------------- */

/* The file's descriptor, -1 if there is none. */
static int descriptor(const h5_file *f)
{
    void *handle = NULL;

    if (H5Fget_vfd_handle(f->id, H5P_DEFAULT, &handle) < 0) {
        return -1;
    }
    return *(const int *)handle;
}

/*
 * HDF5 cannot drop a file: closing writes what is buffered, and when that
 * fails (disk full) the library frees the file but keeps its handle, and
 * crashes over it at MPI_Finalize. So a file that is given up gets memory in
 * place of the disk first, where the last writes succeed and are forgotten.
 * Closing also reads back what the library has put out of its cache, so the
 * memory begins as a copy of the file, up to a length that no file reaches
 * but checkpoints, of which only the start is ever read back.
 */
static void divert(h5_file *f)
{
    enum { CHUNK = 65536, COPY_MOST = 64 * 1048576 };
    char *chunk = NULL;
    const int disk = descriptor(f);
    const int memory = disk >= 0 ? memfd_create("h5", MFD_CLOEXEC) : -1;

    if (memory < 0) {
        return;
    }
    ssize_t n = MEM_NEW(&chunk, CHUNK, "h5") == ST_OK ? 1 : 0;
    for (off_t at = 0; n > 0 && at < COPY_MOST; at += n) {
        n = pread(disk, chunk, CHUNK, at);
        n = n > 0 ? pwrite(memory, chunk, (size_t)n, at) : n;
    }
    mem_free(chunk);
    dup2(memory, disk);
    close(memory);
    f->lost = true;
}

/*
 * A flush that fails half-way leaves HDF5 1.10 in a state in which no later
 * one can succeed, so neither can a close (see divert). So the room that it
 * may take is reserved beforehand: what has its place in the file but was
 * never written, and metadata that are still to get one. File systems that
 * cannot reserve answer EOPNOTSUPP, and the flush has to take its chance.
 */
static void reserve(h5_file *f)
{
    enum { METADATA_BYTES = 256 * 1024 /* a run file's are 60 kB in all */ };
    hsize_t end = 0;
    struct stat info;
    const int fd = descriptor(f);

    if (fd < 0 || H5Fget_filesize(f->id, &end) < 0 || fstat(fd, &info) != 0) {
        return;
    }
    const int rc =
        fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)end + METADATA_BYTES);
    const int why = rc != 0 ? errno : 0;
    /* Gives back what lies behind the end. */
    const int cut = ftruncate(fd, info.st_size);
    (void)cut;
    if (why == ENOSPC || why == EDQUOT || why == EFBIG) {
        divert(f);
    }
}

status h5_flush(h5_file *f)
{
    reserve(f);
    REQUIRE(!f->lost, ST_IO,
            "%s: cannot be written: the disk or quota is full; free some space",
            f->path);
    if (H5Fflush(f->id, H5F_SCOPE_GLOBAL) < 0) {
        return H5_FAIL(f, ST_IO, NULL, "cannot be written; is the disk full?");
    }
    return ST_OK;
}

/* Our own handles must be shut before a file is, or something leaks. */
static void check_handles(const h5_file *f)
{
    ASSERT(H5Fget_obj_count(f->id, H5F_OBJ_ALL & ~H5F_OBJ_FILE) == 0);
}

static status file_finish(h5_file *f, h5_raw *raw)
{
    status st = ST_OK;

    check_handles(f);
    if (f->writable) {
        st = h5_flush(f);
        if (st != ST_OK && !f->lost) {
            divert(f);
        }
        if (st == ST_OK) {
            st = h5_raw_find(f, raw);
        }
    }
    if (H5Fclose(f->id) < 0 && st == ST_OK && f->writable) {
        st = H5_FAIL(f, ST_IO, NULL, "cannot be closed; is the disk full?");
    }
    f->id = H5I_INVALID_HID;
    return st;
}

/* A results file without a seal is whole all the same: no room for one, or
 * no permission to read it, takes nothing away. The file is what it is called
 * now: under its own name there may still be an older one. */
static void seal_in_place(const h5_file *f, h5_raw *raw)
{
    const char *path = h5_path_now(f);
    const int fd = open(path, O_RDWR | O_CLOEXEC);

    if (fd >= 0) {
        if (seal_write(fd, path, raw->list, raw->n) != ST_OK) {
            log_debug("%s", status_text());
        }
        close(fd);
    }
}

status h5_commit(h5_file **f)
{
    h5_raw raw = {0};

    ASSERT((*f)->temp.temp != NULL);
    status st = file_finish(*f, &raw);
    if (st == ST_OK && (*f)->live) {
        seal_in_place(*f, &raw);
    } else if (st == ST_OK) {
        st = seal_write((*f)->temp.fd, (*f)->path, raw.list, raw.n);
    }
    if (st == ST_OK) {
        st = newfile_commit(&(*f)->temp);
    }
    mem_free(raw.list);
    file_free(f);
    return st;
}

void h5_abandon(h5_file **f)
{
    if (*f == NULL) {
        return;
    }
    check_handles(*f);
    divert(*f);
    H5Fclose((*f)->id);
    newfile_abandon(&(*f)->temp);
    file_free(f);
}

status h5_close(h5_file **f)
{
    h5_raw raw = {0};

    if (*f == NULL) {
        return ST_OK;
    }
    const status st = file_finish(*f, &raw);
    if (st == ST_OK && (*f)->writable) {
        seal_in_place(*f, &raw);
    }
    mem_free(raw.list);
    file_free(f);
    return st;
}

const char *h5_path(const h5_file *f)
{
    return f->path;
}

const char *h5_path_now(const h5_file *f)
{
    return f->temp.temp != NULL ? f->temp.temp : f->path;
}
