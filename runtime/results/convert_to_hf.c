/*
 * From a checkpoint to a Hugging Face folder.
 *
 * All sizes are known from the model, so which tensor goes into which file is
 * settled first, then the checkpoint is read once, in the order of the files.
 * The folder is filled under another name, DIR.tmp, and renamed when all of
 * it is on the disk; an empty folder of the name DIR is replaced by that.
 * While it is filled it is locked and holds a mark: one with a mark that
 * nobody has locked is what a killed run left, and is taken over.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/json.h"
#include "runtime/base/mem.h"
#include "runtime/base/stop.h"
#include "runtime/base/text.h"
#include "runtime/gpt/arch.h"
#include "runtime/gpt/params.h"
#include "runtime/io/safetensors.h"
#include "runtime/results/checkpoint.h"
#include "runtime/results/convert.h"

enum { FILE_NAME_SIZE = 48 };

static const char mark_name[] = "weft-unfinished";

/* A tensor to be written. */
typedef struct tensor {
    char name[ARCH_NAME_MAX];
    int64_t floats;
    int32_t shard;
} tensor;

typedef struct exporter {
    arch a;
    params ps;
    tensor *list;               /* parts of parameter 0, of parameter 1, ... */
    safetensors_entry *entries; /* of list, names lent by it                */
    int *first;                 /* [ps.n]: in list                           */
    int count;
    int shards;
    int64_t floats; /* of all                                               */
    float *part;    /* room for the largest tensor                          */
    char *dir;      /* without slashes at the end                           */
    char *temp;     /* dir.tmp                                              */
    int lock;       /* temp, opened and locked; -1: it is not ours          */
    mode_t mode;    /* of the empty folder that is replaced; 0: none        */
    int open;       /* shard being written, -1: none yet                    */
    safetensors_writer *w;
} exporter;

/* ---- what goes where ----------------------------------------------------- */

static void shard_name(const exporter *x, int shard, char out[FILE_NAME_SIZE])
{
    if (x->shards == 1) {
        (void)snprintf(out, FILE_NAME_SIZE, "model.safetensors");
    } else {
        (void)snprintf(out, FILE_NAME_SIZE, "model-%05d-of-%05d.safetensors",
                       shard + 1, x->shards);
    }
}

static void add_tensor(exporter *x, const param_part *part)
{
    tensor *t = &x->list[x->count];
    safetensors_entry *e = &x->entries[x->count++];

    param_part_published(&x->a, part, t->name);
    t->floats = part->dims[0] * (part->ndims > 1 ? part->dims[1] : 1);
    e->name = t->name;
    e->n_dims = part->ndims;
    e->dim[0] = part->dims[0];
    e->dim[1] = part->ndims > 1 ? part->dims[1] : 0;
    x->floats += t->floats;
}

/* In order, a new file where the next tensor would be too much. */
static status cut_shards(exporter *x, int64_t shard_bytes)
{
    int64_t filled = 0;

    x->shards = 1;
    for (int i = 0; i < x->count; i++) {
        const int64_t bytes = x->list[i].floats * (int64_t)sizeof(float);
        if (filled > 0 && bytes > shard_bytes - filled) {
            x->shards++;
            filled = 0;
        }
        filled += bytes;
        x->list[i].shard = x->shards - 1;
    }
    REQUIRE(x->shards <= SAFETENSORS_SHARDS_MAX, ST_CONFIG,
            "--shard-size %" PRId64 " makes %d files, at most %d are allowed",
            shard_bytes, x->shards, SAFETENSORS_SHARDS_MAX);
    return ST_OK;
}

static status plan_files(exporter *x, int64_t shard_bytes)
{
    const int most = x->ps.n * PARAM_PARTS_MAX;
    int64_t largest = 1;

    TRY(MEM_NEW(&x->list, most, "convert"));
    TRY(MEM_NEW(&x->entries, most, "convert"));
    TRY(MEM_NEW(&x->first, x->ps.n, "convert"));
    for (int par = 0; par < x->ps.n; par++) {
        param_part parts[PARAM_PARTS_MAX];
        const int n = param_parts(&x->a, &x->ps, par, parts);
        x->first[par] = x->count;
        for (int k = 0; k < n; k++) {
            add_tensor(x, &parts[k]);
            const int64_t floats = x->list[x->count - 1].floats;
            largest = floats > largest ? floats : largest;
        }
    }
    TRY(MEM_NEW(&x->part, largest, "convert"));
    return cut_shards(x, shard_bytes);
}

