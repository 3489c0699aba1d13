/* Breakout: a ball, a paddle, six rows of bricks.
 *
 * Lengths are pixels, y grows downwards, (x, y) is a rectangle's upper left corner; velocities are pixels a frame of 1/60 s.
 * A frame moves the paddle, then the ball, which stops at its first contact and goes on in the next frame. The ball is
 * exactly as wide as a brick, so that its corner meets column edges and side walls alike at multiples of 32, and slower than
 * a brick is high, so that a frame crosses at most one column edge and one row edge.
 */
#ifndef C_ENVS_BREAKOUT_H
#define C_ENVS_BREAKOUT_H

#include "env.h"

#define BREAKOUT_WIDTH 576
#define BREAKOUT_HEIGHT 330
#define BREAKOUT_FRAME (1.0f / 60.0f)
#define BREAKOUT_PADDLE_WIDTH 62
#define BREAKOUT_PADDLE_HEIGHT 8
#define BREAKOUT_PADDLE_Y 312
#define BREAKOUT_PADDLE_SPEED 620.0f
#define BREAKOUT_BALL 32
#define BREAKOUT_BALL_START_Y 135
#define BREAKOUT_BALL_SPEED 256
#define BREAKOUT_BALL_SPEED_STEP 64
#define BREAKOUT_BALL_SPEED_MAX 448
#define BREAKOUT_HITS_TO_SPEED_UP 4
#define BREAKOUT_ROWS 6
#define BREAKOUT_COLUMNS 18
#define BREAKOUT_BRICKS (BREAKOUT_ROWS * BREAKOUT_COLUMNS)
#define BREAKOUT_BRICK_WIDTH 32
#define BREAKOUT_BRICK_HEIGHT 12
#define BREAKOUT_WALL_TOP 50
#define BREAKOUT_WALL_BOTTOM (BREAKOUT_WALL_TOP + BREAKOUT_ROWS * BREAKOUT_BRICK_HEIGHT)
#define BREAKOUT_BALLS 5
#define BREAKOUT_SCORE_MAX 864
#define BREAKOUT_FEATURES 10
#define BREAKOUT_OBSERVATION (BREAKOUT_FEATURES + BREAKOUT_BRICKS)
#define BREAKOUT_ACTIONS 3

/* Where the ball's corner may be. */
#define BREAKOUT_BALL_X_MAX (BREAKOUT_WIDTH - BREAKOUT_BALL)
#define BREAKOUT_BALL_ON_PADDLE (BREAKOUT_PADDLE_Y - BREAKOUT_BALL)
#define BREAKOUT_BALL_LOST (BREAKOUT_PADDLE_Y + BREAKOUT_PADDLE_HEIGHT)

#define BREAKOUT_QUARTER_PI 0.785398163f
/* The launch leaves the vertical by pi / 3.25. */
#define BREAKOUT_LAUNCH_SIN 0.822983865f
#define BREAKOUT_LAUNCH_COS 0.568064747f
/* The steepest bounce is what the outermost touch of a full paddle gives; a half paddle would exceed the horizontal. */
#define BREAKOUT_ANGLE_MAX \
    (BREAKOUT_QUARTER_PI * (float)(BREAKOUT_PADDLE_WIDTH + BREAKOUT_BALL) / (float)BREAKOUT_PADDLE_WIDTH)

typedef struct BreakoutConfig {
    int32_t frame_skip; /* frames a step */
    int32_t continuous; /* 1: the action is a float that scales the paddle's speed */
    int32_t max_steps;  /* steps after which an episode is truncated; 0: never */
    int32_t unused;
} BreakoutConfig;

typedef struct BreakoutState {
    EnvEpisode episode;
    float paddle_x;
    float paddle_width;
    float ball_x;
    float ball_y;
    float ball_vx;
    float ball_vy;
    float ball_speed; /* pixels a second; the ball takes it on at its next touch of the paddle */
    int32_t hits;     /* touches of the paddle by this ball */
    int32_t score;
    int32_t bricks_left; /* standing bricks of this wall */
    int32_t balls_fired; /* balls brought into play in this episode */
    int32_t balls_left;  /* balls not lost yet, the one in play included */
    int32_t in_play;     /* 0: the next frame launches a ball */
    uint8_t broken[BREAKOUT_BRICKS]; /* row by row from the top; 1: the brick is gone */
} BreakoutState;

