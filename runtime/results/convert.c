#include "runtime/results/convert.h"

#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/stop.h"
#include "runtime/base/text.h"
#include "runtime/gpt/arch.h"
#include "runtime/gpt/params.h"
#include "runtime/io/safetensors.h"
#include "runtime/results/checkpoint.h"

enum {
    CONFIG_BYTES_MAX = 1 << 20, /* published ones have about 2 kB         */
    COMPARE_FLOATS = 1 << 18    /* of two tensors at a time, about        */
};

/* A tensor of the model, the file's tensor it comes from. */
typedef struct wanted {
    param_part part;
    const safetensors_info *from;
} wanted;

typedef struct converter {
    arch a;
    params ps;
    safetensors *in;
    wanted *list; /* parts of parameter 0, of parameter 1, ...          */
    int *first;   /* [ps.n]: index in list of a parameter's first part  */
    int count;
    const char **names; /* of list, NULL-terminated, for hints            */
    bool *used;         /* by tensor of the file                          */
    float *part;
} converter;

/* ---- names --------------------------------------------------------------- */

/* Buffers of transformers' modules that older versions saved: the causal
 * mask, its value, and the frequencies of rotary positions. */
static bool is_buffer(const char *name)
{
    static const char *const ends[] = {
        ".attn.bias",           ".attn.masked_bias",
        ".attention.bias",      ".attention.masked_bias",
        ".rotary_emb.inv_freq", NULL,
    };

    for (int i = 0; ends[i] != NULL; i++) {
        if (text_ends(name, ends[i])) {
            return true;
        }
    }
    return false;
}

/* Index of a tensor of the file, which has at most some thousands. */
static int64_t index_of(const safetensors *in, const safetensors_info *info)
{
    for (int64_t i = 0; i < safetensors_count(in); i++) {
        if (safetensors_at(in, i) == info) {
            return i;
        }
    }
    return -1;
}

/* The file's tensor for a part, under any of its names: NULL if none, an
 * error if several. Marks it as used. */
static status find_tensor(converter *c, const param_part *part,
                          const safetensors_info **out)
{
    const safetensors_info *found = safetensors_find(c->in, part->name);
    char alias[ARCH_NAME_MAX];

    for (int k = 0; param_part_alias(&c->a, part, k, alias); k++) {
        const safetensors_info *other = safetensors_find(c->in, alias);
        REQUIRE(found == NULL || other == NULL, ST_BADFILE,
                "%s: tensors %s and %s are the same one of the model; remove "
                "one of them",
                other->path, found->name, other->name);
        found = found != NULL ? found : other;
    }
    if (found != NULL) {
        c->used[index_of(c->in, found)] = true;
    }
    *out = found;
    return ST_OK;
}

/* ---- checks -------------------------------------------------------------- */

static void add_shape(strbuf *b, int n_dims, const int64_t *dim)
{
    strbuf_add(b, "(");
    for (int i = 0; i < n_dims; i++) {
        strbuf_printf(b, "%s%lld", i > 0 ? ", " : "", (long long)dim[i]);
    }
    strbuf_add(b, ")");
}

static status check_tensor(const safetensors_info *info, const param_part *part)
{
    bool same = info->n_dims == part->ndims;
    strbuf b = {0};

    switch (info->dtype) {
    case SAFETENSORS_F64:
    case SAFETENSORS_F32:
    case SAFETENSORS_F16:
    case SAFETENSORS_BF16:
        break;
    default:
        return FAIL(
            ST_BADFILE, "%s: %s: type is %s, allowed is F64, F32, F16, BF16",
            info->path, info->name, safetensors_dtype_name(info->dtype));
    }
    for (int i = 0; i < part->ndims && same; i++) {
        same = info->dim[i] == part->dims[i];
    }
    if (same) {
        return ST_OK;
    }
    add_shape(&b, info->n_dims, info->dim);
    strbuf_add(&b, ", by config.json it is ");
    add_shape(&b, part->ndims, part->dims);
    const status st = FAIL(ST_BADFILE, "%s: %s: shape is %s", info->path,
                           info->name, strbuf_view(&b));
    strbuf_fini(&b);
    return st;
}

