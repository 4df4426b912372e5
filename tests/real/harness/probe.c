/* Says what a program inside a container finds. For each argument, in order:
 *
 *     NAME     NAME ok FOUND REAL     the loader found NAME at FOUND, a link to (or itself) REAL
 *              NAME fail ERROR
 *     --nvml   nvml.init CODE, nvml.driver VERSION, nvml.count N, nvml.uuid.INDEX UUID
 *     --cuda   cuda.init CODE, cuda.version N, cuda.count N
 *              ... or nvml.load / cuda.load ERROR
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int (*no_argument)(void);
typedef int (*takes_flags)(unsigned);
typedef int (*gives_int)(int *);
typedef int (*gives_unsigned)(unsigned *);
typedef int (*gives_text)(char *, unsigned);
typedef int (*gives_handle)(unsigned, void **);
typedef int (*gives_text_of)(void *, char *, unsigned);

static void report_library(const char *name) {
    void *library = dlopen(name, RTLD_NOW);
    struct link_map *map;
    char real[PATH_MAX];
    if (library == NULL) {
        printf("%s fail %s\n", name, dlerror());
    } else if (dlinfo(library, RTLD_DI_LINKMAP, &map) != 0) {
        printf("%s fail dlinfo: %s\n", name, dlerror());
    } else {
        printf("%s ok %s %s\n", name, map->l_name, realpath(map->l_name, real) != NULL ? real : "?");
    }
}

/* The library, or NULL after a line that says why there is none. */
static void *open_for(const char *prefix, const char *name) {
    void *library = dlopen(name, RTLD_NOW);
    if (library == NULL) {
        printf("%s.load %s\n", prefix, dlerror());
    }
    return library;
}

static void *function(void *library, const char *name) {
    void *found = dlsym(library, name);
    if (found == NULL) {
        printf("missing %s\n", name);
        fflush(stdout);
        exit(1);
    }
    return found;
}

static void report_nvml(void) {
    char text[256];
    unsigned count = 0;
    void *library = open_for("nvml", "libnvidia-ml.so.1");
    if (library == NULL) {
        return;
    }
    int code = ((no_argument)function(library, "nvmlInit_v2"))();
    printf("nvml.init %d\n", code);
    if (code != 0) {
        return;
    }
    code = ((gives_text)function(library, "nvmlSystemGetDriverVersion"))(text, sizeof text);
    printf("nvml.driver %s\n", code == 0 ? text : "?");
    code = ((gives_unsigned)function(library, "nvmlDeviceGetCount_v2"))(&count);
    printf("nvml.count %u\n", count);
    for (unsigned index = 0; code == 0 && index < count; index++) {
        void *device = NULL;
        code = ((gives_handle)function(library, "nvmlDeviceGetHandleByIndex_v2"))(index, &device);
        if (code == 0) {
            code = ((gives_text_of)function(library, "nvmlDeviceGetUUID"))(device, text, sizeof text);
        }
        printf("nvml.uuid.%u %s\n", index, code == 0 ? text : "?");
    }
    ((no_argument)function(library, "nvmlShutdown"))();
}

static void report_cuda(void) {
    int number = 0;
    void *library = open_for("cuda", "libcuda.so.1");
    if (library == NULL) {
        return;
    }
    int code = ((takes_flags)function(library, "cuInit"))(0);
    printf("cuda.init %d\n", code);
    if (code != 0) {
        return;
    }
    code = ((gives_int)function(library, "cuDriverGetVersion"))(&number);
    printf("cuda.version %d\n", code == 0 ? number : -1);
    code = ((gives_int)function(library, "cuDeviceGetCount"))(&number);
    printf("cuda.count %d\n", code == 0 ? number : -1);
}

int main(int argc, char **argv) {
    for (int index = 1; index < argc; index++) {
        if (strcmp(argv[index], "--nvml") == 0) {
            report_nvml();
        } else if (strcmp(argv[index], "--cuda") == 0) {
            report_cuda();
        } else {
            report_library(argv[index]);
        }
        fflush(stdout); /* a library that ends the process does not take the lines before with it */
    }
    return 0;
}
