/* Fused float32 kernels of the CPU path. Every array is row-major; a `stride` counts floats from one row to the next. */
#ifndef ENGINE_KERNELS_H
#define ENGINE_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* One LSTM step over `rows` rows of `hidden` units.
 * gates   [rows, 4*hidden] in: pre-activations i|f|g|o, out: activations in place
 * cell    [rows, hidden]   in: cell state before the step
 * reset   [rows]           1: this row's cell state counts as zero before the step; NULL: none does
 * next    [rows, hidden]   out: cell state after the step (may be `cell`)
 * output  [rows, hidden]   out: hidden state h
 * carried [rows, hidden]   out: h as the next step receives it, zero where reset_next is 1 */
void lstm_forward(ptrdiff_t rows, ptrdiff_t hidden, float *gates, const float *cell, const uint8_t *reset, float *next,
                  float *output, ptrdiff_t output_stride, float *carried, ptrdiff_t carried_stride,
                  const uint8_t *reset_next);

/* The mirror image of lstm_forward.
 * gates    [rows, 4*hidden] in: activations, out: gradient of the pre-activations in place
 * cell     [rows, hidden]   cell state before the step, as it was passed to lstm_forward
 * next     [rows, hidden]   cell state after the step
 * d_output [rows, hidden]   gradient of `output`
 * d_hidden [rows, hidden]   gradient of `carried`
 * d_cell   [rows, hidden]   in: gradient of `next` as the later step left it, out: gradient of `cell` */
void lstm_backward(ptrdiff_t rows, ptrdiff_t hidden, float *gates, const float *cell, const uint8_t *reset,
                   const float *next, const float *d_output, const float *d_hidden, const uint8_t *reset_next,
                   float *d_cell);

/* A MinGRU layer over `steps` steps of `rows` rows: activations, recurrence and highway (see engine/mingru.py).
 * raw    [steps, rows, 3*hidden] pre-activations c|z|s
 * inputs, states, outputs [steps, rows, hidden]; states out: h_t, outputs out: y_t
 * start  [rows, hidden] h before the first step (may be `states` when steps is 1)
 * resets [steps, rows] 1: h before this step counts as zero; row 0 is not looked at */
void mingru_forward(ptrdiff_t steps, ptrdiff_t rows, ptrdiff_t hidden, const float *raw, const float *inputs,
                    const float *start, const uint8_t *resets, float *states, float *outputs);

/* Its gradient. d_outputs in; d_inputs (the highway's share) and d_raw out. `carry` is room for rows*hidden floats. */
void mingru_backward(ptrdiff_t steps, ptrdiff_t rows, ptrdiff_t hidden, const float *raw, const float *inputs,
                     const float *start, const uint8_t *resets, const float *states, const float *d_outputs,
                     float *d_inputs, float *d_raw, float *carry);

/* Draws an action a row by inverse transform sampling of softmax(heads[:, :actions]).
 * heads    [rows, actions+1] logits, then the value
 * uniform  [rows]            numbers in [0, 1)
 * chosen, logprob, value [rows] out */
void sample_actions(ptrdiff_t rows, ptrdiff_t actions, const float *heads, const float *uniform, int32_t *chosen,
                    float *logprob, float *value);

/* Generalized advantages with V-trace clipping for `agents` segments of `horizon` steps, arrays time-major [horizon, agents].
 * done: the step ended the episode; final_value: value of the last observation where it ended by truncation, else 0;
 * bootstrap [agents]: value of the observation after the segment. */
void advantages(ptrdiff_t horizon, ptrdiff_t agents, const float *rewards, const float *values, const float *ratios,
                const uint8_t *done, const float *final_value, const float *bootstrap, float gamma, float lambda,
                float rho_clip, float c_clip, float *out);

#endif
