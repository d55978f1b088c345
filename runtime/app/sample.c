/*
 * weft sample. The prompt and what follows go to stdout as they come, nothing
 * else does. Once the context is full, its older half is forgotten.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/app/commands.h"
#include "runtime/app/launch.h"
#include "runtime/app/pick.h"
#include "runtime/app/sample_text.h"
#include "runtime/base/clock.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/base/stop.h"
#include "runtime/base/units.h"
#include "ws/infer.h"

typedef struct sample_args {
    const char *prompt, *prompt_file;
    const char *tokenizer, *eot_token;
    int64_t tokens;
    double temperature;
    int64_t top_k;
    double top_p;
    int64_t seed;
    int64_t context;
    int64_t device_memory;
    int64_t threads;
} sample_args;

#define A sample_args

static const opt_row rows[] = {
    OPT_STR(
        A, prompt, "prompt", .letter = 'p', .value = "TEXT",
        .help =
            "what the text begins with; none: a BPE's end of text, or a new "
            "line"),
    OPT_STR(A, prompt_file, "prompt-file", .value = "FILE",
            .help = "the same, from a file"),
    OPT_I64(A, tokens, "tokens", .letter = 'n', .value = "N", .def = "200",
            .min = 1, .max = 1e9, .help = "to write after the prompt"),
    OPT_F64(A, temperature, "temperature", .value = "X", .def = "0.8", .min = 0,
            .max = 100,
            .help = "below 1: likely tokens more often; 0: always the "
                    "likeliest"),
    OPT_I64(A, top_k, "top-k", .value = "N", .def = "0", .min = 0, .max = 1e9,
            .help = "only the N likeliest tokens; 0: all"),
    OPT_F64(A, top_p, "top-p", .value = "X", .def = "1", .min = 1e-6, .max = 1,
            .help = "only the likeliest that together have probability X"),
    OPT_I64(A, seed, "seed", .value = "N", .def = "1", .min = 0, .max = 9e18,
            .help = "of the choices; the same seed, the same text"),
    OPT_STR(A, tokenizer, "tokenizer", .value = "bytes|FILE",
            .help = "what the text was tokenized with; default: bytes, if the "
                    "vocabulary is theirs"),
    OPT_STR(A, eot_token, "eot-token", .value = "TEXT",
            .help = "token that is the end of text; default: <|endoftext|>"),
    OPT_I64(A, context, "context", .value = "N", .def = "0", .min = 0,
            .max = 1e6, .unit = "tokens",
            .help = "seen at once; 0: --seq of the run, or the model's "
                    "positions"),
    OPT_SIZE(A, device_memory, "device-memory", .value = "SIZE", .def = "0",
             .help = "hard limit of the device's memory; 0: what is needed"),
    OPT_I64(A, threads, "threads", .value = "N", .def = "0", .min = 0,
            .max = 1024, .help = "0: all cores"),
};

const opt_command sample_command = {
    .name = "sample",
    .usage = "CKPT.h5 [options]",
    .about = "Writes text with the weights of a checkpoint, which stream past "
             "the device as in\ntraining. Text goes to standard output.",
    .example = "weft sample a.h5 --prompt God --tokens 300\n"
               "weft sample a.h5 --temperature 0 --prompt-file start.txt\n"
               "weft sample b.h5 --tokenizer tokenizer.json --top-p 0.9",
    .see = "train, tokenize",
    .min_args = 1,
    .max_args = 1,
    OPT_ROWS(rows),
};

/* A text in the making. */
typedef struct writing {
    const sample_args *a;
    infer *m;
    sample_text text;
    pick_rule rule;
    pick_item *work;
    int32_t vocab;   /* ids that may be chosen                             */
    int32_t *window; /* ids that are seen; room for one beyond the context */
    int64_t n;
    int64_t written;
} writing;

static status check_options(const sample_args *a, const opt_parsed *parsed)
{
    static const char *const random[] = {"top-k", "top-p", "seed"};
    for (int i = 0; a->temperature <= 0 && i < 3; i++) {
        REQUIRE(!opt_given(parsed, random[i]), ST_USAGE,
                "sample: --temperature 0 always takes the likeliest token, "
                "--%s does nothing; leave one of them out",
                random[i]);
    }
    REQUIRE(a->prompt == NULL || a->prompt_file == NULL, ST_USAGE,
            "sample: give --prompt or --prompt-file, not both");
    REQUIRE(launch_ranks() <= 1, ST_USAGE,
            "sample: is one process; leave mpirun out");
    return ST_OK;
}

/* --- writing -------------------------------------------------------------- */

/* The window holds at most the context: where it is full its newer half, and
 * the new token behind it, stay. */
static void remember(writing *w, int32_t id)
{
    int64_t most = infer_context(w->m);
    if (w->n == most) {
        int64_t keep = most / 2;
        memmove(w->window, w->window + w->n - keep,
                (size_t)keep * sizeof(int32_t));
        w->n = keep;
    }
    w->window[w->n++] = id;
}

