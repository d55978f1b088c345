/*
 * The parameter table: published sizes, names and shapes of real files, both
 * directions of every layout, shards that tile, initial values that do not
 * depend on how rows are split. Run from the top of the repository.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/json.h"
#include "runtime/base/mem.h"
#include "runtime/gpt/arch.h"
#include "runtime/gpt/params.h"

typedef struct golden {
    const char *folder;
    int64_t total;
} golden;

static const golden goldens[] = {
    {"tests/golden/gpt_neo_local", 16128},
    {"tests/golden/gpt_neo_odd_heads_untied", 16992},
    {"tests/golden/gpt_neo_odd_inner", 11031},
    {"tests/golden/gptj_partial_rotary", 16560},
    {"tests/golden/gptj_full_rotary", 17197},
    {"tests/golden/gptj_one_head_tied", 6618},
    {"tests/golden/gpt2_three_heads", 16152},
    {"tests/golden/gpt_neox_partial_rotary", 16656},
};
enum { GOLDENS = sizeof(goldens) / sizeof(goldens[0]) };

/* An arch with its table, kept together to shorten the tests. */
typedef struct model {
    arch a;
    params ps;
} model;

static void model_init(model *m, const char *name)
{
    if (arch_open(name, &m->a) != ST_OK ||
        params_init(&m->a, &m->ps) != ST_OK) {
        fail_msg("%s: %s", name, status_text());
    }
}

static int find(const model *m, int layer, param_role role)
{
    int i = params_find(&m->ps, layer, role);
    assert_true(i >= 0 && i < m->ps.n);
    return i;
}

static float *floats(int64_t n)
{
    float *out = NULL;
    assert_int_equal(MEM_NEW(&out, n, "test"), ST_OK);
    return out;
}

/* --- the table --------------------------------------------------------- */

static void test_totals(void **state)
{
    (void)state;
    static const golden published[] = {
        {"gpt-neo-125m", 125198592},
        {"gpt-neo-1.3b", 1315575808},
        {"gpt-neo-2.7b", 2651307520},
        {"gpt-j-6b", 6050882784},
    };
    for (int i = 0; i < 4; i++) {
        model m;
        model_init(&m, published[i].folder);
        assert_int_equal(m.ps.total, published[i].total);
        params_fini(&m.ps);
    }
    for (int i = 0; i < GOLDENS; i++) {
        model m;
        model_init(&m, goldens[i].folder);
        assert_int_equal(m.ps.total, goldens[i].total);
        params_fini(&m.ps);
    }
}

/* Sizes that no file here has, on the fields of a golden of the family. */
static void test_other_published_totals(void **state)
{
    (void)state;
    static const struct {
        const char *like;
        int32_t L, C, H, V, positions;
        int64_t total;
    } cases[] = {
        {"gpt2_three_heads", 12, 768, 12, 50257, 1024, 124439808},
        {"gpt2_three_heads", 48, 1600, 25, 50257, 1024, 1557611200},
        {"gpt_neox_partial_rotary", 6, 512, 8, 50304, 2048, 70426624},
        {"gpt_neox_partial_rotary", 44, 6144, 64, 50432, 2048, 20554567680},
    };
    for (int i = 0; i < 4; i++) {
        model m;
        char path[128];
        snprintf(path, sizeof(path), "tests/golden/%s", cases[i].like);
        assert_int_equal(arch_open(path, &m.a), ST_OK);
        m.a.L = cases[i].L;
        m.a.C = cases[i].C;
        m.a.H = cases[i].H;
        m.a.V = cases[i].V;
        m.a.positions = cases[i].positions;
        m.a.D = m.a.C / m.a.H;
        m.a.F = 4 * m.a.C;
        assert_int_equal(params_init(&m.a, &m.ps), ST_OK);
        assert_int_equal(m.ps.total, cases[i].total);
        params_fini(&m.ps);
    }
}

static void check_row(const model *m, int i, param_role role, int layer,
                      int64_t rows, int64_t cols, param_axis axis, int unit,
                      bool decay)
{
    const param *p = &m->ps.list[i];
    assert_string_equal(param_role_name(p->role), param_role_name(role));
    assert_int_equal(p->layer, layer);
    assert_int_equal(p->rows, rows);
    assert_int_equal(p->cols, cols);
    assert_int_equal(p->axis, axis);
    assert_int_equal(p->unit_rows, unit);
    assert_int_equal(p->decay, decay);
    assert_int_equal(params_find(&m->ps, layer, role), i);
}

