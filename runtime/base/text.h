/*
 * Text and small files: a growing string, texts cut to a size, whole-file
 * reads and atomic writes, path helpers, and "did you mean".
 *
 * A file that Weft writes through here appears under its name complete or
 * not at all: temporary file beside it, fsync, rename, fsync of the folder.
 *
 * Local. Any thread; a strbuf belongs to one thread at a time.
 */
#ifndef WEFT_BASE_TEXT_H
#define WEFT_BASE_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/status.h"

/*
 * A growing string; ready when all zero. Appending never returns an error, so
 * that building text reads like printing; when memory runs out the buffer
 * remembers it and strbuf_take or strbuf_check reports it.
 */
typedef struct strbuf {
    char *text; /* NUL-terminated, NULL while empty; see strbuf_view */
    size_t len; /* bytes without the NUL                             */
    size_t room;
    bool failed;
} strbuf;

/* Frees the text; b is ready for new text. */
void strbuf_fini(strbuf *b);
void strbuf_add(strbuf *b, const char *text);
void strbuf_add_bytes(strbuf *b, const void *bytes, size_t len);
/* n copies of c. */
void strbuf_fill(strbuf *b, char c, size_t n);
void strbuf_printf(strbuf *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Cuts back to at most len bytes. */
void strbuf_cut(strbuf *b, size_t len);
/* The word as a POSIX shell takes it: in single quotes where it needs them.
 * What ends in such words can be typed again. */
void strbuf_add_word(strbuf *b, const char *word);
/* The text, never NULL. Lends until the next call on b. */
const char *strbuf_view(const strbuf *b);
/* ST_SYSTEM if an append ran out of memory. */
MUST_USE status strbuf_check(const strbuf *b);
/* Hands the text over (mem_free) and leaves b empty. Frees it and fails with
 * ST_SYSTEM if an append ran out of memory. */
MUST_USE status strbuf_take(strbuf *b, char **out);

/*
 * The whole file, with a NUL behind it that *len does not count. len may be
 * NULL. Owns: caller, mem_free. Fails with ST_NOINPUT (missing), ST_LOCKED
 * (no permission), ST_BADFILE (longer than max_bytes, a folder), ST_IO.
 */
MUST_USE status text_read_file(const char *path, size_t max_bytes, char **buf,
                               size_t *len);

/* Writes all of it to fd, however many calls that takes; `path` stands in the
 * error. Fails with ST_IO, also where nothing more is taken. */
MUST_USE status text_write_all(int fd, const char *path, const void *data,
                               size_t len);

/* ST_OK if a new file may take this place: nothing is there, or a regular file
 * that may be written. Fails with ST_CANTCREATE (a folder, device or pipe),
 * ST_LOCKED (a file without write permission; one that is read-only for all
 * is meant to stay, also where root asks), ST_USAGE ("-"). */
MUST_USE status text_check_replace(const char *path);

/* Replaces or creates `path` atomically; mode 0644 less umask. Of a symbolic
 * link the file it leads to is replaced. Fails as text_check_replace and with
 * ST_CANTCREATE (folder missing, no permission) or ST_IO (disk full). */
MUST_USE status text_write_file(const char *path, const void *data, size_t len);

/*
 * Texts in room of a fixed size (text_cut.c). What is too long is cut, and
 * never within a UTF-8 character: a part of one would make the file or page
 * that it ends up in one that no reader takes. Text that is no UTF-8 is cut
 * where the room ends.
 */

/* True of all bytes of a character in UTF-8 but its first. */
static inline bool text_goes_on(char byte)
{
    return ((unsigned char)byte & 0xc0) == 0x80;
}

/* Bytes of `text` that may be shown in at most `most`; for "%.*s". */
int text_fit(const char *text, int most);
/* The end of `text` that has at most `most` bytes, from a character on. */
const char *text_tail(const char *text, size_t most);
/* As snprintf and vsnprintf, and returns what they do. */
int text_print(char *out, size_t size, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int text_vprint(char *out, size_t size, const char *fmt, va_list args)
    __attribute__((format(printf, 3, 0)));
/* The same of one text, which must not be in `out`. size > 0. */
void text_copy(char *out, size_t size, const char *text);

/* Levenshtein distance of two byte strings: fewest inserted, deleted or
 * changed bytes. Time and memory: strlen(a) * strlen(b), strlen(b). */
MUST_USE status text_distance(const char *a, const char *b, size_t *out);

/* The word of the NULL-terminated list that `word` was probably meant to be,
 * or NULL if none is close. Letter case, '-' and '_' do not count. */
const char *text_nearest(const char *word, const char *const *list);

/* True if the word is in the NULL-terminated list; NULL is an empty one. */
bool text_in_list(const char *word, const char *const *list);

/* All words of a NULL-terminated list, "a, b, c", appended to b. */
void text_add_list(strbuf *b, const char *const *list);

/* True if text starts / ends with the other one. */
bool text_starts(const char *text, const char *start);
bool text_ends(const char *text, const char *end);

/* Folder part of a path, "." if it has none. Owns: caller, mem_free. */
MUST_USE status text_path_dir(const char *path, char **out);
/* dir/name, or name alone if it is absolute or dir is "" or ".". */
MUST_USE status text_path_join(const char *dir, const char *name, char **out);
/* Behind the last slash. Lends: a part of `path`. */
const char *text_path_base(const char *path);
bool text_path_exists(const char *path);
/* Where a file of this name lies: a symbolic link is followed, also one to a
 * file that is yet to be made. Owns: caller, mem_free. Fails with
 * ST_CANTCREATE (links in a circle). */
MUST_USE status text_path_target(const char *path, char **out);
/* Makes a new name durable: fsync of the folder it stands in. Fails: ST_IO. */
MUST_USE status text_path_sync(const char *path);
bool text_is_dir(const char *path);
/* True if both names lead to one file, or would where it is yet to be made. */
bool text_path_same(const char *a, const char *b);
/* Like mkdir -p; a folder that is there is fine. Fails: ST_CANTCREATE. */
MUST_USE status text_make_dirs(const char *path);

#endif
