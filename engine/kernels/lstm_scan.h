/* An LSTM's recurrence through a segment in one launch, and its gradient in another: a block takes 8 rows through all
 * steps, and the recurrent weight stays where its threads multiply with it, in their registers and the block's memory.
 * The formulas are those of engine/lstm.py; engine/device_scan.py launches the kernels. A product's numbers are rounded to
 * TF32 or are Bfloat16 (mma.h), its sums and the cell states are float.
 *
 * SCAN_REAL, the type of the products, and SCAN_HIDDEN, the units, 32, 64 or 128, are defined before. Arrays are row-major
 * and begin at a multiple of 16 bytes, gates are in the order i|f|g|o. A row of `resets` has 1 where an episode starts: the
 * state before that step counts as zero. Its first row is not looked at.
 */
#ifndef ENGINE_LSTM_SCAN_H
#define ENGINE_LSTM_SCAN_H

#include "mma.h"

/* A warp has all gates of 16 units for itself. */
constexpr int UNITS = SCAN_HIDDEN, WARPS = UNITS / 16, SCAN_THREADS = 32 * WARPS, SCAN_ROWS = 8;

template <class Real>
struct LstmScanForward {
    Real *gates;           /* [steps, rows, 4*hidden]   in: pre-activations without the recurrent product, out: with it */
    const Real *weight;    /* [4*hidden, hidden]        w_hh */
    const uint8_t *resets; /* [steps, rows] */
    float *cells;          /* [steps + 1, rows, hidden] in: the first one, out: the cell state after each step */
    Real *carried;         /* [steps, rows, hidden]     in: the first one, out: h as each later step receives it */
    Real *outputs;         /* [steps, rows, hidden]     out: h */
    int64_t rows, steps;
};

/* The mirror image; the activations are computed again, which costs less than to have kept them. */
template <class Real>
struct LstmScanBackward {
    Real *gates;           /* [steps, rows, 4*hidden] in: pre-activations, out: their gradient */
    const Real *weight;    /* [4*hidden, hidden] */
    const uint8_t *resets; /* [steps, rows] */
    const float *cells;    /* [steps + 1, rows, hidden] */
    const Real *d_outputs; /* [steps, rows, hidden] */
    float *d_bias;         /* [rows, 4*hidden]        out: the gates' gradient, summed over the row's steps */
    int64_t rows, steps;
};

/* Where a thread stands: the parts of a product that are its own (mma.h). */
struct Stand {
    int warp = (int)threadIdx.x / 32, group = (int)threadIdx.x % 32 / 4, place = (int)threadIdx.x % 4;
};

/* A thread's parts of the tiles of the weight: of every 16 so many in its registers, and the others in the block's memory,
 * where nobody else looks at them. With float and 128 units all of them would be as many words as a multiprocessor has
 * registers. `index` is known when the program is compiled. */
template <class Real>
struct Weights {
    static constexpr int COUNT = UNITS * 4 * UNITS / Tensor<Real>::PER_WORD / (4 * SCAN_THREADS);
    static constexpr int KEPT = COUNT > 32 ? 9 : 16;
    static constexpr int SHARED = COUNT / 16 * (16 - KEPT);

    Words kept[(COUNT + 15) / 16 * KEPT];
    Words *const shared; /* [SHARED, SCAN_THREADS] */

    DEVICE_MEMBER explicit Weights(unsigned char *memory) : shared(reinterpret_cast<Words *>(memory)) {}

    DEVICE_MEMBER void set(int index, const Words &words) {
        if (index % 16 < KEPT) {
            kept[index / 16 * KEPT + index % 16] = words;
        } else {
            shared[place(index)] = words;
        }
    }

    DEVICE_MEMBER Words get(int index) const {
        return index % 16 < KEPT ? kept[index / 16 * KEPT + index % 16] : shared[place(index)];
    }

    DEVICE_FN int place(int index) {
        return (index / 16 * (16 - KEPT) + index % 16 - KEPT) * SCAN_THREADS + (int)threadIdx.x;
    }
};

/* The block's memory on the way forward: weights, and h of the rows for this step and for the next one. */
template <class Real>
struct ForwardMemory {
    static constexpr int WIDTH = UNITS / Tensor<Real>::PER_WORD, STATE = column(SCAN_ROWS - 1, WIDTH) + WIDTH;
    static constexpr int WEIGHTS = Weights<Real>::SHARED * SCAN_THREADS * (int)sizeof(Words);
    static constexpr int BYTES = WEIGHTS + 2 * STATE * (int)sizeof(uint32_t);
};

