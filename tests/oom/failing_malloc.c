#include "oom/failing_malloc.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

/* glibc's own, which it exports for this purpose; dlsym() would allocate. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *block);

/* stdlib.h declares these under conditions that differ from one C library to
 * the next; the library exports them in any case. */
void *memalign(size_t alignment, size_t size);
int posix_memalign(void **ret_block, size_t alignment, size_t size);

static _Thread_local struct {
    long fail_at; /* 0: never */
    long count;
    bool armed, and_after, failed;
    const void *caller; /* who was refused first */
} state;

static atomic_long live;

static void arm(long k, bool and_after)
{
    state.fail_at = k;
    state.and_after = and_after;
    state.count = 0;
    state.failed = false;
    state.armed = true;
}

void failing_malloc_arm(long k)
{
    arm(k, false);
}

void failing_malloc_arm_all_after(long k)
{
    arm(k, true);
}

void failing_malloc_disarm(void)
{
    state.armed = false;
}

long failing_malloc_count(void)
{
    return state.count;
}

bool failing_malloc_failed(void)
{
    return state.failed;
}

const void *failing_malloc_caller(void)
{
    return state.failed ? state.caller : NULL;
}

long failing_malloc_live(void)
{
    return atomic_load(&live);
}

/* Count one allocation; true when it is the one to fail. */
static bool fails(const void *caller)
{
    if (!state.armed)
        return false;

    state.count++;
    if (state.fail_at == 0)
        return false;
    if (state.and_after ? state.count < state.fail_at : state.count != state.fail_at)
        return false;

    if (!state.failed)
        state.caller = caller;
    state.failed = true;
    errno = ENOMEM;
    return true;
}

static void *counted(void *block)
{
    if (block)
        atomic_fetch_add(&live, 1);
    return block;
}

void *malloc(size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : counted(__libc_malloc(size));
}

void *calloc(size_t count, size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : counted(__libc_calloc(count, size));
}

void free(void *block)
{
    if (block)
        atomic_fetch_sub(&live, 1);
    __libc_free(block);
}

void *realloc(void *block, size_t size)
{
    if (!block)
        return malloc(size);
    if (size == 0) {
        free(block);
        return NULL;
    }
    return fails(__builtin_return_address(0)) ? NULL : __libc_realloc(block, size);
}

void *memalign(size_t alignment, size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : counted(__libc_memalign(alignment, size));
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

int posix_memalign(void **ret_block, size_t alignment, size_t size)
{
    void *block;

    if (alignment % sizeof(void *) != 0 || (alignment & (alignment - 1)) != 0 || alignment == 0)
        return EINVAL;

    block = memalign(alignment, size);
    if (!block)
        return ENOMEM;
    *ret_block = block;
    return 0;
}
