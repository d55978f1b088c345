#include "runtime/math/pace.h"

#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/base/sort.h"
#include "runtime/math/matmul.h"

enum { SIDE = 128, FLOATS = SIDE * SIDE, TIMES = 5 };

struct pace {
    int threads;
    float *m;  /* a thread's operands and result, one after another        */
    double *s; /* TIMES a thread                                           */
};

status pace_open(int threads, pace **out)
{
    pace *p = NULL;
    TRY(MEM_NEW(&p, 1, "pace"));
    p->threads = threads;
    status st = MEM_NEW(&p->m, 3 * FLOATS * (int64_t)threads, "pace");
    if (st == ST_OK) {
        st = MEM_NEW(&p->s, TIMES * (int64_t)threads, "pace");
    }
    if (st != ST_OK) {
        pace_close(p);
        return st;
    }
    for (int64_t i = 0; i < 3 * FLOATS * (int64_t)threads; i++) {
        p->m[i] = (float)(i % 251) * 0.01F;
    }
    *out = p;
    return ST_OK;
}

void pace_close(pace *p)
{
    if (p != NULL) {
        mem_free(p->s);
        mem_free(p->m);
        mem_free(p);
    }
}

/* The first brings the operands into the cache; the median forgets it. */
static void run_thread(float *m, double *s)
{
    for (int k = 0; k < TIMES; k++) {
        int64_t begin = clock_cpu_thread_ns();
        matmul_one(false, false, SIDE, SIDE, SIDE, m, SIDE, m + FLOATS, SIDE, 0,
                   m + 2 * FLOATS, SIDE);
        s[k] = (double)(clock_cpu_thread_ns() - begin) * 1e-9;
    }
}

double pace_take(pace *p)
{
    double sum = 0;
#pragma omp parallel for num_threads(p->threads) schedule(static, 1)
    for (int i = 0; i < p->threads; i++) {
        run_thread(p->m + 3 * FLOATS * (int64_t)i, p->s + TIMES * i);
    }
    for (int i = 0; i < p->threads; i++) {
        sum += sort_median(p->s + TIMES * i, TIMES);
    }
    return sum / p->threads;
}
