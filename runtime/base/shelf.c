#include "runtime/base/shelf.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/mem.h"
#include "runtime/base/text.h"

enum {
    PLACES = 4,
    LISTED_MAX = 256 /* more would not help a reader of an error          */
};

/* The folder as it is called without "..", if it is there: paths stand in
 * messages. */
static status add_place(const char *folder, char **place)
{
    char full[PATH_MAX];
    return realpath(folder, full) != NULL ? mem_strdup(full, place) : ST_OK;
}

/* The folders "configs/KIND" that may be; unused ones stay NULL. */
static status list_places(const char *kind, char *places[PLACES])
{
    static const char *const from_program[PLACES - 1] = {
        "configs", "../configs", "../share/weft/configs"};
    char exe[PATH_MAX];
    strbuf path = {0};
    status st = ST_OK;
    strbuf_printf(&path, "configs/%s", kind);
    TRY(strbuf_take(&path, &places[0]));
    ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
    if (n <= 0) {
        return ST_OK; /* no /proc: only the current folder is searched */
    }
    exe[n] = '\0';
    char *dir = NULL;
    TRY(text_path_dir(exe, &dir));
    for (int i = 0; st == ST_OK && i < PLACES - 1; i++) {
        strbuf_printf(&path, "%s/%s/%s", dir, from_program[i], kind);
        st = strbuf_check(&path);
        st = st == ST_OK ? add_place(path.text, &places[i + 1]) : st;
        strbuf_fini(&path);
    }
    mem_free(dir);
    return st;
}

static void free_places(char *places[PLACES])
{
    for (int i = 0; i < PLACES; i++) {
        mem_free(places[i]);
    }
}

status shelf_find(const char *kind, const char *name, char **out)
{
    char *places[PLACES] = {NULL};
    char *path = NULL;
    strbuf file = {0};
    status st = list_places(kind, places);
    for (int i = 0; st == ST_OK && path == NULL && i < PLACES; i++) {
        if (places[i] == NULL) {
            continue;
        }
        strbuf_printf(&file, "%s/%s%s", places[i], name,
                      text_ends(name, ".json") ? "" : ".json");
        st = strbuf_take(&file, &path);
        if (st == ST_OK && !text_path_exists(path)) {
            mem_free(path);
            path = NULL;
        }
    }
    free_places(places);
    if (st == ST_OK) {
        *out = path;
    }
    return st;
}

status shelf_resolve(const char *kind, const char *given, char **out)
{
    char folder[64];
    if (text_path_exists(given) && !text_is_dir(given)) {
        return mem_strdup(given, out);
    }
    (void)snprintf(folder, sizeof(folder), "configs/%s/", kind);
    const char *name =
        text_starts(given, folder) ? given + strlen(folder) : given;
    if (name[0] == '\0' || name[0] == '.' || strchr(name, '/') != NULL) {
        *out = NULL;
        return ST_OK;
    }
    return shelf_find(kind, name, out);
}

status shelf_fail_unknown(const char *kind, const char *what, const char *given)
{
    char **list = NULL;
    strbuf names = {0};
    TRY(shelf_list(kind, &list));
    const char *const *words = (const char *const *)list;
    const char *near = text_nearest(given, words);
    text_add_list(&names, words);
    status st = ST_OK;
    if (list[0] == NULL) {
        st = FAIL(ST_NOINPUT,
                  "%s: no such %s, and no configs/%s here or beside the "
                  "program; give the path of a file",
                  given, what, kind);
    } else if (near == NULL) {
        st = FAIL(ST_NOINPUT, "%s: no such %s; configs/%s has %s", given, what,
                  kind, strbuf_view(&names));
    } else {
        st = FAIL(ST_NOINPUT,
                  "%s: no such %s, did you mean \"%s\"? configs/%s has %s",
                  given, what, near, kind, strbuf_view(&names));
    }
    strbuf_fini(&names);
    shelf_list_free(list);
    return st;
}

status shelf_require(const char *kind, const char *what, const char *given,
                     char **out)
{
    TRY(shelf_resolve(kind, given, out));
    return *out != NULL ? ST_OK : shelf_fail_unknown(kind, what, given);
}

static bool in_list(char *const *list, int n, const char *name)
{
    for (int i = 0; i < n; i++) {
        if (strcmp(list[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* Adds the names of one folder; a missing folder has none. */
static status add_names(const char *folder, char **list, int *n)
{
    status st = ST_OK;
    DIR *dir = folder != NULL ? opendir(folder) : NULL;
    struct dirent *e = NULL;
    while (dir != NULL && st == ST_OK && *n < LISTED_MAX &&
           (e = readdir(dir)) != NULL) {
        if (e->d_name[0] == '.' || !text_ends(e->d_name, ".json")) {
            continue;
        }
        e->d_name[strlen(e->d_name) - strlen(".json")] = '\0';
        if (!in_list(list, *n, e->d_name)) {
            st = mem_strdup(e->d_name, &list[*n]);
            *n += st == ST_OK;
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return st;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

status shelf_list(const char *kind, char ***out)
{
    char *places[PLACES] = {NULL};
    char **list = NULL;
    int n = 0;
    TRY(MEM_NEW(&list, LISTED_MAX + 1, "names"));
    status st = list_places(kind, places);
    for (int i = 0; st == ST_OK && i < PLACES; i++) {
        st = add_names(places[i], list, &n);
    }
    free_places(places);
    if (st != ST_OK) {
        shelf_list_free(list);
        return st;
    }
    qsort(list, (size_t)n, sizeof(*list), by_name);
    *out = list;
    return ST_OK;
}

void shelf_list_free(char **list)
{
    for (int i = 0; list != NULL && list[i] != NULL; i++) {
        mem_free(list[i]);
    }
    mem_free(list);
}
