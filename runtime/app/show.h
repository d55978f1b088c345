/*
 * Inside of `weft show`: show.c finds out what a word means, the other files
 * print one kind of thing each, on stdout. Local, no MPI.
 *
 * Values come from files that others may have made, so whatever is printed
 * through show_field has its control characters replaced: a file cannot write
 * to the terminal. No line ends with a space.
 */
#ifndef WEFT_APP_SHOW_H
#define WEFT_APP_SHOW_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/status.h"

typedef struct show_args {
    const char *model; /* for a plan or data, or NULL                      */
    int64_t layers;    /* 0: all                                           */
    int64_t seq;       /* tokens; 0: not given                             */
    int64_t batch;
    int64_t device_memory; /* bytes; 0: no limit                           */
    bool verify;
} show_args;

/* All fail like the readers of the files they show. */
MUST_USE status show_model(const char *what, const show_args *a);
/* With a model: fails with the refusal where the plan is not admitted. */
MUST_USE status show_plan(const char *what, const show_args *a);
/* Fails with ST_CORRUPT where --verify finds a wrong checksum. */
MUST_USE status show_hdf5(const char *what, const show_args *a);
MUST_USE status show_data(const char *what, const show_args *a);

/* "  name                 value". */
void show_field(const char *name, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* A heading, an empty line before it. */
void show_head(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