/* Points for a brick of a row. */
ENV_FN int32_t breakout_brick_value(int32_t row) { return 7 - 3 * (row / 2); }

/* Sine and cosine by their series, for angles within +-1.25: error below 3e-7, the same bits on every platform. */
ENV_FN float breakout_sin(float a) {
    float q = a * a;
    float p = -2.50521084e-8f;
    p = p * q + 2.75573192e-6f;
    p = p * q - 1.98412698e-4f;
    p = p * q + 8.33333333e-3f;
    p = p * q - 1.66666667e-1f;
    return a + a * q * p;
}
ENV_FN float breakout_cos(float a) {
    float q = a * a;
    float p = 2.08767570e-9f;
    p = p * q - 2.75573192e-7f;
    p = p * q + 2.48015873e-5f;
    p = p * q - 1.38888889e-3f;
    p = p * q + 4.16666667e-2f;
    p = p * q - 0.5f;
    return 1.0f + q * p;
}

ENV_FN void breakout_fresh_wall(BreakoutState *state) {
    for (int32_t i = 0; i < BREAKOUT_BRICKS; i++) {
        state->broken[i] = 0;
    }
    state->bricks_left = BREAKOUT_BRICKS;
}

/* Paddle to the middle at its full width, the next ball at rest above it. */
ENV_FN void breakout_new_ball(BreakoutState *state) {
    state->paddle_width = (float)BREAKOUT_PADDLE_WIDTH;
    state->paddle_x = (float)(BREAKOUT_WIDTH - BREAKOUT_PADDLE_WIDTH) / 2.0f;
    state->ball_x = (float)(BREAKOUT_WIDTH - BREAKOUT_BALL) / 2.0f;
    state->ball_y = (float)BREAKOUT_BALL_START_Y;
    state->ball_vx = 0.0f;
    state->ball_vy = 0.0f;
    state->ball_speed = (float)BREAKOUT_BALL_SPEED;
    state->hits = 0;
    state->in_play = 0;
}

/* Starts the next episode; the generator goes on. */
ENV_FN void breakout_begin(const BreakoutConfig *config, BreakoutState *state) {
    (void)config;
    state->episode.total_reward = 0.0f;
    state->episode.steps = 0;
    state->score = 0;
    state->balls_fired = 0;
    state->balls_left = BREAKOUT_BALLS;
    breakout_fresh_wall(state);
    breakout_new_ball(state);
}

/* Starts the first episode of a seed. */
ENV_FN void breakout_reset(const BreakoutConfig *config, BreakoutState *state, uint64_t seed) {
    state->episode.random = pcg32_seeded(seed);
    breakout_begin(config, state);
}

/* Downwards, left or right by chance. */
ENV_FN void breakout_launch(BreakoutState *state) {
    float step = state->ball_speed * BREAKOUT_FRAME;
    float side = (pcg32_next(&state->episode.random) >> 31) ? 1.0f : -1.0f;
    state->ball_vx = side * BREAKOUT_LAUNCH_SIN * step;
    state->ball_vy = BREAKOUT_LAUNCH_COS * step;
    state->balls_fired += 1;
    state->in_play = 1;
}

/* push in [-1, 1] is the share of full speed, negative to the left. */
ENV_FN void breakout_move_paddle(BreakoutState *state, float push) {
    float x = state->paddle_x + push * (BREAKOUT_PADDLE_SPEED * BREAKOUT_FRAME);
    state->paddle_x = env_clamp(x, 0.0f, (float)BREAKOUT_WIDTH - state->paddle_width);
}

/* Takes a brick out of the wall. */
ENV_FN void breakout_break(BreakoutState *state, int32_t row, int32_t column) {
    state->broken[row * BREAKOUT_COLUMNS + column] = 1;
    state->bricks_left -= 1;
    state->score += breakout_brick_value(row);
    if (row < BREAKOUT_ROWS / 2) {
        state->ball_speed = (float)BREAKOUT_BALL_SPEED_MAX;
    }
}

