/*
 * merges.txt and vocab.bpe: "#version: 0.2", then a merge a line, two token
 * strings with a space between them. Ids are those of vocab.json beside it;
 * added_tokens.json there maps more texts to ids.
 */
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/text.h"
#include "runtime/text/spec_impl.h"

static const char eot[] = "<|endoftext|>";

/* One line of len bytes; a new token gets the next id if `derive`. */
static status read_line(const char *path, int64_t line, const char *text,
                        int64_t len, bool derive, spec *s)
{
    const char *space = memchr(text, ' ', (size_t)len);
    const char *missing = NULL;
    bool is_new;

    if (space == NULL || space == text || space >= text + len - 1 ||
        memchr(space + 1, ' ', (size_t)(text + len - space - 1)) != NULL) {
        const int64_t blank = (int64_t)strspn(text, " \t");
        const int64_t rest = len > blank ? len - blank : 0;
        return FAIL(ST_BADFILE,
                    "%s:%lld: \"%.*s\" is no merge, which is two token "
                    "strings with a space between them; give a merges.txt, "
                    "vocab.bpe or tokenizer.json",
                    path, (long long)line, (int)(rest < 60 ? rest : 60),
                    text + blank);
    }
    const int64_t nleft = space - text;
    if (derive) {
        char both[2048];
        REQUIRE(len <= (int64_t)sizeof(both), ST_BADFILE,
                "%s:%lld: a token longer than %zu bytes", path, (long long)line,
                sizeof(both));
        memcpy(both, text, (size_t)nleft);
        memcpy(both + nleft, space + 1, (size_t)(len - nleft - 1));
        TRY(spec_add_name(s, both, len - 1, (int32_t)s->names.n, &is_new));
        REQUIRE(is_new, ST_BADFILE,
                "%s:%lld: makes a token that is there already; ids cannot be "
                "derived, put vocab.json beside it",
                path, (long long)line);
    }
    TRY(spec_join(s, text, nleft, space + 1, len - nleft - 1, &missing));
    REQUIRE(missing == NULL, ST_BADFILE,
            "%s:%lld: \"%.*s\": %s not in the vocabulary; the file is damaged "
            "or of another tokenizer",
            path, (long long)line, (int)(len < 60 ? len : 60), text, missing);
    return ST_OK;
}

static status read_lines(const char *path, const char *text, size_t len,
                         bool derive, spec *s)
{
    const char *end = text + len;
    int64_t line = 0;

    for (const char *at = text; at < end;) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop == NULL ? end : stop;
        int64_t n = stop - at;
        n -= n > 0 && at[n - 1] == '\r';
        line++;
        if (n > 0 && !(line == 1 && text_starts(at, "#version"))) {
            TRY(read_line(path, line, at, n, derive, s));
            REQUIRE(s->names.n < SPEC_VOCAB_MAX, ST_BADFILE,
                    "%s: has more than %d tokens", path, SPEC_VOCAB_MAX);
        }
        at = stop + (stop < end);
    }
    REQUIRE(s->nmerges > 0, ST_BADFILE,
            "%s: has no merges; give a merges.txt, vocab.bpe or "
            "tokenizer.json",
            path);
    return ST_OK;
}

/* The first of the names that is in the folder of `path`; *out is NULL where
 * there is none. */
static status find_beside(const char *path, const char *const *names,
                          char **out)
{
    char *folder = NULL;
    status st = ST_OK;

    *out = NULL;
    TRY(text_path_dir(path, &folder));
    for (int i = 0; names[i] != NULL && *out == NULL && st == ST_OK; i++) {
        char *file = NULL;
        st = text_path_join(folder, names[i], &file);
        if (st == ST_OK && text_path_exists(file)) {
            *out = file;
        } else {
            mem_free(file);
        }
    }
    mem_free(folder);
    return st;
}

static status read_vocab_file(const char *path, spec *out)
{
    json_doc *doc = NULL;

    TRY(json_open_most(path, SPEC_FILE_MAX, &doc));
    const status st = spec_read_vocab(json_root(doc), out);
    json_close(doc);
    return st;
}

/* ---- added tokens -------------------------------------------------------- */

