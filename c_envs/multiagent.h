/* Multiagent: agents that take turns, each with an answer of its own; a wrong answer is deadly.
 *
 * Each step shows all agents the same cue, a number below the number of agents. The right answer of agent i to cue c
 * is (i + c) modulo the number of agents. Agents of even number answer in even steps, those of odd number in odd ones;
 * the others wait, and what they choose does not count. A right answer pays 1; a wrong one pays -1, and the agent is
 * dead until the next episode: it waits, and sees nothing but its own number. After `turns` turns of each, or when all
 * are dead, the episode ends. Who knows its number scores 1; who guesses 2 of 16 turns, with the defaults (0.12).
 */
#ifndef C_ENVS_MULTIAGENT_H
#define C_ENVS_MULTIAGENT_H

#include "env.h"

#define MULTIAGENT_AGENTS_MAX 8

typedef struct MultiagentConfig {
    int32_t agents;
    int32_t turns; /* of each agent in an episode, which has twice as many steps */
} MultiagentConfig;

typedef struct MultiagentState {
    EnvEpisode episode;
    int32_t cue;
    int32_t right; /* right answers of all agents in this episode */
    uint8_t alive[MULTIAGENT_AGENTS_MAX];
} MultiagentState;

/* 1 when agent i answers in the present step, if it lives. */
ENV_FN int32_t multiagent_turn(const MultiagentState *state, int32_t i) { return !((state->episode.steps + i) & 1); }

/* Starts the next episode; the generator goes on. */
ENV_FN void multiagent_begin(const MultiagentConfig *config, MultiagentState *state) {
    state->episode.total_reward = 0.0f;
    state->episode.steps = 0;
    state->cue = (int32_t)pcg32_below(&state->episode.random, (uint32_t)config->agents);
    state->right = 0;
    for (int32_t i = 0; i < MULTIAGENT_AGENTS_MAX; i++) {
        state->alive[i] = i < config->agents;
    }
}

/* Starts the first episode of a seed. */
ENV_FN void multiagent_reset(const MultiagentConfig *config, MultiagentState *state, uint64_t seed) {
    state->episode.random = pcg32_seeded(seed);
    multiagent_begin(config, state);
}

/* One step of all; actions, rewards and masks have an entry for each agent. */
ENV_FN int32_t multiagent_step(const MultiagentConfig *config, MultiagentState *state, const EnvAction *actions,
                               float *rewards, uint8_t *masks) {
    int32_t living = 0;
    for (int32_t i = 0; i < config->agents; i++) {
        const int32_t acts = state->alive[i] && multiagent_turn(state, i);
        const int32_t choice = env_action_choice(actions[i], config->agents);
        const int32_t right = choice == (i + state->cue) % config->agents;
        rewards[i] = acts ? (right ? 1.0f : -1.0f) : 0.0f;
        masks[i] = (uint8_t)(acts ? (right ? ENV_ACTED : ENV_DIED) : ENV_WAITED);
        state->alive[i] = (uint8_t)(state->alive[i] && (right || !acts));
        state->right += acts && right;
        state->episode.total_reward += rewards[i];
        living += state->alive[i];
    }
    state->cue = (int32_t)pcg32_below(&state->episode.random, (uint32_t)config->agents);
    state->episode.steps += 1;
    return living == 0 || state->episode.steps >= 2 * config->turns ? ENV_TERMINAL : ENV_RUNNING;
}

/* observation[agents][2 * agents + 2]: 1 at the agent's own number, 1 at the cue, 1 for its turn, 1 for being alive. */
ENV_FN void multiagent_observe(const MultiagentConfig *config, const MultiagentState *state, float *observation) {
    for (int32_t i = 0; i < config->agents; i++) {
        float *own = observation + i * (2 * config->agents + 2);
        const int32_t alive = state->alive[i];
        for (int32_t k = 0; k < config->agents; k++) {
            own[k] = (float)(k == i);
            own[config->agents + k] = (float)(alive && k == state->cue);
        }
        own[2 * config->agents] = (float)(alive && multiagent_turn(state, i));
        own[2 * config->agents + 1] = (float)alive;
    }
}

/* What an episode is worth: the share of turns answered right, which is the mean over the agents of theirs. */
ENV_FN float multiagent_score(const MultiagentConfig *config, const MultiagentState *state) {
    return (float)state->right / (float)(config->agents * config->turns);
}

#ifndef __CUDACC_RTC__
#include <stdio.h>
#include "canvas.h"
#include "settings.h"

#define MULTIAGENT_SUMMARY "Agents take turns, each with its own answer; wrong is deadly; score: share answered right"

