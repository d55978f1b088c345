/*
 * A failed append sets `failed` and leaves the text as it was; later appends
 * do nothing, so what strbuf_view shows is always a prefix of what was meant.
 */
#include "runtime/base/text.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/mem.h"

/* --- strbuf ------------------------------------------------------------ */

void strbuf_fini(strbuf *b)
{
    mem_free(b->text);
    *b = (strbuf){0};
}

/* Room for `more` bytes and a NUL; false if there is none. */
static bool strbuf_reserve(strbuf *b, size_t more)
{
    if (b->failed) {
        return false;
    }
    if (more >= SIZE_MAX / 4 - b->len) {
        b->failed = true;
        return false;
    }
    size_t need = b->len + more + 1;
    if (need <= b->room) {
        return true;
    }
    size_t room = b->room < 64 ? 64 : b->room;
    while (room < need) {
        room *= 2;
    }
    if (mem_resize(room, 1, "strbuf", (void **)&b->text) != ST_OK) {
        b->failed = true;
        return false;
    }
    b->room = room;
    return true;
}

void strbuf_add_bytes(strbuf *b, const void *bytes, size_t len)
{
    if (len > 0 && strbuf_reserve(b, len)) {
        memcpy(b->text + b->len, bytes, len);
        b->len += len;
        b->text[b->len] = '\0';
    }
}

void strbuf_add(strbuf *b, const char *text)
{
    strbuf_add_bytes(b, text, strlen(text));
}

void strbuf_fill(strbuf *b, char c, size_t n)
{
    if (n > 0 && strbuf_reserve(b, n)) {
        memset(b->text + b->len, c, n);
        b->len += n;
        b->text[b->len] = '\0';
    }
}

/* A single quote ends the quotes, stands for itself, and begins them again. */
void strbuf_add_word(strbuf *b, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789@%_+=:,./-";
    if (word[0] != '\0' && word[strspn(word, plain)] == '\0') {
        strbuf_add(b, word);
        return;
    }
    strbuf_add(b, "'");
    for (const char *c = word; *c != '\0'; c++) {
        if (*c == '\'') {
            strbuf_add(b, "'\\''");
        } else {
            strbuf_add_bytes(b, c, 1);
        }
    }
    strbuf_add(b, "'");
}

