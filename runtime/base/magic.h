/*
 * Files that people give by mistake: archives, weights, tables, where a text
 * or JSON is wanted. Their bytes read as text would make noise of a run, or an
 * error that explains nothing.
 *
 * Known by their first bytes, whatever their name. Pure. Local.
 */
#ifndef WEFT_BASE_MAGIC_H
#define WEFT_BASE_MAGIC_H

#include <stddef.h>

/* What a file with these bytes surely is, "an HDF5 file", perhaps with the way
 * out of it; NULL: nothing known. Needs the first 16 bytes at most, but
 * file_bytes of the whole. */
const char *magic_name(const void *bytes, size_t file_bytes);

#endif
