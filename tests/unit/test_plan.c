/*
 * Plans: shorthand, files, what they decide. The rules are in
 * test_plan_rules.c, the nearest plan in test_plan_nearest.c.
 */
#include <limits.h>
#include <unistd.h>

#include "runtime/base/text.h"
#include "runtime/text/utf8.h"
#include "tests/unit/plan_make.h"

/* --- shorthand --------------------------------------------------------- */

static void test_parse(void **state)
{
    static const struct {
        const char *text, *canonical;
        int data, pipe, tensor, micro_batch;
    } cases[] = {
        {"dp2.tp2.pp2", "dp2.tp2.pp2", 2, 2, 2, 0},
        {"pp4.mb1", "pp4.mb1", 1, 4, 1, 1},
        {"mb3.pp2.tp5.dp7", "dp7.tp5.pp2.mb3", 7, 2, 5, 3},
        {"tp3", "tp3", 1, 1, 3, 0},
        {"dp1", "dp1", 1, 1, 1, 0},
        {"dp1.tp1.pp1", "dp1", 1, 1, 1, 0},
        {"mb2", "dp1.mb2", 1, 1, 1, 2},
        {"1f1b.mb1.pp4", "pp4.mb1.1f1b", 1, 4, 1, 1},
        {"pp2.gpipe", "pp2", 1, 2, 1, 0},
        {"dp1048576", "dp1048576", 1048576, 1, 1, 0},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        plan p = parsed(cases[i].text);
        assert_int_equal(p.data, cases[i].data);
        assert_int_equal(p.pipe, cases[i].pipe);
        assert_int_equal(p.tensor, cases[i].tensor);
        assert_int_equal(p.micro_batch, cases[i].micro_batch);
        assert_false(p.recompute);
        assert_string_equal(p.name, cases[i].canonical);
        plan again = parsed(p.name);
        assert_memory_equal(&again, &p, sizeof(p));
    }
}

static void test_parse_wrong(void **state)
{
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"", "empty part"},
        {"dp2.", "understood dp2, but \"\" is an empty part"},
        {"dp2..tp2", "empty part"},
        {"dp2.tx2", "understood dp2, but \"tx2\" is no part"},
        {"dp2.tp2,pp2", "\"tp2,pp2\" has no whole number"},
        {"dp", "\"dp\" has no whole number"},
        {"d", "\"d\" is no part"},
        {"dp0", "\"dp0\" has no whole number from 1"},
        {"dp-1", "has no whole number"},
        {"dp2x", "has no whole number"},
        {"dp1048577", "has no whole number"},
        {"dp99999999999999999999999999", "has no whole number"},
        {"tp2.dp2.tp3", "understood tp2.dp2, but \"tp3\" is there twice"},
        {"2x2x2", "is no part"},
        {"tp1.tp1", "there twice"},
    };
    plan p = {.data = 77};
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(plan_parse(cases[i].text, &p), ST_CONFIG);
        assert_has(status_text(), cases[i].part);
        assert_has(status_text(), "dp2.tp2.pp2"); /* the example */
        assert_int_equal(p.data, 77);
    }
}

