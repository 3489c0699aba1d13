/* The kernels of engine/kernels/recurrence.h for the driver of host_driver.h, and its rounding for itself. */
namespace {
#define HOST_KERNEL(work, Arguments)                                                                                \
    {#work "_float32", [](void **given) { work##_float32(host_argument<Arguments<float>>(given, 0)); }},            \
    {                                                                                                               \
        #work "_bfloat16", [](void **given) { work##_bfloat16(host_argument<Arguments<Bfloat16>>(given, 0)); }      \
    }

const HostKernel host_kernels[] = {
    HOST_KERNEL(lstm_forward, LstmForward),
    HOST_KERNEL(lstm_backward, LstmBackward),
    HOST_KERNEL(mingru_forward, MinGruForward),
    HOST_KERNEL(mingru_backward, MinGruBackward),
};
}  // namespace

extern "C" uint16_t host_rounded(float value) {
    Bfloat16 rounded;
    put(&rounded, value);
    return rounded.bits;
}

extern "C" float host_widened(uint16_t bits) {
    const Bfloat16 narrow = {bits};
    return get(&narrow);
}
