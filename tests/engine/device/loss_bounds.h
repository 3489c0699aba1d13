/* Runs the kernel of engine/kernels/loss.h on arrays of exactly the size that they are said to have, for a build that finds
 * what is read or written beside them. Put behind host_loss.h and host_driver.h. */
#include "host_bounds.h"

namespace {
void run(int64_t rows, int64_t choices) {
    const int64_t stride = choices + 1;
    const Array<float> heads(rows * stride), logprobs(rows), advantages(rows), old_values(rows), returns(rows), masks(rows),
        live(1), d_logits(rows * choices), d_values(rows), ratios(rows), statistics(6 * rows);
    const Array<int32_t> actions(rows);
    const Array<double> setting(1);
    for (int64_t row = 0; row < rows; row++) {
        actions[row] = (int32_t)(row % choices);
    }
    live[0] = 1.0f;
    PpoLoss of = {heads,   heads + choices, actions,  logprobs, advantages, old_values, returns,  masks,      live,
                  setting, setting,         setting,  setting,  d_logits,   d_values,   ratios,   statistics, rows,
                  choices, stride,          stride,   0};
    launch("ppo_loss", rows, of);
    of.masks = of.live = nullptr;
    of.value_clip = nullptr;
    of.count = rows;
    launch("ppo_loss", rows, of);
}
}  // namespace

int main() {
    for (int64_t rows = 1; rows <= 600; rows += 29) {
        for (int64_t choices = 1; choices <= 18; choices += 4) {
            run(rows, choices);
        }
    }
    return 0;
}
