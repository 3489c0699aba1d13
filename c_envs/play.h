/* One environment's part of a batch's step, the same on the host and on a device. Included once an environment, with ENV,
 * ENV_CONFIG and ENV_STATE defined: makes `<env>_play`.
 *
 * The pointers are to the environment's own rows, `agents` of each. Where the episode ends, the next one begins at once:
 * `observations` is then its first, and `final_observations` the old one's last where a time limit cut it.
 */
ENV_FN void ENV_OWN(play)(const ENV_CONFIG *config, ENV_STATE *state, EnvSums *sums, int64_t agents,
                          const EnvAction *actions, float *rewards, uint8_t *terminals, uint8_t *truncations,
                          uint8_t *masks, float *observations, float *final_observations) {
    const int32_t end = ENV_OWN(step)(config, state, actions, rewards, masks);
    for (int64_t a = 0; a < agents; a++) {
        const uint8_t died = masks[a] >> 1; /* see ENV_DIED */
        terminals[a] = end == ENV_TERMINAL || died;
        truncations[a] = end == ENV_TRUNCATED && !died;
        masks[a] &= ENV_ACTED;
    }
    if (end != ENV_RUNNING) {
        sums->episodes += 1;
        sums->score += (double)ENV_OWN(score)(config, state);
        sums->total_reward += (double)state->episode.total_reward;
        sums->steps += (double)state->episode.steps;
        if (end == ENV_TRUNCATED) {
            ENV_OWN(observe)(config, state, final_observations);
        }
        ENV_OWN(begin)(config, state);
    }
    ENV_OWN(observe)(config, state, observations);
}
