/* Memory: one of several cues is shown at the first step, then nothing, and at the last step it must be named.
 *
 * Between the two lie `delay` steps at which nothing is to be seen and nothing that is done counts. The right name
 * pays 1, a wrong one -1. Who forgets can only guess: a score of 1 / cues; who remembers scores 1.
 */
#ifndef C_ENVS_MEMORY_H
#define C_ENVS_MEMORY_H

#include "env.h"

#define MEMORY_CUES_MAX 16

typedef struct MemoryConfig {
    int32_t delay; /* steps of nothing between cue and question */
    int32_t cues;
} MemoryConfig;

/* Step 0 shows the cue, step delay + 1 asks for it. */
typedef struct MemoryState {
    EnvEpisode episode;
    int32_t cue;
    int32_t unused;
} MemoryState;

/* Starts the next episode; the generator goes on. */
ENV_FN void memory_begin(const MemoryConfig *config, MemoryState *state) {
    state->episode.total_reward = 0.0f;
    state->episode.steps = 0;
    state->cue = (int32_t)pcg32_below(&state->episode.random, (uint32_t)config->cues);
    state->unused = 0;
}

/* Starts the first episode of a seed. */
ENV_FN void memory_reset(const MemoryConfig *config, MemoryState *state, uint64_t seed) {
    state->episode.random = pcg32_seeded(seed);
    memory_begin(config, state);
}

/* One step; the action is a cue's number and counts when it is asked for. */
ENV_FN int32_t memory_step(const MemoryConfig *config, MemoryState *state, const EnvAction *action, float *reward,
                           uint8_t *mask) {
    const int32_t asked = state->episode.steps > config->delay;
    const int32_t right = env_action_choice(*action, config->cues) == state->cue;
    *reward = asked ? (right ? 1.0f : -1.0f) : 0.0f;
    *mask = ENV_ACTED;
    state->episode.total_reward += *reward;
    state->episode.steps += 1;
    return asked ? ENV_TERMINAL : ENV_RUNNING;
}

/* observation[cues + 1]: 1 for the cue while it is shown, then 1 while it is asked for. */
ENV_FN void memory_observe(const MemoryConfig *config, const MemoryState *state, float *observation) {
    for (int32_t i = 0; i < config->cues; i++) {
        observation[i] = (float)(state->episode.steps == 0 && i == state->cue);
    }
    observation[config->cues] = (float)(state->episode.steps > config->delay);
}

/* What an episode is worth: 1 when the cue was named. */
ENV_FN float memory_score(const MemoryConfig *config, const MemoryState *state) {
    (void)config;
    return state->episode.total_reward > 0.0f ? 1.0f : 0.0f;
}

#ifndef __CUDACC_RTC__
#include <stdio.h>
#include "canvas.h"
#include "settings.h"

#define MEMORY_SUMMARY "Name the cue that was shown at the start, after a delay; score: 1 when right"

static const EnvSetting memory_settings[] = {
    {"delay", SETTING_INT, 6, 0, 10000, "steps", "steps of nothing between the cue and the question"},
    {"cues", SETTING_INT, 2, 2, MEMORY_CUES_MAX, "cues", "cues to tell apart; 2 is one bit"},
};

/* 1, or 0 and a text when the settings do not go together. Each is known to lie in its range. */
static inline int memory_check(const double *settings, char *text, size_t size) {
    (void)settings;
    (void)text;
    (void)size;
    return 1;
}

static inline size_t memory_config_bytes(const double *settings) {
    (void)settings;
    return sizeof(MemoryConfig);
}

static inline void memory_build(MemoryConfig *config, const double *settings, uint64_t seed) {
    (void)seed;
    config->delay = (int32_t)settings[0];
    config->cues = (int32_t)settings[1];
}

static inline void memory_spec(const double *settings, EnvSpec *spec) {
    spec->observation_size = (int32_t)settings[1] + 1;
    spec->actions = (int32_t)settings[1];
    spec->continuous = 0;
    spec->agents = 1;
    spec->state_bytes = (int32_t)sizeof(MemoryState);
    spec->render_scales = 2;
    spec->truncation_steps = 0;
}

static inline void memory_bounds(const double *settings, float *low, float *high) {
    for (int32_t i = 0; i <= (int32_t)settings[1]; i++) {
        low[i] = 0.0f;
        high[i] = 1.0f;
    }
}

/* 1 for bytes that are a state this environment can be in. */
static inline int memory_valid(const MemoryConfig *config, const MemoryState *state) {
    return (state->episode.random.stream & 1u) && state->cue >= 0 && state->cue < config->cues &&
           state->episode.steps >= 0 && state->episode.steps <= config->delay + 1 &&
           state->episode.total_reward == 0.0f && state->unused == 0;
}

/* A tile for each cue, what the agent sees of them, and how far the delay has gone. */
static inline void memory_render_size(const MemoryConfig *config, int32_t scale, int32_t *rows, int32_t *columns) {
    const int32_t tiles = config->cues * (CANVAS_TILE + 1) * scale;
    *rows = scale + 4;
    *columns = tiles < 24 * scale ? 24 * scale : tiles;
}

static inline void memory_render(const MemoryConfig *config, const MemoryState *state, int32_t scale, EnvCell *cells) {
    int32_t rows, columns;
    memory_render_size(config, scale, &rows, &columns);
    const Canvas canvas = canvas_clear(cells, rows, columns);
    const int32_t shown = state->episode.steps == 0, asked = state->episode.steps > config->delay;
    for (int32_t i = 0; i < config->cues; i++) {
        const uint32_t role = asked ? CELL_GOAL : shown && i == state->cue ? CELL_BRICK3 : CELL_FLOOR;
        const int32_t column = i * (CANVAS_TILE + 1) * scale;
        canvas_tile(&canvas, 0, column, scale, asked ? '?' : 'A' + (uint32_t)i, role);
    }
    char text[24];
    snprintf(text, sizeof(text), "%s %c", shown ? "look:" : asked ? "which was it?" : "remember:",
             (char)('A' + state->cue));
    canvas_text(&canvas, scale + 1, 0, text, CELL_TEXT, CELL_BACKGROUND);
    canvas_bar(&canvas, scale + 3, 0, columns, (float)state->episode.steps / (float)(config->delay + 1), CELL_AGENT);
}

static inline void memory_caption(const MemoryConfig *config, const MemoryState *state, char *text, size_t size) {
    const int32_t steps = state->episode.steps;
    snprintf(text, size, "steps %d/%d  cue %c  %s", (int)steps, (int)config->delay + 2, (char)('A' + state->cue),
             steps == 0 ? "shown" : steps > config->delay ? "asked for" : "hidden");
}
#endif

#endif
