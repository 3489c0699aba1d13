/* Maze: an agent looks for the goal of a maze it sees eleven by eleven cells of.
 *
 * Levels are square mazes of odd size without loops: rooms at odd coordinates, walls or doors between them. They are built
 * once from the batch's seed and shared by all its environments. Each level has one goal; an episode draws a level, a room
 * to start in and a heading. The window turns with the agent: its rows run from far ahead to far behind, its columns from
 * left to right. To copy rows of it and never turn anything, a level is stored four times, once for each heading, turned so
 * that ahead is up, within a margin of wall as wide as the agent sees.
 */
#ifndef C_ENVS_MAZE_H
#define C_ENVS_MAZE_H

#include "env.h"

#define MAZE_SIZE_MIN 5
#define MAZE_SIZE_MAX 127
#define MAZE_SIGHT 5 /* cells the agent sees in each direction */
#define MAZE_WINDOW (2 * MAZE_SIGHT + 1)
#define MAZE_WINDOW_CELLS (MAZE_WINDOW * MAZE_WINDOW)
#define MAZE_START_DISTANCE 4
#define MAZE_OBSERVATION (MAZE_WINDOW_CELLS + 3)
#define MAZE_ACTIONS 5
#define MAZE_TAIL 16 /* bytes behind the last level, so that a row may be read some cells too far */
#define MAZE_BYTES_MAX 1073741824.0

/* What a cell is, as the observation shows it. */
enum { MAZE_GOAL = -1, MAZE_FLOOR = 0, MAZE_WALL = 1 };

enum { MAZE_NORTH = 0, MAZE_EAST = 1, MAZE_SOUTH = 2, MAZE_WEST = 3 };

/* The constants; maps levels (MazeLevel) and then their cells follow in the same block of memory. */
typedef struct MazeConfig {
    int32_t map_size;   /* size of every level; 0: drawn */
    int32_t max_size;   /* largest size drawn */
    int32_t num_maps;   /* levels */
    float difficulty;   /* chance that the tree of a maze grows on at a random cell rather than the newest */
    int32_t largest;    /* size of the largest level there may be */
    int32_t stride;     /* bytes from row to row: the largest size and two margins */
    int64_t plane;      /* bytes of one heading's copy of a level */
    uint64_t seed;
} MazeConfig;

typedef struct MazeLevel {
    int32_t size;
    int32_t goal_x;
    int32_t goal_y;
    int32_t max_steps; /* twice its cells: steps after which an episode is truncated */
} MazeLevel;

/* x grows to the east, y to the south. */
typedef struct MazeState {
    EnvEpisode episode;
    int32_t level;
    int32_t x;
    int32_t y;
    int32_t heading;
} MazeState;

ENV_FN const MazeLevel *maze_level(const MazeConfig *config, int32_t level) {
    return (const MazeLevel *)(config + 1) + level;
}

/* The copy of a level turned for a heading; its first byte is the corner of the margin. */
ENV_FN const int8_t *maze_plane(const MazeConfig *config, int32_t level, int32_t heading) {
    const int8_t *cells = (const int8_t *)maze_level(config, config->num_maps);
    return cells + ((int64_t)level * 4 + heading) * config->plane;
}

/* Row and column of cell (x, y) in the copy for a heading. */
ENV_FN void maze_turn(int32_t size, int32_t heading, int32_t x, int32_t y, int32_t *row, int32_t *column) {
    const int32_t last = size - 1;
    *row = heading == MAZE_NORTH ? y : heading == MAZE_EAST ? last - x : heading == MAZE_SOUTH ? last - y : x;
    *column = heading == MAZE_NORTH ? x : heading == MAZE_EAST ? y : heading == MAZE_SOUTH ? last - x : last - y;
}

/* What is at (x, y) of a level, or up to MAZE_SIGHT cells outside it. */
ENV_FN int32_t maze_cell(const MazeConfig *config, int32_t level, int32_t x, int32_t y) {
    return maze_plane(config, level, MAZE_NORTH)[(y + MAZE_SIGHT) * config->stride + x + MAZE_SIGHT];
}