/* The ball leaves the paddle at an angle that grows with the distance of its middle from the paddle's; speed in force. */
ENV_FN void breakout_bounce_off_paddle(BreakoutState *state) {
    float middle = (state->ball_x + (float)BREAKOUT_BALL / 2.0f - state->paddle_x) / state->paddle_width;
    float angle = env_clamp((2.0f * middle - 1.0f) * BREAKOUT_QUARTER_PI, -BREAKOUT_ANGLE_MAX, BREAKOUT_ANGLE_MAX);
    float step = state->ball_speed * BREAKOUT_FRAME;
    state->ball_vx = breakout_sin(angle) * step;
    state->ball_vy = -breakout_cos(angle) * step;
    state->hits += 1;
    if (state->hits % BREAKOUT_HITS_TO_SPEED_UP == 0 && state->ball_speed < (float)BREAKOUT_BALL_SPEED_MAX) {
        state->ball_speed += (float)BREAKOUT_BALL_SPEED_STEP;
    }
    /* Here no brick can appear on top of the ball. */
    if (state->bricks_left == 0) {
        breakout_fresh_wall(state);
    }
}

/* An edge that the ball's corner crosses within a frame, along one axis. */
typedef struct BreakoutCrossing {
    float time;  /* share of the frame, in [0, 1]; 2: none is crossed */
    float place; /* coordinate of the edge */
    int32_t lane; /* column or row that lies beyond it; see the functions */
} BreakoutCrossing;

ENV_FN BreakoutCrossing breakout_crossing(float from, float speed, float place, int32_t lane) {
    BreakoutCrossing crossing;
    crossing.time = env_clamp((place - from) / speed, 0.0f, 1.0f);
    crossing.place = place;
    crossing.lane = lane;
    return crossing;
}

/* Side walls count as columns -1 and BREAKOUT_COLUMNS. */
ENV_FN BreakoutCrossing breakout_column_crossing(float x, float vx) {
    BreakoutCrossing none = {2.0f, 0.0f, 0};
    int32_t lane = (int32_t)(x * (1.0f / BREAKOUT_BRICK_WIDTH));
    float place = (float)(lane * BREAKOUT_BRICK_WIDTH);
    if (vx > 0.0f) {
        if (place < x) {
            lane += 1;
            place += (float)BREAKOUT_BRICK_WIDTH;
        }
        return x + vx > place ? breakout_crossing(x, vx, place, lane + 1) : none;
    }
    return x + vx < place ? breakout_crossing(x, vx, place, lane - 1) : none;
}

/* The back wall counts as row -1, the paddle as row BREAKOUT_ROWS. */
ENV_FN BreakoutCrossing breakout_row_crossing(float y, float vy) {
    BreakoutCrossing none = {2.0f, 0.0f, 0};
    float place;
    int32_t lane;
    if (vy < 0.0f) {
        /* The ball's top against the bottoms of rows. */
        if (y < (float)(BREAKOUT_WALL_TOP + BREAKOUT_BRICK_HEIGHT)) {
            lane = -1;
            place = 0.0f;
        } else if (y >= (float)BREAKOUT_WALL_BOTTOM) {
            lane = BREAKOUT_ROWS - 1;
            place = (float)BREAKOUT_WALL_BOTTOM;
        } else {
            float above = y - (float)(BREAKOUT_WALL_TOP + BREAKOUT_BRICK_HEIGHT);
            lane = (int32_t)(above * (1.0f / BREAKOUT_BRICK_HEIGHT));
            place = (float)(BREAKOUT_WALL_TOP + (lane + 1) * BREAKOUT_BRICK_HEIGHT);
            if (place > y) { /* the product was rounded up to the next row */
                lane -= 1;
                place -= (float)BREAKOUT_BRICK_HEIGHT;
            }
        }
        return y + vy < place ? breakout_crossing(y, vy, place, lane) : none;
    }
    /* The ball's bottom against the tops of rows, then of the paddle. */
    if (y > (float)(BREAKOUT_WALL_BOTTOM - BREAKOUT_BRICK_HEIGHT - BREAKOUT_BALL)) {
        lane = BREAKOUT_ROWS;
        place = (float)BREAKOUT_BALL_ON_PADDLE;
        if (y > place) {
            return none; /* missed already */
        }
    } else {
        float below = y - (float)(BREAKOUT_WALL_TOP - BREAKOUT_BALL);
        lane = below > 0.0f ? (int32_t)(below * (1.0f / BREAKOUT_BRICK_HEIGHT)) : 0;
        place = (float)(BREAKOUT_WALL_TOP - BREAKOUT_BALL + lane * BREAKOUT_BRICK_HEIGHT);
        if (place < y) {
            lane += 1;
            place += (float)BREAKOUT_BRICK_HEIGHT;
        }
    }
    return y + vy > place ? breakout_crossing(y, vy, place, lane) : none;
}

