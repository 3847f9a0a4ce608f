#include "kernels/dense_transpose.h"

#include "core/dense_layer.h"

FASTGEN_DENSE_LAYER(dense_transpose, true)