/* ---- the folder ---------------------------------------------------------- */

static status name_folder(exporter *x, const char *dir)
{
    strbuf b = {0};
    size_t n = strlen(dir);

    while (n > 1 && dir[n - 1] == '/') {
        n--;
    }
    REQUIRE(n > 0, ST_CANTCREATE,
            "the output folder has an empty name; give it a name with -o");
    REQUIRE(strcmp(dir, "-") != 0, ST_USAGE,
            "-: the output is a folder, not standard output; give a name");
    strbuf_add_bytes(&b, dir, n);
    TRY(strbuf_take(&b, &x->dir));
    strbuf_printf(&b, "%s.tmp", x->dir);
    return strbuf_take(&b, &x->temp);
}

/* A folder is replaced by its name, which ".", a link and the root of a file
 * system do not have. */
static status check_replaceable(const char *path, const struct stat *info)
{
    const char *last = text_path_base(path);
    struct stat above;
    char *parent = NULL;

    TRY(text_path_join(path, "..", &parent));
    const bool known = stat(parent, &above) == 0;
    mem_free(parent);
    const bool mounted = known && above.st_dev != info->st_dev;
    const bool link = S_ISLNK(info->st_mode);
    REQUIRE(!link && !mounted && strcmp(last, ".") != 0 &&
                strcmp(last, "..") != 0,
            ST_CANTCREATE,
            "%s: is %s, which a finished folder cannot take the place of; give "
            "the name of a new folder%s",
            path,
            link      ? "a symbolic link"
            : mounted ? "a mounted file system"
                      : "no folder's own name",
            link ? "" : " in it");
    return ST_OK;
}

/* ST_CANTCREATE unless the folder may take the place of `path`. *mode is that
 * of an empty folder there, 0: there is none. */
static status check_free(const char *path, mode_t *mode)
{
    struct stat info;

    if (lstat(path, &info) != 0) {
        return ST_OK;
    }
    TRY(check_replaceable(path, &info));
    DIR *d = S_ISDIR(info.st_mode) ? opendir(path) : NULL;
    REQUIRE(d != NULL, ST_CANTCREATE,
            "%s: is there and is not a folder that can be filled; give "
            "another name",
            path);
    *mode = info.st_mode & 07777;
    int members = 0;
    while (readdir(d) != NULL) {
        members++;
    }
    closedir(d);
    REQUIRE(members <= 2, ST_CANTCREATE, /* "." and ".." */
            "%s: is not empty; give the name of a new or an empty folder",
            path);
    return ST_OK;
}

static status path_in(const exporter *x, const char *name, char **out)
{
    return text_path_join(x->temp, name, out);
}

static void unlink_in(const exporter *x, const char *name)
{
    char *path = NULL;

    if (path_in(x, name, &path) == ST_OK) {
        unlink(path);
    }
    mem_free(path);
}

static status write_text(const exporter *x, const char *name, const char *text)
{
    char *path = NULL;

    TRY(path_in(x, name, &path));
    const status st = text_write_file(path, text, strlen(text));
    mem_free(path);
    return st;
}

/* True if export_all may have written it: a name of ours, or one of its
 * temporaries (.tmp, .tmp.1234). */
static bool is_ours(const char *name)
{
    static const char *const fixed[] = {mark_name, "config.json",
                                        "model.safetensors",
                                        "model.safetensors.index.json"};
    const char *tmp = strstr(name, ".tmp");
    const size_t n = tmp != NULL ? (size_t)(tmp - name) : strlen(name);
    int shard = 0, shards = 0, end = 0;

    for (int i = 0; i < 4; i++) {
        if (strlen(fixed[i]) == n && strncmp(name, fixed[i], n) == 0) {
            return true;
        }
    }
    return sscanf(name, "model-%5d-of-%5d.safetensors%n", &shard, &shards,
                  &end) == 2 &&
           end > 0 && (size_t)end == n;
}