/* All biases, learned positions, two norms: the longest list. */
static void test_order_gpt2(void **state)
{
    (void)state;
    model m;
    model_init(&m, "tests/golden/gpt2_three_heads");
    assert_int_equal(m.ps.n, 2 + 2 * 12 + 2);
    check_row(&m, 0, PARAM_WTE, -1, 51, 24, AXIS_VOCAB, 1, true);
    check_row(&m, 1, PARAM_WPE, -1, 18, 24, AXIS_NONE, 1, true);
    for (int l = 0; l < 2; l++) {
        int i = 2 + 12 * l;
        check_row(&m, i + 0, PARAM_LN1_W, l, 1, 24, AXIS_NONE, 1, false);
        check_row(&m, i + 1, PARAM_LN1_B, l, 1, 24, AXIS_NONE, 1, false);
        check_row(&m, i + 2, PARAM_QKV_W, l, 72, 24, AXIS_HEADS, 24, true);
        check_row(&m, i + 3, PARAM_QKV_B, l, 72, 1, AXIS_HEADS, 24, false);
        check_row(&m, i + 4, PARAM_OUT_W, l, 24, 24, AXIS_HEADS, 8, true);
        check_row(&m, i + 5, PARAM_OUT_B, l, 1, 24, AXIS_NONE, 1, false);
        check_row(&m, i + 6, PARAM_LN2_W, l, 1, 24, AXIS_NONE, 1, false);
        check_row(&m, i + 7, PARAM_LN2_B, l, 1, 24, AXIS_NONE, 1, false);
        check_row(&m, i + 8, PARAM_FCIN_W, l, 96, 24, AXIS_FFN, 1, true);
        check_row(&m, i + 9, PARAM_FCIN_B, l, 96, 1, AXIS_FFN, 1, false);
        check_row(&m, i + 10, PARAM_FCOUT_W, l, 96, 24, AXIS_FFN, 1, true);
        check_row(&m, i + 11, PARAM_FCOUT_B, l, 1, 24, AXIS_NONE, 1, false);
    }
    check_row(&m, 26, PARAM_LNF_W, -1, 1, 24, AXIS_NONE, 1, false);
    check_row(&m, 27, PARAM_LNF_B, -1, 1, 24, AXIS_NONE, 1, false);
    assert_int_equal(params_find(&m.ps, -1, PARAM_HEAD_W), -1);
    assert_int_equal(params_find(&m.ps, -1, PARAM_HEAD_B), -1);
    params_fini(&m.ps);
}

static void test_order_gptj(void **state)
{
    (void)state;
    model m;
    model_init(&m, "tests/golden/gptj_partial_rotary");
    static const param_role layer[] = {
        PARAM_LN1_W,  PARAM_LN1_B,  PARAM_QKV_W,   PARAM_OUT_W,
        PARAM_FCIN_W, PARAM_FCIN_B, PARAM_FCOUT_W, PARAM_FCOUT_B};
    assert_int_equal(m.ps.n, 1 + 2 * 8 + 4);
    for (int i = 0; i < 16; i++) {
        assert_int_equal(m.ps.list[1 + i].role, layer[i % 8]);
        assert_int_equal(m.ps.list[1 + i].layer, i / 8);
    }
    check_row(&m, 19, PARAM_HEAD_W, -1, 48, 24, AXIS_VOCAB, 1, true);
    check_row(&m, 20, PARAM_HEAD_B, -1, 48, 1, AXIS_VOCAB, 1, false);
    assert_int_equal(params_find(&m.ps, -1, PARAM_WPE), -1);
    assert_int_equal(params_find(&m.ps, 1, PARAM_LN2_W), -1);
    assert_int_equal(params_find(&m.ps, 1, PARAM_QKV_B), -1);
    params_fini(&m.ps);
    /* A tied head keeps its bias. */
    model_init(&m, "tests/golden/gptj_one_head_tied");
    assert_int_equal(params_find(&m.ps, -1, PARAM_HEAD_W), -1);
    assert_int_equal(find(&m, -1, PARAM_HEAD_B), m.ps.n - 1);
    params_fini(&m.ps);
}

static void test_row_numbers(void **state)
{
    (void)state;
    for (int g = 0; g < GOLDENS; g++) {
        model m;
        model_init(&m, goldens[g].folder);
        int64_t row = 0;
        for (int i = 0; i < m.ps.n; i++) {
            assert_int_equal(m.ps.list[i].first_row, row);
            row += m.ps.list[i].rows;
        }
        assert_int_equal(m.ps.total_rows, row);
        params_fini(&m.ps);
    }
}

