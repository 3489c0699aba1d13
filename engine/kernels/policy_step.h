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
constexpr int WARPS = UNITS / 8, POLICY_THREADS = 32 * WARPS, GATES = POLICY_CORE, LAYERS = POLICY_LAYERS;
/* Biases of a layer: an LSTM has one for its inputs and one for h. */
constexpr int BIASES = POLICY_CORE == CORE_LSTM ? 2 : 1;
/* Planes of the recurrent state for each layer. */
constexpr int PARTS = POLICY_CORE == CORE_LSTM ? 2 : POLICY_CORE == CORE_MINGRU ? 1 : 0;
/* Steps of a product whose words are loaded before they are needed: the device's cache is hundreds of cycles away. */
constexpr int AHEAD = 2;
/* Threads that share the sum of one output of the heads, as in experience.h. */
constexpr int SHARES = 8;

/* The arrays that have a step's row are rows of the rollout buffer: those of step *step, which lie `agents` rows behind
 * those of the step before; a null pointer: those of step 0. */
struct PolicyStep {
    const float *observations; /* [rows, inputs]               of the step */
    float *state;              /* [layers * parts, rows, units] in and out; a plane lies `agents` rows behind another */
    const uint8_t *ended;      /* [rows] or null               of the step: how the step before ended, 0 where an episode
                                                               goes on, 2 or 3 where a time limit has cut it */
    const uint8_t *cut;        /* [rows] or null               likewise: not 0 where a time limit has cut it */
    float *cut_state;          /* as `state`, or null: where the state goes that an episode was cut in */
    int64_t *cut_at;           /* [rows] or null: where the step goes that cut it */
    const int64_t *step;       /* one number, or null */
    const float *uniform;      /* [rows] in [0, 1)             of the step */
    int32_t *actions;          /* [rows] out                   of the step, as are the next two */
    float *logprobs;
    float *values;
    const void *packed;        /* what pack_weights wrote */
    const float *encoder_bias; /* [units] */
    const float *heads[2];     /* [HEADS, units] and [HEADS] */
    const float *biases[LAYERS * BIASES];
    int64_t rows, agents, time; /* `time` is the step where `step` is null */
};

/* Where a thread stands: the parts of a product that are its own (mma.h). Of every column of eight agents it has agents
 * 2 * place and 2 * place + 1, and of every gate one unit. */
struct Stand {
    int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32, group = lane / 4, place = lane % 4;
    int unit = 8 * warp + group;

    /* The agent of the block that number `r`, 0 or 1, of a column is. */
    DEVICE_MEMBER int row(int column, int r) const { return 8 * column + 2 * place + r; }
};

constexpr DEVICE_FN int padded(int width) { return (width + 15) / 16 * 16; }

/* The first word of agent `n` where rows have `width` numbers. */
constexpr DEVICE_FN int place_of(int n, int width) { return column(n, padded(width)); }

constexpr DEVICE_FN int larger(int one, int other) { return one > other ? one : other; }

/* The block's memory: what goes into a layer, what comes out of it, an LSTM's h, the heads, and how agents begin. */
struct Memory {
    static constexpr int IN = place_of(ROWS - 1, larger(POLICY_INPUTS, UNITS)) + padded(larger(POLICY_INPUTS, UNITS));
    static constexpr int OUT = place_of(ROWS - 1, UNITS) + padded(UNITS);
    static constexpr int RECURRENT = POLICY_CORE == CORE_LSTM ? OUT : 0;
    static constexpr int SHARED = ROWS * HEADS * SHARES, ALL = ROWS * HEADS;
    static constexpr int BYTES = 4 * (IN + OUT + RECURRENT + SHARED + ALL + ROWS);
};

DEVICE_FN uint32_t tf32(float value) { return Tensor<float>::word(&value, &value); }

/* A weight [COUNT * units, WIDTH] as its products take it, in words. Of every 16 numbers of a row two products take, in
 * this order, those that lie together in fours, one such four a lane. Two gates are the two halves of a tile: for these a
 * lane has the words of either product together; of an odd gate, whose tile's other half stays unused, its four numbers. */
template <int COUNT, int WIDTH>
struct Packed {
    static constexpr int STEPS = padded(WIDTH) / 16, WORDS = WARPS * STEPS * COUNT * 32;

    /* The words number `index` of the weight: those of a warp, a step, a pair's product or an odd gate, a lane. */
    DEVICE_FN Words words(const float *weight, int index) {
        const int lane = index % 32, part = index / 32 % COUNT, k = index / 32 / COUNT % STEPS * 16 + lane % 4 * 4;
        const int unit = index / 32 / COUNT / STEPS * 8 + lane / 4;
        const bool odd = COUNT % 2 == 1 && part == COUNT - 1;
        Words words;
        for (int j = 0; j < 4; j++) {
            const int gate = odd ? part : part / 2 * 2 + j % 2, at = k + (odd ? j : part % 2 * 2 + j / 2);
            words.at[j] = at < WIDTH ? tf32(weight[(gate * UNITS + unit) * WIDTH + at]) : 0u;
        }
        return words;
    }

