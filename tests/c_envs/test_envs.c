/* The environments, the batch and the pool without Python, for sanitizers and other compiler flags.
 *
 * `test_envs` runs everything, `test_envs pool` what threads share; `test_envs hash` compares the golden hashes alone.
 */
#include "playing.h"

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

static Play case_create(const Case *c, int threads) {
    const EnvEntry *entry = must((void *)(uintptr_t)env_find(c->environment));
    return play_create(entry, c->settings, c->environments, 12345, threads);
}

static uint64_t play_hash(const Case *c, int threads) {
    Play play = case_create(c, threads);
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

/* One hash for any number of threads, and for whatever flags this was compiled with. */
static void test_golden_hash(const Case *c) {
    for (int threads = 1; threads <= 8; threads *= 2) {
        const uint64_t hash = play_hash(c, threads);
        CHECK(hash == c->golden, "case %d, %d threads: %016" PRIx64, (int)(c - cases), threads, hash);
    }
}

/* A long random game keeps every promise about values. */
static void test_random_play(const Case *c) {
    Play play = case_create(c, 1);
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
    Play play = case_create(c, 1);
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
    Play play = case_create(c, 1), other = case_create(c, 2);
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
    Play play = case_create(c, 1);
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
    const int all = count == 1, only_hash = !all && strcmp(arguments[1], "hash") == 0;
    if (!only_hash) {
        test_pool();
    }
    for (int i = 0; i < CASES; i++) {
        test_golden_hash(&cases[i]);
        if (only_hash) {
            continue;
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
