#define _GNU_SOURCE
#include "runtime/app/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/mem.h"
#include "runtime/comm/comm.h"
#include "runtime/math/matmul.h"
#include "runtime/train/host.h"

enum { ARGS_MAX = 200 };

static void self_path(char *out, size_t size)
{
    ssize_t n = readlink("/proc/self/exe", out, size - 1);
    out[n > 0 ? n : 0] = '\0';
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

static pid_t job_pid;

static void forward(int sig)
{
    (void)sig;
    if (job_pid > 0) {
        (void)kill(job_pid, SIGUSR1);
    }
}

/* The child leaves the terminal's process group, so that Ctrl-C reaches it
 * only as the SIGUSR1 that we send. */
static void become_job(char **args, bool quiet)
{
    (void)setpgid(0, 0);
    (void)setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
    (void)setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
    (void)setenv("OMPI_MCA_btl_vader_single_copy_mechanism", "none", 0);
    int null = quiet ? open("/dev/null", O_WRONLY) : -1;
    if (null >= 0) {
        (void)dup2(null, STDOUT_FILENO);
    }
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

static status run_job(char **args, bool quiet, int *code)
{
    struct sigaction sa;
    struct sigaction old_int;
    struct sigaction old_term;
    memset(&sa, 0, sizeof(sa));
    sa.sa_handler = forward;
    job_pid = fork();
    REQUIRE(job_pid >= 0, ST_SYSTEM, "cannot start a process: %s",
            strerror(errno));
    if (job_pid == 0) {
        become_job(args, quiet);
    }
    (void)sigaction(SIGINT, &sa, &old_int);
    (void)sigaction(SIGTERM, &sa, &old_term);
    status st = wait_for_job(args[0], code);
    (void)sigaction(SIGINT, &old_int, NULL);
    (void)sigaction(SIGTERM, &old_term, NULL);
    return st;
}

status launch_run(const char *const *args, int ranks, bool quiet, int *code)
{
    static const char *const mpirun[] = {
        "mpirun", "--quiet", "--map-by", ":OVERSUBSCRIBE", "--bind-to",
        "none",   "-np",     NULL};
    char self[4096];
    char np[16];
    char *all[ARGS_MAX];
    int n = 0;
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
    return run_job(all, quiet, code);
}

void launch_print_version(void)
{
    printf("weft 0.1.0 %s\n%s\n%s\n", host_commit(), matmul_library(),
           comm_library());
}
