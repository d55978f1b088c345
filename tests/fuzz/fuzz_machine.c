/* Descriptions of machines: what is taken can be written, and read again as
 * the same. */
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/sim/machine.h"
#include "tests/fuzz/fuzz.h"

FUZZ_TARGET(machine)
{
    static machine m, again; /* large for a stack */
    char *text = NULL, *once = NULL, *twice = NULL;

    ASSERT(MEM_NEW(&text, size + 1, "fuzz") == ST_OK);
    if (size > 0) {
        memcpy(text, data, size);
    }
    const status st = machine_parse(text, "x.json", &m);
    mem_free(text);
    if (st != ST_OK) {
        fuzz_check_refusal(st);
        return;
    }
    ASSERT(machine_text(&m, &once) == ST_OK);
    ASSERT(machine_parse(once, "y.json", &again) == ST_OK);
    ASSERT(machine_text(&again, &twice) == ST_OK);
    ASSERT(strcmp(once, twice) == 0);
    mem_free(once);
    mem_free(twice);
}
