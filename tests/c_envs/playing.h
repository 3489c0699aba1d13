/* Playing a batch from C: buffers of exactly the size it may touch, random actions, and what must hold after every step. */
#ifndef TESTS_C_ENVS_PLAYING_H
#define TESTS_C_ENVS_PLAYING_H

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batch.h"

#define SETTINGS_MAX 8

static int failures = 0;

/* Says what failed and goes on, up to a few times. */
#define CHECK(condition, ...)                                                                                             \
    do {                                                                                                                  \
        if (!(condition)) {                                                                                               \
            if (++failures > 20) {                                                                                        \
                exit(1);                                                                                                  \
            }                                                                                                             \
            printf("%s:%d: %s: ", __FILE__, __LINE__, #condition);                                                        \
            printf(__VA_ARGS__);                                                                                          \
            printf("\n");                                                                                                 \
        }                                                                                                                 \
    } while (0)

/* A batch of two slots, and buffers of exactly the size it may touch. */
typedef struct Play {
    Batch *batch;
    EnvAction *actions;
    Pcg32 random;
    uint64_t hash;
} Play;

static inline void *must(void *memory) {
    if (!memory) {
        printf("out of memory\n");
        exit(2);
    }
    return memory;
}

static inline Play play_create(const EnvEntry *entry, const double *settings, int64_t environments, uint64_t seed,
                               int threads) {
    Play play;
    Batch *batch = must(batch_create(entry, settings, environments, 2, seed, threads));
    const size_t rows = (size_t)batch->rows, floats = (size_t)batch->spec.observation_size;
    play.batch = batch;
    play.random = pcg32_seeded(99);
    play.hash = 0xCBF29CE484222325ull;
    play.actions = must(calloc(2 * rows, sizeof(EnvAction)));
    batch->buffers.actions = play.actions;
    batch->buffers.observations = must(calloc(3 * rows * floats, sizeof(float)));
    batch->buffers.rewards = must(calloc(2 * rows, sizeof(float)));
    batch->buffers.terminals = must(calloc(2 * rows, 1));
    batch->buffers.truncations = must(calloc(2 * rows, 1));
    batch->buffers.masks = must(calloc(2 * rows, 1));
    batch->buffers.final_observations = must(calloc(rows * floats, sizeof(float)));
    batch_reset(batch, batch->seed);
    return play;
}

static inline void play_destroy(Play *play) {
    EnvBuffers *buffers = &play->batch->buffers;
    free(play->actions);
    free(buffers->observations);
    free(buffers->rewards);
    free(buffers->terminals);
    free(buffers->truncations);
    free(buffers->masks);
    free(buffers->final_observations);
    batch_destroy(play->batch);
}

static inline void mix(Play *play, const void *bytes, size_t count) {
    const unsigned char *at = bytes;
    for (size_t i = 0; i < count; i++) {
        play->hash = (play->hash ^ at[i]) * 0x100000001B3ull;
    }
}

/* Random actions, one in sixteen of them out of range. */
static inline void draw_actions(Play *play, int64_t slot) {
    static const float odd[4] = {NAN, INFINITY, -INFINITY, 3e38f};
    static const int32_t wild[4] = {INT32_MIN, INT32_MAX, -1, 1000};
    EnvAction *actions = play->actions + slot * play->batch->rows;
    for (int64_t i = 0; i < play->batch->rows; i++) {
        const uint32_t bits = pcg32_next(&play->random);
        if (play->batch->spec.continuous) {
            actions[i].value = bits % 16 ? pcg32_unit(&play->random) * 2.0f - 1.0f : odd[bits >> 30];
        } else {
            const uint32_t choice = pcg32_below(&play->random, (uint32_t)play->batch->spec.actions);
            actions[i].choice = bits % 16 ? (int32_t)choice : wild[bits >> 30];
        }
    }
}

/* One step of all in slot 0 or 1; the bytes written are mixed into the hash. */
static inline void play_step(Play *play, int64_t slot) {
    const Batch *batch = play->batch;
    const EnvBuffers *buffers = &batch->buffers;
    const size_t rows = (size_t)batch->rows, floats = (size_t)batch->spec.observation_size;
    draw_actions(play, slot);
    batch_step(play->batch, slot, 0, batch->environments);
    const size_t at = (size_t)slot * rows;
    mix(play, buffers->rewards + at, rows * sizeof(float));
    mix(play, buffers->terminals + at, rows);
    mix(play, buffers->truncations + at, rows);
    if (batch->spec.agents > 1) {
        mix(play, buffers->masks + at, rows);
    }
    mix(play, buffers->observations + (at + rows) * floats, rows * floats * sizeof(float));
}

/* Every value that a step wrote lies where it must, and every state is one that `valid` admits. */
static inline void check_step(const Play *play, int64_t slot, const float *low, const float *high) {
    const Batch *batch = play->batch;
    const int64_t floats = batch->spec.observation_size;
    for (int64_t i = 0; i < batch->environments; i++) {
        CHECK(batch->entry->valid(batch->config, batch_state(batch, i)), "%s environment %d", batch->entry->name, (int)i);
    }
    for (int64_t row = 0; row < batch->rows; row++) {
        const int64_t at = slot * batch->rows + row;
        const float *observation = batch->buffers.observations + (at + batch->rows) * floats;
        const int terminal = batch->buffers.terminals[at], truncation = batch->buffers.truncations[at];
        CHECK(terminal <= 1 && truncation <= 1 && terminal + truncation <= 1, "%d %d", terminal, truncation);
        CHECK(batch->buffers.masks[at] == 1 || (batch->buffers.masks[at] == 0 && batch->spec.agents > 1), "mask %d",
              batch->buffers.masks[at]);
        CHECK(env_within(batch->buffers.rewards[at], -1.0f, 1.0f) || strcmp(batch->entry->name, "breakout") == 0,
              "%s reward %g", batch->entry->name, (double)batch->buffers.rewards[at]);
        CHECK(isfinite(batch->buffers.rewards[at]), "reward %g", (double)batch->buffers.rewards[at]);
        for (int64_t i = 0; i < floats; i++) {
            CHECK(observation[i] >= low[i] && observation[i] <= high[i], "%s observation[%d] is %g", batch->entry->name,
                  (int)i, (double)observation[i]);
        }
    }
}

static inline void draw_pictures(const Batch *batch) {
    char text[64];
    for (int32_t scale = 1; scale <= batch->spec.render_scales; scale++) {
        int32_t rows, columns;
        batch->entry->render_size(batch->config, scale, &rows, &columns);
        EnvCell *cells = must(malloc((size_t)(rows * columns) * sizeof(EnvCell)));
        batch->entry->render(batch->config, batch_state(batch, 0), scale, cells);
        for (int32_t i = 0; i < rows * columns; i++) {
            CHECK(cells[i].foreground < CELL_ROLE_COUNT && cells[i].background < CELL_ROLE_COUNT, "cell %d", (int)i);
        }
        free(cells);
    }
    batch->entry->caption(batch->config, batch_state(batch, 0), text, sizeof(text));
    CHECK(strlen(text) > 5 && strlen(text) + 1 < sizeof(text), "caption %s", text);
}

#endif
