/* libcuda.so.1 of a simulated machine: starts, counts and names devices. It computes nothing. */
#include "machine.h"

enum { SUCCESS = 0, INVALID_VALUE = 1, NOT_INITIALIZED = 3, NO_DEVICE = 100, INVALID_DEVICE = 101, SYSTEM_DRIVER_MISMATCH = 803, UNKNOWN = 999 };

#define API(name) __attribute__((visibility("default"))) int name
#define ENTER() \
    do { \
        int wrong = fault(__func__); \
        if (wrong || !ready) \
            return wrong ? wrong : NOT_INITIALIZED; \
    } while (0)
#define DEVICE(ordinal, to) \
    if (!(to)) \
        return INVALID_VALUE; \
    if ((ordinal) < 0 || (unsigned)(ordinal) >= device_count) \
        return INVALID_DEVICE; \
    const struct device *device = &devices[ordinal]

struct device {
    const struct gpu *gpu;
    const struct instance *instance; /* NULL: the whole GPU */
};
static struct device devices[GPU_COUNT + INSTANCE_COUNT + 1];
static unsigned device_count;
static int ready;

static void add(const struct gpu *gpu, const struct instance *instance)
{
    devices[device_count].gpu = gpu;
    devices[device_count++].instance = instance;
}

API(cuInit)(unsigned flags)
{
    int wrong = fault(__func__);
    if (wrong)
        return wrong;
    if (flags)
        return INVALID_VALUE;
    if (VERSION_MISMATCH)
        return SYSTEM_DRIVER_MISMATCH;
    if (control_denied())
        return NO_DEVICE;
    device_count = 0;
    for (unsigned g = 0; g < GPU_COUNT; g++) {
        if (!gpu_visible(&gpus[g]))
            continue;
        if (gpus[g].mig != 1)
            add(&gpus[g], NULL);
        for (unsigned i = 0; i < INSTANCE_COUNT; i++)
            if (instances[i].gpu == g && instance_visible(&instances[i]))
                add(&gpus[g], &instances[i]);
    }
    if (!device_count)
        return NO_DEVICE;
    if (node_denied("/dev/nvidia-uvm", NONE, UVM_MAJOR, 0, 6))
        return UNKNOWN; /* the known sign of a stale specification: NVML works, cuInit gives 999 */
    ready = 1;
    return SUCCESS;
}
API(cuDriverGetVersion)(int *version)
{
    int wrong = fault(__func__);
    if (wrong || !version)
        return wrong ? wrong : INVALID_VALUE;
    *version = CUDA_VERSION;
    return SUCCESS;
}
API(cuDeviceGetCount)(int *count)
{
    ENTER();
    if (!count)
        return INVALID_VALUE;
    *count = (int)device_count;
    return SUCCESS;
}
API(cuDeviceGet)(int *handle, int ordinal)
{
    ENTER();
    DEVICE(ordinal, handle);
    *handle = (int)(device - devices);
    return SUCCESS;
}
API(cuDeviceGetName)(char *name, int room, int handle)
{
    ENTER();
    DEVICE(handle, name);
    const char *text = device->instance ? device->instance->name : device->gpu->name;
    for (int i = 0; i < room; i++)
        if (!(name[i] = i + 1 < room ? text[i] : 0))
            break;
    return SUCCESS;
}

static unsigned digit(char c) { return c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'a' + 10); }

/* "GPU-0cc352ac-..." and "MIG-..." carry the 16 bytes in hexadecimal */
static void give_uuid(const char *text, unsigned char to[16])
{
    unsigned found = 0;
    for (const char *c = text + 4; *c && found < 32; c++)
        if (*c != '-') {
            to[found / 2] = (unsigned char)(found % 2 ? to[found / 2] | digit(*c) : digit(*c) << 4);
            found++;
        }
}
API(cuDeviceGetUuid)(unsigned char uuid[16], int handle)
{
    ENTER();
    DEVICE(handle, uuid);
    give_uuid(device->gpu->uuid, uuid);
    return SUCCESS;
}
API(cuDeviceGetUuid_v2)(unsigned char uuid[16], int handle)
{
    ENTER();
    DEVICE(handle, uuid);
    give_uuid(device->instance ? device->instance->uuid : device->gpu->uuid, uuid);
    return SUCCESS;
}

static unsigned long long memory_of(const struct device *device)
{
    return device->instance ? device->instance->memory : device->gpu->memory;
}
API(cuDeviceTotalMem)(unsigned *bytes, int handle)
{
    ENTER();
    DEVICE(handle, bytes);
    unsigned long long all = memory_of(device);
    *bytes = all > 0xffffffffu ? 0xffffffffu : (unsigned)all; /* the first version counts in 32 bits */
    return SUCCESS;
}
API(cuDeviceTotalMem_v2)(size_t *bytes, int handle)
{
    ENTER();
    DEVICE(handle, bytes);
    *bytes = memory_of(device);
    return SUCCESS;
}
API(cuDeviceGetAttribute)(int *value, int attribute, int handle)
{
    ENTER();
    DEVICE(handle, value);
    switch (attribute) {
    case 16: *value = (int)(device->instance ? device->instance->multiprocessors : device->gpu->multiprocessors); break;
    case 33: *value = (int)device->gpu->bus; break;
    case 34: *value = (int)device->gpu->device; break;
    case 50: *value = (int)device->gpu->domain; break;
    case 75: *value = (int)device->gpu->cc_major; break;
    case 76: *value = (int)device->gpu->cc_minor; break;
    default: return INVALID_VALUE;
    }
    return SUCCESS;
}
__attribute__((visibility("default"))) int cuGetErrorString(int error, const char **text)
{
    if (!text)
        return INVALID_VALUE;
    switch (error) {
    case SUCCESS: *text = "no error"; break;
    case INVALID_VALUE: *text = "invalid argument"; break;
    case NOT_INITIALIZED: *text = "initialization error"; break;
    case NO_DEVICE: *text = "no CUDA-capable device is detected"; break;
    case INVALID_DEVICE: *text = "invalid device ordinal"; break;
    case SYSTEM_DRIVER_MISMATCH: *text = "system has unsupported display driver / cuda driver combination"; break;
    default: *text = "unknown error";
    }
    return SUCCESS;
}
