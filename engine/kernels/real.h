/* The types of a network's products, float and Bfloat16, as the recurrent cores' kernels load and store them. */
#ifndef ENGINE_REAL_H
#define ENGINE_REAL_H

#include "device.h"

/* The upper half of a float. */
struct Bfloat16 {
    uint16_t bits;
};

union FloatBits {
    float value;
    uint32_t bits;
};

DEVICE_FN float get(const float *from) { return *from; }

DEVICE_FN float get(const Bfloat16 *from) {
    FloatBits whole;
    whole.bits = (uint32_t)from->bits << 16;
    return whole.value;
}

DEVICE_FN void put(float *to, float value) { *to = value; }

/* Rounds to the nearest, of two equally near ones to the even. A number that is none stays none. */
DEVICE_FN void put(Bfloat16 *to, float value) {
    FloatBits whole;
    whole.value = value;
    const uint32_t rounded = whole.bits + 0x7fffu + ((whole.bits >> 16) & 1u);
    to->bits = value == value ? (uint16_t)(rounded >> 16) : (uint16_t)0x7fc0;
}

DEVICE_FN float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

#endif
