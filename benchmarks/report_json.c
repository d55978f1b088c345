/*
 * The page's numbers as JSON, in full precision, under the names that
 * RESULTS.md gives them. Not measured is null.
 */
#include <math.h>
#include <string.h>

#include "benchmarks/report_figure.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"

static void whole(json_writer *w, const char *key, int64_t n)
{
    if (n >= 0) {
        json_write_i64(w, key, n);
    } else {
        json_write_null(w, key);
    }
}

static void ledger(json_writer *w, const char *key, const run_ledger *l)
{
    json_write_obj_flat(w, key);
    json_write_f64(w, "compute", l->compute);
    json_write_f64(w, "load", l->load);
    json_write_f64(w, "comm", l->comm);
    json_write_f64(w, "bubble", l->bubble);
    json_write_f64(w, "optimizer", l->optimizer);
    json_write_f64(w, "other", l->other);
    json_write_end(w);
}

static void row(json_writer *w, const comparison_row *r)
{
    json_write_str(w, "clock", r->clock);
    json_write_str(w, "agreement", r->agreement);
    whole(w, "devices", r->devices);
    whole(w, "peak_bytes", r->peak_bytes);
    json_write_f64(w, "tokens_per_s", r->tokens_per_s);
    json_write_f64(w, "flop_per_s", r->flop_per_s);
    json_write_f64(w, "host_matmul_share", r->host_matmul_share);
    json_write_f64(w, "loss_first", r->loss_first);
    json_write_f64(w, "loss_last", r->loss_last);
    json_write_f64(w, "loaded_bytes", r->loaded_bytes);
    json_write_f64(w, "drained_bytes", r->drained_bytes);
    json_write_f64(w, "pipe_bytes", r->pipe_bytes);
    json_write_f64(w, "tensor_bytes", r->tensor_bytes);
    json_write_f64(w, "data_bytes", r->data_bytes);
    json_write_f64(w, "tie_bytes", r->tie_bytes);
    json_write_f64(w, "world_bytes", r->world_bytes);
    whole(w, "decisions", r->decisions);
    whole(w, "programs", r->programs);
    whole(w, "communicators", r->communicators);
    whole(w, "messages", r->messages);
    json_write_f64(w, "first_step_s", r->first_step_s);
    whole(w, "switch_distance", r->switch_distance);
    json_write_f64(w, "predicted_tokens_per_s", r->predicted_tokens_per_s);
    json_write_f64(w, "prediction_error", r->prediction_error);
    json_write_f64(w, "prediction_pace", r->prediction_pace);
}

static void curve(json_writer *w, const run_summary *r)
{
    int64_t stride = report_stride(r->nsteps);
    json_write_arr_flat(w, "step");
    for (int64_t i = 0; i < r->nsteps; i++) {
        if (i % stride == 0 || i == r->nsteps - 1) {
            json_write_i64(w, NULL, r->steps[i].step);
        }
    }
    json_write_end(w);
    json_write_arr_flat(w, "loss");
    for (int64_t i = 0; i < r->nsteps; i++) {
        if (i % stride == 0 || i == r->nsteps - 1) {
            json_write_f64(w, NULL, r->steps[i].loss);
        }
    }
    json_write_end(w);
}

static void memory(json_writer *w, const run_summary *r)
{
    static const char *const names[BUF_CLASS_COUNT] = {
        "parameters", "gradients", "optimizer", "activations",
        "working",    "logits",    "scratch"};
    const run_rank *most = report_fullest(r);
    int64_t store = 0;
    for (int64_t i = 0; i < r->nranks; i++) {
        store += r->ranks[i].store_bytes;
    }
    if (most == NULL) {
        return;
    }
    json_write_obj_flat(w, "fullest_rank_bytes");
    for (int k = 0; k < BUF_CLASS_COUNT; k++) {
        json_write_i64(w, names[k], most->class_bytes[k]);
    }
    json_write_i64(w, "gaps", report_gaps(most));
    json_write_end(w);
    if (most->touched_bytes > 0) {
        json_write_i64(w, "fullest_rank_touched_bytes", most->touched_bytes);
    }
    json_write_i64(w, "fullest_rank_library_bytes", most->library_bytes);
    json_write_i64(w, "store_bytes", store);
}