static void test_failed_allocations(void **state)
{
    (void)state;
    arch a;
    params ps;
    assert_int_equal(arch_open("gpt-neo-tiny", &a), ST_OK);
    int64_t live = mem_live();
    for (int n = 1; n <= 2; n++) {
        mem_fail_after(n);
        assert_int_equal(params_init(&a, &ps), ST_SYSTEM);
        mem_fail_after(0);
        assert_int_equal(mem_live(), live);
    }
    assert_int_equal(params_init(&a, &ps), ST_OK);
    params_fini(&ps);
    assert_int_equal(mem_live(), live);
}

/* --- tensors on disk --------------------------------------------------- */

/* The header of a safetensors file: 8 bytes of length, then JSON. */
static json_doc *open_header(const char *golden_folder)
{
    char path[256];
    char *bytes = NULL;
    size_t len = 0;
    uint64_t n = 0;
    json_doc *doc = NULL;
    snprintf(path, sizeof(path), "%s/model.safetensors", golden_folder);
    assert_int_equal(text_read_file(path, 1 << 20, &bytes, &len), ST_OK);
    memcpy(&n, bytes, sizeof(n));
    assert_true(n + 8 <= len);
    assert_int_equal(json_parse(bytes + 8, n, path, &doc), ST_OK);
    mem_free(bytes);
    return doc;
}

/* Every part stands in the file with its shape, and the file has no more. */
static void test_names_and_shapes(void **state)
{
    (void)state;
    for (int g = 0; g < GOLDENS; g++) {
        model m;
        model_init(&m, goldens[g].folder);
        json_doc *doc = open_header(goldens[g].folder);
        json_val root = json_root(doc);
        size_t count = json_has(root, "__metadata__") ? 1 : 0;
        for (int i = 0; i < m.ps.n; i++) {
            param_part parts[PARAM_PARTS_MAX];
            int n = param_parts(&m.a, &m.ps, i, parts);
            for (int k = 0; k < n; k++) {
                json_val entry;
                json_val shape;
                if (json_get_obj(root, parts[k].name, &entry) != ST_OK) {
                    fail_msg("%s", status_text());
                }
                assert_int_equal(json_get_arr(entry, "shape", &shape), ST_OK);
                assert_int_equal(json_len(shape), (size_t)parts[k].ndims);
                for (int d = 0; d < parts[k].ndims; d++) {
                    int64_t dim = 0;
                    assert_int_equal(
                        json_as_i64(json_at(shape, (size_t)d), 0, 1000, &dim),
                        ST_OK);
                    assert_int_equal(dim, parts[k].dims[d]);
                }
            }
            count += (size_t)n;
        }
        assert_int_equal(count, json_len(root));
        json_close(doc);
        params_fini(&m.ps);
    }
}

static void test_aliases(void **state)
{
    (void)state;
    model m;
    param_part parts[PARAM_PARTS_MAX];
    char name[ARCH_NAME_MAX];
    model_init(&m, "tests/golden/gpt_neox_partial_rotary");
    param_parts(&m.a, &m.ps, find(&m, -1, PARAM_HEAD_W), parts);
    assert_string_equal(parts[0].name, "lm_head.weight");
    assert_true(param_part_alias(&m.a, &parts[0], 0, name));
    assert_string_equal(name, "embed_out.weight");
    assert_false(param_part_alias(&m.a, &parts[0], 1, name));
    param_parts(&m.a, &m.ps, find(&m, 1, PARAM_LN2_B), parts);
    assert_true(param_part_alias(&m.a, &parts[0], 0, name));
    assert_string_equal(name, "layers.1.post_attention_layernorm.bias");
    params_fini(&m.ps);
    model_init(&m, "gpt-j-6b");
    param_parts(&m.a, &m.ps, find(&m, 27, PARAM_QKV_W), parts);
    assert_string_equal(parts[2].name, "transformer.h.27.attn.v_proj.weight");
    assert_true(param_part_alias(&m.a, &parts[2], 0, name));
    assert_string_equal(name, "h.27.attn.v_proj.weight");
    assert_false(param_part_alias(&m.a, &parts[2], 1, name));
    params_fini(&m.ps);
}

/* A parameter loaded from parts whose elements are numbered 1, 2, 3, ...
 * through all parts. */
