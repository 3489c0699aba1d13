#include "batch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALIGNMENT 64
#define SAVE_VERSION 1u
#define SAVE_NAME 24

/* Reads differently on a machine of the other byte order. */
static const uint64_t save_magic = 0x3145564153564E45ull;

typedef struct SaveHeader {
    uint64_t magic;
    uint32_t version;
    uint32_t state_bytes;
    char environment[SAVE_NAME];
    uint64_t settings_hash;
    uint64_t seed;
    uint64_t environments;
    uint64_t checksum; /* of all bytes, this field counted as 0 */
} SaveHeader;

/* FNV-1a over bytes, going on from `hash`. */
static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t count) {
    const unsigned char *at = bytes;
    for (size_t i = 0; i < count; i++) {
        hash = (hash ^ at[i]) * 0x100000001B3ull;
    }
    return hash;
}
#define HASH_START 0xCBF29CE484222325ull

static uint64_t settings_hash(const Batch *batch) {
    return hash_bytes(HASH_START, batch->settings, (size_t)batch->entry->setting_count * sizeof(double));
}

static void *aligned_zeros(size_t bytes) {
    void *memory = NULL;
    if (posix_memalign(&memory, ALIGNMENT, bytes) != 0) {
        return NULL;
    }
    return memset(memory, 0, bytes);
}

void *env_make_config(const EnvEntry *entry, const double *settings, uint64_t seed, size_t *bytes) {
    *bytes = entry->config_bytes(settings);
    void *config = aligned_zeros(*bytes);
    if (config) {
        entry->build(config, settings, seed);
    }
    return config;
}

void env_free_config(void *config) { free(config); }

static void reset_range(void *context, int64_t first, int64_t last) {
    Batch *batch = context;
    for (int64_t i = first; i < last; i++) {
        void *state = batch_state(batch, i);
        memset(state, 0, (size_t)batch->spec.state_bytes);
        batch->entry->reset(batch->config, state, random_derive(batch->episode_seed, (uint64_t)i));
        memset(&batch->sums[i], 0, sizeof(EnvSums));
    }
}

Batch *batch_create(const EnvEntry *entry, const double *settings, int64_t environments, int64_t slots, uint64_t seed,
                    int threads) {
    Batch *batch = calloc(1, sizeof(Batch));
    if (!batch) {
        return NULL;
    }
    const size_t settings_bytes = (size_t)entry->setting_count * sizeof(double);
    batch->entry = entry;
    batch->seed = batch->episode_seed = seed;
    batch->environments = environments;
    batch->slots = slots;
    batch->settings = malloc(settings_bytes + 1);
    batch->config = env_make_config(entry, settings, seed, &batch->config_bytes);
    if (batch->settings && batch->config) {
        memcpy(batch->settings, settings, settings_bytes);
        entry->spec(settings, &batch->spec);
        batch->rows = environments * batch->spec.agents;
        batch->states = aligned_zeros((size_t)environments * (size_t)batch->spec.state_bytes);
        batch->sums = calloc((size_t)environments, sizeof(EnvSums));
        batch->pool = pool_create(threads);
    }
    if (!batch->states || !batch->sums || !batch->pool) {
        batch_destroy(batch);
        return NULL;
    }
    pool_run(batch->pool, reset_range, batch, 0, environments);
    return batch;
}

void batch_destroy(Batch *batch) {
    if (batch) {
        pool_destroy(batch->pool);
        free(batch->settings);
        free(batch->states);
        free(batch->sums);
        env_free_config(batch->config);
        free(batch);
    }
}

void *batch_state(const Batch *batch, int64_t environment) {
    return batch->states + (size_t)environment * (size_t)batch->spec.state_bytes;
}

/* One job of the pool. */
typedef struct Job {
    EnvRange range;
    void (*do_range)(const EnvRange *range, int64_t first, int64_t last);
} Job;

static void play_range(void *context, int64_t first, int64_t last) {
    const Job *job = context;
    job->do_range(&job->range, first, last);
}

static void play(Batch *batch, void (*do_range)(const EnvRange *, int64_t, int64_t), int64_t slot, int64_t first,
                 int64_t count) {
    Job job = {{batch->config, batch->states, batch->sums, &batch->buffers, &batch->spec, batch->rows, slot}, do_range};
    pool_run(batch->pool, play_range, &job, first, count);
}

void batch_reset(Batch *batch, uint64_t episode_seed) {
    batch->episode_seed = episode_seed;
    pool_run(batch->pool, reset_range, batch, 0, batch->environments);
    batch_observe(batch, 0);
}

void batch_step(Batch *batch, int64_t slot, int64_t first, int64_t count) {
    play(batch, batch->entry->step_range, slot, first, count);
}

void batch_observe(Batch *batch, int64_t slot) {
    play(batch, batch->entry->observe_range, slot, 0, batch->environments);
}

BatchStatistics batch_statistics(Batch *batch, int64_t first, int64_t count) {
    BatchStatistics all = {0, 0.0, 0.0, 0.0};
    for (int64_t i = first; i < first + count; i++) {
        all.episodes += batch->sums[i].episodes;
        all.score += batch->sums[i].score;
        all.total_reward += batch->sums[i].total_reward;
        all.steps += batch->sums[i].steps;
    }
    memset(batch->sums + first, 0, (size_t)count * sizeof(EnvSums));
    return all;
}

