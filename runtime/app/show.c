/*
 * weft show: looks inside whatever a word names. What that is follows from
 * the file system first, then from the word itself:
 *
 *   a folder           a model (its config.json)
 *   *.json             a model where it has model_type, else a plan
 *   HDF5, *.h5         a checkpoint, run or comparison, by its format
 *   any other file     data: tokens or text
 *   dp2.tp2 ...        a plan
 *   any other word     a model of configs/models
 */
#include "runtime/app/show.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "benchmarks/html.h"
#include "partition/plan.h"
#include "runtime/app/commands.h"
#include "runtime/base/json.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/base/opt.h"
#include "runtime/base/shelf.h"
#include "runtime/base/text.h"
#include "runtime/results/comparison.h"

/* --- options ----------------------------------------------------------- */

#define A show_args

static const opt_row rows[] = {
    OPT_STR(A, model, "model", .value = "MODEL",
            .help = "what the plan or the data are for"),
    OPT_I64(A, layers, "layers", .value = "N", .def = "0", .min = 0, .max = 256,
            .help = "cut the model's depth, keep width; 0: all"),
    OPT_I64(A, seq, "seq", .value = "N", .def = "0", .min = 0, .max = 1e6,
            .unit = "tokens",
            .help = "length of a sequence; 0: the model's positions, for a "
                    "plan 128"),
    OPT_I64(A, batch, "batch", .value = "SEQS", .def = "8", .min = 1,
            .max = 1e6, .help = "sequences in a step, for a plan"),
    OPT_SIZE(A, device_memory, "device-memory", .value = "SIZE", .def = "0",
             .help = "that the plan must fit; 0: no limit"),
    OPT_FLAG(A, verify, "verify",
             .help = "read a checkpoint's every tensor "
                     "and compare checksums"),
};

const opt_command show_command = {
    .name = "show",
    .usage = "MODEL|PLAN|FILE [options]",
    .about = "Shows what is in a model (a name in configs/models, a "
             "config.json, a folder), a plan\n(dp2.tp2 or a file), a "
             "checkpoint, results, or a token file.",
    .example = "weft show gpt-j-6b\n"
               "weft show dp2.pp2 --model gpt-neo-125m --device-memory 2GiB\n"
               "weft show a.h5 --verify",
    .see = "models, plans",
    .min_args = 1,
    .max_args = 1,
    OPT_ROWS(rows),
};

typedef enum kind { KIND_MODEL, KIND_PLAN, KIND_HDF5, KIND_DATA, KINDS } kind;

static const char *const kind_names[KINDS] = {"a model", "a plan",
                                              "an HDF5 file", "data"};

/* Which options mean something for which kind. */
static const struct {
    const char *option;
    bool of[KINDS];
} meaning[] = {
    {"model", {[KIND_PLAN] = true, [KIND_DATA] = true}},
    {"layers", {[KIND_MODEL] = true, [KIND_PLAN] = true}},
    {"seq", {[KIND_MODEL] = true, [KIND_PLAN] = true, [KIND_DATA] = true}},
    {"batch", {[KIND_PLAN] = true}},
    {"device-memory", {[KIND_PLAN] = true}},
    {"verify", {[KIND_HDF5] = true}},
};

static status check_options(const opt_parsed *p, kind k, const show_args *a)
{
    const char *what = opt_arg(p, 0);
    for (size_t i = 0; i < sizeof(meaning) / sizeof(meaning[0]); i++) {
        const char *option = meaning[i].option;
        if (!opt_given(p, option)) {
            continue;
        }
        REQUIRE(meaning[i].of[k], ST_USAGE,
                "show: --%s says nothing about %s, %s is one; leave it out",
                option, kind_names[k], what);
        REQUIRE(k != KIND_PLAN || a->model != NULL, ST_USAGE,
                "show: --%s says nothing about a plan alone; add --model",
                option);
    }
    return ST_OK;
}

/* --- what a word means ------------------------------------------------- */

static bool is_hdf5(const char *path)
{
    static const char signature[8] = "\211HDF\r\n\032\n";
    char head[sizeof(signature)];
    /* Not blocking: a pipe would wait here for a writer. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return false;
    }
    ssize_t n = read(fd, head, sizeof(head));
    close(fd);
    return n == (ssize_t)sizeof(head) &&
           memcmp(head, signature, sizeof(head)) == 0;
}

/* A part that begins like those of a plan's shorthand. */
static bool seems_part(const char *word)
{
    static const char *const parts[] = {"dp", "tp", "pp", "mb"};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (text_starts(word, parts[i]) && isdigit((unsigned char)word[2])) {
            return true;
        }
    }
    return false;
}

static bool is_shelved(const char *word)
{
    char *path = NULL;
    bool found = shelf_resolve("plans", word, &path) == ST_OK && path != NULL;
    mem_free(path);
    return found;
}

static bool seems_plan(const char *word)
{
    plan p;
    bool some = seems_part(word) || plan_parse(word, &p) == ST_OK;
    for (const char *dot = strchr(word, '.'); dot != NULL && !some;
         dot = strchr(dot + 1, '.')) {
        some = seems_part(dot + 1);
    }
    return some;
}

