/*
 * weft doctor. Started plainly it is one process that also tries mpirun; under
 * mpirun it is a job whose ranks say how they are bound. MPI may not start at
 * all here: that is a finding like others.
 */
#include "runtime/app/doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/app/commands.h"
#include "runtime/app/launch.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/base/text.h"
#include "runtime/results/format.h"
#include "runtime/train/host.h"

typedef struct doctor_args {
    bool json;
    const char *dir;
    int64_t size;
    bool probe;
} doctor_args;

static const opt_row rows[] = {
    OPT_FLAG(doctor_args, json, "json", .help = "for programs to read"),
    OPT_STR(doctor_args, dir, "dir", .value = "DIR", .def = ".",
            .help = "folder whose disk is measured"),
    OPT_SIZE(doctor_args, size, "size", .def = "256MiB", .min = 1 << 20,
             .max = 1 << 30,
             .help = "written there and removed again; at most 3 s"),
    OPT_FLAG(doctor_args, probe, "probe",
             .help = "only exchange a message between ranks", .hidden = true),
};

const opt_command doctor_command = {
    .name = "doctor",
    .usage = "[options]",
    .about = "Checks what Weft depends on here, by trying it: cores and how "
             "ranks are bound to them, the matrix library's bits and rate, "
             "memory, limits, disk, MPI, HDF5. One line a check, with the "
             "repair. Ends with 0 if no problem was found (warnings are "
             "none), else with 71.",
    .example = "weft doctor\n"
               "weft doctor --dir /scratch --json\n"
               "mpirun --map-by :OVERSUBSCRIBE --bind-to none -np 4 weft "
               "doctor",
    .see = "train",
    .min_args = 0,
    .max_args = 0,
    OPT_ROWS(rows),
};

/* --- findings ------------------------------------------------------------- */

static const char *const verdicts[] = {"ok", "warning", "problem"};

void doctor_add(doctor *d, doctor_verdict v, const char *name,
                const char *repair, const char *fmt, ...)
{
    ASSERT(d->n < DOCTOR_FINDINGS_MAX);
    doctor_finding *f = &d->list[d->n++];
    va_list args;
    va_start(args, fmt);
    text_vprint(f->found, sizeof(f->found), fmt, args);
    va_end(args);
    (void)snprintf(f->name, sizeof(f->name), "%s", name);
    text_copy(f->repair, sizeof(f->repair), repair != NULL ? repair : "");
    f->verdict = v;
}

int doctor_count(const doctor *d, doctor_verdict v)
{
    int n = 0;
    for (int i = 0; i < d->n; i++) {
        n += d->list[i].verdict == v ? 1 : 0;
    }
    return n;
}

void doctor_write_text(const doctor *d, strbuf *out)
{
    for (int i = 0; i < d->n; i++) {
        const doctor_finding *f = &d->list[i];
        strbuf_printf(out, "%-8s %-14s %s%s%s\n", verdicts[f->verdict], f->name,
                      f->found, f->repair[0] != '\0' ? "; repair: " : "",
                      f->repair);
    }
    strbuf_printf(out, "%d checks: %d ok, %d warning%s, %d problem%s\n", d->n,
                  doctor_count(d, DOCTOR_OK), doctor_count(d, DOCTOR_WARNING),
                  doctor_count(d, DOCTOR_WARNING) == 1 ? "" : "s",
                  doctor_count(d, DOCTOR_PROBLEM),
                  doctor_count(d, DOCTOR_PROBLEM) == 1 ? "" : "s");
}

void doctor_write_json(const doctor *d, json_writer *w)
{
    char host[128];
    host_name(host, sizeof(host));
    json_write_obj(w, NULL);
    json_write_str(w, "software", "weft " WEFT_VERSION);
    json_write_str(w, "host", host);
    json_write_i64(w, "ranks", d->nranks);
    json_write_arr(w, "checks");
    for (int i = 0; i < d->n; i++) {
        const doctor_finding *f = &d->list[i];
        json_write_obj(w, NULL);
        json_write_str(w, "name", f->name);
        json_write_str(w, "verdict", verdicts[f->verdict]);
        json_write_str(w, "found", f->found);
        json_write_str(w, "repair", f->repair);
        json_write_end(w);
    }
    json_write_end(w);
    json_write_i64(w, "ok", doctor_count(d, DOCTOR_OK));
    json_write_i64(w, "warnings", doctor_count(d, DOCTOR_WARNING));
    json_write_i64(w, "problems", doctor_count(d, DOCTOR_PROBLEM));
    json_write_end(w);
}

