/*
 * Inside of checkpoint: shared by checkpoint*.c alone.
 */
#ifndef WEFT_RESULTS_CHECKPOINT_IMPL_H
#define WEFT_RESULTS_CHECKPOINT_IMPL_H

#include "runtime/io/h5.h"
#include "runtime/results/checkpoint.h"

enum { CKPT_PATH_SIZE = 160, CKPT_STATES = 3 };

/* "/weights", ... by store_state. */
extern const char *const ckpt_groups[CKPT_STATES];

/* Group of the state and name of the tensor. */
void ckpt_tensor_path(store_state which, const char *name,
                      char out[CKPT_PATH_SIZE]);

/* Root attributes and texts; model, hash and layers from the arch. */
status ckpt_info_write(h5_file *f, const arch *a, const ckpt_info *info);
/* Checks format and version first. Owns: *info. */
status ckpt_info_read(const h5_file *f, ckpt_info *info);

/* ST_CONFIG with what differs unless the file holds this model. */
status ckpt_check_model(const h5_file *f, const ckpt_info *info, const arch *a);

#endif
