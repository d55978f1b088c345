/*
 * Plans as text: shorthand, files, and the canonical form of both. What a
 * plan may be is decided in rules.c.
 */
#include "partition/plan.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/json.h"
#include "runtime/base/mem.h"
#include "runtime/base/shelf.h"
#include "runtime/base/text.h"
#include "runtime/base/tree.h"

static const plan trivial = {.data = 1, .pipe = 1, .tensor = 1};

static const char example[] = "dp2.tp2.pp2";

int plan_ranks(const plan *p)
{
    int64_t ranks = 1;
    const int32_t degrees[] = {p->data, p->pipe, p->tensor};
    for (int i = 0; i < 3; i++) {
        /* Saturates step by step: the product of three may pass 64 bits. */
        ranks = degrees[i] > 0 ? ranks * degrees[i] : 0;
        ranks = ranks < INT_MAX ? ranks : INT_MAX;
    }
    return (int)ranks;
}

int plan_stage_start(const plan *p, int L, int k)
{
    int at = 0;
    if (p->nstages == 0) {
        return (int)leaf_start(L, p->pipe, k);
    }
    for (int i = 0; i < k && i < p->nstages; i++) {
        at += p->stages[i];
    }
    return at;
}

int64_t plan_in_flight(const plan *p, int k, int64_t nmb)
{
    int64_t ahead = p->pipe - k;
    return p->schedule == SCHEDULE_1F1B && ahead < nmb ? ahead : nmb;
}

int64_t plan_micro_batch(const plan *p, int64_t seqs)
{
    if (p->micro_batch > 0) {
        return p->micro_batch;
    }
    if (p->pipe <= 1) {
        return seqs;
    }
    /* Four micro-batches a stage keep the bubble below a fifth. */
    int64_t part = seqs / (4 * (int64_t)p->pipe);
    return part > 1 ? part : 1;
}

/* --- shorthand --------------------------------------------------------- */

/* A part is two letters and a number. */
typedef struct part_kind {
    const char *word;
    const char *what;
} part_kind;

enum { PART_DATA, PART_TENSOR, PART_PIPE, PART_MICRO, PARTS };

static const part_kind kinds[PARTS] = {
    [PART_DATA] = {"dp", "data"},
    [PART_TENSOR] = {"tp", "tensor"},
    [PART_PIPE] = {"pp", "pipe"},
    [PART_MICRO] = {"mb", "micro-batch"},
};

static const char *const schedules[] = {"gpipe", "1f1b", NULL};

static status fail_part(const char *all, const char *at, int len,
                        const char *why)
{
    int before = (int)(at - all);
    return FAIL(ST_CONFIG,
                "plan \"%.*s\": %s%.*s%s\"%.*s\" %s; parts are dpN (data), "
                "tpN (tensor), ppN (pipe), mbN (micro-batch), gpipe and 1f1b "
                "joined by dots, as in %s, or give the path of a plan file",
                text_fit(all, 64), all, before > 0 ? "understood " : "",
                before > 0 && before < 64 ? before - 1 : 0, all,
                before > 0 ? ", but " : "", text_fit(at, len < 32 ? len : 32),
                at, why, example);
}

static int kind_of(const char *at, int len)
{
    for (int i = 0; i < PARTS; i++) {
        if (len >= 2 && strncmp(at, kinds[i].word, 2) == 0) {
            return i;
        }
    }
    return -1;
}

/* The number behind the letters, or -1 if it is none or out of range. */
static int64_t number_of(const char *at, int len)
{
    int64_t value = 0;
    for (int i = 2; i < len; i++) {
        if (at[i] < '0' || at[i] > '9' || value > PLAN_DEGREE_MAX) {
            return -1;
        }
        value = value * 10 + (at[i] - '0');
    }
    return value >= 1 && value <= PLAN_DEGREE_MAX ? value : -1;
}

/* A schedule by its name, or -1. */
static int schedule_of(const char *at, int len)
{
    for (int i = 0; schedules[i] != NULL; i++) {
        if ((size_t)len == strlen(schedules[i]) &&
            strncmp(at, schedules[i], (size_t)len) == 0) {
            return i;
        }
    }
    return -1;
}

