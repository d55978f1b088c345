/*
 * merges.txt and vocab.bpe: "#version: 0.2", then a merge a line, two token
 * strings with a space between them.
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

/* vocab.json or encoder.json in the folder of `path`; *out is NULL where
 * there is neither. */
static status find_vocab(const char *path, char **out)
{
    static const char *const names[] = {"vocab.json", "encoder.json"};
    char *folder = NULL;
    status st = ST_OK;

    *out = NULL;
    TRY(text_path_dir(path, &folder));
    for (int i = 0; i < 2 && *out == NULL && st == ST_OK; i++) {
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

/* A token string of vocab.json is one that is cut out of the text first. */
static status add_eot(spec *s, bool derive)
{
    bool is_new;

    if (derive) {
        TRY(spec_add_name(s, eot, sizeof(eot) - 1, (int32_t)s->names.n,
                          &is_new));
    }
    const int32_t id = spec_id(s, eot, sizeof(eot) - 1);
    return id < 0 ? ST_OK : spec_add_added(s, eot, id, true, false);
}

status spec_read_merges(const char *path, const char *text, size_t len,
                        spec *out)
{
    char *vocab = NULL;

    TRY(find_vocab(path, &vocab));
    const bool derive = vocab == NULL;
    status st = derive ? spec_add_bytes(out, 0) : read_vocab_file(vocab, out);
    mem_free(vocab);
    TRY(st);
    TRY(read_lines(path, text, len, derive, out));
    return add_eot(out, derive);
}