ENV_FN int32_t maze_distance(int32_t ax, int32_t ay, int32_t bx, int32_t by) {
    return (ax < bx ? bx - ax : ax - bx) + (ay < by ? by - ay : ay - by);
}

/* A random room's coordinate. */
ENV_FN int32_t maze_room(Pcg32 *random, int32_t size) {
    return 2 * (int32_t)pcg32_below(random, (uint32_t)(size / 2)) + 1;
}

/* Starts the next episode; the generator goes on. The start is any room at least MAZE_START_DISTANCE steps along the axes
 * from the goal. Every level has such rooms; near ones are left in, because chance alone finds no far goal and without a
 * first success nothing is learned. */
ENV_FN void maze_begin(const MazeConfig *config, MazeState *state) {
    Pcg32 *random = &state->episode.random;
    state->episode.total_reward = 0.0f;
    state->episode.steps = 0;
    state->level = (int32_t)pcg32_below(random, (uint32_t)config->num_maps);
    const MazeLevel *level = maze_level(config, state->level);
    do {
        state->x = maze_room(random, level->size);
        state->y = maze_room(random, level->size);
    } while (maze_distance(state->x, state->y, level->goal_x, level->goal_y) < MAZE_START_DISTANCE);
    state->heading = (int32_t)pcg32_below(random, 4);
}

/* Starts the first episode of a seed. */
ENV_FN void maze_reset(const MazeConfig *config, MazeState *state, uint64_t seed) {
    state->episode.random = pcg32_seeded(seed);
    maze_begin(config, state);
}

/* One step: 0 stay, 1 forward, 2 left, 3 right, 4 back, relative to the heading. The agent turns to where it moves; into a
 * wall it neither moves nor turns. The goal pays 1 and ends the episode. */
ENV_FN int32_t maze_step(const MazeConfig *config, MazeState *state, const EnvAction *action, float *reward,
                         uint8_t *mask) {
    const MazeLevel *level = maze_level(config, state->level);
    const int32_t choice = env_action_choice(*action, MAZE_ACTIONS);
    /* Quarter turns to the right: forward 0, left 3, right 1, back 2. */
    const int32_t turn = choice == 2 ? 3 : choice == 3 ? 1 : choice == 4 ? 2 : 0;
    const int32_t heading = (state->heading + turn) & 3;
    const int32_t x = state->x + (heading == MAZE_EAST) - (heading == MAZE_WEST);
    const int32_t y = state->y + (heading == MAZE_SOUTH) - (heading == MAZE_NORTH);
    int32_t cell = MAZE_WALL;
    if (choice != 0) {
        cell = maze_cell(config, state->level, x, y);
    }
    if (cell != MAZE_WALL) {
        state->x = x;
        state->y = y;
        state->heading = heading;
    }
    *reward = cell == MAZE_GOAL ? 1.0f : 0.0f;
    *mask = 1;
    state->episode.total_reward += *reward;
    state->episode.steps += 1;
    if (cell == MAZE_GOAL) {
        return ENV_TERMINAL;
    }
    return state->episode.steps >= level->max_steps ? ENV_TRUNCATED : ENV_RUNNING;
}

/* observation[MAZE_OBSERVATION]: the window row by row (wall 1, floor 0, goal -1), then 1 for heading east and -1 for west,
 * 1 for north and -1 for south, and the share of the episode's steps that is used up. */
ENV_FN void maze_observe(const MazeConfig *config, const MazeState *state, float *observation) {
    const MazeLevel *level = maze_level(config, state->level);
    int32_t row, column;
    maze_turn(level->size, state->heading, state->x, state->y, &row, &column);
    /* With the margin, the window's corner is at the agent's own coordinates. */
    const int8_t *cells = maze_plane(config, state->level, state->heading) + (int64_t)row * config->stride + column;
    for (int32_t r = 0; r < MAZE_WINDOW; r++) {
        /* One cell more than a row has: three times four converts faster, and what comes next overwrites it. */
        for (int32_t c = 0; c < MAZE_WINDOW + 1; c++) {
            observation[r * MAZE_WINDOW + c] = (float)cells[c];
        }
        cells += config->stride;
    }
    observation[MAZE_WINDOW_CELLS] = (float)((state->heading == MAZE_EAST) - (state->heading == MAZE_WEST));
    observation[MAZE_WINDOW_CELLS + 1] = (float)((state->heading == MAZE_NORTH) - (state->heading == MAZE_SOUTH));
    observation[MAZE_WINDOW_CELLS + 2] = (float)state->episode.steps / (float)level->max_steps;
}

