"""Where distributions and installers put the driver's libraries: data."""

WSL_FOLDER = "/usr/lib/wsl"
TRIPLETS = {"x86_64": ("x86_64-linux-gnu", "i386-linux-gnu"), "aarch64": ("aarch64-linux-gnu", "arm-linux-gnueabihf")}


def library_folders(architecture: str) -> tuple[str, ...]:
    """Places to look besides those that the linker cache names."""
    folders = [
        "/usr/lib64",
        "/lib64",
        "/usr/lib",
        "/lib",
        "/usr/lib32",
        "/usr/local/nvidia/lib64",
        "/usr/local/nvidia/lib",
    ]
    for triplet in TRIPLETS.get(architecture, ()):
        folders += [f"/usr/lib/{triplet}", f"/lib/{triplet}", f"/usr/lib/{triplet}/nvidia/current"]
    return (*folders, "/run/opengl-driver/lib", "/run/opengl-driver-32/lib", "/usr/lib/wsl/lib")
