/* The kernel of engine/kernels/loss.h for the driver of host_driver.h. */
namespace {
const HostKernel host_kernels[] = {
    {"ppo_loss", [](void **given) { ppo_loss(host_argument<PpoLoss>(given, 0)); }},
};
}  // namespace
