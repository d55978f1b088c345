/*
 * One rank alone runs out of memory: whichever allocation of a run it is that
 * fails there, all ranks end with that error, none waits for ever, and no
 * block is left over.
 *
 *     test_agree          every 97th allocation
 *     test_agree all      each (long_agree.sh)
 *
 * A run is begun, saved and stopped once; what is tried then goes on with its
 * checkpoint and its results, predicts times, validates and saves. The line
 * before a time-out names the allocation.
 *
 * ranks: 2
 * timeout: 300
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/app/commands.h"
#include "runtime/base/log.h"
#include "runtime/base/text.h"
#include "runtime/io/seal.h"
#include "runtime/results/runfile.h"
#include "runtime/sim/machine.h"
#include "tests/mpi/mpi_test.h"

enum { WORDS = 48, EVERY = 97 };

static const char *const names[] = {"data",      "machine", "begun",
                                    "begun_run", "saved",   "run"};
enum { DATA, MACHINE, BEGUN, BEGUN_RUN, SAVED, RUN, FILES };

/* Files by name, and the words of the command. */
typedef struct sweep {
    char path[FILES][512];
    const char *words[WORDS];
    int n;
} sweep;

static void add_words(sweep *s, const char *const *words)
{
    for (int i = 0; words[i] != NULL; i++) {
        s->words[s->n++] = words[i];
    }
}

/* All laws the same: what is predicted does not matter. */
static machine *any_machine(void)
{
    machine *m = mpi_test_alloc(1, sizeof(*m));
    machine_init(m);
    (void)snprintf(m->name, sizeof(m->name), "any");
    m->nlevels = 1;
    m->level[0].threads = 1;
    for (int k = 0; k < KERNEL_COUNT; k++) {
        m->level[0].law[k].known = true;
        m->level[0].law[k].term[TERM_OP] = 1e-6;
    }
    m->nlinks = 1;
    m->link[0] = (sim_link){.ranks = 2, .shared_cores = true};
    return m;
}

static status write_inputs(const sweep *s)
{
    char *text = NULL;
    machine *m = any_machine();
    status st = machine_text(m, &text);
    mem_free(m);
    TRY(st);
    st = text_write_file(s->path[MACHINE], text, strlen(text));
    mem_free(text);
    TRY(st);
    TRY(text_read_file("LICENSE", 1 << 20, &text, NULL));
    st = text_write_file(s->path[DATA], text, strlen(text));
    mem_free(text);
    return st;
}

/* Without the care of text_write_file, which takes its time. */
static status copy_file(const char *from, const char *to)
{
    char *text = NULL;
    size_t len = 0;
    TRY(text_read_file(from, 1 << 24, &text, &len));
    FILE *f = fopen(to, "wb");
    bool ok = f != NULL && fwrite(text, 1, len, f) == len;
    ok = f != NULL && fclose(f) == 0 && ok;
    mem_free(text);
    return ok ? ST_OK : FAIL(ST_IO, "%s: cannot be written", to);
}

static const char *folder(void)
{
    const char *tmp = getenv("TMPDIR");
    return tmp != NULL ? tmp : "/tmp";
}

/* The run so far, which is stopped after its first step. */
static status begin(mpi_test *t, sweep *s, const char *plan)
{
    for (int i = 0; i < FILES; i++) {
        (void)snprintf(s->path[i], sizeof(s->path[i]), "%s/%s", folder(),
                       names[i]);
    }
    TRY(comm_agree(t->world, t->rank == 0 ? write_inputs(s) : ST_OK));
    const char *const words[] = {"train",    "gpt-neo-tiny",
                                 "--layers", "2",
                                 "--plan",   plan,
                                 "--data",   s->path[DATA],
                                 "--batch",  "4",
                                 "--seq",    "16",
                                 "--steps",  "2",
                                 "--quiet",  "--threads",
                                 "1",        "--val-every",
                                 "2",        NULL};
    const char *const first[] = {
        "--stop-after",     "1", "--save", s->path[BEGUN], "--out",
        s->path[BEGUN_RUN], NULL};
    const char *const second[] = {
        "--resume",     s->path[BEGUN], "--save",
        s->path[SAVED], "--machine",    s->path[MACHINE],
        "--out",        s->path[RUN],   NULL};
    add_words(s, words);
    int common = s->n;
    add_words(s, first);
    status st = train_in(t->world, s->n, s->words);
    if (st != ST_SIGNAL) {
        return st != ST_OK ? st : FAIL(ST_INTERNAL, "the run was not stopped");
    }
    s->n = common;
    add_words(s, second);
    return ST_OK;
}

/* Two things are done without where there is no room for them: the seal of the
 * results, and the measured rate of products in them. */
static bool whole_but_for_little(const sweep *s)
{
    int64_t bytes = 0;
    run_summary r;
    if (runfile_read(s->path[RUN], &r) != ST_OK) {
        return false;
    }
    bool complete = r.info.complete;
    bool rate = r.has_host && r.host.matmul_gflops > 0;
    run_summary_fini(&r);
    int fd = open(s->path[RUN], O_RDONLY);
    bool readable = fd >= 0 && seal_check(fd, s->path[RUN], &bytes) == ST_OK;
    if (fd >= 0) {
        (void)close(fd);
    }
    return complete && readable && (bytes == -1 || !rate);
}

