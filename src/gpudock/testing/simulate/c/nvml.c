/* libnvidia-ml.so.1 of a simulated machine. Struct layouts and error codes are NVML's. */
#include "machine.h"

enum {
    SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NO_PERMISSION = 4, NOT_FOUND = 6,
    INSUFFICIENT_SIZE = 7, DRIVER_NOT_LOADED = 9, GPU_IS_LOST = 15, LIB_RM_VERSION_MISMATCH = 18, ARGUMENT_VERSION_MISMATCH = 25, UNKNOWN = 999,
};

#define API(name) __attribute__((visibility("default"))) int name
#define ENTER() \
    do { \
        int wrong = fault(__func__); \
        if (wrong || !users) \
            return wrong ? wrong : UNINITIALIZED; \
    } while (0)
#define GPU(handle, otherwise) \
    const struct gpu *gpu = as_gpu(handle); \
    if (!gpu) \
        return as_instance(handle) ? (otherwise) : INVALID_ARGUMENT; \
    if (is_lost(gpu)) \
        return GPU_IS_LOST
#define INSTANCE(handle, otherwise) \
    const struct instance *instance = as_instance(handle); \
    if (!instance) \
        return as_gpu(handle) ? (otherwise) : INVALID_ARGUMENT

static unsigned users; /* nvmlInit minus nvmlShutdown */
static const struct gpu *seen[GPU_COUNT + 1]; /* as found by the first nvmlInit */
static unsigned seen_count;

static const struct process *running_now(unsigned *count);

static unsigned long long milliseconds(void) /* since the machine started */
{
    long now[2] = {0, 0};
    system_call(NR_CLOCK_GETTIME, 1, (long)now, 0, 0, 0);
    return (unsigned long long)now[0] * 1000 + (unsigned long long)now[1] / 1000000;
}

/* The utilization, which swings up and down again in ten seconds. */
static unsigned busy(const struct gpu *gpu)
{
    unsigned phase = (unsigned)(milliseconds() % 10000), way = phase < 5000 ? phase : 10000 - phase;
    unsigned value = gpu->utilization + gpu->swing * way / 5000;
    return value > 100 ? 100 : value;
}

static unsigned draw(const struct gpu *gpu)
{
    if (!gpu->swing || gpu->power >= gpu->power_limit)
        return gpu->power;
    return gpu->power + (gpu->power_limit - gpu->power) / 100 * busy(gpu);
}

static const struct gpu *as_gpu(const void *handle)
{
    for (unsigned i = 0; i < seen_count; i++)
        if (handle == seen[i])
            return seen[i];
    return NULL;
}

static int is_lost(const struct gpu *gpu)
{
    return lost >> (gpu - gpus) & 1;
}

static const struct instance *as_instance(const void *handle)
{
    for (unsigned i = 0; i < INSTANCE_COUNT; i++)
        if (handle == &instances[i])
            return &instances[i];
    return NULL;
}

static const struct gpu *owner(const void *handle)
{
    const struct instance *instance = as_instance(handle);
    return instance ? &gpus[instance->gpu] : as_gpu(handle);
}

static int give(const char *text, char *to, unsigned room)
{
    if (!to)
        return INVALID_ARGUMENT;
    if (length_of(text) + 1 > room)
        return INSUFFICIENT_SIZE;
    append(to, text);
    return SUCCESS;
}

static int give_number(unsigned number, unsigned *to)
{
    if (!to)
        return INVALID_ARGUMENT;
    *to = number;
    return SUCCESS;
}

static int start(const char *function)
{
    int wrong = fault(function);
    if (!wrong)
        wrong = fault("nvmlInit_v2"); /* a fault of the usual entry holds for all three */
    if (wrong)
        return wrong;
    int denied = control_denied();
    if (denied)
        return denied == ERRNO_EPERM ? UNKNOWN : denied == ERRNO_EACCES ? NO_PERMISSION : DRIVER_NOT_LOADED;
    if (VERSION_MISMATCH)
        return LIB_RM_VERSION_MISMATCH;
    if (!users++) {
        seen_count = 0;
        for (unsigned i = 0; i < GPU_COUNT; i++)
            if (gpu_visible(&gpus[i]))
                seen[seen_count++] = &gpus[i];
    }
    return SUCCESS;
}

API(nvmlInit)(void) { return start(__func__); }
API(nvmlInit_v2)(void) { return start(__func__); }
API(nvmlInitWithFlags)(unsigned flags)
{
    (void)flags;
    return start(__func__);
}
API(nvmlShutdown)(void)
{
    ENTER();
    users--;
    return SUCCESS;
}

__attribute__((visibility("default"))) const char *nvmlErrorString(int error)
{
    switch (error) {
    case SUCCESS: return "Success";
    case UNINITIALIZED: return "Uninitialized";
    case INVALID_ARGUMENT: return "Invalid Argument";
    case NOT_SUPPORTED: return "Not Supported";
    case NO_PERMISSION: return "Insufficient Permissions";
    case NOT_FOUND: return "Not Found";
    case INSUFFICIENT_SIZE: return "Insufficient Size";
    case DRIVER_NOT_LOADED: return "Driver Not Loaded";
    case 10: return "Timeout";
    case 15: return "GPU is lost";
    case LIB_RM_VERSION_MISMATCH: return "Driver/library version mismatch";
    case ARGUMENT_VERSION_MISMATCH: return "Argument version mismatch";
    default: return "Unknown Error";
    }
}

