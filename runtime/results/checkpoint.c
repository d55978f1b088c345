/*
 * Saving and loading of tensors. What a checkpoint says about itself is in
 * checkpoint_info.c.
 *
 * Saving is a walk over (state, parameter) that all ranks make together: the
 * source gathers the parameter at rank 0, rank 0 writes its tensors, all
 * agree. Only rank 0 has a file and buffers; the others go along.
 */
#include "runtime/results/checkpoint.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/hash.h"
#include "runtime/base/mem.h"
#include "runtime/base/text.h"
#include "runtime/results/checkpoint_impl.h"

const char *const ckpt_groups[CKPT_STATES] = {
    [STORE_WEIGHT] = "/weights", [STORE_M] = "/adam_m", [STORE_V] = "/adam_v"};

void ckpt_tensor_path(store_state which, const char *name,
                      char out[CKPT_PATH_SIZE])
{
    const int n =
        snprintf(out, CKPT_PATH_SIZE, "%s/%s", ckpt_groups[which], name);
    ASSERT(n > 0 && n < CKPT_PATH_SIZE);
}

static int64_t param_floats(const param *p)
{
    return p->rows * p->cols;
}

static int64_t part_floats(const param_part *part)
{
    return part->dims[0] * (part->ndims > 1 ? part->dims[1] : 1);
}

/* Room for the largest parameter in memory, and for its largest tensor. */
typedef struct buffers {
    float *full;
    float *part;
} buffers;

static void buffers_fini(buffers *b)
{
    mem_free(b->full);
    mem_free(b->part);
    *b = (buffers){0};
}

static status buffers_init(const arch *a, const params *ps, buffers *out)
{
    int64_t full = 1, part = 1;
    buffers b = {0};
    status st = ST_OK;

    for (int i = 0; i < ps->n; i++) {
        param_part parts[PARAM_PARTS_MAX];
        const int n = param_parts(a, ps, i, parts);
        const int64_t floats = param_floats(&ps->list[i]);
        full = floats > full ? floats : full;
        for (int k = 0; k < n; k++) {
            const int64_t have = part_floats(&parts[k]);
            part = have > part ? have : part;
        }
    }
    TRY_GOTO(MEM_NEW(&b.full, full, "checkpoint"), fail);
    TRY_GOTO(MEM_NEW(&b.part, part, "checkpoint"), fail);
    *out = b;
    return ST_OK;
fail:
    buffers_fini(&b);
    return st;
}

/* ---- saving -------------------------------------------------------------- */

typedef struct saver {
    comm *world;
    const arch *a;
    const params *ps;
    const ckpt_source *source;
    bool writes;  /* rank 0                */
    h5_file *f;   /* of rank 0, else NULL  */
    buffers bufs; /* of rank 0, else zeros */
} saver;

static status agree(const saver *s, status mine)
{
    return s->world != NULL ? comm_agree(s->world, mine) : mine;
}

static status save_begin(saver *s, const char *path, const ckpt_info *info)
{
    if (!s->writes) {
        return ST_OK;
    }
    TRY(buffers_init(s->a, s->ps, &s->bufs));
    TRY(h5_create(path, H5_PLAIN, &s->f));
    return ckpt_info_write(s->f, s->a, info);
}

static status put_param(saver *s, int par, store_state which)
{
    param_part parts[PARAM_PARTS_MAX];
    const int n = param_parts(s->a, s->ps, par, parts);

    for (int k = 0; k < n; k++) {
        char path[CKPT_PATH_SIZE];
        const size_t bytes = (size_t)part_floats(&parts[k]) * sizeof(float);
        ckpt_tensor_path(which, parts[k].name, path);
        param_to_part(s->a, s->ps, par, k, s->bufs.full, s->bufs.part);
        TRY(h5_data_put(s->f, path, H5_F32, parts[k].ndims, parts[k].dims,
                        s->bufs.part));
        TRY(h5_checksum_set(s->f, path, hash64(s->bufs.part, bytes)));
    }
    return ST_OK;
}

