"""Pictures of the page and of `gpudock top` for the documentation: .venv/bin/python tools/pictures.py

They show the busy server of tests/unit/monitor/scene.py, and say SIMULATED. With a FILE that has a Sample, as
tools/gpu_machine.py records it, the page alone is drawn, from that. Needs Debian's chromium.
"""

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from msgspec.structs import replace  # noqa: E402  after the path
from playwright.sync_api import Browser  # noqa: E402

from gpudock.monitor.sample import Sample, decode, encode  # noqa: E402
from gpudock.monitor.top import act  # noqa: E402
from gpudock.monitor.top.app import Top  # noqa: E402
from real.harness.page import PHONE, browser, serving  # noqa: E402
from unit.monitor.scene import SceneSource  # noqa: E402

PICTURES = ROOT / "docs" / "pictures"
LIMIT = 150_000  # bytes
SIZE = {"width": 1280, "height": 860}


def calm(sample: Sample) -> Sample:
    """Without the hostile names that tests have, which explain nothing, and with letters of one width."""
    text = encode(sample).decode().replace("王芳", "fang")
    plain = decode(text.encode())
    containers = tuple(replace(each, name="finetune") if "<" in each.name else each for each in plain.containers)
    processes = tuple(replace(each, name="python3") if "\x1b" in each.name else each for each in plain.processes)
    return replace(plain, containers=containers, processes=processes)


def page(browser_: Browser, address: str, name: str, drawn: str = "#legend li", **context: Any) -> None:  # noqa: ANN401
    made = browser_.new_context(**({"viewport": SIZE} | context))
    opened = made.new_page()
    opened.goto(address)
    opened.wait_for_selector(drawn)
    time.sleep(3)  # bars have grown
    opened.screenshot(path=PICTURES / f"{name}.png")
    made.close()


async def screen() -> str:
    app = Top(SceneSource(calm), act.Person(1001, "bob"))
    async with app.run_test(size=(120, 32)) as pilot:
        for _ in range(20):
            await pilot.pause(0.5)
        return app.export_screenshot()


def top(browser_: Browser, svg: str) -> None:
    opened = browser_.new_page(viewport={"width": 1100, "height": 640})
    opened.set_content(svg)
    opened.locator("svg").screenshot(path=PICTURES / "top.png", omit_background=True)
    opened.close()


def recorded(file: Path) -> None:
    """The page as that Sample would make it now; without history, which was not recorded."""
    kept = decode(file.read_bytes())
    source = SceneSource(lambda now: replace(kept, time=now.time, number=now.number))
    with serving(source, history=False) as address, browser() as (started, _):
        page(started, address, file.stem, "#cards > *", color_scheme="light")


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    if sys.argv[1:]:
        return recorded(Path(sys.argv[1]))
    svg = asyncio.run(screen())
    with serving(SceneSource(calm)) as address, browser() as (started, _):
        page(started, address, "page-light", color_scheme="light")
        page(started, address, "page-dark", color_scheme="dark")
        page(started, address, "page-phone", color_scheme="light", viewport=PHONE, is_mobile=True)
        top(started, svg)
    for each in sorted(PICTURES.glob("*.png")):
        size = each.stat().st_size
        print(f"{each.relative_to(ROOT)}: {size // 1000} kB")
        if size > LIMIT:
            sys.exit(f"{each.name} is larger than {LIMIT // 1000} kB")
    return None


if __name__ == "__main__":
    main()