API(nvmlSystemGetDriverVersion)(char *version, unsigned room)
{
    ENTER();
    return give(DRIVER_VERSION, version, room);
}
API(nvmlSystemGetNVMLVersion)(char *version, unsigned room)
{
    ENTER();
    return give(NVML_VERSION, version, room);
}
API(nvmlSystemGetCudaDriverVersion)(int *version)
{
    ENTER();
    return give_number(CUDA_VERSION, (unsigned *)version);
}
API(nvmlSystemGetCudaDriverVersion_v2)(int *version)
{
    ENTER();
    return give_number(CUDA_VERSION, (unsigned *)version);
}
API(nvmlSystemGetProcessName)(unsigned pid, char *name, unsigned room)
{
    ENTER();
    unsigned count;
    const struct process *now = running_now(&count);
    for (unsigned i = 0; i < count; i++)
        if (now[i].pid == pid)
            return give(now[i].name, name, room);
    return NOT_FOUND;
}

API(nvmlDeviceGetCount)(unsigned *count)
{
    ENTER();
    return give_number(seen_count, count);
}
API(nvmlDeviceGetCount_v2)(unsigned *count)
{
    ENTER();
    return give_number(seen_count, count);
}

static int by_index(unsigned index, const void **device)
{
    if (index >= seen_count || !device)
        return INVALID_ARGUMENT;
    *device = seen[index];
    return is_lost(seen[index]) ? GPU_IS_LOST : SUCCESS;
}
API(nvmlDeviceGetHandleByIndex)(unsigned index, const void **device)
{
    ENTER();
    return by_index(index, device);
}
API(nvmlDeviceGetHandleByIndex_v2)(unsigned index, const void **device)
{
    ENTER();
    return by_index(index, device);
}

/* "MIG-GPU-<uuid>/<gi>/<ci>", as drivers before 470 named instances; they are still found by it. */
static int has_old_name(const struct instance *instance, const char *text)
{
    char name[128];
    char *end = append(append(name, "MIG-"), gpus[instance->gpu].uuid);
    append_number(append(append_number(append(end, "/"), instance->gi), "/"), instance->ci);
    return same(name, text);
}
API(nvmlDeviceGetHandleByUUID)(const char *uuid, const void **device)
{
    ENTER();
    if (!uuid || !device)
        return INVALID_ARGUMENT;
    for (unsigned i = 0; i < seen_count; i++)
        if (same(seen[i]->uuid, uuid))
            return by_index(i, device);
    for (unsigned i = 0; i < INSTANCE_COUNT; i++) {
        const struct instance *instance = &instances[i];
        if (!(same(instance->uuid, uuid) || has_old_name(instance, uuid)))
            continue;
        if (!as_gpu(&gpus[instance->gpu]) || !instance_visible(instance))
            return NOT_FOUND;
        *device = instance;
        return SUCCESS;
    }
    return NOT_FOUND;
}

static int same_bus(const char *long_name, const char *asked)
{
    /* "00000000:0A:00.0", "0000:0a:00.0" and "0A:00.0" name the same function */
    size_t whole = length_of(long_name), size = length_of(asked);
    if (size > whole || size < 7)
        return 0;
    for (size_t i = 0; i < size; i++) {
        char a = long_name[whole - size + i], b = asked[i];
        if (a != b && !(b >= 'a' && b <= 'f' && a == b - 32))
            return 0;
    }
    return 1;
}
static int by_bus(const char *bus_id, const void **device)
{
    if (!bus_id || !device)
        return INVALID_ARGUMENT;
    for (unsigned i = 0; i < seen_count; i++)
        if (same_bus(seen[i]->bus_id, bus_id))
            return by_index(i, device);
    return NOT_FOUND;
}
API(nvmlDeviceGetHandleByPciBusId)(const char *bus_id, const void **device)
{
    ENTER();
    return by_bus(bus_id, device);
}
API(nvmlDeviceGetHandleByPciBusId_v2)(const char *bus_id, const void **device)
{
    ENTER();
    return by_bus(bus_id, device);
}

