/* Environments under inputs of bytes: settings, seed, actions, and everything else that can be done to a batch.
 *
 * `fuzz_envs STEPS [SEED [ENVIRONMENT]]` makes random inputs until each environment has played so many steps. Compiled with
 * -DWITH_LIBFUZZER it is a target for libFuzzer. What bytes mean: an environment, its settings, the batch, then deeds.
 */
#include "playing.h"

#define STEPS_MOST 1000     /* of one environment in one input */
#define CONFIG_MOST 4000000 /* bytes: larger ones only cost time */

/* The input; behind its end there are zeros. */
typedef struct Input {
    const uint8_t *at;
    const uint8_t *end;
} Input;

static uint64_t take(Input *input, int bytes) {
    uint64_t value = 0;
    for (int i = 0; i < bytes && input->at < input->end; i++) {
        value = value << 8 | *input->at++;
    }
    return value;
}

/* What a run of this program has done. */
typedef struct Account {
    int64_t inputs;
    int64_t refused; /* settings */
    int64_t steps;
    int64_t loads;
    int64_t states; /* damaged ones that were taken */
    int64_t pictures;
} Account;
static Account account;

/* A value for a setting: anywhere in its range, at an end of it, or anything at all. */
static double setting_value(Input *input, const EnvSetting *setting) {
    const double share = (double)take(input, 2) / 65535.0;
    double value = setting->low + share * (setting->high - setting->low);
    uint64_t bits;
    switch (take(input, 1) % 16) {
    case 0:
        return setting->low;
    case 1:
        return setting->high;
    case 2:
        return setting->initial;
    case 3: /* near the low end, where most users are */
    case 4:
    case 5:
    case 6:
    case 7:
        value = setting->low + share * (setting->high - setting->low < 40.0 ? setting->high - setting->low : 40.0);
        break;
    case 8:
        bits = take(input, 8);
        memcpy(&value, &bits, sizeof(value));
        return value;
    case 9:
        return value;
    default:
        break;
    }
    return setting->kind == SETTING_FLOAT ? value : floor(value);
}

/* Fills settings; 0 where the environment refuses them, with one line of text, or where they are too large to be tried. */
static int draw_settings(Input *input, const EnvEntry *entry, double *settings) {
    char text[256] = "";
    CHECK(entry->setting_count <= SETTINGS_MAX, "%s has %d settings", entry->name, (int)entry->setting_count);
    for (int32_t i = 0; i < entry->setting_count; i++) {
        settings[i] = setting_value(input, &entry->settings[i]);
    }
    if (!env_check(entry, settings, text, sizeof(text))) {
        CHECK(strlen(text) > 5 && strlen(text) + 1 < sizeof(text) && !strchr(text, '\n'), "%s: %s", entry->name, text);
        account.refused++;
        return 0;
    }
    return entry->config_bytes(settings) <= CONFIG_MOST;
}

static void play_steps(Play *play, Input *input, int64_t count, int checked) {
    Batch *batch = play->batch;
    const size_t floats = (size_t)batch->spec.observation_size;
    for (int64_t t = 0; t < count; t++) {
        play_step(play, t % 2);
    }
    account.steps += count * batch->environments;
    if (checked) {
        float *bounds = must(malloc(2 * floats * sizeof(float)));
        batch->entry->bounds(batch->settings, bounds, bounds + floats);
        check_step(play, (count + 1) % 2, bounds, bounds + floats);
        free(bounds);
    }
    /* A part of the batch, with actions that are bytes of the input. */
    const int64_t first = (int64_t)take(input, 1) % batch->environments;
    for (int64_t i = 0; i < batch->rows; i++) {
        play->actions[i].choice = (int32_t)(uint32_t)take(input, take(input, 1) % 8 ? 1 : 4);
    }
    batch_step(batch, 0, first, batch->environments - first);
    account.steps += batch->environments - first;
    if (take(input, 1) % 4 == 0) {
        const BatchStatistics sums = batch_statistics(batch, first, batch->environments - first);
        CHECK(sums.episodes >= 0 && (!checked || isfinite(sums.score)), "%s: score %g", batch->entry->name, sums.score);
    }
}

/* What is saved loads into another batch of the kind, and not with a byte changed. */
static void save_and_load(Play *play, Input *input) {
    char text[256] = "";
    const Batch *batch = play->batch;
    const size_t bytes = batch_saved_bytes(batch);
    unsigned char *saved = must(malloc(bytes)), *again = must(malloc(bytes));
    Play other = play_create(batch->entry, batch->settings, batch->environments, batch->seed, 1);
    batch_save(batch, saved);
    const size_t at = (size_t)take(input, 4) % bytes;
    const unsigned char bit = (unsigned char)(1u << take(input, 1) % 8);
    saved[at] ^= bit;
    CHECK(!batch_load(other.batch, saved, bytes, text, sizeof(text)), "%s: byte %zu", batch->entry->name, at);
    CHECK(!batch_load(other.batch, saved, at, text, sizeof(text)), "%s: %zu bytes", batch->entry->name, at);
    saved[at] ^= bit;
    CHECK(batch_load(other.batch, saved, bytes, text, sizeof(text)), "%s: %s", batch->entry->name, text);
    batch_save(other.batch, again);
    CHECK(memcmp(saved, again, bytes) == 0, "%s", batch->entry->name);
    account.loads++;
    free(saved);
    free(again);
    play_destroy(&other);
}

