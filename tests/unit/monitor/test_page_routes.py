"""The page over HTTP: its files and nothing else, and a browser that is told to be strict."""

import pytest

from gpudock.monitor.page import files
from gpudock.monitor.page.routes import routes
from gpudock.monitor.serve import application
from unit.monitor import demo
from unit.monitor.asked import Answer, ask


def page(target: str, **headers: str) -> Answer:
    return ask(application(demo.DemoSource(), None, routes()), target, headers=headers)


def test_the_page() -> None:
    answer = page("/")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert b"<title>gpudock</title>" in answer.body


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("style.css", "text/css; charset=utf-8"),
        ("main.js", "text/javascript; charset=utf-8"),
        ("words/ja.js", "text/javascript; charset=utf-8"),
        ("vendor/uPlot.iife.min.js", "text/javascript; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
    ],
)
def test_its_files(name: str, kind: str) -> None:
    answer = page(f"/page/{name}")
    assert (answer.status, answer.headers["content-type"], answer.body) == (200, kind, files.read()[name].body)


def test_every_answer_is_strict() -> None:
    for target in ("/", "/page/main.js", "/page/nothing"):
        headers = page(target).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "*" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path", ["", "..", "../serve.py", "%2e%2e/serve.py", "files.py", "__init__.py", "/etc/passwd", "vendor", "x" * 5000]
)
def test_nothing_else_is_served(path: str) -> None:
    assert page(f"/page/{path}").status == 404


def test_what_the_browser_has_is_not_sent_again() -> None:
    tag = page("/page/style.css").headers["etag"]
    again = page("/page/style.css", **{"if-none-match": tag})
    assert (again.status, again.body) == (304, b"")
    assert page("/page/style.css", **{"if-none-match": '"old"'}).status == 200
