/* Runs every kernel of engine/kernels/step.h on arrays of exactly the size that they are said to have, for a build that
 * finds what is read or written beside them. Put behind host_step.h and host_driver.h. */
#include "host_bounds.h"

namespace {
/* One matrix of Muon's and one vector of Adam's. */
void run(int64_t rows, int64_t columns, int64_t samples) {
    const int64_t chunk = 200, numbers = rows * columns, first = (numbers + chunk - 1) / chunk, chunks = first + 1,
                  lines = (samples + chunk - 1) / chunk, shorter = rows < columns ? rows : columns,
                  size = (shorter + TILE - 1) / TILE * TILE,
                  tiles = (rows + TILE - 1) / TILE * ((columns + TILE - 1) / TILE), blocks = size / TILE * (size / TILE);
    const Array<float> weights(numbers), momentum(numbers), gradient(numbers), update(numbers), bias(columns), mean(columns),
        square(columns), slope(columns), statistics(STATISTICS * samples), ratios(samples),
        sums(chunks + (STATISTICS + 1) * lines), totals(STATISTICS + 2), record(4 + STATISTICS + 3), scale(1), live(1),
        squares(chunks), grams(size * size), others(size * size), seconds(size * size), inverses(1);
    const Array<Chunk> all(chunks);
    const Array<int32_t> ends(2);
    const Array<double> number(1);
    const Array<uint8_t> learned(1);
    const Array<Parameter> parameters(2);
    const Array<Matrix> matrices(1);
    for (int64_t i = 0; i < first; i++) {
        const int64_t left = numbers - i * chunk;
        all[i] = Chunk{0, (int32_t)(i * chunk), (int32_t)(left < chunk ? left : chunk)};
    }
    all[first] = Chunk{1, 0, (int32_t)columns};
    ends[0] = (int32_t)first, ends[1] = (int32_t)chunks;
    number[0] = 0.5, live[0] = 1.0f, gradient[0] = 1.0f;
    parameters[0] = Parameter{weights, momentum, nullptr, update, 1};
    parameters[1] = Parameter{bias, mean, square, nullptr, 0};
    matrices[0] = Matrix{weights, update, rows, columns, 0, first, 0};

    Measure measure = {};
    measure.gradients[0] = gradient, measure.gradients[1] = slope;
    measure.chunks = all, measure.statistics = statistics, measure.ratios = ratios, measure.sums = sums;
    measure.chunk_count = chunks, measure.rows = samples, measure.row_chunks = lines, measure.chunk = chunk;
    launch("measure_gradients", (chunks + (STATISTICS + 1) * lines) * DEVICE_THREADS, measure);
    launch("judge_minibatch", 1, Judge{sums, ends, number, live, totals, record, scale, learned, 2, chunks, lines});
    if (!learned[0]) {
        __builtin_trap();
    }
    Advance advance = {};
    advance.gradients[0] = gradient, advance.gradients[1] = slope;
    advance.chunks = all, advance.parameters = parameters, advance.scale = scale, advance.learned = learned;
    advance.rate = advance.decay = advance.first_filled = advance.second_filled = number;
    advance.squares = squares, advance.chunk_count = chunks;
    advance.beta1 = advance.beta2 = advance.momentum = 0.9;
    advance.eps = 1e-8;
    launch("advance_parameters", chunks * DEVICE_THREADS, advance);
    launch("gram_matrices", blocks * DEVICE_THREADS, Gram{matrices, squares, grams, inverses, 1, size});
    launch("multiply_matrices", blocks * DEVICE_THREADS,
           Product{grams, grams, nullptr, others, nullptr, 1, size, 0.5, 0.5, 0.5});
    launch("multiply_matrices", 2 * blocks * DEVICE_THREADS,
           Product{grams, grams, others, others, seconds, 1, size, 0.0, 0.0, 1.0});
    launch("apply_updates", tiles * DEVICE_THREADS,
           Apply{matrices, others, inverses, learned, number, number, 1, size, tiles});
}
}  // namespace

int main() {
    for (int64_t rows = 1; rows <= 150; rows += 37) {
        for (int64_t columns = 1; columns <= 150; columns += 31) {
            run(rows, columns, 1 + rows * columns % 700);
        }
    }
    return 0;
}
