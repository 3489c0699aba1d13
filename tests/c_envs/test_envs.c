/* The environments, the batch and the pool without Python, for sanitizers and other compiler flags.
 *
 * `test_envs` runs everything, `test_envs pool` what threads share; `test_envs hash` prints the golden hashes.
 */
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

/* A run to check: settings in the table's order. `golden` is the hash of its bytes; a change of it is a decision. */
typedef struct Case {
    const char *environment;
    double settings[SETTINGS_MAX];
    int64_t environments;
    int64_t steps;
    uint64_t golden;
} Case;

static const Case cases[] = {
    {"breakout", {4, 0, 27000}, 61, 3500, 0x77a173009989ad80},
    {"breakout", {1, 1, 150}, 17, 4000, 0xa58b67c7eabc67d2},
    {"breakout", {64, 0, 0}, 16, 2000, 0x48c73d9570e06252},
    {"maze", {31, 31, 1, 0.5}, 61, 3500, 0xb4399880676bfb13},
    {"maze", {0, 15, 40, 1}, 17, 6000, 0xebd7f677aca14762},
    {"maze", {5, 5, 3, 0}, 9, 6000, 0x22c051083014f4be},
    {"maze", {127, 5, 2, 0.1}, 3, 2000, 0xb62662aaaf0b9e32},
    {"bandit", {4, 8}, 61, 2000, 0xe7d56ee1c4839619},
    {"bandit", {16, 1}, 17, 2000, 0x9aa1cd64bdd466a9},
    {"memory", {6, 2}, 61, 2000, 0x6c3ac09266f54f9a},
    {"memory", {0, 16}, 17, 2000, 0xbade79163a9052a1},
    {"password", {5, 2}, 61, 2000, 0x860aa47f1e657181},
    {"password", {32, 16}, 17, 2000, 0x91b134d1f629b8d1},
    {"stochastic", {0.75, 64}, 61, 2000, 0x9fd8fb3c479d10bb},
    {"stochastic", {0.1, 2}, 17, 2000, 0x21433574c224918c},
    {"squared", {2, 4}, 61, 2000, 0x3a870c019d1db41e},
    {"squared", {8, 64}, 17, 2000, 0x857ef82d2a60b48e},
    {"squared", {1, 1}, 17, 2000, 0xed53f41fd1d28a68},
    {"spaces", {5, 5, 8}, 61, 2000, 0xaafc3f3654eb347e},
    {"spaces", {8, 1, 3}, 17, 2000, 0xf005722fd0a6a5c0},
    {"spaces", {1, 8, 1}, 17, 2000, 0x74c4003a475cf555},
    {"multiagent", {2, 8}, 61, 2000, 0x04ef5692469486f0},
    {"multiagent", {8, 2}, 17, 2000, 0xc0d911002b9e0331},
    {"multiagent", {3, 50}, 17, 2000, 0x088b3c0b6c0ec0d8},
};
#define CASES ((int)(sizeof(cases) / sizeof(cases[0])))

/* A batch of two slots, and buffers of exactly the size it may touch. */
typedef struct Play {
    Batch *batch;
    EnvAction *actions;
    Pcg32 random;
    uint64_t hash;
} Play;

static void *must(void *memory) {
    if (!memory) {
        printf("out of memory\n");
        exit(2);
    }
    return memory;
}

