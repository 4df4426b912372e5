"""From an empty folder to an open notebook: JupyterLab and TensorBoard in a real browser, then saved and moved to the
other engine.
"""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from gpudock.env.archive import form
from real.env_stage import BASE, UID, Stage
from real.harness import archive

pytestmark = pytest.mark.real

H200 = Path(__file__).parent.parent / "data/h200/snapshot.json"
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
PICTURE = os.environ.get("GPUDOCK_TEST_PICTURES", "")  # a folder, to keep what the browser showed


@pytest.fixture(scope="module")
def docker(env_docker: Stage) -> Stage:
    return env_docker


@pytest.fixture(scope="module")
def podman(env_podman: Stage) -> Stage:
    return env_podman


@pytest.fixture(scope="module")
def notebook(docker: Stage) -> Path:
    """From an empty folder; the public default base is in a registry, so another one is named."""
    folder = docker.folder / "projects/notebook"
    folder.mkdir()
    os.chown(folder, UID, UID)
    docker("init", "--template", "plain", at=folder)
    recipe = folder / "gpudock.yaml"
    recipe.write_text(recipe.read_text().replace("# tensorboard: {logdir: runs}", "tensorboard: {logdir: runs}"))
    told = docker("up", "--base", BASE, "--progress", "plain", at=folder)
    assert re.search(r"jupyter\s+http://127\.0\.0\.1:\d+/lab\?token=[0-9a-f]{48}", told.stdout)
    assert "FROM" in told.stderr  # the build was shown
    assert {path.stat().st_uid for path in folder.iterdir()} == {UID}  # what root wrote for them, too
    return folder


@contextmanager
def page(stage: Stage) -> Iterator[Page]:
    """A page of the distribution's Chromium, in the stage's network."""
    program = stage.folder / "chromium"
    program.write_text(f'#!/bin/sh\nexec {" ".join(stage.network.words)} {archive.installed("chromium")} "$@"\n')
    program.chmod(0o755)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=str(program), args=list(FLAGS))
        try:
            found = browser.new_page(viewport={"width": 1100, "height": 640})
            found.set_default_timeout(90_000)
            yield found
        finally:
            browser.close()


def addresses(stage: Stage, folder: Path) -> dict[str, str]:
    return dict(line.split("\t") for line in stage("url", at=folder).stdout.splitlines())


def sees(shown: Page, text: str) -> None:
    """JupyterLab keeps hidden copies of cells, which no selector tells from those that are shown."""
    end = time.monotonic() + 60
    while text not in shown.inner_text("body"):
        assert time.monotonic() < end, shown.inner_text("body")
        time.sleep(0.2)


def picture(shown: Page, name: str) -> None:
    if PICTURE:
        shown.screenshot(path=f"{PICTURE}/{name}.png")


def open_with_token(shown: Page, address: str) -> None:
    """As a person does who has the address without its token: the login page asks for it."""
    bare, _, token = address.partition("?token=")
    shown.goto(bare)
    shown.fill("input[name=password]", token)
    shown.click("#login_submit")
    shown.wait_for_selector(".jp-LauncherCard")


@pytest.mark.debian
def test_the_token_opens_the_notebook_and_a_cell_runs(docker: Stage, notebook: Path) -> None:
    address = addresses(docker, notebook)["jupyter"]
    with page(docker) as shown:
        answer = shown.goto(f"{address.partition('/lab')[0]}/api/contents?token=wrong")
        assert answer is not None
        assert answer.status == 403
        open_with_token(shown, address)
        shown.click(".jp-LauncherCard[data-category=Notebook]")
        shown.wait_for_selector(".jp-Notebook .jp-Cell .cm-content")
        shown.click(".jp-Notebook .jp-Cell .cm-content")
        sees(shown, "| Idle")  # what is run before the kernel is there is dropped
        code = "import os; open('written', 'w').write('by a cell'); print('user', os.getuid(), 6 * 7)"
        shown.keyboard.insert_text(code)  # in one piece: the editor completes brackets that are typed
        sees(shown, "by a cell")
        shown.keyboard.press("Shift+Enter")
        sees(shown, f"user {UID} 42")
        picture(shown, "jupyterlab")
    written = notebook / "written"
    assert (written.read_text(), written.stat().st_uid) == ("by a cell", UID)


@pytest.mark.debian
def test_a_password_opens_it_too(docker: Stage, notebook: Path) -> None:
    shown_form = docker("token", "--password", at=notebook, stdin="open sesame\n").stdout
    assert shown_form.startswith("argon2:$argon2id$")
    bare = addresses(docker, notebook)["jupyter"].partition("/lab")[0]
    with page(docker) as shown:
        for _ in range(60):  # the service starts again with it
            try:
                shown.goto(f"{bare}/login")
                break
            except Exception:  # noqa: BLE001  it does not listen yet
                time.sleep(1)
        shown.fill("input[name=password]", "open sesame")
        shown.click("#login_submit")
        shown.wait_for_selector(".jp-LauncherCard, .jp-Notebook")


@pytest.mark.debian
def test_tensorboard_shows_the_log_folder(docker: Stage, notebook: Path) -> None:
    with page(docker) as shown:
        shown.goto(addresses(docker, notebook)["tensorboard"])
        shown.wait_for_selector("text=/No dashboards are active|TensorBoard/i")
        picture(shown, "tensorboard")
    assert (notebook / "runs").stat().st_uid == UID