/* The INDEX-th visible instance of GPU. */
static const struct instance *visible_instance(const struct gpu *gpu, unsigned index)
{
    for (unsigned i = 0; i < INSTANCE_COUNT; i++)
        if (&gpus[instances[i].gpu] == gpu && instance_visible(&instances[i]) && index-- == 0)
            return &instances[i];
    return NULL;
}
API(nvmlDeviceGetMigMode)(const void *device, unsigned *current, unsigned *pending)
{
    ENTER();
    GPU(device, NOT_SUPPORTED);
    if (gpu->mig < 0)
        return NOT_SUPPORTED;
    int wrong = give_number((unsigned)gpu->mig, current);
    return wrong ? wrong : give_number((unsigned)gpu->mig, pending);
}
API(nvmlDeviceIsMigDeviceHandle)(const void *device, unsigned *answer)
{
    ENTER();
    return owner(device) ? give_number(as_instance(device) != NULL, answer) : INVALID_ARGUMENT;
}
API(nvmlDeviceGetMaxMigDeviceCount)(const void *device, unsigned *count)
{
    ENTER();
    GPU(device, NOT_SUPPORTED);
    return give_number(gpu->mig == 1 ? 7 : 0, count);
}
API(nvmlDeviceGetMigDeviceHandleByIndex)(const void *device, unsigned index, const void **mig)
{
    ENTER();
    GPU(device, INVALID_ARGUMENT);
    if (!mig)
        return INVALID_ARGUMENT;
    if (gpu->mig < 0)
        return NOT_SUPPORTED;
    *mig = visible_instance(gpu, index);
    return *mig ? SUCCESS : NOT_FOUND;
}
API(nvmlDeviceGetDeviceHandleFromMigDeviceHandle)(const void *mig, const void **device)
{
    ENTER();
    INSTANCE(mig, INVALID_ARGUMENT);
    if (!device)
        return INVALID_ARGUMENT;
    *device = &gpus[instance->gpu];
    return SUCCESS;
}
API(nvmlDeviceGetGpuInstanceId)(const void *device, unsigned *id)
{
    ENTER();
    INSTANCE(device, INVALID_ARGUMENT);
    return give_number(instance->gi, id);
}
API(nvmlDeviceGetComputeInstanceId)(const void *device, unsigned *id)
{
    ENTER();
    INSTANCE(device, INVALID_ARGUMENT);
    return give_number(instance->ci, id);
}

struct attributes {
    unsigned multiprocessors, copy_engines, decoders, encoders, jpegs, ofas, gi_slices, ci_slices;
    unsigned long long memory_mib;
};
static int attributes(const void *device, struct attributes *to)
{
    INSTANCE(device, NOT_SUPPORTED);
    if (!to)
        return INVALID_ARGUMENT;
    to->multiprocessors = instance->multiprocessors;
    to->copy_engines = instance->copy_engines;
    to->decoders = instance->decoders;
    to->encoders = instance->encoders;
    to->jpegs = instance->jpegs;
    to->ofas = instance->ofas;
    to->gi_slices = instance->gi_slices;
    to->ci_slices = instance->ci_slices;
    to->memory_mib = instance->memory >> 20;
    return SUCCESS;
}
API(nvmlDeviceGetAttributes)(const void *device, struct attributes *to)
{
    ENTER();
    return attributes(device, to);
}
API(nvmlDeviceGetAttributes_v2)(const void *device, struct attributes *to)
{
    ENTER();
    return attributes(device, to);
}

API(nvmlDeviceGetUUID)(const void *device, char *uuid, unsigned room)
{
    ENTER();
    const struct instance *instance = as_instance(device);
    const struct gpu *gpu = owner(device);
    return gpu ? give(instance ? instance->uuid : gpu->uuid, uuid, room) : INVALID_ARGUMENT;
}
API(nvmlDeviceGetName)(const void *device, char *name, unsigned room)
{
    ENTER();
    const struct instance *instance = as_instance(device);
    const struct gpu *gpu = owner(device);
    return gpu ? give(instance ? instance->name : gpu->name, name, room) : INVALID_ARGUMENT;
}
API(nvmlDeviceGetIndex)(const void *device, unsigned *index)
{
    ENTER();
    const struct gpu *gpu = owner(device);
    for (unsigned i = 0; gpu && i < INSTANCE_COUNT && as_instance(device); i++)
        if (visible_instance(gpu, i) == device)
            return give_number(i, index);
    for (unsigned i = 0; i < seen_count; i++)
        if (seen[i] == device)
            return give_number(i, index);
    return INVALID_ARGUMENT;
}
API(nvmlDeviceGetMinorNumber)(const void *device, unsigned *minor)
{
    ENTER();
    GPU(device, NOT_SUPPORTED);
    return give_number(gpu->minor, minor);
}

