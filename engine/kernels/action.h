/* An action by its logits and by chance; the formula is that of engine/collector.py (draw_actions). */
#ifndef ENGINE_ACTION_H
#define ENGINE_ACTION_H

#include "device.h"

/* An action by inverse CDF for a number in [0, 1), and its log-probability. */
DEVICE_FN int choose(const float *logits, int choices, float uniform, float &logprob) {
    float largest = logits[0], total = 0.0f, below = 0.0f;
    for (int a = 1; a < choices; a++) {
        largest = logits[a] > largest ? logits[a] : largest;
    }
    for (int a = 0; a < choices; a++) {
        total += expf(logits[a] - largest);
    }
    const float mark = uniform * total;
    int action = 0;
    for (int a = 0; a < choices - 1; a++) {
        below += expf(logits[a] - largest);
        action += below <= mark;
    }
    logprob = logits[action] - largest - logf(total);
    return action;
}

#endif
