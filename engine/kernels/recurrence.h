/* The recurrent cores' kernels for a device: what is left of a step beside its matrix products. The formulas are those of
 * engine/lstm.py and engine/mingru.py; engine/device_recurrence.py launches them.
 *
 * Real is the type of the network's products, float or Bfloat16. A state is float either way, and so is all arithmetic.
 * Every array is row-major. A reset [rows] is 1 where an episode starts: the state before that step counts as zero.
 *
 * A kernel is an EACH_THREAD block, which on a device runs once in each thread; a host that defines the macro as a loop runs
 * the same text.
 */
#ifndef ENGINE_RECURRENCE_H
#define ENGINE_RECURRENCE_H

#if defined(__CUDACC_RTC__)
/* The run-time compiler has no standard headers. */
typedef unsigned char uint8_t;
typedef unsigned short uint16_t;
typedef unsigned int uint32_t;
typedef long long int64_t;
#endif

#define DEVICE_THREADS 256

#ifndef EACH_THREAD
#define EACH_THREAD(thread) for (int thread = (int)threadIdx.x, once = 1; once; once = 0)
#endif

#define CORE_FN static __device__ __forceinline__

/* The upper half of a float. */
struct Bfloat16 {
    uint16_t bits;
};

union FloatBits {
    float value;
    uint32_t bits;
};

CORE_FN float get(const float *from) { return *from; }

CORE_FN float get(const Bfloat16 *from) {
    FloatBits whole;
    whole.bits = (uint32_t)from->bits << 16;
    return whole.value;
}

CORE_FN void put(float *to, float value) { *to = value; }

/* Rounds to the nearest, of two equally near ones to the even. A number that is none stays none. */
CORE_FN void put(Bfloat16 *to, float value) {
    FloatBits whole;
    whole.value = value;
    const uint32_t rounded = whole.bits + 0x7fffu + ((whole.bits >> 16) & 1u);
    to->bits = value == value ? (uint16_t)(rounded >> 16) : (uint16_t)0x7fc0;
}

CORE_FN float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

/* Whether an episode starts in this row; a null pointer: in none. */
CORE_FN bool starts(const uint8_t *reset, int row) { return reset && reset[row]; }

/* One LSTM step. `after` may be `cell`. */
template <class Real>
struct LstmForward {
    const Real *gates;         /* [rows, 4*hidden] pre-activations i|f|g|o */
    const float *cell;         /* [rows, hidden]   cell state before the step */
    const uint8_t *reset;      /* [rows] or null */
    float *after;              /* [rows, hidden]   out: cell state after the step */
    Real *output;              /* [rows, hidden]   out: h */
    Real *carried;             /* [rows, hidden]   out: h as the next step receives it, or null */
    const uint8_t *reset_next; /* [rows] or null: the resets of that step */
    int64_t rows, hidden;
};

