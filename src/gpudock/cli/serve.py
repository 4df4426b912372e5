"""`gpudock serve`: Prometheus exporter, JSON, events and page of who uses which GPU."""

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from gpudock.cli.extras import need
from gpudock.cli.options import HOST
from gpudock.cli.status import interval_of
from gpudock.cli.terminal import say, say_simulated
from gpudock.cli.verb import Option, Verb

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpudock.monitor.collector import Collector
    from gpudock.monitor.exposition import Choice
    from gpudock.monitor.listen import Address, Site, Tls
    from gpudock.monitor.recorder import Recorder
    from gpudock.monitor.sample import Sample
    from gpudock.monitor.shares import Tally

LISTEN = "127.0.0.1:9400"  # dcgm-exporter's port, where scrapers look


class _Wish(NamedTuple):
    """What the command line asks for, checked."""

    addresses: "tuple[Address, ...]"  # ours, then those of the old exporters in the order of `compat`
    compat: tuple[str, ...]
    names: tuple[str, ...]  # hosts that requests may ask for
    tls: "Tls | None"
    token: bytes
    choice: "Choice"
    interval: float
    commands: bool
    history: str  # "": none is kept


def serve(*, install_units: bool, remove_units: bool, dashboards: str, **options: Any) -> None:  # noqa: ANN401  a verb's options
    """Serve who uses which GPU: /metrics for Prometheus, /api/v1 as JSON and events, a page for the browser.

    \b
    gpudock serve                        http://127.0.0.1:9400, for this machine
    gpudock serve --families gpudock     without the names of dcgm-exporter
    gpudock serve --compat roguepanda    also as nvidia_exporter, on port 9200
    sudo gpudock serve --install-units   at each boot, by systemd

    Started by root it names everybody's containers, else those that your own engines know. Everybody on this machine
    may ask it. Other machines reach it only with TLS and a token.
    """
    if dashboards:
        _write_dashboards(dashboards)
        return
    if not remove_units:
        need("web server", "web", "starlette", "uvicorn")
    if install_units or remove_units:
        _units(remove=remove_units)
        return
    host = [options.pop(name) for name in ("driver_root", "dev_root", "simulated")]
    wish = _wish(**options)
    from gpudock.host import roots
    from gpudock.monitor import listen
    from gpudock.monitor.assemble import collector
    from gpudock.monitor.shares import Tally, shares

    where = roots.roots_for(*host)
    if where.simulated:
        say_simulated()
    tally, recorder = Tally(), _recorder(wish.history)

    def listen_to(sample: "Sample") -> None:
        found = shares(sample)
        tally.add(sample, found)
        if recorder:
            recorder.listen(sample, found)

    source = collector(
        where,
        os.environ,
        interval=wish.interval,
        commands=wish.commands,
        listeners=(listen_to,),
        notes=lambda: recorder.problem if recorder else "",
    )
    source.start()
    try:
        listen.serve(_sites(wish, source, tally), wish.tls, lambda: _greet(wish))
    finally:
        source.stop()
        if recorder:
            recorder.close()


def _wish(
    *,
    listen: str,
    tls_cert: str,
    tls_key: str,
    token_file: str,
    allow_host: tuple[str, ...],
    families: str,
    process_series: bool,
    compat: tuple[str, ...],
    interval: str,
    commands: bool,
    history: str,
    no_history: bool,
) -> _Wish:
    from gpudock.errors import UsageError
    from gpudock.monitor.exposition import GROUPS, Choice
    from gpudock.monitor.guard import OWN_NAMES
    from gpudock.monitor.listen import Tls, address, check
    from gpudock.monitor.metrics_small import SMALL
    from gpudock.monitor.store import default_path

    groups = tuple(families.split(","))
    for what, given, known in (("--families", groups, GROUPS), ("--compat", compat, tuple(SMALL))):
        for each in given:
            if each not in known:
                raise UsageError(f"{what} does not know {each!r}.", mend="choose from " + ", ".join(known))
    where = address(listen)
    if bool(tls_cert) != bool(tls_key):
        raise UsageError("--tls-cert and --tls-key belong together.")
    if tls_cert:
        _usable(tls_cert, tls_key)
    tls = Tls(tls_cert, tls_key) if tls_cert else None
    token = _token(token_file)
    addresses = (where, *(where._replace(port=SMALL[each].port) for each in compat))
    check(addresses, tls, token)
    return _Wish(
        addresses=addresses,
        compat=compat,
        names=(*OWN_NAMES, where.host, *allow_host) if where.loopback else (),
        tls=tls,
        token=token,
        choice=Choice(groups, process_series),
        interval=interval_of(interval),
        commands=commands,
        history="" if no_history else history or default_path(os.environ),
    )


def _usable(certificate: str, key: str) -> None:
    """Before anything is made or listened on."""
    import ssl

    from gpudock.errors import InputError

    for option, path in (("--tls-cert", certificate), ("--tls-key", key)):
        try:
            with open(path, "rb"):
                pass
        except OSError as error:
            raise InputError(f"{option} {path} cannot be read.", why=error.strerror or str(error)) from error
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except OSError as error:  # ssl.SSLError is one
        raise InputError(
            f"{certificate} and {key} are no certificate and its key.",
            why=str(error),
            mend="PEM files: the certificate with its chain, and its own key without a passphrase",
        ) from error


