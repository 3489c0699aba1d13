/* Included once an environment, with ENV, ENV_CONFIG and ENV_STATE defined: makes its row of the table, `<env>_entry`.
 *
 * The loops over environments live here and not behind function pointers, so that the compiler inlines step and observe.
 */
#include "play.h"

#define ENV_ADAPT(name) ENV_JOIN(adapt_, ENV_OWN(name))
#define ENV_TEXT_(name) #name
#define ENV_TEXT(name) ENV_TEXT_(name)

static void ENV_ADAPT(build)(void *config, const double *settings, uint64_t seed) {
    ENV_OWN(build)((ENV_CONFIG *)config, settings, seed);
}
static void ENV_ADAPT(reset)(const void *config, void *state, uint64_t seed) {
    ENV_OWN(reset)((const ENV_CONFIG *)config, (ENV_STATE *)state, seed);
}
static int ENV_ADAPT(valid)(const void *config, const void *state) {
    return ENV_OWN(valid)((const ENV_CONFIG *)config, (const ENV_STATE *)state);
}
static void ENV_ADAPT(render_size)(const void *config, int32_t scale, int32_t *rows, int32_t *columns) {
    ENV_OWN(render_size)((const ENV_CONFIG *)config, scale, rows, columns);
}
static void ENV_ADAPT(render)(const void *config, const void *state, int32_t scale, EnvCell *cells) {
    ENV_OWN(render)((const ENV_CONFIG *)config, (const ENV_STATE *)state, scale, cells);
}
static void ENV_ADAPT(caption)(const void *config, const void *state, char *text, size_t size) {
    ENV_OWN(caption)((const ENV_CONFIG *)config, (const ENV_STATE *)state, text, size);
}

static void ENV_ADAPT(observe_range)(const EnvRange *range, int64_t first, int64_t last) {
    const ENV_CONFIG *config = (const ENV_CONFIG *)range->config;
    const ENV_STATE *states = (const ENV_STATE *)range->states;
    const int64_t row_floats = range->spec->observation_size;
    float *slot = range->buffers->observations + range->slot * range->rows * row_floats;
    for (int64_t i = first; i < last; i++) {
        ENV_OWN(observe)(config, &states[i], slot + i * range->spec->agents * row_floats);
    }
}

static void ENV_ADAPT(step_range)(const EnvRange *range, int64_t first, int64_t last) {
    const ENV_CONFIG *config = (const ENV_CONFIG *)range->config;
    ENV_STATE *states = (ENV_STATE *)range->states;
    const int64_t agents = range->spec->agents;
    const int64_t row_floats = range->spec->observation_size;
    const int64_t slot = range->slot * range->rows;
    const EnvAction *actions = range->buffers->actions + slot;
    float *rewards = range->buffers->rewards + slot;
    uint8_t *terminals = range->buffers->terminals + slot;
    uint8_t *truncations = range->buffers->truncations + slot;
    uint8_t *masks = range->buffers->masks + slot;
    float *observations = range->buffers->observations + (slot + range->rows) * row_floats;
    float *final_observations = range->buffers->final_observations;
    for (int64_t i = first; i < last; i++) {
        const int64_t row = i * agents;
        ENV_OWN(play)(config, &states[i], &range->sums[i], agents, actions + row, rewards + row, terminals + row,
                      truncations + row, masks + row, observations + row * row_floats,
                      final_observations + row * row_floats);
    }
}

static const EnvEntry ENV_OWN(entry) = {
    .name = ENV_TEXT(ENV),
    .summary = ENV_SUMMARY,
    .settings = ENV_OWN(settings),
    .setting_count = (int32_t)(sizeof(ENV_OWN(settings)) / sizeof(EnvSetting)),
    .check = ENV_OWN(check),
    .config_bytes = ENV_OWN(config_bytes),
    .build = ENV_ADAPT(build),
    .spec = ENV_OWN(spec),
    .bounds = ENV_OWN(bounds),
    .reset = ENV_ADAPT(reset),
    .valid = ENV_ADAPT(valid),
    .observe_range = ENV_ADAPT(observe_range),
    .step_range = ENV_ADAPT(step_range),
    .render_size = ENV_ADAPT(render_size),
    .render = ENV_ADAPT(render),
    .caption = ENV_ADAPT(caption),
};

_Static_assert(offsetof(ENV_STATE, episode) == 0, "the episode comes first in a state");

#undef ENV
#undef ENV_CONFIG
#undef ENV_STATE
#undef ENV_SUMMARY
#undef ENV_ADAPT
#undef ENV_TEXT_
#undef ENV_TEXT
