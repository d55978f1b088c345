/* Help in all its forms: complete, well set, and its examples are commands
 * that the option tables take. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "benchmarks/experiment.h"
#include "partition/plan.h"
#include "runtime/app/commands.h"
#include "runtime/app/help.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"

/* No line is over 80 columns or ends with a space. */
static void check_set(const char *what, const char *text)
{
    for (const char *line = text; *line != '\0';) {
        size_t n = strcspn(line, "\n");
        if (n > 80 || (n > 0 && line[n - 1] == ' ')) {
            fail_msg("%s: badly set: '%.*s'", what, (int)n, line);
        }
        line += n + (line[n] == '\n' ? 1 : 0);
    }
}

static bool is_topic(const char *word)
{
    for (const help_topic *t = help_topics; t->name != NULL; t++) {
        if (strcmp(t->name, word) == 0) {
            return true;
        }
    }
    return false;
}

/* Every word of "plans, show" is explained somewhere. */
static void check_see(const char *name, const char *see)
{
    char word[64];
    while (see != NULL && *see != '\0') {
        size_t n = strcspn(see, ",");
        assert_true(n > 0 && n < sizeof(word));
        (void)snprintf(word, sizeof(word), "%.*s", (int)n, see);
        if (command_find(word) == NULL && !is_topic(word)) {
            fail_msg("%s: see also '%s', which is nothing", name, word);
        }
        see += n;
        see += strspn(see, ", ");
    }
}

static void test_commands(void **state)
{
    (void)state;
    int n = 0;
    for (const command *c = commands; c->name != NULL; c++) {
        n++;
        assert_non_null(c->options);
        assert_string_equal(c->name, c->options->name);
        assert_true(c->run != NULL && c->group != NULL);
        assert_true(strlen(c->about) > 0 && strlen(c->about) <= 62);
        assert_non_null(c->options->about);
        assert_non_null(c->options->usage);
        assert_non_null(c->options->example);
        assert_ptr_equal(command_find(c->name), c);
        check_see(c->name, c->options->see);
        strbuf b = {0};
        opt_help(c->options, &b);
        check_set(c->name, strbuf_view(&b));
        for (size_t i = 0; i < c->options->nrows; i++) {
            assert_non_null(c->options->rows[i].help);
        }
        strbuf_fini(&b);
    }
    assert_true(n >= 7);
    assert_null(command_find("trane"));
    assert_int_equal(mem_live(), 0);
}

/* --- examples ------------------------------------------------------------- */

/* The struct that a table fills is the command's own; it ends soon after its
 * last field. */
static size_t fields_bytes(const opt_command *o)
{
    size_t most = 0;
    for (size_t i = 0; i < o->nrows; i++) {
        most = o->rows[i].offset > most ? o->rows[i].offset : most;
    }
    return most + sizeof(int64_t);
}

/* "weft train m --steps 5 >log": the words up to a redirection or pipe. */
static void check_example(const char *line, size_t len)
{
    enum { WORDS_MAX = 32 };
    char room[256];
    const char *argv[WORDS_MAX];
    int argc = 0;
    assert_true(len < sizeof(room));
    (void)snprintf(room, sizeof(room), "%.*s", (int)len, line);
    char *weft = strstr(room, "weft ");
    assert_non_null(weft); /* perhaps behind mpirun ... */
    for (char *word = strtok(weft, " "); word != NULL && argc < WORDS_MAX;
         word = strtok(NULL, " ")) {
        if (strchr("|>", word[0]) != NULL) {
            break;
        }
        argv[argc++] = word;
    }
    assert_true(argc >= 2);
    const command *c = command_find(argv[1]);
    assert_non_null(c);
    int64_t fields[512];
    assert_true(fields_bytes(c->options) <= sizeof(fields));
    opt_parsed *p = NULL;
    if (opt_parse(c->options, argc - 1, argv + 1, fields,
                  fields_bytes(c->options), &p) != ST_OK) {
        fail_msg("example '%.*s': %s", (int)len, line, status_text());
    }
    opt_destroy(p);
}

static void test_examples(void **state)
{
    (void)state;
    for (const command *c = commands; c->name != NULL; c++) {
        for (const char *line = c->options->example; *line != '\0';) {
            size_t n = strcspn(line, "\n");
            check_example(line, n);
            line += n + (line[n] == '\n' ? 1 : 0);
        }
    }
    assert_int_equal(mem_live(), 0);
}

/* --- topics --------------------------------------------------------------- */

static void write_topic(const char *name, strbuf *b)
{
    for (const help_topic *t = help_topics; t->name != NULL; t++) {
        if (strcmp(t->name, name) == 0) {
            t->write(b);
        }
    }
    assert_true(b->len > 0);
}

static void test_topics(void **state)
{
    (void)state;
    for (const help_topic *t = help_topics; t->name != NULL; t++) {
        strbuf b = {0};
        assert_null(command_find(t->name));
        t->write(&b);
        check_set(t->name, strbuf_view(&b));
        strbuf_fini(&b);
    }
    assert_int_equal(mem_live(), 0);
}

