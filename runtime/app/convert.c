#include "runtime/results/convert.h"

#include <stdio.h>
#include <string.h>

#include "runtime/app/commands.h"
#include "runtime/base/log.h"
#include "runtime/base/opt.h"

typedef struct convert_args {
    const char *out;
} convert_args;

static const opt_row rows[] = {
    OPT_STR(convert_args, out, "out", .letter = 'o', .value = "CKPT",
            .help = "checkpoint to write"),
};

static const opt_command convert_command = {
    .name = "convert",
    .usage = "DIR -o CKPT.h5",
    .about = "Turns a Hugging Face folder (config.json and safetensors, in "
             "shards or not) into a\ncheckpoint of weights, for train "
             "--init.",
    .example = "weft convert gpt-neo-125m-folder -o neo.h5\n"
               "weft train gpt-neo-125m --data book.txt --init neo.h5",
    .min_args = 1,
    .max_args = 1,
    OPT_ROWS(rows),
};

status command_convert(int argc, const char *const *argv)
{
    convert_args a;
    opt_parsed *parsed = NULL;
    TRY(opt_parse(&convert_command, argc, argv, &a, sizeof(a), &parsed));
    status st = ST_OK;
    if (command_helped(&convert_command, parsed)) {
        st = ST_OK;
    } else if (a.out == NULL) {
        st = FAIL(ST_USAGE, "convert: -o CKPT.h5 is missing");
    } else {
        st = convert_from_hf(opt_arg(parsed, 0), a.out);
        if (st == ST_OK) {
            log_out("wrote %s\n", a.out);
        }
    }
    opt_destroy(parsed);
    return st;
}