/* Goes on, the n-th allocation of rank `who` fails. False if there is none. */
static bool try_one(mpi_test *t, const sweep *s, int who, int64_t n)
{
    status st = ST_OK;
    if (t->rank == 0) {
        (void)unlink(s->path[SAVED]);
        st = copy_file(s->path[BEGUN_RUN], s->path[RUN]);
    }
    MPI_TEST_OK(t, comm_agree(t->world, st));
    int64_t live = mem_live();
    int64_t count = mem_count();
    (void)status_set(ST_OK, "");
    mem_fail_after(t->rank == who ? n : 0);
    st = train_in(t->world, s->n, s->words);
    mem_fail_after(0);
    int64_t failed = t->rank == who && mem_count() - count >= n;
    comm_max_i64(t->world, &failed, 1);
    if (failed && st == ST_OK) {
        MPI_TEST(t, t->rank != 0 || whole_but_for_little(s));
    } else {
        MPI_TEST(t, st == (failed ? ST_SYSTEM : ST_OK));
        MPI_TEST(t, !failed || strstr(status_text(), "out of memory") != NULL);
    }
    MPI_TEST(t, mem_live() == live);
    return failed != 0;
}

/* From the first allocation on. */
static void go(mpi_test *t, const char *plan, int64_t first, int64_t every)
{
    sweep s = {.n = 0};
    log_init(t->rank, LOG_INFO);
    if (!MPI_TEST_OK(t, begin(t, &s, plan))) {
        return;
    }
    for (int who = 0; who < t->size; who++) {
        int64_t n = first;
        bool failed = true;
        for (; failed; n += every) {
            if (t->rank == 0) {
                fprintf(stderr, "%s: rank %d, allocation %lld\n", plan, who,
                        (long long)n);
            }
            failed = try_one(t, &s, who, n);
        }
        MPI_TEST(t, n > 1000); /* it was a whole run */
    }
}

/* Each plan has others. */
static void test_tp2(mpi_test *t)
{
    go(t, "tp2", 1, EVERY);
}

static void test_dp2(mpi_test *t)
{
    go(t, "dp2", 15, EVERY);
}

static void test_pp2(mpi_test *t)
{
    go(t, "pp2", 28, EVERY);
}

static void test_tp2_all(mpi_test *t)
{
    go(t, "tp2", 1, 1);
}

static void test_dp2_all(mpi_test *t)
{
    go(t, "dp2", 1, 1);
}

static void test_pp2_all(mpi_test *t)
{
    go(t, "pp2", 1, 1);
}

static const char experiment[] =
    "{\"models\": [\"gpt-neo-tiny\"], \"data\": \"LICENSE\","
    " \"common\": {\"steps\": 1, \"batch\": 4, \"seq\": 16, \"layers\": 1},"
    " \"setups\": [{\"plan\": \"dp1\"}, {\"name\": \"streamed\"}]}";

/* Rank 1 only hears the orders of a comparison, and has no room for one. */
static void test_orders(mpi_test *t)
{
    char path[512];
    char out[512];
    status st = ST_OK;
    log_init(t->rank, LOG_INFO);
    (void)snprintf(path, sizeof(path), "%s/e.json", folder());
    (void)snprintf(out, sizeof(out), "%s/e.h5", folder());
    if (t->rank == 0) {
        st = text_write_file(path, experiment, strlen(experiment));
    }
    MPI_TEST_OK(t, comm_agree(t->world, st));
    const char *const words[] = {"compare", path, "--out", out};
    int64_t failed = 1;
    int64_t n = 1;
    for (; failed != 0; n++) {
        int64_t live = mem_live();
        int64_t count = mem_count();
        mem_fail_after(t->rank == 1 ? n : 0);
        st = compare_in(t->world, 4, words);
        mem_fail_after(0);
        failed = t->rank == 1 && mem_count() - count >= n;
        comm_max_i64(t->world, &failed, 1);
        MPI_TEST(t, st == (failed ? ST_SYSTEM : ST_OK));
        MPI_TEST(t, mem_live() == live);
    }
    MPI_TEST(t, n > 3); /* two orders, at least */
}

int main(int argc, char **argv)
{
    static const mpi_case some[] = {MPI_CASE(test_tp2), MPI_CASE(test_dp2),
                                    MPI_CASE(test_pp2), MPI_CASE(test_orders)};
    static const mpi_case all[] = {
        MPI_CASE(test_tp2_all), MPI_CASE(test_dp2_all), MPI_CASE(test_pp2_all)};
    return argc > 1 && strcmp(argv[1], "all") == 0
               ? mpi_test_main(all, MPI_TEST_COUNT(all))
               : mpi_test_main(some, MPI_TEST_COUNT(some));
}