/* Calls `act` for each file in the folder. */
static status walk_folder(const exporter *x,
                          status (*act)(const exporter *x, const char *name))
{
    status st = ST_OK;
    const struct dirent *e = NULL;
    DIR *d = opendir(x->temp);

    REQUIRE(d != NULL, ST_CANTCREATE, "%s: %s", x->temp, strerror(errno));
    while (st == ST_OK && (e = readdir(d)) != NULL) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            st = act(x, e->d_name);
        }
    }
    closedir(d);
    return st;
}

static status fail_foreign(const exporter *x, const char *name)
{
    return FAIL(ST_CANTCREATE,
                "%s: is there and holds %.*s, it is no left-over of a "
                "conversion; move it away or give another name",
                x->temp, text_fit(name, 80), name);
}

static status check_ours(const exporter *x, const char *name)
{
    return is_ours(name) ? ST_OK : fail_foreign(x, name);
}

/* All but the mark, which goes last. */
static status remove_file(const exporter *x, const char *name)
{
    if (strcmp(name, mark_name) != 0) {
        unlink_in(x, name);
    }
    return ST_OK;
}

/* What is in a locked folder that was there: nothing, or what a killed run
 * left. A folder without the mark is somebody's, whatever it holds. */
static status clear_left_over(const exporter *x)
{
    char *mark = NULL;

    TRY(path_in(x, mark_name, &mark));
    const bool marked = text_path_exists(mark);
    mem_free(mark);
    TRY(walk_folder(x, marked ? check_ours : fail_foreign));
    return walk_folder(x, remove_file);
}

