/* The kernels of engine/kernels/experience.h for the driver of host_driver.h. */
namespace {
const HostKernel host_kernels[] = {
    {"heads", [](void **given) { heads(host_argument<Heads>(given, 0)); }},
    {"choose_actions", [](void **given) { choose_actions(host_argument<ChooseActions>(given, 0)); }},
    {"end_step", [](void **given) { end_step(host_argument<EndStep>(given, 0)); }},
    {"advantages", [](void **given) { advantages(host_argument<Advantages>(given, 0)); }},
};
}  // namespace
