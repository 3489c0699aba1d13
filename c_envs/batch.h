/* Many environments of one kind, played together into the caller's buffers. Knows nothing of Python. */
#ifndef C_ENVS_BATCH_H
#define C_ENVS_BATCH_H

#include "pool.h"
#include "table.h"

typedef struct Batch {
    const EnvEntry *entry;
    double *settings;     /* entry->setting_count of them */
    uint64_t seed;         /* of the levels */
    uint64_t episode_seed; /* of the episodes; the same unless a reset named another */
    int64_t environments;
    int64_t slots;        /* T */
    int64_t rows;         /* N = environments * agents */
    EnvSpec spec;
    void *config;         /* shared by all environments, read only */
    size_t config_bytes;
    char *states;
    EnvSums *sums;
    EnvBuffers buffers;
    Pool *pool;
} Batch;

/* Sums over all environments, taken in their order so that the number of threads never shows. */
typedef EnvSums BatchStatistics;

/* The constants of an environment for checked settings and a seed: a block of plain bytes without pointers; NULL without
 * memory. Free it with env_free_config. */
void *env_make_config(const EnvEntry *entry, const double *settings, uint64_t seed, size_t *bytes);
void env_free_config(void *config);

/* A batch whose environments stand at the first episode of their seeds; NULL when memory or threads run out. The settings
 * must have passed env_check. */
Batch *batch_create(const EnvEntry *entry, const double *settings, int64_t environments, int64_t slots, uint64_t seed,
                    int threads);
void batch_destroy(Batch *batch);

/* Every environment to the first episode that episode_seed gives it, statistics cleared, observations[0] written. */
void batch_reset(Batch *batch, uint64_t episode_seed);

/* Environments first .. first+count-1 play slot t: actions[t] in; rewards, terminals, truncations, masks[t] and
 * observations[t+1] out. One whose episode ends begins the next at once. */
void batch_step(Batch *batch, int64_t slot, int64_t first, int64_t count);

/* Writes observations[slot] of all environments. */
void batch_observe(Batch *batch, int64_t slot);

/* The sums of environments first .. first+count-1 since the last call for them, which clears them. */
BatchStatistics batch_statistics(Batch *batch, int64_t first, int64_t count);

/* Bytes of batch_save. */
size_t batch_saved_bytes(const Batch *batch);

/* All that changes in a batch (states, statistics), with a header and a checksum. */
void batch_save(const Batch *batch, unsigned char *bytes);

/* Takes what batch_save wrote, or changes nothing, writes one line into text and returns 0. */
int batch_load(Batch *batch, const unsigned char *bytes, size_t length, char *text, size_t size);

/* Takes the states and sums of all environments, one after another as batch_save has them, or changes nothing and returns
 * the number of the first environment whose state is impossible. */
enum { BATCH_ASSIGNED = -1, BATCH_NO_MEMORY = -2 };
int64_t batch_assign(Batch *batch, const unsigned char *sums, const unsigned char *states);

void *batch_state(const Batch *batch, int64_t environment);

/* Replaces the state of one environment; 0 when the bytes are no state of it. bytes must be spec.state_bytes long. */
int batch_set_state(Batch *batch, int64_t environment, const unsigned char *bytes);

#endif
