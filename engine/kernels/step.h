/* Kernels of an optimizer's step on a device: what the gradients of a minibatch come to, whether it is learned from, Adam,
 * and Muon with the products of its Newton-Schulz iterations. The formulas are those of engine/optimizer.py and
 * engine/learner.py; engine/device_step.py launches them. Every array is row-major.
 *
 * Parameters are worked on in chunks of consecutive numbers, a block each; rows of `chunks` say which: the parameter, the
 * first number, how many. */
#ifndef ENGINE_STEP_H
#define ENGINE_STEP_H

#include "device.h"

#define MOST_PARAMETERS 64
#define STATISTICS 6

struct Chunk {
    int32_t parameter, first, count;
};

/* Sums of squares of the gradients, and of what the samples add to the statistics, by chunk. */
struct Measure {
    const float *gradients[MOST_PARAMETERS];
    const Chunk *chunks;     /* [chunk_count] */
    const float *statistics; /* [STATISTICS, rows] */
    const float *ratios;     /* [rows] */
    float *sums;             /* out: [chunk_count] of squares, then [STATISTICS, row_chunks], then largest ratios [row_chunks] */
    int64_t chunk_count, rows, row_chunks, chunk;
};

DEVICE_FN void measure_block(const Measure &of, int64_t block) {
    __shared__ float numbers[DEVICE_THREADS];
    if (block >= of.chunk_count + (STATISTICS + 1) * of.row_chunks) {
        return;
    }
    const bool squares = block < of.chunk_count;
    const int64_t other = block - of.chunk_count, line = squares ? 0 : other / of.row_chunks;
    const float *from;
    int64_t count;
    if (squares) {
        const Chunk chunk = of.chunks[block];
        from = of.gradients[chunk.parameter] + chunk.first;
        count = chunk.count;
    } else {
        const int64_t first = other % of.row_chunks * of.chunk;
        from = (line < STATISTICS ? of.statistics + line * of.rows : of.ratios) + first;
        count = of.rows - first < of.chunk ? of.rows - first : of.chunk;
    }
    const bool largest = line == STATISTICS;
    EACH_THREAD(thread) {
        float sum = 0.0f; /* ratios are above it */
        for (int64_t i = thread; i < count; i += DEVICE_THREADS) {
            const float number = from[i];
            sum = squares ? sum + number * number : !largest ? sum + number : number > sum || number != number ? number : sum;
        }
        numbers[thread] = sum;
    }
    fold(numbers, largest);
    EACH_THREAD(thread) {
        if (thread == 0) {
            of.sums[block] = numbers[0];
        }
    }
}

BLOCK_KERNEL(measure_gradients, measure_block, Measure)

/* Whether a minibatch is learned from, by what `measure_gradients` found of it; and the iteration's figures with it. One block.
 * Figures are the totals of the statistics, the norm of each gradient, and their joint norm. */
#define MOST_FIGURES (STATISTICS + MOST_PARAMETERS + 1)

struct Judge {
    const float *sums;
    const int32_t *ends; /* [parameters]: the chunk behind each one's last */
    const double *limit; /* of the joint norm */
    const float *live;   /* how many samples count, or null: all do */
    float *totals;       /* [STATISTICS + 2] of the iteration: statistics, joint norms, the largest ratio */
    float *record;       /* [4 + figures] of `DeferredFaults` */
    float *scale;        /* out: what brings the joint norm down to the limit */
    uint8_t *learned;    /* out */
    int64_t parameters, chunk_count, row_chunks;
};

