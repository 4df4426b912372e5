"""Parts of gpudock that are installed on request: its web server and its live view."""

from gpudock.errors import HostError


def need(what: str, extra: str, *modules: str, otherwise: str = "") -> None:
    """Raises HostError where one of these modules is not installed."""
    from importlib.util import find_spec

    missing = [each for each in modules if find_spec(each) is None]
    if not missing:
        return
    import gpudock
    from gpudock.refresh.paths import PROGRAM

    mend = f"pipx inject gpudock {' '.join(modules)}, or: pip install 'gpudock[{extra}]'"
    if gpudock.__file__.startswith(f"{PROGRAM}/"):  # root's copy has what there was when it was made
        mend += '; then sudo "$(command -v gpudock)" refresh --install-units'
    why = f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not there"
    raise HostError(f"This gpudock was installed without its {what}.", why=why, mend=mend + otherwise)