    DEVICE_FN const Words *of(const Words *weight, const Stand &me) {
        return weight + me.warp * STEPS * COUNT * 32 + me.lane;
    }
};

typedef Packed<1, POLICY_INPUTS> Encoder;
typedef Packed<GATES, UNITS> Core;
/* Weights of a layer: an LSTM has one for its inputs and one for h. */
constexpr int MATRICES = POLICY_CORE == CORE_LSTM ? 2 : 1, WEIGHTS = LAYERS * MATRICES;
constexpr int PACKED_WORDS = Encoder::WORDS + WEIGHTS * Core::WORDS;

/* All weights, packed for the steps that follow until they change. */
struct PackWeights {
    const float *encoder;         /* [units, inputs] */
    const float *layers[WEIGHTS]; /* [GATES * units, units] */
    void *packed;                 /* PACKED_WORDS Words out */
};

extern "C" __global__ void __launch_bounds__(POLICY_THREADS) pack_weights(const PackWeights from) {
    const int index = (int)blockIdx.x * POLICY_THREADS + (int)threadIdx.x;
    Words *const packed = static_cast<Words *>(from.packed);
    if (index < Encoder::WORDS) {
        packed[index] = Encoder::words(from.encoder, index);
    } else if (index < PACKED_WORDS) {
        const int weight = (index - Encoder::WORDS) / Core::WORDS;
        packed[index] = Core::words(from.layers[weight], (index - Encoder::WORDS) % Core::WORDS);
    }
}

/* Sums of COUNT gates of a lane's unit, for its agents. */
template <int COUNT>
struct Sums {
    static constexpr int TILES = (COUNT + 1) / 2;
    float tiles[TILES][COLUMNS][4];

    DEVICE_MEMBER float &at(int gate, int column, int r) { return tiles[gate / 2][column][gate % 2 * 2 + r]; }

    /* Every sum starts with its gate's bias, or two of them. */
    DEVICE_MEMBER void begin(const float *bias, const float *other, const Stand &me) {
#pragma unroll
        for (int gate = 0; gate < 2 * TILES; gate++) {
            const int unit = gate * UNITS + me.unit;
            const float start = gate < COUNT ? bias[unit] + (other ? other[unit] : 0.0f) : 0.0f;
#pragma unroll
            for (int column = 0; column < COLUMNS; column++) {
                at(gate, column, 0) = at(gate, column, 1) = start;
            }
        }
    }

    /* Adds the product of a packed weight and of the agents' rows. The words of the next steps are under way while those of
     * one are multiplied with. */
    template <int WIDTH>
    DEVICE_MEMBER void multiply(const Words *packed, const uint32_t *rows, const Stand &me) {
        typedef Packed<COUNT, WIDTH> Weight;
        const Words *const from = Weight::of(packed, me);
        Words ahead[AHEAD][COUNT], words[COUNT];
#pragma unroll
        for (int part = 0; part < COUNT * (AHEAD < Weight::STEPS ? AHEAD : Weight::STEPS); part++) {
            ahead[part / COUNT][part % COUNT] = from[part * 32];
        }
#pragma unroll
        for (int step = 0; step < Weight::STEPS; step++) {
#pragma unroll
            for (int part = 0; part < COUNT; part++) {
                words[part] = ahead[step % AHEAD][part];
                if (step + AHEAD < Weight::STEPS) {
                    ahead[step % AHEAD][part] = from[((step + AHEAD) * COUNT + part) * 32];
                }
            }
#pragma unroll
            for (int column = 0; column < COLUMNS; column++) {
                const int at = place_of(8 * column + me.group, WIDTH) + 16 * step + 4 * me.place;
                Span<uint32_t, 4> numbers;
                load(numbers, rows + at);
#pragma unroll
                for (int product = 0; product < 2; product++) {
#pragma unroll
                    for (int tile = 0; tile < TILES; tile++) {
                        const bool odd = 2 * tile + 1 == COUNT;
                        const Words &one = words[odd ? 2 * tile : 2 * tile + product];
                        const Words half = {{one.at[2 * product], 0u, one.at[2 * product + 1], 0u}};
                        Tensor<float>::multiply(tiles[tile][column], odd ? half : one, numbers.at[2 * product],
                                                numbers.at[2 * product + 1]);
                    }
                }
            }
        }
    }
};

/* The agents of a block, and what a lane keeps of them between layers. Behind the last one the block has that one again, so
 * that loads need not ask; what is stored asks. */
struct Agents {
    const PolicyStep &of;
    const Stand me;
    const int64_t first = (int64_t)blockIdx.x * ROWS, at = of.step ? *of.step * of.agents : 0;
    float *const keeps;            /* [ROWS] 1 where the state goes on, else it begins anew; -1: after it was kept */
    float output[COLUMNS][2] = {}; /* of the layer before, of the lane's unit */

    DEVICE_MEMBER Agents(const PolicyStep &step, float *memory) : of(step), keeps(memory) {}

    DEVICE_MEMBER bool there(int row) const { return first + row < of.rows; }

    DEVICE_MEMBER int64_t agent(int row) const { return there(row) ? first + row : of.rows - 1; }

