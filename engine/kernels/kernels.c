/* See kernels.h. Written as plain loops over contiguous floats for the compiler to vectorize; on x86-64 one clone per
 * instruction set, chosen when the library loads. */
#include "kernels.h"

#include <math.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && defined(__gnu_linux__)
#define CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CLONES
#endif
#define INLINE static inline __attribute__((always_inline))

/* exp by range reduction to [-ln2/2, ln2/2] and a polynomial of degree 6: relative error below 2e-7 on [-87, 88]. */
INLINE float exp_(float x) {
    x = x < -87.0f ? -87.0f : x;
    x = x > 88.0f ? 88.0f : x;
    const float n = __builtin_rintf(x * 1.44269504088896341f);
    const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    float p = 1.3888889e-3f;
    p = p * r + 8.3333333e-3f;
    p = p * r + 4.1666668e-2f;
    p = p * r + 1.6666667e-1f;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    const union {
        int32_t i;
        float f;
    } scale = {.i = ((int32_t)n + 127) * (1 << 23)};
    return p * scale.f;
}

INLINE float sigmoid_(float x) { return 1.0f / (1.0f + exp_(-x)); }

INLINE float tanh_(float x) { return 1.0f - 2.0f / (1.0f + exp_(2.0f * x)); }

CLONES
void lstm_forward(ptrdiff_t rows, ptrdiff_t hidden, float *gates, const float *cell, const uint8_t *reset, float *next,
                  float *output, ptrdiff_t output_stride, float *carried, ptrdiff_t carried_stride,
                  const uint8_t *reset_next) {
    for (ptrdiff_t row = 0; row < rows; row++) {
        float *const i = gates + row * 4 * hidden, *const f = i + hidden, *const g = f + hidden, *const o = g + hidden;
        const float *const before = cell + row * hidden;
        float *const after = next + row * hidden, *const h = output + row * output_stride;
        float *const carry = carried + row * carried_stride;
        const float keep = reset && reset[row] ? 0.0f : 1.0f;
        const float keep_next = reset_next && reset_next[row] ? 0.0f : 1.0f;
#pragma GCC ivdep
        for (ptrdiff_t k = 0; k < hidden; k++) {
            const float in = sigmoid_(i[k]), forget = sigmoid_(f[k]), new = tanh_(g[k]), out = sigmoid_(o[k]);
            const float c = forget * keep * before[k] + in * new;
            const float value = out * tanh_(c);
            i[k] = in;
            f[k] = forget;
            g[k] = new;
            o[k] = out;
            after[k] = c;
            h[k] = value;
            carry[k] = keep_next * value;
        }
    }
}

CLONES
void lstm_backward(ptrdiff_t rows, ptrdiff_t hidden, float *gates, const float *cell, const uint8_t *reset,
                   const float *next, const float *d_output, const float *d_hidden, const uint8_t *reset_next,
                   float *d_cell) {
    for (ptrdiff_t row = 0; row < rows; row++) {
        float *const i = gates + row * 4 * hidden, *const f = i + hidden, *const g = f + hidden, *const o = g + hidden;
        const float *const before = cell + row * hidden, *const after = next + row * hidden;
        const float *const dout = d_output + row * hidden, *const dh_carried = d_hidden + row * hidden;
        float *const dc = d_cell + row * hidden;
        const float keep = reset && reset[row] ? 0.0f : 1.0f;
        const float keep_next = reset_next && reset_next[row] ? 0.0f : 1.0f;
#pragma GCC ivdep
        for (ptrdiff_t k = 0; k < hidden; k++) {
            const float in = i[k], forget = f[k], new = g[k], out = o[k];
            const float squashed = tanh_(after[k]);
            const float dh = dout[k] + keep_next * dh_carried[k];
            const float d = keep_next * dc[k] + dh * out * (1.0f - squashed * squashed);
            i[k] = d * new * in * (1.0f - in);
            f[k] = d * keep * before[k] * forget * (1.0f - forget);
            g[k] = d * in * (1.0f - new * new);
            o[k] = dh * squashed * out * (1.0f - out);
            dc[k] = d * forget;
        }
    }
}

CLONES
void mingru_forward(ptrdiff_t steps, ptrdiff_t rows, ptrdiff_t hidden, const float *raw, const float *inputs,
                    const float *start, const uint8_t *resets, float *states, float *outputs) {
    for (ptrdiff_t t = 0; t < steps; t++) {
        for (ptrdiff_t row = 0; row < rows; row++) {
            const ptrdiff_t at = t * rows + row;
            const float *const c = raw + at * 3 * hidden, *const z = c + hidden, *const s = z + hidden;
            const float *const x = inputs + at * hidden;
            const float *const before = t ? states + (at - rows) * hidden : start + row * hidden;
            float *const h = states + at * hidden, *const y = outputs + at * hidden;
            const float keep = t && resets[at] ? 0.0f : 1.0f;
#pragma GCC ivdep
            for (ptrdiff_t k = 0; k < hidden; k++) {
                const float update = sigmoid_(z[k]), share = sigmoid_(s[k]);
                const float candidate = c[k] >= 0.0f ? c[k] + 0.5f : sigmoid_(c[k]);
                const float state = (1.0f - update) * keep * before[k] + update * candidate;
                h[k] = state;
                y[k] = x[k] + share * (state - x[k]);
            }
        }
    }
}

