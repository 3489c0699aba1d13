/* Spaces: an observation of two parts with other ranges, and an answer made of a decision about each.
 *
 * One part is an image of shades in [-1, 1], the other a row of digits 0 to 9, both drawn anew for each step. The
 * action is 2 * bright + high: bright is 1 when the shades add up to more than 0, high is 1 when the digits average
 * more than 4.5. Each of the two decisions that is right pays 0.5. Who reads both parts scores 1, who guesses 0.5.
 */
#ifndef C_ENVS_SPACES_H
#define C_ENVS_SPACES_H

#include "env.h"

#define SPACES_SIDE_MAX 8
#define SPACES_SHADES_MAX (SPACES_SIDE_MAX * SPACES_SIDE_MAX)
#define SPACES_DIGITS_MAX 8
#define SPACES_ACTIONS 4

typedef struct SpacesConfig {
    int32_t side;   /* of the image */
    int32_t shades; /* side * side */
    int32_t digits;
    int32_t steps; /* of an episode */
} SpacesConfig;

typedef struct SpacesState {
    EnvEpisode episode;
    int32_t right; /* decisions that were right in this episode */
    int32_t unused;
    uint8_t shades[SPACES_SHADES_MAX]; /* row by row; 0 is seen as -1, 255 as 1 */
    uint8_t digits[SPACES_DIGITS_MAX];
} SpacesState;

/* The next question: four shades out of every random word, lowest byte first, then the digits. */
ENV_FN void spaces_draw(const SpacesConfig *config, SpacesState *state) {
    for (int32_t i = 0; i < config->shades; i += 4) {
        const uint32_t word = pcg32_next(&state->episode.random);
        for (int32_t k = 0; k < 4; k++) {
            state->shades[i + k] = i + k < config->shades ? (uint8_t)(word >> 8 * k) : 0;
        }
    }
    for (int32_t i = 0; i < config->digits; i++) {
        state->digits[i] = (uint8_t)pcg32_below(&state->episode.random, 10);
    }
}

/* The right action for the question that stands. */
ENV_FN int32_t spaces_answer(const SpacesConfig *config, const SpacesState *state) {
    int32_t brightness = 0, sum = 0;
    for (int32_t i = 0; i < config->shades; i++) {
        brightness += 2 * state->shades[i] - 255;
    }
    for (int32_t i = 0; i < config->digits; i++) {
        sum += state->digits[i];
    }
    return 2 * (brightness > 0) + (2 * sum > 9 * config->digits);
}

/* Starts the next episode; the generator goes on. */
ENV_FN void spaces_begin(const SpacesConfig *config, SpacesState *state) {
    state->episode.total_reward = 0.0f;
    state->episode.steps = 0;
    state->right = 0;
    spaces_draw(config, state);
}

/* Starts the first episode of a seed. */
ENV_FN void spaces_reset(const SpacesConfig *config, SpacesState *state, uint64_t seed) {
    state->episode.random = pcg32_seeded(seed);
    state->unused = 0;
    for (int32_t i = 0; i < SPACES_SHADES_MAX; i++) {
        state->shades[i] = 0;
    }
    for (int32_t i = 0; i < SPACES_DIGITS_MAX; i++) {
        state->digits[i] = 0;
    }
    spaces_begin(config, state);
}

/* One answer, and the next question. */
ENV_FN int32_t spaces_step(const SpacesConfig *config, SpacesState *state, const EnvAction *action, float *reward,
                           uint8_t *mask) {
    const int32_t wrong = env_action_choice(*action, SPACES_ACTIONS) ^ spaces_answer(config, state);
    const int32_t right = 2 - (wrong >> 1) - (wrong & 1);
    *reward = 0.5f * (float)right;
    *mask = ENV_ACTED;
    state->right += right;
    state->episode.total_reward += *reward;
    state->episode.steps += 1;
    if (state->episode.steps >= config->steps) {
        return ENV_TERMINAL; /* the next episode draws its own */
    }
    spaces_draw(config, state);
    return ENV_RUNNING;
}

/* observation[side * side + digits]: the shades row by row, then the digits as they are. */
ENV_FN void spaces_observe(const SpacesConfig *config, const SpacesState *state, float *observation) {
    for (int32_t i = 0; i < config->shades; i++) {
        observation[i] = (float)(2 * state->shades[i] - 255) / 255.0f;
    }
    for (int32_t i = 0; i < config->digits; i++) {
        observation[config->shades + i] = (float)state->digits[i];
    }
}

/* What an episode is worth: the share of decisions that were right. */
ENV_FN float spaces_score(const SpacesConfig *config, const SpacesState *state) {
    return (float)state->right / (float)(2 * config->steps);
}

#ifndef __CUDACC_RTC__
#include <stdio.h>
#include "canvas.h"
#include "settings.h"

