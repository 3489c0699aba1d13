/* Squared: from the middle of a square to the targets on its border.
 *
 * Targets are cells of the border, drawn anew for each episode; the agent sees the whole square. A target pays its
 * share of 1 when the agent stands on it for the first time; the last one ends the episode. From the middle to the
 * border and once round takes at most 9 * distance steps, and 12 * distance are given, so that who sees the targets
 * scores 1; who walks at random, with the defaults, 0.28.
 */
#ifndef C_ENVS_SQUARED_H
#define C_ENVS_SQUARED_H

#include "env.h"

#define SQUARED_DISTANCE_MAX 8
#define SQUARED_BORDER_MAX (8 * SQUARED_DISTANCE_MAX)
#define SQUARED_ACTIONS 5

typedef struct SquaredConfig {
    int32_t distance; /* steps from the middle to the border */
    int32_t targets;
    int32_t max_steps; /* steps after which an episode is truncated */
    int32_t unused;
} SquaredConfig;

/* x grows to the right, y downwards; (0, 0) is a corner of the border. */
typedef struct SquaredState {
    EnvEpisode episode;
    uint64_t targets; /* a bit for each border cell, clockwise from the upper left corner: 1 where a target is left */
    int32_t x;
    int32_t y;
    int32_t hits; /* targets reached in this episode */
    int32_t unused;
} SquaredState;

/* Number of the border cell (x, y), clockwise from the upper left corner; -1 inside the border. */
ENV_FN int32_t squared_border(int32_t distance, int32_t x, int32_t y) {
    const int32_t last = 2 * distance;
    if (y == 0 && x < last) {
        return x;
    }
    if (x == last && y < last) {
        return last + y;
    }
    if (y == last && x > 0) {
        return 3 * last - x;
    }
    return x == 0 ? 4 * last - y : -1;
}

/* Index, row by row, of the cell that a border cell's number means. */
ENV_FN int32_t squared_cell(int32_t distance, int32_t border) {
    const int32_t last = 2 * distance, side = last + 1;
    const int32_t along = border % last;
    switch (border / last) {
    case 0:
        return along;
    case 1:
        return along * side + last;
    case 2:
        return last * side + last - along;
    default:
        return (last - along) * side;
    }
}

/* Starts the next episode; the generator goes on. */
ENV_FN void squared_begin(const SquaredConfig *config, SquaredState *state) {
    state->episode.total_reward = 0.0f;
    state->episode.steps = 0;
    state->x = config->distance;
    state->y = config->distance;
    state->hits = 0;
    state->unused = 0;
    state->targets = 0;
    for (int32_t left = config->targets; left > 0;) {
        const uint64_t bit = 1ull << pcg32_below(&state->episode.random, (uint32_t)(8 * config->distance));
        left -= !(state->targets & bit);
        state->targets |= bit;
    }
}

/* Starts the first episode of a seed. */
ENV_FN void squared_reset(const SquaredConfig *config, SquaredState *state, uint64_t seed) {
    state->episode.random = pcg32_seeded(seed);
    squared_begin(config, state);
}

/* One step: 0 stay, 1 up, 2 down, 3 left, 4 right; the border holds. */
ENV_FN int32_t squared_step(const SquaredConfig *config, SquaredState *state, const EnvAction *action, float *reward,
                            uint8_t *mask) {
    const int32_t choice = env_action_choice(*action, SQUARED_ACTIONS);
    const int32_t last = 2 * config->distance;
    const int32_t x = state->x + (choice == 4) - (choice == 3);
    const int32_t y = state->y + (choice == 2) - (choice == 1);
    state->x = x < 0 ? 0 : x > last ? last : x;
    state->y = y < 0 ? 0 : y > last ? last : y;
    const int32_t border = squared_border(config->distance, state->x, state->y);
    const uint64_t bit = border < 0 ? 0 : 1ull << border;
    const int32_t hit = (state->targets & bit) != 0;
    state->targets &= ~bit;
    state->hits += hit;
    *reward = hit ? 1.0f / (float)config->targets : 0.0f;
    *mask = ENV_ACTED;
    state->episode.total_reward += *reward;
    state->episode.steps += 1;
    if (!state->targets) {
        return ENV_TERMINAL;
    }
    return state->episode.steps >= config->max_steps ? ENV_TRUNCATED : ENV_RUNNING;
}

/* observation[(2 * distance + 1)^2], row by row: 1 where a target is left, -1 where the agent is, never on a target. */
ENV_FN void squared_observe(const SquaredConfig *config, const SquaredState *state, float *observation) {
    const int32_t side = 2 * config->distance + 1;
    for (int32_t i = 0; i < side * side; i++) {
        observation[i] = 0.0f;
    }
    for (int32_t border = 0; border < 8 * config->distance; border++) {
        if (state->targets >> border & 1) {
            observation[squared_cell(config->distance, border)] = 1.0f;
        }
    }
    observation[state->y * side + state->x] = -1.0f;
}