static float *numbered(const model *m, int i)
{
    const param *p = &m->ps.list[i];
    param_part parts[PARAM_PARTS_MAX];
    int n = param_parts(&m->a, &m->ps, i, parts);
    int64_t size = p->rows * p->cols / n;
    float *file = floats(size);
    float *mem = floats(size * n);
    for (int k = 0; k < n; k++) {
        int64_t dims = parts[k].dims[0];
        dims *= parts[k].ndims == 2 ? parts[k].dims[1] : 1;
        assert_int_equal(dims, size);
        for (int64_t e = 0; e < size; e++) {
            file[e] = (float)(size * k + e + 1);
        }
        param_from_part(&m->a, &m->ps, i, k, file, mem);
    }
    mem_free(file);
    return mem;
}

static void test_round_trips(void **state)
{
    (void)state;
    for (int g = 0; g < GOLDENS; g++) {
        model m;
        model_init(&m, goldens[g].folder);
        for (int i = 0; i < m.ps.n; i++) {
            const param *p = &m.ps.list[i];
            param_part parts[PARAM_PARTS_MAX];
            int n = param_parts(&m.a, &m.ps, i, parts);
            int64_t size = p->rows * p->cols;
            float *mem = numbered(&m, i);
            float *seen = floats(size);
            for (int64_t e = 0; e < size; e++) {
                int64_t id = (int64_t)mem[e] - 1;
                assert_in_range(id, 0, size - 1);
                assert_true(seen[id] == 0);
                seen[id] = 1;
            }
            for (int k = 0; k < n; k++) {
                param_to_part(&m.a, &m.ps, i, k, mem, seen);
                for (int64_t e = 0; e < size / n; e++) {
                    assert_true(seen[e] == (float)(size / n * k + e + 1));
                }
            }
            mem_free(seen);
            mem_free(mem);
        }
        params_fini(&m.ps);
    }
}

/* One element of a parameter against a position worked out by hand: element
 * `at` of part `part` must arrive at row r, column c. */
static void check_place(const char *folder, param_role role, int64_t r,
                        int64_t c, int part, int64_t at)
{
    model m;
    model_init(&m, folder);
    int i =
        find(&m, role >= PARAM_LN1_W && role <= PARAM_FCOUT_B ? 0 : -1, role);
    const param *p = &m.ps.list[i];
    param_part parts[PARAM_PARTS_MAX];
    int64_t size = p->rows * p->cols / param_parts(&m.a, &m.ps, i, parts);
    float *mem = numbered(&m, i);
    assert_int_equal((int64_t)mem[r * p->cols + c], size * part + at + 1);
    mem_free(mem);
    params_fini(&m.ps);
}

static void test_places(void **state)
{
    (void)state;
    /* Width 24, 3 heads of 8. Head 2, q, dimension 1 is memory row
     * 2*24 + 1 = 49 and output 2*8 + 1 = 17 of c_attn; its input 5 is
     * [5][17] of the file's [24][72]. */
    const char *gpt2 = "tests/golden/gpt2_three_heads";
    check_place(gpt2, PARAM_QKV_W, 49, 5, 0, 5 * 72 + 17);
    check_place(gpt2, PARAM_QKV_B, 49, 0, 0, 17);
    /* Head 0, v, dimension 7: row 16 + 7, output 48 + 7. */
    check_place(gpt2, PARAM_QKV_W, 23, 0, 0, 55);
    /* Conv1D is [in][out], which is how sum matrices lie in memory. */
    check_place(gpt2, PARAM_OUT_W, 3, 20, 0, 3 * 24 + 20);
    check_place(gpt2, PARAM_FCOUT_W, 90, 2, 0, 90 * 24 + 2);
    check_place(gpt2, PARAM_FCIN_W, 90, 2, 0, 2 * 96 + 90);
    check_place(gpt2, PARAM_WTE, 50, 23, 0, 50 * 24 + 23);
    /* 2 heads of 12. Head 1, v, dimension 2: memory row 36 + 24 + 2 = 62,
     * row 12 + 2 of v_proj. */
    const char *neo = "tests/golden/gpt_neo_local";
    check_place(neo, PARAM_QKV_W, 62, 7, 2, 14 * 24 + 7);
    check_place(neo, PARAM_QKV_W, 12, 7, 1, 7);
    check_place(neo, PARAM_OUT_W, 3, 20, 0, 20 * 24 + 3);
    /* Width 20, inner 37: c_proj is [20][37]. */
    check_place("tests/golden/gpt_neo_odd_inner", PARAM_FCOUT_W, 30, 4, 0,
                4 * 37 + 30);
    /* Per head in file and memory. */
    const char *neox = "tests/golden/gpt_neox_partial_rotary";
    check_place(neox, PARAM_QKV_W, 49, 5, 0, 49 * 24 + 5);
    check_place(neox, PARAM_QKV_B, 49, 0, 0, 49);
    check_place(neox, PARAM_FCOUT_W, 90, 2, 0, 2 * 96 + 90);
    check_place("tests/golden/gptj_full_rotary", PARAM_HEAD_W, 60, 1, 0,
                60 * 24 + 1);
}

