/* A small pool of threads that plays ranges of environments side by side. */
#ifndef C_ENVS_POOL_H
#define C_ENVS_POOL_H

#include <stdint.h>

typedef struct Pool Pool;

/* Does items first .. last-1 of whatever `context` describes. Calls run at the same time on ranges that do not overlap. */
typedef void (*PoolTask)(void *context, int64_t first, int64_t last);

/* A pool of `threads` threads, the caller of pool_run counted as one; NULL when threads or memory run out. */
Pool *pool_create(int threads);

/* Does items first .. first+count-1 in pieces and returns when all are done. One caller at a time. */
void pool_run(Pool *pool, PoolTask task, void *context, int64_t first, int64_t count);

/* Ends and joins the threads. NULL is allowed. */
void pool_destroy(Pool *pool);

/* Frees what a fork copied; the threads exist in the parent alone. */
void pool_abandon(Pool *pool);

#endif
