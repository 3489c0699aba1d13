/* The random generator of the environments: PCG-XSH-RR 64/32 (O'Neill 2014), 16 bytes, kept inside each state. */
#ifndef C_ENVS_RANDOM_H
#define C_ENVS_RANDOM_H

typedef struct Pcg32 {
    uint64_t state;
    uint64_t stream; /* odd; generators with different streams give unrelated sequences */
} Pcg32;

/* The SplitMix64 finalizer: spreads every bit of v over the whole word. */
ENV_FN uint64_t random_mix(uint64_t v) {
    v += 0x9E3779B97F4A7C15ull;
    v = (v ^ (v >> 30)) * 0xBF58476D1CE4E5B9ull;
    v = (v ^ (v >> 27)) * 0x94D049BB133111EBull;
    return v ^ (v >> 31);
}

/* One seed out of a seed and an index, so that neighbours (seed 1, index 2 and seed 2, index 1) have nothing in common. */
ENV_FN uint64_t random_derive(uint64_t seed, uint64_t index) { return random_mix(random_mix(seed) ^ index); }

/* The seed of number `index` of what a batch's environments share, such as a level; apart from their own seeds. */
ENV_FN uint64_t random_shared(uint64_t seed, uint64_t index) { return random_derive(~seed, index); }

/* 32 uniform bits. */
ENV_FN uint32_t pcg32_next(Pcg32 *random) {
    uint64_t old = random->state;
    uint32_t shifted = (uint32_t)(((old >> 18) ^ old) >> 27);
    uint32_t turn = (uint32_t)(old >> 59);
    random->state = old * 6364136223846793005ull + random->stream;
    return (shifted >> turn) | (shifted << ((32u - turn) & 31u));
}

/* A generator from a seed. */
ENV_FN Pcg32 pcg32_seeded(uint64_t seed) {
    Pcg32 random;
    random.stream = random_mix(seed ^ 0xA5A5A5A5A5A5A5A5ull) | 1u;
    random.state = random_mix(seed) + random.stream;
    (void)pcg32_next(&random);
    return random;
}

/* A uniform integer in 0 .. count-1, without bias (Lemire 2019). count must be positive. */
ENV_FN uint32_t pcg32_below(Pcg32 *random, uint32_t count) {
    uint64_t product = (uint64_t)pcg32_next(random) * count;
    if ((uint32_t)product < count) {
        uint32_t unfair = (0u - count) % count;
        while ((uint32_t)product < unfair) {
            product = (uint64_t)pcg32_next(random) * count;
        }
    }
    return (uint32_t)(product >> 32);
}

/* A uniform float in [0, 1) with 24 random bits. */
ENV_FN float pcg32_unit(Pcg32 *random) { return (float)(pcg32_next(random) >> 8) * (1.0f / 16777216.0f); }

#endif
