/* The kernels of engine/kernels/policy_step.h for the driver of host_driver.h. */
namespace {
const HostKernel host_kernels[] = {
    {"policy_step", [](void **given) { policy_step(host_argument<PolicyStep>(given, 0)); }, host_play, POLICY_THREADS,
     Memory::BYTES},
    {"pack_weights", [](void **given) { pack_weights(host_argument<PackWeights>(given, 0)); }, host_play, POLICY_THREADS, 0},
};
}  // namespace
