#include "runtime/text/spec.h"

#include <string.h>

#include "runtime/base/magic.h"
#include "runtime/base/text.h"
#include "runtime/text/bytemap.h"
#include "runtime/text/grow.h"
#include "runtime/text/spec_impl.h"

void spec_fini(spec *s)
{
    for (int64_t i = 0; i < s->nadded; i++) {
        mem_free(s->added[i].text);
    }
    wordmap_fini(&s->names);
    mem_free(s->ids);
    mem_free(s->merges);
    mem_free(s->added);
    *s = (spec){0};
}

status spec_add_name(spec *s, const char *name, int64_t len, int32_t id,
                     bool *is_new)
{
    int32_t number = 0;

    TRY(GROW(&s->ids, &s->ids_room, s->names.n + 1, "spec"));
    TRY(wordmap_add(&s->names, name, len, &number, is_new));
    if (*is_new) {
        s->ids[number] = id;
    }
    return ST_OK;
}

int32_t spec_id(const spec *s, const char *name, int64_t len)
{
    const int32_t number = wordmap_find(&s->names, name, len);
    return number < 0 ? -1 : s->ids[number];
}

status spec_add_bytes(spec *s, int32_t first)
{
    bytemap map;
    char name[2];
    bool is_new;

    bytemap_init(&map);
    for (int i = 0; i < 256; i++) {
        const size_t len = bytemap_put(&map, map.order[i], name);
        TRY(spec_add_name(s, name, (int64_t)len, first + i, &is_new));
    }
    return ST_OK;
}

status spec_add_merge(spec *s, spec_merge m)
{
    TRY(GROW(&s->merges, &s->merges_room, s->nmerges + 1, "spec"));
    s->merges[s->nmerges++] = m;
    return ST_OK;
}

status spec_add_added(spec *s, const char *text, int32_t id, bool special,
                      bool normalized)
{
    TRY(GROW(&s->added, &s->added_room, s->nadded + 1, "spec"));
    spec_added *a = &s->added[s->nadded];
    *a = (spec_added){.len = (int64_t)strlen(text),
                      .id = id,
                      .special = special,
                      .normalized = normalized};
    TRY(mem_strdup(text, &a->text));
    s->nadded++;
    return ST_OK;
}

status spec_join(spec *s, const char *left, int64_t nleft, const char *right,
                 int64_t nright, const char **missing)
{
    spec_merge m = {.left = spec_id(s, left, nleft),
                    .right = spec_id(s, right, nright)};
    strbuf both = {0};

    *missing = m.left < 0 ? "its left part is" : "its right part is";
    if (m.left < 0 || m.right < 0) {
        return ST_OK;
    }
    strbuf_add_bytes(&both, left, (size_t)nleft);
    strbuf_add_bytes(&both, right, (size_t)nright);
    status st = strbuf_check(&both);
    if (st == ST_OK) {
        m.made = spec_id(s, strbuf_view(&both), (int64_t)both.len);
        *missing = m.made < 0 ? "what it makes is" : NULL;
    }
    if (st == ST_OK && m.made >= 0) {
        st = spec_add_merge(s, m);
    }
    strbuf_fini(&both);
    return st;
}

/* ---- which file ---------------------------------------------------------- */

/* What a person gave, or the file in the folder that was given. */
static status find_file(const char *path, char **out)
{
    static const char *const names[] = {"tokenizer.json", "merges.txt",
                                        "vocab.bpe"};

    if (!text_is_dir(path)) {
        return mem_strdup(path, out);
    }
    for (int i = 0; i < 3; i++) {
        char *file = NULL;
        TRY(text_path_join(path, names[i], &file));
        if (text_path_exists(file)) {
            *out = file;
            return ST_OK;
        }
        mem_free(file);
    }
    return FAIL(ST_NOINPUT,
                "%s: this folder has no tokenizer.json, merges.txt or "
                "vocab.bpe",
                path);
}

status spec_read(const char *path, spec *out)
{
    spec s = {0};
    char *file = NULL;
    char *text = NULL;
    size_t len = 0;

    TRY(find_file(path, &file));
    status st = text_read_file(file, SPEC_FILE_MAX, &text, &len);
    const char *what = st == ST_OK ? magic_name(text, len) : NULL;
    if (what != NULL) {
        st = FAIL(ST_BADFILE,
                  "%s: is %s; a tokenizer is a tokenizer.json, vocab.bpe or "
                  "merges.txt",
                  file, what);
    } else if (st == ST_OK) {
        const char *first = text + strspn(text, " \t\r\n");
        st = *first == '{' ? spec_read_json(file, text, len, &s)
                           : spec_read_merges(file, text, len, &s);
    }
    mem_free(text);
    mem_free(file);
    if (st != ST_OK) {
        spec_fini(&s);
        return st;
    }
    *out = s;
    return ST_OK;
}
