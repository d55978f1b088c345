/*
 * Files that people give for text or token files by mistake, see
 * runtime/base/magic.h. Local. Fails with ST_BADFILE: what the file is, and
 * what is wanted.
 */
#ifndef WEFT_IO_FOREIGN_H
#define WEFT_IO_FOREIGN_H

#include "runtime/base/status.h"
#include "runtime/io/mapfile.h"

/* Refuses what is surely neither text nor a token file. */
MUST_USE status foreign_refuse(const mapfile *file);

/* The same for a text to tokenize, which no token file is either (a bare
 * uint16 .bin cannot be told by its bytes). */
MUST_USE status foreign_refuse_for_text(const mapfile *file);

#endif
