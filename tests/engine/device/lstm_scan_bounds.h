/* Runs the kernels of engine/kernels/lstm_scan.h on arrays of exactly the size that they are said to have, for a build that
 * finds what is read or written beside them. Put behind host_lstm_scan.h and host_driver.h. */
#include "host_bounds.h"

namespace {
template <class Real>
void run(int64_t steps, int64_t rows) {
    const int64_t all = steps * rows * UNITS;
    const Array<Real> gates(4 * all), weight(4 * UNITS * UNITS), carried(all), outputs(all);
    const Array<float> cells(all + rows * UNITS), d_bias(rows * 4 * UNITS);
    const Array<uint8_t> resets(steps * rows);
    const int64_t blocks = (rows + SCAN_ROWS - 1) / SCAN_ROWS;
    launch("lstm_scan_forward", blocks,
           LstmScanForward<Real>{gates, weight, resets, cells, carried, outputs, rows, steps});
    launch("lstm_scan_backward", blocks,
           LstmScanBackward<Real>{gates, weight, resets, cells, outputs, d_bias, rows, steps});
    for (int64_t element = 0; element < all; element++) {
        const float found = get(outputs + element) + get(gates + 4 * element);
        if (found != found) {
            __builtin_trap(); /* something was read before it was written */
        }
    }
}
}  // namespace

int main() {
    for (int64_t steps = 1; steps <= 3; steps++) {
        for (int64_t rows = 1; rows <= 17; rows += 8) {
            run<SCAN_REAL>(steps, rows);
        }
    }
    run<SCAN_REAL>(2, 13);
    return 0;
}
