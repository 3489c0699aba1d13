/* Put before a program for a device, such as that of c_envs/device.h: a C++ compiler of the host then makes functions of
 * its kernels, each of which plays the threads of a block in a loop. The run-time compiler's macros are set, so that it
 * reads the text that the device's compiler reads. */
#define __CUDACC__
#define __CUDACC_RTC__
#define __device__
#define __global__
#define __shared__ static
#define __forceinline__ inline
#define __launch_bounds__(threads)

#define EACH_THREAD(thread) for (int thread = 0; thread < DEVICE_THREADS; thread++)
#define BARRIER()
#define EACH_OWN DEVICE_THREADS
#define OWN(thread) thread
#define ATOMIC_ADD(place, number) (*(place) += (number))

struct HostBlock {
    unsigned x;
};
extern "C" {
HostBlock host_block;
/* A device's compiler knows these without a header. */
double pow(double, double);
float expf(float);
float fabsf(float);
float logf(float);
float sqrtf(float);
float tanhf(float);
}
#define blockIdx host_block

/* A kernel by its name, for the driver of host_driver.h. One whose threads work together also has who plays a block of it,
 * and with how many threads and bytes of the block's memory (host_block.h). */
struct HostKernel {
    const char *name;
    void (*run)(void **arguments);
    void (*play)(void (*run)(void **arguments), void **arguments, unsigned threads, unsigned shared_bytes) = nullptr;
    unsigned threads = 0, shared_bytes = 0;
};

template <class Value>
const Value &host_argument(void **arguments, int index) {
    return *static_cast<const Value *>(arguments[index]);
}