/* Where the ball is on one axis at `time`, never beyond an edge that it crosses only later, whatever the rounding. */
ENV_FN float breakout_at(float from, float speed, float time, BreakoutCrossing own) {
    float at = from + speed * time;
    if (own.time > 1.0f || own.time < time) {
        return at;
    }
    return speed > 0.0f ? (at < own.place ? at : own.place) : (at > own.place ? at : own.place);
}

/* The standing brick of a column that a ball at height y overlaps most (the upper one of equals), or -1. */
ENV_FN int32_t breakout_brick_in_column(const BreakoutState *state, int32_t column, float y) {
    int32_t found = -1;
    float most = 0.0f;
    if (y >= (float)BREAKOUT_WALL_BOTTOM || y + (float)BREAKOUT_BALL <= (float)BREAKOUT_WALL_TOP) {
        return -1;
    }
    for (int32_t row = 0; row < BREAKOUT_ROWS; row++) {
        float top = (float)(BREAKOUT_WALL_TOP + row * BREAKOUT_BRICK_HEIGHT);
        float low = top + (float)BREAKOUT_BRICK_HEIGHT < y + (float)BREAKOUT_BALL ? top + (float)BREAKOUT_BRICK_HEIGHT
                                                                                  : y + (float)BREAKOUT_BALL;
        float overlap = low - (top > y ? top : y);
        if (overlap > most && !state->broken[row * BREAKOUT_COLUMNS + column]) {
            most = overlap;
            found = row;
        }
    }
    return found;
}

/* The standing brick of a row that a ball at x overlaps most (the left one of equals), or -1. */
ENV_FN int32_t breakout_brick_in_row(const BreakoutState *state, int32_t row, float x) {
    int32_t left = (int32_t)(x * (1.0f / BREAKOUT_BRICK_WIDTH));
    float beyond = x - (float)(left * BREAKOUT_BRICK_WIDTH); /* how far the ball reaches into the next column */
    const uint8_t *broken = state->broken + row * BREAKOUT_COLUMNS;
    int32_t right_stands = beyond > 0.0f && !broken[left + 1];
    if (!broken[left] && (!right_stands || beyond <= (float)BREAKOUT_BRICK_WIDTH / 2.0f)) {
        return left;
    }
    return right_stands ? left + 1 : -1;
}

/* The ball at the column edge it crosses: bounces off the side wall or a brick there. 1 when it does. */
ENV_FN int32_t breakout_meet_column(BreakoutState *state, BreakoutCrossing column, BreakoutCrossing row) {
    float y = breakout_at(state->ball_y, state->ball_vy, column.time, row);
    if (column.lane >= 0 && column.lane < BREAKOUT_COLUMNS) {
        int32_t brick_row = breakout_brick_in_column(state, column.lane, y);
        if (brick_row < 0) {
            return 0;
        }
        breakout_break(state, brick_row, column.lane);
    }
    state->ball_x = column.place;
    state->ball_y = y;
    state->ball_vx = -state->ball_vx;
    return 1;
}

