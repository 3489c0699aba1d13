/* Kernels that put a minibatch together on a device and write down what became of it: draw by priority, gather, write back,
 * log. The formulas are those of engine/replay.py, engine/segments.py and engine/reuse.py; engine/device_minibatch.py
 * launches them. Every array is row-major. */
#ifndef ENGINE_MINIBATCH_H
#define ENGINE_MINIBATCH_H

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

/* How many numbers count, their mean, and the sum of the squares of what they are off by; by chunk of MOMENTS_CHUNK. Three
 * quantities one after the other: the advantages of the drawn segments, those of the fresh ones, and those plus values. */
#define MOMENTS_CHUNK 2048

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
    const float deviation = sqrtf(moments.squares / others) + 1e-8f;
    EACH_THREAD(thread) {
        for (int64_t i = block * MOMENTS_CHUNK + thread; i < (block + 1) * MOMENTS_CHUNK && i < of.steps * of.count;
             i += DEVICE_THREADS) {
            const Place place = place_of(of, of.drawn, of.count, i);
            const float advantage = of.advantages[place.at];
            of.normalized[i] = place.counts ? (advantage - moments.mean) / deviation * of.weights[i % of.count] : 0.0f;
            of.returns[i] = advantage + of.values[place.at];
        }
        if (block == 0 && thread == 0) {
            *of.live = moments.count;
        }
    }
}

BLOCK_KERNEL(normalize_advantages, normalize_block, Measurement)

/* Copies of the drawn segments' parts of several arrays [lines, segments, width] to arrays [lines, drawn, width]. */
#define MOST_COLUMNS 12
#define UNITS_A_BLOCK 1024

struct Column {
    const uint8_t *source;
    uint8_t *target;
    int64_t unit;        /* bytes that are copied at a time: 1, 4, 8 or 16 */
    int64_t width;       /* units of a segment in a line */
    int64_t stride;      /* units from a line to the next where it is copied from */
    int64_t units;       /* of the copy */
    int64_t first_block; /* the blocks of a column follow those of the one before */
};

struct Gather {
    const int64_t *drawn; /* [count] */
    Column columns[MOST_COLUMNS];
    int64_t column_count, count;
};

template <int Bytes>
struct alignas(Bytes) Unit {
    uint8_t bytes[Bytes];
};

template <int Bytes>
DEVICE_FN void gather_units(const Column &column, const int64_t *drawn, int64_t count, int64_t block) {
    const Unit<Bytes> *const from = (const Unit<Bytes> *)column.source;
    Unit<Bytes> *const to = (Unit<Bytes> *)column.target;
    const uint32_t width = (uint32_t)column.width, line = (uint32_t)count * width;
    EACH_THREAD(thread) {
#pragma unroll
        for (int j = 0; j < UNITS_A_BLOCK / DEVICE_THREADS; j++) {
            const int64_t unit = block * UNITS_A_BLOCK + j * DEVICE_THREADS + thread;
            if (unit < column.units) {
                const uint32_t at = (uint32_t)unit, rest = at % line;
                to[unit] = from[at / line * column.stride + drawn[rest / width] * width + rest % width];
            }
        }
    }
}

DEVICE_FN void gather_block(const Gather &of, int64_t block) {
    int which = 0;
    if (of.column_count == 0) {
        return;
    }
    while (which + 1 < of.column_count && of.columns[which + 1].first_block <= block) {
        which++;
    }
    const Column column = of.columns[which];
    block -= column.first_block;
    if (column.unit == 16) {
        gather_units<16>(column, of.drawn, of.count, block);
    } else if (column.unit == 8) {
        gather_units<8>(column, of.drawn, of.count, block);
    } else if (column.unit == 4) {
        gather_units<4>(column, of.drawn, of.count, block);
    } else {
        gather_units<1>(column, of.drawn, of.count, block);
    }
}

BLOCK_KERNEL(gather_segments, gather_block, Gather)

/* Puts the newest values and ratios of the drawn segments in their places. */
struct WriteBack {
    const int64_t *drawn;   /* [count] */
    const float *values;    /* [steps, count], `stride` floats from one to the next */
    const float *ratios;    /* [steps, count] */
    const uint8_t *learned; /* one flag; 0: nothing is written */
    float *to_values;       /* [steps, segments] */
    float *to_ratios;       /* [steps, segments] */
    int64_t steps, count, segments, stride;
};

DEVICE_FN void write_back(const WriteBack &of, int element) {
    if (*of.learned) {
        const int count = (int)of.count;
        const int64_t at = element / count * of.segments + of.drawn[element % count];
        of.to_values[at] = of.values[element * of.stride];
        of.to_ratios[at] = of.ratios[element];
    }
}

DEVICE_KERNEL(write_back, write_back, WriteBack, arguments.steps *arguments.count)

/* The next row of a log: the drawn segments, their weights, the share of their ratios that leave 1 by more than `clip`, and
 * the explained variance. One block, so that the row stays the same until all of it is written. */
struct LogRow {
    const int64_t *drawn;    /* [count] */
    const float *weights;    /* [count] */
    const float *ratios;     /* [steps, count] */
    const double *clip;      /* one number */
    const float *explained;  /* one number */
    int64_t *row;            /* one number, which grows */
    int64_t *to_drawn;       /* [rows, count] */
    float *to_weights;       /* [rows, count] */
    float *to_clipped;       /* [rows, count] */
    float *to_explained;     /* [rows] */
    int64_t steps, count;
};

DEVICE_FN void log_block(const LogRow &of, int64_t block) {
    if (block > 0 || of.count == 0) {
        return;
    }
    const float clip = (float)*of.clip;
    EACH_THREAD(thread) {
        const int64_t row = *of.row;
        for (int64_t i = thread; i < of.count; i += DEVICE_THREADS) {
            int clipped = 0;
#pragma unroll 16
            for (int64_t step = 0; step < of.steps; step++) {
                const float moved = of.ratios[step * of.count + i] - 1.0f;
                clipped += moved > clip || moved < -clip;
            }
            of.to_drawn[row * of.count + i] = of.drawn[i];
            of.to_weights[row * of.count + i] = of.weights[i];
            of.to_clipped[row * of.count + i] = (float)clipped / (float)of.steps;
        }
        if (thread == 0) {
            of.to_explained[row] = *of.explained;
        }
    }
    BARRIER();
    EACH_THREAD(thread) {
        if (thread == 0) {
            *of.row += 1;
        }
    }
}

BLOCK_KERNEL(log_row, log_block, LogRow)

#endif
