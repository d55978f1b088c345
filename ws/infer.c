#include "ws/infer.h"

#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/threads.h"
#include "runtime/base/units.h"
#include "runtime/exec/exec.h"
#include "runtime/math/matmul.h"
#include "runtime/results/checkpoint.h"
#include "ws/compile.h"
#include "ws/store/ram.h"

enum {
    /* Smaller programs would not be faster: starting their operations is what
     * takes time. */
    LEAST_POSITIONS = 32,
    /* Tokens that a program with a cache takes at once: weights have to come
     * past for one as for many, and so few are free beside that. */
    CACHED_TOKENS = 16,
    DEFAULT_LEAVES = 4
};

struct infer {
    infer_options o; /* filled in: nothing is 0 but device_memory           */
    const char *path;
    arch a;
    params ps;
    int32_t leaves; /* of tensors, as in the run                            */
    store *store;
    comm *world;
    const math_ops *math;

    bool cached;
    gpt_shape sh; /* of the program at hand; T = 0: none                    */
    program_set set;
    exec *e;
    const int32_t *ids; /* the batch, borrowed during a call                */
    int64_t n;
    int32_t *known; /* ids whose keys and values are in the cache           */
    int64_t nknown;
};

/* --- the program at hand -------------------------------------------------- */

static status batch(void *self, int64_t step, int64_t seq0, int64_t seqs,
                    int32_t *ids, int32_t *targets)
{
    const infer *m = self;
    (void)step, (void)seq0, (void)seqs;
    size_t rest = (size_t)(m->sh.T - m->n) * sizeof(int32_t);
    memcpy(ids, m->ids, (size_t)m->n * sizeof(int32_t));
    memset(ids + m->n, 0, rest);
    memset(targets, 0, (size_t)m->sh.T * sizeof(int32_t));
    return ST_OK;
}

static gpt_shape shape_of(const infer *m, int64_t positions)
{
    return (gpt_shape){.N = 1,
                       .T = positions,
                       .D = 1,
                       .S = m->leaves,
                       .kblock = matmul_kblock(),
                       .threads = m->o.threads};
}

static int64_t cache_size(const infer *m)
{
    return m->cached ? m->o.context : 0;
}

static void drop_program(infer *m)
{
    exec_destroy(m->e);
    m->e = NULL;
    program_set_fini(&m->set);
    m->sh.T = 0;
}

static status make_program(infer *m, int64_t positions)
{
    ws_choice choice;
    drop_program(m);
    gpt_shape sh = shape_of(m, positions);
    TRY(ws_compile_infer(&m->a, &m->ps, &sh, cache_size(m), m->o.device_memory,
                         &m->set, &choice));
    exec_config c = {.a = &m->a,
                     .ps = &m->ps,
                     .set = &m->set,
                     .sh = sh,
                     .math = m->math,
                     .threads = sh.threads,
                     .world = m->world,
                     .store = m->store,
                     .device_memory = m->o.device_memory,
                     .batch = batch,
                     .batch_self = m};
    TRY(exec_create(&c, &m->e));
    m->sh = sh;
    return ST_OK;
}

static int64_t positions_for(const infer *m, int64_t n)
{
    int64_t p = m->o.least;
    while (p < n) {
        p *= 2;
    }
    return p < m->o.context ? p : m->o.context;
}

/* The whole sequence in one batch. */
static status run_whole(infer *m, const int32_t *ids, int64_t n,
                        const float **logits)
{
    int64_t positions = positions_for(m, n);
    if (n > m->sh.T || m->sh.T > 2 * positions) {
        TRY(make_program(m, positions));
    }
    m->ids = ids;
    m->n = n;
    return exec_logits(m->e, &(exec_query){.row = n - 1}, logits);
}

/* What the cache does not know, batch by batch; at least the last token. */
static status run_cached(infer *m, const int32_t *ids, int64_t n,
                         const float **logits)
{
    int64_t at = 0;
    while (at < m->nknown && at < n - 1 && m->known[at] == ids[at]) {
        at++;
    }
    if (m->sh.T == 0) {
        TRY(make_program(m, CACHED_TOKENS));
    }
    while (at < n) {
        m->nknown = at; /* should the batch fail */
        m->ids = ids + at;
        m->n = n - at < m->sh.T ? n - at : m->sh.T;
        TRY(exec_logits(m->e, &(exec_query){at, m->n - 1}, logits));
        memcpy(m->known + at, m->ids, (size_t)m->n * sizeof(int32_t));
        at += m->n;
    }
    m->nknown = n;
    return ST_OK;
}

