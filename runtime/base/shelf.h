/*
 * The shelf: configurations that have names. NAME of kind "models" is the
 * file configs/models/NAME.json, looked for in this order:
 *
 *   ./configs               the current folder
 *   <program>/configs       beside the program (a source tree)
 *   <program>/../configs    the program in a folder of its own (build/weft)
 *   <program>/../share/weft/configs    where `make install` puts them
 *
 * Local.
 */
#ifndef WEFT_BASE_SHELF_H
#define WEFT_BASE_SHELF_H

#include "runtime/base/status.h"

/* The path of the first such file; *out is NULL if there is none. `name` may
 * end in .json. Owns: *out, mem_free. */
MUST_USE status shelf_find(const char *kind, const char *name, char **out);

/* All names of a kind, sorted, each once, NULL-terminated. Owns: *out,
 * shelf_list_free. */
MUST_USE status shelf_list(const char *kind, char ***out);
/* NULL is fine. */
void shelf_list_free(char **list);

#endif