/* The ball at the row edge it crosses: bounces off the back wall, a brick or the paddle there. 1 when it does. */
ENV_FN int32_t breakout_meet_row(BreakoutState *state, BreakoutCrossing row, BreakoutCrossing column) {
    float x = breakout_at(state->ball_x, state->ball_vx, row.time, column);
    if (row.lane == BREAKOUT_ROWS) {
        if (x + (float)BREAKOUT_BALL <= state->paddle_x || x >= state->paddle_x + state->paddle_width) {
            return 0;
        }
        state->ball_x = x;
        state->ball_y = row.place;
        breakout_bounce_off_paddle(state);
        return 1;
    }
    if (row.lane >= 0) {
        int32_t brick_column = breakout_brick_in_row(state, row.lane, x);
        if (brick_column < 0) {
            return 0;
        }
        breakout_break(state, row.lane, brick_column);
    } else {
        state->paddle_width = (float)BREAKOUT_PADDLE_WIDTH / 2.0f;
    }
    state->ball_x = x;
    state->ball_y = row.place;
    state->ball_vy = -state->ball_vy;
    return 1;
}

/* One frame of the ball: up to its first contact, or the whole way. */
ENV_FN void breakout_move_ball(BreakoutState *state) {
    BreakoutCrossing column = breakout_column_crossing(state->ball_x, state->ball_vx);
    BreakoutCrossing row = breakout_row_crossing(state->ball_y, state->ball_vy);
    int32_t met = 0;
    if (column.time <= 1.0f && column.time <= row.time) {
        met = breakout_meet_column(state, column, row) || (row.time <= 1.0f && breakout_meet_row(state, row, column));
    } else if (row.time <= 1.0f) {
        met = breakout_meet_row(state, row, column) ||
              (column.time <= 1.0f && breakout_meet_column(state, column, row));
    }
    if (!met) {
        state->ball_x += state->ball_vx;
        state->ball_y += state->ball_vy;
    }
}

/* One frame of 1/60 s. 1 when it ends the episode. */
ENV_FN int32_t breakout_frame(BreakoutState *state, float push) {
    if (!state->in_play) {
        breakout_launch(state);
    }
    breakout_move_paddle(state, push);
    breakout_move_ball(state);
    if (state->ball_y >= (float)BREAKOUT_BALL_LOST) {
        state->balls_left -= 1;
        breakout_new_ball(state);
    }
    return state->balls_left == 0 || state->score == BREAKOUT_SCORE_MAX;
}

/* One step: frame_skip frames under one action (0 none, 1 left, 2 right, or the float). The reward is the score gained. */
ENV_FN int32_t breakout_step(const BreakoutConfig *config, BreakoutState *state, const EnvAction *action, float *reward,
                             uint8_t *mask) {
    int32_t before = state->score;
    int32_t choice = env_action_choice(*action, BREAKOUT_ACTIONS);
    float push = config->continuous ? env_action_value(*action) : (choice == 0 ? 0.0f : (choice == 1 ? -1.0f : 1.0f));
    int32_t over = 0;
    for (int32_t frame = 0; frame < config->frame_skip && !over; frame++) {
        over = breakout_frame(state, push);
    }
    *reward = (float)(state->score - before);
    *mask = 1;
    state->episode.total_reward += *reward;
    state->episode.steps += 1;
    if (over) {
        return ENV_TERMINAL;
    }
    return config->max_steps && state->episode.steps >= config->max_steps ? ENV_TRUNCATED : ENV_RUNNING;
}

/* observation[BREAKOUT_OBSERVATION]: paddle x and y, ball x and y as shares of the field, ball velocity as a share of the
 * greatest speed, then shares of balls fired, score, balls left and paddle width, then 1 for every brick that is gone. */
