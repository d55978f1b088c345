#include "benchmarks/report.h"

#include <stdio.h>

#include "benchmarks/report_impl.h"
#include "runtime/base/log.h"
#include "runtime/base/units.h"

static status write_page(const report_data *d, const report_config *c)
{
    plotter *p = NULL;
    strbuf page = {0};
    TRY(plot_open(c->keep, c->png, c->out, &p));
    status st = report_page(d, p, &page);
    plot_close(p);
    if (st == ST_OK) {
        st = text_write_file(c->out, strbuf_view(&page), page.len);
    }
    if (st == ST_OK) {
        log_out("wrote %s, %s: open it in a browser\n", c->out,
                units_bytes((double)page.len).s);
    }
    strbuf_fini(&page);
    return st;
}

status report_run(const report_config *c)
{
    report_data d = {0};
    TRY(report_read(c, &d));
    status st = ST_OK;
    if (c->perfetto != NULL) {
        st = report_perfetto(&d, c->perfetto);
        if (st == ST_OK) {
            log_out("wrote %s: open it at ui.perfetto.dev\n", c->perfetto);
        }
    }
    if (st == ST_OK && c->out != NULL) {
        st = write_page(&d, c);
    }
    report_data_fini(&d);
    return st;
}
