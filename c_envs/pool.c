/* Each thread owns an equal share of the items, so that an environment stays in one core's cache from step to step, and takes
 * it in pieces; who is done early takes pieces of the others' shares, so that a core busy elsewhere does not hold all back.
 */
#include "pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#define CACHE_LINE 64
#define SPINS 2000         /* looks at a flag before sleeping: some 20 us, less than a sleep and a wake-up cost */
#define PIECES_A_SHARE 4   /* pieces of a share: more balance better, fewer cost less */

#if defined(__x86_64__) || defined(__i386__)
#define relax() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define relax() __asm__ __volatile__("yield")
#else
#define relax() ((void)0)
#endif

typedef struct Share {
    _Alignas(CACHE_LINE) atomic_llong next; /* first item that nobody has taken */
    int64_t last;
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
    PoolTask task;
    void *context;
    int64_t piece;
    _Alignas(CACHE_LINE) atomic_uint round; /* counts the jobs; a new number is the call to work */
    atomic_int stopping;
    _Alignas(CACHE_LINE) atomic_int busy; /* workers not yet done with this round */
    pthread_mutex_t mutex;
    pthread_cond_t called; /* round or stopping changed */
    pthread_cond_t done;   /* busy became 0 */
};

/* Plays what is left of all shares, its own first. */
static void work(Pool *pool, int index) {
    for (int k = 0; k < pool->threads; k++) {
        Share *share = &pool->shares[(index + k) % pool->threads];
        for (;;) {
            int64_t first = atomic_fetch_add_explicit(&share->next, pool->piece, memory_order_relaxed);
            if (first >= share->last) {
                break;
            }
            int64_t last = first + pool->piece < share->last ? first + pool->piece : share->last;
            pool->task(pool->context, first, last);
        }
    }
}

/* Waits for a round other than `seen`: a short spin, then sleep. 0 when the pool ends. */
static int await_call(Pool *pool, unsigned seen) {
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&pool->round, memory_order_acquire) != seen) {
            return !atomic_load_explicit(&pool->stopping, memory_order_acquire);
        }
        relax();
    }
    pthread_mutex_lock(&pool->mutex);
    while (atomic_load_explicit(&pool->round, memory_order_acquire) == seen) {
        pthread_cond_wait(&pool->called, &pool->mutex);
    }
    pthread_mutex_unlock(&pool->mutex);
    return !atomic_load_explicit(&pool->stopping, memory_order_acquire);
}

static void *worker_main(void *argument) {
    Worker *worker = argument;
    Pool *pool = worker->pool;
    for (unsigned seen = 0; await_call(pool, seen); ) {
        seen += 1;
        work(pool, worker->index);
        if (atomic_fetch_sub_explicit(&pool->busy, 1, memory_order_acq_rel) == 1) {
            pthread_mutex_lock(&pool->mutex);
            pthread_cond_signal(&pool->done);
            pthread_mutex_unlock(&pool->mutex);
        }
    }
    return NULL;
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
    atomic_init(&pool->round, 0);
    atomic_init(&pool->stopping, 0);
    atomic_init(&pool->busy, 0);
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->called, NULL);
    pthread_cond_init(&pool->done, NULL);
    if (!pool->workers || posix_memalign((void **)&pool->shares, CACHE_LINE, (size_t)threads * sizeof(Share)) != 0) {
        pool->shares = NULL;
        pool_destroy(pool);
        return NULL;
    }
    if (!start_workers(pool)) {
        pool_destroy(pool);
        return NULL;
    }
    return pool;
}

void pool_run(Pool *pool, PoolTask task, void *context, int64_t first, int64_t count) {
    if (pool->threads == 1 || count <= 1) {
        task(context, first, first + count);
        return;
    }
    pool->task = task;
    pool->context = context;
    pool->piece = count / ((int64_t)pool->threads * PIECES_A_SHARE) + 1;
    for (int i = 0; i < pool->threads; i++) {
        atomic_store_explicit(&pool->shares[i].next, first + count * i / pool->threads, memory_order_relaxed);
        pool->shares[i].last = first + count * (i + 1) / pool->threads;
    }
    atomic_store_explicit(&pool->busy, pool->threads - 1, memory_order_relaxed);
    call_workers(pool);
    work(pool, 0);
    for (int i = 0; i < SPINS && atomic_load_explicit(&pool->busy, memory_order_acquire); i++) {
        relax();
    }
    if (atomic_load_explicit(&pool->busy, memory_order_acquire)) {
        pthread_mutex_lock(&pool->mutex);
        while (atomic_load_explicit(&pool->busy, memory_order_acquire)) {
            pthread_cond_wait(&pool->done, &pool->mutex);
        }
        pthread_mutex_unlock(&pool->mutex);
    }
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