ENV_FN void breakout_observe(const BreakoutConfig *config, const BreakoutState *state, float *observation) {
    const float full_step = (float)BREAKOUT_BALL_SPEED_MAX * BREAKOUT_FRAME;
    (void)config;
    observation[0] = state->paddle_x * (1.0f / BREAKOUT_WIDTH);
    observation[1] = (float)BREAKOUT_PADDLE_Y * (1.0f / BREAKOUT_HEIGHT);
    observation[2] = state->ball_x * (1.0f / BREAKOUT_WIDTH);
    observation[3] = state->ball_y * (1.0f / BREAKOUT_HEIGHT);
    observation[4] = env_clamp(state->ball_vx * (1.0f / full_step), -1.0f, 1.0f);
    observation[5] = env_clamp(state->ball_vy * (1.0f / full_step), -1.0f, 1.0f);
    observation[6] = (float)state->balls_fired * (1.0f / BREAKOUT_BALLS);
    observation[7] = (float)state->score * (1.0f / BREAKOUT_SCORE_MAX);
    observation[8] = (float)state->balls_left * (1.0f / BREAKOUT_BALLS);
    observation[9] = state->paddle_width * (1.0f / BREAKOUT_PADDLE_WIDTH);
    for (int32_t i = 0; i < BREAKOUT_BRICKS; i++) {
        observation[BREAKOUT_FEATURES + i] = (float)state->broken[i];
    }
}

/* What an episode is worth: the game's score. */
ENV_FN float breakout_score(const BreakoutConfig *config, const BreakoutState *state) {
    (void)config;
    return (float)state->score;
}

#ifndef __CUDACC_RTC__
#include <stdio.h>
#include "cells.h"
#include "settings.h"

#define BREAKOUT_SUMMARY "Break six rows of bricks with a ball and a paddle: 5 balls, two walls, 864 points"

static const EnvSetting breakout_settings[] = {
    {"frame_skip", SETTING_INT, 4, 1, 64, "frames", "frames of 1/60 s played in one step"},
    {"continuous", SETTING_BOOL, 0, 0, 1, "", "the action is one float in [-1, 1], a share of the paddle's speed"},
    {"max_steps", SETTING_INT, 27000, 0, 100000000, "steps", "steps after which an episode is truncated; 0 means never"},
};

/* 1, or 0 and a text when the settings do not go together. Each is known to lie in its range. */
static inline int breakout_check(const double *settings, char *text, size_t size) {
    (void)settings;
    (void)text;
    (void)size;
    return 1;
}

static inline size_t breakout_config_bytes(const double *settings) {
    (void)settings;
    return sizeof(BreakoutConfig);
}

static inline void breakout_build(BreakoutConfig *config, const double *settings, uint64_t seed) {
    (void)seed;
    config->frame_skip = (int32_t)settings[0];
    config->continuous = settings[1] != 0.0;
    config->max_steps = (int32_t)settings[2];
    config->unused = 0;
}

static inline void breakout_spec(const double *settings, EnvSpec *spec) {
    spec->continuous = settings[1] != 0.0;
    spec->observation_size = BREAKOUT_OBSERVATION;
    spec->actions = spec->continuous ? 1 : BREAKOUT_ACTIONS;
    spec->agents = 1;
    spec->state_bytes = (int32_t)sizeof(BreakoutState);
    spec->render_scales = 4;
    spec->truncation_steps = (int32_t)settings[2];
}

static inline void breakout_bounds(const double *settings, float *low, float *high) {
    (void)settings;
    for (int32_t i = 0; i < BREAKOUT_OBSERVATION; i++) {
        low[i] = i == 4 || i == 5 ? -1.0f : 0.0f;
        high[i] = 1.0f;
    }
}

