/* Runs every kernel of engine/kernels/recurrence.h on arrays of exactly the size that they are said to have, for a build
 * that finds what is read or written beside them. Put behind host_recurrence.h and host_driver.h. */
#include "host_bounds.h"

namespace {
template <class Real>
void run(int64_t steps, int64_t rows, int64_t hidden, const char *const (&names)[4]) {
    const int64_t step = rows * hidden, all = steps * step;
    const Array<Real> gates(4 * step), bias(4 * hidden), output(step), carried(step), raw(3 * all), inputs(all), outputs(all), d_raw(3 * all);
    const Array<float> cell(step), after(step), start(step), states(all);
    const Array<uint8_t> reset(rows), resets(steps * rows);
    launch(names[0], step, LstmForward<Real>{gates, bias, cell, reset, after, output, carried, reset, rows, hidden});
    launch(names[0], step, LstmForward<Real>{gates, nullptr, cell, nullptr, cell, output, nullptr, nullptr, rows, hidden});
    launch(names[1], step, LstmBackward<Real>{gates, cell, reset, after, output, carried, reset, start, rows, hidden});
    launch(names[2], step, MinGruForward<Real>{raw, inputs, start, resets, states, outputs, rows, hidden, steps});
    launch(names[3], step, MinGruBackward<Real>{raw, inputs, start, resets, states, outputs, inputs, d_raw, rows, hidden, steps});
}
}  // namespace

int main() {
    for (int64_t steps = 1; steps <= 9; steps++) {
        for (int64_t rows = 1; rows <= 19; rows += 6) {
            for (int64_t hidden = 1; hidden <= 40; hidden += 13) {
                run<float>(steps, rows, hidden,
                           {"lstm_forward_float32", "lstm_backward_float32", "mingru_forward_float32",
                            "mingru_backward_float32"});
                run<Bfloat16>(steps, rows, hidden,
                              {"lstm_forward_bfloat16", "lstm_backward_bfloat16", "mingru_forward_bfloat16",
                               "mingru_backward_bfloat16"});
            }
        }
    }
    return 0;
}
