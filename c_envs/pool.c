/* Each thread owns an equal share of the items, so that an environment stays in one core's cache from step to step, and takes
 * it in pieces; who is done early takes pieces of the others' shares. The caller waits for pieces, not for threads: a thread
 * that wakes up too late finds nothing left to do and delays nobody, so a busy core costs no more than its share of work.
 *
 * Waking a thread takes from 5 us on a machine of one's own to 200 us in a virtual one, where a short job is done sooner by
 * the caller alone. So the pool times both ways and takes the faster; what is computed never depends on it.
 */
#include "pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#define CACHE_LINE 64
#define SPINS 2000         /* looks at a flag before sleeping: some 20 us, less than a sleep and a wake-up cost */
#define PIECES_A_SHARE 4   /* pieces of a share: more balance better, fewer cost less */
#define RETRY 32           /* each so many jobs the way that was slower is tried again */

#if defined(__x86_64__) || defined(__i386__)
#define relax() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define relax() __asm__ __volatile__("yield")
#else
#define relax() ((void)0)
#endif

/* What is left of a share: the round in the upper half, the next piece in the lower. A claim on it can only succeed while
 * that piece is undone, hence while its round lasts and the job's description stands. */
typedef struct Share {
    _Alignas(CACHE_LINE) atomic_ullong next;
} Share;

typedef struct Worker {
    Pool *pool;
    pthread_t thread;
    int index; /* of its share; the caller's is 0 */
} Worker;

struct Pool {
    Share *shares;
    Worker *workers; /* threads - 1 of them */
    int threads;
    int started; /* workers whose thread runs */
    PoolTask task; /* the job: what to do */
    void *context;
    int64_t first;
    int64_t count;
    unsigned jobs;       /* counts all jobs */
    double item_seconds[2]; /* time an item takes when the caller works alone, and when all do; 0: not tried yet */
    _Alignas(CACHE_LINE) atomic_uint round; /* counts the jobs; a new number is the call to work */
    atomic_int stopping;
    _Alignas(CACHE_LINE) atomic_int undone; /* pieces of this round */
    pthread_mutex_t mutex;
    pthread_cond_t called; /* round or stopping changed */
    pthread_cond_t done;   /* undone became 0 */
};

/* The next piece of a share in this round, or -1. */
static int claim(Share *share, unsigned round) {
    unsigned long long next = atomic_load_explicit(&share->next, memory_order_acquire);
    while (next >> 32 == round && (next & 0xFFFFFFFFu) < PIECES_A_SHARE) {
        if (atomic_compare_exchange_weak_explicit(&share->next, &next, next + 1, memory_order_acq_rel,
                                                  memory_order_acquire)) {
            return (int)(next & 0xFFFFFFFFu);
        }
    }
    return -1;
}

/* Does what is left of all shares, its own first. */
static void work(Pool *pool, int index, unsigned round) {
    for (int k = 0; k < pool->threads; k++) {
        const int owner = (index + k) % pool->threads;
        for (int piece; (piece = claim(&pool->shares[owner], round)) >= 0; ) {
            const int64_t pieces = (int64_t)pool->threads * PIECES_A_SHARE;
            const int64_t at = (int64_t)owner * PIECES_A_SHARE + piece;
            const int64_t first = pool->count * at / pieces, last = pool->count * (at + 1) / pieces;
            if (first < last) {
                pool->task(pool->context, pool->first + first, pool->first + last);
            }
            if (atomic_fetch_sub_explicit(&pool->undone, 1, memory_order_acq_rel) == 1 && index != 0) {
                pthread_mutex_lock(&pool->mutex);
                pthread_cond_signal(&pool->done);
                pthread_mutex_unlock(&pool->mutex);
            }
        }
    }
}

/* Waits for a round other than `seen`, with a short spin, then asleep, and returns it. */
static unsigned await_call(Pool *pool, unsigned seen) {
    for (int i = 0; i < SPINS; i++) {
        const unsigned round = atomic_load_explicit(&pool->round, memory_order_acquire);
        if (round != seen) {
            return round;
        }
        relax();
    }
    pthread_mutex_lock(&pool->mutex);
    while (atomic_load_explicit(&pool->round, memory_order_acquire) == seen) {
        pthread_cond_wait(&pool->called, &pool->mutex);
    }
    pthread_mutex_unlock(&pool->mutex);
    return atomic_load_explicit(&pool->round, memory_order_acquire);
}

static void *worker_main(void *argument) {
    Worker *worker = argument;
    Pool *pool = worker->pool;
    unsigned round = 0;
    for (;;) {
        round = await_call(pool, round);
        if (atomic_load_explicit(&pool->stopping, memory_order_acquire)) {
            return NULL;
        }
        work(pool, worker->index, round);
    }
}

