/* Runs every kernel of engine/kernels/experience.h on arrays of exactly the size that they are said to have, for a build
 * that finds what is read or written beside them. Put behind host_experience.h and host_driver.h. */
#include "host_bounds.h"

namespace {
void run(int64_t steps, int64_t rows, int64_t choices, int64_t parts, int64_t hidden) {
    const int64_t all = steps * rows, stride = choices + 1, memory = parts * rows * hidden;
    const Array<float> heads(rows * stride), uniform(all), logprobs(all), values(all), rewards(all), ratios(all),
        final_values(all), bootstrap(rows), out(all), state(memory), cut_state(memory);
    const Array<int32_t> actions(all);
    const Array<float> inputs(rows * hidden), weight(stride * hidden), bias(stride), outputs(rows * stride);
    const Array<uint8_t> terminals(rows), truncations(rows), done(all);
    const Array<int64_t> step(1), cut_at(rows);
    const Array<double> settings(4);
    step[0] = steps - 1;
    for (int64_t row = 0; row < rows; row++) {
        terminals[row] = row % 2, truncations[row] = row % 3 == 0;
    }
    launch("heads", rows * stride * HEADS_PARTS, Heads{inputs, weight, bias, outputs, rows, hidden, stride});
    launch("choose_actions", rows, ChooseActions{heads, heads + choices, step, uniform, actions, logprobs, values, rows,
                                                 choices, stride, stride, rows});
    launch("choose_actions", rows, ChooseActions{heads, heads + choices, nullptr, uniform, actions, logprobs, values, rows,
                                                 choices, stride, stride, 0});
    launch("end_step", memory > rows ? memory : rows,
           EndStep{terminals, truncations, state, cut_state, cut_at, rows, parts, hidden, 3});
    launch("end_step", memory > rows ? memory : rows,
           EndStep{terminals, truncations, state, nullptr, nullptr, rows, parts, hidden, 3});
    launch("advantages", rows,
           Advantages{rewards, values, ratios, done, final_values, bootstrap, settings, out, rows, steps});
}
}  // namespace

int main() {
    for (int64_t steps = 1; steps <= 19; steps++) {
        for (int64_t rows = 1; rows <= 300; rows += 23) {
            run(steps, rows, 1 + steps % 5, steps % 3, 1 + rows % 7);
        }
    }
    return 0;
}