static void test_parse_long(void **state)
{
    char text[5000];
    plan p;
    (void)state;

    memset(text, 'd', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(plan_parse(text, &p), ST_CONFIG);
    memcpy(text, "dp2.", 4);
    assert_int_equal(plan_parse(text, &p), ST_CONFIG);
    assert_has(status_text(), "understood dp2, but");
}

static void test_shorthand_room(void **state)
{
    const plan p = {.data = INT32_MIN,
                    .pipe = INT32_MIN,
                    .tensor = INT32_MIN,
                    .micro_batch = INT64_MIN};
    char name[PLAN_NAME_MAX];
    char small[6];
    (void)state;

    plan_shorthand(&p, name, sizeof(name));
    assert_string_equal(name, "dp-2147483648.tp-2147483648.pp-2147483648."
                              "mb-9223372036854775808");
    const plan q = parsed("dp2.tp2");
    plan_shorthand(&q, small, sizeof(small));
    assert_string_equal(small, "dp2.t");
}

static void test_ranks(void **state)
{
    plan p = parsed("dp2.tp3.pp4");
    (void)state;

    assert_int_equal(plan_ranks(&p), 24);
    p.pipe = p.tensor = p.data = PLAN_DEGREE_MAX;
    assert_int_equal(plan_ranks(&p), INT_MAX);
    p.data = -1;
    assert_int_equal(plan_ranks(&p), 0);
}

static void test_micro_batch(void **state)
{
    plan p = parsed("dp1");
    (void)state;

    assert_int_equal(plan_micro_batch(&p, 12), 12);
    p.pipe = 2;
    assert_int_equal(plan_micro_batch(&p, 32), 4);
    assert_int_equal(plan_micro_batch(&p, 9), 1);
    assert_int_equal(plan_micro_batch(&p, 1), 1);
    p.micro_batch = 3;
    assert_int_equal(plan_micro_batch(&p, 32), 3);
}

/* --- files ------------------------------------------------------------- */

static char folder[] = "/tmp/weft_plan_XXXXXX";

static const char *put(const char *text)
{
    static char path[64];
    snprintf(path, sizeof(path), "%s/my.json", folder);
    assert_int_equal(text_write_file(path, text, strlen(text)), ST_OK);
    return path;
}

static void test_file(void **state)
{
    plan p;
    (void)state;

    assert_int_equal(
        plan_open(put("{\"data\": 2, \"pipe\": 3, \"tensor\": 4, "
                      "\"micro_batch\": 5, \"schedule\": \"gpipe\", "
                      "\"recompute\": \"full\", \"_why\": 1}"),
                  &p),
        ST_OK);
    assert_string_equal(p.name, "my");
    assert_int_equal(p.data, 2);
    assert_int_equal(p.pipe, 3);
    assert_int_equal(p.tensor, 4);
    assert_int_equal(p.micro_batch, 5);
    assert_true(p.recompute);
    assert_int_equal(plan_open(put("{\"recompute\": \"none\"}"), &p), ST_OK);
    assert_int_equal(plan_ranks(&p), 1);
    assert_int_equal(p.micro_batch, 0);
    assert_false(p.recompute);
    assert_int_equal(p.schedule, SCHEDULE_GPIPE);
    assert_int_equal(p.nstages, 0);
}

/* The name of a file of the folder, and the end of its path, both in room of
 * a fixed size: a character is there whole or not at all. */
static void test_long_names(void **state)
{
    char path[4096];
    char deep[4096];
    plan p;
    (void)state;
    for (int shift = 0; shift < 4; shift++) {
        int at = snprintf(path, sizeof(path), "%s/", folder);
        for (int i = 0; i < 60; i++) {
            at += snprintf(path + at, sizeof(path) - (size_t)at, "%s\xc3\xbc",
                           i < shift ? "x" : "");
        }
        snprintf(path + at, sizeof(path) - (size_t)at, ".json");
        assert_int_equal(text_write_file(path, "{\"data\": 2}", 11), ST_OK);
        assert_int_equal(plan_open(path, &p), ST_OK);
        assert_true(
            utf8_check((const uint8_t *)p.name, (int64_t)strlen(p.name)) < 0);
        assert_true(strlen(p.name) >= PLAN_NAME_MAX - 2);
        /* "././" until the path is too long, too. */
        at = snprintf(deep, sizeof(deep), "%s/", folder);
        for (int i = 0; i < 100; i++) {
            at += snprintf(deep + at, sizeof(deep) - (size_t)at, "./");
        }
        snprintf(deep + at, sizeof(deep) - (size_t)at, "%s",
                 path + strlen(folder) + 1);
        assert_int_equal(plan_open(deep, &p), ST_OK);
        assert_true(
            utf8_check((const uint8_t *)p.given, (int64_t)strlen(p.given)) < 0);
        assert_int_equal(strncmp(p.given, "...", 3), 0);
        unlink(path);
    }
}

static void test_stages(void **state)
{
    static const char text[] =
        "{\"data\": 2, \"stages\": [1, 3], \"schedule\": \"1f1b\"}";
    plan_job job = job_of(8, 0);
    strbuf b = {0};
    plan p;
    (void)state;

    assert_int_equal(plan_open(put(text), &p), ST_OK);
    assert_int_equal(p.pipe, 2);
    assert_int_equal(plan_ranks(&p), 4);
    assert_int_equal(p.schedule, SCHEDULE_1F1B);
    assert_int_equal(plan_stage_start(&p, 4, 0), 0);
    assert_int_equal(plan_stage_start(&p, 4, 1), 1);
    assert_int_equal(plan_stage_start(&p, 4, 2), 4);
    assert_int_equal(plan_check(&p, &job, &b), 0);
    plan_json(&p, &b);
    assert_string_equal(strbuf_view(&b), text);
    strbuf_fini(&b);
    p.stages[1] = 2;
    assert_int_equal(plan_check(&p, &job, &b), 1);
    assert_has(strbuf_view(&b), "stages: 2 stages hold 3 layers together, the "
                                "model has 4; add or take 1");
    strbuf_fini(&b);
}

static void test_in_flight(void **state)
{
    plan p = parsed("pp4.mb1.1f1b");
    (void)state;

    assert_int_equal(plan_in_flight(&p, 0, 8), 4);
    assert_int_equal(plan_in_flight(&p, 3, 8), 1);
    assert_int_equal(plan_in_flight(&p, 0, 3), 3);
    p.schedule = SCHEDULE_GPIPE;
    assert_int_equal(plan_in_flight(&p, 3, 8), 8);
}

static void test_file_wrong(void **state)
{
    static const struct {
        const char *text, *part;
        status st;
    } cases[] = {
        {"{\"tensr\": 2}", "did you mean \"tensor\"?", ST_CONFIG},
        {"{\"data\": 0}", "data: 0 is out of range", ST_CONFIG},
        {"{\"pipe\": 1048577}", "allowed is 1 to 1048576", ST_CONFIG},
        {"{\"micro_batch\": 0}", "micro_batch: 0 is out", ST_CONFIG},
        {"{\"tensor\": \"2\"}", "tensor: ", ST_CONFIG},
        {"{\"schedule\": \"1f2b\"}", "did you mean \"1f1b\"?", ST_CONFIG},
        {"{\"stages\": []}", "stages: has 0 stages", ST_CONFIG},
        {"{\"stages\": [2, 0]}", "stages[1]: 0 is out of range", ST_CONFIG},
        {"{\"stages\": 4}", "stages: ", ST_CONFIG},
        {"{\"pipe\": 3, \"stages\": [2, 2]}", "but pipe is 3", ST_CONFIG},
        {"{\"recompute\": \"some\"}", "one of none, full", ST_CONFIG},
        {"[1]", "an object", ST_CONFIG},
        {"{\"data\": 2", "my.json", ST_BADFILE},
        {"{\"data\": 2, \"data\": 3}", "my.json", ST_BADFILE},
    };
    plan p = {.data = 77};
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(plan_open(put(cases[i].text), &p), cases[i].st);
        assert_has(status_text(), cases[i].part);
        assert_int_equal(p.data, 77);
    }
    assert_int_equal(plan_open("nowhere/x.json", &p), ST_NOINPUT);
    assert_int_equal(plan_open("/tmp", &p), ST_CONFIG);
    assert_int_equal(mem_live(), 0);
}

