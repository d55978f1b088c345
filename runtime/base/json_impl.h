/*
 * Shared by the json_*.c files; nobody else includes this.
 */
#ifndef WEFT_BASE_JSON_IMPL_H
#define WEFT_BASE_JSON_IMPL_H

#include "runtime/base/json.h"

/* ", did you mean "x"?" appended to b, or nothing. */
void json_add_hint(strbuf *b, const char *word, const char *const *list);

/* The line, from 1, of a value in the text of a valid document, of its key in
 * an object. Each step is how many members or elements stand before it. */
int json_line_of(const char *text, size_t len, const size_t *steps, int nsteps);

#endif