status infer_logits(infer *m, const int32_t *ids, int64_t n,
                    const float **logits)
{
    ASSERT(n >= 1 && n <= m->o.context);
    for (int64_t i = 0; i < n; i++) {
        REQUIRE(ids[i] >= 0 && ids[i] < m->a.V, ST_CONFIG,
                "token %d is outside the vocabulary of %d of %s", ids[i],
                m->a.V, m->path);
    }
    return m->cached ? run_cached(m, ids, n, logits)
                     : run_whole(m, ids, n, logits);
}

/* --- opening -------------------------------------------------------------- */

static status sink_write(void *self, int par, store_state which,
                         const float *full)
{
    infer *m = self;
    return m->store->ops->write(m->store, par, which, 0, m->ps.list[par].rows,
                                full);
}

static status make_store(infer *m)
{
    store_param *list = NULL;
    TRY(store_list_params(&m->ps, &list));
    status st = store_ram_weights(list, m->ps.n, &m->store);
    mem_free(list);
    return st;
}

/* Context and leaves of the run, where there was one. */
static status read_run(infer *m)
{
    ckpt_info info;
    TRY(ckpt_peek(m->path, &info));
    int64_t run =
        info.seq > 0 && info.seq < m->a.positions ? info.seq : m->a.positions;
    m->leaves = info.tensor_leaves > 0 ? info.tensor_leaves : DEFAULT_LEAVES;
    ckpt_info_fini(&info);
    m->o.context = m->o.context > 0 ? m->o.context : run;
    REQUIRE(m->o.context <= m->a.positions, ST_CONFIG,
            "--context %lld is more than %s has: it knows %d positions",
            (long long)m->o.context, m->path, m->a.positions);
    return ST_OK;
}

/* Whether the budget is enough is known before the weights are read. */
static status check_budget(const infer *m)
{
    program_set set;
    ws_choice choice;
    gpt_shape sh = shape_of(m, m->cached ? CACHED_TOKENS : m->o.context);
    TRY(ws_compile_infer(&m->a, &m->ps, &sh, cache_size(m), m->o.device_memory,
                         &set, &choice));
    int64_t arena = set.classes[0].peak_bytes;
    program_set_fini(&set);
    int64_t free = mem_host_available();
    int64_t need = arena + 4 * m->ps.total;
    REQUIRE(need <= free, ST_BUDGET,
            "%s needs %s of this machine's memory (%s for the device), %s is "
            "free; lower --context",
            m->a.name, units_bytes((double)need).s,
            units_bytes((double)arena).s, units_bytes((double)free).s);
    return ST_OK;
}

/* A cache where there is room for one. */
static status choose(infer *m)
{
    m->cached = !m->o.no_cache;
    status st = check_budget(m);
    if (st == ST_BUDGET && m->cached) {
        m->cached = false;
        st = check_budget(m);
    }
    return st;
}

static status open_model(infer *m)
{
    TRY(ckpt_arch(m->path, &m->a));
    TRY(params_init(&m->a, &m->ps));
    TRY(read_run(m));
    TRY(choose(m));
    TRY(MEM_NEW(&m->known, m->o.context, "infer"));
    TRY(make_store(m));
    ckpt_sink sink = {m, sink_write};
    return ckpt_load(m->path, &m->a, &m->ps, CKPT_WEIGHTS, &sink);
}

status infer_open(const char *ckpt, const infer_options *o, comm *world,
                  infer **out)
{
    infer *m = NULL;
    TRY(MEM_NEW(&m, 1, "infer"));
    m->o = *o;
    m->o.threads = o->threads > 0 ? o->threads : threads_usable();
    m->o.least = o->least > 0 ? o->least : LEAST_POSITIONS;
    m->path = ckpt;
    m->world = world;
    m->math = o->reference ? &math_ref : &math_opt;
    status st = open_model(m);
    if (st != ST_OK) {
        infer_close(m);
        return st;
    }
    *out = m;
    return ST_OK;
}

void infer_close(infer *m)
{
    if (m == NULL) {
        return;
    }
    drop_program(m);
    if (m->store != NULL) {
        m->store->ops->destroy(m->store);
    }
    params_fini(&m->ps);
    mem_free(m->known);
    mem_free(m);
}

const arch *infer_arch(const infer *m)
{
    return &m->a;
}

int64_t infer_context(const infer *m)
{
    return m->o.context;
}

bool infer_cached(const infer *m)
{
    return m->cached;
}