DEVICE_FN void judge_block(const Judge &of, int64_t block) {
    __shared__ float figures[MOST_FIGURES + 1], totals[STATISTICS + 2];
    __shared__ bool finite, learned, first_bad;
    if (!of.totals || block > 0) {
        return;
    }
    const int parameters = (int)of.parameters, count = STATISTICS + parameters + 1;
    EACH_THREAD(thread) {
        for (int place = thread; place <= count; place += DEVICE_THREADS) {
            const int parameter = place - STATISTICS, line = place < STATISTICS ? place : STATISTICS;
            if (place == count - 1) {
                continue; /* of the others, below */
            }
            const bool norm = parameter >= 0 && parameter < parameters;
            int64_t at = of.chunk_count + line * of.row_chunks, end = at + of.row_chunks;
            if (norm) {
                at = parameter ? of.ends[parameter - 1] : 0, end = of.ends[parameter];
            }
            float sum = 0.0f, largest = 0.0f;
            for (; at < end; at++) {
                const float part = of.sums[at];
                sum += part;
                largest = part > largest || part != part ? part : largest;
            }
            figures[place] = norm ? sqrtf(sum) : place == count ? largest : of.totals[place] + sum;
        }
    }
    BARRIER();
    EACH_THREAD(thread) {
        if (thread == 0) {
            float squares = 0.0f;
            for (int parameter = 0; parameter < parameters; parameter++) {
                squares += figures[STATISTICS + parameter] * figures[STATISTICS + parameter];
            }
            const float norm = sqrtf(squares), ratio = figures[count], before = of.totals[STATISTICS + 1];
            figures[count - 1] = norm;
            finite = true;
            for (int place = 0; place < count; place++) {
                finite = finite && figures[place] - figures[place] == 0.0f;
            }
            learned = finite && (!of.live || *of.live > 0.0f);
            first_bad = of.record[0] == of.record[1] && !finite;
            for (int place = 0; place < STATISTICS; place++) {
                totals[place] = figures[place];
            }
            totals[STATISTICS] = of.totals[STATISTICS] + norm;
            totals[STATISTICS + 1] = ratio > before ? ratio : before;
            const double scale = *of.limit / ((double)norm + 1e-6);
            *of.scale = (float)(scale < 1.0 ? scale : 1.0);
            *of.learned = learned;
        }
    }
    BARRIER();
    EACH_THREAD(thread) {
        if (first_bad) {
            for (int place = thread; place < count; place += DEVICE_THREADS) {
                of.record[4 + place] = figures[place];
            }
        }
        if (learned && thread < STATISTICS + 2) {
            of.totals[thread] = totals[thread];
        }
        if (thread == 0) {
            if (first_bad) {
                of.record[3] = of.record[0];
            }
            of.record[0] += 1.0f;
            of.record[1] += finite;
            of.record[2] += learned;
        }
    }
}

BLOCK_KERNEL(judge_minibatch, judge_block, Judge)

/* What stays where it is of a parameter. */
struct Parameter {
    float *values, *first, *second; /* with moments; `second` is null for Muon's */
    float *update;                  /* Muon's: its momentum of Nesterov's */
    int64_t decays;
};

/* Adam's step, and Muon's up to its momentum; a block for each chunk. */
struct Advance {
    const float *gradients[MOST_PARAMETERS];
    const Chunk *chunks;
    const Parameter *parameters;
    const float *scale;     /* of the gradients */
    const uint8_t *learned; /* or nothing changes */
    const double *rate;     /* Adam's; one number, as are the next three */
    const double *decay;    /* or null: no weights decay */
    const double *first_filled;
    const double *second_filled;
    float *squares; /* [chunk_count] out: sum of the squares of `update` */
    int64_t chunk_count;
    double beta1, beta2, eps, momentum;
};

/* torch.lerp */
DEVICE_FN float between(float from, float to, float weight) {
    return weight < 0.5f ? from + weight * (to - from) : to - (to - from) * (1.0f - weight);
}

