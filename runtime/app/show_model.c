/* A model: its descriptor in plain words, parameters, work and state. */
#include <stdio.h>
#include <string.h>

#include "runtime/app/show.h"
#include "runtime/base/log.h"
#include "runtime/base/text.h"
#include "runtime/base/units.h"
#include "runtime/gpt/arch.h"
#include "runtime/gpt/params.h"

/* --- descriptor -------------------------------------------------------- */

static void add_window(strbuf *b, int32_t window)
{
    if (window > 0) {
        strbuf_printf(b, "local (window %d)", window);
    } else {
        strbuf_add(b, "global");
    }
}

/* All layers alike, or two kinds in turn; false where it is neither. */
static bool add_simple_pattern(const arch *a, strbuf *b)
{
    int period = 1;
    for (; period <= 2; period++) {
        bool repeats = true;
        for (int l = period; l < a->L; l++) {
            repeats = repeats && a->window[l] == a->window[l - period];
        }
        if (repeats) {
            break;
        }
    }
    if (period > 2) {
        return false;
    }
    add_window(b, a->window[0]);
    if (period == 2) {
        strbuf_add(b, ", ");
        add_window(b, a->window[1]);
    }
    strbuf_add(b, period == 2 ? ", in turn" : " in all layers");
    return true;
}

static void show_attention(const arch *a)
{
    strbuf b = {0};
    if (!add_simple_pattern(a, &b)) {
        for (int l = 0; l < a->L; l++) {
            int first = l;
            while (l + 1 < a->L && a->window[l + 1] == a->window[first]) {
                l++;
            }
            strbuf_printf(&b, "%s%d", first > 0 ? "; " : "", first);
            strbuf_printf(&b, l > first ? " to %d " : " ", l);
            add_window(&b, a->window[first]);
        }
    }
    show_field("attention", "%s", strbuf_view(&b));
    strbuf_fini(&b);
}

static void show_biases(const arch *a)
{
    strbuf b = {0};
    const struct {
        bool has;
        const char *name;
    } list[] = {{a->bias_qkv, "q, k, v"},
                {a->bias_out, "output projection"},
                {a->bias_mlp, "MLP"},
                {a->head_bias, "head"}};
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        if (list[i].has) {
            strbuf_printf(&b, "%s%s", b.len > 0 ? "; " : "", list[i].name);
        }
    }
    show_field("biases", "%s", b.len > 0 ? strbuf_view(&b) : "none");
    strbuf_fini(&b);
}

static void show_positions(const arch *a)
{
    if (a->pos == POS_LEARNED) {
        show_field("positions", "%d, learned", a->positions);
        return;
    }
    show_field("positions", "%d, rotary", a->positions);
    show_field("rotary", "%d of %d dimensions a head, pairs of %s, base %g",
               a->rotary_dims, a->D,
               a->rotary_pairing == PAIR_NEIGHBOURS ? "neighbours" : "halves",
               (double)a->rotary_base);
}

static void show_descriptor(const arch *a)
{
    static const char *const residuals[] = {
        [RES_SEQUENTIAL] = "sequential: attention, then MLP, a norm each",
        [RES_PARALLEL_ONE] = "parallel: attention and MLP after one norm",
        [RES_PARALLEL_TWO] = "parallel: attention and MLP, a norm each",
    };
    static const char *const layouts[] = {
        [QKV_SEPARATE] = "three matrices",
        [QKV_FUSED] = "one matrix: q, k, v",
        [QKV_FUSED_PER_HEAD] = "one matrix: q, k, v of each head in turn",
    };
    show_head("descriptor");
    show_field("layers", "%d", a->L);
    show_field("width", "%d", a->C);
    show_field("heads", "%d of %d dimensions", a->H, a->D);
    show_field("inner width", "%d", a->F);
    show_field("vocabulary", "%d", a->V);
    show_positions(a);
    show_field("residual", "%s", residuals[a->residual]);
    show_attention(a);
    show_field("score scale", "%g", (double)a->score_scale);
    show_biases(a);
    show_field("activation", "GELU, %s",
               a->act == ACT_GELU_TANH ? "tanh approximation" : "exact (erf)");
    show_field("head", "%s",
               a->tied ? "tied: the embedding's weights" : "its own weights");
    show_field("norm epsilon", "%g", (double)a->norm_eps);
    show_field("initial values", "normal, deviation %g%s", (double)a->init_std,
               a->init_residual_scaled ? "; output projections / sqrt(2 layers)"
                                       : "");
    show_field("q, k, v on disk", "%s", layouts[a->qkv]);
    show_field("matrices on disk", "%s",
               a->file_transposed ? "[in][out]" : "[out][in]");
}

/* --- parameters -------------------------------------------------------- */

enum { SHAPE_WIDTH = 13, COUNT_WIDTH = 14, NAME_LEAST = 36 };

/* The table as it is being printed. */
typedef struct table {
    const arch *a;
    const params *ps;
    int name_width; /* with the indent */
} table;

static void print_row(const table *t, int indent, const char *name,
                      const char *shape, int64_t count)
{
    log_out("%*s%-*s%-*s%*s\n", indent, "", t->name_width - indent, name,
            SHAPE_WIDTH, shape, COUNT_WIDTH, units_int(count).s);
}

/* Names of layer 0 and of what is outside layers are printed. */
static int widest_name(const arch *a, const params *ps)
{
    size_t most = NAME_LEAST;
    for (int i = 0; i < ps->n; i++) {
        param_part parts[PARAM_PARTS_MAX];
        int n = ps->list[i].layer <= 0 ? param_parts(a, ps, i, parts) : 0;
        for (int k = 0; k < n; k++) {
            size_t len = strlen(parts[k].name);
            most = len > most ? len : most;
        }
    }
    return (int)most;
}

