/*
 * Numbers in order: of measurements that are taken several times, the middle
 * one. No NaN among them. Pure.
 */
#ifndef WEFT_BASE_SORT_H
#define WEFT_BASE_SORT_H

#include <stdint.h>

/* Ascending, in place. */
void sort_f64(double *v, int64_t n);

/* Sorts v; its middle value, of an even number the mean of both middle ones;
 * NaN of none. */
double sort_median(double *v, int64_t n);

/* Of v in order, n >= 1: the value that a share q (0 to 1) of all lies below;
 * no mean of two. */
double sort_quantile(const double *v, int64_t n, double q);

#endif
