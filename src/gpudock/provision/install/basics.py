"""The first steps: is it the right machine, proxies, and the tools that the other steps use. Pure."""

from gpudock.provision.install.step import Step, here, is_here, quoted
from gpudock.provision.install.target import Target
from gpudock.provision.install.wish import DOCKER_COM, NVIDIA, Wish

FREE_GIB = 5
APT_PROXY = "/etc/apt/apt.conf.d/80gpudock-proxy"
SUDO_PROXY = "/etc/sudoers.d/gpudock-proxy"
DOCKER_UNIT_PROXY = "/etc/systemd/system/docker.service.d/gpudock-proxy.conf"
DOCKER_SCRIPT = "/etc/default/docker"
TOOLS = ("ca-certificates", "curl", "gpg")
_SUDO = """\
# gpudock: sudo passes the proxy on
Defaults env_keep += "http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY"
"""


def machine(target: Target) -> Step:
    system = target.system
    return Step(
        "machine",
        f"This is {system.id} {system.version}, with {FREE_GIB} GiB free",
        "the other steps are written for it",
        f"""\
[ "$(os_release ID) $(os_release VERSION_ID)" = {quoted(f"{system.id} {system.version}")} ] ||
    die "this is $(os_release ID) $(os_release VERSION_ID), not {system.id} {system.version}"
mkdir -p /var/lib
free=$(df --output=avail -B1M /var/lib | tail -n 1)
[ "$free" -ge {FREE_GIB * 1024} ] || die "/var/lib has $free MiB free, {FREE_GIB * 1024} are needed\"""",
        ":",
    )


def proxies(wish: Wish) -> Step:
    """For apt, sudo and dockerd. With a password in it, only root can read apt's and docker's."""
    secret = "@" in wish.proxy
    mode = "600" if secret else "644"
    apt = f'Acquire::http::Proxy "{wish.proxy}";\nAcquire::https::Proxy "{wish.proxy}";\n'
    pairs = [("HTTP_PROXY", wish.proxy), ("HTTPS_PROXY", wish.proxy)]
    pairs += [("NO_PROXY", wish.no_proxy)] if wish.no_proxy else []
    lines = "".join(f'Environment="{name}={value.replace("%", "%%")}"\n' for name, value in pairs)
    unit = f"[Service]\n{lines}"
    exports = "\n".join(f"export {name}={quoted(value)}" for name, value in pairs)
    return Step(
        "proxies",
        f"The proxy {wish.proxy.rpartition('@')[2]} for apt, sudo and dockerd",
        "without it nothing can be fetched here",
        "\n".join(
            (
                is_here(apt, APT_PROXY),
                is_here(_SUDO, SUDO_PROXY),
                "if [ -d /run/systemd/system ]; then",
                is_here(unit, DOCKER_UNIT_PROXY),
                "else",
                f"grep -qxF {quoted(exports.splitlines()[0])} {DOCKER_SCRIPT} 2>/dev/null",
                "fi",
            )
        ),
        "\n".join(
            (
                here(apt, APT_PROXY, mode),
                here(_SUDO, SUDO_PROXY, "440"),
                "if [ -d /run/systemd/system ]; then",
                here(unit, DOCKER_UNIT_PROXY, mode),
                "systemctl daemon-reload",
                "else",
                "{",
                f"cat {DOCKER_SCRIPT} 2>/dev/null || true",
                f"cat <<'END'\n{exports}\nEND",
                '} >"$STATE/default-docker"',
                f'write_file {DOCKER_SCRIPT} {mode} <"$STATE/default-docker"',
                "fi",
            )
        ),
        "\n".join(f"restore_file {path}" for path in (APT_PROXY, SUDO_PROXY, DOCKER_UNIT_PROXY, DOCKER_SCRIPT)),
        warning="the proxy's password is in these files (readable by root only)" if secret else "",
    )


def tools(wish: Wish) -> tuple[Step, ...]:
    if wish.docker != DOCKER_COM and wish.driver != NVIDIA:
        return ()
    words = quoted(*TOOLS)
    return (
        Step(
            "tools",
            "curl and gpg, to fetch keys and to look at their fingerprints",
            "sources are trusted by the fingerprint of their key",
            f"installed {words}",
            f"update_lists\ninstall_packages tools --no-remove --no-install-recommends {words}",
            "remove_packages tools",
            network=True,
        ),
    )
