/* Segments copied into a minibatch on a device, what was learned of them written back, and a log of it. What they do is what
 * engine/segments.py and engine/reuse.py do. */
#ifndef ENGINE_GATHER_H
#define ENGINE_GATHER_H

#include "device.h"

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