static void test_open_shorthand(void **state)
{
    plan p;
    (void)state;

    assert_int_equal(plan_open("dp2.tp2", &p), ST_OK);
    assert_int_equal(plan_ranks(&p), 4);
    assert_int_equal(plan_open("dp2.tq2", &p), ST_CONFIG);
    assert_has(status_text(), "path of a plan file");
}

/* The files that come along are what they are called, in canonical form. */
static void test_shipped_files(void **state)
{
    static const char *const names[] = {"dp4",     "pp4",     "tp4",
                                        "tp2.pp2", "dp2.tp2", "dp2.tp2.pp2"};
    (void)state;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[64];
        char *text = NULL;
        char shorthand[PLAN_NAME_MAX];
        strbuf json = {0};
        plan p;
        snprintf(path, sizeof(path), "configs/plans/%s.json", names[i]);
        assert_int_equal(plan_open(path, &p), ST_OK);
        assert_string_equal(p.name, names[i]);
        plan_shorthand(&p, shorthand, sizeof(shorthand));
        assert_string_equal(shorthand, names[i]);
        plan_json(&p, &json);
        strbuf_add(&json, "\n");
        assert_int_equal(text_read_file(path, 4096, &text, NULL), ST_OK);
        assert_string_equal(text, strbuf_view(&json));
        mem_free(text);
        strbuf_fini(&json);
    }
}

static void test_json(void **state)
{
    plan p = parsed("dp1");
    plan q;
    strbuf b = {0};
    (void)state;

    plan_json(&p, &b);
    assert_string_equal(strbuf_view(&b), "{}");
    strbuf_fini(&b);
    p = (plan){.data = 2, .pipe = 1, .tensor = 3};
    p.micro_batch = 4;
    p.recompute = true;
    plan_json(&p, &b);
    assert_string_equal(strbuf_view(&b),
                        "{\"data\": 2, \"tensor\": 3, \"micro_batch\": 4, "
                        "\"recompute\": \"full\"}");
    assert_int_equal(plan_open(put(strbuf_view(&b)), &q), ST_OK);
    strcpy(p.name, "my");
    assert_non_null(strstr(q.given, "my.json"));
    strcpy(p.given, q.given);
    assert_memory_equal(&p, &q, sizeof(p));
    strbuf_fini(&b);
}

static void test_decisions(void **state)
{
    plan_decision list[PLAN_DECISIONS_MAX];
    plan p = parsed("dp1");
    (void)state;

    assert_int_equal(plan_decisions(&p, list), 0);
    p = parsed("tp2.pp4.mb1");
    p.recompute = true;
    assert_int_equal(plan_decisions(&p, list), 4);
    assert_string_equal(list[0].key, "pipe");
    assert_string_equal(list[0].value, "4");
    assert_string_equal(list[0].rules, "ranks layers memory");
    assert_string_equal(list[1].key, "tensor");
    assert_has(list[1].rules, "heads");
    assert_string_equal(list[2].key, "micro_batch");
    assert_string_equal(list[3].key, "recompute");
    assert_string_equal(list[3].value, "full");
}

static int set_up(void **state)
{
    return mkdtemp(folder) == NULL || open_tiny(state) != 0;
}

static int tear_down(void **state)
{
    char path[64];
    (void)state;
    snprintf(path, sizeof(path), "%s/my.json", folder);
    unlink(path);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_parse_wrong),
        cmocka_unit_test(test_parse_long),
        cmocka_unit_test(test_shorthand_room),
        cmocka_unit_test(test_ranks),
        cmocka_unit_test(test_micro_batch),
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_long_names),
        cmocka_unit_test(test_stages),
        cmocka_unit_test(test_in_flight),
        cmocka_unit_test(test_file_wrong),
        cmocka_unit_test(test_open_shorthand),
        cmocka_unit_test(test_shipped_files),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_decisions),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down) != 0;
}
