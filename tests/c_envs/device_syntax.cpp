// The environments as a CUDA device compiler reads them: C++, no standard headers, device functions only.
#define __CUDACC__
#define __CUDACC_RTC__
#define __device__
#define __forceinline__ inline

#include "breakout.h"
#include "maze.h"

template <class Config, class State>
struct Kernel {
    const Config *config;
    State *state;
};

static int step_both(Kernel<BreakoutConfig, BreakoutState> b, Kernel<MazeConfig, MazeState> m, const EnvAction *action,
                     float *reward, uint8_t *mask, float *observation) {
    breakout_reset(b.config, b.state, 1);
    maze_reset(m.config, m.state, 1);
    int ends = breakout_step(b.config, b.state, action, reward, mask) + maze_step(m.config, m.state, action, reward, mask);
    breakout_observe(b.config, b.state, observation);
    maze_observe(m.config, m.state, observation);
    return ends + (int)breakout_score(b.config, b.state) + (int)maze_score(m.config, m.state);
}

int use(Kernel<BreakoutConfig, BreakoutState> b, Kernel<MazeConfig, MazeState> m, const EnvAction *action, float *reward,
        uint8_t *mask, float *observation) {
    return step_both(b, m, action, reward, mask, observation);
}
