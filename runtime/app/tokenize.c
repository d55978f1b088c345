/*
 * weft tokenize: texts to a file of token ids, which train --data reads.
 */
#include <stdio.h>
#include <string.h>

#include "runtime/app/commands.h"
#include "runtime/base/clock.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/base/stop.h"
#include "runtime/base/text.h"
#include "runtime/base/units.h"
#include "runtime/io/filelist.h"
#include "runtime/io/foreign.h"
#include "runtime/io/mapfile.h"
#include "runtime/io/newfile.h"
#include "runtime/io/tokens_write.h"
#include "runtime/text/tokenizer.h"
#include "runtime/text/train.h"

typedef struct tokenize_args {
    const char *out;
    const char *tokenizer;
    int64_t train;
    const char *save;
    int eot;
    const char *eot_token;
    int format;
} tokenize_args;

enum { EOT_AUTO, EOT_NONE, EOT_BEFORE, EOT_AFTER };

static const char *const eots[] = {"auto", "none", "before", "after", NULL};
static const char *const formats[] = {"llmc", "nanogpt", NULL};

static const opt_row rows[] = {
    OPT_STR(tokenize_args, out, "out", .letter = 'o', .value = "FILE.bin",
            .help = "token file to write", .group = "Output"),
    OPT_CHOICE(tokenize_args, format, "format", formats, .def = "llmc",
               .help = "header with a count, or bare uint16"),
    OPT_CHOICE(tokenize_args, eot, "eot", eots, .def = "auto",
               .help = "end of text at each text; auto: after, bytes: none"),
    OPT_STR(tokenize_args, eot_token, "eot-token", .value = "TEXT",
            .help = "token that is the end of text; default: <|endoftext|>"),
    OPT_STR(tokenize_args, tokenizer, "tokenizer", .value = "FILE",
            .help = "tokenizer.json, vocab.bpe, merges.txt, or \"bytes\"",
            .group = "Tokenizer"),
    OPT_I64(tokenize_args, train, "train", .value = "V", .def = "0",
            .min = BPE_TRAIN_LEAST, .max = BPE_TRAIN_MOST, .unit = "tokens",
            .help = "train a BPE of V tokens on these texts"),
    OPT_STR(tokenize_args, save, "save-tokenizer", .value = "FILE",
            .help = "where the trained one goes (tokenizer.json)"),
};

const opt_command tokenize_command = {
    .name = "tokenize",
    .usage = "TEXT... -o FILE.bin [options]",
    .about = "Turns texts into a file of token ids for train --data. Each "
             "TEXT is a document. Ids are\nthose of Hugging Face's "
             "tokenizers: GPT-2, GPT-Neo, GPT-J, GPT-NeoX, or one trained "
             "here.",
    .example = "weft tokenize book.txt -o book.bin --train 1024 "
               "--save-tokenizer book.json\n"
               "weft train gpt-neo-mini --vocab 1024 --data book.bin\n"
               "weft tokenize a.txt b.txt -o ab.bin --tokenizer vocab.bpe",
    .see = "train, sample",
    .min_args = 1,
    .max_args = 100000,
    OPT_ROWS(rows),
};

typedef struct job {
    tokenize_args a;
    opt_parsed *parsed;
    tokenizer *t;
    newfile_claim out, saved;
    int64_t bytes; /* of all texts */
    double encode_s;
} job;

static status check_apart(const job *j)
{
    filelist l = {0};

    filelist_output(&l, "--out", j->a.out);
    filelist_output(&l, "--save-tokenizer", j->a.save);
    for (int i = 0; i < opt_args_count(j->parsed); i++) {
        filelist_input(&l, "the text", opt_arg(j->parsed, i));
    }
    if (j->a.tokenizer != NULL && text_path_exists(j->a.tokenizer)) {
        filelist_folder(&l, "--tokenizer", j->a.tokenizer);
    }
    const status st = filelist_check(&l, "tokenize");
    filelist_fini(&l);
    return st;
}

