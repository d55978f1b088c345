/* What a job says: lines of ranks go on, boxes of mpirun are kept and read.
 * And srun without PMIx. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/app/binding.h"
#include "runtime/app/launch.h"
#include "runtime/app/launch_words.h"
#include "runtime/base/mem.h"

#define EDGE                                                                   \
    "----------------------------------------"                                 \
    "----------------------------------\n"

static const char job[] =
    "weft: warning: one\nmpirun: Forwarding signal 10 to job\n" EDGE
    "Primary job  terminated normally, but 1 process returned\n"
    "a non-zero exit code. Per user-direction, the job has been aborted.\n" EDGE
    "----\n" EDGE
    "mpirun noticed that process rank 3 with PID 0 on node n7 exited on "
    "signal 9 (Killed).\n" EDGE "no end";

/* However the bytes come. */
static void test_lines(void **state)
{
    (void)state;
    for (size_t step = 1; step < sizeof(job); step++) {
        job_words w = {0};
        strbuf on = {0};
        strbuf death = {0};
        for (size_t at = 0; at < strlen(job); at += step) {
            size_t left = strlen(job) - at;
            words_take(&w, job + at, left < step ? left : step, &on);
        }
        assert_string_equal(strbuf_view(&on), "weft: warning: one\n----\n");
        words_end(&w, &on);
        assert_string_equal(strbuf_view(&on),
                            "weft: warning: one\n----\nno end");
        assert_true(words_death(&w, &death));
        assert_string_equal(strbuf_view(&death),
                            "rank 3 on n7 was ended by signal 9 (Killed)");
        assert_non_null(strstr(strbuf_view(&w.box), "Primary job"));
        words_fini(&w);
        strbuf_fini(&on);
        strbuf_fini(&death);
    }
    assert_int_equal(mem_live(), 0);
}

/* The first error of the ranks, whoever says it. */
static void test_said(void **state)
{
    (void)state;
    static const char *const texts[][2] = {
        {"", ""},
        {"weft: warning: one\nweft: debug: two\n", ""},
        {EDGE "weft: in a box\n" EDGE "word\n", ""},
        {"a\nweft: warning: b\nweft: rank 2: c: d\nweft: e\n", "rank 2: c: d"},
        {"weft: without an end", "without an end"}};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        job_words w = {0};
        strbuf on = {0};
        words_take(&w, texts[i][0], strlen(texts[i][0]), &on);
        words_end(&w, &on);
        assert_string_equal(strbuf_view(&w.said), texts[i][1]);
        words_fini(&w);
        strbuf_fini(&on);
    }
    assert_int_equal(mem_live(), 0);
}

static void test_no_death(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "", EDGE "mpirun could not start.\n" EDGE,
        EDGE "mpirun noticed that process rank x\n" EDGE,
        /* A rank can say that, too. */
        ("mpirun noticed that process rank 3 with PID 0 on node n7 exited on "
         "signal 9 (Killed).\n")};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        job_words w = {0};
        strbuf on = {0};
        strbuf death = {0};
        words_take(&w, texts[i], strlen(texts[i]), &on);
        assert_false(words_death(&w, &death));
        assert_int_equal(death.len, 0);
        words_fini(&w);
        strbuf_fini(&on);
    }
}

static void set_slurm(const char *tasks)
{
    assert_int_equal(setenv("SLURM_STEP_NUM_TASKS", tasks, 1), 0);
}

static void test_slurm(void **state)
{
    (void)state;
    unsetenv("OMPI_COMM_WORLD_SIZE");
    unsetenv("PMIX_RANK");
    unsetenv("SLURM_STEP_NUM_TASKS");
    assert_int_equal(launch_check_slurm(), ST_OK);
    set_slurm("1");
    assert_int_equal(launch_check_slurm(), ST_OK);
    set_slurm("4");
    assert_int_equal(launch_check_slurm(), ST_CONFIG);
    assert_non_null(strstr(status_text(), "srun started 4 tasks"));
    setenv("PMIX_RANK", "0", 1); /* srun --mpi=pmix */
    assert_int_equal(launch_check_slurm(), ST_OK);
    unsetenv("PMIX_RANK");
    unsetenv("SLURM_STEP_NUM_TASKS");
}

/* Cores of a rank: faked masks. */
static void test_threads(void **state)
{
    (void)state;
    static const struct {
        binding b; /* ranks, threads, usable, together, online */
        int threads;
    } cases[] = {
        {{2, 0, 6, 6, 8}, 3},  /* a container's six cores, for both        */
        {{4, 0, 6, 6, 8}, 1},  /* and for four                             */
        {{8, 0, 6, 6, 8}, 1},  /* more ranks than cores                    */
        {{1, 0, 6, 6, 8}, 6},  /* alone in it                              */
        {{2, 0, 8, 8, 8}, 4},  /* not bound                                */
        {{2, 0, 1, 2, 8}, 1},  /* mpirun --bind-to core                    */
        {{2, 0, 4, 8, 8}, 4},  /* --bind-to socket                         */
        {{4, 0, 8, 16, 16}, 4} /* two ranks to a socket                    */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(binding_share(&cases[i].b), cases[i].threads);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines), cmocka_unit_test(test_said),
        cmocka_unit_test(test_no_death), cmocka_unit_test(test_slurm),
        cmocka_unit_test(test_threads)};
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
