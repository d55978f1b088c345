/*
 * HDF5 files in the folder of a test: made, and opened again. Included by one
 * test program each.
 */
#ifndef WEFT_TESTS_UNIT_H5_MAKE_H
#define WEFT_TESTS_UNIT_H5_MAKE_H

#include "runtime/io/h5.h"
#include "tests/common/scratch.h"

static inline h5_file *create(const char *name)
{
    h5_file *f = NULL;

    assert_int_equal(h5_create(path_of(name), H5_PLAIN, &f), ST_OK);
    return f;
}

static inline h5_file *reopen(const char *name)
{
    h5_file *f = NULL;

    assert_int_equal(h5_open(path_of(name), &f), ST_OK);
    return f;
}

#endif
