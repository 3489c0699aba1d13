/* Priorities of segments and draws by them, on a device. The formulas are those of engine/replay.py. */
#ifndef ENGINE_DRAW_H
#define ENGINE_DRAW_H

#include "device.h"

/* The priority metric of each segment: of the sizes of its advantages on steps that count the sum, the largest, the mean, or
 * eta * largest + (1 - eta) * mean. A block takes METRIC_SEGMENTS of them, a thread some of a segment's steps. */
#define METRIC_SEGMENTS 32
#define METRIC_SUM 0
#define METRIC_MAX 1
#define METRIC_MEAN 2

struct Metric {
    const float *advantages; /* [steps, segments] */
    const float *masks;      /* [steps, segments]: 1 where a step counts; or null: all do */
    float *metric;           /* [segments] out */
    int64_t steps, segments, kind;
    double eta;
};

DEVICE_FN float larger(float one, float other) { return other > one || other != other ? other : one; }

DEVICE_FN void metric_block(const Metric &of, int64_t block) {
    __shared__ float sums[DEVICE_THREADS], largest[DEVICE_THREADS], counts[DEVICE_THREADS];
    const int groups = DEVICE_THREADS / METRIC_SEGMENTS;
    EACH_THREAD(thread) {
        const int64_t segment = block * METRIC_SEGMENTS + thread % METRIC_SEGMENTS;
        float sum = 0.0f, most = 0.0f, count = 0.0f;
        if (segment < of.segments) {
#pragma unroll 8
            for (int64_t step = thread / METRIC_SEGMENTS; step < of.steps; step += groups) {
                const int64_t at = step * of.segments + segment;
                const float mask = of.masks ? of.masks[at] : 1.0f, size = fabsf(of.advantages[at]) * mask;
                sum += size;
                most = larger(most, size);
                count += mask;
            }
        }
        sums[thread] = sum;
        largest[thread] = most;
        counts[thread] = count;
    }
    BARRIER();
    EACH_THREAD(thread) {
        const int64_t segment = block * METRIC_SEGMENTS + thread;
        if (thread < METRIC_SEGMENTS && segment < of.segments) {
            float sum = 0.0f, most = 0.0f, count = 0.0f;
            for (int group = 0; group < groups; group++) {
                const int at = group * METRIC_SEGMENTS + thread;
                sum += sums[at];
                most = larger(most, largest[at]);
                count += counts[at];
            }
            const float mean = sum / (count > 1.0f ? count : 1.0f), eta = (float)of.eta;
            of.metric[segment] = of.kind == METRIC_SUM    ? sum
                                 : of.kind == METRIC_MAX  ? most
                                 : of.kind == METRIC_MEAN ? mean
                                                          : eta * most + (float)(1.0 - of.eta) * mean;
        }
    }
}

BLOCK_KERNEL(priority_metric, metric_block, Metric)

/* p = (metric + eps)^alpha of each segment, and p^-beta. */
struct Prioritize {
    const float *metric;  /* [segments] */
    const double *alpha;  /* one number, as is the next */
    const double *beta;
    double *powered;      /* [segments] out */
    double *inverse;      /* [segments] out */
    int64_t segments;
    double eps;
};

DEVICE_FN void prioritize(const Prioritize &of, int segment) {
    const double powered = pow((double)of.metric[segment] + of.eps, *of.alpha);
    of.powered[segment] = powered;
    of.inverse[segment] = pow(powered, -*of.beta);
}

DEVICE_KERNEL(prioritize, prioritize, Prioritize, arguments.segments)

/* Segments drawn in proportion to their priorities, with replacement, in the order of their indices. One block. */
struct DrawSegments {
    const double *powered; /* of `prioritize` */
    const double *inverse;
    const double *chance;  /* [count] in [0, 1) */
    const double *beta;    /* one number */
    double *cumulative;    /* [segments] room */
    int32_t *counts;       /* [segments] room */
    int32_t *ends;         /* [segments] room */
    int64_t *uses;         /* [segments] grows by how often each was drawn */
    int64_t *drawn;        /* [count] out */
    float *weights;        /* [count] out: importance weights */
    int64_t segments, count, stratified, normalized;
};