static status parse_part(const char *all, const char *at, int len,
                         int64_t values[PARTS], int *schedule)
{
    int kind = kind_of(at, len);
    if (schedule_of(at, len) >= 0) {
        if (*schedule >= 0) {
            return fail_part(all, at, len, "is a second schedule");
        }
        *schedule = schedule_of(at, len);
        return ST_OK;
    }
    if (len == 0) {
        return fail_part(all, at, len, "is an empty part");
    }
    if (kind < 0) {
        return fail_part(all, at, len, "is no part of a plan");
    }
    int64_t value = number_of(at, len);
    if (value < 0) {
        return fail_part(all, at, len,
                         "has no whole number from 1 to 1048576 behind its "
                         "letters");
    }
    if (values[kind] > 0) {
        return fail_part(all, at, len, "is there twice");
    }
    values[kind] = value;
    return ST_OK;
}

status plan_parse(const char *shorthand, plan *out)
{
    int64_t values[PARTS] = {0};
    int schedule = -1;
    const char *at = shorthand;
    for (;;) {
        int len = (int)strcspn(at, ".");
        TRY(parse_part(shorthand, at, len, values, &schedule));
        if (at[len] == '\0') {
            break;
        }
        at += len + 1;
    }
    plan p = trivial;
    p.data = values[PART_DATA] > 0 ? (int32_t)values[PART_DATA] : 1;
    p.tensor = values[PART_TENSOR] > 0 ? (int32_t)values[PART_TENSOR] : 1;
    p.pipe = values[PART_PIPE] > 0 ? (int32_t)values[PART_PIPE] : 1;
    p.micro_batch = values[PART_MICRO];
    p.schedule = schedule > 0 ? (plan_schedule)schedule : SCHEDULE_GPIPE;
    plan_shorthand(&p, p.name, PLAN_NAME_MAX);
    snprintf(p.given, sizeof(p.given), "%s", p.name);
    *out = p;
    return ST_OK;
}

void plan_shorthand(const plan *p, char *out, int size)
{
    const int64_t values[PARTS] = {p->data, p->tensor, p->pipe, p->micro_batch};
    char text[PLAN_NAME_MAX] = "";
    size_t len = 0;
    bool one = p->data == 1 && p->tensor == 1 && p->pipe == 1;
    for (int i = 0; i < PARTS; i++) {
        bool standard = values[i] == (i == PART_MICRO ? 0 : 1);
        if (standard && !(one && i == PART_DATA)) {
            continue;
        }
        /* Four times two letters and a 64-bit number fit the name. */
        int n =
            snprintf(text + len, sizeof(text) - len, "%s%s%lld",
                     len > 0 ? "." : "", kinds[i].word, (long long)values[i]);
        len += (size_t)n;
    }
    snprintf(out, (size_t)size, "%s%s%s", text,
             p->schedule != SCHEDULE_GPIPE ? "." : "",
             p->schedule != SCHEDULE_GPIPE ? schedules[p->schedule] : "");
}

/* --- files ------------------------------------------------------------- */

static const char *const recomputes[] = {"none", "full", NULL};
const char *const plan_keys[] = {"data",      "pipe",        "stages",
                                 "tensor",    "micro_batch", "schedule",
                                 "recompute", NULL};

/* "stages": [3, 5]: layers of each stage; gives pipe, which need not be
 * there. */
static status read_stages(json_val root, plan *p)
{
    json_val list;
    if (!json_has(root, "stages")) {
        return ST_OK;
    }
    TRY(json_get_arr(root, "stages", &list));
    size_t n = json_len(list);
    if (n < 1 || n > ARCH_LAYERS_MAX) {
        return json_fail(list, ST_CONFIG, "has %zu stages, allowed is 1 to %d",
                         n, ARCH_LAYERS_MAX);
    }
    for (size_t i = 0; i < n; i++) {
        TRY(json_as_int(json_at(list, i), 1, ARCH_LAYERS_MAX, &p->stages[i]));
    }
    if (json_has(root, "pipe") && p->pipe != (int)n) {
        return json_fail(list, ST_CONFIG,
                         "has %zu stages, but pipe is %d; leave pipe out, or "
                         "give as many layer counts",
                         n, p->pipe);
    }
    p->nstages = (int32_t)n;
    p->pipe = (int32_t)n;
    return ST_OK;
}