DEVICE_FN void advance_block(const Advance &by, int64_t block) {
    __shared__ float numbers[DEVICE_THREADS];
    if (block >= by.chunk_count) {
        return;
    }
    const Chunk chunk = by.chunks[block];
    const Parameter parameter = by.parameters[chunk.parameter];
    const float *const gradients = by.gradients[chunk.parameter];
    const float scale = *by.scale;
    const bool learned = *by.learned;
    const int end = chunk.first + chunk.count;
    if (parameter.second) {
        const float rate = (float)*by.rate, eps = (float)by.eps;
        const float filled1 = (float)*by.first_filled, filled2 = (float)*by.second_filled;
        const float weight1 = (float)(1.0 - by.beta1), weight2 = (float)(1.0 - by.beta2);
        const float kept = by.decay && parameter.decays ? (float)(1.0 - *by.rate * *by.decay) : 1.0f;
        EACH_THREAD(thread) {
            for (int i = chunk.first + thread; learned && i < end; i += DEVICE_THREADS) {
                const float gradient = gradients[i] * scale;
                const float first = between(parameter.first[i], gradient, weight1);
                const float second = between(parameter.second[i], gradient * gradient, weight2);
                parameter.first[i] = first;
                parameter.second[i] = second;
                parameter.values[i] = parameter.values[i] * kept - first / filled1 / (sqrtf(second / filled2) + eps) * rate;
            }
        }
        return;
    }
    const float beta = (float)by.momentum, weight = (float)(1.0 - by.momentum);
    EACH_THREAD(thread) {
        float sum = 0.0f;
        for (int i = chunk.first + thread; i < end; i += DEVICE_THREADS) {
            const float gradient = gradients[i] * scale, first = between(parameter.first[i], gradient, weight);
            const float update = between(gradient, first, beta);
            if (learned) {
                parameter.first[i] = first;
            }
            parameter.update[i] = update;
            sum += update * update;
        }
        numbers[thread] = sum;
    }
    fold(numbers, false);
    EACH_THREAD(thread) {
        if (thread == 0) {
            by.squares[block] = numbers[0];
        }
    }
}

BLOCK_KERNEL(advance_parameters, advance_block, Advance)

/* A product of matrices, in tiles of TILE x TILE, of which a block computes one: each of its SHARES of the threads sums
 * every SHARES-th of the products, and a thread FOUR x FOUR numbers, so that it reads little for what it multiplies. */
#define TILE 32
#define DEPTH 128
#define FOUR 4
#define TILE_THREADS (TILE / FOUR * (TILE / FOUR))
#define SHARES (DEVICE_THREADS / TILE_THREADS)

struct alignas(16) Quad {
    float numbers[FOUR];
};

/* Rows of a tile are a quad longer than they need to be, so that a column does not lie in one bank of memory. */
#define QUADS (TILE / FOUR + 1)

/* One side of a product: number (i, k) lies at values[i * across + k * along], times `scale`; nothing beyond `most` rows. */
struct Side {
    const float *values;
    int across, along, most;
    float scale;
};

DEVICE_FN void load_side(Quad (*tile)[QUADS], const Side &side, int first, int depth, int thread) {
#pragma unroll 16
    for (int j = 0; j < TILE * DEPTH / DEVICE_THREADS; j++) {
        const int at = j * DEVICE_THREADS + thread;
        /* Neighbouring threads read neighbours in memory, and write to as many banks as there are. */
        int i = at % TILE, k = at / TILE;
        if (side.along == 1) {
            i = at / 8 % FOUR + at / (FOUR * DEPTH) * FOUR;
            k = at % 8 + at / (8 * FOUR) % (DEPTH / 8) * 8;
        }
        float number = 0.0f;
        if (i < side.most && first + k < depth) {
            number = side.values[i * side.across + (first + k) * side.along] * side.scale;
        }
        tile[k][i / FOUR].numbers[i % FOUR] = number;
    }
}

