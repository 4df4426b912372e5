/* nvidia-smi of a simulated machine. It finds libnvidia-ml.so.1 by its SONAME, so it proves a container's linker set-up.

   It asks for the oldest symbol versions only and starts itself, so that it runs with a glibc older than the builder's. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__x86_64__)
#define OLDEST "GLIBC_2.2.5"
__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tmov %rdx, %rsi\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall begin\n");
#else
#define OLDEST "GLIBC_2.17"
__asm__(".globl _start\n_start:\n\tmov x29, #0\n\tmov x1, x0\n\tmov x0, sp\n\tbl begin\n");
#endif
__asm__(".symver dlopen, dlopen@" OLDEST);
__asm__(".symver dlsym, dlsym@" OLDEST);
__asm__(".symver __libc_start_main, __libc_start_main@" OLDEST);

#define NOTICE "SIMULATED GPUs by gpudock: no NVIDIA driver and no GPU is at work here."

enum { FOUND = 0, NOT_SUPPORTED = 3, DRIVER_NOT_LOADED = 9, NO_LIBRARY = 12, BAD_ARGUMENT = 2, NO_DEVICES = 6 };

typedef const void *device;
struct memory { unsigned version; unsigned long long total, reserved, free, used; };
struct pci { char legacy[16]; unsigned domain, bus, device, id, subsystem; char bus_id[32]; };
struct process { unsigned pid; unsigned long long used; unsigned gi, ci; };
struct attributes { unsigned sm, ce, dec, enc, jpg, ofa, gi_slices, ci_slices; unsigned long long memory_mib; };

static void *library;

/* A missing function is an error of the library and not of the user: say which, stop. */
static void *function(const char *name)
{
    void *found = dlsym(library, name);
    if (!found) {
        fprintf(stderr, "nvidia-smi (SIMULATED): libnvidia-ml.so.1 has no %s.\n", name);
        exit(13);
    }
    return found;
}
#define NVML(name, ...) ((int (*)(__VA_ARGS__))function("nvml" #name))

static unsigned number(const char *name, device handle)
{
    unsigned value = 0;
    ((int (*)(device, unsigned *))function(name))(handle, &value);
    return value;
}
static void text(const char *name, device handle, char *to, unsigned room)
{
    to[0] = 0;
    ((int (*)(device, char *, unsigned))function(name))(handle, to, room);
}
static device gpu_at(unsigned index)
{
    device handle = NULL;
    NVML(DeviceGetHandleByIndex_v2, unsigned, device *)(index, &handle);
    return handle;
}
static device instance_at(device gpu, unsigned index)
{
    device handle = NULL;
    int wrong = NVML(DeviceGetMigDeviceHandleByIndex, device, unsigned, device *)(gpu, index, &handle);
    return wrong ? NULL : handle;
}
static const char *mig_mode(device gpu)
{
    unsigned current = 0, pending = 0;
    int wrong = NVML(DeviceGetMigMode, device, unsigned *, unsigned *)(gpu, &current, &pending);
    return wrong ? "N/A" : current ? "Enabled" : "Disabled";
}
static struct memory memory_of(device handle)
{
    struct memory memory = {.version = sizeof memory | 2u << 24};
    NVML(DeviceGetMemoryInfo_v2, device, struct memory *)(handle, &memory);
    return memory;
}
static void bus_id_of(device gpu, char to[32])
{
    struct pci pci = {.bus_id = ""};
    NVML(DeviceGetPciInfo_v3, device, struct pci *)(gpu, &pci);
    strcpy(to, pci.bus_id);
}
static unsigned long mib(unsigned long long bytes) { return (unsigned long)(bytes >> 20); }

static int list(unsigned count)
{
    char name[96], uuid[96];
    for (unsigned i = 0; i < count; i++) {
        device gpu = gpu_at(i), instance;
        text("nvmlDeviceGetName", gpu, name, sizeof name);
        text("nvmlDeviceGetUUID", gpu, uuid, sizeof uuid);
        printf("GPU %u: %s (UUID: %s)\n", i, name, uuid);
        for (unsigned m = 0; (instance = instance_at(gpu, m)); m++) {
            text("nvmlDeviceGetName", instance, name, sizeof name);
            text("nvmlDeviceGetUUID", instance, uuid, sizeof uuid);
            const char *profile = strstr(name, " MIG ");
            printf("  MIG %-11s Device %2u: (UUID: %s)\n", profile ? profile + 5 : name, m, uuid);
        }
    }
    if (!count)
        puts("No devices found.");
    return FOUND;
}

