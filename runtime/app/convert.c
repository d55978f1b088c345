#include <inttypes.h>
#include <stdio.h>

#include "runtime/app/commands.h"
#include "runtime/base/log.h"
#include "runtime/base/opt.h"
#include "runtime/base/stop.h"
#include "runtime/base/text.h"
#include "runtime/io/filelist.h"
#include "runtime/results/convert.h"

enum { TO_CKPT, TO_HF };

typedef struct convert_args {
    const char *out;
    int to;
    int64_t shard_size;
} convert_args;

static const char *const targets[] = {"ckpt", "hf", NULL};

static const opt_row rows[] = {
    OPT_STR(convert_args, out, "out", .letter = 'o', .value = "PATH",
            .help = "checkpoint or folder to write"),
    OPT_CHOICE(convert_args, to, "to", targets, .def = "ckpt",
               .help = "what to write: a checkpoint, a Hugging Face folder"),
    /* Hugging Face's own default; a file below a page is of no use. */
    OPT_SIZE(convert_args, shard_size, "shard-size", .def = "5GB", .min = 4096,
             .max = 1e15,
             .help = "most bytes of tensors in a file of a folder"),
};

const opt_command convert_command = {
    .name = "convert",
    .usage = "DIR -o CKPT.h5 | CKPT.h5 --to hf -o DIR",
    .about = "Turns a Hugging Face folder (config.json and safetensors, in "
             "shards or not) into a\ncheckpoint of weights for train --init; "
             "or any checkpoint into a folder that\ntransformers loads.",
    .example = "weft convert gpt-neo-125m-folder -o neo.h5\n"
               "weft train gpt-neo-125m --data book.txt --init neo.h5 "
               "--save mine.h5\n"
               "weft convert mine.h5 --to hf -o mine",
    .see = "models, train",
    .min_args = 1,
    .max_args = 1,
    OPT_ROWS(rows),
};

/* "124 tensors, 124,439,808 parameters" and how exact they are. */
static void say(const convert_args *a, const convert_summary *said)
{
    char files[48] = "";

    if (said->shards > 1) {
        (void)snprintf(files, sizeof(files), " in %" PRId64 " files",
                       said->shards);
    }
    log_out("wrote %s: %" PRId64 " tensors, %" PRId64 " parameters%s\n", a->out,
            said->tensors, said->parameters, a->to == TO_HF ? files : "");
    if (said->widened > 0) {
        log_out("%" PRId64 " tensors of 16 bits became float32, exactly\n",
                said->widened);
    }
    if (said->rounded > 0) {
        log_out("%" PRId64 " tensors of 64 bits were rounded to float32\n",
                said->rounded);
    }
}

static status check_apart(const char *from, const char *out)
{
    filelist l = {0};

    filelist_output(&l, "--out", out);
    filelist_folder(&l, "the input", from);
    const status st = filelist_check(&l, "convert");
    filelist_fini(&l);
    return st;
}

static status convert(const opt_parsed *parsed, const convert_args *a)
{
    const char *from = opt_arg(parsed, 0);
    convert_summary said;

    REQUIRE(a->out != NULL, ST_USAGE, "convert: -o %s is missing",
            a->to == TO_HF ? "DIR" : "CKPT.h5");
    TRY(check_apart(from, a->out));
    stop_catch();
    if (a->to == TO_HF) {
        REQUIRE(!text_is_dir(from), ST_USAGE,
                "%s: is a folder, --to hf takes a checkpoint; leave --to hf "
                "out to read a folder",
                from);
        TRY(convert_to_hf(from, a->out, a->shard_size, &said));
    } else {
        REQUIRE(!opt_given(parsed, "shard-size"), ST_USAGE,
                "convert: --shard-size is for --to hf, a checkpoint is one "
                "file");
        REQUIRE(text_is_dir(from) || !text_ends(from, ".h5"), ST_USAGE,
                "%s: is no folder; to make a Hugging Face folder of a "
                "checkpoint add --to hf",
                from);
        TRY(convert_from_hf(from, a->out, &said));
    }
    say(a, &said);
    return ST_OK;
}

status command_convert(int argc, const char *const *argv)
{
    convert_args a;
    opt_parsed *parsed = NULL;
    TRY(opt_parse(&convert_command, argc, argv, &a, sizeof(a), &parsed));
    status st = ST_OK;
    if (!command_helped(&convert_command, parsed)) {
        st = convert(parsed, &a);
    }
    opt_destroy(parsed);
    return st;
}
