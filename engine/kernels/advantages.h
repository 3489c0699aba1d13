/* What a minibatch learns from, on a device: its advantages normalized, its returns, and how much of the returns the values
 * explain. The formulas are those of engine/segments.py and engine/learner.py. */
#ifndef ENGINE_ADVANTAGES_H
#define ENGINE_ADVANTAGES_H

#include "device.h"

/* How many numbers count, their mean, and the sum of the squares of what they are off by; by chunk of MOMENTS_CHUNK. Three
 * quantities one after the other: the advantages of the drawn segments, those of the fresh ones, and those plus values. */
#define MOMENTS_CHUNK 2048
/* As in engine/losses.py: less than this share of the mean is rounding. */
#define LEAST_DEVIATION 1e-6f

struct Moments {
    float count, mean, squares;
};

struct Measurement {
    const float *advantages; /* [steps, segments] */
    const float *values;     /* [steps, segments] */
    const float *masks;      /* [steps, segments]: 1 where a step counts; or null: all do */
    const int64_t *drawn;    /* [count] */
    const float *weights;    /* [count] */
    Moments *parts;          /* [drawn_chunks + 2 * fresh_chunks] */
    float *normalized;       /* [steps, count] out: with mean 0 and deviation 1 over what counts, times the weight */
    float *returns;          /* [steps, count] out: advantages plus values */
    float *live;             /* one number out: how many steps of the drawn count */
    float *explained;        /* one number out: 1 - Var(advantages) / Var(advantages + values) of the fresh */
    int64_t steps, segments, count, fresh, drawn_chunks, fresh_chunks;
};

struct Place {
    int64_t at;
    bool counts;
};

/* Where number i of the drawn segments lies, or of the first `width` ones where `drawn` is null. */
DEVICE_FN Place place_of(const Measurement &of, const int64_t *drawn, int64_t width, int64_t i) {
    const uint32_t step = (uint32_t)i / (uint32_t)width, segment = (uint32_t)i % (uint32_t)width;
    const int64_t at = step * of.segments + (drawn ? drawn[segment] : segment);
    return {at, !of.masks || of.masks[at] > 0.0f};
}

DEVICE_FN void moments_block(const Measurement &of, int64_t block) {
    __shared__ float numbers[DEVICE_THREADS], counts[DEVICE_THREADS];
    if (block >= of.drawn_chunks + 2 * of.fresh_chunks) {
        return;
    }
    const bool of_drawn = block < of.drawn_chunks, with_values = block >= of.drawn_chunks + of.fresh_chunks;
    const int64_t chunk = of_drawn ? block : (block - of.drawn_chunks) % of.fresh_chunks;
    const int64_t *const drawn = of_drawn ? of.drawn : nullptr;
    const int64_t width = of_drawn ? of.count : of.fresh, first = chunk * MOMENTS_CHUNK;
    const int64_t end = first + MOMENTS_CHUNK < of.steps * width ? first + MOMENTS_CHUNK : of.steps * width;
    EACH_THREAD(thread) {
        float sum = 0.0f, count = 0.0f;
        for (int64_t i = first + thread; i < end; i += DEVICE_THREADS) {
            const Place place = place_of(of, drawn, width, i);
            if (place.counts) {
                sum += of.advantages[place.at] + (with_values ? of.values[place.at] : 0.0f);
                count += 1.0f;
            }
        }
        numbers[thread] = sum;
        counts[thread] = count;
    }
    fold(numbers, false);
    fold(counts, false);
    const float all = counts[0], mean = numbers[0] / (all > 1.0f ? all : 1.0f);
    BARRIER();
    EACH_THREAD(thread) {
        float squares = 0.0f;
        for (int64_t i = first + thread; i < end; i += DEVICE_THREADS) {
            const Place place = place_of(of, drawn, width, i);
            if (place.counts) {
                const float off = of.advantages[place.at] + (with_values ? of.values[place.at] : 0.0f) - mean;
                squares += off * off;
            }
        }
        numbers[thread] = squares;
    }
    fold(numbers, false);
    EACH_THREAD(thread) {
        if (thread == 0) {
            of.parts[block] = Moments{all, mean, numbers[0]};
        }
    }
}

BLOCK_KERNEL(measure_advantages, moments_block, Measurement)

/* The moments of several parts together. */
DEVICE_FN Moments joined(const Moments *parts, int64_t count) {
    __shared__ float numbers[DEVICE_THREADS], counts[DEVICE_THREADS];
    BARRIER();
    EACH_THREAD(thread) {
        float sum = 0.0f, all = 0.0f;
        for (int64_t i = thread; i < count; i += DEVICE_THREADS) {
            sum += parts[i].count * parts[i].mean;
            all += parts[i].count;
        }
        numbers[thread] = sum;
        counts[thread] = all;
    }
    fold(numbers, false);
    fold(counts, false);
    const float all = counts[0], mean = numbers[0] / (all > 1.0f ? all : 1.0f);
    BARRIER();
    EACH_THREAD(thread) {
        float squares = 0.0f;
        for (int64_t i = thread; i < count; i += DEVICE_THREADS) {
            const float off = parts[i].mean - mean;
            squares += parts[i].squares + parts[i].count * off * off;
        }
        numbers[thread] = squares;
    }
    fold(numbers, false);
    return {all, mean, numbers[0]};
}

DEVICE_FN void normalize_block(const Measurement &of, int64_t block) {
    if (block > of.drawn_chunks || of.count == 0) {
        return;
    }
    if (block == of.drawn_chunks) {
        const Moments errors = joined(of.parts + of.drawn_chunks, of.fresh_chunks);
        const Moments returns = joined(of.parts + of.drawn_chunks + of.fresh_chunks, of.fresh_chunks);
        EACH_THREAD(thread) {
            if (thread == 0) {
                *of.explained = 1.0f - errors.squares / returns.squares;
            }
        }
        return;
    }
    const Moments moments = joined(of.parts, of.drawn_chunks);
    const float others = moments.count > 2.0f ? moments.count - 1.0f : 1.0f;
    const float found = sqrtf(moments.squares / others), deviation = found + 1e-8f;
    const bool equal = found <= LEAST_DEVIATION * fabsf(moments.mean); /* of nan: false, so that it stays to be seen */
    EACH_THREAD(thread) {
        for (int64_t i = block * MOMENTS_CHUNK + thread; i < (block + 1) * MOMENTS_CHUNK && i < of.steps * of.count;
             i += DEVICE_THREADS) {
            const Place place = place_of(of, of.drawn, of.count, i);
            const float advantage = of.advantages[place.at];
            of.normalized[i] = place.counts && !equal ? (advantage - moments.mean) / deviation * of.weights[i % of.count] : 0.0f;
            of.returns[i] = advantage + of.values[place.at];
        }
        if (block == 0 && thread == 0) {
            *of.live = moments.count;
        }
    }
}

BLOCK_KERNEL(normalize_advantages, normalize_block, Measurement)

#endif
