#define _GNU_SOURCE
#include "runtime/app/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/app/launch_pipes.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/comm/comm.h"
#include "runtime/math/matmul.h"
#include "runtime/results/format.h"
#include "runtime/train/host.h"

enum { ARGS_MAX = 200 };

static void self_path(char *out, size_t size)
{
    ssize_t n = readlink("/proc/self/exe", out, size - 1);
    out[n > 0 ? n : 0] = '\0';
}

void launch_fix_descriptors(void)
{
    /* Read-only for all three: what is written there fails, as it should. */
    for (int fd = 0; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0) {
            int null = open("/dev/null", O_RDONLY);
            ASSERT(null == fd); /* the lowest that is free */
        }
    }
    (void)signal(SIGXFSZ, SIG_IGN);
}

void launch_fix_environment(char **argv)
{
    /* The second start finds it set, so this cannot loop. */
    if (getenv("OMP_WAIT_POLICY") != NULL) {
        return;
    }
    if (setenv("OMP_WAIT_POLICY", "passive", 0) == 0) {
        (void)execv("/proc/self/exe", argv);
    }
}

bool launch_is_rank(void)
{
    return getenv("OMPI_COMM_WORLD_SIZE") != NULL ||
           getenv("PMIX_RANK") != NULL;
}

static int number_from(const char *variable)
{
    const char *text = getenv(variable);
    return text != NULL ? atoi(text) : 0;
}

int launch_ranks(void)
{
    return number_from("OMPI_COMM_WORLD_SIZE");
}

int launch_rank(void)
{
    return number_from("OMPI_COMM_WORLD_RANK");
}

int launch_local_ranks(void)
{
    return number_from("OMPI_COMM_WORLD_LOCAL_SIZE");
}

static const char slurm_tasks[] = "SLURM_STEP_NUM_TASKS";

/* The step's variable is the one to ask: SLURM_NTASKS is also set in a batch
 * script, where a plain single process is fine. */
bool launch_slurm_alone(void)
{
    return number_from(slurm_tasks) > 1 && !launch_is_rank();
}

status launch_check_slurm(void)
{
    REQUIRE(!launch_slurm_alone(), ST_CONFIG,
            "srun started %s tasks, but each is a job of one rank: use srun "
            "--mpi=pmix if srun --mpi=list has it, else mpirun inside of the "
            "allocation",
            getenv(slurm_tasks));
    return ST_OK;
}

const char *launch_variable(const char *name)
{
    return getenv(name);
}

/* --- a job and its signals ------------------------------------------------ */

/* Set before the handlers that read them may run. */
static volatile pid_t job_pid;
static volatile sig_atomic_t stops_asked;
static volatile sig_atomic_t stopped_by; /* the first of them, or 0 */
static volatile sig_atomic_t job_ended;  /* by us */

enum { RESEND_S = 1 };

/* The first signal asks the job to save and stop; SIGUSR1 is what mpirun
 * hands on to its ranks. It hands it to those that have been started, so it
 * is sent again until the job has ended. A second SIGINT ends the job. */
static void on_signal(int sig)
{
    if (sig != SIGALRM) {
        stops_asked++;
        stopped_by = stopped_by != 0 ? stopped_by : sig;
    }
    if (sig == SIGINT && stops_asked > 1) {
        job_ended = 1;
    }
    if (job_pid > 0) {
        (void)kill(job_pid, job_ended ? SIGTERM : SIGUSR1);
        (void)alarm(RESEND_S);
    }
}

static const int handled[] = {SIGINT, SIGTERM, SIGUSR1, SIGALRM, SIGHUP};
enum { HANDLED = sizeof(handled) / sizeof(handled[0]) };

typedef struct old_signals {
    struct sigaction action[HANDLED];
    sigset_t mask;
} old_signals;

/* Handlers in place, signals held back until let_signals. */
static void take_signals(old_signals *old)
{
    struct sigaction sa;
    memset(&sa, 0, sizeof(sa));
    sa.sa_handler = on_signal;
    sigset_t all;
    sigemptyset(&all);
    for (int i = 0; i < HANDLED; i++) {
        sigaddset(&all, handled[i]);
    }
    (void)sigprocmask(SIG_BLOCK, &all, &old->mask);
    for (int i = 0; i < HANDLED; i++) {
        (void)sigaction(handled[i], &sa, &old->action[i]);
        if (handled[i] == SIGHUP && old->action[i].sa_handler == SIG_IGN) {
            (void)sigaction(SIGHUP, &old->action[i], NULL); /* nohup */
        }
    }
}

static void let_signals(const old_signals *old)
{
    (void)sigprocmask(SIG_SETMASK, &old->mask, NULL);
}

static void give_back_signals(const old_signals *old)
{
    (void)alarm(0);
    for (int i = 0; i < HANDLED; i++) {
        (void)sigaction(handled[i], &old->action[i], NULL);
    }
}

/* Whether a command has a handler of its own (runtime/base/stop.h): it is told
 * of the signal when the job has ended, and says so. */
static bool catches_itself(const old_signals *old, int sig)
{
    for (int i = 0; i < HANDLED; i++) {
        if (handled[i] == sig) {
            return old->action[i].sa_handler != SIG_DFL &&
                   old->action[i].sa_handler != SIG_IGN;
        }
    }
    return false;
}

/* The child leaves the terminal's process group, so that Ctrl-C reaches it
 * only as the SIGUSR1 that we send; it does not read the terminal either. If
 * this process is killed, the job must not go on unseen. */
