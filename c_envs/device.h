/* The kernels that play a batch on a device, one thread an environment. The program that includes this has included the
 * environment and defined ENV, ENV_CONFIG, ENV_STATE, ENV_AGENTS (agents in one environment) and ENV_FLOATS (floats an
 * observation has).
 *
 * A kernel is a row of EACH_THREAD blocks with BARRIERs between them. On a device a block of code runs once in each thread;
 * a host that defines the two macros as a loop and nothing runs the same text.
 *
 * Compile it without contraction (--fmad=false): a*b+c rounded once instead of twice is another number, and the CPU build
 * of the same environments, whose bytes these kernels must give, is compiled without it, too.
 */
#ifndef C_ENVS_DEVICE_H
#define C_ENVS_DEVICE_H

#include "play.h"

#define DEVICE_THREADS 32

#ifndef EACH_THREAD
#define EACH_THREAD(thread) for (int thread = (int)threadIdx.x, once = 1; once; once = 0)
#define BARRIER() __syncthreads()
#endif

#define DEVICE_KERNEL(name) extern "C" __global__ void __launch_bounds__(DEVICE_THREADS) name

/* Where a batch lies in the device's memory. E environments, N = E * ENV_AGENTS rows, T slots. */
typedef struct DeviceLayout {
    const ENV_CONFIG *config;
    ENV_STATE *states;         /* [E] */
    EnvSums *sums;             /* [E] */
    float *observations;       /* [T+1, N, ENV_FLOATS] */
    const EnvAction *actions;  /* [T, N] */
    float *rewards;            /* [T, N] */
    uint8_t *terminals;        /* [T, N] */
    uint8_t *truncations;      /* [T, N] */
    uint8_t *masks;            /* [T, N] */
    float *final_observations; /* [N, ENV_FLOATS] */
    int64_t environments;      /* E */
} DeviceLayout;

#define DEVICE_ROW_FLOATS (ENV_AGENTS * ENV_FLOATS)

/* The first environment of this block of threads. */
#define DEVICE_FIRST(first) ((first) + (int64_t)blockIdx.x * DEVICE_THREADS)

/* Copies the observations of a block's environments from `tile` to the environments' rows, neighbours to neighbours:
 * threads that each wrote a row of their own would touch as many memory sectors as there are threads. */
ENV_FN void device_write(const float *tile, float *rows, int64_t environments, int thread) {
    const int floats = (int)(environments < DEVICE_THREADS ? environments : DEVICE_THREADS) * DEVICE_ROW_FLOATS;
    for (int k = thread; k < floats; k += DEVICE_THREADS) {
        rows[k] = tile[k];
    }
}

/* Every environment to the first episode that the seed gives it. The states must have been filled with zeros. */
DEVICE_KERNEL(device_reset)(const DeviceLayout batch, uint64_t seed) {
    EACH_THREAD(thread) {
        const int64_t i = DEVICE_FIRST(0) + thread;
        if (i < batch.environments) {
            ENV_OWN(reset)(batch.config, &batch.states[i], random_derive(seed, (uint64_t)i));
        }
    }
}

/* The observations of all environments into observations[slot]. */
DEVICE_KERNEL(device_observe)(const DeviceLayout batch, int64_t slot) {
    __shared__ float tile[DEVICE_THREADS * DEVICE_ROW_FLOATS];
    const int64_t block = DEVICE_FIRST(0);
    EACH_THREAD(thread) {
        if (block + thread < batch.environments) {
            ENV_OWN(observe)(batch.config, &batch.states[block + thread], tile + thread * DEVICE_ROW_FLOATS);
        }
    }
    BARRIER();
    EACH_THREAD(thread) {
        float *rows = batch.observations + (slot * batch.environments + block) * DEVICE_ROW_FLOATS;
        device_write(tile, rows, batch.environments - block, thread);
    }
}

/* Environments first .. last-1 play slot: actions[slot] in; rewards, terminals, truncations, masks[slot] and
 * observations[slot+1] out. */
DEVICE_KERNEL(device_step)(const DeviceLayout batch, int64_t slot, int64_t first, int64_t last) {
    __shared__ float tile[DEVICE_THREADS * DEVICE_ROW_FLOATS];
    const int64_t block = DEVICE_FIRST(first);
    EACH_THREAD(thread) {
        const int64_t i = block + thread;
        if (i < last) {
            const int64_t row = (slot * batch.environments + i) * ENV_AGENTS;
            ENV_STATE state = batch.states[i];
            ENV_OWN(play)(batch.config, &state, &batch.sums[i], ENV_AGENTS, batch.actions + row, batch.rewards + row,
                          batch.terminals + row, batch.truncations + row, batch.masks + row,
                          tile + thread * DEVICE_ROW_FLOATS, batch.final_observations + i * DEVICE_ROW_FLOATS);
            batch.states[i] = state;
        }
    }
    BARRIER();
    EACH_THREAD(thread) {
        float *rows = batch.observations + ((slot + 1) * batch.environments + block) * DEVICE_ROW_FLOATS;
        device_write(tile, rows, last - block, thread);
    }
}

#endif
