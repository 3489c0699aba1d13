/* What every kernel of the engine's for a device begins with.
 *
 * A kernel is a row of EACH_THREAD blocks, which on a device run once in each thread; between those whose threads have
 * something for each other there are BARRIERs. A host that defines the macros as loops runs the same text.
 */
#ifndef ENGINE_DEVICE_H
#define ENGINE_DEVICE_H

#if defined(__CUDACC_RTC__)
/* The run-time compiler has no standard headers. */
typedef unsigned char uint8_t;
typedef unsigned short uint16_t;
typedef unsigned int uint32_t;
typedef int int32_t;
typedef long long int64_t;
#endif

#define DEVICE_THREADS 256

#ifndef EACH_THREAD
#define EACH_THREAD(thread) for (int thread = (int)threadIdx.x, once = 1; once; once = 0)
#define BARRIER() __syncthreads()
/* `type name[EACH_OWN]` outside such blocks holds each thread's own from one of them to the next, as name[OWN(thread)]. */
#define EACH_OWN 1
#define OWN(thread) 0
#define ATOMIC_ADD(place, number) atomicAdd(place, number)
#endif

/* For kernels whose threads work together, which are no EACH_THREAD blocks. At a barrier all threads of the block, or of the
 * warp, wait for each other, and what they wrote to memory before, they all see behind it. A block has memory of its own,
 * as many bytes as it is launched with. A host that runs such a kernel defines these, and threads that can wait. */
#ifndef BLOCK_BARRIER
#define BLOCK_BARRIER() __syncthreads()
#define WARP_BARRIER() __syncwarp()
#define SHARED_MEMORY(name) alignas(16) extern __shared__ unsigned char name[]
#endif

#define DEVICE_MEMBER __device__ __forceinline__
#define DEVICE_FN static DEVICE_MEMBER

/* The sum of what every thread has left in `numbers`, or the largest of them (NaN is the largest of all), in numbers[0]. */
[[maybe_unused]] DEVICE_FN void fold(float *numbers, bool largest) {
    BARRIER();
    for (int half = DEVICE_THREADS / 2; half > 0; half /= 2) {
        EACH_THREAD(thread) {
            if (thread < half) {
                const float one = numbers[thread], other = numbers[thread + half];
                numbers[thread] = !largest ? one + other : other > one || other != other ? other : one;
            }
        }
        BARRIER();
    }
}

/* The kernel `name`: `work(arguments, element)` in a thread for each of `count` elements, of which there are fewer than
 * 2^31; `count` may speak of `arguments`. */
#define DEVICE_KERNEL(name, work, Arguments, count)                                                               \
    extern "C" __global__ void __launch_bounds__(DEVICE_THREADS) name(const Arguments arguments) {                \
        EACH_THREAD(thread) {                                                                                     \
            const int64_t element = (int64_t)blockIdx.x * DEVICE_THREADS + thread;                                \
            if (element < (count)) {                                                                              \
                work(arguments, (int)element);                                                                    \
            }                                                                                                     \
        }                                                                                                         \
    }

/* The kernel `name`: `work(arguments, block)` by each block, with EACH_THREAD blocks and BARRIERs inside. */
#define BLOCK_KERNEL(name, work, Arguments)                                                                       \
    extern "C" __global__ void __launch_bounds__(DEVICE_THREADS) name(const Arguments arguments) {                \
        work(arguments, (int64_t)blockIdx.x);                                                                     \
    }

#endif