static status fail_missing(const converter *c, const param_part *part,
                           const char *dir)
{
    const int64_t n = safetensors_count(c->in);
    const char **list = NULL;

    TRY(MEM_NEW(&list, n + 1, "convert"));
    for (int64_t i = 0, at = 0; i < n; i++) {
        if (!c->used[i]) {
            list[at++] = safetensors_at(c->in, i)->name;
        }
    }
    const char *near = text_nearest(part->name, list);
    const status st =
        FAIL(ST_BADFILE, "%s: tensor %s is missing%s%s%s", dir, part->name,
             near != NULL ? "; the nearest that nobody asked for is " : "",
             near != NULL ? near : "",
             near != NULL ? "" : "; is config.json of another model?");
    mem_free(list);
    return st;
}

/* What the same model would call its head if it had one of its own. */
static status head_part(const arch *tied, param_part *out)
{
    arch a = *tied;
    params ps;
    param_part parts[PARAM_PARTS_MAX];

    a.tied = false;
    TRY(params_init(&a, &ps));
    const int n =
        param_parts(&a, &ps, params_find(&ps, -1, PARAM_HEAD_W), parts);
    params_fini(&ps);
    ASSERT(n == 1);
    *out = parts[0];
    return ST_OK;
}

static wanted *embedding_of(const converter *c)
{
    return &c->list[c->first[params_find(&c->ps, -1, PARAM_WTE)]];
}

/* A tied model may have its one matrix under the head's name alone:
 * safetensors.torch.save_model keeps one name of what is shared. */
static status find_embedding(converter *c)
{
    wanted *w = embedding_of(c);
    param_part part;

    if (!c->a.tied || w->from != NULL) {
        return ST_OK;
    }
    TRY(head_part(&c->a, &part));
    return find_tensor(c, &part, &w->from);
}

static status match_wanted(converter *c, const char *dir)
{
    for (int i = 0; i < c->count; i++) {
        TRY(find_tensor(c, &c->list[i].part, &c->list[i].from));
    }
    TRY(find_embedding(c));
    /* Apart, so that a hint can tell what is left over. */
    for (int i = 0; i < c->count; i++) {
        if (c->list[i].from == NULL) {
            return fail_missing(c, &c->list[i].part, dir);
        }
        TRY(check_tensor(c->list[i].from, &c->list[i].part));
    }
    return ST_OK;
}

static status check_left_over(const converter *c)
{
    for (int64_t i = 0; i < safetensors_count(c->in); i++) {
        const safetensors_info *info = safetensors_at(c->in, i);
        if (c->used[i] || is_buffer(info->name)) {
            continue;
        }
        const char *near = text_nearest(info->name, c->names);
        return FAIL(ST_BADFILE,
                    "%s: tensor %s is none of a model as config.json "
                    "describes it%s%s",
                    info->path, info->name,
                    near != NULL ? "; the nearest is " : "",
                    near != NULL ? near : "");
    }
    return ST_OK;
}

/* ---- the head of a tied model -------------------------------------------- */

static status compare_rows(const safetensors_info *x, const safetensors_info *y,
                           float *buf, int64_t rows)
{
    const int64_t cols = x->count / x->rows;

    for (int64_t first = 0; first < x->rows; first += rows) {
        const int64_t left = x->rows - first;
        const int64_t n = left < rows ? left : rows;
        TRY(safetensors_read(x, first, n, buf));
        TRY(safetensors_read(y, first, n, buf + rows * cols));
        REQUIRE(memcmp(buf, buf + rows * cols,
                       (size_t)(n * cols) * sizeof(float)) == 0,
                ST_BADFILE,
                "%s: %s differs from %s but config.json says that they are "
                "one (tie_word_embeddings)",
                x->path, x->name, y->name);
    }
    return ST_OK;
}

static status compare_tensors(const safetensors_info *x,
                              const safetensors_info *y)
{
    const int64_t cols = x->count / x->rows;
    const int64_t fit = COMPARE_FLOATS / cols;
    const int64_t rows = fit > 0 ? fit : 1;
    float *buf = NULL;

    TRY(MEM_NEW(&buf, 2 * rows * cols, "convert"));
    const status st = compare_rows(x, y, buf, rows);
    mem_free(buf);
    return st;
}

static status check_tied_head(converter *c)
{
    const safetensors_info *head = NULL;
    param_part part;

    if (!c->a.tied) {
        return ST_OK;
    }
    const safetensors_info *embedding = embedding_of(c)->from;
    TRY(head_part(&c->a, &part));
    TRY(find_tensor(c, &part, &head));
    if (head == NULL || head == embedding) {
        return ST_OK;
    }
    TRY(check_tensor(head, &part));
    return compare_tensors(head, embedding);
}

/* ---- conversion ---------------------------------------------------------- */

