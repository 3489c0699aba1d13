/* Bandit: arms that pay with chances of their own, and nothing to see.
 *
 * The unit interval is cut into as many slices as there are arms; each arm's chance is drawn, once from the batch's
 * seed, in the middle half of a slice of its own, so that the best arm is better than the second by at least
 * 1 / (2 * arms). The least that a learner must do is to find out what is good. Pulling the best arm alone scores 1,
 * pulling at random 1 / arms.
 */
#ifndef C_ENVS_BANDIT_H
#define C_ENVS_BANDIT_H

#include "env.h"

#define BANDIT_ARMS_MAX 16
#define BANDIT_OBSERVATION 1

typedef struct BanditConfig {
    int32_t arms;
    int32_t pulls; /* steps of an episode */
    int32_t best;  /* the arm that pays most often */
    float chances[BANDIT_ARMS_MAX];
} BanditConfig;

typedef struct BanditState {
    EnvEpisode episode;
    int32_t best_pulls; /* pulls of the best arm in this episode */
    int32_t last_arm;   /* arm pulled last; -1 before the first pull */
    int32_t last_paid;  /* 1: it paid */
    int32_t unused;
} BanditState;

/* Starts the next episode; the generator goes on. */
ENV_FN void bandit_begin(const BanditConfig *config, BanditState *state) {
    (void)config;
    state->episode.total_reward = 0.0f;
    state->episode.steps = 0;
    state->best_pulls = 0;
    state->last_arm = -1;
    state->last_paid = 0;
    state->unused = 0;
}

/* Starts the first episode of a seed. */
ENV_FN void bandit_reset(const BanditConfig *config, BanditState *state, uint64_t seed) {
    state->episode.random = pcg32_seeded(seed);
    bandit_begin(config, state);
}

/* One pull of the arm that the action names; it pays 1 or nothing. */
ENV_FN int32_t bandit_step(const BanditConfig *config, BanditState *state, const EnvAction *action, float *reward,
                           uint8_t *mask) {
    const int32_t arm = env_action_choice(*action, config->arms);
    state->last_arm = arm;
    state->last_paid = pcg32_unit(&state->episode.random) < config->chances[arm];
    state->best_pulls += arm == config->best;
    *reward = (float)state->last_paid;
    *mask = ENV_ACTED;
    state->episode.total_reward += *reward;
    state->episode.steps += 1;
    return state->episode.steps >= config->pulls ? ENV_TERMINAL : ENV_RUNNING;
}

/* observation[1]: always 1. */
ENV_FN void bandit_observe(const BanditConfig *config, const BanditState *state, float *observation) {
    (void)config;
    (void)state;
    observation[0] = 1.0f;
}

/* What an episode is worth: the share of pulls that went to the best arm. */
ENV_FN float bandit_score(const BanditConfig *config, const BanditState *state) {
    return (float)state->best_pulls / (float)config->pulls;
}

#ifndef __CUDACC_RTC__
#include <stdio.h>
#include "canvas.h"
#include "settings.h"

#define BANDIT_SUMMARY "Find the arm that pays most often; score: share of pulls of the best arm"
#define BANDIT_BAR 8 /* rows of the longest bar at scale 1 */

static const EnvSetting bandit_settings[] = {
    {"arms", SETTING_INT, 4, 2, BANDIT_ARMS_MAX, "arms", "arms to choose from, each with another chance to pay"},
    {"pulls", SETTING_INT, 8, 1, 10000, "steps", "pulls in an episode"},
};

/* 1, or 0 and a text when the settings do not go together. Each is known to lie in its range. */
static inline int bandit_check(const double *settings, char *text, size_t size) {
    (void)settings;
    (void)text;
    (void)size;
    return 1;
}

static inline size_t bandit_config_bytes(const double *settings) {
    (void)settings;
    return sizeof(BanditConfig);
}

static inline void bandit_build(BanditConfig *config, const double *settings, uint64_t seed) {
    Pcg32 random = pcg32_seeded(random_shared(seed, 0));
    config->arms = (int32_t)settings[0];
    config->pulls = (int32_t)settings[1];
    /* Chances in rising order, then shuffled. */
    for (int32_t i = 0; i < config->arms; i++) {
        config->chances[i] = ((float)i + 0.25f + 0.5f * pcg32_unit(&random)) / (float)config->arms;
    }
    config->best = config->arms - 1;
    for (int32_t i = config->arms - 1; i > 0; i--) {
        const int32_t other = (int32_t)pcg32_below(&random, (uint32_t)i + 1);
        const float chance = config->chances[i];
        config->chances[i] = config->chances[other];
        config->chances[other] = chance;
        config->best = config->best == i ? other : config->best == other ? i : config->best;
    }
}

static inline void bandit_spec(const double *settings, EnvSpec *spec) {
    spec->observation_size = BANDIT_OBSERVATION;
    spec->actions = (int32_t)settings[0];
    spec->continuous = 0;
    spec->agents = 1;
    spec->state_bytes = (int32_t)sizeof(BanditState);
    spec->render_scales = 2;
    spec->truncation_steps = 0;
}

static inline void bandit_bounds(const double *settings, float *low, float *high) {
    (void)settings;
    low[0] = 0.0f;
    high[0] = 1.0f;
}

/* 1 for bytes that are a state this environment can be in. */
static inline int bandit_valid(const BanditConfig *config, const BanditState *state) {
    const int32_t steps = state->episode.steps;
    return (state->episode.random.stream & 1u) && steps >= 0 && steps < config->pulls && state->best_pulls >= 0 &&
           state->best_pulls <= steps && env_within(state->episode.total_reward, 0.0f, (float)steps) &&
           state->last_arm >= (steps ? 0 : -1) && state->last_arm < (steps ? config->arms : 0) &&
           (state->last_paid == 0 || (state->last_paid == 1 && steps)) && state->unused == 0;
}

/* A bar for each arm, as high as its chance, its number below it, and which was pulled. */
static inline void bandit_render_size(const BanditConfig *config, int32_t scale, int32_t *rows, int32_t *columns) {
    *rows = (BANDIT_BAR + 1) * scale + 1;
    *columns = config->arms * (CANVAS_TILE + 1) * scale;
}

static inline void bandit_render(const BanditConfig *config, const BanditState *state, int32_t scale, EnvCell *cells) {
    int32_t rows, columns;
    bandit_render_size(config, scale, &rows, &columns);
    const Canvas canvas = canvas_clear(cells, rows, columns);
    for (int32_t i = 0; i < config->arms; i++) {
        const int32_t full = BANDIT_BAR * scale;
        const int32_t height = (int32_t)(config->chances[i] * (float)full + 0.5f);
        const int32_t column = i * (CANVAS_TILE + 1) * scale;
        canvas_fill(&canvas, full - height, column, height, CANVAS_TILE * scale, CELL_BRICK1 + (uint32_t)i % 6);
        const uint32_t role = i != state->last_arm ? CELL_FLOOR : state->last_paid ? CELL_GOAL : CELL_AGENT;
        canvas_tile(&canvas, full, column, scale, i < 9 ? '1' + (uint32_t)i : 'a' + (uint32_t)i - 9, role);
        if (i == config->best) {
            canvas_text(&canvas, rows - 1, column, "best", CELL_TEXT, CELL_BACKGROUND);
        }
    }
}

static inline void bandit_caption(const BanditConfig *config, const BanditState *state, char *text, size_t size) {
    snprintf(text, size, "pulls %d/%d  best arm %d times  paid %d", (int)state->episode.steps, (int)config->pulls,
             (int)state->best_pulls, (int)state->episode.total_reward);
}
#endif

#endif
