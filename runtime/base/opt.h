/*
 * Command options from a table: one row an option, and the row feeds the
 * command line, the help and the copy in the results. The only user of popt.h.
 *
 *   typedef struct run_args {
 *       int64_t steps;
 *       int64_t device_memory;
 *       const char *out;
 *       bool resume;
 *       int sums;
 *   } run_args;
 *
 *   static const char *const sums[] = {"exact", "fast", NULL};
 *   static const opt_row rows[] = {
 *       OPT_I64(run_args, steps, "steps", .value = "N", .def = "20",
 *               .min = 1, .max = 1e9, .help = "optimizer steps"),
 *       OPT_SIZE(run_args, device_memory, "device-memory", .def = "64MiB",
 *                .help = "bytes of the device's arena"),
 *       OPT_STR(run_args, out, "out", .value = "FILE", .def = "run.h5",
 *               .help = "results file", .group = "Output"),
 *       OPT_FLAG(run_args, resume, "resume", .help = "continue"),
 *       OPT_CHOICE(run_args, sums, "sums", sums, .def = "exact",
 *                  .help = "order of sums"),
 *   };
 *
 * opt_parse fills the struct: first the defaults (zero, NULL where a row has
 * none; a default may lie outside the range, to mean "off"), then what was
 * given; of an option given twice the last counts, unless the command asks for
 * all of them (opt_texts). It knows which options were
 * given, because their number is a set-up measure. The environment is never
 * read. Errors are ST_USAGE, one line, with the nearest option. Local, main
 * thread.
 */
#ifndef WEFT_BASE_OPT_H
#define WEFT_BASE_OPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/json.h"
#include "runtime/base/status.h"
#include "runtime/base/text.h"

typedef enum opt_kind {
    OPT_KIND_FLAG,   /* bool; takes no value                  */
    OPT_KIND_I64,    /* int64_t; k, M as in units_parse_count */
    OPT_KIND_F64,    /* double                                */
    OPT_KIND_STR,    /* const char *                          */
    OPT_KIND_SIZE,   /* int64_t bytes                         */
    OPT_KIND_RATE,   /* double bytes per second               */
    OPT_KIND_TIME,   /* double seconds                        */
    OPT_KIND_CHOICE, /* int, index in choices                 */
} opt_kind;

typedef struct opt_row {
    const char *name;           /* "device-memory"                           */
    opt_kind kind;              /*                                           */
    size_t offset;              /* of the field in the struct                */
    char letter;                /* short form, or 0                          */
    const char *value;          /* name of the value in the help, "N"        */
    const char *unit;           /* "sequences"; NULL: none, or kind's own    */
    const char *def;            /* default as a person would type it         */
    double min;                 /* allowed range of numbers; min = max = 0:  */
    double max;                 /* any                                       */
    const char *const *choices; /* NULL-terminated, OPT_KIND_CHOICE only     */
    const char *help;           /* one short phrase                          */
    const char *group;          /* heading in the help; NULL: that of before */
    bool hidden;                /* ours, not a person's: in no help and hint */
} opt_row;

/* The _Generic makes a field of the wrong type a compile error. */
#define OPT_ROW_(knd, type, strct, field, nm, ...)                             \
    {                                                                          \
        .name = (nm), .kind = (knd),                                           \
        .offset = _Generic(((strct *)0)->field, type                           \
                           : offsetof(strct, field)),                          \
        __VA_ARGS__                                                            \
    }
#define OPT_FLAG(strct, field, name, ...)                                      \
    OPT_ROW_(OPT_KIND_FLAG, bool, strct, field, name, __VA_ARGS__)
#define OPT_I64(strct, field, name, ...)                                       \
    OPT_ROW_(OPT_KIND_I64, int64_t, strct, field, name, __VA_ARGS__)
#define OPT_F64(strct, field, name, ...)                                       \
    OPT_ROW_(OPT_KIND_F64, double, strct, field, name, __VA_ARGS__)
#define OPT_STR(strct, field, name, ...)                                       \
    OPT_ROW_(OPT_KIND_STR, const char *, strct, field, name, __VA_ARGS__)
