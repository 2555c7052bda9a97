#define _GNU_SOURCE

#include "counting.h"

#include <stdatomic.h>
#include <stdlib.h>

static atomic_bool watching;
static atomic_llong allocations, locks, bytes, syncs;

void counting_start(void)
{
    atomic_store(&allocations, 0);
    atomic_store(&locks, 0);
    atomic_store(&bytes, 0);
    atomic_store(&syncs, 0);
    atomic_store(&watching, true);
}

struct counts counting_stop(void)
{
    atomic_store(&watching, false);
    return (struct counts){ atomic_load(&allocations), atomic_load(&locks), atomic_load(&bytes),
                            atomic_load(&syncs) };
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED
#endif

#if !defined(__GLIBC__) || defined(SANITIZED)

bool counting_works(void)
{
    return false;
}

#else

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <threads.h>
#include <unistd.h>

bool counting_works(void)
{
    return true;
}

static bool is_watching(void)
{
    return atomic_load_explicit(&watching, memory_order_relaxed);
}

/* ------------------------------------------------------------------------
 * Memory
 */

/* glibc's own, which it exports for this purpose; dlsym() would allocate. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *block);

static void *allocated(void *block)
{
    if (is_watching() && block) {
        atomic_fetch_add(&allocations, 1);
        atomic_fetch_add(&bytes, (long long)(malloc_usable_size(block) + sizeof(size_t)));
    }
    return block;
}

static void *released(void *block)
{
    if (is_watching() && block)
        atomic_fetch_sub(&bytes, (long long)(malloc_usable_size(block) + sizeof(size_t)));
    return block;
}

void *malloc(size_t size)
{
    return allocated(__libc_malloc(size));
}

void *calloc(size_t count, size_t size)
{
    return allocated(__libc_calloc(count, size));
}

void *realloc(void *block, size_t size)
{
    void *moved;

    released(block);
    moved = __libc_realloc(block, size);
    /* When it failed, the block is still there. */
    allocated(moved || size == 0 ? moved : block);
    return moved;
}

void *memalign(size_t alignment, size_t size)
{
    return allocated(__libc_memalign(alignment, size));
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

int posix_memalign(void **ret_block, size_t alignment, size_t size)
{
    void *block = memalign(alignment, size);

    if (!block)
        return ENOMEM;
    *ret_block = block;
    return 0;
}

void free(void *block)
{
    __libc_free(released(block));
}

/* ------------------------------------------------------------------------
 * Locks: counted, then handed to the C library's own function, which is looked
 * up at the first call.
 */

typedef int lock_function(void *object);

static int take(_Atomic(lock_function *) *real, const char *name, void *object)
{
    lock_function *function = atomic_load_explicit(real, memory_order_acquire);
    void *symbol;

    if (is_watching())
        atomic_fetch_add(&locks, 1);
    if (!function) {
        /* ISO C has no conversion from an object's address to a function's. */
        symbol = dlsym(RTLD_NEXT, name);
        memcpy(&function, &symbol, sizeof function);
        atomic_store_explicit(real, function, memory_order_release);
    }
    return function(object);
}

#define COUNT_LOCK(name, type)                     \
    int name(type *object)                         \
    {                                              \
        static _Atomic(lock_function *) real;      \
                                                   \
        return take(&real, #name, (void *)object); \
    }

COUNT_LOCK(pthread_mutex_lock, pthread_mutex_t)
COUNT_LOCK(pthread_mutex_trylock, pthread_mutex_t)
COUNT_LOCK(pthread_rwlock_rdlock, pthread_rwlock_t)
COUNT_LOCK(pthread_rwlock_wrlock, pthread_rwlock_t)
COUNT_LOCK(pthread_spin_lock, pthread_spinlock_t)
COUNT_LOCK(mtx_lock, mtx_t)

/* ------------------------------------------------------------------------
 * What is forced to the disk
 */

int fsync(int file)
{
    if (is_watching())
        atomic_fetch_add(&syncs, 1);
    return (int)syscall(SYS_fsync, file);
}

int fdatasync(int file)
{
    if (is_watching())
        atomic_fetch_add(&syncs, 1);
    return (int)syscall(SYS_fdatasync, file);
}

#endif
