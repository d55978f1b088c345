/* Options: values, defaults, errors with hints, help, files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/opt.h"

typedef struct args {
    int64_t steps;
    int64_t memory;
    double lr;
    double rate;
    double latency;
    const char *out;
    const char *plan;
    bool resume;
    int sums;
    int64_t ours;
} args;

static const char *const sums[] = {"exact", "fast", NULL};

static const opt_row rows[] = {
    OPT_I64(args, steps, "steps", .letter = 'n', .def = "20", .min = 1,
            .max = 1e9, .help = "optimizer steps"),
    OPT_SIZE(args, memory, "device-memory", .def = "64MiB", .min = 1024,
             .max = 0x1p62, .help = "bytes of the device's arena"),
    OPT_F64(args, lr, "lr", .def = "6e-4", .max = 1, .help = "learning rate"),
    OPT_RATE(args, rate, "link-rate", .def = "0", .help = "throttle"),
    OPT_TIME(args, latency, "link-latency", .def = "0", .help = "throttle"),
    OPT_STR(args, out, "out", .value = "FILE", .def = "run.h5",
            .help = "results file", .group = "Output"),
    OPT_STR(args, plan, "plan", .help = "how to cut the model"),
    OPT_FLAG(args, resume, "resume", .help = "continue"),
    OPT_CHOICE(args, sums, "sums", sums, .def = "exact",
               .help = "order of sums"),
    OPT_I64(args, ours, "our-own-clock", .def = "0", .help = "nobody's",
            .hidden = true),
};

static const opt_command cmd = {
    .name = "train",
    .usage = "MODEL [options]",
    .about = "Trains a model.",
    .example = "weft train gpt-neo-tiny --steps 5\nweft train gpt-j-tiny",
    .see = "plans",
    .min_args = 1,
    .max_args = 1,
    OPT_ROWS(rows),
};

enum { ARGC_MAX = 20 };

/* Splits at spaces, so that a test reads like a command line. */
static status parse(const char *line, args *a, opt_parsed **p)
{
    static char room[1000];
    const char *argv[ARGC_MAX];
    int argc = 0;
    snprintf(room, sizeof(room), "train %s", line);
    for (char *word = strtok(room, " "); word != NULL;
         word = strtok(NULL, " ")) {
        argv[argc++] = word;
    }
    argv[argc] = NULL;
    return opt_parse(&cmd, argc, argv, a, sizeof(*a), p);
}

static void test_defaults(void **state)
{
    (void)state;
    args a;
    memset(&a, 0xff, sizeof(a));
    opt_parsed *p = NULL;
    assert_int_equal(parse("gpt", &a, &p), ST_OK);
    assert_int_equal(a.steps, 20);
    assert_int_equal(a.memory, 64 << 20);
    assert_true(a.lr == 6e-4);
    assert_true(a.rate == 0);
    assert_string_equal(a.out, "run.h5");
    assert_null(a.plan);
    assert_false(a.resume);
    assert_int_equal(a.sums, 0);
    assert_int_equal(opt_given_count(p), 0);
    assert_int_equal(opt_args_count(p), 1);
    assert_string_equal(opt_arg(p, 0), "gpt");
    assert_null(opt_arg(p, 1));
    opt_destroy(p);
    assert_int_equal(mem_live(), 0);
}

static void test_given(void **state)
{
    (void)state;
    args a;
    opt_parsed *p = NULL;
    assert_int_equal(parse("--steps 5k -n 7 --device-memory=1.5GiB gpt --sums "
                           "fast --resume --link-rate 10GB/s --link-latency "
                           "20us --plan dp2 --lr 0.5",
                           &a, &p),
                     ST_OK);
    assert_int_equal(a.steps, 7);
    assert_int_equal(a.memory, 1610612736);
    assert_int_equal(a.sums, 1);
    assert_true(a.resume);
    assert_true(a.rate == 1e10);
    assert_true(a.latency > 19.9e-6 && a.latency < 20.1e-6);
    assert_true(a.lr == 0.5);
    assert_string_equal(a.plan, "dp2");
    assert_true(opt_given(p, "steps"));
    assert_false(opt_given(p, "out"));
    assert_int_equal(opt_given_count(p), 8);
    const char *const *steps = opt_texts(p, "steps");
    assert_string_equal(steps[0], "5k");
    assert_string_equal(steps[1], "7");
    assert_null(steps[2]);
    assert_null(opt_texts(p, "out"));
    opt_destroy(p);
    assert_int_equal(mem_live(), 0);
}

