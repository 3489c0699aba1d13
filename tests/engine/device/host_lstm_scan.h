/* The kernels of engine/kernels/lstm_scan.h for the driver of host_driver.h. */
namespace {
#define HOST_KERNEL(work, Arguments, Memory)                                                               \
    {                                                                                                      \
        #work, [](void **given) { work(host_argument<Arguments<SCAN_REAL>>(given, 0)); }, host_play,       \
            SCAN_THREADS, Memory<SCAN_REAL>::BYTES                                                         \
    }

const HostKernel host_kernels[] = {
    HOST_KERNEL(lstm_scan_forward, LstmScanForward, ForwardMemory),
    HOST_KERNEL(lstm_scan_backward, LstmScanBackward, BackwardMemory),
};
}  // namespace

extern "C" int host_column(int n, int width) { return column(n, width); }
