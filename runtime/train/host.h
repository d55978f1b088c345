/*
 * The machine a run is on: names, libraries, and its matmul rate, which is
 * what throughput is compared with. Local.
 */
#ifndef WEFT_TRAIN_HOST_H
#define WEFT_TRAIN_HOST_H

#include "runtime/results/runfile.h"

/* Everything of run_host; the rate is measured: 2048 cubed, all usable
 * cores, best of three, about half a second. */
void host_describe(run_host *out);

/* Best of `times` products of size n cubed, flop/s. 0 if out of memory. */
double host_matmul_rate(int threads, int64_t n, int times);

void host_name(char *out, int size);

/* Commit the program was built from, "" if not known. */
const char *host_commit(void);

#endif