#define OPT_SIZE(strct, field, name, ...)                                      \
    OPT_ROW_(OPT_KIND_SIZE, int64_t, strct, field, name, __VA_ARGS__)
#define OPT_RATE(strct, field, name, ...)                                      \
    OPT_ROW_(OPT_KIND_RATE, double, strct, field, name, __VA_ARGS__)
#define OPT_TIME(strct, field, name, ...)                                      \
    OPT_ROW_(OPT_KIND_TIME, double, strct, field, name, __VA_ARGS__)
#define OPT_CHOICE(strct, field, name, list, ...)                              \
    OPT_ROW_(OPT_KIND_CHOICE, int, strct, field, name, .choices = (list),      \
             __VA_ARGS__)

#define OPT_ROWS(array) .rows = (array), .nrows = sizeof(array) / sizeof(*array)

/* One command: {.name = "train", .usage = "MODEL [options]", ...,
 * OPT_ROWS(rows)}. */
typedef struct opt_command {
    const char *name;    /* "train"                                       */
    const char *usage;   /* what follows "weft train" in the usage line   */
    const char *about;   /* one paragraph; line ends do not matter        */
    const char *example; /* whole command lines, newline between them     */
    const char *see;     /* words after "weft help": "plans, show"        */
    int min_args;        /* positional arguments                          */
    int max_args;
    const opt_row *rows;
    size_t nrows;
    /* Names of those rows that it takes, NULL-terminated, where the table is
     * another command's: the others only have their defaults. NULL: all. */
    const char *const *only;
} opt_command;

typedef struct opt_parsed opt_parsed;

/*
 * Parses argv[1] .. argv[argc - 1] (argv[0] is the command's name) into
 * `fields`, a struct of the type the rows were made for. With --help or -h
 * nothing is checked and opt_wants_help is true. Strings in fields are lent
 * until opt_destroy. Owns: *out, opt_destroy. On failure fields is unchanged.
 */
MUST_USE status opt_parse(const opt_command *cmd, int argc,
                          const char *const *argv, void *fields,
                          size_t fields_bytes, opt_parsed **out);
/* NULL is fine. */
void opt_destroy(opt_parsed *p);

bool opt_wants_help(const opt_parsed *p);
/* True if the option (without dashes) was on the command line. */
bool opt_given(const opt_parsed *p, const char *name);
/* What an option that takes a value was given, each time; NULL-terminated, NULL
 * where it was not. Lent until opt_destroy. */
const char *const *opt_texts(const opt_parsed *p, const char *name);
/* How many different options were. */
int opt_given_count(const opt_parsed *p);
/* Positional arguments: how many, and number i (NULL beyond the last). */
int opt_args_count(const opt_parsed *p);
const char *opt_arg(const opt_parsed *p, int i);

/* False for rows that are hidden, or not the command's own (`only`). */
bool opt_is_shown(const opt_command *cmd, const opt_row *row);

/* Usage, options with units, defaults and ranges, examples and where to read
 * on, appended to b. */
void opt_help(const opt_command *cmd, strbuf *b);

/* The parts of it that other forms of help are made of: "-o, --out FILE", and
 * all that is known of a row: phrase, choices, unit, range, default. */
void opt_add_head(strbuf *b, const opt_row *row);
void opt_add_details(strbuf *b, const opt_row *row);
/* The value in fields: numbers in base units, nothing for an absent string. */
void opt_add_value(strbuf *b, const opt_row *row, const void *fields);

/*
 * Settings from a file: each member of obj is an option by its name, with '_'
 * for '-', its value as a number, string, or true / false. The command line
 * wins: what p says was given is checked but left alone (p may be NULL).
 * Members in the NULL-terminated list `skip` (may be NULL) are the caller's.
 * Unknown keys are errors. Strings in fields are lent until json_close.
 */
MUST_USE status opt_read_json(const opt_command *cmd, json_val obj,
                              const char *const *skip, const opt_parsed *p,
                              void *fields);

/* The effective value of every option as members of the open object: numbers
 * in base units, choices by name, absent strings as null, '_' for '-' in the
 * names. */
void opt_write_json(const opt_command *cmd, const void *fields, json_writer *w);

#endif