    /* A unit of an agent's in a plane of `state`. */
    DEVICE_MEMBER int64_t place(int plane, int row, int unit) const {
        return (plane * of.agents + agent(row)) * UNITS + unit;
    }

    DEVICE_MEMBER float before(int plane, int row, int unit) const {
        const float kept = of.state[place(plane, row, unit)];
        return keeps[row] > 0.0f ? kept : 0.0f;
    }

    DEVICE_MEMBER void after(int plane, int row, int unit, float value) const {
        if (there(row)) {
            of.state[place(plane, row, unit)] = value;
        }
    }
};

/* Observations, and how the step before has ended for each agent. Where a time limit has cut an episode its step is noted;
 * its state is kept by keep_cut. */
DEVICE_FN void load_observations(const Agents &agents, uint32_t *rows) {
    const PolicyStep &of = agents.of;
    const int row = (int)threadIdx.x;
    if (row < ROWS) {
        const int64_t flag = agents.at + agents.agent(row);
        const uint8_t ended = of.ended ? of.ended[flag] : (uint8_t)0, cut = of.cut ? of.cut[flag] : (uint8_t)0;
        const bool was_cut = cut != 0 || ended > 1;
        agents.keeps[row] = was_cut && of.cut_state ? -1.0f : ended || was_cut ? 0.0f : 1.0f;
        if (was_cut && of.cut_at && agents.there(row)) {
            of.cut_at[agents.first + row] = (of.step ? *of.step : of.time) - 1;
        }
    }
    constexpr int WIDTH = padded(POLICY_INPUTS);
#pragma unroll 8
    for (int i = row; i < ROWS * WIDTH; i += POLICY_THREADS) {
        const int k = i % WIDTH, last = k < POLICY_INPUTS ? k : POLICY_INPUTS - 1;
        const float number = of.observations[(agents.at + agents.agent(i / WIDTH)) * POLICY_INPUTS + last];
        rows[place_of(i / WIDTH, POLICY_INPUTS) + k] = k < POLICY_INPUTS ? tf32(number) : 0u;
    }
}

/* The state of agents whose episode was cut, which `keeps` marks with -1, to where it is kept; then they begin anew. */
DEVICE_FN void keep_cut(const Agents &agents) {
    if (!agents.of.cut_state) {
        return;
    }
    for (int i = (int)threadIdx.x; i < LAYERS * PARTS * ROWS * UNITS; i += POLICY_THREADS) {
        const int row = i / UNITS % ROWS;
        if (agents.keeps[row] < 0.0f && agents.there(row)) {
            const int64_t at = agents.place(i / UNITS / ROWS, row, i % UNITS);
            agents.of.cut_state[at] = agents.of.state[at];
        }
    }
}

/* An LSTM's h of a layer, as its product takes it. */
DEVICE_FN void load_recurrent(const Agents &agents, int layer, uint32_t *rows) {
#pragma unroll 8
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
    float *const shared = reinterpret_cast<float *>(recurrent + Memory::RECURRENT), *const all = shared + Memory::SHARED;
    Agents agents(of, all + Memory::ALL);
    if (agents.first >= of.rows) {
        return;
    }
    load_observations(agents, in);
    BLOCK_BARRIER();
    keep_cut(agents);
    if (POLICY_CORE == CORE_LSTM) {
        load_recurrent(agents, 0, recurrent);
    }
    const Words *packed = static_cast<const Words *>(of.packed);
    Sums<1> encoded;
    encoded.begin(of.encoder_bias, nullptr, agents.me);
    encoded.multiply<POLICY_INPUTS>(packed, in, agents.me);
    packed += Encoder::WORDS;
#pragma unroll
    for (int column = 0; column < COLUMNS; column++) {
        agents.output[column][0] = relu(encoded.at(0, column, 0));
        agents.output[column][1] = relu(encoded.at(0, column, 1));
    }
    put_outputs(agents, out, false);
    BLOCK_BARRIER();

#pragma unroll
    for (int layer = 0; layer < LAYERS; layer++) {
        const float *const *const biases = of.biases + layer * BIASES;
        uint32_t *const from = layer % 2 ? in : out, *const to = layer % 2 ? out : in;
        const Before before(agents, layer);
        Sums<GATES> sums;
        sums.begin(biases[0], BIASES > 1 ? biases[BIASES - 1] : nullptr, agents.me);
        sums.template multiply<UNITS>(packed, from, agents.me);
        packed += Core::WORDS;
#if POLICY_CORE == CORE_LSTM
        sums.template multiply<UNITS>(packed, recurrent, agents.me);
        packed += Core::WORDS;
        if (layer + 1 < LAYERS) {
            BLOCK_BARRIER(); /* until nobody looks at this layer's h any more */
            load_recurrent(agents, layer + 1, recurrent);
        }
#endif
        gates_of(agents, sums, before, layer);
        put_outputs(agents, to, layer + 1 == LAYERS);
        BLOCK_BARRIER();
    }
    act(agents, LAYERS % 2 ? in : out, shared, all);
}

#endif
