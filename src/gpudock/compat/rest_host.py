"""Who may be named as the host of a request: a web page that points its own name at this machine may not (rebinding).

Such a page needs a name with a dot. Without one it can only be this machine, or the far end of a tunnel: through its
SSH tunnel nvidia-docker 1 sends the host `plugin`.
"""

import ipaddress


def allowed(host: str | None) -> bool:
    """Whether a Host header stands for this machine: an address, or a name without a dot. HTTP/1.0 sends none."""
    if not host:
        return True
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() and not host.endswith("]") else host
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return "." not in name.removesuffix(".")
    return True
