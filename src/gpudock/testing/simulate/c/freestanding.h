/* System calls without a C library: what includes this loads under glibc of any age and under musl alike. */
#ifndef FREESTANDING_H
#define FREESTANDING_H

#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__)
enum {
    NR_READ = 0, NR_WRITE = 1, NR_CLOSE = 3, NR_SIGACTION = 13, NR_CLOCK_GETTIME = 228, NR_EXIT_GROUP = 231,
    NR_OPENAT = 257, NR_FACCESSAT = 269, NR_PPOLL = 271, NR_STATX = 332,
};

static inline long system_call(long number, long a, long b, long c, long d, long e)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                     : "rcx", "r11", "memory");
    return result;
}
#elif defined(__aarch64__)
enum {
    NR_FACCESSAT = 48, NR_OPENAT = 56, NR_CLOSE = 57, NR_READ = 63, NR_WRITE = 64, NR_PPOLL = 73, NR_EXIT_GROUP = 94,
    NR_CLOCK_GETTIME = 113, NR_SIGACTION = 134, NR_STATX = 291,
};

static inline long system_call(long number, long a, long b, long c, long d, long e)
{
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
    return x0;
}
#else
#error "only x86-64 and arm64 have NVIDIA data-centre drivers"
#endif

enum { ERRNO_EPERM = 1, ERRNO_ENOENT = 2, ERRNO_EACCES = 13 };

static inline size_t length_of(const char *text)
{
    size_t length = 0;
    while (text[length])
        length++;
    return length;
}

static inline int same(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

static inline char *append(char *to, const char *text)
{
    while (*text)
        *to++ = *text++;
    *to = 0;
    return to;
}

static inline char *append_number(char *to, unsigned number)
{
    char digits[12];
    unsigned count = 0;
    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    while (count)
        *to++ = digits[--count];
    *to = 0;
    return to;
}
#endif