static status save_param(saver *s, int par, store_state which)
{
    status st = s->source->read(s->source->self, par, which, s->bufs.full);

    if (st == ST_OK && s->writes) {
        st = put_param(s, par, which);
    }
    return agree(s, st);
}

static status save_all(saver *s, bool weights_only)
{
    const int states = weights_only ? 1 : CKPT_STATES;

    for (int which = 0; which < states; which++) {
        for (int par = 0; par < s->ps->n; par++) {
            TRY(save_param(s, par, (store_state)which));
        }
    }
    return ST_OK;
}

status ckpt_save(comm *world, const char *path, const arch *a, const params *ps,
                 const ckpt_info *info, const ckpt_source *source)
{
    saver s = {
        .world = world,
        .a = a,
        .ps = ps,
        .source = source,
        .writes = world == NULL || comm_rank(world) == 0,
    };

    status st = agree(&s, save_begin(&s, path, info));
    if (st == ST_OK) {
        st = save_all(&s, info->weights_only);
    }
    if (st == ST_OK) {
        st = agree(&s, s.writes ? h5_commit(&s.f) : ST_OK);
    }
    h5_abandon(&s.f);
    buffers_fini(&s.bufs);
    return st;
}

int64_t ckpt_bytes(const params *ps)
{
    /* Texts and the groups' indexes; header, checksum and name of each of a
     * parameter's tensors, some 450 bytes of HDF5. */
    enum { FIXED_BYTES = 128 * 1024, PARAM_BYTES = 2048 };

    return CKPT_STATES * (ps->total * (int64_t)sizeof(float) +
                          (int64_t)ps->n * PARAM_BYTES) +
           FIXED_BYTES;
}

/* ---- loading ------------------------------------------------------------- */

typedef struct loader {
    h5_file *f;
    const arch *a;
    const params *ps;
    int states; /* how many of weights, m, v */
    buffers bufs;
} loader;

/* Tensors of one state: there, of the right shape; counts them. */
static status check_tensors(const loader *l, store_state which, int64_t *count)
{
    *count = 0;
    for (int par = 0; par < l->ps->n; par++) {
        param_part parts[PARAM_PARTS_MAX];
        const int n = param_parts(l->a, l->ps, par, parts);
        for (int k = 0; k < n; k++) {
            char path[CKPT_PATH_SIZE];
            ckpt_tensor_path(which, parts[k].name, path);
            REQUIRE(h5_has(l->f, path), ST_BADFILE,
                    "%s: tensor %s is missing; %s needs it", h5_path(l->f),
                    path, l->a->name);
            TRY(h5_data_check(l->f, path, H5_KIND_FLOAT, parts[k].ndims,
                              parts[k].dims));
        }
        *count += n;
    }
    return ST_OK;
}

static bool is_known(const loader *l, const char *name)
{
    for (int par = 0; par < l->ps->n; par++) {
        param_part parts[PARAM_PARTS_MAX];
        const int n = param_parts(l->a, l->ps, par, parts);
        for (int k = 0; k < n; k++) {
            if (strcmp(parts[k].name, name) == 0) {
                return true;
            }
        }
    }
    return false;
}

/* A tensor that we would pass over says that the file is not what it seems. */
static status check_no_others(const loader *l, store_state which, int64_t want)
{
    int64_t have = 0;

    TRY(h5_group_count(l->f, ckpt_groups[which], &have));
    for (int64_t i = 0; i < have && have != want; i++) {
        char name[H5_NAME_SIZE];
        TRY(h5_group_member(l->f, ckpt_groups[which], i, name));
        REQUIRE(is_known(l, name), ST_BADFILE,
                "%s: tensor %s/%.*s does not belong to %s", h5_path(l->f),
                ckpt_groups[which], text_fit(name, 90), name, l->a->name);
    }
    return ST_OK;
}

