/* Runs every kernel of engine/kernels/minibatch.h on arrays of exactly the size that they are said to have, for a build that
 * finds what is read or written beside them. Put behind host_minibatch.h and host_driver.h. */
#include "host_bounds.h"

namespace {
void draw(int64_t segments, int64_t count) {
    const Array<float> metric(segments), weights(count);
    const Array<double> number(1), powered(segments), inverse(segments), chance(count), cumulative(segments);
    const Array<int32_t> counts(segments), ends(segments);
    const Array<int64_t> uses(segments), drawn(count);
    number[0] = 0.7;
    for (int64_t i = 0; i < count; i++) {
        chance[i] = (double)(i * 37 % count) / (double)count;
    }
    launch("prioritize", segments, Prioritize{metric, number, number, powered, inverse, segments, 1e-6});
    for (int64_t mode = 0; mode < 4; mode++) {
        launch("draw_segments", 1,
               DrawSegments{powered, inverse, chance, number, cumulative, counts, ends, uses, drawn, weights, segments, count,
                            mode % 2, mode / 2});
    }
}

template <class Number>
void gather(Column &column, const Array<Number> &from, const Array<Number> &to, int64_t width, int64_t segments,
            int64_t units, int64_t &blocks) {
    column = Column{(const uint8_t *)(Number *)from, (uint8_t *)(Number *)to, sizeof(Number), width, segments * width, units,
                    blocks};
    blocks += (units + UNITS_A_BLOCK - 1) / UNITS_A_BLOCK;
}

void copy(int64_t steps, int64_t segments, int64_t count, int64_t width) {
    const int64_t all = steps * segments * width, some = steps * count * width;
    const Array<Unit<16>> wide(all), wide_to(some);
    const Array<double> middle(all), middle_to(some), clip(1);
    const Array<float> narrow(all), narrow_to(some), values(steps * segments), ratios(steps * segments), weights(count),
        explained(1), to_weights(2 * count), to_clipped(2 * count), to_explained(2), newest(steps * count);
    const Array<uint8_t> small(all), small_to(some), learned(1);
    const Array<int64_t> drawn(count), row(1), to_drawn(2 * count);
    for (int64_t i = 0; i < count; i++) {
        drawn[i] = i * segments / count;
    }
    drawn[count - 1] = segments - 1;
    Gather of = {};
    int64_t blocks = 0;
    gather(of.columns[0], wide, wide_to, width, segments, some, blocks);
    gather(of.columns[1], middle, middle_to, width, segments, some, blocks);
    gather(of.columns[2], narrow, narrow_to, width, segments, some, blocks);
    gather(of.columns[3], small, small_to, width, segments, some, blocks);
    of.drawn = drawn, of.column_count = 4, of.count = count;
    launch("gather_segments", blocks * DEVICE_THREADS, of);
    const Array<float> metric(segments);
    launch("priority_metric", (segments + METRIC_SEGMENTS - 1) / METRIC_SEGMENTS * DEVICE_THREADS,
           Metric{values, ratios, metric, steps, segments, 3, 0.9});
    launch("priority_metric", (segments + METRIC_SEGMENTS - 1) / METRIC_SEGMENTS * DEVICE_THREADS,
           Metric{values, nullptr, metric, steps, segments, METRIC_SUM, 0.9});
    const int64_t fresh = 1 + segments / 2, chunks = (steps * count + MOMENTS_CHUNK - 1) / MOMENTS_CHUNK,
                  fresh_chunks = (steps * fresh + MOMENTS_CHUNK - 1) / MOMENTS_CHUNK;
    const Array<Moments> parts(chunks + 2 * fresh_chunks);
    const Array<float> normalized(steps * count), returns(steps * count), live(1);
    Measurement measurement = {values,    ratios, values,  drawn,     weights, parts,  normalized,   returns, live,
                               explained, steps,  segments, count, fresh,   chunks, fresh_chunks};
    for (int turn = 0; turn < 2; turn++) {
        launch("measure_advantages", (chunks + 2 * fresh_chunks) * DEVICE_THREADS, measurement);
        launch("normalize_advantages", (chunks + 1) * DEVICE_THREADS, measurement);
        measurement.masks = nullptr;
    }
    learned[0] = 1;
    launch("write_back", steps * count,
           WriteBack{drawn, newest, newest, learned, values, ratios, steps, count, segments, 1});
    row[0] = 1;
    launch("log_row", 1,
           LogRow{drawn, weights, newest, clip, explained, row, to_drawn, to_weights, to_clipped, to_explained, steps, count});
}
}  // namespace

int main() {
    for (int64_t segments = 1; segments <= 5000; segments += 1 + segments / 2) {
        draw(segments, 1 + segments / 3);
        copy(1 + segments % 5, segments, 1 + segments / 3, 1 + segments % 4);
    }
    return 0;
}