/* --- shards ------------------------------------------------------------ */

/* For `tp` ranks over S leaves: ranges follow each other, cover all rows, and
 * no head is cut. */
static void check_tiling(const model *m, const param *p, int S, int tp)
{
    int64_t next = 0;
    int64_t valid = 0;
    for (int r = 0; r < tp; r++) {
        int lo = leaf_of_rank(S, tp, r);
        int hi = leaf_of_rank(S, tp, r + 1);
        int64_t starts[TREE_LEAVES_MAX + 1];
        param_shard s = param_rows(&m->a, p, S, lo, hi);
        param_leaf_rows(&m->a, p, S, lo, hi, starts);
        assert_int_equal(starts[0], 0);
        assert_int_equal(starts[hi - lo], s.rows);
        for (int i = lo; i < hi; i++) {
            param_shard leaf = param_rows(&m->a, p, S, i, i + 1);
            assert_true(starts[i - lo] <= starts[i - lo + 1]);
            if (p->axis != AXIS_NONE) {
                assert_int_equal(leaf.row0, s.row0 + starts[i - lo]);
                assert_int_equal(leaf.rows,
                                 starts[i - lo + 1] - starts[i - lo]);
            }
        }
        if (p->axis == AXIS_NONE) {
            assert_int_equal(s.row0, 0);
            assert_int_equal(s.rows, p->rows);
            assert_int_equal(s.valid, p->rows);
            continue;
        }
        assert_int_equal(s.row0, next);
        assert_int_equal(s.row0 % p->unit_rows, 0);
        assert_in_range(s.valid, 0, s.rows);
        next = s.row0 + s.rows;
        valid += s.valid;
    }
    if (p->axis == AXIS_VOCAB) {
        assert_int_equal(next, (m->a.V + (int64_t)S - 1) / S * S);
        assert_int_equal(valid, m->a.V);
    } else if (p->axis != AXIS_NONE) {
        assert_int_equal(next, p->rows);
        assert_int_equal(valid, p->rows);
    }
}

static void test_shards_tile(void **state)
{
    (void)state;
    for (int g = 0; g < GOLDENS; g++) {
        model m;
        model_init(&m, goldens[g].folder);
        for (int i = 0; i < m.ps.n; i++) {
            for (int S = 1; S <= TREE_LEAVES_MAX; S++) {
                for (int tp = 1; tp <= S && tp <= 8; tp++) {
                    check_tiling(&m, &m.ps.list[i], S, tp);
                }
            }
        }
        params_fini(&m.ps);
    }
}

static void test_shard_values(void **state)
{
    (void)state;
    model m;
    model_init(&m, "gpt-neo-125m");
    const param *p = &m.ps.list[find(&m, 0, PARAM_QKV_W)];
    param_shard s = param_rows(&m.a, p, 8, 3, 5); /* heads 4, 5, 6 of 12 */
    assert_int_equal(s.row0, 4 * 192);
    assert_int_equal(s.rows, 3 * 192);
    p = &m.ps.list[find(&m, -1, PARAM_WTE)];
    s = param_rows(&m.a, p, 4, 3, 4); /* 12565 rows a leaf, 3 too many */
    assert_int_equal(s.row0, 37695);
    assert_int_equal(s.rows, 12565);
    assert_int_equal(s.valid, 12562);
    params_fini(&m.ps);
}

/* --- initial values ---------------------------------------------------- */