static status write_on(writing *w)
{
    while (w->written < w->a->tokens && !stop_asked()) {
        const float *logits = NULL;
        int32_t id = 0;
        TRY(infer_logits(w->m, w->window, w->n, &logits));
        TRY(pick_token(&w->rule, logits, w->vocab, w->written, w->work, &id));
        w->written++;
        if (id == w->text.end) {
            return ST_OK;
        }
        TRY(sample_text_print(&w->text, id));
        remember(w, id);
    }
    REQUIRE(w->written == w->a->tokens, ST_SIGNAL,
            "stopped by a signal after %lld tokens", (long long)w->written);
    return ST_OK;
}

/* The prompt, or what stands for none, into the window and onto stdout. */
static status begin(writing *w, const int32_t *ids, int64_t n)
{
    int64_t most = infer_context(w->m);
    REQUIRE(n <= most, ST_CONFIG,
            "the prompt has %lld tokens, %lld are seen at once; shorten it, "
            "or raise --context, at most %d",
            (long long)n, (long long)most, infer_arch(w->m)->positions);
    for (int64_t i = 0; i < n; i++) {
        w->window[w->n++] = ids[i];
    }
    if (n == 0) {
        w->window[w->n++] = w->text.start;
    }
    for (int64_t i = 0; i < w->n; i++) {
        REQUIRE(w->window[i] < w->vocab, ST_CONFIG,
                "the prompt has token %d, the vocabulary of %s is %d",
                w->window[i], infer_arch(w->m)->name, infer_arch(w->m)->V);
    }
    for (int64_t i = 0; i < n; i++) {
        TRY(sample_text_print(&w->text, ids[i]));
    }
    return ST_OK;
}

static void say_rate(const writing *w, double seconds)
{
    if (w->text.in_line && isatty(STDOUT_FILENO) == 1) {
        (void)putchar('\n');
    }
    if (log_has_progress()) {
        log_info("%lld tokens in %s, %s tokens/s", (long long)w->written,
                 units_seconds(seconds).s,
                 units_count((double)w->written / seconds).s);
    }
}

static status write_text(writing *w, const char *prompt, size_t len)
{
    const arch *a = infer_arch(w->m);
    int32_t *ids = NULL;
    int64_t n = 0;
    w->vocab = a->V < w->text.vocab ? a->V : w->text.vocab;
    TRY(MEM_NEW(&w->work, w->vocab, "sample"));
    TRY(MEM_NEW(&w->window, infer_context(w->m) + 1, "sample"));
    TRY(sample_text_encode(&w->text, prompt, len, &ids, &n));
    status st = begin(w, ids, n);
    mem_free(ids);
    TRY(st);
    int64_t from = clock_wall_ns();
    st = write_on(w);
    say_rate(w, (double)(clock_wall_ns() - from) * 1e-9);
    return st;
}

/* --- the command ---------------------------------------------------------- */

static status with_model(const sample_args *a, const char *ckpt, comm *world,
                         const char *prompt, size_t len)
{
    writing w = {.a = a,
                 .rule = {.temperature = a->temperature,
                          .top_k = a->top_k,
                          .top_p = a->top_p,
                          .seed = (uint64_t)a->seed}};
    infer_options o = {.context = a->context,
                       .device_memory = a->device_memory,
                       .threads = (int)a->threads};
    TRY(infer_open(ckpt, &o, world, &w.m));
    status st = sample_text_open(a->tokenizer, a->eot_token, infer_arch(w.m)->V,
                                 &w.text);
    if (st == ST_OK) {
        st = write_text(&w, prompt, len);
        sample_text_close(&w.text);
    }
    mem_free(w.work);
    mem_free(w.window);
    infer_close(w.m);
    return st;
}

enum { PROMPT_BYTES_MAX = 16 << 20 };

static status run(const sample_args *a, const char *ckpt)
{
    char *file = NULL;
    comm *world = NULL;
    const char *prompt = a->prompt != NULL ? a->prompt : "";
    size_t len = strlen(prompt);
    if (a->prompt_file != NULL) {
        TRY(text_read_file(a->prompt_file, PROMPT_BYTES_MAX, &file, &len));
        prompt = file;
    }
    stop_catch();
    status st = comm_init(&world);
    if (st == ST_OK) {
        st = with_model(a, ckpt, world, prompt, len);
        comm_fini(world);
    }
    mem_free(file);
    return st;
}

status command_sample(int argc, const char *const *argv)
{
    sample_args a;
    opt_parsed *parsed = NULL;
    TRY(opt_parse(&sample_command, argc, argv, &a, sizeof(a), &parsed));
    status st = ST_OK;
    if (!command_helped(&sample_command, parsed)) {
        st = check_options(&a, parsed);
        if (st == ST_OK) {
            st = run(&a, opt_arg(parsed, 0));
        }
    }
    opt_destroy(parsed);
    return st;
}