static status read_keys(json_val root, plan *p)
{
    TRY(json_done(root, plan_keys));
    TRY(json_get_int_opt(root, "data", 1, PLAN_DEGREE_MAX, &p->data));
    TRY(json_get_int_opt(root, "pipe", 1, PLAN_DEGREE_MAX, &p->pipe));
    TRY(json_get_int_opt(root, "tensor", 1, PLAN_DEGREE_MAX, &p->tensor));
    TRY(json_get_i64_opt(root, "micro_batch", 1, PLAN_DEGREE_MAX,
                         &p->micro_batch));
    int schedule = 0;
    TRY(json_get_choice_opt(root, "schedule", schedules, &schedule));
    p->schedule = (plan_schedule)schedule;
    TRY(read_stages(root, p));
    int recompute = 0;
    TRY(json_get_choice_opt(root, "recompute", recomputes, &recompute));
    p->recompute = recompute == 1;
    return ST_OK;
}

/* Plans are called as their file: a label, so it is cut, not refused. */
static void name_after(const char *path, char name[PLAN_NAME_MAX])
{
    const char *base = text_path_base(path);
    size_t len = strlen(base);
    if (text_ends(base, ".json")) {
        len -= strlen(".json");
    }
    text_print(name, PLAN_NAME_MAX, "%.*s", (int)len, base);
}

/* The end of a long path says more than its beginning. */
static void cut_path(const char *path, char given[PLAN_GIVEN_MAX])
{
    bool fits = strlen(path) < PLAN_GIVEN_MAX;
    snprintf(given, PLAN_GIVEN_MAX, "%s%s", fits ? "" : "...",
             fits ? path : text_tail(path, PLAN_GIVEN_MAX - 4));
}

static status open_file(const char *path, plan *out)
{
    json_doc *doc = NULL;
    plan p = trivial;
    TRY(json_open(path, &doc));
    status st = read_keys(json_root(doc), &p);
    json_close(doc);
    if (st == ST_OK) {
        name_after(path, p.name);
        cut_path(path, p.given);
        *out = p;
    }
    return st;
}

/* A file's path, or `st`, which says what the text is not, if there is none. */
static status open_shelved(const char *text, status st, plan *out)
{
    char *path = NULL;
    TRY(shelf_resolve("plans", text, &path));
    if (path != NULL) {
        st = open_file(path, out);
        mem_free(path);
    } else if (st == ST_OK) {
        st = open_file(text, out); /* it says that there is none */
    }
    return st;
}

status plan_open(const char *text, plan *out)
{
    bool is_file = text_path_exists(text) && !text_is_dir(text);
    if (is_file || text_ends(text, ".json")) {
        return open_shelved(text, ST_OK, out);
    }
    status st = plan_parse(text, out);
    return st == ST_OK ? ST_OK : open_shelved(text, st, out);
}

status plan_path(const char *text, char **out)
{
    plan p;
    bool is_file = text_path_exists(text) && !text_is_dir(text);
    if (!is_file && !text_ends(text, ".json") &&
        plan_parse(text, &p) == ST_OK) {
        *out = NULL;
        return ST_OK;
    }
    return shelf_resolve("plans", text, out);
}

static void add_stages(const plan *p, strbuf *out)
{
    for (int i = 0; i < p->nstages; i++) {
        strbuf_printf(out, "%s%d", i > 0 ? ", " : "[", p->stages[i]);
    }
    strbuf_add(out, "]");
}

/* The decisions are the keys that are not at their default. */
void plan_json(const plan *p, strbuf *out)
{
    plan_decision list[PLAN_DECISIONS_MAX];
    int n = plan_decisions(p, list);
    strbuf_add(out, "{");
    for (int i = 0; i < n; i++) {
        bool number =
            strspn(list[i].value, "0123456789") == strlen(list[i].value);
        const char *quote = number ? "" : "\"";
        strbuf_printf(out, "%s\"%s\": ", i > 0 ? ", " : "", list[i].key);
        if (strcmp(list[i].key, "stages") == 0) {
            add_stages(p, out);
        } else {
            strbuf_printf(out, "%s%s%s", quote, list[i].value, quote);
        }
    }
    strbuf_add(out, "}");
}
