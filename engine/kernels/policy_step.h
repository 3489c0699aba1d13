/* A step of the rollout in one launch: encoder, core, heads, action. A block takes some agents through all layers: what a
 * layer says stays in the block's memory, and the weights come from where all blocks read them, the device's cache. The
 * formulas are those of engine/policy.py, the cores' files and engine/collector.py; engine/device_policy.py launches it.
 * A product's numbers are rounded to TF32 (mma.h), but for the heads', and its sums are float.
 *
 * Defined before: POLICY_INPUTS numbers of an observation; POLICY_UNITS, 32, 64 or 128, of a layer; POLICY_LAYERS of the
 * core; POLICY_CORE, what it is; POLICY_HEADS, actions and the value; POLICY_ROWS, agents of a block, a multiple of 8.
 * Arrays are row-major, weights are 16 bytes aligned.
 */
#ifndef ENGINE_POLICY_STEP_H
#define ENGINE_POLICY_STEP_H

#include "action.h"
#include "mma.h"

/* The cores, by how many gates a unit has. */
#define CORE_NONE 1
#define CORE_MINGRU 3
#define CORE_LSTM 4

/* A warp has 8 units of every layer for itself, with all their gates, and all rows of the block. */
constexpr int UNITS = POLICY_UNITS, ROWS = POLICY_ROWS, COLUMNS = ROWS / 8, HEADS = POLICY_HEADS;
constexpr int POLICY_THREADS = 32 * (UNITS / 8), GATES = POLICY_CORE, LAYERS = POLICY_LAYERS;
/* Weights and biases of a layer, in this order: w_ih, w_hh, b_ih, b_hh of an LSTM, weight and bias of the others. */
constexpr int LAYER_PARAMETERS = POLICY_CORE == CORE_LSTM ? 4 : 2;
/* Planes of the recurrent state for each layer. */
constexpr int PARTS = POLICY_CORE == CORE_LSTM ? 2 : POLICY_CORE == CORE_MINGRU ? 1 : 0;
/* Threads that share the sum of one output of the heads, as in experience.h. */
constexpr int SHARES = 8;

/* The arrays that have a step's row are rows of the rollout buffer: those of step *step, which lie `agents` rows behind
 * those of the step before; a null pointer: those of step 0. */
struct PolicyStep {
    const float *observations; /* [rows, inputs]              of the step */
    float *state;              /* [layers * parts, rows, units] in and out; a plane lies `agents` rows behind another */
    const uint8_t *ended;      /* [rows] or null              of the step: not 0 where the step before ended an episode */
    const uint8_t *cut;        /* [rows] or null              likewise, by a time limit */
    const int64_t *step;       /* one number, or null */
    const float *uniform;      /* [rows] in [0, 1)            of the step */
    int32_t *actions;          /* [rows] out                  of the step, as are the next two */
    float *logprobs;
    float *values;
    const float *encoder[2];   /* [units, inputs] and [units] */
    const float *heads[2];     /* [HEADS, units] and [HEADS] */
    const float *layers[LAYERS * LAYER_PARAMETERS];
    int64_t rows, agents;
};

template <class Value, int COUNT>
struct alignas(COUNT * sizeof(Value)) Span {
    Value at[COUNT];
};

/* Where a thread stands: the parts of a product that are its own (mma.h). Of every column of eight agents it has agents
 * 2 * place and 2 * place + 1, and of every gate one unit. */
struct Stand {
    int group = (int)threadIdx.x % 32 / 4, place = (int)threadIdx.x % 4, unit = (int)threadIdx.x / 32 * 8 + group;

    /* The agent of the block that number `r`, 0 or 1, of a column is. */
    DEVICE_MEMBER int row(int column, int r) const { return 8 * column + 2 * place + r; }
};

/* Words of an agent's row in the block's memory that is `width` numbers wide, a multiple of 16. */
constexpr DEVICE_FN int padded(int width) { return (width + 15) / 16 * 16; }

/* The first word of agent `n`: so far apart that neither lanes that load four words of a row nor lanes that store one meet
 * in a bank of the block's memory. */
constexpr DEVICE_FN int place_of(int n, int width) { return n * (padded(width) | 16) + n / 2 * 8; }

constexpr DEVICE_FN int larger(int one, int other) { return one > other ? one : other; }

