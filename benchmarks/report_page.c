/* The page: head, a section a model, where the numbers come from, the data. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "benchmarks/compare_impl.h"
#include "benchmarks/report_impl.h"
#include "runtime/base/mem.h"
#include "runtime/base/units.h"
#include "runtime/results/format.h"

/* --- in short ------------------------------------------------------------- */

static void item(strbuf *page, const char *text)
{
    strbuf_add(page, "<li>");
    html_text(page, text);
    strbuf_add(page, "</li>\n");
}

static const char *plural(int n)
{
    return n == 1 ? "" : "s";
}

static void add_name(const report_model *m, strbuf *page)
{
    strbuf name = {0};
    report_model_name(m, &name);
    html_text(page, strbuf_view(&name));
    strbuf_fini(&name);
}

static void say_who_ran(const report_model *m, strbuf *page)
{
    char text[160];
    int not_run = m->nsetups - m->nran;
    if (m->differs[0] != '\0') {
        item(page, "Compared with runs of the same task only; runs that "
                   "differ in what this headline names stand apart.");
    }
    (void)snprintf(text, sizeof(text), "%d of %d set-up%s ran to the end%s.",
                   m->nran, m->nsetups, plural(m->nsetups),
                   not_run > 0 ? "; the others are listed below with their "
                                 "reasons"
                               : "");
    item(page, text);
}

/* How the losses of the others are to those of the base, which is none of
 * them. Others are those that train with its kernels. */
typedef struct agreement {
    int n;          /* others                                              */
    int same;       /* bit for bit, in as many steps                       */
    int part;       /* bit for bit in the steps that both have             */
    int64_t shared; /* the fewest of those                                 */
    bool equally;   /* as many with each                                   */
    int broken;     /* a loss is no number, or only one is                 */
    int fast;       /* sums, with the base's own                           */
    double most;
} agreement;

static agreement agreement_of(const report_data *d, int model)
{
    const report_setup *base = &d->setups[d->models[model].base];
    agreement a = {.fast = !base->run.info.exact_sums, .equally = true};
    const report_setup *s;
    for (int i = 0; (s = report_of_model(d, model, false, i)) != NULL; i++) {
        if (s == base || !s->trains || !s->same_kernels) {
            continue;
        }
        a.n++;
        a.fast += !s->run.info.exact_sums;
        a.broken += isnan(s->difference);
        a.most = s->difference > a.most ? s->difference : a.most;
        a.same += s->difference == 0 && s->same_steps;
        if (s->difference == 0 && !s->same_steps) {
            bool first = a.part++ == 0;
            a.equally = a.equally && (first || s->shared_steps == a.shared);
            a.shared = first || s->shared_steps < a.shared ? s->shared_steps
                                                           : a.shared;
        }
    }
    return a;
}

/* "2 of 4 others have the losses of dp1 bit for bit, 1 more in the 3 steps
 * that both have; the largest difference is 0.5." */
static void say_some_agree(const agreement *a, const char *base, strbuf *text)
{
    int first = a->same > 0 ? a->same : a->part;
    strbuf_printf(text, "%d of %d other%s %s the losses of %s bit for bit",
                  first, a->n, plural(a->n),
                  first == 1 || a->n == 1 ? "has" : "have", base);
    if (a->part > 0 && a->same > 0) {
        strbuf_printf(text, ", %d more", a->part);
    }
    if (a->part > 0) {
        strbuf_printf(text, " in the %lld%s step%s that both have",
                      (long long)a->shared, a->equally ? "" : " or more",
                      a->shared == 1 && a->equally ? "" : "s");
    }
    if (a->most > 0) {
        strbuf_printf(text, "; the largest difference is %.3g", a->most);
    }
    if (a->broken > 0) {
        strbuf_printf(text, "; %d %s a loss that is no number", a->broken,
                      a->broken == 1 ? "has" : "have");
    }
    strbuf_add(text, ".");
}

static void say_agreement(const report_data *d, int model, strbuf *page)
{
    const char *base = d->setups[d->models[model].base].label;
    const agreement a = agreement_of(d, model);
    strbuf text = {0};
    if (a.n > 0 && a.same == a.n) {
        strbuf_printf(
            &text,
            "The losses of all %d are the same in every step, bit for bit: "
            "%s, and %d other%s compared with it.",
            a.n + 1, base, a.n, plural(a.n));
    } else if (a.n > 0) {
        say_some_agree(&a, base, &text);
    }
    if (a.n > a.same + a.part && a.fast > 0) {
        strbuf_printf(&text,
                      " %d of these set-ups sum%s fast, which promises no "
                      "equal bits.",
                      a.fast, a.fast == 1 ? "s" : "");
    }
    if (text.len > 0) {
        item(page, strbuf_view(&text));
    }
    strbuf_fini(&text);
}