/* 1 for bytes that are a state this environment can be in, as far as playing on safely needs it. */
static inline int breakout_valid(const BreakoutConfig *config, const BreakoutState *state) {
    const float full_step = (float)BREAKOUT_BALL_SPEED_MAX * BREAKOUT_FRAME;
    int32_t broken = 0;
    int32_t score = 0;
    for (int32_t i = 0; i < BREAKOUT_BRICKS; i++) {
        if (state->broken[i] > 1) {
            return 0;
        }
        broken += state->broken[i];
        score += state->broken[i] * breakout_brick_value(i / BREAKOUT_COLUMNS);
    }
    return (state->episode.random.stream & 1u) && state->episode.steps >= 0 &&
           (!config->max_steps || state->episode.steps < config->max_steps) &&
           env_within(state->episode.total_reward, 0.0f, (float)BREAKOUT_SCORE_MAX) &&
           (state->paddle_width == (float)BREAKOUT_PADDLE_WIDTH || state->paddle_width == BREAKOUT_PADDLE_WIDTH / 2.0f) &&
           env_within(state->paddle_x, 0.0f, (float)BREAKOUT_WIDTH - state->paddle_width) &&
           env_within(state->ball_x, 0.0f, (float)BREAKOUT_BALL_X_MAX) &&
           env_within(state->ball_y, 0.0f, (float)BREAKOUT_BALL_LOST) && state->ball_y < (float)BREAKOUT_BALL_LOST &&
           env_within(state->ball_vx, -full_step, full_step) && env_within(state->ball_vy, -full_step, full_step) &&
           env_within(state->ball_speed, (float)BREAKOUT_BALL_SPEED, (float)BREAKOUT_BALL_SPEED_MAX) &&
           state->hits >= 0 && state->hits < 1000000000 && state->bricks_left == BREAKOUT_BRICKS - broken &&
           (state->score == score || state->score == score + BREAKOUT_SCORE_MAX / 2) &&
           state->score < BREAKOUT_SCORE_MAX && state->balls_fired >= 0 && state->balls_fired <= BREAKOUT_BALLS &&
           state->balls_left >= 1 && state->balls_left <= BREAKOUT_BALLS &&
           (state->in_play == 0 || state->in_play == 1) &&
           state->balls_fired == BREAKOUT_BALLS - state->balls_left + state->in_play;
}

/* One pixel is 16x12 at scale 1, 4x3 at scale 4, and shows what lies at its middle. */
static inline void breakout_render_size(const BreakoutConfig *config, int32_t scale, int32_t *rows, int32_t *columns) {
    (void)config;
    *rows = 14 * scale;
    *columns = 36 * scale;
}

static inline uint32_t breakout_pixel(const BreakoutState *state, float x, float y) {
    if (x >= state->ball_x && x < state->ball_x + (float)BREAKOUT_BALL && y >= state->ball_y &&
        y < state->ball_y + (float)BREAKOUT_BALL) {
        return CELL_BALL;
    }
    if (y >= (float)BREAKOUT_PADDLE_Y && y < (float)BREAKOUT_BALL_LOST && x >= state->paddle_x &&
        x < state->paddle_x + state->paddle_width) {
        return CELL_PADDLE;
    }
    if (y >= (float)BREAKOUT_WALL_TOP && y < (float)BREAKOUT_WALL_BOTTOM) {
        int32_t row = (int32_t)((y - (float)BREAKOUT_WALL_TOP) / (float)BREAKOUT_BRICK_HEIGHT);
        int32_t column = (int32_t)(x / (float)BREAKOUT_BRICK_WIDTH);
        if (!state->broken[row * BREAKOUT_COLUMNS + column]) {
            return CELL_BRICK1 + (uint32_t)row;
        }
    }
    return CELL_BACKGROUND;
}

static inline void breakout_render(const BreakoutConfig *config, const BreakoutState *state, int32_t scale,
                                   EnvCell *cells) {
    int32_t rows, columns;
    breakout_render_size(config, scale, &rows, &columns);
    for (int32_t row = 0; row < rows; row++) {
        for (int32_t column = 0; column < columns; column++) {
            float x = ((float)column + 0.5f) * 16.0f / (float)scale;
            float y = ((float)row + 0.25f) * 24.0f / (float)scale;
            float lower_y = ((float)row + 0.75f) * 24.0f / (float)scale;
            cells[row * columns + column] =
                cell_pixels(breakout_pixel(state, x, y), breakout_pixel(state, x, lower_y));
        }
    }
}

static inline void breakout_caption(const BreakoutConfig *config, const BreakoutState *state, char *text, size_t size) {
    (void)config;
    snprintf(text, size, "score %d  balls %d", (int)state->score, (int)state->balls_left);
}
#endif

#endif