/* The block's memory: what goes into a layer, what comes out of it, an LSTM's h, and the heads. */
struct Memory {
    static constexpr int IN = place_of(ROWS - 1, larger(POLICY_INPUTS, UNITS)) + padded(larger(POLICY_INPUTS, UNITS));
    static constexpr int OUT = place_of(ROWS - 1, UNITS) + padded(UNITS);
    static constexpr int RECURRENT = POLICY_CORE == CORE_LSTM ? OUT : 0;
    static constexpr int SHARED = ROWS * HEADS * SHARES, ALL = ROWS * HEADS;
    static constexpr int BYTES = 4 * (IN + OUT + RECURRENT + SHARED + ALL);
};

DEVICE_FN uint32_t tf32(float value) { return Tensor<float>::word(&value, &value); }

/* Four numbers of a row of a weight [., WIDTH] from column k; zeros behind its end. */
template <int WIDTH>
DEVICE_FN Span<float, 4> four(const float *row, int k) {
    if (WIDTH % 16 == 0) {
        return *reinterpret_cast<const Span<float, 4> *>(row + k);
    }
    Span<float, 4> numbers;
#pragma unroll
    for (int j = 0; j < 4; j++) {
        numbers.at[j] = k + j < WIDTH ? row[k + j] : 0.0f;
    }
    return numbers;
}

/* Sums of COUNT gates of a lane's unit, for its agents. Two gates are a tile: an odd one's other half stays unused. */
template <int COUNT>
struct Sums {
    static constexpr int TILES = (COUNT + 1) / 2;
    float tiles[TILES][COLUMNS][4];

    DEVICE_MEMBER float &at(int gate, int column, int r) { return tiles[gate / 2][column][gate % 2 * 2 + r]; }

    /* Every sum starts with its gate's bias. */
    DEVICE_MEMBER void begin(const float *bias, const Stand &me) {
#pragma unroll
        for (int gate = 0; gate < 2 * TILES; gate++) {
            const float start = gate < COUNT ? bias[gate * UNITS + me.unit] : 0.0f;
#pragma unroll
            for (int column = 0; column < COLUMNS; column++) {
                at(gate, column, 0) = at(gate, column, 1) = start;
            }
        }
    }

    DEVICE_MEMBER void add(const float *bias, const Stand &me) {
#pragma unroll
        for (int gate = 0; gate < COUNT; gate++) {
#pragma unroll
            for (int column = 0; column < COLUMNS; column++) {
                at(gate, column, 0) += bias[gate * UNITS + me.unit];
                at(gate, column, 1) += bias[gate * UNITS + me.unit];
            }
        }
    }

    /* Adds the product of a weight [COUNT * units, WIDTH] and of the agents' rows. Of every 16 numbers of a row two
     * products take, in this order, those that a lane loads at once. */
    template <int WIDTH>
    DEVICE_MEMBER void multiply(const float *weight, const uint32_t *rows, const Stand &me) {
#pragma unroll 4
        for (int k = 4 * me.place; k < padded(WIDTH); k += 16) {
            Words words[TILES][2];
#pragma unroll
            for (int tile = 0; tile < TILES; tile++) {
                const float *const row = weight + (2 * tile * UNITS + me.unit) * WIDTH;
                const Span<float, 4> upper = four<WIDTH>(row, k);
                Span<float, 4> lower = {};
                if (2 * tile + 1 < COUNT) {
                    lower = four<WIDTH>(row + UNITS * WIDTH, k);
                }
#pragma unroll
                for (int j = 0; j < 4; j++) {
                    words[tile][j / 2].at[j % 2 * 2] = tf32(upper.at[j]);
                    words[tile][j / 2].at[j % 2 * 2 + 1] = tf32(lower.at[j]);
                }
            }
#pragma unroll
            for (int column = 0; column < COLUMNS; column++) {
                const Span<uint32_t, 4> numbers =
                    *reinterpret_cast<const Span<uint32_t, 4> *>(rows + place_of(8 * column + me.group, WIDTH) + k);
#pragma unroll
                for (int tile = 0; tile < TILES; tile++) {
                    Tensor<float>::multiply(tiles[tile][column], words[tile][0], numbers.at[0], numbers.at[1]);
                    Tensor<float>::multiply(tiles[tile][column], words[tile][1], numbers.at[2], numbers.at[3]);
                }
            }
        }
    }
};

