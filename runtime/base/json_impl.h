/*
 * Shared by the json_*.c files; nobody else includes this.
 */
#ifndef WEFT_BASE_JSON_IMPL_H
#define WEFT_BASE_JSON_IMPL_H

#include "runtime/base/json.h"

/* ", did you mean "x"?" appended to b, or nothing. */
void json_add_hint(strbuf *b, const char *word, const char *const *list);

#endif
