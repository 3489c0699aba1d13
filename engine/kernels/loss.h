/* The objective's kernel for a device: what each sample adds to it, its gradient, and its share of the statistics. The
 * formulas are those of engine/losses.py, with whose gradients autograd agrees; engine/device_loss.py launches it. */
#ifndef ENGINE_LOSS_H
#define ENGINE_LOSS_H

#include "device.h"

/* Every array has a number for each of `rows` samples unless it says otherwise. */
struct PpoLoss {
    const float *logits; /* [rows, choices], `stride` floats from one row to the next */
    const float *values; /* `value_stride` floats from one to the next */
    const int32_t *actions;
    const float *logprobs;
    const float *advantages;
    const float *old_values;
    const float *returns;
    const float *masks;         /* 1 where a sample counts, or null: all do */
    const float *live;          /* one number: how many samples of the minibatch count; null: `count` */
    const double *clip;         /* one number, as are the next three */
    const double *value_clip;   /* or null: values are not clipped */
    const double *value_coef;
    const double *entropy_coef;
    float *d_logits;            /* [rows, choices] out */
    float *d_values;            /* out */
    float *ratios;              /* out: 1 where a sample does not count */
    float *statistics;          /* [6, rows] out: what it adds to each of STATISTICS */
    int64_t rows, choices, stride, value_stride, count;
};

DEVICE_FN float limit(float value, float low, float high) { return value < low ? low : value > high ? high : value; }

DEVICE_FN void ppo_loss(const PpoLoss &of, int row) {
    const float *const logits = of.logits + row * of.stride;
    const int choices = (int)of.choices, action = of.actions[row];
    const float value = of.values[row * of.value_stride], old = of.old_values[row], target = of.returns[row];
    const float advantage = of.advantages[row], mask = of.masks ? of.masks[row] : 1.0f;
    const float share = mask / (of.live ? *of.live : (float)of.count);

    float largest = logits[0], total = 0.0f;
    for (int a = 1; a < choices; a++) {
        largest = logits[a] > largest ? logits[a] : largest;
    }
    for (int a = 0; a < choices; a++) {
        total += expf(logits[a] - largest);
    }
    const float shift = largest + logf(total);
    float entropy = 0.0f;
    for (int a = 0; a < choices; a++) {
        entropy -= expf(logits[a] - shift) * (logits[a] - shift);
    }

    const float log_ratio = logits[action] - shift - of.logprobs[row], ratio = expf(log_ratio);
    const float low = (float)(1.0 - *of.clip), high = (float)(1.0 + *of.clip);
    const float plain = ratio * advantage, limited = limit(ratio, low, high) * advantage;
    /* Where the limited one is the smaller the ratio is out of bounds, and nothing moves it. */
    const float d_log_ratio = limited < plain ? 0.0f : -plain;

    float error = value - target;
    float squared = error * error;
    if (of.value_clip) {
        const float most = (float)*of.value_clip;
        const float near = old + limit(value - old, -most, most) - target;
        if (near * near > squared && (value - old < -most || value - old > most)) {
            error = 0.0f;
        }
        squared = near * near > squared ? near * near : squared;
    }

    const float entropy_coef = (float)*of.entropy_coef;
    for (int a = 0; a < choices; a++) {
        const float log = logits[a] - shift, chance = expf(log);
        const float d_policy = d_log_ratio * ((a == action ? 1.0f : 0.0f) - chance);
        of.d_logits[row * choices + a] = share * (d_policy + entropy_coef * chance * (log + entropy));
    }
    of.d_values[row] = share * (float)*of.value_coef * error;
    of.ratios[row] = mask > 0.0f ? ratio : 1.0f;
    const bool out_of_reach = ratio - 1.0f > (float)*of.clip || ratio - 1.0f < -(float)*of.clip;
    const float parts[] = {-(limited < plain ? limited : plain),
                           0.5f * squared,
                           entropy,
                           -log_ratio,
                           ratio - 1.0f - log_ratio,
                           out_of_reach ? 1.0f : 0.0f};
    for (int part = 0; part < 6; part++) {
        of.statistics[part * of.rows + row] = share * parts[part];
    }
}

DEVICE_KERNEL(ppo_loss, ppo_loss, PpoLoss, arguments.rows)

#endif
