/* Password: type a sequence of symbols that nobody tells; only all of it right pays.
 *
 * The agent sees how many symbols it has typed. The right sequence is drawn once, from the batch's seed; a wrong symbol
 * is not told before the end, nor then which it was. An episode has `length` steps. Who knows the password scores 1,
 * who types at random symbols ^ -length: the reward is as rare as the settings make it.
 */
#ifndef C_ENVS_PASSWORD_H
#define C_ENVS_PASSWORD_H

#include "env.h"

#define PASSWORD_LENGTH_MAX 32
#define PASSWORD_SYMBOLS_MAX 16

typedef struct PasswordConfig {
    int32_t length;
    int32_t symbols;
    uint8_t right[PASSWORD_LENGTH_MAX]; /* the password */
} PasswordConfig;

typedef struct PasswordState {
    EnvEpisode episode;
    int32_t wrong; /* symbols typed wrong in this episode */
    int32_t unused;
    uint8_t typed[PASSWORD_LENGTH_MAX]; /* 0 where nothing has been typed yet */
} PasswordState;

/* Starts the next episode; the generator goes on. */
ENV_FN void password_begin(const PasswordConfig *config, PasswordState *state) {
    (void)config;
    state->episode.total_reward = 0.0f;
    state->episode.steps = 0;
    state->wrong = 0;
    state->unused = 0;
    for (int32_t i = 0; i < PASSWORD_LENGTH_MAX; i++) {
        state->typed[i] = 0;
    }
}

/* Starts the first episode of a seed. */
ENV_FN void password_reset(const PasswordConfig *config, PasswordState *state, uint64_t seed) {
    state->episode.random = pcg32_seeded(seed);
    password_begin(config, state);
}

/* Types one symbol. The last one pays 1 if every one was right. */
ENV_FN int32_t password_step(const PasswordConfig *config, PasswordState *state, const EnvAction *action, float *reward,
                             uint8_t *mask) {
    const int32_t symbol = env_action_choice(*action, config->symbols);
    const int32_t at = state->episode.steps;
    state->typed[at] = (uint8_t)symbol;
    state->wrong += symbol != config->right[at];
    state->episode.steps = at + 1;
    const int32_t over = at + 1 >= config->length;
    *reward = over && state->wrong == 0 ? 1.0f : 0.0f;
    *mask = ENV_ACTED;
    state->episode.total_reward += *reward;
    return over ? ENV_TERMINAL : ENV_RUNNING;
}

/* observation[length]: 1 for the place that is typed next. */
ENV_FN void password_observe(const PasswordConfig *config, const PasswordState *state, float *observation) {
    for (int32_t i = 0; i < config->length; i++) {
        observation[i] = (float)(i == state->episode.steps);
    }
}

/* What an episode is worth: 1 when the password was typed. */
ENV_FN float password_score(const PasswordConfig *config, const PasswordState *state) {
    (void)config;
    return state->episode.total_reward;
}

#ifndef __CUDACC_RTC__
#include <stdio.h>
#include "canvas.h"
#include "settings.h"

#define PASSWORD_SUMMARY "Type the right sequence of symbols, told only at the end; score: 1 when all of it is right"
#define PASSWORD_LINE 8 /* symbols drawn side by side */

static const EnvSetting password_settings[] = {
    {"length", SETTING_INT, 5, 1, PASSWORD_LENGTH_MAX, "symbols", "symbols of the password, and steps of an episode"},
    {"symbols", SETTING_INT, 3, 2, PASSWORD_SYMBOLS_MAX, "symbols", "different symbols to choose from"},
};

/* 1, or 0 and a text when the settings do not go together. Each is known to lie in its range. */
static inline int password_check(const double *settings, char *text, size_t size) {
    (void)settings;
    (void)text;
    (void)size;
    return 1;
}

static inline size_t password_config_bytes(const double *settings) {
    (void)settings;
    return sizeof(PasswordConfig);
}

static inline void password_build(PasswordConfig *config, const double *settings, uint64_t seed) {
    Pcg32 random = pcg32_seeded(random_shared(seed, 0));
    config->length = (int32_t)settings[0];
    config->symbols = (int32_t)settings[1];
    for (int32_t i = 0; i < config->length; i++) {
        config->right[i] = (uint8_t)pcg32_below(&random, (uint32_t)config->symbols);
    }
}

static inline void password_spec(const double *settings, EnvSpec *spec) {
    spec->observation_size = (int32_t)settings[0];
    spec->actions = (int32_t)settings[1];
    spec->continuous = 0;
    spec->agents = 1;
    spec->state_bytes = (int32_t)sizeof(PasswordState);
    spec->render_scales = 2;
    spec->truncation_steps = 0;
}

static inline void password_bounds(const double *settings, float *low, float *high) {
    for (int32_t i = 0; i < (int32_t)settings[0]; i++) {
        low[i] = 0.0f;
        high[i] = 1.0f;
    }
}

/* 1 for bytes that are a state this environment can be in. */
static inline int password_valid(const PasswordConfig *config, const PasswordState *state) {
    const int32_t steps = state->episode.steps;
    int32_t wrong = 0;
    if (!(state->episode.random.stream & 1u) || steps < 0 || steps >= config->length) {
        return 0;
    }
    for (int32_t i = 0; i < PASSWORD_LENGTH_MAX; i++) {
        if (state->typed[i] >= (i < steps ? config->symbols : 1)) {
            return 0;
        }
        wrong += i < steps && state->typed[i] != config->right[i];
    }
    return state->wrong == wrong && state->episode.total_reward == 0.0f && state->unused == 0;
}

/* The password in plain text and, below it, what has been typed: right and wrong in other colours. */
static inline void password_render_size(const PasswordConfig *config, int32_t scale, int32_t *rows, int32_t *columns) {
    const int32_t lines = (config->length + PASSWORD_LINE - 1) / PASSWORD_LINE;
    const int32_t across = config->length < PASSWORD_LINE ? config->length : PASSWORD_LINE;
    *rows = lines * (2 * scale + 1);
    *columns = across * (CANVAS_TILE + 1) * scale;
}

static inline void password_render(const PasswordConfig *config, const PasswordState *state, int32_t scale,
                                   EnvCell *cells) {
    int32_t rows, columns;
    password_render_size(config, scale, &rows, &columns);
    const Canvas canvas = canvas_clear(cells, rows, columns);
    for (int32_t i = 0; i < config->length; i++) {
        const int32_t row = i / PASSWORD_LINE * (2 * scale + 1);
        const int32_t column = i % PASSWORD_LINE * (CANVAS_TILE + 1) * scale;
        const int32_t typed = i < state->episode.steps;
        const uint32_t role = !typed ? CELL_FLOOR : state->typed[i] == config->right[i] ? CELL_GOAL : CELL_BRICK1;
        canvas_tile(&canvas, row, column, scale, 'A' + (uint32_t)config->right[i], CELL_BACKGROUND);
        canvas_tile(&canvas, row + scale, column, scale, typed ? 'A' + (uint32_t)state->typed[i] : GLYPH_MIDDLE_DOT,
                    role);
    }
}

static inline void password_caption(const PasswordConfig *config, const PasswordState *state, char *text, size_t size) {
    snprintf(text, size, "typed %d/%d  wrong %d", (int)state->episode.steps, (int)config->length, (int)state->wrong);
}
#endif

#endif
