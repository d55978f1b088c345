#include "runtime/io/filelist.h"

#include <dirent.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/text.h"

static void add(filelist *l, filelist_entry e, const char *path)
{
    if (path == NULL || l->failed != ST_OK) {
        return;
    }
    if (l->count == l->room) {
        const int room = l->room > 0 ? 2 * l->room : 16;
        l->failed = mem_resize((size_t)room, sizeof(*l->list), "filelist",
                               (void **)&l->list);
        if (l->failed != ST_OK) {
            return;
        }
        l->room = room;
    }
    l->failed = mem_strdup(path, &e.path);
    if (l->failed == ST_OK) {
        l->list[l->count++] = e;
    }
}

void filelist_output(filelist *l, const char *what, const char *path)
{
    add(l, (filelist_entry){.what = what, .output = true}, path);
}

void filelist_input(filelist *l, const char *what, const char *path)
{
    add(l, (filelist_entry){.what = what}, path);
}

void filelist_input_of(filelist *l, const char *what, const char *path,
                       const char *output)
{
    add(l, (filelist_entry){.what = what, .may_replace = output}, path);
}

void filelist_tokens(filelist *l, const char *what, const char *path)
{
    static const char *const halves[] = {".bin", ".idx"};

    filelist_input(l, what, path);
    for (int i = 0; path != NULL && i < 2; i++) {
        strbuf other = {0};
        if (!text_ends(path, halves[i])) {
            continue;
        }
        strbuf_add_bytes(&other, path, strlen(path) - 4);
        strbuf_add(&other, halves[1 - i]);
        if (strbuf_check(&other) != ST_OK) {
            l->failed = ST_SYSTEM;
        } else if (text_path_exists(strbuf_view(&other))) {
            filelist_input(l, what, strbuf_view(&other));
        }
        strbuf_fini(&other);
    }
}

void filelist_folder(filelist *l, const char *what, const char *path)
{
    DIR *dir = path != NULL && text_is_dir(path) ? opendir(path) : NULL;
    const struct dirent *e = NULL;

    if (dir == NULL) {
        filelist_input(l, what, path);
        return;
    }
    while ((e = readdir(dir)) != NULL && l->failed == ST_OK) {
        char *file = NULL;
        l->failed = text_path_join(path, e->d_name, &file);
        if (l->failed == ST_OK && !text_is_dir(file)) {
            filelist_input(l, what, file);
        }
        mem_free(file);
    }
    closedir(dir);
}

/* ---- checking ------------------------------------------------------------ */

static status fail_same(const char *command, const filelist_entry *output,
                        const filelist_entry *other)
{
    const bool option = text_starts(other->what, "-");

    return FAIL(ST_USAGE,
                "%s: %s %s is %s %s and would be lost; give another name",
                command, output->what, output->path, other->what,
                option ? "too" : other->path);
}

/* One output, under the name `path`, against all others. */
static status check_name(const filelist *l, const char *command, int output,
                         const char *path)
{
    const filelist_entry *mine = &l->list[output];

    for (int i = 0; i < l->count; i++) {
        const filelist_entry *e = &l->list[i];
        const bool meant =
            i == output ||
            (e->may_replace != NULL && strcmp(e->may_replace, mine->what) == 0);
        if (meant || !text_path_same(path, e->path)) {
            continue;
        }
        return fail_same(command, mine, e);
    }
    return ST_OK;
}

static status check_output(const filelist *l, const char *command, int output)
{
    static const char *const suffixes[] = {"", ".tmp", ".part", ".lock"};
    char *target = NULL;
    status st = ST_OK;

    TRY(text_path_target(l->list[output].path, &target));
    for (int i = 0; i < 4 && st == ST_OK; i++) {
        strbuf name = {0};
        strbuf_printf(&name, "%s%s", target, suffixes[i]);
        st = strbuf_check(&name);
        if (st == ST_OK) {
            st = check_name(l, command, output, strbuf_view(&name));
        }
        strbuf_fini(&name);
    }
    mem_free(target);
    return st;
}

status filelist_check(const filelist *l, const char *command)
{
    TRY(l->failed);
    for (int i = 0; i < l->count; i++) {
        if (l->list[i].output) {
            TRY(check_output(l, command, i));
        }
    }
    return ST_OK;
}

void filelist_fini(filelist *l)
{
    for (int i = 0; i < l->count; i++) {
        mem_free(l->list[i].path);
    }
    mem_free(l->list);
    *l = (filelist){0};
}