static void refuse(const char *line, const char *text)
{
    args a;
    memset(&a, 0x55, sizeof(a));
    args before = a;
    opt_parsed *p = NULL;
    assert_int_equal(parse(line, &a, &p), ST_USAGE);
    assert_null(p);
    assert_string_equal(status_text(), text);
    assert_memory_equal(&a, &before, sizeof(a));
    assert_int_equal(mem_live(), 0);
}

static void test_errors(void **state)
{
    (void)state;
    refuse("gpt --stps 5", "unknown option '--stps', did you mean --steps? "
                           "(weft train --help lists all)");
    refuse("gpt --stps=5", "unknown option '--stps', did you mean --steps? "
                           "(weft train --help lists all)");
    refuse("gpt --banana",
           "unknown option '--banana' (weft train --help lists all)");
    refuse("gpt --steps", "option '--steps' needs a value");
    refuse("gpt --out --steps 5", "option '--out' needs a value");
    refuse("gpt --steps 0",
           "option '--steps': '0' is out of range, allowed is 1 to 1000000000");
    refuse("gpt --steps ten", "option '--steps': 'ten' is no whole number: "
                              "write for example 4096, 20k or 1.3M");
    refuse("gpt --device-memory 5", "option '--device-memory': '5' is out of "
                                    "range, allowed is 1KiB or more");
    refuse("gpt --lr nan", "option '--lr': 'nan' is no number");
    refuse("gpt --lr 2",
           "option '--lr': '2' is out of range, allowed is 0 to 1");
    refuse("gpt --sums fats", "option '--sums': 'fats' is not known, allowed "
                              "is one of exact, fast; did you mean 'fast'?");
    refuse("gpt --resume=yes", "option '--resume' takes no value");
    refuse("", "usage: weft train MODEL [options] (1 argument is missing; "
               "--help explains)");
    refuse("gpt neo", "unexpected argument 'neo'; usage: weft train MODEL "
                      "[options]");
}

static void test_help(void **state)
{
    (void)state;
    args a;
    opt_parsed *p = NULL;
    assert_int_equal(parse("--help", &a, &p), ST_OK);
    assert_true(opt_wants_help(p));
    opt_destroy(p);
    assert_int_equal(parse("-h", &a, &p), ST_OK);
    assert_true(opt_wants_help(p));
    opt_destroy(p);
    strbuf b = {0};
    opt_help(&cmd, &b);
    const char *text = strbuf_view(&b);
    assert_non_null(strstr(text, "Usage: weft train MODEL [options]\n"));
    assert_non_null(strstr(text, "  -n, --steps N           optimizer steps "
                                 "(1 to 1000000000; default 20)\n"));
    assert_non_null(strstr(text, "\nOutput:\n  --out FILE"));
    assert_non_null(strstr(text, "order of sums: exact, fast (default exact)"));
    assert_non_null(strstr(text, "\nExamples:\n  weft train gpt-neo-tiny "
                                 "--steps 5\n  weft train gpt-j-tiny\n"));
    assert_non_null(strstr(text, "\nSee also: weft help WORD for plans, "
                                 "exit-codes\n"));
    assert_null(strstr(text, "our-own"));
    for (const char *line = text; *line != '\0';) {
        size_t len = strcspn(line, "\n");
        assert_true(len <= 80);
        assert_true(len == 0 || line[len - 1] != ' ');
        line += len + 1;
    }
    strbuf_fini(&b);
}

