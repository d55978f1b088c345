/*
 * The start and the end of MPI.
 *
 * A process that mpirun did not start is a "singleton". Open MPI 4 then forks
 * a daemon of its own, which needs ssh or rsh to exist although it never uses
 * it, costs 0.1 s, and serves only MPI_Comm_spawn. The isolated mode does
 * without. Either way MPI_Init leaves variables in the environment that make
 * any mpirun started from this process end at once without a word, so those
 * are taken out again.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* sched_getaffinity */
#endif
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/mem.h"
#include "runtime/comm/comm_impl.h"

static void end_job(int code)
{
    int over = 0;
    MPI_Finalized(&over);
    if (!over) {
        MPI_Abort(MPI_COMM_WORLD, code);
    }
}

static int env_count(void)
{
    int n = 0;
    while (environ != NULL && environ[n] != NULL) {
        n++;
    }
    return n;
}

static bool is_launcher_variable(const char *entry)
{
    return strncmp(entry, "OMPI_", 5) == 0 || strncmp(entry, "PMIX_", 5) == 0;
}

/* Takes launcher variables after the first `before` out of the environment:
 * setenv appends, so those are the ones that came since. */
static void env_restore(int before)
{
    int i = before;
    while (i < env_count()) {
        char name[256];
        size_t length = strcspn(environ[i], "=");
        if (!is_launcher_variable(environ[i]) || length >= sizeof(name)) {
            i++;
            continue;
        }
        memcpy(name, environ[i], length);
        name[length] = '\0';
        unsetenv(name);
    }
}

/* srun without its PMIx plugin starts N processes that all believe they are
 * alone. The step's variable is the one to ask: SLURM_NTASKS is also set in
 * a batch script, where a plain single process or `mpirun -n 1` is fine. */
static status check_slurm(int size)
{
    const char *tasks = getenv("SLURM_STEP_NUM_TASKS");
    if (size > 1 || tasks == NULL || strtol(tasks, NULL, 10) <= 1 ||
        getenv("OMPI_COMM_WORLD_SIZE") != NULL) {
        return ST_OK;
    }
    return FAIL(ST_CONFIG,
                "Slurm started %s tasks, but MPI sees this process alone; "
                "use `srun --mpi=pmix` (see `srun --mpi=list`) or mpirun "
                "inside the allocation",
                tasks);
}

/* Cores that the ranks of this node may use together: each may be bound to
 * its own. Collective over node. */
static int usable_cores(MPI_Comm node)
{
    cpu_set_t cores;
    CPU_ZERO(&cores);
    if (sched_getaffinity(0, sizeof(cores), &cores) != 0) {
        CPU_ZERO(&cores); /* more CPUs than a cpu_set_t holds */
    }
    MPI_Allreduce(MPI_IN_PLACE, &cores, (int)sizeof(cores), MPI_BYTE, MPI_BOR,
                  node);
    int n = CPU_COUNT(&cores);
    return n > 0 ? n : (int)sysconf(_SC_NPROCESSORS_ONLN);
}

static void find_node(comm *world)
{
    MPI_Comm node;
    int rc = MPI_Comm_split_type(world->mpi, MPI_COMM_TYPE_SHARED, 0,
                                 MPI_INFO_NULL, &node);
    comm_impl_check(world, rc, "finding the node", EVERYBODY);
    MPI_Comm_size(node, &world->node_size);
    MPI_Comm_rank(node, &world->node_rank);
    world->node_cores = usable_cores(node);
    world->crowded = world->node_size > world->node_cores;
    MPI_Comm_free(&node);
}

/* All ranks take part, whether their own allocation failed or not. */
static status make_world(comm **out)
{
    comm *world = NULL;
    int size = 1;
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    status st = comm_impl_new(size, &world);
    int mine = st;
    int worst = mine;
    MPI_Allreduce(&mine, &worst, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
    if (worst != ST_OK) {
        comm_impl_free(world);
        return mine != ST_OK ? st
                             : FAIL((status)worst,
                                    "another rank could not start; see its "
                                    "message");
    }
    MPI_Comm mpi = MPI_COMM_WORLD;
    MPI_Comm_rank(mpi, &world->world_rank);
    world->message_max = MESSAGE_MAX_BYTES;
    int rc = MPI_Comm_dup(MPI_COMM_WORLD, &mpi);
    comm_impl_setup(world, mpi, "world", world);
    comm_impl_check(world, rc, "starting", EVERYBODY);
    find_node(world);
    *out = world;
    return ST_OK;
}

status comm_init(comm **world)
{
    int started = 0;
    MPI_Initialized(&started);
    REQUIRE(!started, ST_INTERNAL, "MPI can be started once in a process");

    int before = env_count();
    setenv("OMPI_MCA_ess_singleton_isolated", "1", 0);
    int level = MPI_THREAD_SINGLE;
    int rc = MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &level);
    REQUIRE(rc == MPI_SUCCESS, ST_SYSTEM, "MPI does not start (error %d)", rc);
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN);
    int size = 1;
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    if (size == 1) {
        env_restore(before);
    }

    status st = check_slurm(size);
    if (st == ST_OK && level < MPI_THREAD_FUNNELED) {
        st = FAIL(ST_SYSTEM, "this MPI library does not support threads "
                             "(MPI_THREAD_FUNNELED); use another build of it");
    }
    if (st == ST_OK) {
        st = make_world(world);
    }
    if (st != ST_OK) {
        MPI_Finalize();
        return st;
    }
    status_abort_hook((*world)->rank, end_job);
    return ST_OK;
}

status comm_first(comm *world, int n, comm **out)
{
    int rank = comm_rank(world);
    ASSERT(n >= 1 && n <= comm_size(world));
    TRY(comm_split(world, rank < n ? 0 : -1, rank, "world", out));
    if (*out != NULL) {
        find_node(*out);
    }
    return ST_OK;
}

void comm_fini(comm *world)
{
    if (world == NULL) {
        return;
    }
    comm_destroy(world);
    status_abort_hook(-1, NULL);
    MPI_Finalize();
}

const char *comm_library(void)
{
    /* Of the thread: filled with the same text by every call. */
    static _Thread_local char text[MPI_MAX_LIBRARY_VERSION_STRING];
    int length = 0;
    MPI_Get_library_version(text, &length);
    text[strcspn(text, "\n")] = '\0';
    return text;
}

const char *comm_thread_level(void)
{
    int level = MPI_THREAD_SINGLE;
    MPI_Query_thread(&level);
    switch (level) {
    case MPI_THREAD_FUNNELED:
        return "funneled";
    case MPI_THREAD_SERIALIZED:
        return "serialized";
    case MPI_THREAD_MULTIPLE:
        return "multiple";
    default:
        return "single";
    }
}
