/* Put before a program whose kernels' threads work together, behind host_device.h: host_block.cpp has the threads, which
 * wait for each other, and the instructions of a warp. */
struct HostThread {
    unsigned x;
};

extern "C" {
/* The thread that runs. */
extern HostThread host_thread;
/* In which order the warps of a block run, each as far as it can: the first one first, or the last one. */
extern int host_last_warp_first;

/* A block of the kernel: `run` with these arguments in each of its threads, over memory that has nothing in it. */
void host_play(void (*run)(void **arguments), void **arguments, unsigned threads, unsigned shared_bytes);
void host_barrier();
unsigned char *host_shared();
void host_multiply(const char *shape, float *sums, const unsigned *a, unsigned low, unsigned high);
unsigned host_tf32(float value);
}

#define threadIdx host_thread
#define BLOCK_BARRIER() host_barrier()
#define WARP_BARRIER() /* a product is one */
#define SHARED_MEMORY(name) unsigned char *const name = host_shared()
#define MMA(shape, sums, a, low, high) host_multiply(shape, sums, a.at, low, high)
#define ROUND_TO_TF32(word, value) word = host_tf32(value)