/* The agents of a block, and what a lane keeps of them between layers. */
struct Agents {
    const PolicyStep &of;
    const Stand me;
    const int64_t first = (int64_t)blockIdx.x * ROWS, at = of.step ? *of.step * of.agents : 0;
    float output[COLUMNS][2] = {}; /* of the layer before, of the lane's unit */

    DEVICE_MEMBER explicit Agents(const PolicyStep &step) : of(step) {}

    DEVICE_MEMBER bool there(int row) const { return first + row < of.rows; }

    /* Whether the step before ended the agent's episode. */
    DEVICE_MEMBER bool starts(int row) const {
        const int64_t flag = at + first + row;
        return (of.ended && of.ended[flag]) || (of.cut && of.cut[flag]);
    }

    /* The state of an agent's unit in a plane. */
    DEVICE_MEMBER float *state(int plane, int row, int unit) const {
        return of.state + (plane * of.agents + first + row) * UNITS + unit;
    }

    DEVICE_MEMBER float before(int plane, int row, int unit) const {
        return there(row) && !starts(row) ? *state(plane, row, unit) : 0.0f;
    }

    DEVICE_MEMBER void after(int plane, int row, int unit, float value) const {
        if (there(row)) {
            *state(plane, row, unit) = value;
        }
    }
};

DEVICE_FN void load_observations(const Agents &agents, uint32_t *rows) {
    for (int i = (int)threadIdx.x; i < ROWS * padded(POLICY_INPUTS); i += POLICY_THREADS) {
        const int row = i / padded(POLICY_INPUTS), k = i % padded(POLICY_INPUTS);
        const int64_t from = (agents.at + agents.first + row) * POLICY_INPUTS + k;
        const bool has = k < POLICY_INPUTS && agents.there(row);
        rows[place_of(row, POLICY_INPUTS) + k] = has ? tf32(agents.of.observations[from]) : 0u;
    }
}

/* An LSTM's h of a layer, as its product takes it. */
DEVICE_FN void load_recurrent(const Agents &agents, int layer, uint32_t *rows) {
    for (int i = (int)threadIdx.x; i < ROWS * UNITS; i += POLICY_THREADS) {
        rows[place_of(i / UNITS, UNITS) + i % UNITS] = tf32(agents.before(layer * PARTS, i / UNITS, i % UNITS));
    }
}

/* A number that is none stays none. */
DEVICE_FN float relu(float value) { return value < 0.0f ? 0.0f : value; }

/* What of the state a lane needs when it has the sums: an LSTM's cell state, a MinGRU's h. */
struct Before {
    float at[COLUMNS][2] = {};

    DEVICE_MEMBER Before(const Agents &agents, int layer) {
#pragma unroll
        for (int column = 0; column < COLUMNS && PARTS > 0; column++) {
#pragma unroll
            for (int r = 0; r < 2; r++) {
                at[column][r] = agents.before(layer * PARTS + PARTS - 1, agents.me.row(column, r), agents.me.unit);
            }
        }
    }
};

/* A layer of the core from a lane's sums of its gates; `output` comes to hold what it says. */
DEVICE_FN void gates_of(Agents &agents, Sums<GATES> &sums, const Before &before, int layer) {
#pragma unroll
    for (int column = 0; column < COLUMNS; column++) {
#pragma unroll
        for (int r = 0; r < 2; r++) {
            const int row = agents.me.row(column, r), unit = agents.me.unit;
            float &output = agents.output[column][r];
#if POLICY_CORE == CORE_LSTM
            const float i = sigmoid(sums.at(0, column, r)), f = sigmoid(sums.at(1, column, r));
            const float g = tanhf(sums.at(2, column, r)), o = sigmoid(sums.at(3, column, r));
            const float cell = f * before.at[column][r] + i * g;
            output = o * tanhf(cell);
            agents.after(layer * PARTS, row, unit, output);
            agents.after(layer * PARTS + 1, row, unit, cell);
#elif POLICY_CORE == CORE_MINGRU
            const float c = sums.at(0, column, r), update = sigmoid(sums.at(1, column, r));
            const float candidate = c >= 0.0f ? c + 0.5f : sigmoid(c);
            const float h = (1.0f - update) * before.at[column][r] + update * candidate;
            agents.after(layer, row, unit, h);
            output += sigmoid(sums.at(2, column, r)) * (h - output);
#else
            (void)row, (void)unit, (void)before, (void)layer;
            output = relu(sums.at(0, column, r));
#endif
        }
    }
}

