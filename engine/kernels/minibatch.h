/* Kernels that put a minibatch together on a device and write down what became of it; engine/device_minibatch.py launches
 * them. Every array is row-major. */
#ifndef ENGINE_MINIBATCH_H
#define ENGINE_MINIBATCH_H

#include "advantages.h"
#include "draw.h"
#include "gather.h"

#endif