/* "\n  KEY      some text" is in the topic. */
static void test_plans(void **state)
{
    (void)state;
    strbuf b = {0};
    write_topic("plans", &b);
    for (int i = 0; plan_keys[i] != NULL; i++) {
        char line[64];
        (void)snprintf(line, sizeof(line), "\n  %-12s ", plan_keys[i]);
        const char *at = strstr(strbuf_view(&b), line);
        assert_non_null(at);
        assert_true(at[strlen(line)] > ' '); /* it is explained */
    }
    strbuf_fini(&b);
}

static void test_exit_codes(void **state)
{
    (void)state;
    static const status all[] = {
        ST_OK,       ST_USAGE,  ST_BADFILE, ST_IO,         ST_NOINPUT,
        ST_INTERNAL, ST_PEER,   ST_SYSTEM,  ST_CANTCREATE, ST_CONFIG,
        ST_NUMERIC,  ST_LOCKED, ST_CORRUPT, ST_BUDGET,     ST_SIGNAL};
    strbuf b = {0};
    write_topic("exit-codes", &b);
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        char line[64];
        (void)snprintf(line, sizeof(line), "\n  %3d  ", (int)all[i]);
        assert_non_null(strstr(strbuf_view(&b), line));
    }
    strbuf_fini(&b);
}

/* --- keys of experiments -------------------------------------------------- */

static bool in_list(const char *const *list, const char *key)
{
    for (int i = 0; list[i] != NULL; i++) {
        if (strcmp(list[i], key) == 0) {
            return true;
        }
    }
    return false;
}

/* What an experiment with this key in "common" is told. */
static void experiment_says(const char *key, strbuf *out)
{
    static const char path[] = "test_help_experiment.json";
    char text[256];
    experiment e;
    (void)snprintf(text, sizeof(text),
                   "{\"models\": [\"m\"], \"data\": \"d\", \"common\": "
                   "{\"%s\": 1}, \"setups\": [{}]}",
                   key);
    assert_int_equal(text_write_file(path, text, strlen(text)), ST_OK);
    assert_int_equal(experiment_open(path, &e), ST_CONFIG);
    (void)remove(path);
    strbuf_add(out, status_text());
}

/* Every option of train either makes a set-up, or is the same for all, or an
 * experiment that has it is told where it belongs. */
static void test_experiment_keys(void **state)
{
    (void)state;
    for (size_t i = 0; i < train_command.nrows; i++) {
        char key[64];
        (void)snprintf(key, sizeof(key), "%s", train_command.rows[i].name);
        for (char *c = key; *c != '\0'; c++) {
            *c = *c == '-' ? '_' : *c;
        }
        bool of_setup = in_list(experiment_setup_keys, key);
        bool of_run = in_list(experiment_run_keys, key);
        assert_false(of_setup && of_run);
        if (!of_setup && !of_run) {
            strbuf says = {0};
            experiment_says(key, &says);
            if (strstr(strbuf_view(&says), "belongs") == NULL &&
                strstr(strbuf_view(&says), "key of its own") == NULL) {
                fail_msg("option %s has no place in an experiment: %s", key,
                         strbuf_view(&says));
            }
            strbuf_fini(&says);
        }
    }
    assert_int_equal(mem_live(), 0);
}

/* --- the manual and the completion ---------------------------------------- */

static void test_generated(void **state)
{
    (void)state;
    strbuf man = {0};
    strbuf bash = {0};
    strbuf zsh = {0};
    help_write_man(&man);
    help_write_bash(&bash);
    help_write_zsh(&zsh);
    for (const command *c = commands; c->name != NULL; c++) {
        for (size_t i = 0; i < c->options->nrows; i++) {
            const opt_row *row = &c->options->rows[i];
            char word[80];
            (void)snprintf(word, sizeof(word), " --%s", row->name);
            bool there = strstr(strbuf_view(&bash), word) != NULL;
            assert_true(row->hidden ? !there : there);
            (void)snprintf(word, sizeof(word), "'--%s", row->name);
            there = strstr(strbuf_view(&zsh), word) != NULL;
            assert_true(row->hidden ? !there : there);
        }
        char head[80];
        (void)snprintf(head, sizeof(head), "\n.SS weft %s\n", c->name);
        assert_non_null(strstr(strbuf_view(&man), head));
    }
    /* A dash is a dash, and nothing of a text is taken for a request. */
    assert_non_null(strstr(strbuf_view(&man), "\n.B \\-\\-device\\-memory"));
    assert_null(strstr(strbuf_view(&man), "launched"));
    strbuf_fini(&man);
    strbuf_fini(&bash);
    strbuf_fini(&zsh);
    assert_int_equal(mem_live(), 0);
}

static void test_unknown(void **state)
{
    (void)state;
    assert_int_equal(help_fail_unknown("command", "trane"), ST_USAGE);
    assert_string_equal(status_text(), "there is no command 'trane', did you "
                                       "mean train; see weft --help");
    assert_int_equal(help_fail_unknown("command or topic", "exit-code"),
                     ST_USAGE);
    assert_non_null(strstr(status_text(), "did you mean exit-codes"));
    assert_int_equal(help_fail_unknown("command", "exit-code"), ST_USAGE);
    assert_null(strstr(status_text(), "did you mean"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commands),
        cmocka_unit_test(test_examples),
        cmocka_unit_test(test_topics),
        cmocka_unit_test(test_plans),
        cmocka_unit_test(test_exit_codes),
        cmocka_unit_test(test_experiment_keys),
        cmocka_unit_test(test_generated),
        cmocka_unit_test(test_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
