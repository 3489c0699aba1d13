/* The recurrent cores' kernels for a device: what is left of a step beside its matrix products. The formulas are those of
 * engine/lstm.py and engine/mingru.py; engine/device_recurrence.py launches them.
 *
 * Real is the type of the network's products, float or Bfloat16. A state is float either way, and so is all arithmetic.
 * Every array is row-major. A reset [rows] is 1 where an episode starts: the state before that step counts as zero.
 */
#ifndef ENGINE_RECURRENCE_H
#define ENGINE_RECURRENCE_H

#include "real.h"

/* Whether an episode starts in this row; a null pointer: in none. */
DEVICE_FN bool starts(const uint8_t *reset, int row) { return reset && reset[row]; }

/* One LSTM step. `after` may be `cell`. */
template <class Real>
struct LstmForward {
    const Real *gates;         /* [rows, 4*hidden] pre-activations i|f|g|o */
    const Real *bias;          /* [4*hidden] or null: what is still to be added to them */
    const float *cell;         /* [rows, hidden]   cell state before the step */
    const uint8_t *reset;      /* [rows] or null */
    float *after;              /* [rows, hidden]   out: cell state after the step */
    Real *output;              /* [rows, hidden]   out: h */
    Real *carried;             /* [rows, hidden]   out: h as the next step receives it, or null */
    const uint8_t *reset_next; /* [rows] or null: the resets of that step */
    int64_t rows, hidden;
};

template <class Real>
DEVICE_FN void lstm_forward(const LstmForward<Real> &step, int element) {
    const int hidden = (int)step.hidden, row = element / hidden, k = element % hidden;
    const Real *const gates = step.gates + (int64_t)row * 4 * hidden + k;
    /* Everything is loaded before anything is computed, so that a thread waits for memory once. */
    float i = get(gates), f = get(gates + hidden), g = get(gates + 2 * hidden), o = get(gates + 3 * hidden);
    if (step.bias) {
        const Real *const bias = step.bias + k;
        i += get(bias), f += get(bias + hidden), g += get(bias + 2 * hidden), o += get(bias + 3 * hidden);
    }
    const float kept = step.cell[element], before = starts(step.reset, row) ? 0.0f : kept;
    const float in = sigmoid(i), forget = sigmoid(f), fresh = tanhf(g), out = sigmoid(o);
    const float cell = forget * before + in * fresh;
    const float h = out * tanhf(cell);
    step.after[element] = cell;
    put(step.output + element, h);
    if (step.carried) {
        put(step.carried + element, starts(step.reset_next, row) ? 0.0f : h);
    }
}

/* The mirror image of LstmForward; the activations are computed again, which costs less than to have kept them. */
template <class Real>
struct LstmBackward {
    Real *gates;               /* [rows, 4*hidden] in: pre-activations, out: their gradient */
    const float *cell;         /* [rows, hidden]   cell state before the step */
    const uint8_t *reset;      /* [rows] or null */
    const float *after;        /* [rows, hidden]   cell state after the step */
    const Real *d_output;      /* [rows, hidden]   gradient of `output` */
    const Real *d_carried;     /* [rows, hidden]   gradient of `carried` */
    const uint8_t *reset_next; /* [rows] or null: the resets of the next step */
    float *d_cell;             /* [rows, hidden]   in: gradient of `after` from the later steps, out: gradient of `cell` */
    int64_t rows, hidden;
};

template <class Real>
DEVICE_FN void lstm_backward(const LstmBackward<Real> &step, int element) {
    const int hidden = (int)step.hidden, row = element / hidden;
    Real *const gates = step.gates + (int64_t)row * 4 * hidden + element % hidden;
    const float i = get(gates), f = get(gates + hidden), g = get(gates + 2 * hidden), o = get(gates + 3 * hidden);
    const float kept = step.cell[element], after = step.after[element];
    const float d_output = get(step.d_output + element), d_carried = get(step.d_carried + element);
    const float d_cell = step.d_cell[element];
    const bool cut = starts(step.reset_next, row);
    const float before = starts(step.reset, row) ? 0.0f : kept;
    const float in = sigmoid(i), forget = sigmoid(f), fresh = tanhf(g), out = sigmoid(o), squashed = tanhf(after);
    const float dh = d_output + (cut ? 0.0f : d_carried);
    const float d = (cut ? 0.0f : d_cell) + dh * out * (1.0f - squashed * squashed);
    put(gates, d * fresh * in * (1.0f - in));
    put(gates + hidden, d * before * forget * (1.0f - forget));
    put(gates + 2 * hidden, d * in * (1.0f - fresh * fresh));
    put(gates + 3 * hidden, dh * squashed * out * (1.0f - out));
    step.d_cell[element] = d * forget;
}

/* A MinGRU layer over all steps: activations, recurrence and highway. */
template <class Real>
struct MinGruForward {
    const Real *raw;       /* [steps, rows, 3*hidden] pre-activations c|z|s */
    const Real *inputs;    /* [steps, rows, hidden] x */
    const float *start;    /* [rows, hidden]          h before the first step */
    const uint8_t *resets; /* [steps, rows] or null   the first row is not looked at */
    float *states;         /* [steps, rows, hidden]   out: h */
    Real *outputs;         /* [steps, rows, hidden]   out: y */
    int64_t rows, hidden, steps;
};

