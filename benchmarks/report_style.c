/* The page's style: one sheet, no file or font from elsewhere. */
#include "benchmarks/report_impl.h"

static const char sheet[] =
    "html{color-scheme:light dark;-webkit-text-size-adjust:100%}\n"
    "body{margin:0;background:var(--paper);color:var(--ink);"
    "font:16px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',"
    "sans-serif}\n"
    "header,main,footer{max-width:1120px;margin:0 auto;padding:0 16px}\n"
    "h1{font-size:1.7rem;margin:1.2rem 0 .2rem}\n"
    "h2{font-size:1.35rem;margin:2.4rem 0 .6rem;padding-top:.6rem;"
    "border-top:2px solid var(--edge)}\n"
    "h3{font-size:1.05rem;margin:1.6rem 0 .4rem;overflow-wrap:anywhere}\n"
    "a{color:var(--link)}\n"
    "nav ul{display:flex;flex-wrap:wrap;gap:.3rem 1.2rem;padding:0;"
    "list-style:none}\n"
    "ul.short{margin:.4rem 0 1rem;padding-left:1.2rem}\n"
    "p,li,dd,figcaption{overflow-wrap:anywhere}\n"
    ".small{font-size:.86rem;color:var(--soft)}\n"
    ".grid{display:grid;gap:0 28px;"
    "grid-template-columns:repeat(auto-fit,minmax(min(100%,460px),1fr))}\n"
    ".grid>*{min-width:0}\n"
    "figure{margin:1rem 0 1.4rem;min-width:0;break-inside:avoid}\n"
    "figcaption{font-size:.92rem;margin-bottom:.5rem}\n"
    "figcaption b{display:block;font-size:1rem}\n"
    "svg.plot{display:block;width:100%;height:auto;color:var(--ink);"
    "font-family:inherit}\n"
    ".wide .draw{overflow-x:auto;max-width:920px}\n"
    ".wide svg.plot{min-width:600px}\n"
    ".box{overflow-x:auto;margin:.6rem 0;max-width:100%}\n"
    ".box:focus-visible{outline:2px solid var(--link)}\n"
    "table{border-collapse:collapse;font-size:.9rem;"
    "font-variant-numeric:tabular-nums}\n"
    "caption{text-align:left;font-weight:600;padding:.2rem 0}\n"
    "th,td{padding:.25rem .7rem;text-align:right;white-space:nowrap;"
    "border-bottom:1px solid var(--edge)}\n"
    "thead "
    "th{white-space:normal;vertical-align:bottom;color:var(--soft);font-weight:"
    "600}\n"
    "th:first-child{text-align:left;padding-left:0;position:sticky;left:0;"
    "background:var(--paper)}\n"
    "tbody th{font-weight:600}\n"
    "thead th:first-child{white-space:nowrap}\n"
    "td.words{text-align:left;white-space:normal;min-width:9rem}\n"
    "summary{cursor:pointer;color:var(--link);font-size:.9rem}\n"
    "dl.facts{display:grid;grid-template-columns:max-content 1fr;"
    "gap:.15rem 1rem;font-size:.9rem}\n"
    "dl.facts dt{color:var(--soft)}\n"
    "dl.facts dd{margin:0}\n"
    "dl.not-run dt{font-weight:600}\n"
    "dl.not-run dd{margin:0 0 .6rem 1rem}\n"
    ".status{font-weight:400;font-size:.82rem;padding:.05rem .45rem;"
    "border:1px solid var(--edge);border-radius:1rem}\n"
    "table.matrix td{min-width:4.4rem;color:var(--ink)}\n"
    "footer{margin-top:2.5rem;padding-bottom:2rem;font-size:.86rem;"
    "color:var(--soft)}\n"
    "@media (max-width:520px){body{font-size:15px}"
    "dl.facts{grid-template-columns:1fr}dl.facts dd{margin-bottom:.4rem}}\n"
    "@media print{body{font-size:10.5pt}header,main,footer{max-width:none}"
    "section+section{break-before:page}h2{border-top:0}"
    ".grid{grid-template-columns:1fr 1fr}.grid .box{break-inside:avoid}"
    "nav,summary{display:none}.box,.wide .draw{overflow:visible;"
    "max-width:none}.wide svg.plot{min-width:0}table{font-size:8pt}"
    "th,td{padding:.15rem .35rem}th:first-child{position:static}"
    "h3,caption{break-after:avoid}tr,figure{break-inside:avoid}}\n";

/* Paper, ink and the like, which drawings do not have. */
static const html_colour surfaces[] = {
    {"paper", "#ffffff", "#16181c"}, {"ink", "#1b1d21", "#e6e8eb"},
    {"soft", "#575c64", "#a9afb8"},  {"edge", "#d4d7db", "#3a3d42"},
    {"link", "#0b5fa5", "#7fbdf0"},  {NULL, NULL, NULL}};

static void variables(const html_colour *list, bool dark, strbuf *page)
{
    for (const html_colour *c = list; c->name != NULL; c++) {
        strbuf_printf(page, "--%s:%s;", c->name, dark ? c->dark : c->light);
    }
}

/* Ten steps of heat, see-through, so that they suit both papers. */
static void heat(strbuf *page)
{
    for (int i = 1; i <= 9; i++) {
        strbuf_printf(page, ".h%d{background:rgba(191,79,135,.%02d)}\n", i,
                      i * 7);
    }
}

void report_add_style(strbuf *page)
{
    strbuf_add(page, "<style>\n:root{");
    variables(surfaces, false, page);
    variables(plot_colours, false, page);
    strbuf_add(page, "}\n@media screen and (prefers-color-scheme:dark){:root{");
    variables(surfaces, true, page);
    variables(plot_colours, true, page);
    strbuf_add(page, "}}\n");
    strbuf_add(page, sheet);
    heat(page);
    strbuf_add(page, "</style>\n");
}
