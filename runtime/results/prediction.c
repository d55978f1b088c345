/* A prediction beside its measurement, as text. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/units.h"
#include "runtime/results/runfile.h"

/* Kinds that take less than this share of all are left to the last line. */
static const double SMALL = 0.002;

/* Touched memory is known to pages of this size on most systems. */
static const double PAGE = 4096;

static void add_error(double predicted, double measured, strbuf *out)
{
    if (measured > 0 && !isnan(predicted)) {
        strbuf_printf(out, "%+8.1f %%\n", 100 * (predicted / measured - 1));
    } else {
        strbuf_add(out, "         -\n");
    }
}

static void add_row(const char *name, int64_t count, double predicted_s,
                    double measured_s, strbuf *out)
{
    if (isnan(measured_s)) {
        strbuf_printf(out, "  %-20s%7lld%12s%12s", name, (long long)count,
                      units_seconds(predicted_s).s, "-");
    } else {
        strbuf_printf(out, "  %-20s%7lld%12s%12s", name, (long long)count,
                      units_seconds(predicted_s).s,
                      units_seconds(measured_s).s);
    }
    add_error(predicted_s, measured_s, out);
}

static void add_kinds(const run_prediction *p, bool cpu, strbuf *out)
{
    double all = 0;
    double rest[2] = {0, (double)NAN};
    int64_t count = 0;
    for (int i = 0; i < p->nkinds; i++) {
        const run_predicted_kind *k = &p->kinds[i];
        all += cpu ? k->predicted_cpu_ns : k->predicted_wall_ns;
    }
    for (int i = 0; i < p->nkinds; i++) {
        const run_predicted_kind *k = &p->kinds[i];
        double say = 1e-9 * (cpu ? k->predicted_cpu_ns : k->predicted_wall_ns);
        double was = 1e-9 * (cpu ? k->measured_cpu_ns : k->measured_wall_ns);
        if (fmax(say, was) >= 1e-9 * SMALL * all) {
            add_row(k->kind, k->count, say, was, out);
        } else {
            rest[0] += say;
            rest[1] = isnan(rest[1]) ? was : rest[1] + (isnan(was) ? 0 : was);
            count += k->count;
        }
    }
    if (count > 0) {
        add_row("others", count, rest[0], rest[1], out);
    }
}

static void add_ledger(const run_prediction *p, strbuf *out)
{
    double say[RUN_ACCOUNTS];
    double was[RUN_ACCOUNTS];
    memcpy(say, &p->ledger, sizeof(say));
    memcpy(was, &p->measured_ledger, sizeof(was));
    for (int i = 0; i < RUN_ACCOUNTS; i++) {
        strbuf_printf(out, "  %-27s%12s%12s\n", run_account_names[i],
                      units_seconds(say[i]).s,
                      isnan(was[i]) ? "-" : units_seconds(was[i]).s);
    }
}

/* Planned beside touched, which is known to a page. More than was planned is a
 * fault of the program. */
static void add_memory(const run_prediction *p, strbuf *out)
{
    double planned = (double)p->peak_bytes;
    double touched = (double)p->measured_peak_bytes;
    bool known = p->measured_peak_bytes >= 0;
    strbuf_printf(out, "  %-27s%12s%12s", "memory of a device",
                  units_bytes(planned).s, known ? units_bytes(touched).s : "-");
    if (known && touched >= planned + PAGE) {
        strbuf_add(out, "   MORE than planned\n");
    } else if (known && touched > planned - PAGE) {
        strbuf_add(out, " to a page\n");
    } else {
        add_error(planned, touched, out);
    }
}

void run_prediction_text(const run_prediction *p, strbuf *out)
{
    bool cpu = strcmp(p->clock, "cpu") == 0;
    strbuf_printf(
        out, "\nprediction on %s, %s time%s\n  %-20s%7s%12s%12s%10s\n",
        p->machine, p->clock,
        cpu ? " (ranks share cores; wall time as if they did not)" : "",
        "one step", "count", "predicted", "measured", "error");
    if (!isnan(p->pace)) {
        strbuf_printf(out,
                      "  (for products at %.0f %% of their calibrated "
                      "pace, as they went meanwhile)\n",
                      100 * p->pace);
    }
    add_kinds(p, cpu, out);
    if (!cpu) {
        strbuf_add(out, "  where it goes, mean of the ranks\n");
        add_ledger(p, out);
    }
    add_row("step, CPU time", 1, p->cpu_s, p->measured_cpu_s, out);
    add_row("step, wall time", 1, p->wall_s,
            cpu ? (double)NAN : p->measured_wall_s, out);
    add_memory(p, out);
}