/* What an episode is worth: 1 when it reached the goal. */
ENV_FN float maze_score(const MazeConfig *config, const MazeState *state) {
    (void)config;
    return state->episode.total_reward;
}

#ifndef __CUDACC_RTC__
#include <stdio.h>
#include "cells.h"
#include "settings.h"

#define MAZE_SUMMARY "Find the goal of a maze by the 11x11 cells around you: +1 at the goal, 2*w*h steps at most"

static const EnvSetting maze_settings[] = {
    {"map_size", SETTING_INT, 31, 0, MAZE_SIZE_MAX, "cells", "width and height of every maze, odd; 0 draws each up to max_size"},
    {"max_size", SETTING_INT, 31, MAZE_SIZE_MIN, MAZE_SIZE_MAX, "cells", "largest maze that is drawn when map_size is 0, odd"},
    {"num_maps", SETTING_INT, 1, 1, 1000000, "mazes", "mazes made from the seed and shared by all environments"},
    {"difficulty", SETTING_FLOAT, 0.5, 0, 1, "", "how often a maze branches at a random cell: 0 long corridors, 1 short dead ends"},
};

/* Size of the largest level and bytes of all cells under these settings. */
static inline int32_t maze_largest(const double *settings) { return (int32_t)(settings[0] != 0 ? settings[0] : settings[1]); }
static inline double maze_cell_bytes(const double *settings) {
    const double stride = maze_largest(settings) + 2 * MAZE_SIGHT;
    return settings[2] * 4 * stride * stride + MAZE_TAIL;
}

/* 1, or 0 and a text when the settings do not go together. Each is known to lie in its range. */
static inline int maze_check(const double *settings, char *text, size_t size) {
    const int32_t map_size = (int32_t)settings[0], max_size = (int32_t)settings[1];
    if (map_size != 0 && (map_size < MAZE_SIZE_MIN || map_size % 2 == 0)) {
        snprintf(text, size, "map_size is %d; it must be 0 or an odd number from %d to %d", (int)map_size, MAZE_SIZE_MIN,
                 MAZE_SIZE_MAX);
        return 0;
    }
    if (max_size % 2 == 0) {
        snprintf(text, size, "max_size is %d; it must be an odd number from %d to %d", (int)max_size, MAZE_SIZE_MIN,
                 MAZE_SIZE_MAX);
        return 0;
    }
    if (maze_cell_bytes(settings) > MAZE_BYTES_MAX) {
        snprintf(text, size, "num_maps is %.0f; mazes of size %d then take %.0f MB, and 1074 are allowed", settings[2],
                 (int)maze_largest(settings), maze_cell_bytes(settings) / 1e6);
        return 0;
    }
    return 1;
}

static inline size_t maze_config_bytes(const double *settings) {
    return sizeof(MazeConfig) + (size_t)settings[2] * sizeof(MazeLevel) + (size_t)maze_cell_bytes(settings);
}

/* A room of a maze under construction, by its number: rows of size/2 rooms each. */
typedef struct MazeGrowth {
    int32_t count;                                         /* rooms in the list */
    uint16_t rooms[(MAZE_SIZE_MAX / 2) * (MAZE_SIZE_MAX / 2)]; /* those that may still grow, oldest first */
} MazeGrowth;

/* The rooms next to `room` that the tree has not reached, with the door towards each; returns how many. */
static inline int32_t maze_unreached(const int8_t *cells, int32_t stride, int32_t side, int32_t room, int32_t *rooms,
                                     int32_t *doors) {
    const int32_t at = (room / side * 2 + 1) * stride + room % side * 2 + 1;
    const int32_t exists[4] = {room / side > 0, room % side < side - 1, room / side < side - 1, room % side > 0};
    const int32_t step[4] = {-stride, 1, stride, -1};
    const int32_t next[4] = {-side, 1, side, -1};
    int32_t count = 0;
    for (int32_t d = 0; d < 4; d++) {
        if (exists[d] && cells[at + 2 * step[d]] == MAZE_WALL) {
            rooms[count] = room + next[d];
            doors[count] = at + step[d];
            count++;
        }
    }
    return count;
}

