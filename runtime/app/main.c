#include <stdio.h>
#include <string.h>

#include "runtime/app/commands.h"
#include "runtime/app/launch.h"
#include "runtime/base/log.h"
#include "runtime/base/text.h"

static const command commands[] = {
    {"train", "train a model, streamed or by a plan", command_train, true},
    {"compare", "train the same model several ways, side by side",
     command_compare, false},
    {"sample", "write text with the weights of a checkpoint", command_sample,
     false},
    {"show", "look inside a model, plan, checkpoint, results or data",
     command_show, false},
    {"convert", "Hugging Face folders to checkpoints, and back",
     command_convert, false},
    {"tokenize", "turn texts into a file of token ids", command_tokenize,
     false},
    {"bench", "figures that claims rest on, as ratios in one run",
     command_bench, false},
};
enum { COMMANDS = sizeof(commands) / sizeof(*commands) };

static void usage(void)
{
    printf("weft trains the same GPT streamed and partitioned, with the same "
           "bits, and measures both.\n\nusage: weft COMMAND [options]\n\n");
    for (int i = 0; i < COMMANDS; i++) {
        printf("  %-10s %s\n", commands[i].name, commands[i].about);
    }
    printf("\n  weft COMMAND --help shows its options and an example.\n\n"
           "example: weft compare configs/experiments/demo.json --out "
           "demo.h5\n");
}

static status dispatch(int argc, const char *const *argv)
{
    const char *names[COMMANDS + 1] = {NULL};
    const command *found = NULL;
    for (int i = 0; i < COMMANDS; i++) {
        names[i] = commands[i].name;
        found = strcmp(argv[1], names[i]) == 0 ? &commands[i] : found;
    }
    if (launch_rank() > 0 && (found == NULL || !found->on_ranks)) {
        return ST_OK;
    }
    if (found != NULL) {
        return found->run(argc - 1, argv + 1);
    }
    const char *near = text_nearest(argv[1], names);
    return FAIL(ST_USAGE, "there is no command '%s'%s%s; see weft --help",
                argv[1], near != NULL ? ", did you mean " : "",
                near != NULL ? near : "");
}

int main(int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], "--help") == 0 ||
        strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        usage();
        return argc < 2 ? ST_USAGE : ST_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        launch_print_version();
        return ST_OK;
    }
    launch_fix_environment(argv);
    log_init(launch_rank(), LOG_INFO);
    status st = dispatch(argc, (const char *const *)argv);
    if ((fflush(stdout) != 0 || ferror(stdout)) && st == ST_OK) {
        st = FAIL(ST_IO, "standard output cannot be written");
    }
    if (st != ST_OK) {
        log_error_line(st);
    }
    return (int)st;
}
