/*
 * The model against Hugging Face in float64: loss to 1e-6, every gradient
 * tensor to 1e-5, the losses of 20 AdamW steps to 1e-5 (all relative), for
 * the plain kernels, the fast kernels, and streaming.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/common/golden.h"

static const char *const cases[] = {
    "gpt_neo_local",     "gpt_neo_odd_heads_untied",
    "gpt_neo_odd_inner", "gptj_partial_rotary",
    "gptj_full_rotary",  "gptj_one_head_tied",
    "gpt2_three_heads",  "gpt_neox_partial_rotary",
    "gpt2_exact_untied", "gpt_neox_sequential_tied",
};

static int failures;

static double relative(double a, double b)
{
    return fabs(a - b) / fabs(b);
}

static void expect(bool ok, const char *name, const char *how, const char *what,
                   double error, double most)
{
    printf("%s %-26s %-18s %-24s %.2e (most %.0e)\n", ok ? "ok  " : "FAIL",
           name, how, what, error, most);
    failures += !ok;
}

static status run_case(const char *name, const char *how, setup_options o,
                       comm *world)
{
    golden g;
    golden_run r = {0};
    exec_result res;
    TRY(golden_open(name, &g));
    TRY(golden_start(&g, o, world, &r));
    double worst = 0;
    double norms = 0;
    for (int s = 0; s < GOLDEN_STEPS; s++) {
        TRY(golden_step(&r, s, &res));
        double e = relative(res.loss, g.losses[s]);
        worst = !(e <= worst) ? e : worst;
        double n = relative(res.grad_norm, g.norms[s]);
        norms = !(n <= norms) ? n : norms;
        if (s == 0) {
            e = relative(res.loss, g.loss);
            expect(e <= 1e-6, name, how, "loss", e, 1e-6);
        }
        if (s == 0) {
            char tensor[128] = "";
            double error;
            TRY(golden_gradients(&r, &error, tensor, sizeof(tensor)));
            char what[160];
            (void)snprintf(what, sizeof(what), "gradients, %.100s", tensor);
            expect(error <= 1e-5, name, how, what, error, 1e-5);
        }
    }
    expect(worst <= 1e-5, name, how, "20 losses", worst, 1e-5);
    expect(norms <= 3e-4, name, how, "20 gradient norms", norms, 3e-4);
    golden_stop(&r);
    golden_close(&g);
    return ST_OK;
}

int main(int argc, char **argv)
{
    comm *world = NULL;
    status st = comm_init(&world);
    for (size_t i = 0; st == ST_OK && i < sizeof(cases) / sizeof(*cases); i++) {
        if (argc > 1 && strcmp(argv[1], cases[i]) != 0) {
            continue;
        }
        setup_options judge = {.plan = "dp1", .threads = 2};
        setup_options plain = judge;
        plain.reference = true;
        plain.threads = 1;
        setup_options streamed = {.threads = 2, .device_memory = 8 << 20};
        setup_options again = streamed;
        again.recompute = SETUP_RECOMPUTE_FULL;
        again.micro_batch = 1;
        st = run_case(cases[i], "plain kernels", plain, world);
        if (st == ST_OK) {
            st = run_case(cases[i], "fast kernels", judge, world);
        }
        if (st == ST_OK) {
            st = run_case(cases[i], "streamed", streamed, world);
        }
        if (st == ST_OK) {
            st = run_case(cases[i], "streamed recompute", again, world);
        }
    }
    if (st != ST_OK) {
        printf("FAIL: %s (%s)\n", status_text(), status_where());
    }
    comm_fini(world);
    return st != ST_OK || failures > 0;
}
