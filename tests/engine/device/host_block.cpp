/* The threads of a block on a host, and what they do together.
 *
 * A thread is a context of its own that runs until it has to wait, for its warp at a product or for its block at a barrier.
 * A warp runs as far as it can before the next one does, so that a barrier that is missing shows: then a warp reads what
 * another one has not written yet, or overwrites what another one has still to read.
 */
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include <ucontext.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#define LEAVE(kept, stack) __sanitizer_start_switch_fiber(kept, (stack).data(), (stack).size())
#define ARRIVE(kept) __sanitizer_finish_switch_fiber(kept, nullptr, nullptr)
#define LEAVE_TO_HOST(kept) __sanitizer_start_switch_fiber(kept, host_stack, host_stack_bytes)
#define ARRIVE_FROM_HOST(kept) __sanitizer_finish_switch_fiber(kept, &host_stack, &host_stack_bytes)
#else
#define LEAVE(kept, stack) (void)(kept)
#define ARRIVE(kept) (void)(kept)
#define LEAVE_TO_HOST(kept) (void)(kept)
#define ARRIVE_FROM_HOST(kept) (void)(kept)
#endif

struct HostThread {
    unsigned x;
};

extern "C" {
HostThread host_thread;
int host_last_warp_first;
}

namespace {
constexpr unsigned LANES = 32;
constexpr size_t STACK = 1 << 17;

[[maybe_unused]] const void *host_stack;
[[maybe_unused]] size_t host_stack_bytes;

enum class Waits { NOT, FOR_WARP, FOR_BLOCK, DONE };

/* What a lane brings to a product. */
struct Brought {
    const char *shape;
    float *sums;
    uint32_t a[4], b[2];
};

struct Thread {
    ucontext_t context;
    std::vector<char> stack = std::vector<char>(STACK);
    void *kept = nullptr;
    Waits waits = Waits::NOT;
    Brought brought;
};

struct Block {
    std::vector<std::unique_ptr<Thread>> threads;
    std::unique_ptr<unsigned char[]> shared;
    ucontext_t host;
    void *kept = nullptr;
    void (*run)(void **);
    void **arguments;
};

Block *block;

Thread &current() { return *block->threads[host_thread.x]; }

/* Back to whoever let this thread run. */
void wait(Waits what) {
    Thread &me = current();
    me.waits = what;
    LEAVE_TO_HOST(what == Waits::DONE ? nullptr : &me.kept);
    swapcontext(&me.context, &block->host);
    ARRIVE_FROM_HOST(me.kept);
}

void begin() {
    ARRIVE_FROM_HOST(nullptr);
    block->run(block->arguments);
    wait(Waits::DONE);
}

void prepare(Thread &thread) {
    getcontext(&thread.context);
    thread.context.uc_stack.ss_sp = thread.stack.data();
    thread.context.uc_stack.ss_size = thread.stack.size();
    thread.context.uc_link = nullptr;
    makecontext(&thread.context, begin, 0);
}

void resume(unsigned index) {
    Thread &thread = *block->threads[index];
    host_thread.x = index;
    thread.waits = Waits::NOT;
    LEAVE(&block->kept, thread.stack);
    swapcontext(&block->host, &thread.context);
    ARRIVE(block->kept);
}

float number(uint32_t word) {
    float value;
    memcpy(&value, &word, sizeof value);
    return value;
}

/* Number `part` of a word of a product; with TF32 the lower bits of a mantissa are not looked at. */
float element(uint32_t word, bool narrow, unsigned part) {
    return number(!narrow ? word & ~0x1fffu : part ? word & 0xffff0000u : word << 16);
}

/* A warp's product, by the tables of the PTX ISA. */
void multiply(unsigned warp) {
    const char *const shape = block->threads[warp * LANES]->brought.shape;
    const bool narrow = strstr(shape, "bf16") != nullptr;
    const unsigned size = narrow ? 2 : 1;
    float a[16][16] = {}, b[16][8] = {};
    for (unsigned lane = 0; lane < LANES; lane++) {
        const Brought &brought = block->threads[warp * LANES + lane]->brought;
        if (brought.shape != shape) {
            fprintf(stderr, "lanes of one warp are at different products\n");
            abort();
        }
        const unsigned group = lane / 4, place = lane % 4;
        for (unsigned part = 0; part < size; part++) {
            for (unsigned word = 0; word < 4; word++) {
                const unsigned row = group + 8 * (word % 2), k = (place + 4 * (word / 2)) * size + part;
                a[row][k] = element(brought.a[word], narrow, part);
            }
            for (unsigned word = 0; word < 2; word++) {
                b[(place + 4 * word) * size + part][group] = element(brought.b[word], narrow, part);
            }
        }
    }
    for (unsigned lane = 0; lane < LANES; lane++) {
        float *const sums = block->threads[warp * LANES + lane]->brought.sums;
        for (unsigned each = 0; each < 4; each++) {
            const unsigned row = lane / 4 + 8 * (each / 2), column = lane % 4 * 2 + each % 2;
            for (unsigned k = 0; k < 8 * size; k++) {
                sums[each] += a[row][k] * b[k][column];
            }
        }
    }
}

/* Lets a warp run until all of its threads wait for the block, or are done. */
void run_warp(unsigned warp) {
    for (;;) {
        unsigned for_warp = 0;
        for (unsigned lane = 0; lane < LANES; lane++) {
            const unsigned index = warp * LANES + lane;
            if (block->threads[index]->waits == Waits::NOT) {
                resume(index);
            }
            for_warp += block->threads[index]->waits == Waits::FOR_WARP;
        }
        if (for_warp == 0) {
            return;
        }
        if (for_warp < LANES) {
            fprintf(stderr, "%u lanes of a warp came to a product\n", for_warp);
            abort();
        }
        multiply(warp);
        for (unsigned lane = 0; lane < LANES; lane++) {
            block->threads[warp * LANES + lane]->waits = Waits::NOT;
        }
    }
}
}  // namespace