static status check_options(const job *j)
{
    const tokenize_args *a = &j->a;

    REQUIRE(a->out != NULL, ST_USAGE, "tokenize: -o FILE.bin is missing");
    REQUIRE(a->train == 0 || a->tokenizer == NULL, ST_USAGE,
            "tokenize: --train makes a tokenizer, --tokenizer names one; give "
            "one of them");
    REQUIRE(a->train == 0 || a->save != NULL, ST_USAGE,
            "tokenize: --train needs --save-tokenizer FILE; without it nobody "
            "could read the tokens");
    REQUIRE(a->train > 0 || a->save == NULL, ST_USAGE,
            "tokenize: --save-tokenizer is for --train V");
    REQUIRE(a->eot_token == NULL || a->tokenizer != NULL, ST_USAGE,
            "tokenize: --eot-token names a token of --tokenizer FILE; bytes "
            "and --train have their own");
    REQUIRE(a->eot_token == NULL || a->eot != EOT_NONE, ST_USAGE,
            "tokenize: with --eot none --eot-token does nothing; leave one of "
            "them out");
    return check_apart(j);
}

/* Both outputs are tried out now and kept for this process: training a
 * tokenizer takes minutes. */
static status claim_outputs(job *j)
{
    TRY(newfile_claim_take(j->a.out, 0, &j->out));
    return j->a.save != NULL ? newfile_claim_take(j->a.save, 0, &j->saved)
                             : ST_OK;
}

static status open_text(const char *path, mapfile *out)
{
    TRY(mapfile_open(path, out));
    const status st = foreign_refuse_for_text(out);
    if (st != ST_OK) {
        mapfile_close(out);
    }
    return st;
}

/* ---- the tokenizer ------------------------------------------------------- */

static status count_words(const job *j, bpe_trainer *trainer)
{
    for (int i = 0; i < opt_args_count(j->parsed); i++) {
        mapfile f = {0};
        TRY(open_text(opt_arg(j->parsed, i), &f));
        const status st = bpe_trainer_add(trainer, f.path, f.data, f.bytes);
        mapfile_close(&f);
        TRY(st);
    }
    return ST_OK;
}

static status train_tokenizer(job *j)
{
    const int64_t begin = clock_wall_ns();
    bpe_trainer *trainer = NULL;
    spec s = {0};

    TRY(bpe_trainer_create(&trainer));
    status st = count_words(j, trainer);
    if (st == ST_OK) {
        st = bpe_trainer_run(trainer, j->a.train, &s);
    }
    bpe_trainer_destroy(trainer);
    if (st == ST_OK) {
        st = tokenizer_make(&s, j->a.save, &j->t);
    }
    if (st == ST_OK) {
        st = spec_write(&s, j->a.save);
    }
    spec_fini(&s);
    TRY(st);
    log_out("wrote %s: %s tokens, trained in %s\n", j->a.save,
            units_int(tokenizer_vocab(j->t)).s,
            units_seconds((double)(clock_wall_ns() - begin) * 1e-9).s);
    if (tokenizer_vocab(j->t) < j->a.train) {
        log_warn("the texts give %s tokens only: no pair is left that stands "
                 "there twice",
                 units_int(tokenizer_vocab(j->t)).s);
    }
    return ST_OK;
}

static status get_tokenizer(job *j)
{
    if (j->a.train > 0) {
        return train_tokenizer(j);
    }
    TRY(tokenizer_open(j->a.tokenizer != NULL ? j->a.tokenizer : "bytes",
                       &j->t));
    return j->a.eot_token != NULL ? tokenizer_set_eot(j->t, j->a.eot_token)
                                  : ST_OK;
}

/* ---- the tokens ---------------------------------------------------------- */

static int eot_place(const job *j)
{
    if (j->a.eot != EOT_AUTO) {
        return j->a.eot;
    }
    return tokenizer_is_bytes(j->t) || tokenizer_eot(j->t) < 0 ? EOT_NONE
                                                               : EOT_AFTER;
}

static void warn_of_no_eot(const job *j)
{
    if (j->a.eot == EOT_AUTO && tokenizer_eot(j->t) < 0) {
        log_warn("%s: has no <|endoftext|>, nothing stands %s; "
                 "name its token for that with --eot-token, or say --eot none",
                 tokenizer_name(j->t),
                 opt_args_count(j->parsed) > 1 ? "between the texts"
                                               : "behind the text");
    }
}