static const char *const field_names[] = {"index", "uuid", "name", "driver_version", "pci.bus_id", "memory.total",
    "memory.used", "memory.free", "compute_cap", "mig.mode.current", "persistence_mode", "utilization.gpu",
    "temperature.gpu", "power.draw", "power.limit", "pstate", "count", NULL};
static const char *const field_units[] = {"", "", "", "", "", "MiB", "MiB", "MiB", "", "", "", "%", "", "W", "W", "", ""};
enum field { INDEX, UUID, NAME, DRIVER, BUS, TOTAL, USED, FREE, CAPABILITY, MIG, PERSISTENCE, UTILIZATION, TEMPERATURE, DRAW, LIMIT, PSTATE, COUNT };

static int field_of(const char *name)
{
    if (!strcmp(name, "gpu_uuid"))
        return UUID;
    if (!strcmp(name, "gpu_name"))
        return NAME;
    if (!strcmp(name, "gpu_bus_id"))
        return BUS;
    for (int i = 0; field_names[i]; i++)
        if (!strcmp(field_names[i], name))
            return i;
    return -1;
}
static void field_value(enum field field, unsigned index, unsigned count, char to[128])
{
    device gpu = gpu_at(index);
    unsigned rates[2];
    int major = 0, minor = 0;
    switch (field) {
    case INDEX: sprintf(to, "%u", index); break;
    case COUNT: sprintf(to, "%u", count); break;
    case UUID: text("nvmlDeviceGetUUID", gpu, to, 128); break;
    case NAME: text("nvmlDeviceGetName", gpu, to, 128); break;
    case DRIVER: NVML(SystemGetDriverVersion, char *, unsigned)(to, 128); break;
    case BUS: bus_id_of(gpu, to); break;
    case TOTAL: sprintf(to, "%lu", mib(memory_of(gpu).total)); break;
    case USED: sprintf(to, "%lu", mib(memory_of(gpu).used)); break;
    case FREE: sprintf(to, "%lu", mib(memory_of(gpu).free)); break;
    case MIG: strcpy(to, mig_mode(gpu)); break;
    case PERSISTENCE: strcpy(to, number("nvmlDeviceGetPersistenceMode", gpu) ? "Enabled" : "Disabled"); break;
    case TEMPERATURE: sprintf(to, "%u", NVML(DeviceGetTemperature, device, unsigned, unsigned *)(gpu, 0, rates) ? 0 : rates[0]); break;
    case DRAW: sprintf(to, "%.2f", number("nvmlDeviceGetPowerUsage", gpu) / 1000.0); break;
    case LIMIT: sprintf(to, "%.2f", number("nvmlDeviceGetEnforcedPowerLimit", gpu) / 1000.0); break;
    case PSTATE: sprintf(to, "P%u", number("nvmlDeviceGetPerformanceState", gpu)); break;
    case CAPABILITY:
        NVML(DeviceGetCudaComputeCapability, device, int *, int *)(gpu, &major, &minor);
        sprintf(to, "%d.%d", major, minor);
        break;
    case UTILIZATION:
        if (NVML(DeviceGetUtilizationRates, device, unsigned *)(gpu, rates))
            strcpy(to, "[N/A]");
        else
            sprintf(to, "%u", rates[0]);
        break;
    }
}
/* --query-gpu=FIELDS --format=csv[,noheader][,nounits] */
static int query(char *fields, const char *format, unsigned count)
{
    enum field asked[64];
    unsigned asked_count = 0;
    int units = !strstr(format, "nounits");
    for (char *name = strtok(fields, ", "); name && asked_count < 64; name = strtok(NULL, ", ")) {
        int field = field_of(name);
        if (field < 0) {
            printf("Field \"%s\" is not a valid field to query.\n", name);
            return BAD_ARGUMENT;
        }
        asked[asked_count++] = (enum field)field;
    }
    for (unsigned i = 0; i < asked_count && !strstr(format, "noheader"); i++) {
        const char *unit = field_units[asked[i]];
        printf("%s%s", i ? ", " : "", field_names[asked[i]]);
        printf(units && *unit ? " [%s]%s" : "%.0s%s", unit, i + 1 == asked_count ? "\n" : "");
    }
    for (unsigned g = 0; g < count; g++)
        for (unsigned i = 0; i < asked_count; i++) {
            char value[128] = "";
            field_value(asked[i], g, count, value);
            const char *unit = units && *value != '[' ? field_units[asked[i]] : "";
            printf("%s%s%s%s%s", i ? ", " : "", value, *unit ? " " : "", unit, i + 1 == asked_count ? "\n" : "");
        }
    if (count)
        return FOUND;
    puts("No devices were found");
    return NO_DEVICES;
}

