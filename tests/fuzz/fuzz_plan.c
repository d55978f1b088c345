/* Plans, as files and as shorthand: what is taken can be written and taken
 * again, and can be checked against a model. */
#include <string.h>

#include "partition/plan.h"
#include "runtime/base/mem.h"
#include "tests/fuzz/fuzz.h"

static void check_plan(const plan *p)
{
    arch a;
    strbuf text = {0};
    plan again;

    plan_json(p, &text);
    ASSERT(strbuf_check(&text) == ST_OK);
    const char *path =
        fuzz_file("again.json", (const uint8_t *)text.text, text.len);
    ASSERT(plan_open(path, &again) == ST_OK);
    ASSERT(again.data == p->data && again.pipe == p->pipe &&
           again.tensor == p->tensor && again.micro_batch == p->micro_batch &&
           again.recompute == p->recompute);
    strbuf_cut(&text, 0);
    ASSERT(arch_open("configs/models/gpt-neo-tiny.json", &a) == ST_OK);
    const plan_job job = {.a = &a, .N = 8, .T = 32, .D = 4, .S = 4};
    if (plan_check(p, &job, &text) == 0) {
        ASSERT(plan_least_bytes(p, &job) > 0);
    } else {
        ASSERT(text.len > 0);
    }
    strbuf_fini(&text);
}

FUZZ_TARGET(plan)
{
    const char *path = fuzz_file("plan.json", data, size);
    char words[96];
    plan p;
    status st = plan_open(path, &p);

    if (st != ST_OK) {
        fuzz_check_refusal(st);
    } else {
        check_plan(&p);
    }
    const size_t n = size < sizeof(words) - 1 ? size : sizeof(words) - 1;
    if (n > 0) {
        memcpy(words, data, n);
    }
    words[n] = '\0';
    st = plan_parse(words, &p);
    if (st != ST_OK) {
        ASSERT(st == ST_CONFIG && status_text()[0] != '\0');
    } else {
        check_plan(&p);
    }
}