void strbuf_printf(strbuf *b, const char *fmt, ...)
{
    va_list args;
    va_list again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n < 0) {
        b->failed = true;
    } else if (n > 0 && strbuf_reserve(b, (size_t)n)) {
        vsnprintf(b->text + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
}

void strbuf_cut(strbuf *b, size_t len)
{
    if (len < b->len) {
        b->len = len;
        b->text[len] = '\0';
    }
}

const char *strbuf_view(const strbuf *b)
{
    return b->text == NULL ? "" : b->text;
}

status strbuf_check(const strbuf *b)
{
    REQUIRE(!b->failed, ST_SYSTEM, "out of memory: a text of %zu bytes",
            b->len);
    return ST_OK;
}

status strbuf_take(strbuf *b, char **out)
{
    status st = strbuf_check(b);
    if (st == ST_OK && b->text == NULL) {
        st = mem_strdup("", &b->text);
    }
    if (st != ST_OK) {
        strbuf_fini(b);
        return st;
    }
    *out = b->text;
    *b = (strbuf){0};
    return ST_OK;
}

/* --- files ------------------------------------------------------------- */

static status open_failed(const char *path)
{
    switch (errno) {
    case ENOENT:
    case ENOTDIR:
        return FAIL(ST_NOINPUT, "%s: no such file", path);
    case EACCES:
    case EPERM:
        return FAIL(ST_LOCKED, "%s: no permission to read it", path);
    default:
        return FAIL(ST_IO, "%s: cannot be opened: %s", path, strerror(errno));
    }
}

/* Reads to the end of fd. One byte beyond max_bytes is read to notice a file
 * that is too long even where fstat does not tell (pipes, /proc). */
static status read_all(int fd, const char *path, size_t max_bytes, strbuf *b)
{
    char chunk[16384];
    while (b->len <= max_bytes) {
        ssize_t n = read(fd, chunk, sizeof(chunk));
        if (n == 0) {
            return strbuf_check(b);
        }
        if (n < 0 && errno == EINTR) {
            continue;
        }
        REQUIRE(n > 0, ST_IO, "%s: cannot be read: %s", path, strerror(errno));
        strbuf_add_bytes(b, chunk, (size_t)n);
        TRY(strbuf_check(b));
    }
    return FAIL(ST_BADFILE, "%s: is longer than the %zu bytes allowed here",
                path, max_bytes);
}

status text_read_file(const char *path, size_t max_bytes, char **buf,
                      size_t *len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return open_failed(path);
    }
    strbuf b = {0};
    status st = ST_OK;
    struct stat info;
    if (fstat(fd, &info) != 0) {
        st = FAIL(ST_IO, "%s: cannot be read: %s", path, strerror(errno));
        goto close_fd;
    }
    if (S_ISDIR(info.st_mode)) {
        st = FAIL(ST_BADFILE, "%s: is a folder, not a file", path);
        goto close_fd;
    }
    TRY_GOTO(read_all(fd, path, max_bytes, &b), close_fd);
    size_t bytes = b.len;
    TRY_GOTO(strbuf_take(&b, buf), close_fd);
    if (len != NULL) {
        *len = bytes;
    }
close_fd:
    strbuf_fini(&b);
    close(fd);
    return st;
}

status text_write_all(int fd, const char *path, const void *data, size_t len)
{
    const char *p = data;
    while (len > 0) {
        ssize_t n = write(fd, p, len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        REQUIRE(n > 0, ST_IO, "%s: cannot be written: %s", path,
                n < 0 ? strerror(errno) : "nothing was taken");
        p += n;
        len -= (size_t)n;
    }
    return ST_OK;
}

static status write_whole(int fd, const char *path, const void *data,
                          size_t len)
{
    TRY(text_write_all(fd, path, data, len));
    REQUIRE(fsync(fd) == 0, ST_IO, "%s: cannot be flushed: %s", path,
            strerror(errno));
    return ST_OK;
}

/* Some file systems cannot fsync a folder (EINVAL); there the rename is all
 * one can have. No memory is asked for: the new name is there already. */
status text_path_sync(const char *path)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t n = slash == NULL || slash == path ? 1 : (size_t)(slash - path);
    REQUIRE(n < sizeof(dir), ST_IO, "%.*s...: the name is too long",
            text_fit(path, 60), path);
    memcpy(dir, slash == NULL ? "." : path, n);
    dir[n] = '\0';
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int error = fd < 0 || (fsync(fd) != 0 && errno != EINVAL) ? errno : 0;
    if (fd >= 0) {
        close(fd);
    }
    REQUIRE(error == 0, ST_IO, "%s: cannot sync its folder: %s", path,
            strerror(error));
    return ST_OK;
}

status text_check_replace(const char *path)
{
    struct stat info;
    REQUIRE(strcmp(path, "-") != 0, ST_USAGE,
            "-: outputs are files, not standard output; give a name, ./- if "
            "that is meant");
    if (stat(path, &info) != 0) {
        return ST_OK; /* what is wrong there shows when it is made */
    }
    REQUIRE(!S_ISDIR(info.st_mode), ST_CANTCREATE,
            "%s: is a folder; give the name of a file in it", path);
    /* A device or a pipe would be replaced by a file. */
    REQUIRE(S_ISREG(info.st_mode), ST_CANTCREATE,
            "%s: is there and is not a regular file; give another name", path);
    REQUIRE((info.st_mode & 0222) != 0 && access(path, W_OK) == 0, ST_LOCKED,
            "%s: is there and is read-only; allow writing (chmod u+w) or give "
            "another name",
            path);
    return ST_OK;
}