#define SPACES_SUMMARY "Judge an image and a row of digits in one answer; score: share of right decisions"

static const EnvSetting spaces_settings[] = {
    {"side", SETTING_INT, 5, 1, SPACES_SIDE_MAX, "pixels", "width and height of the image"},
    {"digits", SETTING_INT, 5, 1, SPACES_DIGITS_MAX, "digits", "digits beside the image"},
    {"steps", SETTING_INT, 8, 1, 10000, "steps", "questions in an episode"},
};

/* 1, or 0 and a text when the settings do not go together. Each is known to lie in its range. */
static inline int spaces_check(const double *settings, char *text, size_t size) {
    (void)settings;
    (void)text;
    (void)size;
    return 1;
}

static inline size_t spaces_config_bytes(const double *settings) {
    (void)settings;
    return sizeof(SpacesConfig);
}

static inline void spaces_build(SpacesConfig *config, const double *settings, uint64_t seed) {
    (void)seed;
    config->side = (int32_t)settings[0];
    config->shades = config->side * config->side;
    config->digits = (int32_t)settings[1];
    config->steps = (int32_t)settings[2];
}

static inline void spaces_spec(const double *settings, EnvSpec *spec) {
    const int32_t side = (int32_t)settings[0];
    spec->observation_size = side * side + (int32_t)settings[1];
    spec->actions = SPACES_ACTIONS;
    spec->continuous = 0;
    spec->agents = 1;
    spec->state_bytes = (int32_t)sizeof(SpacesState);
    spec->render_scales = 2;
    spec->truncation_steps = 0;
}

static inline void spaces_bounds(const double *settings, float *low, float *high) {
    const int32_t shades = (int32_t)settings[0] * (int32_t)settings[0];
    for (int32_t i = 0; i < shades + (int32_t)settings[1]; i++) {
        low[i] = i < shades ? -1.0f : 0.0f;
        high[i] = i < shades ? 1.0f : 9.0f;
    }
}

/* 1 for bytes that are a state this environment can be in. */
static inline int spaces_valid(const SpacesConfig *config, const SpacesState *state) {
    for (int32_t i = 0; i < SPACES_DIGITS_MAX; i++) {
        if (state->digits[i] > (i < config->digits ? 9 : 0)) {
            return 0;
        }
    }
    for (int32_t i = config->shades; i < SPACES_SHADES_MAX; i++) {
        if (state->shades[i]) {
            return 0;
        }
    }
    const int32_t steps = state->episode.steps;
    return (state->episode.random.stream & 1u) && steps >= 0 && steps < config->steps && state->right >= 0 &&
           state->right <= 2 * steps && state->episode.total_reward == 0.5f * (float)state->right && state->unused == 0;
}

/* The image, bright and dark, the digits below it. */
static inline void spaces_render_size(const SpacesConfig *config, int32_t scale, int32_t *rows, int32_t *columns) {
    const int32_t image = 2 * config->side * scale, digits = 2 * config->digits;
    *rows = config->side * scale + 3;
    *columns = image > digits ? image : digits;
    if (*columns < 20) {
        *columns = 20;
    }
}

static inline void spaces_render(const SpacesConfig *config, const SpacesState *state, int32_t scale, EnvCell *cells) {
    static const uint32_t roles[4] = {CELL_BACKGROUND, CELL_FLOOR, CELL_BRICK5, CELL_TEXT};
    int32_t rows, columns;
    spaces_render_size(config, scale, &rows, &columns);
    const Canvas canvas = canvas_clear(cells, rows, columns);
    for (int32_t i = 0; i < config->shades; i++) {
        canvas_fill(&canvas, i / config->side * scale, i % config->side * 2 * scale, scale, 2 * scale,
                    roles[state->shades[i] / 64]);
    }
    for (int32_t i = 0; i < config->digits; i++) {
        canvas_put(&canvas, rows - 2, 2 * i, '0' + (uint32_t)state->digits[i], CELL_BALL, CELL_BACKGROUND);
    }
    const int32_t answer = spaces_answer(config, state);
    canvas_text(&canvas, rows - 1, 0, answer & 2 ? "bright" : "dark", CELL_GOAL, CELL_BACKGROUND);
    canvas_text(&canvas, rows - 1, 8, answer & 1 ? "high" : "low", CELL_GOAL, CELL_BACKGROUND);
}

static inline void spaces_caption(const SpacesConfig *config, const SpacesState *state, char *text, size_t size) {
    const int32_t answer = spaces_answer(config, state);
    snprintf(text, size, "steps %d/%d  right %d/%d  answer %s %s", (int)state->episode.steps, (int)config->steps,
             (int)state->right, 2 * (int)state->episode.steps, answer & 2 ? "bright" : "dark",
             answer & 1 ? "high" : "low");
}
#endif

#endif