static int64_t part_count(const param_part *p)
{
    return p->dims[0] * (p->ndims > 1 ? p->dims[1] : 1);
}

static void print_param(const table *t, int i)
{
    param_part parts[PARAM_PARTS_MAX];
    int n = param_parts(t->a, t->ps, i, parts);
    for (int k = 0; k < n; k++) {
        char shape[48];
        if (parts[k].ndims > 1) {
            snprintf(shape, sizeof(shape), "%lld x %lld",
                     (long long)parts[k].dims[0], (long long)parts[k].dims[1]);
        } else {
            snprintf(shape, sizeof(shape), "%lld", (long long)parts[k].dims[0]);
        }
        print_row(t, 4, parts[k].name, shape, part_count(&parts[k]));
    }
}

/* A part of the model: parameters of these roles outside layers. */
static int64_t print_part(const table *t, const char *title,
                          const param_role *roles, int n)
{
    const params *ps = t->ps;
    int64_t sum = 0;
    bool any = false;
    for (int i = 0; i < n; i++) {
        int par = params_find(ps, -1, roles[i]);
        if (par < 0) {
            continue;
        }
        if (!any) {
            log_out("  %s\n", title);
        }
        any = true;
        sum += ps->list[par].rows * ps->list[par].cols;
        print_param(t, par);
    }
    return sum;
}

static int64_t layer_count(const params *ps, int layer)
{
    int64_t sum = 0;
    for (int i = 0; i < ps->n; i++) {
        if (ps->list[i].layer == layer) {
            sum += ps->list[i].rows * ps->list[i].cols;
        }
    }
    return sum;
}

static void show_parameters(const arch *a, const params *ps)
{
    static const param_role embedding[] = {PARAM_WTE};
    static const param_role positions[] = {PARAM_WPE};
    static const param_role norm[] = {PARAM_LNF_W, PARAM_LNF_B};
    static const param_role head[] = {PARAM_HEAD_W, PARAM_HEAD_B};
    table t = {.a = a, .ps = ps, .name_width = widest_name(a, ps) + 6};
    char layers[48];
    int64_t sum = 0;
    show_head("parameters, as tensors on disk");
    sum += print_part(&t, "embedding", embedding, 1);
    sum += print_part(&t, "positions", positions, 1);
    log_out("  layer 0 of %d\n", a->L);
    for (int i = 0; i < ps->n; i++) {
        if (ps->list[i].layer == 0) {
            print_param(&t, i);
        }
    }
    print_row(&t, 2, "one layer", "", layer_count(ps, 0));
    int64_t all = 0;
    for (int l = 0; l < a->L; l++) {
        all += layer_count(ps, l);
    }
    snprintf(layers, sizeof(layers), "all %d layers", a->L);
    print_row(&t, 2, layers, "", all);
    sum += all;
    sum += print_part(&t, "final norm", norm, 2);
    sum += print_part(&t, "head", head, 2);
    if (a->tied) {
        print_row(&t, 2, "head (the embedding's weights)", "", 0);
    }
    print_row(&t, 2, "total", "", sum);
    ASSERT(sum == ps->total);
}

/* --- work and state ---------------------------------------------------- */

static void show_flops(const arch *a, int64_t T)
{
    /* Without attention's own products nothing depends on the length. */
    double matrices = arch_flops_per_token(a, 0);
    double all = arch_flops_per_token(a, T);
    show_head("work, forward and backward, sequences of %lld tokens",
              (long long)T);
    show_field("matrices", "%sflop a token (6 a weight)",
               units_count(matrices).s);
    show_field("attention", "%sflop a token (full square: no credit for masks)",
               units_count(all - matrices).s);
    show_field("together", "%sflop a token, %sflop a sequence",
               units_count(all).s, units_count(all * (double)T).s);
}

static void print_state(const char *name, int64_t parameters)
{
    double one = 4 * (double)parameters;
    log_out("  %-18s%11s%11s%11s%11s%12s\n", name, units_bytes(one).s,
            units_bytes(one).s, units_bytes(one).s, units_bytes(one).s,
            units_bytes(4 * one).s);
}

static void show_state(const arch *a, const params *ps)
{
    char layers[32];
    int64_t one = layer_count(ps, 0);
    snprintf(layers, sizeof(layers), "all %d layers", a->L);
    show_head("state of training, float32: 16 bytes a parameter");
    log_out("  %-18s%11s%11s%11s%11s%12s\n", "", "weights", "gradients", "m",
            "v", "together");
    print_state("one layer", one);
    print_state(layers, one * a->L);
    print_state("the rest", ps->total - one * a->L);
    print_state("total", ps->total);
}

status show_model(const char *what, const show_args *args)
{
    arch a;
    params ps;
    TRY(arch_open(what, &a));
    if (args->layers > 0) {
        TRY(arch_cut(&a, (int)args->layers));
    }
    int64_t T = args->seq > 0 ? args->seq : a.positions;
    REQUIRE(T <= a.positions, ST_CONFIG,
            "--seq %lld is longer than the %d positions of %s", (long long)T,
            a.positions, a.name);
    TRY(params_init(&a, &ps));
    log_out("%s: a model of %s parameters, %d layers\n", a.name,
            units_int(ps.total).s, a.L);
    show_descriptor(&a);
    show_parameters(&a, &ps);
    show_flops(&a, T);
    show_state(&a, &ps);
    params_fini(&ps);
    return ST_OK;
}