struct pci_v2 {
    char bus_id[16];
    unsigned domain, bus, device, pci_device, pci_subsystem, reserved[4];
};
struct pci_v3 {
    char bus_id_legacy[16];
    unsigned domain, bus, device, pci_device, pci_subsystem;
    char bus_id[32];
};
API(nvmlDeviceGetPciInfo_v2)(const void *device, struct pci_v2 *to)
{
    ENTER();
    GPU(device, NOT_SUPPORTED);
    if (!to)
        return INVALID_ARGUMENT;
    to->domain = gpu->domain;
    to->bus = gpu->bus;
    to->device = gpu->device;
    to->pci_device = gpu->pci_device;
    to->pci_subsystem = gpu->pci_subsystem;
    return give(gpu->bus_id_legacy, to->bus_id, sizeof to->bus_id);
}
API(nvmlDeviceGetPciInfo_v3)(const void *device, struct pci_v3 *to)
{
    ENTER();
    GPU(device, NOT_SUPPORTED);
    if (!to)
        return INVALID_ARGUMENT;
    to->domain = gpu->domain;
    to->bus = gpu->bus;
    to->device = gpu->device;
    to->pci_device = gpu->pci_device;
    to->pci_subsystem = gpu->pci_subsystem;
    give(gpu->bus_id_legacy, to->bus_id_legacy, sizeof to->bus_id_legacy);
    return give(gpu->bus_id, to->bus_id, sizeof to->bus_id);
}
API(nvmlDeviceGetAddressingMode)(const void *device, unsigned mode[2])
{
    ENTER();
    GPU(device, NOT_SUPPORTED);
    if (!mode)
        return INVALID_ARGUMENT;
    if (mode[0] != 0x1000008u)
        return ARGUMENT_VERSION_MISMATCH;
    return give_number(0, &mode[1]);
}
API(nvmlDeviceGetCudaComputeCapability)(const void *device, int *major, int *minor)
{
    ENTER();
    const struct gpu *gpu = owner(device);
    if (!gpu || !major || !minor)
        return INVALID_ARGUMENT;
    *major = (int)gpu->cc_major;
    *minor = (int)gpu->cc_minor;
    return SUCCESS;
}
API(nvmlDeviceGetBrand)(const void *device, unsigned *brand)
{
    ENTER();
    GPU(device, NOT_SUPPORTED);
    return give_number(gpu->brand, brand);
}
API(nvmlDeviceGetArchitecture)(const void *device, unsigned *architecture)
{
    ENTER();
    const struct gpu *gpu = owner(device);
    return gpu ? give_number(gpu->architecture, architecture) : INVALID_ARGUMENT;
}
API(nvmlDeviceGetPersistenceMode)(const void *device, unsigned *mode)
{
    ENTER();
    GPU(device, NOT_SUPPORTED);
    return give_number(gpu->persistence, mode);
}
API(nvmlDeviceGetVirtualizationMode)(const void *device, unsigned *mode)
{
    ENTER();
    GPU(device, NOT_SUPPORTED);
    return give_number(0, mode);
}
API(nvmlDeviceGetComputeMode)(const void *device, unsigned *mode)
{
    ENTER();
    GPU(device, NOT_SUPPORTED);
    return give_number(0, mode);
}
API(nvmlDeviceGetPerformanceState)(const void *device, unsigned *state)
{
    ENTER();
    GPU(device, NOT_SUPPORTED);
    return give_number(0, state);
}
API(nvmlDeviceGetPowerUsage)(const void *device, unsigned *milliwatts)
{
    ENTER();
    GPU(device, NOT_SUPPORTED);
    return give_number(draw(gpu), milliwatts);
}
API(nvmlDeviceGetEnforcedPowerLimit)(const void *device, unsigned *milliwatts)
{
    ENTER();
    GPU(device, NOT_SUPPORTED);
    return give_number(gpu->power_limit, milliwatts);
}
API(nvmlDeviceGetPowerManagementLimit)(const void *device, unsigned *milliwatts)
{
    ENTER();
    GPU(device, NOT_SUPPORTED);
    return give_number(gpu->power_limit, milliwatts);
}
API(nvmlDeviceGetPowerManagementDefaultLimit)(const void *device, unsigned *milliwatts)
{
    ENTER();
    GPU(device, NOT_SUPPORTED);
    return give_number(gpu->power_limit, milliwatts);
}
API(nvmlDeviceGetPowerManagementLimitConstraints)(const void *device, unsigned *lowest, unsigned *highest)
{
    ENTER();
    GPU(device, NOT_SUPPORTED);
    int wrong = give_number(gpu->power_limit / 7 * 2, lowest);
    return wrong ? wrong : give_number(gpu->power_limit, highest);
}
static int give_long(unsigned long long number, unsigned long long *to)
{
    if (!to)
        return INVALID_ARGUMENT;
    *to = number;
    return SUCCESS;
}
API(nvmlDeviceGetTotalEnergyConsumption)(const void *device, unsigned long long *millijoules)
{
    ENTER();
    GPU(device, NOT_SUPPORTED);
    return give_long(milliseconds() * gpu->power / 1000, millijoules);
}
API(nvmlDeviceGetSerial)(const void *device, char *serial, unsigned room)
{
    ENTER();
    GPU(device, NOT_SUPPORTED);
    char text[16];
    append_number(append(text, "165372405774"), gpu->minor);
    return give(text, serial, room);
}
API(nvmlDeviceGetVbiosVersion)(const void *device, char *version, unsigned room)
{
    ENTER();
    GPU(device, NOT_SUPPORTED);
    return give("96.00.A5.00.1A", version, room);
}
API(nvmlDeviceGetFanSpeed)(const void *device, unsigned *percent)
{
    ENTER();
    GPU(device, NOT_SUPPORTED);
    return gpu->fan < 0 ? NOT_SUPPORTED : give_number((unsigned)gpu->fan, percent);
}
static int clock(const struct gpu *gpu, unsigned kind, unsigned *mhz)
{
    return kind > 3 ? INVALID_ARGUMENT : give_number(kind == 2 ? gpu->memory_clock : gpu->clock, mhz);
}
API(nvmlDeviceGetClockInfo)(const void *device, unsigned kind, unsigned *mhz)
{
    ENTER();
    GPU(device, NOT_SUPPORTED);
    return clock(gpu, kind, mhz);
}
API(nvmlDeviceGetMaxClockInfo)(const void *device, unsigned kind, unsigned *mhz)
{
    ENTER();
    GPU(device, NOT_SUPPORTED);
    return clock(gpu, kind, mhz);
}
enum { GPU_IDLE = 1 };
API(nvmlDeviceGetCurrentClocksEventReasons)(const void *device, unsigned long long *bits)
{
    ENTER();
    GPU(device, NOT_SUPPORTED);
    return give_long(busy(gpu) ? 0 : GPU_IDLE, bits);
}
API(nvmlDeviceGetEncoderUtilization)(const void *device, unsigned *percent, unsigned *period)
{
    ENTER();
    GPU(device, NOT_SUPPORTED);
    int wrong = gpu->mig == 1 ? NOT_SUPPORTED : give_number(100000, period);
    return wrong ? wrong : give_number(gpu->encoder, percent);
}
API(nvmlDeviceGetDecoderUtilization)(const void *device, unsigned *percent, unsigned *period)
{
    ENTER();
    GPU(device, NOT_SUPPORTED);
    int wrong = gpu->mig == 1 ? NOT_SUPPORTED : give_number(100000, period);
    return wrong ? wrong : give_number(gpu->decoder, percent);
}
API(nvmlDeviceGetTemperatureThreshold)(const void *device, unsigned which, unsigned *celsius)
{
    ENTER();
    GPU(device, NOT_SUPPORTED);
    if (which > 1)
        return which > 7 ? INVALID_ARGUMENT : NOT_SUPPORTED;
    unsigned threshold = which ? gpu->slowdown : gpu->shutdown;
    return threshold ? give_number(threshold, celsius) : NOT_SUPPORTED;
}
API(nvmlDeviceGetEccMode)(const void *device, unsigned *current, unsigned *pending)
{
    ENTER();
    GPU(device, NOT_SUPPORTED);
    int wrong = give_number(1, current);
    return wrong ? wrong : give_number(1, pending);
}
API(nvmlDeviceGetTotalEccErrors)(const void *device, unsigned kind, unsigned since, unsigned long long *count)
{
    ENTER();
    GPU(device, NOT_SUPPORTED);
    return kind > 1 || since > 1 ? INVALID_ARGUMENT : give_long(kind ? gpu->uncorrected : gpu->corrected, count);
}
API(nvmlDeviceGetRetiredPagesPendingStatus)(const void *device, unsigned *pending)
{
    ENTER();
    GPU(device, NOT_SUPPORTED);
    return gpu->cc_major >= 8 ? NOT_SUPPORTED : give_number(0, pending); /* since Ampere rows are remapped instead */
}
API(nvmlDeviceGetRemappedRows)(const void *device, unsigned *corrected, unsigned *other, unsigned *pending, unsigned *failed)
{
    ENTER();
    GPU(device, NOT_SUPPORTED);
    if (gpu->cc_major < 8)
        return NOT_SUPPORTED;
    if (!corrected || !other || !pending || !failed)
        return INVALID_ARGUMENT;
    *corrected = (unsigned)gpu->corrected;
    *other = (unsigned)gpu->uncorrected;
    *pending = *failed = 0;
    return SUCCESS;
}
API(nvmlDeviceGetCurrPcieLinkGeneration)(const void *device, unsigned *generation)
{
    ENTER();
    GPU(device, NOT_SUPPORTED);
    return give_number(5, generation);
}
API(nvmlDeviceGetMaxPcieLinkGeneration)(const void *device, unsigned *generation)
{
    ENTER();
    GPU(device, NOT_SUPPORTED);
    return give_number(5, generation);
}
API(nvmlDeviceGetCurrPcieLinkWidth)(const void *device, unsigned *width)
{
    ENTER();
    GPU(device, NOT_SUPPORTED);
    return give_number(16, width);
}
API(nvmlDeviceGetMaxPcieLinkWidth)(const void *device, unsigned *width)
{
    ENTER();
    GPU(device, NOT_SUPPORTED);
    return give_number(16, width);
}
API(nvmlDeviceGetPcieReplayCounter)(const void *device, unsigned *count)
{
    ENTER();
    GPU(device, NOT_SUPPORTED);
    return give_number(0, count);
}
API(nvmlDeviceGetPcieThroughput)(const void *device, unsigned which, unsigned *kilobytes)
{
    ENTER();
    GPU(device, NOT_SUPPORTED);
    if (which > 1)
        return INVALID_ARGUMENT;
    long wait[2] = {0, 20000000}; /* as the driver does, which counts meanwhile */
    system_call(NR_PPOLL, 0, 0, (long)wait, 0, 0);
    return give_number(gpu->pcie, kilobytes);
}