/* Writes the lane's outputs to the agents' rows, as words of a product or, for the heads, as they are. */
DEVICE_FN void put_outputs(const Agents &agents, uint32_t *rows, bool exact) {
#pragma unroll
    for (int column = 0; column < COLUMNS; column++) {
#pragma unroll
        for (int r = 0; r < 2; r++) {
            FloatBits whole;
            whole.value = agents.output[column][r];
            const int to = place_of(agents.me.row(column, r), UNITS) + agents.me.unit;
            rows[to] = exact ? whole.bits : tf32(whole.value);
        }
    }
}

/* Logits and values of the block's agents, and actions. */
DEVICE_FN void act(const Agents &agents, const uint32_t *rows, float *shared, float *all) {
    const PolicyStep &of = agents.of;
    for (int i = (int)threadIdx.x; i < ROWS * HEADS * SHARES; i += POLICY_THREADS) {
        const float *const weight = of.heads[0] + i / SHARES % HEADS * UNITS;
        const float *const outputs = reinterpret_cast<const float *>(rows + place_of(i / SHARES / HEADS, UNITS));
        float sum = 0.0f;
#pragma unroll
        for (int k = i % SHARES; k < UNITS; k += SHARES) {
            sum += outputs[k] * weight[k];
        }
        shared[i] = sum;
    }
    BLOCK_BARRIER();
    for (int i = (int)threadIdx.x; i < ROWS * HEADS; i += POLICY_THREADS) {
        float sum = of.heads[1][i % HEADS];
        for (int share = 0; share < SHARES; share++) {
            sum += shared[i * SHARES + share];
        }
        all[i] = sum;
    }
    BLOCK_BARRIER();
    for (int row = (int)threadIdx.x; row < ROWS; row += POLICY_THREADS) {
        if (agents.there(row)) {
            const int64_t at = agents.at + agents.first + row;
            const float *const heads = all + row * HEADS;
            of.actions[at] = choose(heads, HEADS - 1, of.uniform[at], of.logprobs[at]);
            of.values[at] = heads[HEADS - 1];
        }
    }
}

extern "C" __global__ void __launch_bounds__(POLICY_THREADS) policy_step(const PolicyStep of) {
    SHARED_MEMORY(memory);
    uint32_t *const in = reinterpret_cast<uint32_t *>(memory), *const out = in + Memory::IN;
    uint32_t *const recurrent = out + Memory::OUT;
    float *const shared = reinterpret_cast<float *>(recurrent + Memory::RECURRENT);
    Agents agents(of);
    if (agents.first >= of.rows) {
        return;
    }
    load_observations(agents, in);
    if (POLICY_CORE == CORE_LSTM) {
        load_recurrent(agents, 0, recurrent);
    }
    BLOCK_BARRIER();
    Sums<1> encoded;
    encoded.begin(of.encoder[1], agents.me);
    encoded.multiply<POLICY_INPUTS>(of.encoder[0], in, agents.me);
#pragma unroll
    for (int column = 0; column < COLUMNS; column++) {
        agents.output[column][0] = relu(encoded.at(0, column, 0));
        agents.output[column][1] = relu(encoded.at(0, column, 1));
    }
    put_outputs(agents, out, false);
    BLOCK_BARRIER();

#pragma unroll
    for (int layer = 0; layer < LAYERS; layer++) {
        const float *const *const parameters = of.layers + layer * LAYER_PARAMETERS;
        uint32_t *const from = layer % 2 ? in : out, *const to = layer % 2 ? out : in;
        const Before before(agents, layer);
        Sums<GATES> sums;
        sums.begin(parameters[LAYER_PARAMETERS / 2], agents.me);
        sums.template multiply<UNITS>(parameters[0], from, agents.me);
#if POLICY_CORE == CORE_LSTM
        sums.add(parameters[3], agents.me);
        sums.template multiply<UNITS>(parameters[1], recurrent, agents.me);
        if (layer + 1 < LAYERS) {
            BLOCK_BARRIER(); /* until nobody looks at this layer's h any more */
            load_recurrent(agents, layer + 1, recurrent);
        }
#endif
        gates_of(agents, sums, before, layer);
        put_outputs(agents, to, layer + 1 == LAYERS);
        BLOCK_BARRIER();
    }
    act(agents, LAYERS % 2 ? in : out, shared, shared + Memory::SHARED);
}

#endif
