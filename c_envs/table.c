#include "table.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bandit.h"
#include "breakout.h"
#include "maze.h"
#include "memory.h"
#include "multiagent.h"
#include "password.h"
#include "spaces.h"
#include "squared.h"
#include "stochastic.h"

#define ENV breakout
#define ENV_CONFIG BreakoutConfig
#define ENV_STATE BreakoutState
#define ENV_SUMMARY BREAKOUT_SUMMARY
#include "adapter.h"

#define ENV maze
#define ENV_CONFIG MazeConfig
#define ENV_STATE MazeState
#define ENV_SUMMARY MAZE_SUMMARY
#include "adapter.h"

#define ENV bandit
#define ENV_CONFIG BanditConfig
#define ENV_STATE BanditState
#define ENV_SUMMARY BANDIT_SUMMARY
#include "adapter.h"

#define ENV memory
#define ENV_CONFIG MemoryConfig
#define ENV_STATE MemoryState
#define ENV_SUMMARY MEMORY_SUMMARY
#include "adapter.h"

#define ENV password
#define ENV_CONFIG PasswordConfig
#define ENV_STATE PasswordState
#define ENV_SUMMARY PASSWORD_SUMMARY
#include "adapter.h"

#define ENV stochastic
#define ENV_CONFIG StochasticConfig
#define ENV_STATE StochasticState
#define ENV_SUMMARY STOCHASTIC_SUMMARY
#include "adapter.h"

#define ENV squared
#define ENV_CONFIG SquaredConfig
#define ENV_STATE SquaredState
#define ENV_SUMMARY SQUARED_SUMMARY
#include "adapter.h"

#define ENV spaces
#define ENV_CONFIG SpacesConfig
#define ENV_STATE SpacesState
#define ENV_SUMMARY SPACES_SUMMARY
#include "adapter.h"

#define ENV multiagent
#define ENV_CONFIG MultiagentConfig
#define ENV_STATE MultiagentState
#define ENV_SUMMARY MULTIAGENT_SUMMARY
#include "adapter.h"

const EnvEntry *const env_table[] = {
    &breakout_entry,   &maze_entry,    &bandit_entry, &memory_entry,     &password_entry,
    &stochastic_entry, &squared_entry, &spaces_entry, &multiagent_entry,
};
const int env_table_count = (int)(sizeof(env_table) / sizeof(env_table[0]));

const EnvEntry *env_find(const char *name) {
    for (int i = 0; i < env_table_count; i++) {
        if (strcmp(env_table[i]->name, name) == 0) {
            return env_table[i];
        }
    }
    return NULL;
}

int env_check(const EnvEntry *entry, const double *settings, char *text, size_t size) {
    for (int32_t i = 0; i < entry->setting_count; i++) {
        const EnvSetting *setting = &entry->settings[i];
        const double value = settings[i];
        /* Written so that nan fails, too. */
        if (!(value >= setting->low && value <= setting->high)) {
            snprintf(text, size, "%s is %g; it must be from %g to %g", setting->name, value, setting->low, setting->high);
            return 0;
        }
        if (setting->kind != SETTING_FLOAT && value != floor(value)) {
            snprintf(text, size, "%s is %g; it must be a whole number", setting->name, value);
            return 0;
        }
    }
    return entry->check(settings, text, size);
}