struct field {
    unsigned id, scope;
    long long time, latency;
    unsigned type;
    int result;
    unsigned long long value;
};
enum { UNSIGNED_INT = 1, UNSIGNED_LONG_LONG = 3 };
static void fill(const struct gpu *gpu, struct field *field)
{
    unsigned long long seconds = milliseconds() / 1000;
    field->type = UNSIGNED_LONG_LONG;
    field->result = SUCCESS;
    switch (field->id) {
    case 82: /* temperature of the memory */
        field->type = UNSIGNED_INT;
        field->value = gpu->temperature + 6;
        return;
    case 91: /* NVLinks */
        field->type = UNSIGNED_INT;
        field->value = gpu->links;
        return;
    case 138: case 139: /* KiB over all of them */
        field->value = seconds * gpu->links * 1024;
        field->result = gpu->links ? SUCCESS : NOT_SUPPORTED;
        return;
    case 230: /* what the driver recommends */
        field->type = UNSIGNED_INT;
        field->value = gpu->xid == 79; /* it fell off the bus: a reset */
        return;
    default:
        field->result = NOT_SUPPORTED;
    }
}
API(nvmlDeviceGetFieldValues)(const void *device, int count, struct field *fields)
{
    ENTER();
    GPU(device, NOT_SUPPORTED);
    if (!fields || count < 0)
        return INVALID_ARGUMENT;
    for (int i = 0; i < count; i++)
        fill(gpu, &fields[i]);
    return SUCCESS;
}