#define RULE "+-----------------------------------------+------------------------+----------------------+\n"
#define WIDE "+-----------------------------------------------------------------------------------------+\n"

static void heading(void)
{
    char date[64], driver[96] = "";
    time_t now = time(NULL);
    int cuda = 0;
    strftime(date, sizeof date, "%a %b %e %H:%M:%S %Y", localtime(&now));
    NVML(SystemGetDriverVersion, char *, unsigned)(driver, sizeof driver);
    NVML(SystemGetCudaDriverVersion_v2, int *)(&cuda);
    char shown[24];
    sprintf(shown, "%d.%d", cuda / 1000, cuda % 1000 / 10);
    printf("%s       \n%s\n" WIDE, date, NOTICE);
    printf("| NVIDIA-SMI %-22s Driver Version: %-14s CUDA Version: %-8s |\n", driver, driver, shown);
    printf("%s",
        RULE
        "| GPU  Name                 Persistence-M | Bus-Id          Disp.A | Volatile Uncorr. ECC |\n"
        "| Fan  Temp   Perf          Pwr:Usage/Cap |           Memory-Usage | GPU-Util  Compute M. |\n"
        "|                                         |                        |               MIG M. |\n"
        "|=========================================+========================+======================|\n");
}
static void gpu_rows(unsigned index)
{
    device gpu = gpu_at(index);
    char name[96], bus[32], utilization[16] = "N/A";
    const char *mig = mig_mode(gpu);
    struct memory memory = memory_of(gpu);
    unsigned rates[2], celsius = 0;
    text("nvmlDeviceGetName", gpu, name, sizeof name);
    if (strlen(name) > 27)
        strcpy(name + 24, "...");
    bus_id_of(gpu, bus);
    NVML(DeviceGetTemperature, device, unsigned, unsigned *)(gpu, 0, &celsius);
    if (!NVML(DeviceGetUtilizationRates, device, unsigned *)(gpu, rates))
        sprintf(utilization, "%u%%", rates[0]);
    printf("| %3u  %-31s%-3s |   %s Off | %20s |\n", index, name,
        number("nvmlDeviceGetPersistenceMode", gpu) ? "On" : "Off", bus, strcmp(mig, "Enabled") ? "0" : "On");
    printf("| N/A  %3uC    P%-2u %13uW / %4uW | %7luMiB / %6luMiB | %7s %12s |\n", celsius,
        number("nvmlDeviceGetPerformanceState", gpu), number("nvmlDeviceGetPowerUsage", gpu) / 1000,
        number("nvmlDeviceGetEnforcedPowerLimit", gpu) / 1000, mib(memory.used), mib(memory.total), utilization, "Default");
    printf("| %39s | %22s | %20s |\n" RULE, "", "", mig);
}
static void instance_rows(unsigned count)
{
    int partitioned = 0, shown = 0;
    for (unsigned i = 0; i < count; i++)
        partitioned |= !strcmp(mig_mode(gpu_at(i)), "Enabled");
    if (!partitioned)
        return;
    printf("%s",
        "\n" WIDE
        "| MIG devices:                                                                            |\n"
        "+------------------+----------------------------------+-----------+-----------------------+\n"
        "| GPU  GI  CI  MIG |                     Memory-Usage |        Vol|        Shared         |\n"
        "|      ID  ID  Dev |                       BAR1-Usage | SM     Unc| CE ENC  DEC  OFA  JPG |\n"
        "|                  |                                  |        ECC|                       |\n"
        "|==================+==================================+===========+=======================|\n");
    for (unsigned i = 0; i < count; i++) {
        device gpu = gpu_at(i), instance;
        for (unsigned m = 0; (instance = instance_at(gpu, m)); m++, shown++) {
            struct memory memory = memory_of(instance);
            struct attributes has = {0};
            NVML(DeviceGetAttributes_v2, device, struct attributes *)(instance, &has);
            printf("|%3u  %3u %3u %3u  |%16luMiB / %5luMiB    |%3u %6u |%3u %3u %4u %4u %4u |\n", i,
                number("nvmlDeviceGetGpuInstanceId", instance), number("nvmlDeviceGetComputeInstanceId", instance), m,
                mib(memory.used), mib(memory.total), has.sm, 0, has.ce, has.enc, has.dec, has.ofa, has.jpg);
            printf("|                  |%18luMiB / %5luMiB  |           |                       |\n", 0ul, 0ul);
            printf("+------------------+----------------------------------+-----------+-----------------------+\n");
        }
    }
    if (!shown)
        printf("|  No MIG devices found                                                                   |\n" WIDE);
}
static unsigned process_rows(unsigned index, char type, const char *name)
{
    struct process processes[256];
    unsigned count = 256;
    int wrong = ((int (*)(device, unsigned *, struct process *))function(name))(gpu_at(index), &count, processes);
    for (unsigned i = 0; !wrong && i < count; i++) {
        char program[1024] = "[Not Found]", ids[24], used[24] = "N/A   ";
        NVML(SystemGetProcessName, unsigned, char *, unsigned)(processes[i].pid, program, sizeof program);
        if (processes[i].gi == ~0u)
            strcpy(ids, "   N/A  N/A");
        else
            sprintf(ids, "%5u%5u ", processes[i].gi, processes[i].ci);
        if (processes[i].used != ~0ull)
            sprintf(used, "%luMiB", mib(processes[i].used));
        printf("|%5u%s%16u%7c   %-33.33s%13s |\n", index, ids, processes[i].pid, type, program, used);
    }
    return wrong ? 0 : count;
}
static int table(unsigned count)
{
    unsigned running = 0;
    if (!count) {
        puts(NOTICE "\nNo devices were found");
        return NO_DEVICES;
    }
    heading();
    for (unsigned i = 0; i < count; i++)
        gpu_rows(i);
    instance_rows(count);
    printf("%s",
        "\n" WIDE
        "| Processes:                                                                              |\n"
        "|  GPU   GI   CI              PID   Type   Process name                        GPU Memory |\n"
        "|        ID   ID                                                               Usage      |\n"
        "|=========================================================================================|\n");
    for (unsigned i = 0; i < count; i++) {
        running += process_rows(i, 'C', "nvmlDeviceGetComputeRunningProcesses_v3");
        running += process_rows(i, 'G', "nvmlDeviceGetGraphicsRunningProcesses_v3");
    }
    if (!running)
        printf("|  No running processes found                                                             |\n");
    printf(WIDE);
    return FOUND;
}