static status check_all(const loader *l)
{
    ckpt_info info = {0};
    status st = ST_OK;

    TRY(ckpt_info_read(l->f, &info));
    TRY_GOTO(ckpt_check_model(l->f, &info, l->a), done);
    if (l->states > 1 && info.weights_only) {
        st = FAIL(ST_CONFIG,
                  "%s: has weights alone, no optimizer state to resume from; "
                  "start a new run from it with --init",
                  h5_path(l->f));
        goto done;
    }
    for (int which = 0; which < l->states; which++) {
        int64_t count = 0;
        TRY_GOTO(check_tensors(l, (store_state)which, &count), done);
        TRY_GOTO(check_no_others(l, (store_state)which, count), done);
    }
done:
    ckpt_info_fini(&info);
    return st;
}

static status load_param(loader *l, int par, store_state which,
                         const ckpt_sink *sink)
{
    param_part parts[PARAM_PARTS_MAX];
    const int n = param_parts(l->a, l->ps, par, parts);

    for (int k = 0; k < n; k++) {
        char path[CKPT_PATH_SIZE];
        ckpt_tensor_path(which, parts[k].name, path);
        TRY(h5_checksum_verify(l->f, path));
        TRY(h5_data_read_all(l->f, path, H5_F32, part_floats(&parts[k]),
                             l->bufs.part));
        param_from_part(l->a, l->ps, par, k, l->bufs.part, l->bufs.full);
    }
    return sink->write(sink->self, par, which, l->bufs.full);
}

static status load_all(loader *l, const ckpt_sink *sink)
{
    TRY(check_all(l));
    TRY(buffers_init(l->a, l->ps, &l->bufs));
    for (int which = 0; which < l->states; which++) {
        for (int par = 0; par < l->ps->n; par++) {
            TRY(load_param(l, par, (store_state)which, sink));
        }
    }
    return ST_OK;
}

status ckpt_load(const char *path, const arch *a, const params *ps,
                 ckpt_states states, const ckpt_sink *sink)
{
    loader l = {
        .a = a, .ps = ps, .states = states == CKPT_ALL ? CKPT_STATES : 1};

    TRY(h5_open(path, &l.f));
    const status st = load_all(&l, sink);
    buffers_fini(&l.bufs);
    /* Only read: closing has nothing to add. */
    const status closed = h5_close(&l.f);
    return st != ST_OK ? st : closed;
}

/* Adds names and stored checksums of a group; none where it is not there. */
static status hash_group(const h5_file *f, const char *group, hash_state *h)
{
    int64_t n = 0;

    if (!h5_has(f, group)) {
        return ST_OK;
    }
    TRY(h5_group_count(f, group, &n));
    for (int64_t i = 0; i < n; i++) {
        char name[H5_NAME_SIZE];
        char path[CKPT_PATH_SIZE + H5_NAME_SIZE];
        uint64_t sum = 0;
        TRY(h5_group_member(f, group, i, name));
        (void)snprintf(path, sizeof(path), "%s/%s", group, name);
        TRY(h5_checksum_get(f, path, &sum));
        hash_add(h, name, strlen(name));
        hash_add(h, &sum, sizeof(sum));
    }
    return ST_OK;
}

static status hash_states(const h5_file *f, int states, hash_state *h)
{
    ckpt_info info = {0};

    TRY(ckpt_info_read(f, &info));
    hash_add(h, &info.step, sizeof(info.step));
    ckpt_info_fini(&info);
    for (int which = 0; which < states; which++) {
        TRY(hash_group(f, ckpt_groups[which], h));
    }
    return ST_OK;
}

status ckpt_hash(const char *path, ckpt_states states, uint64_t *hash)
{
    h5_file *f = NULL;
    hash_state *h = NULL;

    TRY(hash_create(&h));
    status st = h5_open(path, &f);
    if (st == ST_OK) {
        st = hash_states(f, states == CKPT_ALL ? CKPT_STATES : 1, h);
        const status closed = h5_close(&f);
        st = st != ST_OK ? st : closed;
    }
    if (st == ST_OK) {
        *hash = hash_value(h);
    }
    hash_destroy(h);
    return st;
}
