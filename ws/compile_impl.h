/* Shared by the compilers of this folder; see compile.h. */
#ifndef WEFT_WS_COMPILE_IMPL_H
#define WEFT_WS_COMPILE_IMPL_H

#include "ws/compile.h"

/* Panels are tried from the one down to the other. A panel's matmul is to
 * take longer than starting it, so smaller ones gain nothing. */
enum { WS_PANEL_MOST = 16 << 20, WS_PANEL_LEAST = 64 << 10 };

/* A panel that stays from a layer's second forward to its backward. */
typedef struct ws_held {
    int par;
    int64_t row0;
    prog_view view;
} ws_held;

/* A gpt_source whose panels come through a link: weights become a buffer and
 * a load, finished gradients a drain. */
typedef struct ws_source {
    gpt_source src;
    gpt_build *b;
    const ws_choice *choice; /* borrowed                                  */
    gpt_acc *acc[2];         /* by parameter: main, embedding part        */
    ws_held *held;           /* of the layer whose backward is being made */
    int nheld;
    int32_t *last_drain; /* by parameter, -1: none                        */
    int32_t loss;        /* operation                                     */
} ws_source;

/* After a failure, too: ws_source_fini. */
MUST_USE status ws_source_init(ws_source *s, gpt_build *b,
                               const ws_choice *choice);
void ws_source_fini(ws_source *s);

/* Adds an operation between store and device on rows of a parameter. Lends
 * until the next operation is added. */
prog_op *ws_transfer(ws_source *s, op_kind kind, op_stream stream, int par,
                     int64_t row0, int64_t rows);

/* The rows of the embedding that the batch names, once each. */
prog_view ws_load_table(ws_source *s, const gpt_set *set);

/* A set of one empty program and one rank. Owns: *out, program_set_fini,
 * after a failure, too. */
MUST_USE status ws_single(program_set *out);

#endif