/* "a", "a and b", "a, b and c": set-ups, one call a name. */
static void add_label(const report_setup *s, int k, int n, strbuf *out)
{
    strbuf_printf(out, "%s%s",
                  k == 0       ? ""
                  : k == n - 1 ? " and "
                               : ", ",
                  s->label);
}

static bool has_other_kernels(const report_setup *s)
{
    return s->trains && !s->same_kernels;
}

static bool is_idle(const report_setup *s)
{
    return !s->trains;
}

/* Names those of the drawn set-ups that are so; returns how many. */
static int add_labels(const report_data *d, int model,
                      bool (*is_so)(const report_setup *), double *most,
                      strbuf *out)
{
    const report_setup *s;
    int n = 0;
    int k = 0;
    for (int i = 0; (s = report_of_model(d, model, false, i)) != NULL; i++) {
        n += is_so(s);
    }
    *most = 0;
    for (int i = 0; (s = report_of_model(d, model, false, i)) != NULL; i++) {
        if (is_so(s)) {
            add_label(s, k++, n, out);
            *most = compare_larger(*most, s->difference);
        }
    }
    return n;
}

/* Who is compared with nobody, and why. */
static void say_left_out(const report_data *d, int model, strbuf *page)
{
    strbuf text = {0};
    double most;
    int n = add_labels(d, model, has_other_kernels, &most, &text);
    if (n > 0) {
        strbuf_printf(&text,
                      " compute%s with other kernels than %s, which promises "
                      "no equal bits",
                      n == 1 ? "s" : "",
                      d->setups[d->models[model].base].label);
        if (isnan(most)) {
            strbuf_add(&text, "; a loss is no number.");
        } else {
            strbuf_printf(&text, "; the largest difference is %.3g.", most);
        }
        item(page, strbuf_view(&text));
        strbuf_cut(&text, 0);
    }
    n = add_labels(d, model, is_idle, &most, &text);
    if (n > 0) {
        strbuf_printf(
            &text,
            " train%s nothing: store null keeps no weights. %s losses "
            "are compared with nobody's, and what is best here is "
            "best of the others.",
            n == 1 ? "s" : "", n == 1 ? "Its" : "Their");
        item(page, strbuf_view(&text));
    }
    strbuf_fini(&text);
}

static void say_memory(const report_data *d, int model, strbuf *page)
{
    const report_setup *s;
    const report_setup *least = NULL;
    const report_setup *most = NULL;
    char text[2 * REPORT_LABEL_SIZE + 160];
    for (int i = 0; (s = report_of_model(d, model, false, i)) != NULL; i++) {
        int64_t b = s->row.peak_bytes;
        if (report_is_ranked(s) && b > 0) {
            least = least == NULL || b < least->row.peak_bytes ? s : least;
            most = most == NULL || b > most->row.peak_bytes ? s : most;
        }
    }
    if (least != NULL && least != most) {
        (void)snprintf(
            text, sizeof(text),
            "A device is planned to need least memory with %s: %s, %.1f times "
            "less than with %s.",
            least->label, units_bytes((double)least->row.peak_bytes).s,
            (double)most->row.peak_bytes / (double)least->row.peak_bytes,
            most->label);
        item(page, text);
    }
}

/* The fastest of those whose rates are by this clock. */
static void say_fastest(const report_data *d, int model, const char *clock,
                        strbuf *page)
{
    const report_setup *s;
    const report_setup *best = NULL;
    char text[REPORT_LABEL_SIZE + 160];
    int n = 0;
    for (int i = 0; (s = report_of_model(d, model, false, i)) != NULL; i++) {
        if (report_is_ranked(s) && strcmp(s->row.clock, clock) == 0) {
            n++;
            best = best == NULL || s->row.tokens_per_s > best->row.tokens_per_s
                       ? s
                       : best;
        }
    }
    if (n > 1) {
        (void)snprintf(text, sizeof(text),
                       "Fastest by %s time: %s, %s tokens/s with %lld "
                       "decision%s of a person.",
                       strcmp(clock, "cpu") == 0 ? "CPU" : clock, best->label,
                       units_count(best->row.tokens_per_s).s,
                       (long long)best->row.decisions,
                       plural((int)best->row.decisions));
        item(page, text);
    }
}

