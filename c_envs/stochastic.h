/* Stochastic: do one thing in a given share of the steps and the other in the rest, without seeing what was done.
 *
 * Let f be the share of an episode's n steps with action 1, p the share wanted, m the smaller of p and 1 - p. The
 * score is
 *     max(0, 1 - ((f - p) / m)^2).
 * The observation never changes, so a policy without memory has one choice to make: how often, q, it does 1.
 *   - A deterministic one has f = 0 or 1, at least m away from p: it scores 0.
 *   - A mixture has E[(f - p)^2] = (q - p)^2 + q (1 - q) / n, least at q = (p - 1/(2n)) / (1 - 1/n), next to p. With
 *     the defaults (p 0.75, n 64) that is q = 0.754 and a mean score of 0.954, the optimum; q = 0.5 scores 0.16.
 * With memory a policy can count, and need not mix: alone in its world, who remembers all never needs chance. The
 * profile therefore has none.
 * A step's reward is what it adds to -n/2 (ones/n - p t/n)^2 after t steps: it pays to make up for what one did too
 * often, and the return is -n/2 (f - p)^2, the score in other units.
 */
#ifndef C_ENVS_STOCHASTIC_H
#define C_ENVS_STOCHASTIC_H

#include "env.h"

#define STOCHASTIC_OBSERVATION 1
#define STOCHASTIC_ACTIONS 2

typedef struct StochasticConfig {
    float share; /* p */
    int32_t steps; /* n */
} StochasticConfig;

typedef struct StochasticState {
    EnvEpisode episode;
    int32_t ones; /* steps with action 1 */
    int32_t unused;
} StochasticState;

/* Starts the next episode; the generator goes on. */
ENV_FN void stochastic_begin(const StochasticConfig *config, StochasticState *state) {
    (void)config;
    state->episode.total_reward = 0.0f;
    state->episode.steps = 0;
    state->ones = 0;
    state->unused = 0;
}

/* Starts the first episode of a seed. */
ENV_FN void stochastic_reset(const StochasticConfig *config, StochasticState *state, uint64_t seed) {
    state->episode.random = pcg32_seeded(seed);
    stochastic_begin(config, state);
}

/* n/2 times the squared distance from the share wanted, in steps of n, after so many ones in so many steps. */
ENV_FN float stochastic_miss(const StochasticConfig *config, int32_t ones, int32_t steps) {
    const float away = ((float)ones - config->share * (float)steps) / (float)config->steps;
    return 0.5f * (float)config->steps * away * away;
}

/* One step of either kind. */
ENV_FN int32_t stochastic_step(const StochasticConfig *config, StochasticState *state, const EnvAction *action,
                               float *reward, uint8_t *mask) {
    const float before = stochastic_miss(config, state->ones, state->episode.steps);
    state->ones += env_action_choice(*action, STOCHASTIC_ACTIONS);
    state->episode.steps += 1;
    *reward = before - stochastic_miss(config, state->ones, state->episode.steps);
    *mask = ENV_ACTED;
    state->episode.total_reward += *reward;
    return state->episode.steps >= config->steps ? ENV_TERMINAL : ENV_RUNNING;
}

/* observation[1]: always 1. */
ENV_FN void stochastic_observe(const StochasticConfig *config, const StochasticState *state, float *observation) {
    (void)config;
    (void)state;
    observation[0] = 1.0f;
}

/* What an episode is worth; see above. */
ENV_FN float stochastic_score(const StochasticConfig *config, const StochasticState *state) {
    const float least = config->share < 0.5f ? config->share : 1.0f - config->share;
    const float away = ((float)state->ones / (float)config->steps - config->share) / least;
    return env_clamp(1.0f - away * away, 0.0f, 1.0f);
}

#ifndef __CUDACC_RTC__
#include <stdio.h>
#include "canvas.h"
#include "settings.h"

#define STOCHASTIC_SUMMARY "Act by chance: one action in a given share of the steps; score: 1 less the squared miss"
#define STOCHASTIC_BAR 32 /* columns of a bar at scale 1 */

static const EnvSetting stochastic_settings[] = {
    {"share", SETTING_FLOAT, 0.75, 0.1, 0.9, "", "share of the steps that action 1 is wanted in"},
    {"steps", SETTING_INT, 64, 2, 10000, "steps", "steps of an episode"},
};

/* 1, or 0 and a text when the settings do not go together. Each is known to lie in its range. */
static inline int stochastic_check(const double *settings, char *text, size_t size) {
    (void)settings;
    (void)text;
    (void)size;
    return 1;
}

static inline size_t stochastic_config_bytes(const double *settings) {
    (void)settings;
    return sizeof(StochasticConfig);
}

static inline void stochastic_build(StochasticConfig *config, const double *settings, uint64_t seed) {
    (void)seed;
    config->share = (float)settings[0];
    config->steps = (int32_t)settings[1];
}

static inline void stochastic_spec(const double *settings, EnvSpec *spec) {
    (void)settings;
    spec->observation_size = STOCHASTIC_OBSERVATION;
    spec->actions = STOCHASTIC_ACTIONS;
    spec->continuous = 0;
    spec->agents = 1;
    spec->state_bytes = (int32_t)sizeof(StochasticState);
    spec->render_scales = 2;
    spec->truncation_steps = 0;
}

static inline void stochastic_bounds(const double *settings, float *low, float *high) {
    (void)settings;
    low[0] = 0.0f;
    high[0] = 1.0f;
}

/* 1 for bytes that are a state this environment can be in. */
static inline int stochastic_valid(const StochasticConfig *config, const StochasticState *state) {
    const float most = 0.5f * (float)config->steps + 1.0f;
    return (state->episode.random.stream & 1u) && state->episode.steps >= 0 && state->episode.steps < config->steps &&
           state->ones >= 0 && state->ones <= state->episode.steps &&
           env_within(state->episode.total_reward, -most, most) && state->unused == 0;
}

/* Two bars: the share wanted, the share so far. */
static inline void stochastic_render_size(const StochasticConfig *config, int32_t scale, int32_t *rows,
                                          int32_t *columns) {
    (void)config;
    *rows = 2 * scale + 3;
    *columns = STOCHASTIC_BAR * scale;
}

static inline void stochastic_render(const StochasticConfig *config, const StochasticState *state, int32_t scale,
                                     EnvCell *cells) {
    const int32_t steps = state->episode.steps;
    int32_t rows, columns;
    stochastic_render_size(config, scale, &rows, &columns);
    const Canvas canvas = canvas_clear(cells, rows, columns);
    canvas_text(&canvas, 0, 0, "wanted", CELL_TEXT, CELL_BACKGROUND);
    canvas_text(&canvas, scale + 2, 0, steps ? "so far" : "so far: nothing", CELL_TEXT, CELL_BACKGROUND);
    for (int32_t r = 0; r < scale; r++) {
        canvas_bar(&canvas, 1 + r, 0, columns, config->share, CELL_GOAL);
        canvas_bar(&canvas, scale + 3 + r, 0, columns, steps ? (float)state->ones / (float)steps : 0.0f, CELL_AGENT);
    }
}

static inline void stochastic_caption(const StochasticConfig *config, const StochasticState *state, char *text,
                                      size_t size) {
    const int32_t steps = state->episode.steps;
    snprintf(text, size, "steps %d/%d  ones %d  wanted %.1f", (int)steps, (int)config->steps, (int)state->ones,
             (double)config->share * steps);
}
#endif

#endif