static void setup(json_writer *w, const run_setup *m)
{
    json_write_obj_flat(w, "time_to_first_step_s");
    json_write_f64(w, "launch", m->launch_s);
    json_write_f64(w, "planning", m->planning_s);
    json_write_f64(w, "communicators", m->communicators_s);
    json_write_f64(w, "weights", m->weights_s);
    json_write_f64(w, "first_step", m->first_step_s);
    json_write_end(w);
    json_write_arr(w, "decisions_made");
    for (int i = 0; i < m->ndecisions; i++) {
        json_write_obj_flat(w, NULL);
        json_write_str(w, "key", m->decisions[i].key);
        json_write_str(w, "value", m->decisions[i].value);
        json_write_end(w);
    }
    json_write_end(w);
}

static void traffic(json_writer *w, const run_summary *r)
{
    json_write_i64(w, "traffic_steps", r->traffic_steps);
    json_write_arr(w, "traffic");
    for (int64_t i = 0; i < r->ntraffic; i++) {
        json_write_obj_flat(w, NULL);
        json_write_i64(w, "from", r->traffic[i].from);
        json_write_i64(w, "to", r->traffic[i].to);
        json_write_i64(w, "bytes", r->traffic[i].bytes);
        json_write_end(w);
    }
    json_write_end(w);
}

static void prediction(json_writer *w, const run_prediction *p)
{
    json_write_obj(w, "prediction");
    json_write_str(w, "machine", p->machine);
    json_write_str(w, "clock", p->clock);
    json_write_f64(w, "step_s", p->step_s);
    json_write_f64(w, "measured_step_s", p->measured_step_s);
    json_write_f64(w, "pace", p->pace);
    ledger(w, "ledger_s", &p->ledger);
    json_write_end(w);
}

static void run(json_writer *w, const report_setup *s)
{
    const run_summary *r = &s->run;
    json_write_str(w, "plan", r->info.plan);
    json_write_str(w, "commit", r->info.commit);
    json_write_str(w, "store", r->info.store);
    json_write_str(w, "kernels", r->info.kernels);
    json_write_bool(w, "oversubscribed", r->info.oversubscribed);
    json_write_bool(w, "complete", r->info.complete);
    json_write_i64(w, "steps", r->nsteps);
    json_write_f64(w, "largest_loss_difference", s->difference);
    curve(w, r);
    ledger(w, "step_ledger_s", &r->ledger);
    memory(w, r);
    if (r->has_setup) {
        setup(w, &r->setup);
    }
    traffic(w, r);
    if (r->has_prediction) {
        prediction(w, &r->prediction);
    }
}

status report_json(const report_data *d, char **out)
{
    json_writer w;
    json_writer_init(&w);
    json_write_obj(&w, NULL);
    json_write_str(&w, "format", "weft-report");
    json_write_arr(&w, "files");
    for (int i = 0; i < d->nfiles; i++) {
        json_write_str(&w, NULL, d->files[i].name);
    }
    json_write_end(&w);
    json_write_arr(&w, "setups");
    for (int i = 0; i < d->nsetups; i++) {
        const report_setup *s = &d->setups[i];
        json_write_obj(&w, NULL);
        json_write_str(&w, "model", s->row.model);
        json_write_str(&w, "name", s->row.name);
        json_write_str(&w, "label", s->label);
        json_write_i64(&w, "section", s->model + 1);
        json_write_i64(&w, "file", s->file);
        json_write_str(&w, "status", s->row.status);
        json_write_str(&w, "reasons", s->row.reasons);
        row(&w, &s->row);
        if (s->has_run) {
            run(&w, s);
        }
        json_write_end(&w);
    }
    json_write_end(&w);
    json_write_end(&w);
    status st = json_writer_take(&w, out);
    json_writer_fini(&w);
    return st;
}