static Play play_create(const Case *c, int threads) {
    Play play;
    const EnvEntry *entry = must((void *)(uintptr_t)env_find(c->environment));
    Batch *batch = must(batch_create(entry, c->settings, c->environments, 2, 12345, threads));
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

static void play_destroy(Play *play) {
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

static void mix(Play *play, const void *bytes, size_t count) {
    const unsigned char *at = bytes;
    for (size_t i = 0; i < count; i++) {
        play->hash = (play->hash ^ at[i]) * 0x100000001B3ull;
    }
}

/* Random actions, one in sixteen of them out of range. */
static void draw_actions(Play *play, int64_t slot) {
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
static void play_step(Play *play, int64_t slot) {
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

static uint64_t play_hash(const Case *c, int threads) {
    Play play = play_create(c, threads);
    for (int64_t t = 0; t < 300; t++) {
        play_step(&play, t % 2);
    }
    mix(&play, play.batch->states, (size_t)(c->environments * play.batch->spec.state_bytes));
    mix(&play, play.batch->buffers.final_observations,
        (size_t)(play.batch->rows * play.batch->spec.observation_size) * sizeof(float));
    const uint64_t hash = play.hash;
    play_destroy(&play);
    return hash;
}

/* Every value that a step wrote lies where it must, and every state is one that `valid` admits. */
static void check_step(const Play *play, int64_t slot, const float *low, const float *high) {
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

static void draw_pictures(const Batch *batch) {
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

/* A long random game keeps every promise about values. */
static void test_random_play(const Case *c) {
    Play play = play_create(c, 1);
    const size_t floats = (size_t)play.batch->spec.observation_size;
    float *bounds = must(malloc(2 * floats * sizeof(float)));
    play.batch->entry->bounds(c->settings, bounds, bounds + floats);
    for (int64_t t = 0; t < c->steps; t++) {
        play_step(&play, t % 2);
        if (t % 8 < 2) {
            check_step(&play, t % 2, bounds, bounds + floats);
        }
        if (t % 100 == 0) {
            draw_pictures(play.batch);
        }
    }
    free(bounds);
    play_destroy(&play);
}

/* reset sets every byte of a state: junk in memory before it leaves no trace. */
static void test_reset_sets_everything(const Case *c) {
    Play play = play_create(c, 1);
    const Batch *batch = play.batch;
    const size_t bytes = (size_t)batch->spec.state_bytes;
    void *clean = must(calloc(1, bytes)), *junk = must(malloc(bytes));
    memset(junk, 0xA7, bytes);
    batch->entry->reset(batch->config, clean, 7);
    batch->entry->reset(batch->config, junk, 7);
    CHECK(memcmp(clean, junk, bytes) == 0, "%s", c->environment);
    free(clean);
    free(junk);
    play_destroy(&play);
}

/* Saved in mid-stream and taken up by another batch, a run goes on to the same bytes; a flipped byte is refused. */
static void test_save_and_load(const Case *c) {
    char text[256] = "";
    Play play = play_create(c, 1), other = play_create(c, 2);
    for (int64_t t = 0; t < 200; t++) {
        play_step(&play, t % 2);
    }
    const size_t bytes = batch_saved_bytes(play.batch);
    unsigned char *saved = must(malloc(bytes));
    batch_save(play.batch, saved);
    const size_t stride = bytes / 64 + 1;
    for (size_t at = 0; at < bytes; at += at < 96 ? 1 : stride) {
        saved[at] ^= 1;
        CHECK(!batch_load(other.batch, saved, bytes, text, sizeof(text)), "byte %zu", at);
        saved[at] ^= 1;
    }
    CHECK(!batch_load(other.batch, saved, bytes - 1, text, sizeof(text)), "short");
    CHECK(!batch_load(other.batch, saved, 10, text, sizeof(text)), "very short");
    CHECK(batch_load(other.batch, saved, bytes, text, sizeof(text)), "%s", text);
    other.random = play.random;
    play.hash = other.hash = 1;
    for (int64_t t = 0; t < 200; t++) {
        play_step(&play, t % 2);
        play_step(&other, t % 2);
    }
    CHECK(play.hash == other.hash, "%s", c->environment);
    free(saved);
    play_destroy(&play);
    play_destroy(&other);
}

/* Whatever bytes `valid` lets pass can be played, drawn and observed without harm. */
static void test_damaged_states(const Case *c) {
    Play play = play_create(c, 1);
    Batch *batch = play.batch;
    const size_t bytes = (size_t)batch->spec.state_bytes;
    unsigned char *state = must(malloc(bytes));
    int taken = 0;
    for (int round = 0; round < 3000; round++) {
        memcpy(state, batch_state(batch, 0), bytes);
        for (uint32_t k = pcg32_below(&play.random, 3) + 1; k > 0; k--) {
            const uint32_t where = pcg32_below(&play.random, 4) ? 16 : 0; /* mostly behind the generator, where all is open */
            const uint32_t at = where + pcg32_below(&play.random, (uint32_t)bytes - where);
            state[at] ^= (unsigned char)(1u << pcg32_below(&play.random, 8));
        }
        if (batch_set_state(batch, 0, state)) {
            taken++;
            draw_pictures(batch);
        }
        for (int64_t t = 0; t < 4; t++) {
            play_step(&play, t % 2);
        }
    }
    CHECK(taken > 30, "only %d damaged states were taken", taken);
    free(state);
    play_destroy(&play);
}

/* Wrong settings are named, and no others are. */
static void test_checks(void) {
    char text[256] = "";
    const EnvEntry *maze = env_find("maze"), *breakout = env_find("breakout");
    const double even[] = {30, 31, 1, 0.5}, tiny[] = {3, 31, 1, 0.5}, odd[] = {0, 31, 1, 0.5}, many[] = {127, 31, 1e6, 0.5};
    const EnvEntry *squared = env_find("squared");
    const double full[] = {1, 8}, crowded[] = {1, 9};
    CHECK(env_check(squared, full, text, sizeof(text)), "%s", text);
    CHECK(!env_check(squared, crowded, text, sizeof(text)) && strstr(text, "targets is 9"), "%s", text);
    const double broken[] = {4.5, 0, 0}, none[] = {NAN, 0, 0}, huge[] = {1e300, 0, 0};
    CHECK(env_check(maze, odd, text, sizeof(text)), "%s", text);
    CHECK(!env_check(maze, even, text, sizeof(text)) && strstr(text, "map_size is 30"), "%s", text);
    CHECK(!env_check(maze, tiny, text, sizeof(text)) && strstr(text, "map_size is 3"), "%s", text);
    CHECK(!env_check(maze, many, text, sizeof(text)) && strstr(text, "num_maps"), "%s", text);
    CHECK(!env_check(breakout, broken, text, sizeof(text)) && strstr(text, "whole"), "%s", text);
    CHECK(!env_check(breakout, none, text, sizeof(text)) && strstr(text, "frame_skip"), "%s", text);
    CHECK(!env_check(breakout, huge, text, sizeof(text)) && strstr(text, "frame_skip"), "%s", text);
    CHECK(!env_find("pong"), "found");
}

static void count_items(void *context, int64_t first, int64_t last) {
    int *visits = context;
    for (int64_t i = first; i < last; i++) {
        visits[i]++;
    }
}

/* Every item is done exactly once, by any number of threads, for any number of items. */
static void test_pool(void) {
    int visits[1000];
    for (int threads = 1; threads <= 5; threads++) {
        Pool *pool = must(pool_create(threads));
        for (int round = 0; round < 400; round++) {
            const int first = round % 7, count = (round * 37) % 990;
            memset(visits, 0, sizeof(visits));
            pool_run(pool, count_items, visits, first, count);
            for (int i = 0; i < 1000; i++) {
                CHECK(visits[i] == (i >= first && i < first + count), "threads %d item %d", threads, i);
            }
        }
        pool_destroy(pool);
    }
}

int main(int count, char **arguments) {
    if (count > 1 && strcmp(arguments[1], "hash") == 0) {
        for (int i = 0; i < CASES; i++) {
            printf("%s %016" PRIx64 "\n", cases[i].environment, play_hash(&cases[i], 1));
        }
        return 0;
    }
    const int all = count == 1;
    test_pool();
    for (int i = 0; i < CASES; i++) {
        for (int threads = 1; threads <= 4; threads *= 2) {
            const uint64_t hash = play_hash(&cases[i], threads);
            CHECK(hash == cases[i].golden, "case %d, %d threads: %016" PRIx64, i, threads, hash);
        }
        test_save_and_load(&cases[i]);
        if (!all) {
            continue;
        }
        test_random_play(&cases[i]);
        test_reset_sets_everything(&cases[i]);
        test_damaged_states(&cases[i]);
    }
    if (all) {
        test_checks();
    }
    printf(failures ? "%d checks failed\n" : "all checks passed\n", failures);
    return failures ? 1 : 0;
}
