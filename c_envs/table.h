/* The table of environments: one row each, through which everything that is not an environment's own speaks to it. */
#ifndef C_ENVS_TABLE_H
#define C_ENVS_TABLE_H

#include "cells.h"
#include "env.h"
#include "settings.h"

/* Where a batch reads actions and writes what happens. T slots, N rows (one an agent), D floats an observation. */
typedef struct EnvBuffers {
    float *observations;       /* [T+1, N, D] */
    const EnvAction *actions;  /* [T, N] */
    float *rewards;            /* [T, N] */
    uint8_t *terminals;        /* [T, N] */
    uint8_t *truncations;      /* [T, N] */
    uint8_t *masks;            /* [T, N] */
    float *final_observations; /* [N, D] */
} EnvBuffers;

/* A run of environments first .. last-1 of a batch and the slot they play. */
typedef struct EnvRange {
    const void *config;
    void *states; /* all of the batch, one after the other */
    EnvSums *sums;
    const EnvBuffers *buffers;
    const EnvSpec *spec;
    int64_t rows; /* N */
    int64_t slot;
} EnvRange;

typedef struct EnvEntry {
    const char *name;
    const char *summary;
    const EnvSetting *settings;
    int32_t setting_count;
    int (*check)(const double *settings, char *text, size_t size);
    size_t (*config_bytes)(const double *settings);
    void (*build)(void *config, const double *settings, uint64_t seed);
    void (*spec)(const double *settings, EnvSpec *spec);
    void (*bounds)(const double *settings, float *low, float *high);
    void (*reset)(const void *config, void *state, uint64_t seed);
    int (*valid)(const void *config, const void *state);
    void (*observe_range)(const EnvRange *range, int64_t first, int64_t last); /* into observations[slot] */
    void (*step_range)(const EnvRange *range, int64_t first, int64_t last);    /* from actions[slot] */
    void (*render_size)(const void *config, int32_t scale, int32_t *rows, int32_t *columns);
    void (*render)(const void *config, const void *state, int32_t scale, EnvCell *cells);
    void (*caption)(const void *config, const void *state, char *text, size_t size);
} EnvEntry;

extern const EnvEntry *const env_table[];
extern const int env_table_count;

/* The environment of that name, or NULL. */
const EnvEntry *env_find(const char *name);

/* Writes one line into text and returns 0 unless every value lies in its setting's range and all go together. */
int env_check(const EnvEntry *entry, const double *settings, char *text, size_t size);

#endif