static status print_findings(const doctor *d, bool json)
{
    strbuf text = {0};
    json_writer w;
    json_writer_init(&w);
    if (json) {
        doctor_write_json(d, &w);
        strbuf_printf(&text, "%s\n", strbuf_view(&w.out));
    } else {
        doctor_write_text(d, &text);
    }
    json_writer_fini(&w);
    status st = strbuf_check(&text);
    if (st == ST_OK) {
        log_out("%s", strbuf_view(&text));
    }
    strbuf_fini(&text);
    return st;
}

/* --- the command ---------------------------------------------------------- */

static status examine(doctor *d, const doctor_args *a)
{
    doctor_cores(d);
    doctor_math(d);
    doctor_memory(d);
    doctor_disk(d);
    doctor_messages(d);
    doctor_software(d);
    TRY(print_findings(d, a->json));
    int problems = doctor_count(d, DOCTOR_PROBLEM);
    REQUIRE(problems == 0, ST_SYSTEM,
            "doctor: %d problem%s found; repair what is marked so above",
            problems, problems == 1 ? " was" : "s were");
    return ST_OK;
}

/* A folder that is wrong is the caller's mistake, not the machine's. */
static status check_args(const doctor_args *a)
{
    REQUIRE(text_is_dir(a->dir), ST_NOINPUT, "doctor: --dir %s: no such folder",
            a->dir);
    return ST_OK;
}

/* Of the job that doctor_job_try starts. */
enum { PROBE_RANKS = 2 };

/* Every rank of the job; d is filled on rank 0 alone. */
static status on_ranks(doctor *d, const doctor_args *a)
{
    doctor_rank mine;
    doctor_rank_init(d->world, &mine);
    bool first = comm_rank(d->world) == 0;
    status st = first ? MEM_NEW(&d->ranks, d->nranks, "doctor") : ST_OK;
    TRY(comm_agree(d->world, st));
    comm_gather(d->world, &mine, sizeof(mine), d->ranks, 0);
    /* Messages are measured by all, the rest by the first. */
    doctor_link_measure(d->world, &d->link);
    if (a->probe) {
        REQUIRE(d->nranks == PROBE_RANKS, ST_PEER,
                "doctor: mpirun started this process, but MPI sees %d rank%s; "
                "mpirun is of another MPI",
                d->nranks, d->nranks == 1 ? "" : "s");
        return ST_OK;
    }
    st = first ? examine(d, a) : ST_OK;
    comm_barrier_sleeping(d->world);
    return comm_agree(d->world, st);
}

static status examine_all(doctor *d, const doctor_args *a)
{
    if (!a->probe && !d->launched && !launch_slurm_alone()) {
        doctor_job_try(&d->job);
    }
    status st = comm_init(&d->world);
    if (a->probe && st != ST_OK) {
        return st;
    }
    if (st != ST_OK) {
        text_copy(d->mpi_error, sizeof(d->mpi_error), status_text());
        return examine(d, a);
    }
    d->nranks = comm_size(d->world);
    log_init(comm_rank(d->world), LOG_INFO);
    st = on_ranks(d, a);
    log_error_line(st);
    comm_fini(d->world);
    return st != ST_OK ? status_set(st, "") : st;
}

static status run(const doctor_args *a)
{
    doctor *d = NULL;
    const char *task = launch_variable("SLURM_PROCID");
    TRY(check_args(a));
    if (launch_slurm_alone() && task != NULL && atoi(task) > 0) {
        return ST_OK; /* one of them speaks for all */
    }
    TRY(MEM_NEW(&d, 1, "doctor"));
    d->dir = a->dir;
    d->disk_bytes = a->size;
    d->launched = launch_is_rank();
    d->nranks = 1;
    status st = examine_all(d, a);
    mem_free(d->ranks);
    mem_free(d);
    return st;
}

status command_doctor(int argc, const char *const *argv)
{
    doctor_args a;
    opt_parsed *parsed = NULL;
    TRY(opt_parse(&doctor_command, argc, argv, &a, sizeof(a), &parsed));
    status st = ST_OK;
    if (!command_helped(&doctor_command, parsed)) {
        st = run(&a);
    }
    opt_destroy(parsed);
    return st;
}