/* What an episode is worth: the share of targets reached. */
ENV_FN float squared_score(const SquaredConfig *config, const SquaredState *state) {
    return (float)state->hits / (float)config->targets;
}

#ifndef __CUDACC_RTC__
#include <stdio.h>
#include "canvas.h"
#include "settings.h"

#define SQUARED_SUMMARY "Walk from the middle of a square to targets on its border; score: share of targets reached"

static const EnvSetting squared_settings[] = {
    {"distance", SETTING_INT, 2, 1, SQUARED_DISTANCE_MAX, "cells", "steps from the middle to the border"},
    {"targets", SETTING_INT, 4, 1, SQUARED_BORDER_MAX, "cells", "targets on the border, at most 8 * distance"},
};

/* 1, or 0 and a text when the settings do not go together. Each is known to lie in its range. */
static inline int squared_check(const double *settings, char *text, size_t size) {
    if (settings[1] > 8 * settings[0]) {
        snprintf(text, size, "targets is %.0f; a square with distance %.0f has %.0f border cells", settings[1],
                 settings[0], 8 * settings[0]);
        return 0;
    }
    return 1;
}

static inline size_t squared_config_bytes(const double *settings) {
    (void)settings;
    return sizeof(SquaredConfig);
}

static inline void squared_build(SquaredConfig *config, const double *settings, uint64_t seed) {
    (void)seed;
    config->distance = (int32_t)settings[0];
    config->targets = (int32_t)settings[1];
    config->max_steps = 12 * config->distance;
    config->unused = 0;
}

static inline void squared_spec(const double *settings, EnvSpec *spec) {
    const int32_t side = 2 * (int32_t)settings[0] + 1;
    spec->observation_size = side * side;
    spec->actions = SQUARED_ACTIONS;
    spec->continuous = 0;
    spec->agents = 1;
    spec->state_bytes = (int32_t)sizeof(SquaredState);
    spec->render_scales = 2;
    spec->truncation_steps = 12 * (int32_t)settings[0];
}

static inline void squared_bounds(const double *settings, float *low, float *high) {
    const int32_t side = 2 * (int32_t)settings[0] + 1;
    for (int32_t i = 0; i < side * side; i++) {
        low[i] = -1.0f;
        high[i] = 1.0f;
    }
}

/* 1 for bytes that are a state this environment can be in. */
static inline int squared_valid(const SquaredConfig *config, const SquaredState *state) {
    const int32_t last = 2 * config->distance, cells = 8 * config->distance;
    int32_t left = 0;
    for (int32_t i = 0; i < SQUARED_BORDER_MAX; i++) {
        left += (int32_t)(state->targets >> i & 1);
    }
    if (!(state->episode.random.stream & 1u) || (cells < 64 && state->targets >> cells) || state->x < 0 ||
        state->x > last || state->y < 0 || state->y > last || left == 0 || left > config->targets) {
        return 0;
    }
    const int32_t border = squared_border(config->distance, state->x, state->y);
    return (border < 0 || !(state->targets >> border & 1)) && state->hits == config->targets - left &&
           state->episode.steps >= state->hits && state->episode.steps < config->max_steps &&
           env_within(state->episode.total_reward, 0.0f, 1.0f) && state->unused == 0;
}

/* A cell is scale rows and 2 * scale columns. */
static inline void squared_render_size(const SquaredConfig *config, int32_t scale, int32_t *rows, int32_t *columns) {
    *rows = (2 * config->distance + 1) * scale;
    *columns = 2 * *rows;
}

static inline void squared_render(const SquaredConfig *config, const SquaredState *state, int32_t scale,
                                  EnvCell *cells) {
    int32_t rows, columns;
    squared_render_size(config, scale, &rows, &columns);
    const Canvas canvas = canvas_clear(cells, rows, columns);
    const int32_t side = 2 * config->distance + 1;
    for (int32_t y = 0; y < side; y++) {
        for (int32_t x = 0; x < side; x++) {
            const int32_t border = squared_border(config->distance, x, y);
            const int32_t target = border >= 0 && (state->targets >> border & 1);
            const uint32_t role = x == state->x && y == state->y ? CELL_AGENT
                                  : target                      ? CELL_GOAL
                                  : border >= 0                 ? CELL_SEEN
                                                                : CELL_FLOOR;
            canvas_fill(&canvas, y * scale, 2 * x * scale, scale, 2 * scale, role);
        }
    }
}

static inline void squared_caption(const SquaredConfig *config, const SquaredState *state, char *text, size_t size) {
    snprintf(text, size, "steps %d/%d  targets %d/%d", (int)state->episode.steps, (int)config->max_steps,
             (int)state->hits, (int)config->targets);
}
#endif

#endif
