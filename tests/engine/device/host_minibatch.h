/* The kernels of engine/kernels/minibatch.h for the driver of host_driver.h. */
namespace {
#define HOST_KERNEL(name, Arguments) {#name, [](void **given) { name(host_argument<Arguments>(given, 0)); }}

const HostKernel host_kernels[] = {
    HOST_KERNEL(priority_metric, Metric), HOST_KERNEL(prioritize, Prioritize),  HOST_KERNEL(draw_segments, DrawSegments), HOST_KERNEL(gather_segments, Gather),
    HOST_KERNEL(measure_advantages, Measurement), HOST_KERNEL(normalize_advantages, Measurement),
    HOST_KERNEL(write_back, WriteBack),   HOST_KERNEL(log_row, LogRow),
};
}  // namespace