static status make_list(converter *c)
{
    const int most = c->ps.n * PARAM_PARTS_MAX;

    TRY(MEM_NEW(&c->list, most, "convert"));
    TRY(MEM_NEW(&c->names, most + 1, "convert"));
    TRY(MEM_NEW(&c->first, c->ps.n, "convert"));
    TRY(MEM_NEW(&c->used, safetensors_count(c->in) + 1, "convert"));
    for (int i = 0; i < c->ps.n; i++) {
        param_part parts[PARAM_PARTS_MAX];
        const int n = param_parts(&c->a, &c->ps, i, parts);
        c->first[i] = c->count;
        for (int k = 0; k < n; k++) {
            wanted *w = &c->list[c->count];
            w->part = parts[k];
            c->names[c->count++] = w->part.name;
        }
    }
    return ST_OK;
}

/* Only once the shapes are known to be those of the files: a config.json can
 * ask for any amount of memory. */
static status make_room(converter *c)
{
    int64_t largest = 1;

    for (int i = 0; i < c->count; i++) {
        const int64_t floats = c->list[i].from->count;
        largest = floats > largest ? floats : largest;
    }
    return MEM_NEW(&c->part, largest, "convert");
}

/* A ckpt_source. */
static status read_param(void *self, int par, store_state which, float *full)
{
    converter *c = self;
    param_part parts[PARAM_PARTS_MAX];
    const int n = param_parts(&c->a, &c->ps, par, parts);

    ASSERT(which == STORE_WEIGHT);
    TRY(stop_check());
    for (int k = 0; k < n; k++) {
        const safetensors_info *from = c->list[c->first[par] + k].from;
        TRY(safetensors_read_all(from, from->count, c->part));
        param_from_part(&c->a, &c->ps, par, k, c->part, full);
    }
    return ST_OK;
}

static status save(converter *c, const char *dir, const char *out_path)
{
    ckpt_info info = {.weights_only = true, .exact_sums = true};
    const ckpt_source source = {c, read_param};
    char *path = NULL;
    status st = ST_OK;

    TRY(text_path_join(dir, "config.json", &path));
    TRY_GOTO(text_read_file(path, CONFIG_BYTES_MAX, &info.config, NULL),
             free_path);
    st = ckpt_save(NULL, out_path, &c->a, &c->ps, &info, &source);
    mem_free(info.config);
free_path:
    mem_free(path);
    return st;
}

static status convert(converter *c, const char *dir, const char *out_path)
{
    TRY(params_init(&c->a, &c->ps));
    TRY(safetensors_open(dir, &c->in));
    TRY(make_list(c));
    TRY(match_wanted(c, dir));
    TRY(check_tied_head(c));
    TRY(check_left_over(c));
    TRY(make_room(c));
    return save(c, dir, out_path);
}

static void summarize(const converter *c, convert_summary *said)
{
    *said = (convert_summary){.tensors = c->count,
                              .parameters = c->ps.total,
                              .shards = safetensors_files(c->in)};
    for (int i = 0; i < c->count; i++) {
        const safetensors_dtype type = c->list[i].from->dtype;
        said->widened += type == SAFETENSORS_F16 || type == SAFETENSORS_BF16;
        said->rounded += type == SAFETENSORS_F64;
    }
}

status convert_from_hf(const char *dir, const char *out_path,
                       convert_summary *said)
{
    converter c = {0};

    REQUIRE(text_is_dir(dir) ||
                !(text_ends(dir, ".bin") || text_ends(dir, ".pt") ||
                  text_ends(dir, ".pth")),
            ST_BADFILE,
            "%s: is a Python pickle by its name, which can run any code when "
            "it is read, so it is not; give a folder with a config.json and "
            "a model.safetensors",
            dir);
    REQUIRE(text_is_dir(dir) || !text_path_exists(dir), ST_NOINPUT,
            "%s: is a file; give the folder that it is in, with a config.json "
            "and a model.safetensors",
            dir);
    REQUIRE(text_is_dir(dir), ST_NOINPUT,
            "%s: no such folder; give one with a config.json and a "
            "model.safetensors",
            dir);
    TRY(arch_open(dir, &c.a));
    const status st = convert(&c, dir, out_path);
    if (st == ST_OK && said != NULL) {
        summarize(&c, said);
    }
    safetensors_close(c.in);
    params_fini(&c.ps);
    mem_free(c.list);
    mem_free(c.names);
    mem_free(c.first);
    mem_free(c.used);
    mem_free(c.part);
    return st;
}