API(nvmlDeviceGetEncoderStats)(const void *device, unsigned *sessions, unsigned *fps, unsigned *latency)
{
    ENTER();
    GPU(device, NOT_SUPPORTED);
    int wrong = give_number(gpu->encoder ? 1 : 0, sessions);
    wrong = wrong ? wrong : give_number(gpu->encoder ? 60 : 0, fps);
    return wrong ? wrong : give_number(gpu->encoder ? 4000 : 0, latency);
}
struct fabric {
    unsigned version;
    unsigned char cluster[16];
    unsigned status, clique;
    unsigned char state;
    unsigned health;
};
API(nvmlDeviceGetGpuFabricInfoV)(const void *device, struct fabric *to)
{
    ENTER();
    GPU(device, NOT_SUPPORTED);
    if (!to || to->version != 0x2000024u)
        return to ? ARGUMENT_VERSION_MISMATCH : INVALID_ARGUMENT;
    if (!gpu->links)
        return NOT_SUPPORTED;
    to->status = SUCCESS;
    to->state = 3; /* completed */
    return SUCCESS;
}
API(nvmlDeviceGetGridLicensableFeatures_v4)(const void *device, unsigned to[2])
{
    ENTER();
    GPU(device, NOT_SUPPORTED);
    int wrong = give_number(0, to); /* no virtual GPU: it needs no licence */
    return wrong ? wrong : give_number(0, &to[1]);
}

/* Each listener hears each error once. */
enum { TIMEOUT = 10, XID = 8, MOST_SETS = 8 };
static struct events { int used; unsigned heard; } events[MOST_SETS];
API(nvmlEventSetCreate)(struct events **set)
{
    ENTER();
    for (unsigned i = 0; set && i < MOST_SETS; i++)
        if (!events[i].used) {
            events[i].used = 1;
            events[i].heard = 0;
            *set = &events[i];
            return SUCCESS;
        }
    return INVALID_ARGUMENT;
}
API(nvmlEventSetFree)(struct events *set)
{
    ENTER();
    if (!set)
        return INVALID_ARGUMENT;
    set->used = 0;
    return SUCCESS;
}
API(nvmlDeviceRegisterEvents)(const void *device, unsigned long long kinds, struct events *set)
{
    ENTER();
    GPU(device, NOT_SUPPORTED);
    return set && gpu && kinds ? SUCCESS : INVALID_ARGUMENT;
}
struct event {
    const void *device;
    unsigned long long kind, data;
    unsigned gi, ci;
};
API(nvmlEventSetWait_v2)(struct events *set, struct event *to, unsigned timeout)
{
    ENTER();
    (void)timeout;
    if (!set || !to)
        return INVALID_ARGUMENT;
    while (set->heard < seen_count) {
        const struct gpu *gpu = seen[set->heard++];
        if (!gpu->xid)
            continue;
        to->device = gpu;
        to->kind = XID;
        to->data = gpu->xid;
        to->gi = to->ci = NONE;
        return SUCCESS;
    }
    return TIMEOUT;
}