extern "C" {
void host_barrier() { wait(Waits::FOR_BLOCK); }

unsigned char *host_shared() { return block->shared.get(); }

void host_multiply(const char *shape, float *sums, const unsigned *a, unsigned low, unsigned high) {
    current().brought = {shape, sums, {a[0], a[1], a[2], a[3]}, {low, high}};
    wait(Waits::FOR_WARP);
}

/* To the nearest of 10 bits of mantissa, of two equally near ones to the larger. A number that is none stays none. */
unsigned host_tf32(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return value != value ? 0x7fffffffu : (bits + 0x1000u) & ~0x1fffu;
}

void host_play(void (*run)(void **arguments), void **arguments, unsigned threads, unsigned shared_bytes) {
    Block here;
    block = &here;
    here.run = run;
    here.arguments = arguments;
    here.shared = std::unique_ptr<unsigned char[]>(new unsigned char[shared_bytes]);
    memset(here.shared.get(), 0xff, shared_bytes); /* as float or Bfloat16: no number */
    for (unsigned index = 0; index < threads; index++) {
        here.threads.push_back(std::make_unique<Thread>());
        prepare(*here.threads.back());
    }
    const unsigned warps = threads / LANES;
    for (unsigned done = 0; done < threads;) {
        for (unsigned turn = 0; turn < warps; turn++) {
            run_warp(host_last_warp_first ? warps - 1 - turn : turn);
        }
        done = 0;
        for (auto &thread : here.threads) {
            done += thread->waits == Waits::DONE;
        }
        if (done > 0 && done < threads) {
            fprintf(stderr, "%u threads came to a barrier\n", threads - done);
            abort();
        }
        for (auto &thread : here.threads) {
            if (thread->waits == Waits::FOR_BLOCK) {
                thread->waits = Waits::NOT;
            }
        }
    }
    block = nullptr;
}
}
