/* Sums over the rows of a matrix on a device: a bias' gradient, and on the way that of the units that were at rest.
 * engine/device_columns.py launches them. */
#ifndef ENGINE_COLUMNS_H
#define ENGINE_COLUMNS_H

#include "device.h"

/* Each block sums a strip of `block_rows` rows by up to 32 columns. */
struct ColumnSums {
    const float *numbers; /* [rows, columns] */
    const float *outputs; /* [rows, columns] or null: what a number belongs to counts as 0 where this is not above it */
    float *slopes;        /* [rows, columns] out, with `outputs`: the numbers as they count */
    float *sums;          /* [strips, columns] out */
    int64_t rows, columns, block_rows;
    int64_t width;        /* columns of a block, a power of two up to 32 */
};

DEVICE_FN void column_block(const ColumnSums &of, int64_t block) {
    __shared__ float sums[DEVICE_THREADS];
    if (of.columns == 0) {
        return;
    }
    const int width = (int)of.width, across = (int)((of.columns + width - 1) / width), side = DEVICE_THREADS / width;
    const int64_t strip = block / across, first = strip * of.block_rows;
    const int64_t end = first + of.block_rows < of.rows ? first + of.block_rows : of.rows;
    EACH_THREAD(thread) {
        const int64_t column = block % across * width + thread % width;
        float sum = 0.0f;
        if (column < of.columns) {
#pragma unroll 8
            for (int64_t row = first + thread / width; row < end; row += side) {
                const int64_t at = row * of.columns + column;
                float number = of.numbers[at];
                if (of.outputs) {
                    number = of.outputs[at] > 0.0f ? number : 0.0f;
                    of.slopes[at] = number;
                }
                sum += number;
            }
        }
        sums[thread] = sum;
    }
    BARRIER();
    for (int half = DEVICE_THREADS / 2; half >= width; half /= 2) {
        EACH_THREAD(thread) {
            if (thread < half) {
                sums[thread] += sums[thread + half];
            }
        }
        BARRIER();
    }
    EACH_THREAD(thread) {
        const int64_t column = block % across * width + thread;
        if (thread < width && column < of.columns) {
            of.sums[strip * of.columns + column] = sums[thread];
        }
    }
}

BLOCK_KERNEL(column_sums, column_block, ColumnSums)

#endif