/* Bytes of the input over a state; 1 where the environment takes it. */
static int damage_state(Play *play, Input *input) {
    Batch *batch = play->batch;
    const size_t bytes = (size_t)batch->spec.state_bytes;
    const int64_t which = (int64_t)take(input, 1) % batch->environments;
    unsigned char *state = must(malloc(bytes));
    memcpy(state, batch_state(batch, which), bytes);
    for (uint64_t count = take(input, 1) % 4 + 1; count > 0; count--) {
        const size_t at = (size_t)take(input, 2) % bytes;
        state[at] = (unsigned char)(take(input, 1) % 4 ? state[at] ^ (1u << take(input, 1) % 8) : take(input, 1));
    }
    const int taken = batch_set_state(batch, which, state);
    account.states += taken;
    free(state);
    return taken;
}

/* The states of all environments put back in another order: every one is possible, so every one is taken. */
static void assign_states(Play *play, Input *input) {
    Batch *batch = play->batch;
    const size_t bytes = (size_t)batch->spec.state_bytes, all = bytes * (size_t)batch->environments;
    unsigned char *states = must(malloc(all));
    EnvSums *sums = must(calloc((size_t)batch->environments, sizeof(EnvSums)));
    const int64_t shift = (int64_t)take(input, 1) % batch->environments;
    for (int64_t i = 0; i < batch->environments; i++) {
        memcpy(states + (size_t)i * bytes, batch_state(batch, (i + shift) % batch->environments), bytes);
    }
    CHECK(batch_assign(batch, (const unsigned char *)sums, states) == BATCH_ASSIGNED, "%s", batch->entry->name);
    free(states);
    free(sums);
}

/* Plays one input; index < 0 lets the input choose the environment. */
static void play_input(const uint8_t *data, size_t size, int index) {
    Input input = {data, data + size};
    double settings[SETTINGS_MAX] = {0};
    const int chosen = (int)take(&input, 1) % env_table_count;
    const EnvEntry *entry = env_table[index < 0 ? chosen : index];
    account.inputs++;
    if (!draw_settings(&input, entry, settings)) {
        return;
    }
    const int64_t environments = (int64_t)take(&input, 1) % 24 + 1;
    const int threads = take(&input, 1) % 16 ? 1 : 3;
    Play play = play_create(entry, settings, environments, take(&input, 8), threads);
    play.random = pcg32_seeded(take(&input, 8));
    int sound = 1;
    for (int64_t steps = 0; input.at < input.end && steps < STEPS_MOST;) {
        const int64_t count = (int64_t)take(&input, 1) % 200 + 2;
        switch (take(&input, 1) % 16) {
        case 0:
            save_and_load(&play, &input);
            break;
        case 1:
            sound = !damage_state(&play, &input) && sound;
            break;
        case 2:
            batch_reset(play.batch, take(&input, 8));
            sound = 1;
            break;
        case 3:
            batch_observe(play.batch, (int64_t)take(&input, 1) % 2);
            break;
        case 4:
            draw_pictures(play.batch);
            account.pictures++;
            break;
        case 5:
            assign_states(&play, &input);
            break;
        default:
            play_steps(&play, &input, count, sound);
            steps += count;
        }
    }
    draw_pictures(play.batch);
    account.pictures++;
    play_destroy(&play);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    play_input(data, size, -1);
    if (failures) {
        abort();
    }
    return 0;
}

#ifndef WITH_LIBFUZZER
int main(int count, char **arguments) {
    uint8_t data[2048];
    const int64_t steps = count > 1 ? strtoll(arguments[1], NULL, 10) : 100000;
    const uint64_t seed = count > 2 ? strtoull(arguments[2], NULL, 10) : 1;
    for (int index = 0; index < env_table_count; index++) {
        if (count > 3 && strcmp(arguments[3], env_table[index]->name) != 0) {
            continue;
        }
        Pcg32 random = pcg32_seeded(seed * 1000 + (uint64_t)index);
        memset(&account, 0, sizeof(account));
        while (account.steps < steps) {
            const size_t size = 40 + pcg32_below(&random, sizeof(data) - 40);
            for (size_t i = 0; i < size; i++) {
                data[i] = (uint8_t)pcg32_next(&random);
            }
            play_input(data, size, index);
        }
        printf("%-10s %" PRId64 " steps, %" PRId64 " inputs (%" PRId64 " refused), %" PRId64 " loads, %" PRId64
               " damaged states taken, %" PRId64 " pictures, %d failures\n",
               env_table[index]->name, account.steps, account.inputs, account.refused, account.loads, account.states,
               account.pictures, failures);
        fflush(stdout);
    }
    return failures ? 1 : 0;
}
#endif
