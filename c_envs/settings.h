/* The settings a user may give an environment: one table row each, values handed over as doubles. Host only. */
#ifndef C_ENVS_SETTINGS_H
#define C_ENVS_SETTINGS_H

#include "env.h"

enum { SETTING_INT = 0, SETTING_FLOAT = 1, SETTING_BOOL = 2 };

typedef struct EnvSetting {
    const char *name;
    int32_t kind;
    double initial; /* the default */
    double low;     /* smallest and largest allowed value, both allowed */
    double high;
    const char *unit;
    const char *help;
} EnvSetting;

/* What callers need to know to lay out buffers for an environment under one config. */
typedef struct EnvSpec {
    int32_t observation_size; /* floats an agent sees */
    int32_t actions;          /* number of choices; 1 when continuous */
    int32_t continuous;       /* 1: an action is a float in [-1, 1]; 0: an int in 0 .. actions-1 */
    int32_t agents;           /* agents in one environment */
    int32_t state_bytes;
    int32_t render_scales;    /* pictures come in scales 1 .. render_scales */
    int32_t truncation_steps; /* steps of the shortest episode that is truncated; 0: none ever is */
} EnvSpec;

#endif