static void test_init_splits(void **state)
{
    (void)state;
    for (int g = 0; g < GOLDENS; g++) {
        model m;
        model_init(&m, goldens[g].folder);
        for (int i = 0; i < m.ps.n; i++) {
            const param *p = &m.ps.list[i];
            int64_t rows = p->rows + 3; /* padding at the end */
            float *whole = floats(rows * p->cols);
            float *parts = floats(rows * p->cols);
            memset(whole, 0x7f, (size_t)(rows * p->cols) * sizeof(float));
            memset(parts, 0x7f, (size_t)(rows * p->cols) * sizeof(float));
            param_init(&m.ps, i, 7, 0, rows, whole);
            for (int64_t r = 0, n = 1; r < rows; r += n, n = n % 5 + 1) {
                int64_t k = r + n < rows ? n : rows - r;
                param_init(&m.ps, i, 7, r, k, parts + r * p->cols);
            }
            assert_memory_equal(whole, parts,
                                (size_t)(rows * p->cols) * sizeof(float));
            for (int64_t e = p->rows * p->cols; e < rows * p->cols; e++) {
                assert_true(whole[e] == 0);
            }
            if (p->init_std == 0) {
                bool norm = p->role == PARAM_LN1_W || p->role == PARAM_LN2_W ||
                            p->role == PARAM_LNF_W;
                assert_true(whole[0] == (norm ? 1 : 0));
                assert_true(whole[p->rows * p->cols - 1] == (norm ? 1 : 0));
            }
            mem_free(parts);
            mem_free(whole);
        }
        params_fini(&m.ps);
    }
}

/* Standard deviation over 256 rows; the mean must be near 0. */
static double spread(const model *m, int i)
{
    int64_t n = 256 * m->ps.list[i].cols;
    float *w = floats(n);
    double sum = 0;
    double squares = 0;
    param_init(&m->ps, i, 1, 0, 256, w);
    for (int64_t e = 0; e < n; e++) {
        sum += w[e];
        squares += (double)w[e] * w[e];
    }
    mem_free(w);
    assert_true(fabs(sum / (double)n) < 5e-4);
    return sqrt(squares / (double)n);
}

static void test_init_spread(void **state)
{
    (void)state;
    model m;
    model_init(&m, "gpt-neo-mini");
    assert_true(fabs(spread(&m, find(&m, -1, PARAM_WTE)) - 0.02) < 4e-4);
    assert_true(fabs(spread(&m, find(&m, 3, PARAM_OUT_W)) - 0.02) < 4e-4);
    params_fini(&m.ps);
    m.a.init_residual_scaled = true; /* 8 layers: a quarter */
    assert_int_equal(params_init(&m.a, &m.ps), ST_OK);
    assert_true(fabs(spread(&m, find(&m, 3, PARAM_OUT_W)) - 0.005) < 1e-4);
    assert_true(fabs(spread(&m, find(&m, 0, PARAM_FCOUT_W)) - 0.005) < 1e-4);
    assert_true(fabs(spread(&m, find(&m, 0, PARAM_FCIN_W)) - 0.02) < 4e-4);
    params_fini(&m.ps);
}

/* Parameters and seeds differ; a model cut in depth begins the same. */
static void test_init_streams(void **state)
{
    (void)state;
    model m;
    model cut;
    float a[128], b[128];
    model_init(&m, "gpt-neo-tiny");
    cut.a = m.a;
    assert_int_equal(arch_cut(&cut.a, 2), ST_OK);
    assert_int_equal(params_init(&cut.a, &cut.ps), ST_OK);
    param_init(&m.ps, find(&m, 0, PARAM_QKV_W), 1, 0, 1, a);
    param_init(&m.ps, find(&m, 1, PARAM_QKV_W), 1, 0, 1, b);
    assert_memory_not_equal(a, b, sizeof(a));
    param_init(&m.ps, find(&m, 0, PARAM_OUT_W), 1, 0, 1, b);
    assert_memory_not_equal(a, b, sizeof(a));
    param_init(&m.ps, find(&m, 0, PARAM_QKV_W), 2, 0, 1, b);
    assert_memory_not_equal(a, b, sizeof(a));
    param_init(&cut.ps, find(&cut, 0, PARAM_QKV_W), 1, 0, 1, b);
    assert_memory_equal(a, b, sizeof(a));
    params_fini(&cut.ps);
    params_fini(&m.ps);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_totals),
        cmocka_unit_test(test_other_published_totals),
        cmocka_unit_test(test_order_gpt2),
        cmocka_unit_test(test_order_gptj),
        cmocka_unit_test(test_row_numbers),
        cmocka_unit_test(test_failed_allocations),
        cmocka_unit_test(test_names_and_shapes),
        cmocka_unit_test(test_aliases),
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_shards_tile),
        cmocka_unit_test(test_shard_values),
        cmocka_unit_test(test_init_splits),
        cmocka_unit_test(test_init_spread),
        cmocka_unit_test(test_init_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