/* Carves a maze into cells that are all wall, cells[y * stride + x]: a tree grows from a random room, each time at its
 * newest room or, with chance `difficulty`, at a random one, until no room has an unreached neighbour. */
static inline void maze_carve(int8_t *cells, int32_t stride, int32_t size, float difficulty, Pcg32 *random) {
    const int32_t side = size / 2;
    MazeGrowth growth;
    growth.count = 1;
    growth.rooms[0] = (uint16_t)pcg32_below(random, (uint32_t)(side * side));
    cells[(growth.rooms[0] / side * 2 + 1) * stride + growth.rooms[0] % side * 2 + 1] = MAZE_FLOOR;
    while (growth.count > 0) {
        int32_t rooms[4], doors[4];
        int32_t at = growth.count - 1;
        if (pcg32_unit(random) < difficulty) {
            at = (int32_t)pcg32_below(random, (uint32_t)growth.count);
        }
        const int32_t ways = maze_unreached(cells, stride, side, growth.rooms[at], rooms, doors);
        if (ways == 0) {
            growth.count -= 1;
            for (int32_t i = at; i < growth.count; i++) {
                growth.rooms[i] = growth.rooms[i + 1];
            }
            continue;
        }
        const int32_t way = (int32_t)pcg32_below(random, (uint32_t)ways);
        cells[doors[way]] = MAZE_FLOOR;
        cells[(rooms[way] / side * 2 + 1) * stride + rooms[way] % side * 2 + 1] = MAZE_FLOOR;
        growth.rooms[growth.count++] = (uint16_t)rooms[way];
    }
}

/* Level number `index`, the same whatever num_maps is. */
static inline void maze_build_level(const MazeConfig *config, MazeLevel *level, int8_t *planes, int32_t index) {
    Pcg32 random = pcg32_seeded(random_shared(config->seed, (uint64_t)index));
    const int32_t stride = config->stride;
    const int32_t corner = MAZE_SIGHT * stride + MAZE_SIGHT;
    level->size = config->map_size;
    if (level->size == 0) {
        level->size =
            MAZE_SIZE_MIN + 2 * (int32_t)pcg32_below(&random, (uint32_t)(config->max_size - MAZE_SIZE_MIN) / 2 + 1);
    }
    level->max_steps = 2 * level->size * level->size;
    for (int64_t i = 0; i < 4 * config->plane; i++) {
        planes[i] = MAZE_WALL;
    }
    maze_carve(planes + corner, stride, level->size, config->difficulty, &random);
    level->goal_x = maze_room(&random, level->size);
    level->goal_y = maze_room(&random, level->size);
    planes[corner + level->goal_y * stride + level->goal_x] = MAZE_GOAL;
    for (int32_t heading = MAZE_EAST; heading <= MAZE_WEST; heading++) {
        for (int32_t y = 0; y < level->size; y++) {
            for (int32_t x = 0; x < level->size; x++) {
                int32_t row, column;
                maze_turn(level->size, heading, x, y, &row, &column);
                planes[heading * config->plane + corner + row * stride + column] = planes[corner + y * stride + x];
            }
        }
    }
}

static inline void maze_build(MazeConfig *config, const double *settings, uint64_t seed) {
    config->map_size = (int32_t)settings[0];
    config->max_size = (int32_t)settings[1];
    config->num_maps = (int32_t)settings[2];
    config->difficulty = (float)settings[3];
    config->largest = maze_largest(settings);
    config->stride = config->largest + 2 * MAZE_SIGHT;
    config->plane = (int64_t)config->stride * config->stride;
    config->seed = seed;
    MazeLevel *levels = (MazeLevel *)(config + 1);
    int8_t *cells = (int8_t *)(levels + config->num_maps);
    for (int32_t i = 0; i < config->num_maps; i++) {
        maze_build_level(config, &levels[i], cells + i * 4 * config->plane, i);
    }
}