/* On the way back: weights, and each warp's share of the gradient of h, 16 units after the other. */
template <class Real>
struct BackwardMemory {
    static constexpr int TILE = column(SCAN_ROWS - 1, 16) + 16;
    static constexpr int WEIGHTS = Weights<Real>::SHARED * SCAN_THREADS * (int)sizeof(Words);
    static constexpr int BYTES = WEIGHTS + WARPS * WARPS * TILE * (int)sizeof(float);
};

/* The product on the way forward has gates for rows, the block's rows for columns, and sums over h. Of every 16 words of h
 * two products take, in this order, those that a lane loads at once:
 *
 *   first    low: 4 * place        high: 4 * place + 1
 *   second   low: 4 * place + 2    high: 4 * place + 3
 *
 * A warp's four tiles are gates i and f of the even ones of its units, g and o of these, and the same of the odd ones; so
 * a lane gets all gates of two neighbouring units, 2 * group and 2 * group + 1 of its warp's, in rows 2 * place and
 * 2 * place + 1. */
template <class Real>
DEVICE_FN void load_forward(Weights<Real> &weights, const Real *weight, const Stand &me) {
    constexpr int PER_WORD = Tensor<Real>::PER_WORD;
#pragma unroll
    for (int two = 0; two < ForwardMemory<Real>::WIDTH / 16; two++) {
#pragma unroll
        for (int tile = 0; tile < 4; tile++) {
            const int gate = tile % 2 * 2, unit = 16 * me.warp + 2 * me.group + tile / 2;
            const Real *const from = weight + (gate * UNITS + unit) * UNITS + (16 * two + 4 * me.place) * PER_WORD;
            Span<Real, 4 * PER_WORD> upper, lower;
            load(upper, from);
            load(lower, from + UNITS * UNITS);
#pragma unroll
            for (int second = 0; second < 2; second++) {
                const Real *const low = upper.at + 2 * second * PER_WORD, *const high = lower.at + 2 * second * PER_WORD;
                weights.set((2 * two + second) * 4 + tile,
                            {{Tensor<Real>::word(low, low + PER_WORD - 1), Tensor<Real>::word(high, high + PER_WORD - 1),
                              Tensor<Real>::word(low + PER_WORD, low + 2 * PER_WORD - 1),
                              Tensor<Real>::word(high + PER_WORD, high + 2 * PER_WORD - 1)}});
            }
        }
    }
}

/* Adds the product of the weight and of h to a lane's sums of its warp's tiles. */
template <class Real>
DEVICE_FN void multiply_forward(float (&sums)[4][4], const Weights<Real> &weights, const uint32_t *state, const Stand &me) {
    constexpr int WIDTH = ForwardMemory<Real>::WIDTH;
    const uint32_t *const from = state + column(me.group, WIDTH) + 4 * me.place;
    WARP_BARRIER(); /* rows that are not there take other branches */
#pragma unroll
    for (int two = 0; two < WIDTH / 16; two++) {
        Span<uint32_t, 4> h;
        load(h, from + 16 * two);
#pragma unroll
        for (int part = 0; part < 8; part++) {
            const int second = part / 4, tile = part % 4;
            Tensor<Real>::multiply(sums[tile], weights.get(two * 8 + part), h.at[2 * second], h.at[2 * second + 1]);
        }
    }
}

/* h of two neighbouring units as the next product takes it. */
DEVICE_FN void put_state(uint32_t *row, int unit, const Span<float, 2> &h) {
    const Span<uint32_t, 2> words = {{Tensor<float>::word(h.at, h.at), Tensor<float>::word(h.at + 1, h.at + 1)}};
    store(row + unit, words);
}

DEVICE_FN void put_state(uint32_t *row, int unit, const Span<Bfloat16, 2> &h) {
    row[unit / 2] = Tensor<Bfloat16>::word(h.at, h.at + 1);
}

/* What a thread loads for a step of the way forward while the one before is computed. */
template <class Real>
struct ForwardStep {
    Span<Real, 2> gates[2][4] = {};
    bool cut[2] = {}; /* an episode starts here */
};

