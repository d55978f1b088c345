#include "runtime/app/commands.h"

#include <string.h>

#include "benchmarks/run_args.h"

#define TRAIN "Train and compare"
#define LOOK  "Look and measure"
#define FILES "Files"
#define HELP  "Help"

const command commands[] = {
    {"train", "train a model, streamed or by a plan", command_train, true,
     TRAIN, &train_command, false},
    {"compare", "train the same model several ways, side by side",
     command_compare, true, TRAIN, &compare_command, false},
    {"sample", "write text with the weights of a checkpoint", command_sample,
     false, TRAIN, &sample_command, true},
    {"report", "draw results on one page, or as a trace for Perfetto",
     command_report, false, LOOK, &report_command, false},
    {"show", "look inside a model, plan, checkpoint, results or data",
     command_show, false, LOOK, &show_command, true},
    {"bench", "figures that claims rest on, as ratios in one run",
     command_bench, false, LOOK, &bench_command, false},
    {"project", "predict a step on a described machine", command_project, false,
     LOOK, &project_command, true},
    {"calibrate", "measure this machine, for predictions", command_calibrate,
     true, LOOK, &calibrate_command, false},
    {"doctor", "check this machine: cores, memory, disk, MPI, libraries",
     command_doctor, true, LOOK, &doctor_command, false},
    {"convert", "Hugging Face folders to checkpoints, and back",
     command_convert, false, FILES, &convert_command, false},
    {"tokenize", "turn texts into a file of token ids", command_tokenize, false,
     FILES, &tokenize_command, false},
    {"help", "explain a command or a topic", command_help, false, HELP,
     &help_command, true},
    {.name = NULL},
};

const command *command_find(const char *name)
{
    for (const command *c = commands; c->name != NULL; c++) {
        if (strcmp(c->name, name) == 0) {
            return c;
        }
    }
    return NULL;
}
