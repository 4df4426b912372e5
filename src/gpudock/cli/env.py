"""`gpudock env VERB`: environments. The everyday verbs are at the top level too."""

from gpudock.cli.verb import Verbs

INIT = ("env_init", "init", "Write a first, commented gpudock.yaml.")
LOCK = ("env_lock", "lock", "Settle base, packages and CUDA in gpudock.lock; check it.")
BUILD = ("env_build", "build", "Build the image of gpudock.lock.")

env = Verbs(
    """Environments: one file in a folder, gpudock.yaml, one command to a running notebook with the right CUDA.

    \b
    gpudock init && gpudock up
    """,
    {
        "init": INIT,
        "lock": LOCK,
        "build": BUILD,
        "up": ("env_up", "up", "Build what is missing, start, wait for the services, show their addresses."),
        "run": ("env_up", "run", "Run one command in a new container of the environment."),
        "shell": ("env_use", "shell", "A shell in it, as you."),
        "exec": ("env_use", "exec_", "Run a command in it; --root as root."),
        "attach": ("env_use", "attach", "Its first shell, or its tmux or screen."),
        "ls": ("env_life", "ls", "List environments: owner, GPUs, ports, limits, use, age, image, host."),
        "logs": ("env_use", "logs", "What its services said."),
        "url": ("env_use", "url", "Addresses of its services."),
        "token": ("env_life", "token", "Its token; --password sets a password."),
        "open": ("env_use", "open_", "Open a service in the browser."),
        "stop": ("env_life", "stop", "Stop it; what was changed in it stays."),
        "start": ("env_up", "start", "Start a stopped environment again."),
        "down": ("env_life", "down", "Stop it and remove its container; files and image stay."),
        "rm": ("env_life", "rm", "Remove a stopped one, and forget its token."),
        "commit": ("env_share", "commit", "Keep what was installed by hand: in gpudock.yaml, or as an image."),
        "save": ("env_share", "save", "Image, recipe and lock into one file."),
        "load": ("env_share", "load", "An environment from such a file."),
        "push": ("env_share", "push", "Push the image to a registry."),
        "cp": ("env_share", "cp", "Copy files in and out."),
        "export-tar": ("env_share", "export_tar", "The container's files as one tar."),
        "gc": ("env_gc", "gc", "Remove images that nobody needs; shows what that frees, and asks."),
        "ssh-config": ("env_ssh", "ssh_config", "For ssh NAME.gpudock: lines for ~/.ssh/config."),
        "ssh-proxy": ("env_ssh", "ssh_proxy", "What those lines run."),
        "editor": ("env_ssh", "editor", "Addresses for VS Code on your desktop."),
        "images": ("env_images", "images", "List images of environments, and what uses them."),
        "rmi": ("env_images", "rmi", "Remove an image that nothing uses."),
        "eject": ("env_eject", "eject", "Write Dockerfile, compose file or dev container."),
        "schema": ("env_schema", "schema", "Print the JSON Schema of gpudock.yaml, for editors."),
    },
)
