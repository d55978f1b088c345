/*
 * Choosing a token from logits: greedily, or at random from the softmax of
 * logits / temperature over the top_k largest, cut to the smallest set whose
 * probabilities add up to top_p (Holtzman et al., 2019).
 *
 * A choice is a function of (logits, rule, index) alone; equal logits go by
 * id, the lower first. Pure. Local.
 */
#ifndef WEFT_APP_PICK_H
#define WEFT_APP_PICK_H

#include <stdint.h>

#include "runtime/base/status.h"

typedef struct pick_rule {
    double temperature; /* 0: the largest logit                            */
    int64_t top_k;      /* 0: all                                          */
    double top_p;       /* in (0, 1]; 1: all                               */
    uint64_t seed;
} pick_rule;

/* Scratch memory: n of them. */
typedef struct pick_item {
    int32_t id;
    float logit;
    double weight;
} pick_item;

/* The token after logits[n], n >= 1; `index` counts the choices of a text.
 * Fails with ST_NUMERIC where a logit is not finite. */
MUST_USE status pick_token(const pick_rule *r, const float *logits, int64_t n,
                           int64_t index, pick_item *work, int32_t *out);

#endif
