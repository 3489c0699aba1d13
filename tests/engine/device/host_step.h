/* The kernels of engine/kernels/step.h for the driver of host_driver.h. */
namespace {
#define HOST_KERNEL(name, Arguments) {#name, [](void **given) { name(host_argument<Arguments>(given, 0)); }}

const HostKernel host_kernels[] = {
    HOST_KERNEL(measure_gradients, Measure),  HOST_KERNEL(judge_minibatch, Judge), HOST_KERNEL(advance_parameters, Advance),
    HOST_KERNEL(gram_matrices, Gram),         HOST_KERNEL(multiply_matrices, Product),
    HOST_KERNEL(apply_updates, Apply),
};
}  // namespace
