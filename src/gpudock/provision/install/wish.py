"""What an installation should have, checked. Pure."""

import re
from typing import NamedTuple
from urllib.parse import urlsplit

from gpudock import __version__
from gpudock.errors import UsageError
from gpudock.plan.quote import quote

DOCKER_COM, DISTRIBUTION, DEBS, NVIDIA, NONE, AUTO = "docker.com", "distribution", "debs", "nvidia", "none", "auto"
_VERSION = re.compile(r"[0-9][A-Za-z0-9.+:~-]*")
_USER = re.compile(r"[a-z_][a-z0-9_.-]{0,31}")
_HOSTS = re.compile(r"[A-Za-z0-9.,:*/_\[\]-]+")


class Wish(NamedTuple):
    docker: str = AUTO
    debs: str = ""  # folder with .deb files
    docker_version: str = ""
    driver: str = AUTO
    driver_version: str = ""
    module: str = AUTO
    user: str = ""  # who may use docker without sudo
    proxy: str = ""
    no_proxy: str = ""
    remove_old: bool = False
    commit_old: bool = False
    remove_containers: bool = False
    then: str = ""  # a last command
    gpudock: str = f"gpudock=={__version__}"  # what pip installs on another machine


def check(wish: Wish) -> Wish:
    """Raises UsageError for what cannot be meant."""
    for version, option in ((wish.docker_version, "--docker-version"), (wish.driver_version, "--driver-version")):
        if version and not _VERSION.fullmatch(version):
            mend = "gpudock install --list-versions shows what there is"
            raise UsageError(f"{option} {quote(version)} is no version.", mend=mend)
    for wrong, what in (
        ((wish.docker == DEBS) != bool(wish.debs), "--docker debs and --debs FOLDER belong together."),
        (wish.debs and not wish.debs.startswith("/"), "--debs must be an absolute path of a folder on the machine."),
        (wish.docker_version and wish.docker in {DEBS, NONE}, f"--docker-version is not for --docker {wish.docker}."),
        (wish.driver_version and wish.driver == NONE, "--driver-version is not for --driver none."),
        ("\n" in wish.then or "\0" in wish.then, "--then takes one line."),
        (wish.no_proxy and not _HOSTS.fullmatch(wish.no_proxy), "--no-proxy is a list as localhost,10.0.0.0/8,.lan"),
        (wish.user == "root" or (wish.user and not _USER.fullmatch(wish.user)), "--user must be the name of a user."),
    ):
        if wrong:
            raise UsageError(what)
    if wish.proxy:
        _check_proxy(wish.proxy)
    return wish


def _check_proxy(url: str) -> None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError("The proxy is no address.", why=str(error)) from error
    if parts.scheme not in {"http", "https"} or not host or any(char in url for char in " \"'\\$`;\n"):
        raise UsageError("The proxy is no address.", mend="write http://HOST:PORT or http://USER:PASSWORD@HOST:PORT")