template <class Real>
DEVICE_FN ForwardStep<Real> forward_step(const LstmScanForward<Real> &scan, int64_t t, int row, int unit) {
    ForwardStep<Real> step;
#pragma unroll
    for (int r = 0; r < 2; r++) {
        if (row + r < scan.rows) {
            const Real *const gates = scan.gates + t * scan.rows * 4 * UNITS;
#pragma unroll
            for (int gate = 0; gate < 4; gate++) {
                load(step.gates[r][gate], gates + ((row + r) * 4 + gate) * UNITS + unit);
            }
            step.cut[r] = t > 0 && scan.resets[t * scan.rows + row + r];
        }
    }
    return step;
}

template <class Real>
DEVICE_FN void scan_forward(const LstmScanForward<Real> &scan, unsigned char *memory) {
    typedef ForwardMemory<Real> Memory;
    const Stand me;
    const int row = (int)blockIdx.x * SCAN_ROWS + 2 * me.place, unit = 16 * me.warp + 2 * me.group;
    if ((int64_t)blockIdx.x * SCAN_ROWS >= scan.rows) {
        return;
    }
    uint32_t *const states = reinterpret_cast<uint32_t *>(memory + Memory::WEIGHTS);
    Weights<Real> weights(memory);
    load_forward(weights, scan.weight, me);

    Span<float, 2> cell[2] = {};
#pragma unroll
    for (int r = 0; r < 2; r++) {
        Span<Real, 2> h = {};
        if (row + r < scan.rows) {
            load(h, scan.carried + (int64_t)(row + r) * UNITS + unit);
            load(cell[r], scan.cells + (int64_t)(row + r) * UNITS + unit);
        }
        put_state(states + column(2 * me.place + r, Memory::WIDTH), unit, h);
    }
    ForwardStep<Real> step = forward_step(scan, 0, row, unit);
    BLOCK_BARRIER();

    for (int64_t t = 0; t < scan.steps; t++) {
        float sums[4][4];
#pragma unroll
        for (int part = 0; part < 16; part++) {
            const int tile = part / 4, gate = tile % 2 * 2 + part % 4 / 2;
            sums[tile][part % 4] = get(&step.gates[part % 2][gate].at[tile / 2]);
        }
        const bool later = t + 1 < scan.steps;
        if (later) {
            step = forward_step(scan, t + 1, row, unit);
        }
        multiply_forward(sums, weights, states + t % 2 * Memory::STATE, me);

#pragma unroll
        for (int r = 0; r < 2; r++) {
            Span<Real, 2> gates[4], h, carried;
            Span<float, 2> after;
#pragma unroll
            for (int odd = 0; odd < 2; odd++) {
                const float(&first)[4] = sums[2 * odd], (&second)[4] = sums[2 * odd + 1];
                const float i = first[r], f = first[2 + r], g = second[r], o = second[2 + r];
                put(&gates[0].at[odd], i), put(&gates[1].at[odd], f);
                put(&gates[2].at[odd], g), put(&gates[3].at[odd], o);
                after.at[odd] = sigmoid(f) * cell[r].at[odd] + sigmoid(i) * tanhf(g);
                const float out = sigmoid(o) * tanhf(after.at[odd]);
                put(&h.at[odd], out);
                put(&carried.at[odd], step.cut[r] ? 0.0f : out);
                cell[r].at[odd] = step.cut[r] ? 0.0f : after.at[odd];
            }
            if (row + r < scan.rows) {
                const int64_t step_size = scan.rows * UNITS;
                const int element = (row + r) * UNITS + unit;
#pragma unroll
                for (int gate = 0; gate < 4; gate++) {
                    store(scan.gates + t * step_size * 4 + ((row + r) * 4 + gate) * UNITS + unit, gates[gate]);
                }
                store(scan.outputs + t * step_size + element, h);
                store(scan.cells + (t + 1) * step_size + element, after);
                if (later) {
                    store(scan.carried + (t + 1) * step_size + element, carried);
                }
            }
            put_state(states + (t + 1) % 2 * Memory::STATE + column(2 * me.place + r, Memory::WIDTH), unit, carried);
        }
        BLOCK_BARRIER();
    }
}