static void become_job(char **args, const job_pipes *p, const old_signals *old)
{
    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    give_back_signals(old);
    let_signals(old);
    (void)setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
    (void)setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
    (void)setenv("OMPI_MCA_btl_vader_single_copy_mechanism", "none", 0);
    int null = open("/dev/null", O_RDWR);
    if (null >= 0) {
        (void)dup2(null, STDIN_FILENO);
    }
    pipes_become(p, null);
    (void)execvp(args[0], args);
    (void)fprintf(stderr, "weft: cannot start %s: %s\n", args[0],
                  strerror(errno));
    _exit(ST_SYSTEM);
}

static status wait_for_job(const char *name, int *code)
{
    int st = 0;
    while (waitpid(job_pid, &st, 0) < 0) {
        REQUIRE(errno == EINTR, ST_SYSTEM, "cannot wait for %s: %s", name,
                strerror(errno));
    }
    *code = WIFEXITED(st) ? WEXITSTATUS(st) : 128 + WTERMSIG(st);
    return ST_OK;
}

/* A job that was ended by what we sent it has not said so itself. */
static void explain_stop(const old_signals *old, int *code, strbuf *said)
{
    static const char early[] =
        "stopped by a signal before the first step; nothing was saved";
    bool own = *code == ST_OK || *code == ST_SIGNAL;
    if (job_ended && !own) {
        log_error("a second signal: the job was ended at once, without "
                  "saving");
        _exit(128 + SIGINT); /* as a single process does */
    }
    if (stops_asked > 0 && *code == 128 + SIGUSR1) {
        if (!catches_itself(old, stopped_by)) {
            log_error("%s", early);
        }
        strbuf_cut(said, 0);
        strbuf_add(said, early);
        *code = ST_SIGNAL;
    }
}

/* A job of one process, which nobody asked to stop. */
static bool alone_death(int code, strbuf *b)
{
    if (code <= 128 || stops_asked > 0) {
        return false;
    }
    strbuf_printf(b, "the process was killed by signal %d (%s)", code - 128,
                  strsignal(code - 128));
    return true;
}

/* Who was killed cannot say so; mpirun does. What else mpirun says of a job
 * whose code is none of ours is handed on as it is. */
static void explain_death(job_words *w, bool alone, int *code)
{
    strbuf b = {0};
    if (status_known(*code)) {
        return; /* a rank has said why */
    }
    if (alone ? alone_death(*code, &b) : words_death(w, &b)) {
        bool killed = *code == 128 + SIGKILL;
        log_error("%s%s", strbuf_view(&b),
                  killed ? "; if nobody did that, memory ran out: see dmesg"
                         : "");
        strbuf_cut(&w->said, 0);
        strbuf_add(&w->said, strbuf_view(&b));
        *code = ST_PEER;
    } else {
        (void)fputs(strbuf_view(&w->box), stderr);
    }
    strbuf_fini(&b);
}

/* One rank alone keeps our standard error, which may be a terminal, unless it
 * has nothing to draw there. */
static status run_job(char **args, bool alone, bool quiet, int *code)
{
    old_signals old;
    job_pipes p;
    TRY(pipes_init(&p, !quiet, !alone || quiet));
    (void)fflush(stdout);
    stops_asked = 0;
    stopped_by = 0;
    job_ended = 0;
    job_pid = 0;
    take_signals(&old);
    pid_t pid = fork();
    if (pid == 0) {
        become_job(args, &p, &old);
    }
    job_pid = pid;
    let_signals(&old);
    status st = ST_OK;
    if (pid < 0) {
        st = FAIL(ST_SYSTEM, "cannot start a process: %s", strerror(errno));
    } else {
        pipes_pass_on(&p);
        st = wait_for_job(args[0], code);
    }
    job_pid = 0;
    give_back_signals(&old);
    if (stopped_by != 0 && catches_itself(&old, stopped_by)) {
        (void)raise(stopped_by);
    }
    if (st == ST_OK) {
        explain_stop(&old, code, &p.said.said);
        explain_death(&p.said, alone, code);
    }
    if (st == ST_OK && *code != ST_OK) {
        (void)status_set((status)*code, strbuf_view(&p.said.said));
    }
    if (st == ST_OK && *code == ST_OK && p.unwritten != 0) {
        st = log_finish();
    }
    pipes_fini(&p);
    return st;
}

status launch_run(const char *const *args, int ranks, bool quiet, int *code)
{
    static const char *const mpirun[] = {
        "mpirun", "--map-by", ":OVERSUBSCRIBE", "--bind-to", "none",
        "-np",    NULL};
    char self[4096];
    char np[16];
    char *all[ARGS_MAX];
    int n = 0;
    TRY(launch_check_slurm());
    self_path(self, sizeof(self));
    (void)snprintf(np, sizeof(np), "%d", ranks);
    for (int i = 0; ranks > 1 && mpirun[i] != NULL; i++) {
        all[n++] = (char *)mpirun[i];
    }
    if (ranks > 1) {
        all[n++] = np;
    }
    all[n++] = self;
    for (int i = 0; args[i] != NULL; i++) {
        REQUIRE(n < ARGS_MAX - 1, ST_USAGE, "too many arguments for a job");
        all[n++] = (char *)args[i];
    }
    all[n] = NULL;
    return run_job(all, ranks == 1, quiet, code);
}

status launch_job(void *self, const char *const *args, int ranks, int *code)
{
    (void)self;
    return launch_run(args, ranks, true, code);
}

void launch_print_version(void)
{
    printf("weft %s %s\n%s\n%s\n", WEFT_VERSION, host_commit(),
           matmul_library(), comm_library());
}
