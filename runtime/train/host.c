#define _GNU_SOURCE
#include "runtime/train/host.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/base/threads.h"
#include "runtime/comm/comm.h"
#include "runtime/math/matmul.h"

#ifndef WEFT_COMMIT
#define WEFT_COMMIT ""
#endif

const char *host_commit(void)
{
    return WEFT_COMMIT;
}

void host_name(char *out, int size)
{
    if (gethostname(out, (size_t)size) != 0) {
        (void)snprintf(out, (size_t)size, "unknown");
    }
    out[size - 1] = '\0';
}

static void cpu_model(char *out, int size)
{
    FILE *f = fopen("/proc/cpuinfo", "r");
    char line[256];
    (void)snprintf(out, (size_t)size, "unknown");
    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) == 0 && colon != NULL) {
            (void)snprintf(out, (size_t)size, "%s", colon + 2);
            out[strcspn(out, "\n")] = '\0';
            break;
        }
    }
    if (f != NULL) {
        (void)fclose(f);
    }
}

double host_matmul_rate(int threads, int64_t n, int times)
{
    float *m = NULL;
    if (MEM_NEW(&m, 3 * n * n, "host") != ST_OK) {
        return 0;
    }
    for (int64_t i = 0; i < 2 * n * n; i++) {
        m[i] = (float)(i % 251) * 0.01F;
    }
    double best = 0;
    for (int k = 0; k < times; k++) {
        int64_t t = clock_wall_ns();
        matmul(threads, false, false, n, n, n, m, n, m + n * n, n, 0,
               m + 2 * n * n, n);
        double s = (double)(clock_wall_ns() - t) * 1e-9;
        double rate = 2.0 * (double)(n * n * n) / s;
        best = rate > best ? rate : best;
    }
    mem_free(m);
    return best;
}

void host_describe(run_host *out)
{
    memset(out, 0, sizeof(*out));
    host_name(out->hostname, sizeof(out->hostname));
    cpu_model(out->cpu, sizeof(out->cpu));
    (void)snprintf(out->blas, sizeof(out->blas), "%s", matmul_library());
    (void)snprintf(out->mpi, sizeof(out->mpi), "%s", comm_library());
    out->cores = threads_usable();
    out->threads = out->cores;
    out->matmul_gflops = host_matmul_rate(out->threads, 2048, 3) * 1e-9;
}