def _token(path: str) -> bytes:
    """The file's one line. Others must not be able to read it."""
    if not path:
        return b""
    from gpudock.errors import InputError, RefusedError
    from gpudock.publish import read_capped

    try:
        open_to_others = os.stat(path).st_mode & 0o077
        token = read_capped(path, 4096).strip()
    except OSError as error:
        raise InputError(f"The token {path} cannot be read.", why=error.strerror or str(error)) from error
    if open_to_others:
        raise RefusedError(f"Others can read the token {path}.", mend=f"chmod 600 {path}")
    if len(token) < 16 or b"\n" in token:
        mend = f"openssl rand -hex 24 > {path}"
        raise InputError(f"{path} holds no token.", why="it is 16 or more characters on one line", mend=mend)
    return token


def _recorder(path: str) -> "Recorder | None":
    """Without a history everything else works, so it is only said when there can be none."""
    if not path:
        return None
    from gpudock.errors import HostError
    from gpudock.monitor.recorder import Recorder
    from gpudock.monitor.store import Store

    try:
        return Recorder(Store(path))
    except HostError as error:
        say(f"{error.what} {error.why}. No history is kept.")
        return None


def _sites(wish: _Wish, source: "Collector", tally: "Tally") -> "Sequence[Site]":
    from gpudock.monitor.exposition import Choice, Exposition
    from gpudock.monitor.guard import Guard
    from gpudock.monitor.history import Remembered
    from gpudock.monitor.listen import Site
    from gpudock.monitor.metrics_small import SMALL
    from gpudock.monitor.page.routes import routes
    from gpudock.monitor.serve import application, small

    history = Remembered(wish.history) if wish.history else None
    made = [application(source, history, routes(), Exposition(source, tally, wish.choice))]
    for name in wish.compat:
        old = SMALL[name]
        made.append(small(Exposition(source, tally, Choice(small=old)), old.paths))
    return [
        Site(where, Guard(each, names=wish.names, token=wish.token))
        for where, each in zip(wish.addresses, made, strict=True)
    ]


def _greet(wish: _Wish) -> None:
    scheme = "https" if wish.tls else "http"
    ours, *others = wish.addresses
    say(f"{scheme}://{ours} (page: /, metrics: /metrics, JSON: /api/v1/sample)")
    for where, name in zip(others, wish.compat, strict=True):
        say(f"{scheme}://{where}/metrics as {name}")


def _units(*, remove: bool) -> None:
    from gpudock import proc
    from gpudock.cli.terminal import show
    from gpudock.monitor import units
    from gpudock.refresh import program

    done = units.remove(proc.run) if remove else units.install(program.installed(), proc.run)
    show("\n".join(done))


def _write_dashboards(folder: str) -> None:
    from gpudock import publish
    from gpudock.cli.terminal import show
    from gpudock.monitor import grafana

    for name, content in grafana.files().items():
        path = os.path.join(folder, name)
        publish.write(path, content)
        show(path)


SERVE = Verb(
    serve,
    (
        Option(("--listen",), "listen", f"Where to listen. [default: {LISTEN}]", LISTEN, "ADDRESS:PORT"),
        Option(("--tls-cert",), "tls_cert", "Certificate chain (PEM), for https.", "", "FILE"),
        Option(("--tls-key",), "tls_key", "Its key.", "", "FILE"),
        Option(("--token-file",), "token_file", "Whoever asks has to know this token.", "", "FILE"),
        Option(("--allow-host",), "allow_host", "Also answer to this name, such as a proxy's; repeatable.", (), "NAME"),
        Option(
            ("--families",),
            "families",
            "Families of /metrics: gpudock, dcgm, nvidia_smi. [default: gpudock,dcgm]",
            "gpudock,dcgm",
            "LIST",
        ),
        Option(("--process-series",), "process_series", "Also series with process ids, which come and go.", False),
        Option(
            ("--compat",),
            "compat",
            "Also serve as this old exporter, on its port: roguepanda, mindprince, bugroger.",
            (),
            "NAME",
        ),
        Option(("--interval",), "interval", "Seconds between two looks at the GPUs. [default: 1]", "1", "SECONDS"),
        Option(("--commands",), "commands", "Show command lines, which may hold secrets.", default=False),
        Option(("--history",), "history", "Keep the history here. [default: /var/lib/gpudock/history.db]", "", "FILE"),
        Option(("--no-history",), "no_history", "Keep no history.", default=False),
        Option(("--install-units",), "install_units", "Install and start a systemd unit that serves.", default=False),
        Option(
            ("--dashboards",),
            "dashboards",
            "Only write Grafana's dashboards and Prometheus' alert rules into this folder.",
            "",
            "FOLDER",
        ),
        Option(("--remove-units",), "remove_units", "Take that unit away again.", default=False),
        *HOST[:3],
    ),
)
