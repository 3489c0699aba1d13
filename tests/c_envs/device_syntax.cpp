// The environments as a CUDA device compiler reads them: C++, no standard headers, device functions only.
#define __CUDACC__
#define __CUDACC_RTC__
#define __device__
#define __forceinline__ inline

#include "bandit.h"
#include "breakout.h"
#include "maze.h"
#include "memory.h"
#include "multiagent.h"
#include "password.h"
#include "spaces.h"
#include "squared.h"
#include "stochastic.h"

template <class Config, class State>
struct Kernel {
    const Config *config;
    State *state;
};

#define PLAY(env, Env)                                                                                             \
    int play_##env(Kernel<Env##Config, Env##State> kernel, const EnvAction *actions, float *rewards, uint8_t *masks, \
                   float *observations) {                                                                           \
        env##_reset(kernel.config, kernel.state, 1);                                                                \
        const int end = env##_step(kernel.config, kernel.state, actions, rewards, masks);                           \
        env##_observe(kernel.config, kernel.state, observations);                                                   \
        return end + (int)env##_score(kernel.config, kernel.state);                                                 \
    }

PLAY(bandit, Bandit)
PLAY(breakout, Breakout)
PLAY(maze, Maze)
PLAY(memory, Memory)
PLAY(multiagent, Multiagent)
PLAY(password, Password)
PLAY(spaces, Spaces)
PLAY(squared, Squared)
PLAY(stochastic, Stochastic)
