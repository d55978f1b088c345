/*
 * Fuzz targets: what every parser of foreign files must stand.
 *
 * A target takes any bytes and must come back: with ST_OK, or with a status
 * and one line of text that names the file, in either case with nothing
 * leaked; and what was taken must hold what its header promises. A broken
 * promise ends the process (ASSERT, sanitizers).
 *
 * FUZZ_TARGET(json) names the function fuzz_json. Built with -DWEFT_FUZZER it
 * is libFuzzer's LLVMFuzzerTestOneInput (`make fuzz`); without it, all targets
 * are linked into test_replay.c, which runs seeds and mutations of them.
 * To add one: a file fuzz_<noun>.c, a folder seeds/<noun>, a row in
 * test_replay.c. Local, one thread.
 */
#ifndef WEFT_TESTS_FUZZ_FUZZ_H
#define WEFT_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/base/status.h"

/* Checks the promises around `one`. Quiet but for errors of our own. */
int fuzz_run(void (*one)(const uint8_t *data, size_t size), const uint8_t *data,
             size_t size);

/* Writes a file of this name into the process's own folder in memory; its
 * path. It stays open and is written over, so tens of thousands a second are
 * possible. Lends until the next call. The folder is removed at exit. */
const char *fuzz_file(const char *name, const uint8_t *data, size_t size);
/* Makes sure that there is none of this name. */
void fuzz_remove(const char *name);
/* What lives now is kept by the target: no leak of this run. */
void fuzz_keep(void);

/* A failure must have said something in one line. */
void fuzz_check_refusal(status st);

#ifdef WEFT_FUZZER
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
#define FUZZ_TARGET(noun)                                                      \
    static void fuzz_##noun(const uint8_t *data, size_t size);                 \
    int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)               \
    {                                                                          \
        return fuzz_run(fuzz_##noun, data, size);                              \
    }                                                                          \
    static void fuzz_##noun(const uint8_t *data, size_t size)
#else
#define FUZZ_TARGET(noun)                                                      \
    void fuzz_##noun(const uint8_t *data, size_t size);                        \
    void fuzz_##noun(const uint8_t *data, size_t size)
#endif

#endif