/* Of the entries, those that are not in the vocabulary. */
static int64_t count_new(json_val map, const spec *s)
{
    json_iter it = {0};
    const char *text = NULL;
    json_val value;
    int64_t n = 0;

    while (json_next(map, &it, &text, &value)) {
        n += spec_id(s, text, (int64_t)strlen(text)) < 0;
    }
    return n;
}

/* One entry of an object of n new texts; `first` is the id of the first new
 * one. */
static status read_added(const char *text, json_val value, int64_t first,
                         int64_t n, spec *s, bool *taken)
{
    const int64_t len = (int64_t)strlen(text);
    const int32_t known = wordmap_find(&s->names, text, len);
    int64_t id = 0;
    bool is_new;

    TRY(json_as_i64(value, 0, SPEC_VOCAB_MAX - 1, &id));
    if (len == 0) {
        return json_fail(value, ST_CONFIG, "is the id of an empty text");
    }
    if (known >= 0 && s->ids[known] != id) {
        return json_fail(value, ST_CONFIG, "is %lld, the vocabulary has %d",
                         (long long)id, (int)s->ids[known]);
    }
    if (known < 0 && (id < first || id >= first + n || taken[id - first])) {
        return json_fail(value, ST_CONFIG,
                         "is %lld; added tokens follow the vocabulary, their "
                         "ids are %lld to %lld, each once",
                         (long long)id, (long long)first,
                         (long long)(first + n - 1));
    }
    if (known < 0) {
        taken[id - first] = true;
        TRY(spec_add_name(s, text, len, (int32_t)id, &is_new));
    }
    return spec_add_added(s, text, (int32_t)id, strcmp(text, eot) == 0, true);
}

/*
 * added_tokens.json as transformers takes it with vocab.json and merges.txt:
 * texts that are cut out whole, after those that are special. It gives them
 * the ids that follow the vocabulary, in the file's order of ids whatever
 * these are; a file with others is refused, as it means one thing to a reader
 * and another to transformers.
 */
static status read_added_map(json_val map, spec *s)
{
    json_iter it = {0};
    const char *text = NULL;
    json_val value;
    bool *taken = NULL;
    status st = ST_OK;

    TRY(json_as_obj(map));
    const int64_t first = s->names.n;
    const int64_t n = count_new(map, s);
    TRY(MEM_NEW(&taken, n + 1, "spec"));
    while (st == ST_OK && json_next(map, &it, &text, &value)) {
        st = read_added(text, value, first, n, s, taken);
    }
    mem_free(taken);
    return st;
}

static status read_added_file(const char *merges, spec *s)
{
    static const char *const names[] = {"added_tokens.json", NULL};
    char *path = NULL;
    json_doc *doc = NULL;

    TRY(find_beside(merges, names, &path));
    if (path == NULL) {
        return ST_OK;
    }
    status st = json_open_most(path, SPEC_FILE_MAX, &doc);
    mem_free(path);
    TRY(st);
    st = read_added_map(json_root(doc), s);
    json_close(doc);
    return st;
}

/* The token string of vocab.json is special, unless added_tokens.json has it,
 * which then says how it is looked for. */
static status add_eot(spec *s)
{
    const int32_t id = spec_id(s, eot, sizeof(eot) - 1);

    for (int64_t i = 0; i < s->nadded; i++) {
        if (s->added[i].id == id) {
            return ST_OK;
        }
    }
    return id < 0 ? ST_OK : spec_add_added(s, eot, id, true, false);
}

status spec_read_merges(const char *path, const char *text, size_t len,
                        spec *out)
{
    static const char *const names[] = {"vocab.json", "encoder.json", NULL};
    char *vocab = NULL;
    bool is_new;

    TRY(find_beside(path, names, &vocab));
    const bool derive = vocab == NULL;
    status st = derive ? spec_add_bytes(out, 0) : read_vocab_file(vocab, out);
    mem_free(vocab);
    TRY(st);
    TRY(read_lines(path, text, len, derive, out));
    if (derive) {
        TRY(spec_add_name(out, eot, sizeof(eot) - 1, (int32_t)out->names.n,
                          &is_new));
    }
    TRY(read_added_file(path, out));
    return add_eot(out);
}