/* sums[i][j] = sum over k of left(i, k) * right(j, k) for the rows and columns of a tile, in the block's own memory. */
DEVICE_FN void multiply(const Side &left, const Side &right, int depth, float (*sums)[TILE]) {
    __shared__ Quad lefts[DEPTH][QUADS], rights[DEPTH][QUADS];
    float parts[EACH_OWN][FOUR][FOUR];
    EACH_THREAD(thread) {
        for (int i = 0; i < FOUR * FOUR; i++) {
            parts[OWN(thread)][i / FOUR][i % FOUR] = 0.0f;
        }
    }
    for (int first = 0; first < depth; first += DEPTH) {
        EACH_THREAD(thread) {
            load_side(lefts, left, first, depth, thread);
            load_side(rights, right, first, depth, thread);
        }
        BARRIER();
        EACH_THREAD(thread) {
            const int left_depth = depth - first < DEPTH ? depth - first : DEPTH;
            const int row = thread % TILE_THREADS / (TILE / FOUR), column = thread % (TILE / FOUR);
#pragma unroll 4
            for (int k = thread / TILE_THREADS; k < left_depth; k += SHARES) {
                const Quad l = lefts[k][row], r = rights[k][column];
#pragma unroll
                for (int i = 0; i < FOUR; i++) {
#pragma unroll
                    for (int j = 0; j < FOUR; j++) {
                        parts[OWN(thread)][i][j] += l.numbers[i] * r.numbers[j];
                    }
                }
            }
        }
        BARRIER();
    }
    /* The shares are added up where the sides were: one at a time, in order. */
    Quad(*const shares)[TILE_THREADS * FOUR] = (Quad(*)[TILE_THREADS * FOUR])lefts;
    EACH_THREAD(thread) {
#pragma unroll
        for (int i = 0; i < FOUR; i++) {
            Quad &share = shares[thread / TILE_THREADS][i * TILE_THREADS + thread % TILE_THREADS];
#pragma unroll
            for (int j = 0; j < FOUR; j++) {
                share.numbers[j] = parts[OWN(thread)][i][j];
            }
        }
    }
    BARRIER();
    EACH_THREAD(thread) {
        const int i = thread / TILE_THREADS, place = thread % TILE_THREADS;
        Quad sum = shares[0][thread];
        for (int share = 1; share < SHARES; share++) {
            const Quad more = shares[share][thread];
            for (int j = 0; j < FOUR; j++) {
                sum.numbers[j] += more.numbers[j];
            }
        }
        for (int j = 0; j < FOUR; j++) {
            sums[place / (TILE / FOUR) * FOUR + i][place % (TILE / FOUR) * FOUR + j] = sum.numbers[j];
        }
    }
    BARRIER();
}

/* A matrix of Muon's. */
struct Matrix {
    float *values;       /* [rows, columns] */
    const float *update; /* [rows, columns] */
    int64_t rows, columns;
    int64_t first_chunk, end_chunk;
    int64_t first_tile; /* of `apply_updates` */
};

/* Gram matrices on the smaller side of each update, which is normalized; all are [size, size], with zeros beyond. */
struct Gram {
    const Matrix *matrices;
    const float *squares; /* of `advance_parameters` */
    float *grams;         /* [count, size, size] out */
    float *inverses;      /* [count] out: 1 / norm */
    int64_t count, size;
};

DEVICE_FN int at_most(int64_t number) { return number < 0 ? 0 : number < TILE ? (int)number : TILE; }

DEVICE_FN void gram_block(const Gram &of, int64_t block) {
    __shared__ float numbers[DEVICE_THREADS];
    const int size = (int)of.size, side = size / TILE, tiles = side * side;
    if (block >= of.count * tiles) {
        return;
    }
    const int which = (int)(block / tiles), row = (int)(block % tiles) / side * TILE, column = (int)(block % side) * TILE;
    const Matrix matrix = of.matrices[which];
    EACH_THREAD(thread) {
        float sum = 0.0f;
        for (int64_t chunk = matrix.first_chunk + thread; chunk < matrix.end_chunk; chunk += DEVICE_THREADS) {
            sum += of.squares[chunk];
        }
        numbers[thread] = sum;
    }
    fold(numbers, false);
    const float inverse = 1.0f / (sqrtf(numbers[0]) + 1e-7f);
    const bool tall = matrix.rows > matrix.columns;
    const int shorter = (int)(tall ? matrix.columns : matrix.rows), longer = (int)(tall ? matrix.rows : matrix.columns);
    const int across = tall ? 1 : (int)matrix.columns, along = tall ? (int)matrix.columns : 1;
    __shared__ float sums[TILE][TILE];
    multiply(Side{matrix.update + row * across, across, along, at_most(shorter - row), inverse},
             Side{matrix.update + column * across, across, along, at_most(shorter - column), inverse}, longer, sums);
    EACH_THREAD(thread) {
        for (int at = thread; at < TILE * TILE; at += DEVICE_THREADS) {
            const int i = at / TILE, j = at % TILE;
            of.grams[((int64_t)which * size + row + i) * size + column + j] = sums[i][j];
        }
        if (block % tiles == 0 && thread == 0) {
            of.inverses[which] = inverse;
        }
    }
}

