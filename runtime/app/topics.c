/*
 * Topics of the help. What a table elsewhere knows (keys of an experiment and
 * of a plan, exit codes, models) is taken from there; only what the table
 * cannot say is written here, and ASSERTed to be complete.
 */
#include <string.h>

#include "benchmarks/experiment.h"
#include "partition/plan.h"
#include "runtime/app/help.h"
#include "runtime/base/shelf.h"

/* --- plans ---------------------------------------------------------------- */

static const struct {
    const char *key, *about;
} plan_about[] = {
    {"data", "parts of the batch, each on devices of its own (1)"},
    {"pipe", "stages, each with a part of the layers (1)"},
    {"stages", "layers of each stage, [3, 5]; in place of pipe (even)"},
    {"tensor", "parts of every matrix (1)"},
    {"micro_batch", "sequences that a device takes at once (chosen)"},
    {"schedule", "order of micro-batches in the stages: gpipe, 1f1b (gpipe)"},
    {"recompute", "activations: none, or full to make them again (none)"},
};

static const char *about_key(const char *key)
{
    for (size_t i = 0; i < sizeof(plan_about) / sizeof(plan_about[0]); i++) {
        if (strcmp(plan_about[i].key, key) == 0) {
            return plan_about[i].about;
        }
    }
    return "";
}

static void write_plans(strbuf *b)
{
    strbuf_add(b,
               "A plan says how a model is cut over devices, one MPI rank "
               "each. Shorthand has\nthe degrees, any of them in any order, "
               "and mb for the micro-batch:\n\n"
               "  dp2          2 ranks, each with half of the batch\n"
               "  tp4          4 ranks, each with a quarter of every matrix\n"
               "  dp2.tp2.pp2  8 ranks\n"
               "  pp4.mb1.1f1b 4 stages, one sequence at a time, 1F1B\n"
               "  dp1          one rank that holds everything\n\n"
               "A file is given by its path, or by its name where it is in "
               "configs/plans\n(weft show uneven.1f1b). It has these keys, all "
               "optional; the default is in\n"
               "brackets:\n\n");
    for (int i = 0; plan_keys[i] != NULL; i++) {
        strbuf_printf(b, "  %-12s %s\n", plan_keys[i], about_key(plan_keys[i]));
    }
    strbuf_add(b,
               "\n  {\"data\": 2, \"tensor\": 2, \"recompute\": \"full\"}\n\n"
               "A plan that cannot run is refused with every rule it breaks "
               "and the nearest\nplan that works. Without a plan a model is "
               "streamed. See what a plan means:\n\n"
               "  weft show dp2.tp2 --model gpt-neo-125m\n");
}

/* --- experiments ---------------------------------------------------------- */

static void write_keys(strbuf *b, const char *const *keys)
{
    size_t at = 1;
    strbuf_add(b, " ");
    for (int i = 0; keys[i] != NULL; i++) {
        size_t n = strlen(keys[i]) + 1;
        if (at + n > 78) {
            strbuf_add(b, "\n ");
            at = 1;
        }
        strbuf_printf(b, " %s", keys[i]);
        at += n;
    }
    strbuf_add(b, "\n");
}

static void write_experiments(strbuf *b)
{
    strbuf_add(
        b, "An experiment is what weft compare runs: every model by every "
           "set-up. It is\ngiven by its path, or by its name where it is in "
           "configs/experiments (weft\ncompare demo --data book.txt, which "
           "takes another text than it names).\n\n"
           "  {\"models\": [\"gpt-neo-mini\", \"gpt-j-mini\"],\n"
           "   \"data\": \"book.txt\",\n"
           "   \"common\": {\"steps\": 20, \"batch\": 8, \"seq\": 48},\n"
           "   \"setups\": [{\"plan\": \"dp1\"},\n"
           "              {\"device_memory\": \"state/8\"},\n"
           "              {\"name\": \"four\", \"plan\": "
           "\"tp2.pp2\"}]}\n\n"
           "Keys are options of weft train with _ for -. Those that make "
           "a set-up stand in\nan object of \"setups\", or in "
           "\"common\" as a default for all:\n\n");
    write_keys(b, experiment_setup_keys);
    strbuf_add(b, "\nThe store and its link are of set-ups without a plan: in "
                  "\"common\" they are for\nthose alone.\n");
    strbuf_add(b, "\nThose that must be the same for all stand in "
                  "\"common\":\n\n");
    write_keys(b, experiment_run_keys);
    strbuf_add(b,
               "\nA set-up's \"name\" is its plan, or streamed, unless given. "
               "\"state/8\" is an\neighth of the model's state (16 bytes a "
               "parameter). All are compared with the\nfirst set-up of plan "
               "dp1, bit for bit; there being none, one named judge is\n"
               "added. Fast sums, store null and other kernels than the "
               "judge's promise no equal\nbits: how far they are off is "
               "shown.\n\nFiles that it names are looked for in the current "
               "folder, not in its own.\n");
}

/* --- models --------------------------------------------------------------- */

static void write_models(strbuf *b)
{
    char **names = NULL;
    strbuf_add(b, "Models that have a name; a config.json or its folder will "
                  "do as well. Look at\none with weft show NAME.\n\n");
    if (shelf_list("models", &names) == ST_OK) {
        for (int i = 0; names[i] != NULL; i++) {
            strbuf_printf(b, "  %s\n", names[i]);
        }
    }
    shelf_list_free(names);
}

/* --- exit codes ----------------------------------------------------------- */

/* What to do about it, where the message alone does not say. */
static const char *what_to_do(int code)
{
    switch (code) {
    case ST_PEER:
        return "; start again, with --resume";
    case ST_SIGNAL:
        return "; train has saved: go on with --resume";
    case ST_INTERNAL:
        return "; a fault of Weft, please report it";
    case ST_SYSTEM:
        return ": memory, threads, MPI; weft doctor may know why";
    default:
        return "";
    }
}

static void write_exit_codes(strbuf *b)
{
    strbuf_add(b, "Weft ends with 0 only if all was done. Anything else comes "
                  "with one line on\nstandard error.\n\n");
    for (int code = 0; code < 128; code++) {
        if (status_known(code)) {
            strbuf_printf(b, "  %3d  %s%s\n", code, status_name((status)code),
                          what_to_do(code));
        }
    }
    strbuf_add(b, "\nA rank that was killed ends a job that Weft started with "
                  "75; your own\nmpirun ends with 128 and the number of the "
                  "signal.\n");
}

const help_topic help_topics[] = {
    {"plans", "how to write a plan", write_plans, true},
    {"experiments", "what weft compare reads", write_experiments, true},
    {"models", "models that have a name", write_models, false},
    {"exit-codes", "what the program ends with", write_exit_codes, true},
    {.name = NULL},
};