/* Consecutive segments that a thread adds up at a time. */
#define EACH_ADDS 8

/* numbers[thread] becomes the sum of those up to the thread's own. */
template <class Number>
DEVICE_FN void running_sums(Number (*numbers)[DEVICE_THREADS], int &side) {
    BARRIER();
    for (int reach = 1; reach < DEVICE_THREADS; reach *= 2) {
        EACH_THREAD(thread) {
            const Number before = thread >= reach ? numbers[side][thread - reach] : Number(0);
            numbers[1 - side][thread] = numbers[side][thread] + before;
        }
        BARRIER();
        side = 1 - side;
    }
}

/* How many of `count` rising numbers are not above `mark`. */
DEVICE_FN int64_t search(const double *rising, int64_t count, double mark) {
    int64_t low = 0, high = count;
    while (low < high) {
        const int64_t middle = (low + high) / 2;
        if (rising[middle] <= mark) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* sums[i] = values[0] + ... + values[i] */
template <class Number>
DEVICE_FN void add_up(const Number *values, Number *sums, int64_t count) {
    __shared__ Number numbers[2][DEVICE_THREADS];
    Number carry = Number(0);
    for (int64_t first = 0; first < count; first += DEVICE_THREADS * EACH_ADDS) {
        int side = 0;
        EACH_THREAD(thread) {
            const int64_t at = first + (int64_t)thread * EACH_ADDS;
            Number sum = Number(0);
            for (int64_t i = at; i < at + EACH_ADDS && i < count; i++) {
                sum += values[i];
            }
            numbers[0][thread] = sum;
        }
        running_sums(numbers, side);
        EACH_THREAD(thread) {
            const int64_t at = first + (int64_t)thread * EACH_ADDS;
            Number sum = carry + (thread ? numbers[side][thread - 1] : Number(0));
            for (int64_t i = at; i < at + EACH_ADDS && i < count; i++) {
                sum += values[i];
                sums[i] = sum;
            }
        }
        carry += numbers[side][DEVICE_THREADS - 1];
        BARRIER();
    }
}

DEVICE_FN void draw_block(const DrawSegments &of, int64_t block) {
    __shared__ float largest[DEVICE_THREADS];
    if (block > 0 || of.segments == 0) {
        return;
    }
    EACH_THREAD(thread) {
        for (int64_t i = thread; i < of.segments; i += DEVICE_THREADS) {
            of.counts[i] = 0;
        }
    }
    add_up(of.powered, of.cumulative, of.segments);
    const double total = of.cumulative[of.segments - 1];
    EACH_THREAD(thread) {
        for (int64_t i = thread; i < of.count; i += DEVICE_THREADS) {
            const double mark = of.stratified ? ((double)i + of.chance[i]) / (double)of.count : of.chance[i];
            ATOMIC_ADD(of.counts + search(of.cumulative, of.segments - 1, mark * total), 1);
        }
    }
    BARRIER();
    const double scale = pow(total / (double)of.segments, *of.beta);
    EACH_THREAD(thread) {
        float most = 0.0f;
        for (int64_t i = thread; i < of.segments; i += DEVICE_THREADS) {
            const int32_t count = of.counts[i];
            const float weight = (float)(of.inverse[i] * scale);
            of.uses[i] += count;
            most = count > 0 && (weight > most || weight != weight) ? weight : most;
        }
        largest[thread] = most;
    }
    fold(largest, true);
    const double divisor = of.normalized ? (double)largest[0] : 1.0;
    add_up(of.counts, of.ends, of.segments);
    EACH_THREAD(thread) {
        for (int64_t i = thread; i < of.segments; i += DEVICE_THREADS) {
            const float weight = (float)(of.inverse[i] * scale / divisor);
            for (int32_t at = of.ends[i] - of.counts[i]; at < of.ends[i]; at++) {
                of.drawn[at] = i;
                of.weights[at] = weight;
            }
        }
    }
}

BLOCK_KERNEL(draw_segments, draw_block, DrawSegments)

#endif
