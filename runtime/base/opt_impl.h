/*
 * Shared by the opt_*.c files; nobody else includes this.
 */
#ifndef WEFT_BASE_OPT_IMPL_H
#define WEFT_BASE_OPT_IMPL_H

#include "runtime/base/opt.h"

struct opt_parsed {
    const opt_command *cmd;
    char ***texts; /* by row: the texts given, NULL-terminated; or NULL */
    bool *given;   /* by row                                            */
    char **args;   /* positional arguments                              */
    int nargs;
    bool help;
};

/* Puts the value of `text` into the row's field. Lends: a string field points
 * to `text`. The error names the value alone; the caller knows the option.
 * The range counts only where `ranged`. */
MUST_USE status opt_set_field(const opt_row *row, const char *text, bool ranged,
                              void *fields);

/* "1 to 8", "64KiB or more"; nothing if any value is good. */
void opt_add_range(strbuf *b, const opt_row *row);

#endif
