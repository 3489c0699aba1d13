/* The kernels of c_envs/device.h for the driver of host_driver.h. */
namespace {
const HostKernel host_kernels[] = {
    {"device_reset",
     [](void **given) { device_reset(host_argument<DeviceLayout>(given, 0), host_argument<uint64_t>(given, 1)); }},
    {"device_observe",
     [](void **given) { device_observe(host_argument<DeviceLayout>(given, 0), host_argument<int64_t>(given, 1)); }},
    {"device_step",
     [](void **given) {
         device_step(host_argument<DeviceLayout>(given, 0), host_argument<int64_t>(given, 1),
                     host_argument<int64_t>(given, 2), host_argument<int64_t>(given, 3));
     }},
};
}  // namespace
