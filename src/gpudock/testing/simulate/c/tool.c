/* One program for all the driver's tools but nvidia-smi. It is static: it runs in any image. */
#include "freestanding.h"

#if defined(__x86_64__)
__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall begin\n");
#else
__asm__(".globl _start\n_start:\n\tmov x29, #0\n\tmov x0, sp\n\tbl begin\n");
#endif

__attribute__((used, noreturn)) void begin(const long *stack)
{
    static const char text[] = ": SIMULATED by gpudock. There is no NVIDIA driver here; this program does nothing.\n";
    const char *name = stack[0] > 0 ? (const char *)stack[1] : "nvidia";
    system_call(NR_WRITE, 1, (long)name, (long)length_of(name), 0, 0);
    system_call(NR_WRITE, 1, (long)text, sizeof text - 1, 0, 0);
    for (;;)
        system_call(NR_EXIT_GROUP, 0, 0, 0, 0, 0);
}