static int failed(int error)
{
    fprintf(stderr, "%s\n", NOTICE);
    if (error == DRIVER_NOT_LOADED)
        puts("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. "
             "Make sure that the latest NVIDIA driver is installed and running.");
    printf("Failed to initialize NVML: %s\n", ((const char *(*)(int))function("nvmlErrorString"))(error));
    return error < 255 ? error : 255;
}

int main(int argc, char **argv)
{
    char *fields = NULL;
    const char *format = "";
    int list_only = 0;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "-L") || !strcmp(argv[i], "--list-gpus"))
            list_only = 1;
        else if (!strncmp(argv[i], "--query-gpu=", 12))
            fields = argv[i] + 12;
        else if (!strncmp(argv[i], "--format=csv", 12))
            format = argv[i] + 9;
        else {
            fprintf(stderr, "%s\nInvalid argument: %s. This one knows -L, --query-gpu=FIELDS and --format=csv[,noheader][,nounits].\n",
                NOTICE, argv[i]);
            return BAD_ARGUMENT;
        }
    }
    if (fields && !*format) {
        fprintf(stderr, "%s\n\"--format=\" switch is missing.\n", NOTICE);
        return BAD_ARGUMENT;
    }
    library = dlopen("libnvidia-ml.so.1", RTLD_NOW);
    if (!library) {
        fprintf(stderr, "%s\n", NOTICE);
        puts("NVIDIA-SMI couldn't find libnvidia-ml.so library in your system. Please make sure that the NVIDIA Display "
             "Driver is properly installed and present in your system.");
        return NO_LIBRARY;
    }
    int wrong = NVML(Init_v2, void)();
    if (wrong)
        return failed(wrong);
    unsigned count = 0;
    NVML(DeviceGetCount_v2, unsigned *)(&count);
    if (list_only || fields)
        fprintf(stderr, "%s\n", NOTICE);
    int code = fields ? query(fields, format, count) : list_only ? list(count) : table(count);
    NVML(Shutdown, void)();
    return code;
}

extern int __libc_start_main(int (*)(int, char **), int, char **, void (*)(void), void (*)(void), void (*)(void), void *);

__attribute__((used, noreturn)) void begin(long *stack, void (*at_exit)(void))
{
    __libc_start_main((int (*)(int, char **))(void (*)(void))main, (int)stack[0], (char **)(stack + 1), NULL, NULL, at_exit, stack);
    for (;;)
        ;
}