/* Tokens that a model must know. */
static int64_t vocab_of(const job *j)
{
    const bool bytes_alone =
        tokenizer_is_bytes(j->t) && eot_place(j) == EOT_NONE;
    return tokenizer_vocab(j->t) - bytes_alone;
}

static status encode_text(job *j, encoder *e, const char *path,
                          tokens_writer *w)
{
    const int32_t eot = tokenizer_eot(j->t);
    const int place = eot_place(j);
    mapfile f = {0};

    TRY(open_text(path, &f));
    status st = place == EOT_BEFORE ? tokens_writer_add(w, &eot, 1) : ST_OK;
    if (st == ST_OK) {
        st = encoder_text(e, path, f.data, f.bytes, tokens_writer_add, w);
    }
    if (st == ST_OK && place == EOT_AFTER) {
        st = tokens_writer_add(w, &eot, 1);
    }
    if (st == ST_OK && text_ends(path, ".bin")) {
        /* Its bytes do not tell, its name may. */
        log_warn("%s: was taken for text; train --data takes a .bin for uint16 "
                 "tokens",
                 path);
    }
    j->bytes += f.bytes;
    mapfile_close(&f);
    return st;
}

static status encode_texts(job *j, tokens_writer *w)
{
    const int n = opt_args_count(j->parsed);
    const int64_t begin = clock_wall_ns();
    encoder *e = NULL;
    status st = ST_OK;

    TRY(encoder_create(j->t, &e));
    for (int i = 0; i < n && st == ST_OK; i++) {
        st = encode_text(j, e, opt_arg(j->parsed, i), w);
        log_progress("%d of %d texts", i + 1, n);
    }
    encoder_destroy(e);
    j->encode_s = (double)(clock_wall_ns() - begin) * 1e-9;
    return st;
}

static status write_tokens(job *j, int64_t *count, char kind[32])
{
    tokens_writer *w = NULL;

    REQUIRE(eot_place(j) == EOT_NONE || tokenizer_eot(j->t) >= 0, ST_CONFIG,
            "%s: has no <|endoftext|>; name another token with --eot-token, or "
            "take --eot none",
            tokenizer_name(j->t));
    warn_of_no_eot(j);
    TRY(tokens_writer_create(j->a.out, (tokens_format)j->a.format,
                             tokenizer_vocab(j->t), &w));
    const status st = encode_texts(j, w);
    if (st != ST_OK) {
        tokens_writer_abandon(w);
        return st;
    }
    *count = tokens_writer_count(w);
    snprintf(kind, 32, "%s", tokens_writer_kind(w));
    return tokens_writer_commit(w);
}

static status run(job *j)
{
    int64_t count = 0;
    char kind[32];

    TRY(check_options(j));
    stop_catch();
    TRY(claim_outputs(j));
    TRY(get_tokenizer(j));
    TRY(write_tokens(j, &count, kind));
    const int n = opt_args_count(j->parsed);
    log_out("wrote %s: %s tokens (%s) of %d text%s, %s bytes, %.2f bytes a "
            "token; %.1f MB/s\n",
            j->a.out, units_int(count).s, kind, n, n == 1 ? "" : "s",
            units_int(j->bytes).s, (double)j->bytes / (double)count,
            (double)j->bytes / j->encode_s * 1e-6);
    log_out("vocabulary: %lld; next: weft train MODEL --vocab %lld --data %s\n",
            (long long)vocab_of(j), (long long)vocab_of(j), j->a.out);
    return ST_OK;
}

status command_tokenize(int argc, const char *const *argv)
{
    job j = {0};

    TRY(opt_parse(&tokenize_command, argc, argv, &j.a, sizeof(j.a), &j.parsed));
    status st = ST_OK;
    if (!command_helped(&tokenize_command, j.parsed)) {
        st = run(&j);
    }
    tokenizer_close(j.t);
    newfile_claim_drop(&j.out);
    newfile_claim_drop(&j.saved);
    opt_destroy(j.parsed);
    return st;
}