CLONES
void mingru_backward(ptrdiff_t steps, ptrdiff_t rows, ptrdiff_t hidden, const float *raw, const float *inputs,
                     const float *start, const uint8_t *resets, const float *states, const float *d_outputs,
                     float *d_inputs, float *d_raw, float *carry) {
    memset(carry, 0, (size_t)(rows * hidden) * sizeof(float));
    for (ptrdiff_t t = steps - 1; t >= 0; t--) {
        for (ptrdiff_t row = 0; row < rows; row++) {
            const ptrdiff_t at = t * rows + row;
            const float *const c = raw + at * 3 * hidden, *const z = c + hidden, *const s = z + hidden;
            const float *const x = inputs + at * hidden, *const h = states + at * hidden;
            const float *const before = t ? h - rows * hidden : start + row * hidden;
            const float *const dy = d_outputs + at * hidden;
            float *const dc = d_raw + at * 3 * hidden, *const dz = dc + hidden, *const ds = dz + hidden;
            float *const dx = d_inputs + at * hidden, *const later = carry + row * hidden;
            const float keep = t && resets[at] ? 0.0f : 1.0f;
#pragma GCC ivdep
            for (ptrdiff_t k = 0; k < hidden; k++) {
                const float update = sigmoid_(z[k]), share = sigmoid_(s[k]), low = sigmoid_(c[k]);
                const float candidate = c[k] >= 0.0f ? c[k] + 0.5f : low;
                const float slope = c[k] >= 0.0f ? 1.0f : low * (1.0f - low);
                const float dh = later[k] + dy[k] * share;
                dx[k] = dy[k] * (1.0f - share);
                ds[k] = dy[k] * (h[k] - x[k]) * share * (1.0f - share);
                dz[k] = dh * (candidate - keep * before[k]) * update * (1.0f - update);
                dc[k] = dh * update * slope;
                later[k] = dh * (1.0f - update) * keep;
            }
        }
    }
}

void sample_actions(ptrdiff_t rows, ptrdiff_t actions, const float *heads, const float *uniform, int32_t *chosen,
                    float *logprob, float *value) {
    for (ptrdiff_t row = 0; row < rows; row++) {
        const float *const logits = heads + row * (actions + 1);
        float top = logits[0];
        for (ptrdiff_t a = 1; a < actions; a++) top = logits[a] > top ? logits[a] : top;
        float total = 0.0f;
        for (ptrdiff_t a = 0; a < actions; a++) total += exp_(logits[a] - top);
        /* The last action catches the rounding error that leaves the running sum short of the target. */
        const float target = uniform[row] * total;
        float sum = 0.0f;
        ptrdiff_t pick = actions - 1;
        for (ptrdiff_t a = 0; a < actions - 1; a++) {
            sum += exp_(logits[a] - top);
            if (target < sum) {
                pick = a;
                break;
            }
        }
        chosen[row] = (int32_t)pick;
        logprob[row] = logits[pick] - top - logf(total);
        value[row] = logits[actions];
    }
}

/* Agents in blocks, so that the running advantages of a block stay in the first-level cache through all the steps. */
enum { BLOCK = 256 };

CLONES
void advantages(ptrdiff_t horizon, ptrdiff_t agents, const float *rewards, const float *values, const float *ratios,
                const uint8_t *done, const float *final_value, const float *bootstrap, float gamma, float lambda,
                float rho_clip, float c_clip, float *out) {
    for (ptrdiff_t first = 0; first < agents; first += BLOCK) {
        const ptrdiff_t count = agents - first < BLOCK ? agents - first : BLOCK;
        float running[BLOCK] = {0};
        for (ptrdiff_t t = horizon - 1; t >= 0; t--) {
            const ptrdiff_t at = t * agents + first;
            const float *const following = t + 1 < horizon ? values + at + agents : bootstrap + first;
#pragma GCC ivdep
            for (ptrdiff_t n = 0; n < count; n++) {
                const float alive = 1.0f - (float)done[at + n];
                const float ratio = ratios[at + n];
                const float rho = ratio < rho_clip ? ratio : rho_clip;
                const float c = ratio < c_clip ? ratio : c_clip;
                const float target = rewards[at + n] + gamma * (alive * following[n] + final_value[at + n]);
                running[n] = rho * (target - values[at + n]) + gamma * lambda * c * alive * running[n];
                out[at + n] = running[n];
            }
        }
    }
}
