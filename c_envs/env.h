/* What every environment is made of.
 *
 * An environment is a header with a struct of constants (its config), a struct of plain data (its state) and the functions
 * check, build, reset, step, observe, valid, render and caption. A state owns no pointer and nothing outside it changes, so
 * copying its bytes saves, restores or forks it. step and observe use float arithmetic alone (no libc, no libm), which is
 * why the same seed gives the same bytes everywhere as long as the compiler does not contract a*b+c (-ffp-contract=off),
 * and why the same text compiles for a CUDA device.
 */
#ifndef C_ENVS_ENV_H
#define C_ENVS_ENV_H

#if defined(__CUDACC_RTC__)
/* The run-time compiler has no standard headers. */
typedef signed char int8_t;
typedef unsigned char uint8_t;
typedef short int16_t;
typedef unsigned short uint16_t;
typedef int int32_t;
typedef unsigned int uint32_t;
typedef long long int64_t;
typedef unsigned long long uint64_t;
#else
#include <stddef.h>
#include <stdint.h>
#endif

#if defined(__CUDACC__)
#define ENV_FN static __device__ __forceinline__
#else
#define ENV_FN static inline
#endif

#include "random.h"

/* ENV_OWN(step) is breakout_step where ENV is defined as breakout. */
#define ENV_JOIN_(a, b) a##b
#define ENV_JOIN(a, b) ENV_JOIN_(a, b)
#define ENV_OWN(name) ENV_JOIN(ENV, ENV_JOIN(_, name))

/* How a step left the episode. An end is one or the other, never both. */
enum { ENV_RUNNING = 0, ENV_TERMINAL = 1, ENV_TRUNCATED = 2 };

/* What a step writes for each agent. One that died takes no further part in the episode; the adapter makes a terminal of
 * it at once, because nothing can come to this agent any more. */
enum { ENV_WAITED = 0, ENV_ACTED = 1, ENV_DIED = 3 };

/* One action of one agent: a choice, or a number in [-1, 1], as the environment's spec says. */
typedef union EnvAction {
    int32_t choice;
    float value;
} EnvAction;

/* The first member of every state: the generator and the account of the running episode. */
typedef struct EnvEpisode {
    Pcg32 random;
    float total_reward; /* sum of the episode's rewards so far, over all agents */
    int32_t steps;      /* steps played in this episode */
} EnvEpisode;

/* Sums over the episodes that one environment has ended since somebody last asked. */
typedef struct EnvSums {
    int64_t episodes;
    double score;
    double total_reward;
    double steps;
} EnvSums;

/* v, or the nearer of low and high where it lies outside. v must not be nan. */
ENV_FN float env_clamp(float v, float low, float high) { return v < low ? low : (v > high ? high : v); }

/* 1 for a number that is finite and in [low, high]; 0 for any other, nan included. */
ENV_FN int env_within(float v, float low, float high) { return v >= low && v <= high; }

/* The number an action carries, in [-1, 1]; nan counts as 0. */
ENV_FN float env_action_value(EnvAction action) {
    return action.value == action.value ? env_clamp(action.value, -1.0f, 1.0f) : 0.0f;
}

/* The choice an action carries; anything outside 0 .. count-1 counts as 0, "do nothing" where there is that choice. */
ENV_FN int32_t env_action_choice(EnvAction action, int32_t count) {
    return action.choice >= 0 && action.choice < count ? action.choice : 0;
}

#endif