template <class Real>
CORE_FN void lstm_forward(const LstmForward<Real> &step, int element) {
    const int hidden = (int)step.hidden, row = element / hidden;
    const Real *const gates = step.gates + (int64_t)row * 4 * hidden + element % hidden;
    const float in = sigmoid(get(gates)), forget = sigmoid(get(gates + hidden));
    const float fresh = tanhf(get(gates + 2 * hidden)), out = sigmoid(get(gates + 3 * hidden));
    const float before = starts(step.reset, row) ? 0.0f : step.cell[element];
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
CORE_FN void lstm_backward(const LstmBackward<Real> &step, int element) {
    const int hidden = (int)step.hidden, row = element / hidden;
    Real *const gates = step.gates + (int64_t)row * 4 * hidden + element % hidden;
    const float in = sigmoid(get(gates)), forget = sigmoid(get(gates + hidden));
    const float fresh = tanhf(get(gates + 2 * hidden)), out = sigmoid(get(gates + 3 * hidden));
    const float before = starts(step.reset, row) ? 0.0f : step.cell[element];
    const float squashed = tanhf(step.after[element]);
    const bool cut = starts(step.reset_next, row);
    const float dh = get(step.d_output + element) + (cut ? 0.0f : get(step.d_carried + element));
    const float d = (cut ? 0.0f : step.d_cell[element]) + dh * out * (1.0f - squashed * squashed);
    put(gates, d * fresh * in * (1.0f - in));
    put(gates + hidden, d * before * forget * (1.0f - forget));
    put(gates + 2 * hidden, d * in * (1.0f - fresh * fresh));
    put(gates + 3 * hidden, dh * squashed * out * (1.0f - out));
    step.d_cell[element] = d * forget;
}

/* A MinGRU layer over all steps: activations, recurrence and highway. `states` may be `start` where steps is 1. */
template <class Real>
struct MinGruForward {
    const Real *raw;       /* [steps, rows, 3*hidden] pre-activations c|z|s */
    const Real *inputs;    /* [steps, rows, hidden] x */
    const float *start;    /* [rows, hidden]          h before the first step */
    const uint8_t *resets; /* [steps, rows]           the first row is not looked at */
    float *states;         /* [steps, rows, hidden]   out: h */
    Real *outputs;         /* [steps, rows, hidden]   out: y */
    int64_t rows, hidden, steps;
};

CORE_FN float candidate_of(float c) { return c >= 0.0f ? c + 0.5f : sigmoid(c); }

/* One thread takes its unit of its row through the steps. */
template <class Real>
CORE_FN void mingru_forward(const MinGruForward<Real> &scan, int element) {
    const int hidden = (int)scan.hidden, row = element / hidden, k = element % hidden;
    float h = scan.start[element];
    for (int64_t t = 0; t < scan.steps; t++) {
        const int64_t at = t * scan.rows + row;
        const Real *const raw = scan.raw + at * 3 * hidden + k;
        const float update = sigmoid(get(raw + hidden)), share = sigmoid(get(raw + 2 * hidden));
        const float x = get(scan.inputs + at * hidden + k);
        const float before = t > 0 && scan.resets[at] ? 0.0f : h;
        h = (1.0f - update) * before + update * candidate_of(get(raw));
        scan.states[at * hidden + k] = h;
        put(scan.outputs + at * hidden + k, x + share * (h - x));
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

template <class Real>
CORE_FN void mingru_backward(const MinGruBackward<Real> &scan, int element) {
    const int hidden = (int)scan.hidden, row = element / hidden, k = element % hidden;
    float later = 0.0f;
    for (int64_t t = scan.steps - 1; t >= 0; t--) {
        const int64_t at = t * scan.rows + row, unit = at * hidden + k;
        const Real *const raw = scan.raw + at * 3 * hidden + k;
        Real *const d_raw = scan.d_raw + at * 3 * hidden + k;
        const float c = get(raw), update = sigmoid(get(raw + hidden)), share = sigmoid(get(raw + 2 * hidden));
        const float slope = c >= 0.0f ? 1.0f : sigmoid(c) * (1.0f - sigmoid(c));
        const bool cut = t > 0 && scan.resets[at];
        const float before = cut ? 0.0f : t > 0 ? scan.states[unit - scan.rows * hidden] : scan.start[element];
        const float x = get(scan.inputs + unit), h = scan.states[unit], dy = get(scan.d_outputs + unit);
        const float dh = later + dy * share;
        put(scan.d_inputs + unit, dy * (1.0f - share));
        put(d_raw, dh * update * slope);
        put(d_raw + hidden, dh * (candidate_of(c) - before) * update * (1.0f - update));
        put(d_raw + 2 * hidden, dy * (h - x) * share * (1.0f - share));
        later = cut ? 0.0f : dh * (1.0f - update);
    }
}

/* The kernel `work`_`type`: a thread for each element of [rows, hidden]. */
#define CORE_KERNEL(work, type, Arguments, Real)                                                          \
    extern "C" __global__ void __launch_bounds__(DEVICE_THREADS) work##_##type(const Arguments<Real> arguments) { \
        EACH_THREAD(thread) {                                                                             \
            const int64_t element = (int64_t)blockIdx.x * DEVICE_THREADS + thread;                        \
            if (element < arguments.rows * arguments.hidden) {                                            \
                work(arguments, (int)element);                                                            \
            }                                                                                             \
        }                                                                                                 \
    }

#define CORE_KERNELS(work, Arguments)             \
    CORE_KERNEL(work, float32, Arguments, float) \
    CORE_KERNEL(work, bfloat16, Arguments, Bfloat16)

CORE_KERNELS(lstm_forward, LstmForward)
CORE_KERNELS(lstm_backward, LstmBackward)
CORE_KERNELS(mingru_forward, MinGruForward)
CORE_KERNELS(mingru_backward, MinGruBackward)

#endif