/* Some rows of another command's table. */
static void test_only(void **state)
{
    (void)state;
    static const char *const names[] = {"steps", "resume", "sums", NULL};
    opt_command some = cmd;
    args a;
    opt_parsed *p = NULL;
    strbuf b = {0};
    some.name = "look";
    some.only = names;
    const char *const good[] = {"look", "m", "--sums=fast", "-n", "3", NULL};
    assert_int_equal(opt_parse(&some, 5, good, &a, sizeof(a), &p), ST_OK);
    assert_int_equal(a.steps, 3);
    assert_int_equal(a.sums, 1);
    assert_string_equal(a.out, "run.h5"); /* defaults are there all the same */
    opt_destroy(p);
    const char *const other[] = {"look", "m", "--resum", "--lr=1", NULL};
    assert_int_equal(opt_parse(&some, 3, other, &a, sizeof(a), &p), ST_USAGE);
    assert_non_null(strstr(status_text(), "did you mean --resume?"));
    const char *const wrong[] = {"look", "m", "--plan=dp2", NULL};
    assert_int_equal(opt_parse(&some, 3, wrong, &a, sizeof(a), &p), ST_USAGE);
    assert_string_equal(status_text(), "unknown option '--plan' (weft look "
                                       "--help lists all)");
    opt_help(&some, &b);
    assert_non_null(strstr(strbuf_view(&b), "\nOptions:\n  -n, --steps"));
    assert_non_null(strstr(strbuf_view(&b), "\nOutput:\n  --resume"));
    assert_null(strstr(strbuf_view(&b), "--out"));
    assert_null(strstr(strbuf_view(&b), "--lr"));
    strbuf_fini(&b);
    assert_int_equal(mem_live(), 0);
}

static void test_file(void **state)
{
    (void)state;
    args a;
    opt_parsed *p = NULL;
    assert_int_equal(parse("gpt --steps 5", &a, &p), ST_OK);
    const char *text = "{\"steps\": 9, \"device_memory\": \"1MiB\", "
                       "\"resume\": true, \"lr\": 0.25, \"out\": \"x.h5\", "
                       "\"sums\": \"fast\"}";
    json_doc *doc = NULL;
    assert_int_equal(json_parse(text, strlen(text), "f.json", &doc), ST_OK);
    assert_int_equal(opt_read_json(&cmd, json_root(doc), NULL, p, &a), ST_OK);
    assert_int_equal(a.steps, 5); /* the command line wins */
    assert_int_equal(a.memory, 1 << 20);
    assert_true(a.resume);
    assert_true(a.lr == 0.25);
    assert_string_equal(a.out, "x.h5");
    assert_int_equal(a.sums, 1);
    json_writer w;
    json_writer_init(&w);
    json_write_obj(&w, NULL);
    opt_write_json(&cmd, &a, &w);
    json_write_end(&w);
    char *out = NULL;
    assert_int_equal(json_writer_take(&w, &out), ST_OK);
    assert_non_null(strstr(out, "\"device_memory\": 1048576"));
    assert_non_null(strstr(out, "\"plan\": null"));
    assert_non_null(strstr(out, "\"sums\": \"fast\""));
    mem_free(out);
    json_close(doc);
    opt_destroy(p);
    assert_int_equal(mem_live(), 0);
}

static void refuse_file(const char *text, const char *want)
{
    args a = {0};
    json_doc *doc = NULL;
    assert_int_equal(json_parse(text, strlen(text), "f.json", &doc), ST_OK);
    assert_int_equal(opt_read_json(&cmd, json_root(doc), NULL, NULL, &a),
                     ST_CONFIG);
    assert_string_equal(status_text(), want);
    json_close(doc);
}

static void test_file_errors(void **state)
{
    (void)state;
    refuse_file("{\"step\": 1}",
                "f.json: step: unknown key, did you mean \"steps\"?");
    refuse_file("{\"steps\": 0}", "f.json: steps: '0' is out of range, allowed "
                                  "is 1 to 1000000000");
    /* A key as the file has it, not as the command line would. */
    refuse_file("{\"link_rate\": \"1 furlong\"}",
                "f.json: link_rate: '1 furlong' is no rate: write for example "
                "10GB/s, 800MiB/s or 100Gbit/s");
    refuse_file("{\"device_memry\": 1}",
                "f.json: device_memry: unknown key, did you mean "
                "\"device_memory\"?");
    refuse_file("{\"out\": 3}", "f.json: out: 3 found, a string is needed");
    refuse_file("{\"steps\": []}", "f.json: steps: a number, a string, true "
                                   "or false is needed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),    cmocka_unit_test(test_given),
        cmocka_unit_test(test_errors),      cmocka_unit_test(test_help),
        cmocka_unit_test(test_only),        cmocka_unit_test(test_file),
        cmocka_unit_test(test_file_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
