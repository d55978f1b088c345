#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "benchmarks/figures.h"
#include "benchmarks/ratio.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/results/comparison.h"

enum { SETUPS_MAX = 16 };

typedef struct tally {
    char name[COMPARISON_NAME_SIZE];
    double v[RATIO_MAX];
    int64_t n;
} tally;

static bool is_pipe(const char *name)
{
    return strncmp(name, "pp", 2) == 0;
}

/* Tokens a second, as if a pipeline had no bubble. */
static double rate_of(const comparison_row *row)
{
    return row->tokens_per_s / (is_pipe(row->name) ? 1 - row->bubble_share : 1);
}

static status add_round(const comparison_row *rows, int64_t n, tally *all)
{
    REQUIRE(n >= 2 && n <= SETUPS_MAX && strcmp(rows[0].name, "one") == 0,
            ST_CONFIG,
            "the experiment has %lld set-ups, allowed is 2 to %d, the first "
            "is called one",
            (long long)n, SETUPS_MAX);
    for (int64_t i = 1; i < n; i++) {
        bool ok = strcmp(rows[i].status, "ok") == 0 &&
                  strcmp(rows[i].agreement, "bitwise") == 0;
        REQUIRE(ok, ST_INTERNAL, "INVALID: set-up %s: %s %s", rows[i].name,
                rows[i].status, rows[i].reasons);
        REQUIRE(strcmp(rows[i].clock, rows[0].clock) == 0, ST_CONFIG,
                "set-up %s is timed by the %s clock, one by %s: ranks share "
                "cores here",
                rows[i].name, rows[i].clock, rows[0].clock);
        (void)snprintf(all[i].name, sizeof(all[i].name), "%s", rows[i].name);
        all[i].v[all[i].n++] = rate_of(&rows[i]) / rate_of(&rows[0]);
    }
    return ST_OK;
}

static status one_round(const char *path, const char *file,
                        compare_launch launch, tally *all)
{
    compare_config c = {.experiment = path,
                        .out = file,
                        .cmdline = "weft bench",
                        .launch = launch};
    comparison_row *rows = NULL;
    int64_t n = 0;
    TRY(compare_run(&c));
    TRY(comparison_read(file, &rows, &n));
    status st = add_round(rows, n, all);
    mem_free(rows);
    return st;
}

/* Data parallelism repeats the optimizer on every rank. */
static double goal_of(const char *name)
{
    return strncmp(name, "dp", 2) == 0 ? 0.80 : 0.85;
}

status figures_ranks(const char *path, int64_t rounds, compare_launch launch,
                     strbuf *out)
{
    char file[] = "/tmp/weft-bench-XXXXXX";
    tally all[SETUPS_MAX];
    memset(all, 0, sizeof(all));
    int fd = mkstemp(file);
    REQUIRE(fd >= 0, ST_CANTCREATE, "cannot make a file in /tmp");
    (void)close(fd);
    status st = ST_OK;
    for (int64_t i = 0; st == ST_OK && i < rounds; i++) {
        st = one_round(path, file, launch, all);
    }
    (void)unlink(file);
    for (int i = 1; st == ST_OK && i < SETUPS_MAX && all[i].n > 0; i++) {
        char what[128];
        (void)snprintf(what, sizeof(what), "%s%s against one rank", all[i].name,
                       is_pipe(all[i].name) ? ", bubble taken out," : "");
        ratio_line(out, what, ratio_of(all[i].v, all[i].n),
                   goal_of(all[i].name));
    }
    return st;
}
