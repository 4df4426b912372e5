/* Prints what EGL's devices render with: one line for each device that gives a context without any display. Linked to
 * nothing but the C library: what is loaded is the container's own EGL, whoever provides it.
 */
#include <dlfcn.h>
#include <stdio.h>

typedef void *handle;
enum { PLATFORM_DEVICE = 0x313F, OPENGL = 0x30A2, NONE = 0x3038, RENDERER = 0x1F01, SURFACE_TYPE = 0x3033, PBUFFER = 1 };

int main(void) {
    handle library = dlopen("libEGL.so.1", RTLD_NOW);
    if (!library) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    handle (*address)(const char *) = (handle(*)(const char *))dlsym(library, "eglGetProcAddress");
#define FUNCTION(result, name, ...) result (*name)(__VA_ARGS__) = (result(*)(__VA_ARGS__))address(#name)
    FUNCTION(unsigned, eglQueryDevicesEXT, int, handle *, int *);
    FUNCTION(handle, eglGetPlatformDisplayEXT, unsigned, handle, const int *);
    FUNCTION(unsigned, eglInitialize, handle, int *, int *);
    FUNCTION(unsigned, eglBindAPI, unsigned);
    FUNCTION(unsigned, eglChooseConfig, handle, const int *, handle *, int, int *);
    FUNCTION(handle, eglCreateContext, handle, handle, handle, const int *);
    FUNCTION(unsigned, eglMakeCurrent, handle, handle, handle, handle);
    FUNCTION(const unsigned char *, glGetString, unsigned);
    handle devices[32];
    int count = 0;
    if (!eglQueryDevicesEXT || !eglQueryDevicesEXT(32, devices, &count)) return 2;
    for (int i = 0; i < count; i++) {
        handle display = eglGetPlatformDisplayEXT(PLATFORM_DEVICE, devices[i], NULL), config;
        const int wanted[] = {SURFACE_TYPE, PBUFFER, NONE};
        int found = 0;
        if (!display || !eglInitialize(display, NULL, NULL) || !eglBindAPI(OPENGL)) continue;
        if (!eglChooseConfig(display, wanted, &config, 1, &found) || !found) continue;
        handle context = eglCreateContext(display, config, NULL, NULL);
        if (!context || !eglMakeCurrent(display, NULL, NULL, context)) continue;
        printf("EGL device %d: renderer %s\n", i, glGetString(RENDERER));
    }
    return 0;
}