def test_over_ssh_the_tunnel_is_told(docker: Stage, notebook: Path) -> None:
    done = docker("up", at=notebook, env={"SSH_CONNECTION": "203.0.113.9 50000 192.0.2.7 22"})
    assert re.search(r"ssh -N -L 8888:127\.0\.0\.1:8888 -L 6006:127\.0\.0\.1:6006 \S+@192\.0\.2\.7", done.stdout)


@pytest.fixture(scope="module")
def saved(docker: Stage, notebook: Path) -> Path:
    path = docker.folder / "notebook.tar"
    docker("env", "save", "-o", str(path), at=notebook)
    return path


def images(stage: Stage) -> set[str]:
    return set(stage.client("images", "--all", "--quiet", "--no-trunc").stdout.split())


def test_an_interrupted_save_has_no_name_and_goes_on(docker: Stage, notebook: Path, saved: Path) -> None:
    path = docker.folder / "again.tar"
    part = docker.folder / ".again.tar.part"
    words = [*docker.network.words, sys.executable, "-m", "gpudock", "env", "save", "-o", str(path)]
    with subprocess.Popen(words, cwd=notebook, env=docker.env) as child:
        while not part.exists() or part.stat().st_size < 100 << 20:
            assert child.poll() is None
            time.sleep(0.02)
        child.send_signal(signal.SIGKILL)
    assert not path.exists()
    before = part.stat().st_ino
    docker("env", "save", "-o", str(path), at=notebook)
    assert path.stat().st_ino == before  # the same file, gone on with
    assert not part.exists()
    assert path.read_bytes() == saved.read_bytes()
    path.unlink()


def test_damage_and_interruption_leave_nothing_on_the_other_engine(podman: Stage, saved: Path) -> None:
    folder = podman.folder / "projects/moved"
    folder.mkdir()
    before = images(podman)
    broken = podman.folder / "broken.tar"
    data = bytearray(saved.read_bytes())
    data[len(data) * 2 // 3] ^= 1
    broken.write_bytes(data)
    done = podman("env", "load", str(broken), at=folder, check=False)
    assert done.returncode == 3
    assert "checksum" in done.stderr
    broken.write_bytes(saved.read_bytes()[: len(data) - 4000])
    assert podman("env", "load", str(broken), at=folder, check=False).returncode == 3
    broken.unlink()
    words = [*podman.network.words, sys.executable, "-m", "gpudock", "env", "load", str(saved)]
    with subprocess.Popen(words, cwd=folder, env=podman.env) as child:
        time.sleep(1.5)
        child.send_signal(signal.SIGKILL)
    time.sleep(1)
    assert images(podman) == before
    assert list(folder.iterdir()) == []


def with_lock(saved: Path, target: Path, **changed: object) -> None:
    """The same file with another lock in it, whole."""
    with saved.open("rb") as file:
        reader = form.Reader(file.read)
        lock = json.loads(reader.texts["gpudock.lock"])
        texts = {**reader.texts, "gpudock.lock": json.dumps({**lock, **changed}).encode()}
        with target.open("wb") as out:
            names: list[str] = []
            size = 0
            for name, data in texts.items():
                out.write(form.member(name, data))
            for piece in reader.pieces():
                names.append(form.piece_name(len(names), piece.data))
                out.write(form.member(names[-1], piece.data))
                size += len(piece.data)
            sums = {name: hashlib.sha256(data).hexdigest() for name, data in texts.items()}
            told = {"texts": sums, "pieces": [name.partition("-")[2] for name in names], "size": size}
            out.write(form.member(form.SUMS, json.dumps(told).encode()) + form.end())


def test_a_machine_with_an_older_driver_is_told_which_it_needs(podman: Stage, saved: Path) -> None:
    folder = podman.folder / "projects/older"
    folder.mkdir()
    snapshot = json.loads(H200.read_text())
    snapshot["kernel_driver"]["version"] = "535.183.01"
    (folder / "machine.json").write_text(json.dumps(snapshot))
    target = podman.folder / "needs.tar"
    with_lock(saved, target, cuda="13.0", driver="580")
    before = images(podman)
    done = podman("env", "load", "--for", "machine.json", str(target), at=folder, check=False)
    target.unlink()
    assert done.returncode == 5
    assert "580" in done.stderr
    assert "535.183.01" in done.stderr
    assert images(podman) == before


@pytest.mark.debian
def test_it_runs_on_the_other_engine_without_a_build(podman: Stage, saved: Path) -> None:
    folder = podman.folder / "projects/moved"
    os.chown(folder, UID, UID)
    podman("env", "load", str(saved), at=folder)
    assert sorted(path.name for path in folder.iterdir()) == ["gpudock.lock", "gpudock.yaml"]
    told = podman("up", "--progress", "plain", at=folder)
    assert "FROM" not in told.stderr  # nothing is built
    with page(podman) as shown:
        open_with_token(shown, addresses(podman, folder)["jupyter"])
    podman("env", "exec", "touch", "made", at=folder)
    assert (folder / "made").stat().st_uid == UID