/* "GPM": counters of Hopper and later. A sample is only a place here; the metrics follow the utilization. */
enum { MOST_SAMPLES = 1024 };
static short samples[MOST_SAMPLES]; /* 0 free, 1 taken, then 2 and the number of a GPU, then those of instances */
API(nvmlGpmQueryDeviceSupport)(const void *device, unsigned support[2])
{
    ENTER();
    GPU(device, NOT_SUPPORTED);
    if (!support || support[0] != 1)
        return support ? ARGUMENT_VERSION_MISMATCH : INVALID_ARGUMENT;
    return give_number(gpu->cc_major >= 9, &support[1]);
}
API(nvmlGpmSampleAlloc)(short **sample)
{
    ENTER();
    for (unsigned i = 0; sample && i < MOST_SAMPLES; i++)
        if (!samples[i]) {
            samples[i] = 1;
            *sample = &samples[i];
            return SUCCESS;
        }
    return INVALID_ARGUMENT;
}
API(nvmlGpmSampleFree)(short *sample)
{
    ENTER();
    if (!sample || !*sample)
        return INVALID_ARGUMENT;
    *sample = 0;
    return SUCCESS;
}
API(nvmlGpmSampleGet)(const void *device, short *sample)
{
    ENTER();
    GPU(device, NOT_SUPPORTED);
    if (!sample || !*sample)
        return INVALID_ARGUMENT;
    *sample = (short)(2 + (gpu - gpus));
    return SUCCESS;
}
API(nvmlGpmMigSampleGet)(const void *device, unsigned gi, short *sample)
{
    ENTER();
    GPU(device, NOT_SUPPORTED);
    if (!sample || !*sample)
        return INVALID_ARGUMENT;
    for (unsigned i = 0; i < INSTANCE_COUNT; i++)
        if (&gpus[instances[i].gpu] == gpu && instances[i].gi == gi) {
            *sample = (short)(2 + GPU_COUNT + i);
            return SUCCESS;
        }
    return INVALID_ARGUMENT;
}
/* What the processes in a GPU instance use of it. */
static unsigned busy_instance(const struct instance *instance)
{
    unsigned count, sum = 0;
    const struct process *now = running_now(&count);
    for (unsigned i = 0; i < count; i++)
        if (now[i].gpu == instance->gpu && now[i].gi == instance->gi)
            sum += now[i].utilization;
    return sum > 100 ? 100 : sum;
}
struct metric {
    unsigned id;
    int result;
    double value;
    const char *short_name, *long_name, *unit;
};
struct metrics {
    unsigned version, count;
    const short *before, *now;
    struct metric metrics[];
};
enum { DECODERS = 30, DECODERS_END = 37 };
API(nvmlGpmMetricsGet)(struct metrics *asked)
{
    ENTER();
    if (!asked || asked->version != 1 || !asked->before || !asked->now || *asked->before != *asked->now)
        return INVALID_ARGUMENT;
    unsigned place = (unsigned)*asked->now - 2;
    const struct instance *instance = place < GPU_COUNT ? NULL : &instances[place - GPU_COUNT];
    const struct gpu *gpu = instance ? &gpus[instance->gpu] : &gpus[place];
    unsigned used = instance ? busy_instance(instance) : busy(gpu);
    for (unsigned i = 0; i < asked->count; i++) {
        struct metric *each = &asked->metrics[i];
        if (each->id > DECODERS_END)
            return INVALID_ARGUMENT; /* encoders: this driver has not heard of them */
        each->result = each->id <= DECODERS + 1 ? SUCCESS : NOT_SUPPORTED;
        each->value = each->id >= DECODERS ? gpu->decoder / (double)(each->id - DECODERS + 1)
            : each->id >= 20 ? gpu->pcie / 1024.0 : used / (each->id == 5 ? 2.0 : 1.0);
    }
    return SUCCESS;
}

struct use {
    unsigned pid;
    unsigned long long time;
    unsigned multiprocessors, memory, encoder, decoder;
};
API(nvmlDeviceGetProcessUtilization)(const void *device, struct use *to, unsigned *count, unsigned long long since)
{
    ENTER();
    GPU(device, NOT_SUPPORTED);
    if (!count)
        return INVALID_ARGUMENT;
    if (gpu->mig == 1)
        return NOT_SUPPORTED;
    unsigned everybody, found = 0, room = to ? *count : 0;
    const struct process *now = running_now(&everybody);
    for (unsigned i = 0; i < everybody; i++) {
        if (&gpus[now[i].gpu] != gpu || !now[i].utilization)
            continue; /* the driver has no sample of who did nothing */
        if (found < room)
            to[found] = (struct use){now[i].pid, since + 1, now[i].utilization, now[i].utilization / 2, 0, 0};
        found++;
    }
    *count = found;
    return !found ? NOT_FOUND : found > room ? INSUFFICIENT_SIZE : SUCCESS;
}
API(nvmlDeviceGetTemperature)(const void *device, unsigned sensor, unsigned *celsius)
{
    ENTER();
    GPU(device, NOT_SUPPORTED);
    return sensor == 0 ? give_number(gpu->temperature, celsius) : INVALID_ARGUMENT;
}
API(nvmlDeviceGetTemperatureV)(const void *device, unsigned reading[3])
{
    ENTER();
    GPU(device, NOT_SUPPORTED);
    if (!reading)
        return INVALID_ARGUMENT;
    if (reading[0] != 0x100000cu)
        return ARGUMENT_VERSION_MISMATCH;
    return reading[1] == 0 ? give_number(gpu->temperature, &reading[2]) : INVALID_ARGUMENT;
}
API(nvmlDeviceGetUtilizationRates)(const void *device, unsigned rates[2])
{
    ENTER();
    GPU(device, NOT_SUPPORTED);
    if (!rates || gpu->mig == 1)
        return rates ? NOT_SUPPORTED : INVALID_ARGUMENT; /* a partitioned GPU has no figure of its own */
    rates[0] = busy(gpu);
    rates[1] = gpu->memory_utilization;
    return SUCCESS;
}

