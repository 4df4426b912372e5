"""The web page in Chromium: what it shows, what it never does, and that everybody can use it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from msgspec.structs import replace
from playwright.sync_api import Browser, Page, expect

from gpudock import proc
from gpudock.facts.base import Missing
from gpudock.monitor.sample import Instance, Memory, Profiling
from gpudock.testing.simulate import build, description
from real.harness.page import PHONE, WIDE, Outside, Seen, browser, serving
from unit.monitor.scene import HOSTILE, SceneSource

pytestmark = [pytest.mark.real, pytest.mark.debian]  # Ubuntu has Chromium as a snap


@pytest.fixture(scope="module")
def chromium() -> Iterator[tuple[Browser, Outside]]:
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving(SceneSource()) as found:
        yield found


@pytest.fixture
def seen() -> Seen:
    return Seen()


Open = Callable[..., Page]


@pytest.fixture
def opened(chromium: tuple[Browser, Outside], address: str, seen: Seen) -> Iterator[Open]:
    """Opens the page and waits for its first sample and its first chart; whatever was opened is closed."""
    with ExitStack() as stack:

        def open_(at: str = address, *, empty: bool = False, **context: Any) -> Page:
            made = chromium[0].new_context(**({"viewport": WIDE} | context))
            stack.callback(made.close)
            page = made.new_page()
            seen.watch(page)
            page.goto(at)
            if not empty:
                expect(page.locator(".card").first).to_be_visible()
                expect(page.locator("#legend li").first).to_be_visible()
            return page

        yield open_


def test_it_shows_the_machine_and_moves_and_nothing_leaves(
    chromium: tuple[Browser, Outside], opened: Open, address: str, seen: Seen
) -> None:
    page = opened()
    expect(page.locator(".card")).to_have_count(8)
    expect(page.locator(".card").nth(5)).to_contain_text("idle for 2 h")
    expect(page.locator(".card").nth(0)).to_contain_text("alice")
    expect(page.locator(".card").nth(6).locator(".warnings .bad")).to_contain_text("1 h 56 min ago")
    expect(page.locator(".card").nth(6).locator(".warnings .note")).to_contain_text("10 min ago")
    expect(page.locator("#simulated")).to_have_text("SIMULATED")
    expect(page.locator("#totals")).to_contain_text("1 held but idle")
    before = page.locator(".busy .value").all_inner_texts()
    page.wait_for_function("before => [...document.querySelectorAll('.busy .value')].some((n, i) => n.innerText !== before[i])", arg=before)  # fmt: skip
    assert {url.split("/")[2] for url in seen.asked} == {address.split("/")[2]}
    assert chromium[1].asked() == []
    assert seen.said == []


def test_what_is_not_known_is_never_a_number(opened: Open) -> None:
    page = opened()
    card = page.locator(".card").nth(4)
    expect(card.locator(".busy .value")).to_have_text("?")
    expect(card.locator(".busy abbr")).to_have_attribute(
        "title", "unknown: nvmlDeviceGetUtilizationRates: Not Supported"
    )
    expect(page.locator("#people tr", has_text="eve").locator("td").nth(1)).to_have_text("?")


def test_what_is_half_known_says_why_it_is_not_whole(opened: Open) -> None:
    def silent(sample: Any) -> Any:
        first = sample.gpus[0]
        power = replace(first.power, draw=Missing("GPU is lost"), limit=700.0, enforced=700.0)
        return replace(sample, gpus=(replace(first, power=power), *sample.gpus[1:]))

    with serving(SceneSource(silent)) as address:
        power = opened(address, empty=True).locator(".card").first.locator(".power abbr")
        expect(power).to_have_text("? of 700 W")
        expect(power).to_have_attribute("title", "unknown: GPU is lost")


def test_a_divided_gpu_is_as_busy_as_its_instances(opened: Open) -> None:
    def divided(sample: Any) -> Any:
        made = [
            Instance(
                index=gi,
                gi=gi,
                ci=0,
                uuid=f"MIG-{gi}",
                profile=profile,
                memory=Memory(total=71 << 30, used=48 << 30),
                profiling=Profiling(graphics=busy),
            )
            for gi, profile, busy in ((1, "3g.71gb", 0.8), (2, "1g.18gb", 0.0))
        ]
        return replace(sample, gpus=(*sample.gpus[:4], replace(sample.gpus[4], instances=tuple(made))))

    with serving(SceneSource(divided)) as address:
        page = opened(address, empty=True)
        expect(page.locator(".card").nth(4).locator(".busy .value")).to_have_text("60 %")
        heights = page.locator(".instances li").evaluate_all("all => all.map(each => each.offsetHeight)")
        assert max(heights) < 30  # each in one line


def test_names_stay_text(opened: Open, seen: Seen) -> None:
    page = opened()
    page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    plain = HOSTILE.replace("\x1b", "\ufffd").replace("\u202e", "\ufffd")
    for place in ("#containers", "#processes", ".card >> nth=4"):
        expect(page.locator(place)).to_contain_text(plain)
    page.locator("#subject").select_option("container")
    expect(page.locator("#legend")).to_contain_text(plain)
    assert page.locator("img, script:not([src]), iframe").count() == 0
    assert seen.said == []


def test_scripts_that_are_put_in_do_not_run(opened: Open) -> None:
    page = opened()
    ran = page.evaluate("""() => {
        const tries = [
            () => { const s = document.createElement("script"); s.textContent = "window.ran = 1"; document.body.append(s); },
            () => { document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='window.ran = 1'>"); },
            () => { const s = document.createElement("p"); s.setAttribute("onclick", "window.ran = 1"); document.body.append(s); s.click(); },
        ];
        for (const each of tries) try { each(); } catch {}
        return new Promise((done) => setTimeout(() => done(window.ran), 200));
    }""")
    assert ran is None


@pytest.mark.parametrize(
    "context",
    [
        {"color_scheme": "light"},
        {"color_scheme": "dark", "viewport": PHONE, "is_mobile": True, "has_touch": True, "locale": "zh-CN"},
    ],
    ids=["light", "phone-dark"],
)
def test_axe_finds_nothing_serious(opened: Open, context: dict[str, Any]) -> None:
    page = opened(bypass_csp=True, **context)
    page.locator("#figures summary").click()
    found = Axe().run(page).response["violations"]
    told = [
        f"{each['id']}: {node['html'][:200]} {node['failureSummary'][:300]}"
        for each in found
        if each["impact"] in {"serious", "critical"}
        for node in each["nodes"]
    ]
    assert told == []


def test_nothing_is_wider_than_the_window(opened: Open) -> None:
    page = opened()
    for language in ("en", "ja", "zh"):
        page.set_viewport_size({"width": 1280, "height": 800})
        page.locator("#language").select_option(language)
        for width in (1280, 768, 390, 320):
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, language
        page.set_viewport_size({"width": 1680, "height": 900})
        cut = (
            "([...document.querySelectorAll('#people .scroll')].filter((it) => it.scrollWidth > it.clientWidth)).length"
        )
        assert page.evaluate(cut) == 0, language


def test_languages_by_browser_and_by_switch(opened: Open, seen: Seen) -> None:
    page = opened(locale="ja-JP")
    expect(page.locator("html")).to_have_attribute("lang", "ja")
    expect(page.locator("#people-title")).to_have_text("利用者")
    page.locator("#language").select_option("zh")
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    expect(page.locator("#people-title")).to_have_text("用户")
    expect(page.locator(".card .pill").first).to_have_text("使用中")
    page.reload()
    expect(page.locator("#people-title")).to_have_text("用户")
    page.locator("#language").select_option("en")
    expect(page.locator("#people-title")).to_have_text("People")
    assert seen.said == []


def test_theme_by_system_and_by_switch(opened: Open) -> None:
    page = opened(color_scheme="dark")

    def ground() -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    dark = ground()
    page.locator("#theme").select_option("light")
    light = ground()
    page.reload()
    assert (dark, light, ground()) == ("rgb(20, 22, 26)", "rgb(245, 245, 242)", "rgb(245, 245, 242)")


def test_by_keyboard(opened: Open) -> None:
    page = opened()
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#gpus")).to_be_focused()
    heading = page.locator("#processes th", has_text="PID")
    heading.locator("button").focus()
    page.keyboard.press("Enter")
    expect(heading).to_have_attribute("aria-sort", "descending")
    page.keyboard.press("Enter")
    expect(heading).to_have_attribute("aria-sort", "ascending")
    expect(page.locator("#processes tbody tr").first).to_contain_text("911")
    page.wait_for_timeout(1200)  # a sample comes meanwhile
    expect(heading.locator("button")).to_be_focused()


def test_filter(opened: Open) -> None:
    page = opened()
    page.locator("#filter").fill("bob")
    expect(page.locator("#processes tbody tr")).to_have_count(2)
    page.locator("#filter").fill("nobody has that")
    expect(page.locator("#processes")).to_contain_text("Nothing matches the filter.")


def test_history_of_every_kind(opened: Open, seen: Seen) -> None:
    page = opened()
    for metric in ("memory", "power", "temperature", "held"):
        page.locator("#metric").select_option(metric)
        expect(page.locator("#plot canvas")).to_be_visible()
    page.locator("#subject").select_option("user")
    expect(page.locator("#legend")).to_contain_text("chiyo")
    page.get_by_role("radio", name="30 days").check()
    expect(page.locator("#chart-note")).to_contain_text("One point is the mean of 2 h")
    expect(page.locator("#usage-note")).to_contain_text("Recorded since")
    first = page.locator("#legend button").first
    first.click()
    expect(first).to_have_attribute("aria-pressed", "false")
    assert seen.said == []


def test_without_a_history_the_rest_works(opened: Open) -> None:
    page = opened()
    page.route("**/api/v1/history*", lambda route: route.fulfill(status=404, json={"error": "no history is kept here"}))
    page.reload()
    expect(page.locator("#chart-note")).to_have_text("The history cannot be read: no history is kept here")
    expect(page.locator(".chart")).to_be_hidden()
    expect(page.locator("#usage-title")).to_be_hidden()
    expect(page.locator(".card")).to_have_count(8)


def test_old_data_and_a_lost_server_are_said(opened: Open) -> None:
    source = SceneSource()
    with serving(source) as address:
        page = opened(address)
        expect(page.locator("#state")).to_have_attribute("data-state", "live")
        source.frozen = source.latest().time - 20
        expect(page.locator("#stale")).to_contain_text("No new data for 2", timeout=12_000)
        expect(page.locator("#said")).to_contain_text("No new data")
        source.frozen = None
        expect(page.locator("#stale")).to_be_hidden()
        expect(page.locator("#said")).to_have_text("Data is current again.")
    expect(page.locator("#state")).to_have_attribute("data-state", "lost")
    expect(page.locator("#stale")).to_contain_text("connection to gpudock is lost")


def test_without_a_driver_the_reason(opened: Open, seen: Seen) -> None:
    def without(sample: Any) -> Any:
        return replace(sample, gpus=Missing("there is no NVIDIA driver"), processes=(), containers=(), people=())

    with serving(SceneSource(without)) as address:
        page = opened(address, empty=True)
        expect(page.locator("#problems")).to_contain_text("No GPU can be shown: there is no NVIDIA driver")
        expect(page.locator("#people")).to_contain_text("unknown")
        assert seen.said == []


def test_who_uses_gpus_is_unknown_where_the_driver_does_not_tell(opened: Open, seen: Seen) -> None:
    def untold(sample: Any) -> Any:
        gpus = tuple(replace(each, untold=Missing("Not Supported"), idle=None) for each in sample.gpus)
        return replace(sample, gpus=gpus, processes=(), containers=(), people=())

    with serving(SceneSource(untold)) as address:
        page = opened(address)
        for place in ("#people", "#processes"):
            expect(page.locator(place)).to_contain_text("unknown")
        expect(page.locator("#totals .free")).to_have_text("0 free")
        assert seen.said == []


def test_gpudock_serve_has_the_page(opened: Open, seen: Seen, session_root: Path) -> None:
    folder = session_root / "page"
    build.build(description.make(2, "H200", "580.159.04", mig=("", "3g.71gb,1g.18gb")), str(folder), runner=proc.run)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    argv = [sys.executable, "-m", "gpudock", "serve", "--simulated", str(folder), "--listen", f"127.0.0.1:{port}"]
    argv += ["--history", str(session_root / "page.db")]
    env = os.environ | {"GPUDOCK_RUN_DIR": str(session_root / "page-run")}
    running = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, env=env)
    try:
        assert running.stderr is not None
        said = running.stderr.readline() + running.stderr.readline()
        assert f"http://127.0.0.1:{port} (page: /" in said
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        page = opened(f"http://127.0.0.1:{port}/", empty=True)
        expect(page.locator(".card")).to_have_count(2)
        expect(page.locator(".card").nth(1)).to_contain_text("3g.71gb")
        expect(page.locator(".card").nth(0)).to_contain_text("free")
        expect(page.locator("#simulated")).to_be_visible()
        expect(page.locator("#usage")).to_contain_text("Nothing is recorded for this period.")
        assert seen.said == []
    finally:
        running.terminate()
        running.communicate(timeout=10)
    assert running.returncode == 0