/* The product on the way back has units for rows, the block's rows for columns, and sums over the gates. A warp multiplies
 * with the gates that its own lanes computed, so that none of them has to be handed on, and has a share of the gradient of
 * all units then; the tiles are 16 units each, of which a lane has 2 * group and 2 * group + 1.
 *
 * A lane computes four neighbouring units, from 4 * place of its warp's on, in row `group`. Their words of a gate are what
 * one product takes of Bfloat16, and two of float: product `n` has word 2 * n for low and word 2 * n + 1 for high. */
template <class Real>
struct Taken {
    static constexpr int PRODUCTS = 2 / Tensor<Real>::PER_WORD, ALL = 4 * PRODUCTS;
};

template <class Real>
DEVICE_FN void load_backward(Weights<Real> &weights, const Real *weight, const Stand &me) {
    constexpr int PER_WORD = Tensor<Real>::PER_WORD;
#pragma unroll
    for (int tile = 0; tile < WARPS; tile++) {
#pragma unroll
        for (int product = 0; product < Taken<Real>::ALL; product++) {
            const int gate = product / Taken<Real>::PRODUCTS, word = product % Taken<Real>::PRODUCTS * 2;
            const int unit = 16 * me.warp + 4 * me.place + word * PER_WORD;
            const Real *const from = weight + (gate * UNITS + unit) * UNITS + 16 * tile + 2 * me.group;
            Span<Real, 2> low, low_next, high, high_next;
            load(low, from);
            load(low_next, from + (PER_WORD - 1) * UNITS);
            load(high, from + PER_WORD * UNITS);
            load(high_next, from + (2 * PER_WORD - 1) * UNITS);
            weights.set(tile * Taken<Real>::ALL + product,
                        {{Tensor<Real>::word(low.at, low_next.at), Tensor<Real>::word(low.at + 1, low_next.at + 1),
                          Tensor<Real>::word(high.at, high_next.at), Tensor<Real>::word(high.at + 1, high_next.at + 1)}});
        }
    }
}

/* A warp's share of the gradient of h, from the gates' gradient of its units. Two tiles at a time: a product waits for the
 * one before whose sums it adds to. */
template <class Real>
DEVICE_FN void multiply_backward(float *shares, const Weights<Real> &weights, const Span<Real, 4> (&d_gates)[4],
                                 const Stand &me) {
    constexpr int PER_WORD = Tensor<Real>::PER_WORD, ALL = Taken<Real>::ALL, TILE = BackwardMemory<Real>::TILE;
    uint32_t words[2 * ALL];
#pragma unroll
    for (int word = 0; word < 2 * ALL; word++) {
        const Real *const from = d_gates[word / (4 / PER_WORD)].at + word % (4 / PER_WORD) * PER_WORD;
        words[word] = Tensor<Real>::word(from, from + PER_WORD - 1);
    }
    WARP_BARRIER();
#pragma unroll
    for (int first = 0; first < WARPS; first += 2) {
        float sums[2][4] = {};
#pragma unroll
        for (int part = 0; part < 2 * ALL; part++) {
            const int product = part / 2, tile = part % 2;
            Tensor<Real>::multiply(sums[tile], weights.get((first + tile) * ALL + product), words[2 * product],
                                   words[2 * product + 1]);
        }
#pragma unroll
        for (int part = 0; part < 4; part++) {
            const int tile = part / 2, r = part % 2;
            const Span<float, 2> share = {{sums[tile][r], sums[tile][2 + r]}};
            store(shares + (me.warp * WARPS + first + tile) * TILE + column(2 * me.place + r, 16) + 2 * me.group, share);
        }
    }
}

/* The gradient of h of a lane's units: all warps' shares together. */
DEVICE_FN Span<float, 4> add_shares(const float *shares, int tile_words, const Stand &me) {
    Span<float, 4> sum = {};
#pragma unroll
    for (int warp = 0; warp < WARPS; warp++) {
        Span<float, 4> share;
        load(share, shares + (warp * WARPS + me.warp) * tile_words + column(me.group, 16) + 4 * me.place);
#pragma unroll
        for (int k = 0; k < 4; k++) {
            sum.at[k] += share.at[k];
        }
    }
    return sum;
}

/* What a thread loads for a step of the way back while the one behind it is computed. */
template <class Real>
struct BackwardStep {
    Span<Real, 4> gates[4] = {}, d_output = {};
    Span<float, 4> cell = {}; /* before the step */
    bool cut = false;         /* an episode starts here */
};

