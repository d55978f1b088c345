/*
 * What streams beside compute cost: a thread that copies while the kernels'
 * threads multiply, and how long a thread takes to wake another.
 *
 * Compute and copies are counted for a while, alone and together. Then
 *
 *   rate = copies together / copies alone
 *   loss = (1 - products together / products alone) / rate
 *
 * so that a second of copying takes `loss` seconds from compute, whether it
 * is cores or memory bandwidth that they share.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "benchmarks/calibrate.h"
#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/base/sort.h"
#include "runtime/base/stop.h"
#include "runtime/math/matmul.h"

enum {
    SIDE = 384,            /* rows, columns and summands of the product     */
    COPY_FLOATS = 1 << 16, /* of one copy: a panel of 256 KiB               */
    POOL_FLOATS = 1 << 24, /* that copies go round in: past the caches      */
    TURNS = 400,           /* of waking                                     */
    NAPS = 41,
    ROUNDS_MAX = 9,
    TRIES = 20 /* rounds in a row without a copy before it is given up    */
};

static const double NAP_S = 3e-4;

typedef struct copier {
    float *pool, *to;
    atomic_int stop;
    double per_s; /* copies a second, when it has ended; 0: it got no core */
} copier;

static void *copy_main(void *arg)
{
    copier *c = arg;
    int64_t n = 0;
    int64_t begin = clock_wall_ns();
    int64_t now = begin;
    while (!atomic_load(&c->stop)) {
        memcpy(c->to, c->pool + n * COPY_FLOATS % POOL_FLOATS,
               COPY_FLOATS * sizeof(float));
        n++;
        now = clock_wall_ns();
    }
    c->per_s = n > 0 ? (double)n / ((double)(now - begin) * 1e-9) : 0;
    return NULL;
}

static status start_copies(copier *c, pthread_t *thread)
{
    atomic_store(&c->stop, 0);
    int rc = pthread_create(thread, NULL, copy_main, c);
    REQUIRE(rc == 0, ST_SYSTEM, "cannot start a thread: %s", strerror(rc));
    return ST_OK;
}

static void stop_copies(copier *c, pthread_t thread)
{
    atomic_store(&c->stop, 1);
    (void)pthread_join(thread, NULL);
}

/* Products a second. */
static double products(int threads, float *m, double seconds)
{
    int64_t size = (int64_t)SIDE * SIDE;
    int64_t begin = clock_wall_ns();
    int64_t now = begin;
    int64_t n = 0;
    while ((double)(now - begin) * 1e-9 < seconds) {
        matmul(threads, false, true, SIDE, SIDE, SIDE, m, SIDE, m + size, SIDE,
               0, m + 2 * size, SIDE);
        n++;
        now = clock_wall_ns();
    }
    return (double)n / ((double)(now - begin) * 1e-9);
}