static void call_workers(Pool *pool) {
    pthread_mutex_lock(&pool->mutex);
    atomic_fetch_add_explicit(&pool->round, 1, memory_order_release);
    pthread_cond_broadcast(&pool->called);
    pthread_mutex_unlock(&pool->mutex);
}

/* Starts the threads with every signal blocked: signals belong to the program's own threads. 0 when one cannot be had. */
static int start_workers(Pool *pool) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (int i = 1; i < pool->threads; i++) {
        Worker *worker = &pool->workers[i - 1];
        worker->pool = pool;
        worker->index = i;
        if (pthread_create(&worker->thread, NULL, worker_main, worker) != 0) {
            break;
        }
        pool->started += 1;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return pool->started == pool->threads - 1;
}

Pool *pool_create(int threads) {
    Pool *pool = NULL;
    if (threads < 1 || posix_memalign((void **)&pool, CACHE_LINE, sizeof(Pool)) != 0) {
        return NULL;
    }
    pool->threads = threads;
    pool->started = 0;
    pool->shares = NULL;
    pool->workers = calloc((size_t)threads, sizeof(Worker));
    pool->jobs = 0;
    pool->item_seconds[0] = pool->item_seconds[1] = 0.0;
    atomic_init(&pool->round, 0);
    atomic_init(&pool->stopping, 0);
    atomic_init(&pool->undone, 0);
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->called, NULL);
    pthread_cond_init(&pool->done, NULL);
    if (!pool->workers || posix_memalign((void **)&pool->shares, CACHE_LINE, (size_t)threads * sizeof(Share)) != 0) {
        pool->shares = NULL;
        pool_destroy(pool);
        return NULL;
    }
    for (int i = 0; i < threads; i++) {
        atomic_init(&pool->shares[i].next, 0);
    }
    if (!start_workers(pool)) {
        pool_destroy(pool);
        return NULL;
    }
    return pool;
}

/* Waits until no piece is undone: a short spin, then asleep. */
static void await_pieces(Pool *pool) {
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&pool->undone, memory_order_acquire) == 0) {
            return;
        }
        relax();
    }
    pthread_mutex_lock(&pool->mutex);
    while (atomic_load_explicit(&pool->undone, memory_order_acquire) != 0) {
        pthread_cond_wait(&pool->done, &pool->mutex);
    }
    pthread_mutex_unlock(&pool->mutex);
}

static void run_together(Pool *pool, PoolTask task, void *context, int64_t first, int64_t count) {
    const unsigned round = atomic_load_explicit(&pool->round, memory_order_relaxed) + 1u;
    pool->task = task;
    pool->context = context;
    pool->first = first;
    pool->count = count;
    atomic_store_explicit(&pool->undone, pool->threads * PIECES_A_SHARE, memory_order_relaxed);
    for (int i = 0; i < pool->threads; i++) {
        atomic_store_explicit(&pool->shares[i].next, (unsigned long long)round << 32, memory_order_release);
    }
    call_workers(pool);
    work(pool, 0, round);
    await_pieces(pool);
}

static double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* A running mean over about four samples, in which a single long interruption counts four times the usual at most. */
static double better_estimate(double estimate, double sample) {
    if (estimate <= 0.0) {
        return sample;
    }
    return estimate + ((sample < 4.0 * estimate ? sample : 4.0 * estimate) - estimate) / 4.0;
}

void pool_run(Pool *pool, PoolTask task, void *context, int64_t first, int64_t count) {
    if (pool->threads == 1 || count <= 1) {
        task(context, first, first + count);
        return;
    }
    int together = pool->item_seconds[1] <= pool->item_seconds[0];
    pool->jobs += 1;
    if (pool->jobs % RETRY == 0) {
        together = !together;
    }
    const double start = seconds_now();
    if (together) {
        run_together(pool, task, context, first, count);
    } else {
        task(context, first, first + count);
    }
    double *estimate = &pool->item_seconds[together];
    *estimate = better_estimate(*estimate, (seconds_now() - start) / (double)count);
}

void pool_abandon(Pool *pool) {
    if (pool) {
        free(pool->shares);
        free(pool->workers);
        free(pool);
    }
}

void pool_destroy(Pool *pool) {
    if (!pool) {
        return;
    }
    atomic_store_explicit(&pool->stopping, 1, memory_order_release);
    call_workers(pool);
    for (int i = 0; i < pool->started; i++) {
        pthread_join(pool->workers[i].thread, NULL);
    }
    pthread_cond_destroy(&pool->called);
    pthread_cond_destroy(&pool->done);
    pthread_mutex_destroy(&pool->mutex);
    pool_abandon(pool);
}