static status lock_folder(exporter *x)
{
    const int fd =
        open(x->temp, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

    REQUIRE(fd >= 0, ST_CANTCREATE, "%s: cannot create: %s", x->temp,
            strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        close(fd);
        return FAIL(ST_LOCKED,
                    "%s: another run is writing it; wait for it or choose "
                    "another name",
                    x->temp);
    }
    x->lock = fd;
    return ST_OK;
}

static void unlock_folder(exporter *x)
{
    if (x->lock >= 0) {
        close(x->lock);
    }
    x->lock = -1;
}

static status make_folder(exporter *x, const char *dir)
{
    TRY(name_folder(x, dir));
    TRY(check_free(x->dir, &x->mode));
    const bool made = mkdir(x->temp, 0777) == 0;
    REQUIRE(made || errno == EEXIST, ST_CANTCREATE, "%s: cannot create: %s",
            x->temp, strerror(errno));
    TRY(lock_folder(x));
    status st = made ? ST_OK : clear_left_over(x);
    if (st != ST_OK) {
        unlock_folder(x); /* it is not ours to remove */
        return st;
    }
    return write_text(x, mark_name, "unfinished\n");
}

/* ---- tensors ------------------------------------------------------------- */

static status open_shard(exporter *x, int shard)
{
    char name[FILE_NAME_SIZE];
    char *path = NULL;
    int lo = 0, hi = 0;

    if (x->w != NULL) {
        TRY(safetensors_commit(&x->w));
    }
    while (x->list[lo].shard < shard) {
        lo++;
    }
    for (hi = lo; hi < x->count && x->list[hi].shard == shard;) {
        hi++;
    }
    shard_name(x, shard, name);
    TRY(path_in(x, name, &path));
    const status st = safetensors_create(path, x->entries + lo, hi - lo, &x->w);
    mem_free(path);
    x->open = st == ST_OK ? shard : x->open;
    return st;
}

/* A ckpt_sink: parameters come in the order of the list. */
static status put_param(void *self, int par, store_state which,
                        const float *full)
{
    exporter *x = self;
    param_part parts[PARAM_PARTS_MAX];
    const int n = param_parts(&x->a, &x->ps, par, parts);

    ASSERT(which == STORE_WEIGHT);
    TRY(stop_check());
    for (int k = 0; k < n; k++) {
        const tensor *t = &x->list[x->first[par] + k];
        if (t->shard != x->open) {
            TRY(open_shard(x, t->shard));
        }
        param_to_part(&x->a, &x->ps, par, k, full, x->part);
        TRY(safetensors_write(x->w, x->part, t->floats));
    }
    return ST_OK;
}

static status write_index(const exporter *x)
{
    json_writer w;
    char *text = NULL;

    json_writer_init(&w);
    json_write_obj(&w, NULL);
    json_write_obj(&w, "metadata");
    json_write_i64(&w, "total_size", x->floats * (int64_t)sizeof(float));
    json_write_end(&w);
    json_write_obj(&w, "weight_map");
    for (int i = 0; i < x->count; i++) {
        char name[FILE_NAME_SIZE];
        shard_name(x, x->list[i].shard, name);
        json_write_str(&w, x->list[i].name, name);
    }
    json_write_end(&w);
    json_write_end(&w);
    status st = json_writer_take(&w, &text);
    if (st == ST_OK) {
        st = write_text(x, "model.safetensors.index.json", text);
    }
    mem_free(text);
    json_writer_fini(&w);
    return st;
}

/* ---- the whole ----------------------------------------------------------- */

static status write_config(const exporter *x, const char *ckpt_path)
{
    ckpt_info info;
    char *text = NULL;

    TRY(ckpt_peek(ckpt_path, &info));
    status st = arch_hf_config(&x->a, info.config, &text);
    ckpt_info_fini(&info);
    if (st == ST_OK) {
        st = write_text(x, "config.json", text);
    }
    mem_free(text);
    return st;
}

static status fill_folder(exporter *x, const char *ckpt_path)
{
    const ckpt_sink sink = {x, put_param};

    TRY(write_config(x, ckpt_path));
    TRY(ckpt_load(ckpt_path, &x->a, &x->ps, CKPT_WEIGHTS, &sink));
    TRY(safetensors_commit(&x->w));
    if (x->shards > 1) {
        TRY(write_index(x));
    }
    TRY(stop_check());
    unlink_in(x, mark_name);
    REQUIRE(x->mode == 0 || fchmod(x->lock, x->mode) == 0, ST_CANTCREATE,
            "%s: %s", x->temp, strerror(errno));
    REQUIRE(rename(x->temp, x->dir) == 0, ST_CANTCREATE,
            "%s: cannot rename %s to it: %s", x->dir, x->temp, strerror(errno));
    unlock_folder(x);
    return text_path_sync(x->dir);
}

/* What a failure left. */
static void drop_folder(exporter *x)
{
    safetensors_abandon(&x->w);
    if (x->lock < 0) {
        return;
    }
    for (int i = 0; i < x->shards; i++) {
        char name[FILE_NAME_SIZE];
        shard_name(x, i, name);
        unlink_in(x, name);
    }
    unlink_in(x, "config.json");
    unlink_in(x, "model.safetensors.index.json");
    unlink_in(x, mark_name);
    rmdir(x->temp);
    unlock_folder(x);
}

static status export_all(exporter *x, const char *ckpt_path, const char *dir,
                         int64_t shard_bytes)
{
    TRY(ckpt_arch(ckpt_path, &x->a));
    TRY(params_init(&x->a, &x->ps));
    TRY(plan_files(x, shard_bytes));
    TRY(make_folder(x, dir));
    return fill_folder(x, ckpt_path);
}

status convert_to_hf(const char *ckpt_path, const char *dir,
                     int64_t shard_bytes, convert_summary *said)
{
    exporter x = {.open = -1, .lock = -1};
    const status st = export_all(&x, ckpt_path, dir, shard_bytes);

    if (st == ST_OK && said != NULL) {
        *said = (convert_summary){
            .tensors = x.count, .parameters = x.ps.total, .shards = x.shards};
    }
    drop_folder(&x);
    params_fini(&x.ps);
    mem_free(x.list);
    mem_free(x.entries);
    mem_free(x.first);
    mem_free(x.part);
    mem_free(x.dir);
    mem_free(x.temp);
    return st;
}