/* A word that no file has; beside --model what is no model is a plan, well
 * written or not. */
static kind kind_of_word(const char *word, bool has_model)
{
    arch a;
    bool is_plan =
        seems_plan(word) || (has_model && arch_open(word, &a) != ST_OK);
    return is_plan ? KIND_PLAN : KIND_MODEL;
}

static status kind_of_json(const char *path, kind *out)
{
    json_doc *doc = NULL;
    TRY(json_open(path, &doc));
    json_val root = json_root(doc);
    bool empty_or_plan =
        json_kind(root) == JSON_KIND_OBJ && json_len(root) == 0;
    json_iter it = {0};
    const char *key = NULL;
    json_val value;
    while (!empty_or_plan && json_next(root, &it, &key, &value)) {
        empty_or_plan = text_nearest(key, plan_keys) != NULL;
    }
    status st = ST_OK;
    if (json_has(root, "model_type")) {
        *out = KIND_MODEL;
    } else if (json_has(root, "setups")) {
        st = FAIL(ST_CONFIG,
                  "%s: is an experiment; run it with weft compare and show "
                  "what came of it",
                  path);
    } else if (empty_or_plan) {
        *out = KIND_PLAN;
    } else {
        strbuf keys = {0};
        text_add_list(&keys, plan_keys);
        st = FAIL(ST_CONFIG,
                  "%s: is no model (it has no model_type) and no plan (none "
                  "of %s)",
                  path, strbuf_view(&keys));
        strbuf_fini(&keys);
    }
    json_close(doc);
    return st;
}

static status kind_of_file(const char *path, kind *out)
{
    if (text_ends(path, ".json")) {
        return kind_of_json(path, out);
    }
    REQUIRE(!text_ends(path, ".safetensors"), ST_BADFILE,
            "%s: is a file of weights; show the folder it is in, or turn it "
            "into a checkpoint with weft convert",
            path);
    *out = text_ends(path, ".h5") || is_hdf5(path) ? KIND_HDF5 : KIND_DATA;
    return ST_OK;
}

static status kind_of(const char *what, bool has_model, kind *out)
{
    if (text_is_dir(what)) {
        *out = KIND_MODEL;
        return ST_OK;
    }
    if (text_path_exists(what)) {
        return kind_of_file(what, out);
    }
    if (is_shelved(what)) { /* by the path that it has in a source tree, too */
        *out = KIND_PLAN;
        return ST_OK;
    }
    static const char *const ends[] = {".json", ".h5", ".bin", ".txt"};
    bool file = strchr(what, '/') != NULL;
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        file = file || text_ends(what, ends[i]);
    }
    REQUIRE(!file, ST_NOINPUT, "%s: no such file or folder; check the name",
            what);
    *out = kind_of_word(what, has_model);
    return ST_OK;
}

/* A word that is nothing: says what it was looked up as. */
static status show_named(const char *what, const show_args *a)
{
    status st = show_model(what, a);
    if (st == ST_NOINPUT && !text_path_exists(what)) {
        return FAIL(st,
                    "%s; it is no file, no folder and no plan "
                    "(as dp2.tp2) either",
                    status_text());
    }
    return st;
}

/* --- printing ---------------------------------------------------------- */

static void print_clean(const char *before, const char *fmt, va_list args)
{
    char text[1024];
    text_vprint(text, sizeof(text), fmt, args);
    for (char *c = text; *c != '\0'; c++) {
        *c = iscntrl((unsigned char)*c) ? '?' : *c;
    }
    size_t n = strlen(text);
    while (n > 0 && text[n - 1] == ' ') {
        text[--n] = '\0';
    }
    log_out("%s%s\n", before, text);
}

void show_field(const char *name, const char *fmt, ...)
{
    char before[COMPARISON_NAME_SIZE + 32]; /* a name may be a set-up's */
    const int wide = (int)html_length(name);
    va_list args;
    va_start(args, fmt);
    text_print(before, sizeof(before), "  %s%*s ", name,
               wide < 20 ? 20 - wide : 0, "");
    print_clean(before, fmt, args);
    va_end(args);
}

void show_head(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    print_clean("\n", fmt, args);
    va_end(args);
}

/* --- the command ------------------------------------------------------- */

static status show(const opt_parsed *p, const show_args *a)
{
    static status (*const by_kind[KINDS])(const char *, const show_args *) = {
        [KIND_MODEL] = show_named,
        [KIND_PLAN] = show_plan,
        [KIND_HDF5] = show_hdf5,
        [KIND_DATA] = show_data,
    };
    const char *what = opt_arg(p, 0);
    kind k = KIND_MODEL;
    TRY(kind_of(what, a->model != NULL, &k));
    TRY(check_options(p, k, a));
    return by_kind[k](what, a);
}

status command_show(int argc, const char *const *argv)
{
    show_args a;
    opt_parsed *parsed = NULL;
    TRY(opt_parse(&show_command, argc, argv, &a, sizeof(a), &parsed));
    status st = ST_OK;
    if (!command_helped(&show_command, parsed)) {
        st = show(parsed, &a);
    }
    opt_destroy(parsed);
    return st;
}