/* Steps that a thread loads before it computes the first of them: it waits for memory once in so many. */
#define AHEAD 8

/* Pre-activations and input of one unit at one step. */
struct MinGruUnit {
    float c, z, s, x;
    bool cut; /* an episode starts here */
};

template <class Scan>
DEVICE_FN MinGruUnit mingru_unit(const Scan &scan, int64_t t, int row, int k) {
    const int64_t at = t * scan.rows + row;
    const auto *const raw = scan.raw + at * 3 * scan.hidden + k;
    return {get(raw), get(raw + scan.hidden), get(raw + 2 * scan.hidden), get(scan.inputs + at * scan.hidden + k),
            t > 0 && scan.resets && scan.resets[at]};
}

/* One thread takes its unit of its row through the steps. */
template <class Real>
DEVICE_FN void mingru_forward(const MinGruForward<Real> &scan, int element) {
    const int hidden = (int)scan.hidden, row = element / hidden, k = element % hidden;
    float h = scan.start[element];
    for (int64_t first = 0; first < scan.steps; first += AHEAD) {
        MinGruUnit units[AHEAD];
#pragma unroll
        for (int j = 0; j < AHEAD; j++) {
            units[j] = mingru_unit(scan, first + j < scan.steps ? first + j : first, row, k);
        }
#pragma unroll
        for (int j = 0; j < AHEAD; j++) {
            if (first + j < scan.steps) {
                const MinGruUnit &at = units[j];
                const int64_t unit = (first + j) * scan.rows * hidden + element;
                const float update = sigmoid(at.z), low = sigmoid(at.c);
                h = (1.0f - update) * (at.cut ? 0.0f : h) + update * (at.c >= 0.0f ? at.c + 0.5f : low);
                scan.states[unit] = h;
                put(scan.outputs + unit, at.x + sigmoid(at.s) * (h - at.x));
            }
        }
    }
}

/* Its gradient, from the last step to the first. */
template <class Real>
struct MinGruBackward {
    const Real *raw;
    const Real *inputs;
    const float *start;
    const uint8_t *resets;
    const float *states;
    const Real *d_outputs; /* [steps, rows, hidden] */
    Real *d_inputs;        /* [steps, rows, hidden]   out: what reaches x by the highway */
    Real *d_raw;           /* [steps, rows, 3*hidden] out */
    int64_t rows, hidden, steps;
};

/* One step, for the gradient `dy` of its y and `later` of its h from the steps behind; gives that of the h before. */
template <class Real>
DEVICE_FN float mingru_gradient(const MinGruBackward<Real> &scan, const MinGruUnit &at, float h, float before, float dy,
                              float later, int64_t unit, Real *d_raw) {
    const float update = sigmoid(at.z), share = sigmoid(at.s), low = sigmoid(at.c);
    const float candidate = at.c >= 0.0f ? at.c + 0.5f : low, slope = at.c >= 0.0f ? 1.0f : low * (1.0f - low);
    const float dh = later + dy * share;
    put(scan.d_inputs + unit, dy * (1.0f - share));
    put(d_raw, dh * update * slope);
    put(d_raw + scan.hidden, dh * (candidate - (at.cut ? 0.0f : before)) * update * (1.0f - update));
    put(d_raw + 2 * scan.hidden, dy * (h - at.x) * share * (1.0f - share));
    return at.cut ? 0.0f : dh * (1.0f - update);
}

template <class Real>
DEVICE_FN void mingru_backward(const MinGruBackward<Real> &scan, int element) {
    const int hidden = (int)scan.hidden, row = element / hidden, k = element % hidden;
    const int64_t step = scan.rows * hidden;
    float later = 0.0f, h = scan.states[(scan.steps - 1) * step + element];
    for (int64_t last = scan.steps - 1; last >= 0; last -= AHEAD) {
        MinGruUnit units[AHEAD];
        float before[AHEAD], dy[AHEAD];
#pragma unroll
        for (int j = 0; j < AHEAD; j++) {
            const int64_t t = last - j >= 0 ? last - j : 0;
            units[j] = mingru_unit(scan, t, row, k);
            before[j] = *(t > 0 ? scan.states + (t - 1) * step + element : scan.start + element);
            dy[j] = get(scan.d_outputs + t * step + element);
        }
#pragma unroll
        for (int j = 0; j < AHEAD; j++) {
            if (last - j >= 0) {
                Real *const d_raw = scan.d_raw + ((last - j) * scan.rows + row) * 3 * hidden + k;
                const int64_t unit = (last - j) * step + element;
                later = mingru_gradient(scan, units[j], h, before[j], dy[j], later, unit, d_raw);
                h = before[j];
            }
        }
    }
}

/* The kernels `work`_float32 and `work`_bfloat16: a thread for each element of [rows, hidden]. */
#define CORE_KERNELS(work, Arguments)                                                              \
    DEVICE_KERNEL(work##_float32, work, Arguments<float>, arguments.rows * arguments.hidden)       \
    DEVICE_KERNEL(work##_bfloat16, work, Arguments<Bfloat16>, arguments.rows * arguments.hidden)

CORE_KERNELS(lstm_forward, LstmForward)
CORE_KERNELS(lstm_backward, LstmBackward)
CORE_KERNELS(mingru_forward, MinGruForward)
CORE_KERNELS(mingru_backward, MinGruBackward)

#endif
