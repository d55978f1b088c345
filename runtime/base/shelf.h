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

/* The file that a person means by `given`: it, where it is a file; else that
 * of this name on the shelf, where NAME may be written NAME.json or
 * configs/KIND/NAME.json, as in a source tree. *out is NULL if there is none.
 * Owns: *out, mem_free. */
MUST_USE status shelf_resolve(const char *kind, const char *given, char **out);
/* The same; fails with ST_NOINPUT where there is none: what was looked for
 * ("model"), the nearest name, and what there is. */
MUST_USE status shelf_require(const char *kind, const char *what,
                              const char *given, char **out);
/* That failure. */
status shelf_fail_unknown(const char *kind, const char *what,
                          const char *given);

/* All names of a kind, sorted, each once, NULL-terminated. Owns: *out,
 * shelf_list_free. */
MUST_USE status shelf_list(const char *kind, char ***out);
/* NULL is fine. */
void shelf_list_free(char **list);

#endif
