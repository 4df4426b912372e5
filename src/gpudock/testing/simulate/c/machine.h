/* The simulated machine: data.h (generated) has its GPUs; here is which of them this process may see. */
#ifndef MACHINE_H
#define MACHINE_H

#include "freestanding.h"

struct gpu {
    const char *uuid, *name, *bus_id, *bus_id_legacy;
    unsigned domain, bus, device, pci_device, pci_subsystem, minor, brand, architecture, cc_major, cc_minor;
    int mig; /* -1 unsupported, 0 off, 1 on */
    unsigned long long memory, reserved;
    unsigned persistence, temperature, power, power_limit, utilization, memory_utilization, multiprocessors;
    unsigned swing, encoder, decoder, clock, memory_clock, slowdown, shutdown, pcie, links;
    int fan; /* -1: it has none */
    unsigned long long corrected, uncorrected;
    unsigned xid; /* 0: none */
};

struct instance {
    const char *uuid, *name;
    unsigned gpu, gi, ci, gi_minor, ci_minor;
    unsigned long long memory;
    unsigned multiprocessors, copy_engines, decoders, encoders, jpegs, ofas, gi_slices, ci_slices;
};

struct process {
    unsigned gpu, gi, ci, pid;
    unsigned long long used;
    int graphics;
    unsigned utilization;
    const char *name;
};

enum fault_kind { FAULT_ERROR = 1, FAULT_HANG, FAULT_STUCK, FAULT_SEGFAULT };

struct fault {
    const char *function;
    enum fault_kind kind;
    int code;
};

#include "data.h"

enum { NONE = 0xFFFFFFFFu, CONTROL_MINOR = 255 };

static const char *node_prefix(void)
{
    /* On the host the nodes lie beside the libraries; in a container they are where programs expect them. */
    long found = system_call(NR_FACCESSAT, -100, (long)(SIMULATED_FOLDER "/simulated.json"), 0, 0, 0);
    return found == 0 ? SIMULATED_FOLDER : "";
}

/* 0 or an errno. access(2) also asks the device cgroup, and unlike open(2) it never reaches a driver. */
static int node_denied(const char *name, unsigned number, unsigned major, unsigned minor, int access)
{
    char path[sizeof SIMULATED_FOLDER + 64];
    _Alignas(8) unsigned char status[256]; /* struct statx: stx_mode at 28, stx_rdev_major at 128, stx_rdev_minor at 132 */
    char *end = append(append(path, node_prefix()), name);
    if (number != NONE)
        append_number(end, number);
    long result = system_call(NR_FACCESSAT, -100, (long)path, access, 0, 0);
    if (result == 0)
        result = system_call(NR_STATX, -100, (long)path, 0, 0x7ff, (long)status);
    if (result < 0)
        return (int)-result;
    unsigned mode = *(uint16_t *)(status + 28);
    if ((mode & 0170000) != 0020000 || *(uint32_t *)(status + 128) != major || *(uint32_t *)(status + 132) != minor)
        return ERRNO_ENOENT; /* a leftover file, or a node of another driver start */
    return 0;
}

static int control_denied(void) { return node_denied("/dev/nvidiactl", NONE, NVIDIA_MAJOR, CONTROL_MINOR, 6); }

static int gpu_visible(const struct gpu *gpu)
{
    return node_denied("/dev/nvidia", gpu->minor, NVIDIA_MAJOR, gpu->minor, 6) == 0;
}

static int instance_visible(const struct instance *instance)
{
    static const char cap[] = "/dev/nvidia-caps/nvidia-cap";
    return gpus[instance->gpu].mig == 1 && node_denied(cap, instance->gi_minor, CAPS_MAJOR, instance->gi_minor, 4) == 0 &&
           node_denied(cap, instance->ci_minor, CAPS_MAJOR, instance->ci_minor, 4) == 0;
}

static void wait_for_a_signal_for_ever(void)
{
    for (;;)
        system_call(NR_PPOLL, 0, 0, 0, 0, 0);
}

/* A file beside simulated.json, which changes what a running machine does. Returns its size, at most ROOM - 1. */
static unsigned beside(const char *name, char *text, unsigned room)
{
    char path[sizeof SIMULATED_FOLDER + 32];
    append(append(path, SIMULATED_FOLDER "/"), name);
    long file = system_call(NR_OPENAT, -100, (long)path, 0, 0, 0), size = 0, got = 1;
    while (file >= 0 && got > 0 && size < room - 1) {
        got = system_call(NR_READ, file, (long)(text + size), room - 1 - size, 0, 0);
        size += got > 0 ? got : 0;
    }
    if (file >= 0)
        system_call(NR_CLOSE, file, 0, 0, 0, 0);
    text[size] = 0;
    return (unsigned)size;
}

static unsigned long long digits(const char **text)
{
    unsigned long long value = 0;
    while (**text == ' ')
        (*text)++;
    for (; **text >= '0' && **text <= '9'; (*text)++)
        value = value * 10 + (unsigned)(**text - '0');
    return value;
}

static int same_word(const char **text, const char *word)
{
    const char *at = *text;
    for (; *word; word++, at++)
        if (*at != *word)
            return 0;
    if (*at != ' ' && *at != '\n' && *at != ':' && *at)
        return 0;
    *text = at;
    return 1;
}

static unsigned long long lost; /* GPUs that fell off the bus, a bit each; as of the last call */

/* The file "faults": lines like "nvmlDeviceGetPowerUsage hang", "nvmlInit_v2 error:15", or "lost 1" for the second GPU. */
static int fault_beside(const char *function, struct fault *found)
{
    char text[2048];
    beside("faults", text, sizeof text);
    lost = 0;
    for (const char *line = text; *line;) {
        if (same_word(&line, "lost"))
            lost |= 1ull << (digits(&line) & 63);
        if (same_word(&line, function) && *line++ == ' ') {
            found->code = 0;
            found->kind = same_word(&line, "hang") ? FAULT_HANG : same_word(&line, "stuck") ? FAULT_STUCK
                        : same_word(&line, "segfault") ? FAULT_SEGFAULT : FAULT_ERROR;
            if (found->kind == FAULT_ERROR && same_word(&line, "error") && *line++ == ':')
                found->code = (int)digits(&line);
            return 1;
        }
        while (*line && *line++ != '\n')
            ;
    }
    return 0;
}

/* What the description, or that file, asks to go wrong in FUNCTION: returns the error to give, 0 for none. */
static int fault(const char *function)
{
    struct fault now[2] = {{function, FAULT_ERROR, 0}, {0}};
    for (const struct fault *each = fault_beside(function, now) ? now : faults; each->function; each++) {
        if (!same(each->function, function))
            continue;
        if (each->kind == FAULT_STUCK) {
            unsigned long ignore[4] = {1, 0, 0, 0}; /* SIG_IGN */
            system_call(NR_SIGACTION, 15, (long)ignore, 0, 8, 0);
            system_call(NR_SIGACTION, 2, (long)ignore, 0, 8, 0);
            wait_for_a_signal_for_ever();
        }
        if (each->kind == FAULT_HANG)
            wait_for_a_signal_for_ever();
        if (each->kind == FAULT_SEGFAULT)
            *(volatile int *)(uintptr_t)8 = 0;
        return each->code;
    }
    return 0;
}
#endif