template <class Real>
DEVICE_FN BackwardStep<Real> backward_step(const LstmScanBackward<Real> &scan, int64_t t, int row, int unit) {
    BackwardStep<Real> step;
    if (row < scan.rows) {
        const int64_t before = t * scan.rows;
        const int element = row * UNITS + unit;
#pragma unroll
        for (int gate = 0; gate < 4; gate++) {
            load(step.gates[gate], scan.gates + before * 4 * UNITS + (row * 4 + gate) * UNITS + unit);
        }
        load(step.d_output, scan.d_outputs + before * UNITS + element);
        load(step.cell, scan.cells + before * UNITS + element);
        step.cut = t > 0 && scan.resets[before + row];
    }
    return step;
}

template <class Real>
DEVICE_FN void scan_backward(const LstmScanBackward<Real> &scan, unsigned char *memory) {
    typedef BackwardMemory<Real> Memory;
    const Stand me;
    const int row = (int)blockIdx.x * SCAN_ROWS + me.group, unit = 16 * me.warp + 4 * me.place;
    if ((int64_t)blockIdx.x * SCAN_ROWS >= scan.rows) {
        return;
    }
    const bool there = row < scan.rows;
    float *const shares = reinterpret_cast<float *>(memory + Memory::WEIGHTS);
    Weights<Real> weights(memory);
    load_backward(weights, scan.weight, me);

    Span<float, 4> d_bias[4] = {}, d_cell = {}, d_carried = {}, after = {};
    if (there) {
        load(after, scan.cells + (scan.steps * scan.rows + row) * UNITS + unit);
    }
    BackwardStep<Real> step = backward_step(scan, scan.steps - 1, row, unit);
    for (int64_t t = scan.steps - 1; t >= 0; t--) {
        Span<Real, 4> d_gates[4];
#pragma unroll
        for (int k = 0; k < 4; k++) {
            const float in = sigmoid(get(&step.gates[0].at[k])), forget = sigmoid(get(&step.gates[1].at[k]));
            const float fresh = tanhf(get(&step.gates[2].at[k])), out = sigmoid(get(&step.gates[3].at[k]));
            const float before = step.cut ? 0.0f : step.cell.at[k], squashed = tanhf(after.at[k]);
            const float dh = get(&step.d_output.at[k]) + d_carried.at[k];
            const float d = d_cell.at[k] + dh * out * (1.0f - squashed * squashed);
            const float gradient[4] = {d * fresh * in * (1.0f - in), d * before * forget * (1.0f - forget),
                                       d * in * (1.0f - fresh * fresh), dh * squashed * out * (1.0f - out)};
#pragma unroll
            for (int gate = 0; gate < 4; gate++) {
                put(&d_gates[gate].at[k], gradient[gate]);
                d_bias[gate].at[k] += gradient[gate];
            }
            d_cell.at[k] = step.cut ? 0.0f : d * forget;
        }
        if (there) {
#pragma unroll
            for (int gate = 0; gate < 4; gate++) {
                store(scan.gates + t * scan.rows * 4 * UNITS + (row * 4 + gate) * UNITS + unit, d_gates[gate]);
            }
        }
        if (t > 0) {
            const bool cut = step.cut;
            after = step.cell;
            step = backward_step(scan, t - 1, row, unit);
            BLOCK_BARRIER(); /* everybody has added up the shares of the step behind this one */
            multiply_backward(shares, weights, d_gates, me);
            BLOCK_BARRIER();
            const Span<float, 4> sum = add_shares(shares, Memory::TILE, me);
#pragma unroll
            for (int k = 0; k < 4; k++) {
                d_carried.at[k] = cut ? 0.0f : sum.at[k];
            }
        }
    }
    if (there) {
#pragma unroll
        for (int gate = 0; gate < 4; gate++) {
            store(scan.d_bias + ((int64_t)row * 4 + gate) * UNITS + unit, d_bias[gate]);
        }
    }
}

/* A block for every 8 rows. */
extern "C" __global__ void __launch_bounds__(SCAN_THREADS) lstm_scan_forward(const LstmScanForward<SCAN_REAL> scan) {
    SHARED_MEMORY(memory);
    scan_forward(scan, memory);
}

extern "C" __global__ void __launch_bounds__(SCAN_THREADS) lstm_scan_backward(const LstmScanBackward<SCAN_REAL> scan) {
    SHARED_MEMORY(memory);
    scan_backward(scan, memory);
}

#endif
