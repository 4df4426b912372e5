"""How fast the web page is there: served by gpudock on loopback to Debian's Chromium, 8 GPUs and 200 processes.

Writes bench/results/page.json and prints it; with --check it fails where a limit is broken. Needs chromium.
"""

import json
import os
import platform
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from bench.limits import code, judged  # noqa: E402
from msgspec.structs import replace  # noqa: E402  after the path
from playwright.sync_api import Browser  # noqa: E402

from gpudock.monitor.page import files  # noqa: E402
from gpudock.monitor.sample import Sample, encode  # noqa: E402
from real.harness.page import browser, serving  # noqa: E402
from unit.monitor.scene import SceneSource  # noqa: E402

RUNS = 15
MOST = {"loaded": 1000}
# The time at which the first GPU is there, asked of the page itself: each question from outside costs milliseconds.
DRAWN = """() => new Promise((done) => {
    const look = () => document.querySelector(".card") ? done(performance.now()) : requestAnimationFrame(look);
    look();
})"""
PROCESSES = 200


def crowded(sample: Sample) -> Sample:
    some = sample.processes
    many = (replace(some[each % len(some)], pid=10_000 + each) for each in range(PROCESSES))
    return replace(sample, processes=tuple(many))


def load(started: Browser, address: str) -> dict[str, float]:
    """Milliseconds from the request to the end of loading, and to the first GPU with its figures."""
    context = started.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.goto(address, wait_until="load")
    drawn = page.evaluate(DRAWN)
    loaded = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
    page.wait_for_timeout(300)
    context.close()
    return {"loaded": loaded, "first figures": drawn}


def main() -> int:
    load_before = os.getloadavg()[0]
    source = SceneSource(crowded)
    with serving(source) as address, browser() as (started, _):
        load(started, address)
        runs = [load(started, address) for _ in range(RUNS)]
        version = started.version
    median = {name: round(statistics.median(run[name] for run in runs)) for name in runs[0]}
    limits = judged(median, MOST)
    result = {
        "unit": "ms",
        "runs": RUNS,
        "median": median,
        "most": {name: round(max(run[name] for run in runs)) for name in runs[0]},
        "bytes of the page": sum(len(file.body) for name, file in files.read().items() if "LICENSE" not in name),
        "bytes of a sample": len(encode(source.latest())),
        "processes": PROCESSES,
        "chromium": version,
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Linux {platform.release()}",
        "load before": round(load_before, 1),
        "date": time.strftime("%Y-%m-%d"),
        "limits": limits,
    }
    (ROOT / "bench/results/page.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))
    return code(limits, check="--check" in sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