status text_write_file(const char *path, const void *data, size_t len)
{
    char *target = NULL;
    strbuf temp = {0};
    int fd = -1;
    status st = ST_OK;
    TRY(text_check_replace(path));
    TRY(text_path_target(path, &target));
    /* The process id keeps two writers of one name apart; the last wins. */
    strbuf_printf(&temp, "%s.tmp.%ld", target, (long)getpid());
    TRY_GOTO(strbuf_check(&temp), done);
    fd = open(temp.text, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) {
        st = FAIL(ST_CANTCREATE, "%s: cannot be created: %s", path,
                  strerror(errno));
        goto done;
    }
    TRY_GOTO(write_whole(fd, path, data, len), remove_temp);
    if (rename(temp.text, target) != 0) {
        st = FAIL(ST_CANTCREATE, "%s: cannot be replaced: %s", path,
                  strerror(errno));
        goto remove_temp;
    }
    st = text_path_sync(target);
    goto done;
remove_temp:
    unlink(temp.text);
done:
    if (fd >= 0 && close(fd) != 0 && st == ST_OK) {
        st = FAIL(ST_IO, "%s: cannot be closed: %s", path, strerror(errno));
    }
    strbuf_fini(&temp);
    mem_free(target);
    return st;
}

/* --- words ------------------------------------------------------------- */

bool text_in_list(const char *word, const char *const *list)
{
    while (list != NULL && *list != NULL && strcmp(*list, word) != 0) {
        list++;
    }
    return list != NULL && *list != NULL;
}

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* row has strlen(b) + 1 places. row[j] is the distance of the first i bytes
 * of a to the first j of b; one row is kept, `corner` is the old row[j]. */
static size_t distance(const char *a, const char *b, size_t nb, size_t *row)
{
    for (size_t j = 0; j <= nb; j++) {
        row[j] = j;
    }
    for (size_t i = 0; a[i] != '\0'; i++) {
        size_t corner = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < nb; j++) {
            size_t change = corner + (a[i] != b[j] ? 1 : 0);
            corner = row[j + 1];
            row[j + 1] = min3(row[j] + 1, row[j + 1] + 1, change);
        }
    }
    return row[nb];
}

status text_distance(const char *a, const char *b, size_t *out)
{
    size_t nb = strlen(b);
    size_t *row = NULL;
    TRY(MEM_NEW(&row, nb + 1, "distance"));
    *out = distance(a, b, nb, row);
    mem_free(row);
    return ST_OK;
}

enum { WORD_MAX = 64 };

/* Lower case, with '_' for '-'; false if it does not fit a word. */
static bool fold(const char *word, char out[WORD_MAX])
{
    size_t n = strlen(word);
    if (n >= WORD_MAX) {
        return false;
    }
    for (size_t i = 0; i <= n; i++) {
        char c = (char)tolower((unsigned char)word[i]);
        out[i] = c == '-' ? '_' : c;
    }
    return true;
}

const char *text_nearest(const char *word, const char *const *list)
{
    char folded[WORD_MAX];
    if (!fold(word, folded)) {
        return NULL;
    }
    /* A third of the letters may be wrong; beyond that it is a guess. */
    size_t limit = (strlen(folded) + 2) / 3;
    const char *best = NULL;
    const char *longer = NULL; /* a word that begins like this one */
    for (size_t i = 0; list[i] != NULL; i++) {
        char known[WORD_MAX];
        size_t row[WORD_MAX];
        if (!fold(list[i], known)) {
            continue;
        }
        size_t d = distance(folded, known, strlen(known), row);
        if (d < limit || (d == limit && best == NULL)) {
            best = list[i];
            limit = d;
        }
        if (longer == NULL && strlen(folded) >= 3 &&
            text_starts(known, folded)) {
            longer = list[i];
        }
    }
    return best != NULL ? best : longer;
}

