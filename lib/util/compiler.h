/*
 * Hints to the compiler, for the few places where a nanosecond counts. Without
 * GNU C they say nothing.
 */
#ifndef FV_UTIL_COMPILER_H
#define FV_UTIL_COMPILER_H

#if defined(__GNUC__)
#define FV_LIKELY(condition) __builtin_expect(!!(condition), 1)
#define FV_INLINE static inline __attribute__((always_inline))
#define FV_APART __attribute__((noinline)) /* keeps its registers out of its caller's way */
#define FV_COLD __attribute__((noinline, cold))
#define FV_PREFETCH(address) __builtin_prefetch(address)
#else
#define FV_LIKELY(condition) (condition)
#define FV_INLINE static inline
#define FV_APART
#define FV_COLD
#define FV_PREFETCH(address) ((void)(address))
#endif

#endif
