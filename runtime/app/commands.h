/*
 * The commands of weft, one file each. A command parses its own options,
 * returns a status, and has printed nothing about an error: main does.
 */
#ifndef WEFT_APP_COMMANDS_H
#define WEFT_APP_COMMANDS_H

#include <stdbool.h>

#include "runtime/base/opt.h"
#include "runtime/base/status.h"

typedef struct command {
    const char *name;
    const char *about;
    status (*run)(int argc, const char *const *argv);
    bool on_ranks; /* else, under mpirun, rank 0 alone runs it             */
} command;

status command_train(int argc, const char *const *argv);
status command_compare(int argc, const char *const *argv);
status command_show(int argc, const char *const *argv);
status command_convert(int argc, const char *const *argv);
status command_tokenize(int argc, const char *const *argv);
status command_sample(int argc, const char *const *argv);
status command_bench(int argc, const char *const *argv);

/* Prints the help of a command if it was asked for; true if so. */
bool command_helped(const opt_command *cmd, const opt_parsed *parsed);

#endif