void text_add_list(strbuf *b, const char *const *list)
{
    for (size_t i = 0; list[i] != NULL; i++) {
        strbuf_printf(b, "%s%s", i > 0 ? ", " : "", list[i]);
    }
}

bool text_starts(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

bool text_ends(const char *text, const char *end)
{
    size_t nt = strlen(text);
    size_t ne = strlen(end);
    return nt >= ne && memcmp(text + nt - ne, end, ne) == 0;
}

/* --- paths ------------------------------------------------------------- */

status text_path_dir(const char *path, char **out)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL) {
        return mem_strdup(".", out);
    }
    strbuf b = {0};
    /* The root keeps its slash. */
    size_t len = slash == path ? 1 : (size_t)(slash - path);
    strbuf_add_bytes(&b, path, len);
    return strbuf_take(&b, out);
}

/* One link's target, relative to where the link stands. */
static status follow(const char *path, char **out)
{
    char to[PATH_MAX];
    char *dir = NULL;
    ssize_t n = readlink(path, to, sizeof(to) - 1);
    to[n > 0 ? n : 0] = '\0';
    TRY(text_path_dir(path, &dir));
    status st = text_path_join(dir, to, out);
    mem_free(dir);
    return st;
}

status text_path_target(const char *path, char **out)
{
    enum { LINKS_MAX = 40 }; /* as the kernel has it */
    struct stat info;
    char *at = NULL;
    TRY(mem_strdup(path, &at));
    for (int i = 0; lstat(at, &info) == 0 && S_ISLNK(info.st_mode); i++) {
        char *next = NULL;
        status st = i < LINKS_MAX
                        ? follow(at, &next)
                        : FAIL(ST_CANTCREATE,
                               "%s: symbolic links that lead in a circle; "
                               "give another name",
                               path);
        mem_free(at);
        TRY(st);
        at = next;
    }
    *out = at;
    return ST_OK;
}

status text_path_join(const char *dir, const char *name, char **out)
{
    if (name[0] == '/' || dir[0] == '\0' || strcmp(dir, ".") == 0) {
        return mem_strdup(name, out);
    }
    strbuf b = {0};
    strbuf_printf(&b, "%s%s%s", dir, text_ends(dir, "/") ? "" : "/", name);
    return strbuf_take(&b, out);
}

const char *text_path_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

bool text_path_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

bool text_is_dir(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static bool same_inode(const char *a, const char *b)
{
    struct stat x;
    struct stat y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev &&
           x.st_ino == y.st_ino;
}

bool text_path_same(const char *a, const char *b)
{
    char *dirs[2] = {NULL, NULL};
    bool same = strcmp(a, b) == 0 || same_inode(a, b);
    /* Of a file that is yet to be made only the folder can be asked. */
    if (!same && strcmp(text_path_base(a), text_path_base(b)) == 0 &&
        text_path_dir(a, &dirs[0]) == ST_OK &&
        text_path_dir(b, &dirs[1]) == ST_OK) {
        same = same_inode(dirs[0], dirs[1]);
    }
    mem_free(dirs[0]);
    mem_free(dirs[1]);
    return same;
}

status text_make_dirs(const char *path)
{
    char *part = NULL;
    TRY(mem_strdup(path, &part));
    status st = ST_OK;
    size_t n = strlen(part);
    for (size_t i = 1; i <= n && st == ST_OK; i++) {
        if (part[i] != '/' && part[i] != '\0') {
            continue;
        }
        char saved = part[i];
        part[i] = '\0';
        if (mkdir(part, 0777) != 0 && !text_is_dir(part)) {
            st = FAIL(ST_CANTCREATE, "%s: folder cannot be created: %s", part,
                      strerror(errno));
        }
        part[i] = saved;
    }
    mem_free(part);
    return st;
}