/* --- sections ------------------------------------------------------------- */

static status draw_model(const report_data *d, int model, plotter *p,
                         strbuf *page)
{
    strbuf_add(page, "<div class=\"grid\">\n");
    TRY(report_draw_loss(d, model, p, page));
    TRY(report_draw_pareto(d, model, p, page));
    TRY(report_draw_memory(d, model, p, page));
    TRY(report_draw_state(d, model, p, page));
    TRY(report_draw_ledger(d, model, p, page));
    TRY(report_draw_start(d, model, p, page));
    strbuf_add(page, "</div>\n");
    report_add_measures(d, model, page);
    TRY(report_add_traffic(d, model, page));
    return report_draw_timelines(d, model, p, page);
}

static status add_model(const report_data *d, int model, plotter *p,
                        strbuf *page)
{
    const report_model *m = &d->models[model];
    strbuf_printf(page, "<section id=\"m%d\">\n<h2>", model + 1);
    add_name(m, page);
    strbuf_add(page, "</h2>\n<ul class=\"short\">\n");
    say_who_ran(m, page);
    if (m->ndrawn > 0) {
        if (m->base >= 0) {
            say_agreement(d, model, page);
        }
        say_left_out(d, model, page);
        say_memory(d, model, page);
        say_fastest(d, model, "wall", page);
        say_fastest(d, model, "cpu", page);
    }
    strbuf_add(page, "</ul>\n");
    report_add_summary(d, model, page);
    if (m->ndrawn > 0) {
        TRY(draw_model(d, model, p, page));
    }
    strbuf_add(page, "</section>\n");
    return strbuf_check(page);
}

static void add_head(const report_data *d, strbuf *page)
{
    strbuf_add(page,
               "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n"
               "<meta charset=\"utf-8\"/>\n"
               "<meta name=\"viewport\" content=\"width=device-width, "
               "initial-scale=1\"/>\n"
               "<meta name=\"generator\" content=\"weft " WEFT_VERSION "\"/>\n"
               "<title>Weft: ");
    for (int m = 0; m < d->nmodels; m++) {
        strbuf_add(page, m > 0 ? ", " : "");
        add_name(&d->models[m], page);
    }
    strbuf_add(page, "</title>\n");
    report_add_style(page);
    strbuf_add(page, "</head>\n<body>\n<header>\n<h1>Streamed and "
                     "partitioned, side by side</h1>\n<p class=\"small\">");
    for (int i = 0; i < d->nfiles; i++) {
        html_textf(page, "%s%s%s%s", i > 0 ? "; " : "", d->files[i].name,
                   d->files[i].created[0] != '\0' ? ", " : "",
                   d->files[i].created);
    }
    strbuf_add(page, "</p>\n<nav aria-label=\"Models\"><ul>\n");
    for (int m = 0; m < d->nmodels; m++) {
        strbuf_printf(page, "<li><a href=\"#m%d\">", m + 1);
        add_name(&d->models[m], page);
        strbuf_add(page, "</a></li>\n");
    }
    strbuf_add(page, "<li><a href=\"#provenance\">Where the numbers come "
                     "from</a></li>\n</ul></nav>\n</header>\n<main>\n");
}

/* Inside a script element only "<" could end it, and "&" would not be XML,
 * which all else of the page is. */
static void add_data(const char *json, strbuf *page)
{
    strbuf_add(page, "<script type=\"application/json\" id=\"weft-data\">\n");
    for (const char *s = json; *s != '\0'; s++) {
        if (*s == '<' || *s == '&') {
            strbuf_printf(page, "\\u%04x", (unsigned)*s);
        } else {
            strbuf_add_bytes(page, s, 1);
        }
    }
    strbuf_add(page, "</script>\n");
}

status report_page(const report_data *d, plotter *p, strbuf *page)
{
    char *json = NULL;
    add_head(d, page);
    for (int m = 0; m < d->nmodels; m++) {
        TRY(add_model(d, m, p, page));
    }
    report_add_provenance(d, page);
    TRY(report_json(d, &json));
    strbuf_add(page, "</main>\n<footer>All numbers of this page, in full "
                     "precision, are in it as JSON, in the element "
                     "<code>weft-data</code>.</footer>\n");
    add_data(json, page);
    mem_free(json);
    strbuf_add(page, "</body>\n</html>\n");
    return strbuf_check(page);
}