BLOCK_KERNEL(gram_matrices, gram_block, Gram)

/* out = constant * I + linear * left + square * (left @ right), for [size, size] matrices; `right2` and `out2` may ask for
 * another product with the same left side. */
struct Product {
    const float *left, *right, *right2;
    float *out, *out2;
    int64_t count, size;
    double constant, linear, square;
};

DEVICE_FN void product_block(const Product &of, int64_t block) {
    const int size = (int)of.size, side = size / TILE, tiles = side * side;
    const bool second = block >= of.count * tiles;
    if (block >= of.count * tiles * (of.right2 ? 2 : 1)) {
        return;
    }
    block -= second ? of.count * tiles : 0;
    const int row = (int)(block % tiles) / side * TILE, column = (int)(block % side) * TILE;
    const int64_t start = block / tiles * size * size;
    __shared__ float sums[TILE][TILE];
    multiply(Side{of.left + start + row * size, size, 1, TILE, 1.0f},
             Side{(second ? of.right2 : of.right) + start + column, 1, size, TILE, 1.0f}, size, sums);
    EACH_THREAD(thread) {
        for (int place = thread; place < TILE * TILE; place += DEVICE_THREADS) {
            const int at_row = row + place / TILE, at_column = column + place % TILE;
            const int64_t at = start + at_row * size + at_column;
            float number = (float)of.square * sums[place / TILE][place % TILE];
            number += of.linear != 0.0 ? (float)of.linear * of.left[at] : 0.0f;
            (second ? of.out2 : of.out)[at] = number + (at_row == at_column ? (float)of.constant : 0.0f);
        }
    }
}

BLOCK_KERNEL(multiply_matrices, product_block, Product)

/* Muon's step: each matrix decays and moves by its orthogonalized update, on the smaller side multiplied with `factors`. */
struct Apply {
    const Matrix *matrices;
    const float *factors;   /* [count, size, size] */
    const float *inverses;  /* [count] */
    const uint8_t *learned; /* or nothing changes */
    const double *rate;     /* one number, as is the next */
    const double *decay;    /* or null: no weights decay */
    int64_t count, size, tiles;
};

DEVICE_FN void apply_block(const Apply &by, int64_t block) {
    if (block >= by.tiles || !*by.learned) {
        return;
    }
    int which = 0;
    while (which + 1 < by.count && by.matrices[which + 1].first_tile <= block) {
        which++;
    }
    const Matrix matrix = by.matrices[which];
    const int rows = (int)matrix.rows, columns = (int)matrix.columns, wide = (columns + TILE - 1) / TILE;
    const int tile = (int)(block - matrix.first_tile), row = tile / wide * TILE, column = tile % wide * TILE;
    const int size = (int)by.size, left_rows = at_most(rows - row), left_columns = at_most(columns - column);
    const float inverse = by.inverses[which];
    const float *const factor = by.factors + (int64_t)which * size * size;
    const float *const update = matrix.update;
    __shared__ float sums[TILE][TILE];
    if (rows > columns) {
        multiply(Side{update + row * columns, columns, 1, left_rows, inverse},
                 Side{factor + column, 1, size, left_columns, 1.0f}, columns, sums);
    } else {
        multiply(Side{factor + row * size, size, 1, left_rows, 1.0f},
                 Side{update + column, 1, columns, left_columns, inverse}, rows, sums);
    }
    const double larger = rows > columns ? (double)rows / columns : 1.0;
    const float rate = (float)*by.rate * sqrtf((float)larger);
    const float kept = by.decay ? (float)(1.0 - *by.rate * *by.decay) : 1.0f;
    EACH_THREAD(thread) {
        for (int place = thread; place < TILE * TILE; place += DEVICE_THREADS) {
            const int at_row = place / TILE, at_column = place % TILE;
            if (at_row < left_rows && at_column < left_columns) {
                float *const value = matrix.values + (row + at_row) * columns + column + at_column;
                *value = *value * kept - sums[at_row][at_column] * rate;
            }
        }
    }
}

BLOCK_KERNEL(apply_updates, apply_block, Apply)

#endif
