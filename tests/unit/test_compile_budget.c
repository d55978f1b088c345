/*
 * Streaming under a budget, over models at random: what a set-up needs is
 * enough as its budget, and so is what a refusal says that it needs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/rng.h"
#include "runtime/base/units.h"
#include "ws/compile.h"

typedef struct model {
    arch a;
    params ps;
    gpt_shape sh;
    ws_config config;
    char text[256]; /* what it is, for a failure */
} model;

/* Numbers of one seed, one after the other. */
typedef struct dice {
    uint64_t seed, next;
} dice;

static int64_t roll(dice *d, int64_t from, int64_t to)
{
    return from + rng_below(d->seed, 0, d->next++, to - from + 1);
}

static void make_model(uint64_t seed, model *m)
{
    static const char *const kinds[] = {"gpt2", "gptj"};
    dice d = {seed, 0};
    const char *kind = kinds[roll(&d, 0, 9) == 0];
    int64_t heads = roll(&d, 1, 4);
    int64_t width = heads * 4 * roll(&d, 1, 24);
    int64_t layers = roll(&d, 1, 5);
    int64_t vocab =
        roll(&d, 3, 4) == 3 ? roll(&d, 20, 400) : roll(&d, 400, 20000);
    (void)snprintf(m->text, sizeof(m->text),
                   "{\"model_type\":\"%s\",\"n_embd\":%lld,\"n_layer\":%lld,"
                   "\"n_head\":%lld,\"vocab_size\":%lld,\"n_positions\":2048"
                   "%s}",
                   kind, (long long)width, (long long)layers, (long long)heads,
                   (long long)vocab,
                   strcmp(kind, "gptj") == 0 ? ",\"rotary_dim\":4" : "");
    m->sh = (gpt_shape){.N = roll(&d, 1, 16),
                        .T = roll(&d, 4, 64),
                        .D = 4,
                        .S = 4,
                        .kblock = 256,
                        .threads = 2};
    m->config = (ws_config){.micro_batch =
                                roll(&d, 0, 2) == 0 ? roll(&d, 1, m->sh.N) : 0,
                            .recompute = (ws_recompute)roll(&d, 0, 2)};
    if (arch_open_text(m->text, "at random", &m->a) != ST_OK ||
        params_init(&m->a, &m->ps) != ST_OK) {
        fail_msg("%s: %s", m->text, status_text());
    }
}

/* The peak under a budget, or 0 if it is refused. */
static int64_t peak_under(model *m, int64_t budget)
{
    program_set set;
    ws_choice choice;
    m->config.budget_bytes = budget;
    status st = ws_compile(&m->a, &m->ps, m->sh, &m->config, &set, &choice);
    if (st == ST_BUDGET) {
        return 0;
    }
    assert_int_equal(st, ST_OK);
    int64_t peak = set.classes[0].peak_bytes;
    program_set_fini(&set);
    assert_true(budget == 0 || peak <= budget);
    return peak;
}

/* "needs 101 KiB of" in the last refusal. */
static int64_t stated_need(void)
{
    int64_t bytes = 0;
    char size[40] = "";
    const char *at = strstr(status_text(), "needs ");
    const char *end = at == NULL ? NULL : strstr(at, " of device memory");
    if (end != NULL && end - at < 40) {
        memcpy(size, at + 6, (size_t)(end - at - 6));
    }
    assert_int_equal(units_parse_size(size, &bytes), ST_OK);
    return bytes;
}

/* Less and less memory, down to a refusal. Returns how often what was used or
 * named is not enough. */
static int try_model(model *m)
{
    int wrong = 0;
    int64_t peak = peak_under(m, 0);
    int64_t budget = peak;
    for (;;) {
        int64_t again = peak_under(m, budget);
        if (again == 0) {
            wrong++;
            print_error("%s N%lld T%lld mb%lld recompute %d: %lld was used, "
                        "and: %s\n",
                        m->text, (long long)m->sh.N, (long long)m->sh.T,
                        (long long)m->config.micro_batch,
                        (int)m->config.recompute, (long long)budget,
                        status_text());
            return wrong;
        }
        int64_t less = again - 1;
        peak = peak_under(m, less);
        if (peak == 0) {
            break;
        }
        budget = peak;
    }
    int64_t need = stated_need();
    if (peak_under(m, need) == 0) {
        wrong++;
        print_error("%s: %lld was named, and: %s\n", m->text, (long long)need,
                    status_text());
    }
    return wrong;
}

static void test_peak_is_enough(void **state)
{
    enum { MODELS = 60 };
    int wrong = 0;
    (void)state;
    for (uint64_t seed = 1; seed <= MODELS; seed++) {
        model m;
        make_model(seed, &m);
        wrong += try_model(&m);
        params_fini(&m.ps);
    }
    print_message("%d wrong\n", wrong);
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_peak_is_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
