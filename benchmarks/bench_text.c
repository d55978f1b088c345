/*
 * Micro-benchmark of tokenizing: MB/s of one core, stage by stage.
 *
 *     bench_text [TEXT [TOKENIZER]]   default: the golden text, and its
 *                                     tokenizer in the style of GPT-2
 *
 * Each stage runs over the whole text (short ones are repeated up to 4 MB);
 * the median of five, in CPU time, because other jobs may share the core.
 * The target is 20 MB/s for "encode".
 */
#include <stdio.h>

#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/base/sort.h"
#include "runtime/base/text.h"
#include "runtime/text/merge.h"
#include "runtime/text/split.h"
#include "runtime/text/tokenizer_impl.h"
#include "runtime/text/utf8.h"

enum { LEAST_BYTES = 4000000, ROUNDS = 5 };

typedef struct bench {
    strbuf text;
    tokenizer *t;
    splitter *split;
    encoder *encoder;
    merger merge;
    int64_t ids;
} bench;

typedef status stage(bench *b, const uint8_t *text, int64_t len);

static status run_utf8(bench *b, const uint8_t *text, int64_t len)
{
    (void)b;
    REQUIRE(utf8_check(text, len) < 0, ST_BADFILE, "the text is not UTF-8");
    return ST_OK;
}

static status run_pcre(bench *b, const uint8_t *text, int64_t len)
{
    int64_t end = 0;
    for (int64_t from = 0; from < len; from = end) {
        TRY(split_pcre(b->split, text, len, from, &end));
    }
    return ST_OK;
}

static status run_split(bench *b, const uint8_t *text, int64_t len)
{
    int64_t end = 0;
    for (int64_t from = 0; from < len; from = end) {
        TRY(split_next(b->split, text, len, from, &end));
    }
    return ST_OK;
}

static status run_merge(bench *b, const uint8_t *text, int64_t len)
{
    const int32_t *ids = NULL;
    int64_t end = 0, n = 0;
    for (int64_t from = 0; from < len; from = end) {
        TRY(split_pcre(b->split, text, len, from, &end));
        TRY(merge_piece(&b->merge, &b->t->merges, b->t->byte_ids, text + from,
                        end - from, &ids, &n));
    }
    return ST_OK;
}

static status count(void *self, const int32_t *ids, int64_t n)
{
    (void)ids;
    ((bench *)self)->ids += n;
    return ST_OK;
}

static status run_encode(bench *b, const uint8_t *text, int64_t len)
{
    return encoder_text(b->encoder, "the text", text, len, count, b);
}

static status report(bench *b, const char *name, stage *run)
{
    const int64_t len = (int64_t)b->text.len;
    double rate[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        const int64_t begin = clock_cpu_thread_ns();
        TRY(run(b, (const uint8_t *)strbuf_view(&b->text), len));
        rate[i] = (double)len * 1e3 / (double)(clock_cpu_thread_ns() - begin);
    }
    double mid = sort_median(rate, ROUNDS);
    printf("%-36s %8.1f MB/s (%.1f to %.1f)\n", name, mid, rate[0],
           rate[ROUNDS - 1]);
    return ST_OK;
}

static status prepare(bench *b, const char *text_file, const char *name)
{
    char *text = NULL;
    size_t len = 0;
    TRY(text_read_file(text_file, (size_t)1 << 32, &text, &len));
    do {
        strbuf_add_bytes(&b->text, text, len);
    } while (b->text.len < LEAST_BYTES && !b->text.failed && len > 0);
    mem_free(text);
    TRY(strbuf_check(&b->text));
    TRY(tokenizer_open(name, &b->t));
    TRY(split_create(&b->split));
    return encoder_create(b->t, &b->encoder);
}

static status run_all(bench *b, int argc, char **argv)
{
    const char *text = argc > 1 ? argv[1] : "tests/golden/tokenizer/text.txt";
    const char *name = argc > 2 ? argv[2] : "tests/golden/tokenizer/gpt2.json";
    TRY(prepare(b, text, name));
    printf("%s, %zu bytes, by %s\n", text, b->text.len, name);
    TRY(report(b, "is it UTF-8", run_utf8));
    TRY(report(b, "split by PCRE2", run_pcre));
    TRY(report(b, "split", run_split));
    TRY(report(b, "split by PCRE2, each piece merged", run_merge));
    TRY(report(b, "encode", run_encode));
    printf("%.2f bytes a token\n",
           (double)b->text.len * ROUNDS / (double)b->ids);
    return ST_OK;
}

int main(int argc, char **argv)
{
    bench b = {0};
    const status st = run_all(&b, argc, argv);
    if (st != ST_OK) {
        fprintf(stderr, "bench_text: %s\n", status_text());
    }
    encoder_destroy(b.encoder);
    split_destroy(b.split);
    merger_fini(&b.merge);
    tokenizer_close(b.t);
    strbuf_fini(&b.text);
    return st;
}