static inline void maze_spec(const double *settings, EnvSpec *spec) {
    const int32_t smallest = settings[0] != 0 ? (int32_t)settings[0] : MAZE_SIZE_MIN;
    spec->observation_size = MAZE_OBSERVATION;
    spec->actions = MAZE_ACTIONS;
    spec->continuous = 0;
    spec->agents = 1;
    spec->state_bytes = (int32_t)sizeof(MazeState);
    spec->render_scales = 2;
    spec->truncation_steps = 2 * smallest * smallest;
}

static inline void maze_bounds(const double *settings, float *low, float *high) {
    (void)settings;
    for (int32_t i = 0; i < MAZE_OBSERVATION; i++) {
        low[i] = -1.0f;
        high[i] = 1.0f;
    }
    low[MAZE_OBSERVATION - 1] = 0.0f;
}

/* 1 for bytes that are a state this environment can be in. */
static inline int maze_valid(const MazeConfig *config, const MazeState *state) {
    if (!(state->episode.random.stream & 1u) || state->level < 0 || state->level >= config->num_maps) {
        return 0;
    }
    const MazeLevel *level = maze_level(config, state->level);
    return state->x >= 0 && state->x < level->size && state->y >= 0 && state->y < level->size && state->heading >= 0 &&
           state->heading <= 3 && maze_cell(config, state->level, state->x, state->y) == MAZE_FLOOR &&
           state->episode.steps >= 0 && state->episode.steps < level->max_steps && state->episode.total_reward == 0.0f;
}

/* Scale 1: a cell is one pixel, the agent a whole character. Scale 2: a cell is two characters. Smaller levels are drawn in
 * the middle. */
static inline void maze_render_size(const MazeConfig *config, int32_t scale, int32_t *rows, int32_t *columns) {
    *rows = scale == 1 ? (config->largest + 1) / 2 : config->largest;
    *columns = config->largest * scale;
}

static inline uint32_t maze_pixel(const MazeConfig *config, const MazeState *state, int32_t x, int32_t y) {
    const int32_t size = maze_level(config, state->level)->size;
    if (x < 0 || y < 0 || x >= size || y >= size) {
        return CELL_BACKGROUND;
    }
    const int32_t cell = maze_cell(config, state->level, x, y);
    if (cell != MAZE_FLOOR) {
        return cell == MAZE_GOAL ? CELL_GOAL : CELL_WALL;
    }
    const int32_t seen = x >= state->x - MAZE_SIGHT && x <= state->x + MAZE_SIGHT && y >= state->y - MAZE_SIGHT &&
                         y <= state->y + MAZE_SIGHT;
    return seen ? CELL_SEEN : CELL_FLOOR;
}

static inline void maze_render(const MazeConfig *config, const MazeState *state, int32_t scale, EnvCell *cells) {
    static const uint32_t arrows[4] = {GLYPH_NORTH, GLYPH_EAST, GLYPH_SOUTH, GLYPH_WEST};
    const int32_t shift = (config->largest - maze_level(config, state->level)->size) / 2;
    int32_t rows, columns;
    maze_render_size(config, scale, &rows, &columns);
    for (int32_t row = 0; row < rows; row++) {
        for (int32_t column = 0; column < columns; column++) {
            const int32_t x = column / scale - shift;
            const int32_t y = (scale == 1 ? 2 * row : row) - shift;
            const int32_t lower_y = scale == 1 ? y + 1 : y;
            cells[row * columns + column] =
                cell_pixels(maze_pixel(config, state, x, y), maze_pixel(config, state, x, lower_y));
        }
    }
    const int32_t row = scale == 1 ? (state->y + shift) / 2 : state->y + shift;
    EnvCell *agent = &cells[row * columns + (state->x + shift) * scale];
    agent->glyph = arrows[state->heading];
    agent->foreground = CELL_AGENT;
    agent->background = CELL_SEEN;
}

static inline void maze_caption(const MazeConfig *config, const MazeState *state, char *text, size_t size) {
    static const char *const names[4] = {"north", "east", "south", "west"};
    snprintf(text, size, "steps %d/%d  heading %s", (int)state->episode.steps,
             (int)maze_level(config, state->level)->max_steps, names[state->heading]);
}
#endif

#endif