static void nap(double seconds)
{
    int64_t until = clock_wall_ns() + (int64_t)(seconds * 1e9);
    struct timespec t = {.tv_sec = until / 1000000000,
                         .tv_nsec = until % 1000000000};
    (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

/* What rounds are made of. */
typedef struct side_job {
    int threads;
    double seconds; /* that each part of a round takes                     */
    float *m;       /* matrices                                            */
    copier c;
} side_job;

static status take_round(void *self, calibrate_round *out)
{
    side_job *j = self;
    pthread_t thread;
    TRY(stop_check());
    out->products = products(j->threads, j->m, j->seconds);
    TRY(start_copies(&j->c, &thread));
    nap(j->seconds);
    stop_copies(&j->c, thread);
    out->copies = j->c.per_s;
    TRY(start_copies(&j->c, &thread));
    out->products_beside = products(j->threads, j->m, j->seconds);
    stop_copies(&j->c, thread);
    out->copies_beside = j->c.per_s;
    return ST_OK;
}

/* A round whose copier got no core says nothing of copies, and its ratios are
 * no numbers: another is taken. */
static status sound_round(calibrate_take take, void *self, calibrate_round *r)
{
    for (int i = 0; i < TRIES; i++) {
        TRY(take(self, r));
        if (r->products > 0 && r->copies > 0 && r->copies_beside > 0) {
            return ST_OK;
        }
    }
    return FAIL(ST_SYSTEM,
                "calibrate: in %d rounds in a row the thread that copies got "
                "no core; let it have the machine to itself, or take fewer "
                "--threads",
                TRIES);
}

static double middle(double *v, int n, double least, double most)
{
    double x = sort_median(v, n);
    return x < least ? least : x > most ? most : x;
}

status calibrate_side_rounds(calibrate_take take, void *self, int rounds,
                             machine *out)
{
    double rate[ROUNDS_MAX];
    double loss[ROUNDS_MAX];
    ASSERT(rounds >= 1 && rounds <= ROUNDS_MAX);
    for (int i = 0; i < rounds; i++) {
        calibrate_round r = {0};
        TRY(sound_round(take, self, &r));
        rate[i] = r.copies_beside / r.copies;
        loss[i] = (1 - r.products_beside / r.products) / rate[i];
    }
    out->side_rate = middle(rate, rounds, 0.01, 1);
    out->side_loss = middle(loss, rounds, 0, 1);
    return ST_OK;
}

static status measure_side(side_job *j, bool quick, machine *out)
{
    int rounds = quick ? 5 : ROUNDS_MAX;
    j->seconds = quick ? 0.03 : 0.06;
    TRY(calibrate_side_rounds(take_round, j, rounds, out));
    (void)snprintf(out->side_source, sizeof(out->side_source),
                   "weft calibrate: copies of 256 KiB beside products on %d "
                   "thread%s, medians of %d rounds",
                   j->threads, j->threads == 1 ? "" : "s", rounds);
    return ST_OK;
}

/* --- waking --------------------------------------------------------------- */

typedef struct turns {
    pthread_mutex_t mutex;
    pthread_cond_t moved;
    int turn; /* even: main's                                              */
} turns;

static void take_turns(turns *t, int mine)
{
    pthread_mutex_lock(&t->mutex);
    for (int i = 0; i < TURNS; i++) {
        while (t->turn % 2 != mine) {
            pthread_cond_wait(&t->moved, &t->mutex);
        }
        t->turn++;
        pthread_cond_broadcast(&t->moved);
    }
    pthread_mutex_unlock(&t->mutex);
}

static void *turns_main(void *arg)
{
    take_turns(arg, 1);
    return NULL;
}

static status measure_wake(machine *out)
{
    turns t = {.turn = 0};
    pthread_t thread;
    pthread_mutex_init(&t.mutex, NULL);
    pthread_cond_init(&t.moved, NULL);
    int64_t begin = clock_wall_ns();
    int rc = pthread_create(&thread, NULL, turns_main, &t);
    REQUIRE(rc == 0, ST_SYSTEM, "cannot start a thread: %s", strerror(rc));
    take_turns(&t, 0);
    (void)pthread_join(thread, NULL);
    double s = (double)(clock_wall_ns() - begin) * 1e-9;
    out->wake_s = s / (2 * TURNS);
    pthread_mutex_destroy(&t.mutex);
    pthread_cond_destroy(&t.moved);
    return ST_OK;
}

/* By how much a sleep of a fraction of a millisecond is longer. */
static void measure_late(machine *out)
{
    double v[NAPS];
    for (int i = 0; i < NAPS; i++) {
        int64_t begin = clock_wall_ns();
        nap(NAP_S);
        v[i] = (double)(clock_wall_ns() - begin) * 1e-9 - NAP_S;
    }
    out->late_s = middle(v, NAPS, 0, 0.01);
}

status calibrate_side(int threads, bool quick, machine *m)
{
    side_job j = {.threads = threads};
    copier *c = &j.c;
    status st = MEM_NEW(&j.m, 3 * SIDE * SIDE, "calibrate");
    TRY_GOTO(st, done);
    TRY_GOTO(MEM_NEW(&c->pool, POOL_FLOATS, "calibrate"), done);
    TRY_GOTO(MEM_NEW(&c->to, COPY_FLOATS, "calibrate"), done);
    for (int64_t i = 0; i < POOL_FLOATS; i++) {
        c->pool[i] = (float)(i % 251) * 0.01F;
    }
    memcpy(j.m, c->pool, 2 * SIDE * SIDE * sizeof(float));
    TRY_GOTO(measure_side(&j, quick, m), done);
    TRY_GOTO(measure_wake(m), done);
    measure_late(m);
done:
    mem_free(c->to);
    mem_free(c->pool);
    mem_free(j.m);
    return st;
}