/* The processes of the description and those of the file "processes", whose lines are: GPU PID BYTES UTILIZATION NAME */
enum { MOST_BESIDE = 256 };
static const struct process *running_now(unsigned *count)
{
    static char text[32768];
    static struct process all[PROCESS_COUNT + MOST_BESIDE];
    unsigned found = 0;
    for (; found < PROCESS_COUNT; found++)
        all[found] = processes[found];
    beside("processes", text, sizeof text);
    for (char *line = text; *line && found < PROCESS_COUNT + MOST_BESIDE;) {
        const char *at = line;
        struct process *each = &all[found];
        each->gpu = (unsigned)digits(&at);
        each->gi = each->ci = NONE;
        each->pid = (unsigned)digits(&at);
        each->used = digits(&at);
        each->utilization = (unsigned)digits(&at);
        each->graphics = 0;
        each->name = at + (*at == ' ');
        while (*line && *line != '\n')
            line++;
        if (*line)
            *line++ = 0;
        found += each->pid && each->gpu < GPU_COUNT;
    }
    *count = found;
    return all;
}

/* Does the process run on what HANDLE stands for? A partitioned GPU answers for its instances too. */
static int runs_on(const struct process *process, const void *handle)
{
    const struct instance *instance = as_instance(handle);
    if (instance)
        return process->gpu == instance->gpu && process->gi == instance->gi && process->ci == instance->ci;
    return &gpus[process->gpu] == handle;
}

struct memory_v1 {
    unsigned long long total, free, used;
};
struct memory_v2 {
    unsigned version;
    unsigned long long total, reserved, free, used;
};
static int memory(const void *device, struct memory_v2 *to)
{
    const struct instance *instance = as_instance(device);
    const struct gpu *gpu = owner(device);
    if (!gpu || !to)
        return INVALID_ARGUMENT;
    if (is_lost(gpu))
        return GPU_IS_LOST;
    to->total = instance ? instance->memory : gpu->memory;
    to->reserved = instance ? 0 : gpu->reserved;
    to->used = 0;
    unsigned count;
    const struct process *now = running_now(&count);
    for (unsigned i = 0; i < count; i++)
        if (runs_on(&now[i], device) && now[i].used != ~0ull)
            to->used += now[i].used;
    to->free = to->total - to->reserved - to->used;
    return SUCCESS;
}
API(nvmlDeviceGetMemoryInfo)(const void *device, struct memory_v1 *to)
{
    ENTER();
    struct memory_v2 answer;
    int wrong = to ? memory(device, &answer) : INVALID_ARGUMENT;
    if (wrong)
        return wrong;
    to->total = answer.total;
    to->free = answer.free;
    to->used = answer.used + answer.reserved; /* the first version has no word for "reserved" */
    return SUCCESS;
}
API(nvmlDeviceGetMemoryInfo_v2)(const void *device, struct memory_v2 *to)
{
    ENTER();
    if (to && to->version != (sizeof *to | 2u << 24))
        return ARGUMENT_VERSION_MISMATCH;
    return memory(device, to);
}

struct process_v1 {
    unsigned pid;
    unsigned long long used;
};
struct process_v2 {
    unsigned pid;
    unsigned long long used;
    unsigned gi, ci;
};
static int running(const void *device, int graphics, unsigned *count, void *to, size_t size)
{
    unsigned found = 0, room;
    if (!owner(device) || !count)
        return INVALID_ARGUMENT;
    if (is_lost(owner(device)))
        return GPU_IS_LOST;
    room = to ? *count : 0;
    unsigned everybody;
    const struct process *now = running_now(&everybody);
    for (unsigned i = 0; i < everybody; i++) {
        const struct process *process = &now[i];
        if (process->graphics != graphics || !runs_on(process, device))
            continue;
        if (found < room) {
            struct process_v2 *slot = (struct process_v2 *)((char *)to + found * size);
            slot->pid = process->pid;
            slot->used = process->used;
            if (size == sizeof *slot) {
                slot->gi = process->gi;
                slot->ci = process->ci;
            }
        }
        found++;
    }
    *count = found;
    return found > room ? INSUFFICIENT_SIZE : SUCCESS;
}
#define RUNNING(name, graphics, type) \
    API(name)(const void *device, unsigned *count, type *to) \
    { \
        ENTER(); \
        return running(device, graphics, count, to, sizeof(type)); \
    }
enum { COMPUTE, GRAPHICS, MPS };
RUNNING(nvmlDeviceGetComputeRunningProcesses, COMPUTE, struct process_v1)
RUNNING(nvmlDeviceGetComputeRunningProcesses_v2, COMPUTE, struct process_v2)
RUNNING(nvmlDeviceGetComputeRunningProcesses_v3, COMPUTE, struct process_v2)
RUNNING(nvmlDeviceGetGraphicsRunningProcesses, GRAPHICS, struct process_v1)
RUNNING(nvmlDeviceGetGraphicsRunningProcesses_v2, GRAPHICS, struct process_v2)
RUNNING(nvmlDeviceGetGraphicsRunningProcesses_v3, GRAPHICS, struct process_v2)
RUNNING(nvmlDeviceGetMPSComputeRunningProcesses, MPS, struct process_v1)
RUNNING(nvmlDeviceGetMPSComputeRunningProcesses_v2, MPS, struct process_v2)
RUNNING(nvmlDeviceGetMPSComputeRunningProcesses_v3, MPS, struct process_v2)