static const EnvSetting multiagent_settings[] = {
    {"agents", SETTING_INT, 2, 2, MULTIAGENT_AGENTS_MAX, "agents", "agents that play together"},
    {"turns", SETTING_INT, 8, 1, 10000, "turns", "turns of each agent in an episode of twice as many steps"},
};

/* 1, or 0 and a text when the settings do not go together. Each is known to lie in its range. */
static inline int multiagent_check(const double *settings, char *text, size_t size) {
    (void)settings;
    (void)text;
    (void)size;
    return 1;
}

static inline size_t multiagent_config_bytes(const double *settings) {
    (void)settings;
    return sizeof(MultiagentConfig);
}

static inline void multiagent_build(MultiagentConfig *config, const double *settings, uint64_t seed) {
    (void)seed;
    config->agents = (int32_t)settings[0];
    config->turns = (int32_t)settings[1];
}

static inline void multiagent_spec(const double *settings, EnvSpec *spec) {
    spec->agents = (int32_t)settings[0];
    spec->observation_size = 2 * spec->agents + 2;
    spec->actions = spec->agents;
    spec->continuous = 0;
    spec->state_bytes = (int32_t)sizeof(MultiagentState);
    spec->render_scales = 2;
    spec->truncation_steps = 0;
}

static inline void multiagent_bounds(const double *settings, float *low, float *high) {
    for (int32_t i = 0; i < 2 * (int32_t)settings[0] + 2; i++) {
        low[i] = 0.0f;
        high[i] = 1.0f;
    }
}

/* 1 for bytes that are a state this environment can be in. */
static inline int multiagent_valid(const MultiagentConfig *config, const MultiagentState *state) {
    const int32_t steps = state->episode.steps;
    int32_t living = 0;
    for (int32_t i = 0; i < MULTIAGENT_AGENTS_MAX; i++) {
        if (state->alive[i] > (i < config->agents)) {
            return 0;
        }
        living += state->alive[i];
    }
    return (state->episode.random.stream & 1u) && living > 0 && steps >= 0 && steps < 2 * config->turns &&
           state->cue >= 0 && state->cue < config->agents && state->right >= 0 &&
           state->right <= config->agents * ((steps + 1) / 2) &&
           state->episode.total_reward == (float)(state->right - (config->agents - living));
}

/* A tile for each agent: whose turn it is, who waits, who is dead; the cue above. */
static inline void multiagent_render_size(const MultiagentConfig *config, int32_t scale, int32_t *rows,
                                          int32_t *columns) {
    const int32_t tiles = config->agents * (CANVAS_TILE + 1) * scale;
    *rows = 2 * scale + 3;
    *columns = tiles < 24 ? 24 : tiles;
}

static inline void multiagent_render(const MultiagentConfig *config, const MultiagentState *state, int32_t scale,
                                     EnvCell *cells) {
    int32_t rows, columns;
    multiagent_render_size(config, scale, &rows, &columns);
    const Canvas canvas = canvas_clear(cells, rows, columns);
    char text[24];
    snprintf(text, sizeof(text), "cue %d", (int)state->cue);
    canvas_text(&canvas, 0, 0, text, CELL_GOAL, CELL_BACKGROUND);
    for (int32_t i = 0; i < config->agents; i++) {
        const int32_t column = i * (CANVAS_TILE + 1) * scale, turn = multiagent_turn(state, i);
        const uint32_t role = !state->alive[i] ? CELL_BRICK1 : turn ? CELL_AGENT : CELL_FLOOR;
        const uint32_t answer = '0' + (uint32_t)((i + state->cue) % config->agents);
        canvas_tile(&canvas, 2, column, scale, state->alive[i] ? '0' + (uint32_t)i : 'x', role);
        canvas_tile(&canvas, 2 + scale, column, scale, state->alive[i] && turn ? answer : GLYPH_MIDDLE_DOT,
                    CELL_BACKGROUND);
    }
    canvas_text(&canvas, rows - 1, 0, "below: the right answer", CELL_TEXT, CELL_BACKGROUND);
}

static inline void multiagent_caption(const MultiagentConfig *config, const MultiagentState *state, char *text,
                                      size_t size) {
    int32_t living = 0;
    for (int32_t i = 0; i < config->agents; i++) {
        living += state->alive[i];
    }
    snprintf(text, size, "steps %d/%d  alive %d/%d  right %d", (int)state->episode.steps, 2 * (int)config->turns,
             (int)living, (int)config->agents, (int)state->right);
}
#endif

#endif