static size_t sums_bytes(const Batch *batch) { return (size_t)batch->environments * sizeof(EnvSums); }
static size_t states_bytes(const Batch *batch) {
    return (size_t)batch->environments * (size_t)batch->spec.state_bytes;
}

size_t batch_saved_bytes(const Batch *batch) { return sizeof(SaveHeader) + sums_bytes(batch) + states_bytes(batch); }

/* The checksum of a header, whose own field counts as 0, and the bytes that follow it. */
static uint64_t checksum(SaveHeader header, const unsigned char *payload, size_t bytes) {
    header.checksum = 0;
    return hash_bytes(hash_bytes(HASH_START, &header, sizeof(header)), payload, bytes);
}

void batch_save(const Batch *batch, unsigned char *bytes) {
    unsigned char *payload = bytes + sizeof(SaveHeader);
    SaveHeader header;
    memset(&header, 0, sizeof(header));
    header.magic = save_magic;
    header.version = SAVE_VERSION;
    header.state_bytes = (uint32_t)batch->spec.state_bytes;
    snprintf(header.environment, SAVE_NAME, "%s", batch->entry->name);
    header.settings_hash = settings_hash(batch);
    header.seed = batch->seed;
    header.environments = (uint64_t)batch->environments;
    memcpy(payload, batch->sums, sums_bytes(batch));
    memcpy(payload + sums_bytes(batch), batch->states, states_bytes(batch));
    header.checksum = checksum(header, payload, sums_bytes(batch) + states_bytes(batch));
    memcpy(bytes, &header, sizeof(header));
}

/* 0 and a line of text unless the bytes after the header are whole and of this batch. */
static int check_saved(const Batch *batch, const SaveHeader *header, const unsigned char *payload, size_t length,
                       char *text, size_t size) {
    if (header->magic != save_magic) {
        snprintf(text, size, "the bytes are not a saved batch of this machine's byte order");
    } else if (header->version != SAVE_VERSION) {
        snprintf(text, size, "the saved batch has format %" PRIu32 "; this version reads %u", header->version, SAVE_VERSION);
    } else if (header->checksum != checksum(*header, payload, length - sizeof(*header))) {
        snprintf(text, size, "the %zu bytes of the saved batch are damaged: their checksum does not match", length);
    } else if (strncmp(header->environment, batch->entry->name, SAVE_NAME) != 0) {
        snprintf(text, size, "the saved batch is of environment %.*s, this one of %s", SAVE_NAME - 1, header->environment,
                 batch->entry->name);
    } else if (header->settings_hash != settings_hash(batch)) {
        snprintf(text, size, "the saved batch has other settings than this one");
    } else if (header->seed != batch->seed) {
        snprintf(text, size, "the saved batch has seed %" PRIu64 ", this one %" PRIu64, header->seed, batch->seed);
    } else if (header->environments != (uint64_t)batch->environments) {
        snprintf(text, size, "the saved batch has %" PRIu64 " environments, this one %" PRId64, header->environments,
                 batch->environments);
    } else if (header->state_bytes != (uint32_t)batch->spec.state_bytes || length != batch_saved_bytes(batch)) {
        snprintf(text, size, "the saved batch has %zu bytes; %zu are expected", length, batch_saved_bytes(batch));
    } else {
        return 1;
    }
    return 0;
}

int64_t batch_assign(Batch *batch, const unsigned char *sums, const unsigned char *states) {
    /* Aligned, as valid needs them. */
    char *copies = aligned_zeros(states_bytes(batch));
    if (!copies) {
        return BATCH_NO_MEMORY;
    }
    memcpy(copies, states, states_bytes(batch));
    for (int64_t i = 0; i < batch->environments; i++) {
        if (!batch->entry->valid(batch->config, copies + (size_t)i * (size_t)batch->spec.state_bytes)) {
            free(copies);
            return i;
        }
    }
    memcpy(batch->sums, sums, sums_bytes(batch));
    free(batch->states);
    batch->states = copies;
    return BATCH_ASSIGNED;
}

int batch_load(Batch *batch, const unsigned char *bytes, size_t length, char *text, size_t size) {
    const unsigned char *payload = bytes + sizeof(SaveHeader);
    SaveHeader header;
    if (length < sizeof(header)) {
        snprintf(text, size, "%zu bytes are too few for a saved batch", length);
        return 0;
    }
    memcpy(&header, bytes, sizeof(header));
    if (!check_saved(batch, &header, payload, length, text, size)) {
        return 0;
    }
    const int64_t impossible = batch_assign(batch, payload, payload + sums_bytes(batch));
    if (impossible == BATCH_NO_MEMORY) {
        snprintf(text, size, "no memory for %zu bytes of states", states_bytes(batch));
    } else if (impossible != BATCH_ASSIGNED) {
        snprintf(text, size, "the saved state of environment %" PRId64 " is impossible", impossible);
    }
    return impossible == BATCH_ASSIGNED;
}

int batch_set_state(Batch *batch, int64_t environment, const unsigned char *bytes) {
    void *copy = aligned_zeros((size_t)batch->spec.state_bytes);
    if (!copy) {
        return 0;
    }
    memcpy(copy, bytes, (size_t)batch->spec.state_bytes);
    const int valid = batch->entry->valid(batch->config, copy);
    if (valid) {
        memcpy(batch_state(batch, environment), copy, (size_t)batch->spec.state_bytes);
    }
    free(copy);
    return valid;
}
