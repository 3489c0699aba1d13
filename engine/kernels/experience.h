/* Kernels that make experience on a device: what the policy's last layer says, what an agent does, what the end of its episode does to its memory, and what
 * the advantages of its steps are. engine/device_experience.py launches them; the formulas are those of
 * engine/collector.py (draw_actions), engine/cut_episodes.py and engine/advantages.py. Every array is row-major. */
#ifndef ENGINE_EXPERIENCE_H
#define ENGINE_EXPERIENCE_H

#include "action.h"

/* A linear layer of few outputs: a product so narrow that a library for matrices is slow at it. */
struct Heads {
    const float *inputs; /* [rows, width] */
    const float *weight; /* [choices, width] */
    const float *bias;   /* [choices] */
    float *outputs;      /* [rows, choices] out */
    int64_t rows, width, choices;
};

/* Threads that share the sum of one output: neighbours read neighbours. */
#define HEADS_PARTS 8

extern "C" __global__ void __launch_bounds__(DEVICE_THREADS) heads(const Heads of) {
    __shared__ float sums[DEVICE_THREADS];
    const int64_t first = (int64_t)blockIdx.x * (DEVICE_THREADS / HEADS_PARTS), elements = of.rows * of.choices;
    EACH_THREAD(thread) {
        const int64_t element = first + thread / HEADS_PARTS;
        float sum = 0.0f;
        if (element < elements) {
            const float *const inputs = of.inputs + element / of.choices * of.width;
            const float *const weight = of.weight + element % of.choices * of.width;
#pragma unroll 4
            for (int k = thread % HEADS_PARTS; k < (int)of.width; k += HEADS_PARTS) {
                sum += inputs[k] * weight[k];
            }
        }
        sums[thread] = sum;
    }
    BARRIER();
    EACH_THREAD(thread) {
        const int64_t element = first + thread / HEADS_PARTS;
        if (thread % HEADS_PARTS == 0 && element < elements) {
            float sum = of.bias[element % of.choices];
            for (int part = 0; part < HEADS_PARTS; part++) {
                sum += sums[thread + part];
            }
            of.outputs[element] = sum;
        }
    }
}

/* Actions of a step by inverse CDF. The arrays but the first two are rows of the rollout buffer: those of step *step, which
 * lie `agents` elements behind those of the step before; a null pointer: those of step 0. */
struct ChooseActions {
    const float *logits;  /* [rows, actions], `stride` floats from one row to the next */
    const float *value;   /* [rows], `value_stride` floats from one to the next */
    const int64_t *step;  /* one number, or null */
    const float *uniform; /* [rows] in [0, 1) */
    int32_t *actions;     /* [rows] out */
    float *logprobs;      /* [rows] out: log-probability of the action */
    float *values;        /* [rows] out: `value` */
    int64_t rows, choices, stride, value_stride, agents;
};

DEVICE_FN void choose_actions(const ChooseActions &act, int row) {
    const float *const logits = act.logits + row * act.stride;
    const int64_t at = (act.step ? *act.step * act.agents : 0) + row;
    act.actions[at] = choose(logits, (int)act.choices, act.uniform[at], act.logprobs[at]);
    act.values[at] = act.value[row * act.value_stride];
}

/* After a step: the memory of agents whose episode has ended is emptied. Where a time limit has cut it, the memory is kept
 * for the value of the last observation, and the step is noted. */
struct EndStep {
    const uint8_t *terminals;   /* [rows] */
    const uint8_t *truncations; /* [rows] */
    float *state;               /* [parts, rows, hidden] */
    float *cut_state;           /* [parts, rows, hidden], or null where no time limit cuts */
    int64_t *cut_at;            /* [rows] or null */
    int64_t rows, parts, hidden, step;
};

/* One element of one agent's memory; an agent without memory has one element, too. */
DEVICE_FN int64_t end_step_elements(const EndStep &end) {
    const int64_t memory = end.parts * end.hidden;
    return end.rows * (memory > 0 ? memory : 1);
}

DEVICE_FN void end_step(const EndStep &end, int element) {
    const int memory = (int)(end.parts * end.hidden), width = memory > 0 ? memory : 1;
    const int row = element / width, unit = element % width;
    const bool cut = end.truncations[row];
    if (!cut && !end.terminals[row]) {
        return;
    }
    if (cut && end.cut_at && unit == 0) {
        end.cut_at[row] = end.step;
    }
    if (memory > 0) {
        const int hidden = (int)end.hidden;
        const int64_t at = ((int64_t)(unit / hidden) * end.rows + row) * hidden + unit % hidden;
        if (cut && end.cut_state) {
            end.cut_state[at] = end.state[at];
        }
        end.state[at] = 0.0f;
    }
}

/* Advantages of N agents' segments of T steps; [T, N] unless it says otherwise. */
struct Advantages {
    const float *rewards;
    const float *values;
    const float *ratios;
    const uint8_t *done;
    const float *final_values;
    const float *bootstrap; /* [N] */
    const double *settings; /* [4] gamma, lambda, clip of rho, clip of c */
    float *advantages;      /* out */
    int64_t rows, steps;
};

/* Steps that a thread loads before it computes the first of them: it waits for memory once in so many. */
#define STEPS_AHEAD 8

struct Step {
    float reward, value, ratio, final_value;
    bool done;
};

/* One thread takes its segment from the last step to the first. */
DEVICE_FN void advantages(const Advantages &of, int row) {
    const float gamma = (float)of.settings[0], lambda = (float)of.settings[1];
    const float rho_clip = (float)of.settings[2], c_clip = (float)of.settings[3];
    float following = of.bootstrap[row], running = 0.0f;
    for (int64_t last = of.steps - 1; last >= 0; last -= STEPS_AHEAD) {
        Step steps[STEPS_AHEAD];
#pragma unroll
        for (int j = 0; j < STEPS_AHEAD; j++) {
            const int64_t at = (last - j >= 0 ? last - j : 0) * of.rows + row;
            steps[j] = {of.rewards[at], of.values[at], of.ratios[at], of.final_values[at], of.done[at] != 0};
        }
#pragma unroll
        for (int j = 0; j < STEPS_AHEAD; j++) {
            if (last - j >= 0) {
                const Step &step = steps[j];
                const float alive = step.done ? 0.0f : 1.0f;
                /* Compared this way round, a ratio that is no number stays none. */
                const float rho = step.ratio > rho_clip ? rho_clip : step.ratio;
                const float c = step.ratio > c_clip ? c_clip : step.ratio;
                const float target = step.reward + gamma * (alive * following + step.final_value);
                running = rho * (target - step.value) + gamma * lambda * c * alive * running;
                of.advantages[(last - j) * of.rows + row] = running;
                following = step.value;
            }
        }
    }
}

DEVICE_KERNEL(choose_actions, choose_actions, ChooseActions, arguments.rows)
DEVICE_KERNEL(end_step, end_step, EndStep, end_step_elements(arguments))
DEVICE_KERNEL(advantages, advantages, Advantages, arguments.rows)

#endif
