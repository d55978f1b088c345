/* JSON: what is taken can be written, and read again as the same. */
#include <string.h>

#include "runtime/base/json.h"
#include "runtime/base/mem.h"
#include "tests/fuzz/fuzz.h"

static char *written(const json_doc *doc)
{
    json_writer w;
    char *text = NULL;

    json_writer_init(&w);
    json_write_val(&w, NULL, json_root(doc));
    ASSERT(json_writer_take(&w, &text) == ST_OK);
    return text;
}

FUZZ_TARGET(json)
{
    json_doc *doc = NULL, *again = NULL;
    const status st = json_parse((const char *)data, size, "x.json", &doc);

    if (st != ST_OK) {
        fuzz_check_refusal(st);
        return;
    }
    char *once = written(doc);
    ASSERT(json_parse(once, strlen(once), "y.json", &again) == ST_OK);
    char *twice = written(again);
    ASSERT(strcmp(once, twice) == 0);
    mem_free(once);
    mem_free(twice);
    json_close(doc);
    json_close(again);
}
