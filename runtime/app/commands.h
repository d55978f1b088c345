/*
 * The commands of weft, one file each. A command parses its own options,
 * returns a status, and has printed nothing about an error: main does.
 *
 * The table of commands is in commands.c. Its rows and the option tables that
 * they point to are all that `weft --help`, `weft help`, the man page and the
 * completion of the shell are made of.
 */
#ifndef WEFT_APP_COMMANDS_H
#define WEFT_APP_COMMANDS_H

#include <stdbool.h>

#include "runtime/base/opt.h"
#include "runtime/base/status.h"
#include "runtime/base/text.h"
#include "runtime/comm/comm.h"

typedef struct command {
    const char *name;
    const char *about; /* a phrase for the list                           */
    status (*run)(int argc, const char *const *argv);
    bool on_ranks;     /* else, under mpirun, rank 0 alone runs it        */
    const char *group; /* heading in the list                             */
    const opt_command *options;
    bool only_text; /* ends when nobody reads it; else it works on       */
} command;

/* Ends with a row without a name. */
extern const command commands[];
/* NULL if there is none of this name. */
const command *command_find(const char *name);

status command_train(int argc, const char *const *argv);
status command_compare(int argc, const char *const *argv);
status command_show(int argc, const char *const *argv);
status command_report(int argc, const char *const *argv);
status command_convert(int argc, const char *const *argv);
status command_tokenize(int argc, const char *const *argv);
status command_sample(int argc, const char *const *argv);
status command_bench(int argc, const char *const *argv);
status command_calibrate(int argc, const char *const *argv);
status command_project(int argc, const char *const *argv);
status command_doctor(int argc, const char *const *argv);
status command_help(int argc, const char *const *argv);

/* What command_train does, by the ranks of a world that is there. An error has
 * been printed when it returns. Collective over world. */
status train_in(comm *world, int argc, const char *const *argv);
/* Likewise, of command_compare. */
status compare_in(comm *world, int argc, const char *const *argv);

/* Those of train and project are in benchmarks/run_args.h. */
extern const opt_command report_command;
extern const opt_command sample_command;
extern const opt_command tokenize_command;
extern const opt_command compare_command;
extern const opt_command show_command;
extern const opt_command convert_command;
extern const opt_command bench_command;
extern const opt_command calibrate_command;
extern const opt_command doctor_command;
extern const opt_command help_command;

/* Prints the help of a command if it was asked for; true if so. */
bool command_helped(const opt_command *cmd, const opt_parsed *parsed);

#endif
