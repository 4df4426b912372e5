"""The page's files: nothing inline, nothing from elsewhere, every word in three languages, what is vendored unchanged."""

import hashlib
import re

import pytest

from gpudock.monitor.page import files

FILES = files.read()
OURS = {name: file.body.decode() for name, file in FILES.items() if not name.startswith("vendor/")}
SCRIPTS = {name: text for name, text in OURS.items() if name.endswith(".js")}
PROGRAM = {name: text for name, text in SCRIPTS.items() if not name.startswith("words/")}
LANGUAGES = ("en", "ja", "zh")


def words(language: str) -> dict[str, str]:
    return dict(re.findall(r'^  (\w+): "((?:[^"\\]|\\.)*)",$', OURS[f"words/{language}.js"], re.MULTILINE))


def test_what_is_vendored_is_unchanged() -> None:
    hashes = {name: hashlib.sha256(file.body).hexdigest() for name, file in FILES.items() if name.startswith("vendor/")}
    assert hashes == {
        "vendor/uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
        "vendor/uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
        "vendor/uPlot.LICENSE": "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
    }


def test_nothing_is_inline_and_nothing_comes_from_elsewhere() -> None:
    page = OURS["index.html"]
    assert re.findall(r"<script(?![^>]*\bsrc=)", page) == []
    assert re.findall(r"<style|\sstyle=|\son\w+=", page) == []
    for name, text in OURS.items():
        elsewhere = re.findall(r"""https?://[^\s"']+|["'(]//\w""", text)
        assert [each for each in elsewhere if each != "http://www.w3.org/2000/svg"] == [], name


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_text_is_never_made_into_markup_or_code(name: str) -> None:
    forbidden = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setTimeout\(['\"`]|srcdoc"
    )
    assert re.findall(forbidden, SCRIPTS[name]) == []


def test_what_a_file_names_is_there() -> None:
    named = re.findall(r'(?:src|href)="page/([^"]+)"', OURS["index.html"])
    assert len(named) > 4
    for name, text in SCRIPTS.items():
        folder = name.rpartition("/")[0]
        named += [f"{folder}{'/' if folder else ''}{each}" for each in re.findall(r'from "\./([^"]+)"', text)]
    assert set(named) <= set(FILES)


def test_modules_are_fetched_at_once_and_not_one_after_the_other() -> None:
    preloaded = re.findall(r'rel="modulepreload" href="page/([^"]+)"', OURS["index.html"])
    assert sorted([*preloaded, "main.js", "theme.js"]) == sorted(SCRIPTS)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_word_that_is_used_is_there(language: str) -> None:
    used = set(re.findall(r'data-word="(\w+)"', OURS["index.html"]))
    for text in PROGRAM.values():
        used |= set(re.findall(r'\bword\("(\w+)"', text))
        used |= set(re.findall(r'\b(?:name|empty): "(\w+)"', text)) - {"PID", "range"}
    assert used - set(words(language)) == set()


@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_languages_say_the_same_things_with_the_same_places(language: str) -> None:
    def places(found: dict[str, str]) -> dict[str, set[str]]:
        return {name: set(re.findall(r"\{(\w+)\}", text)) for name, text in found.items()}

    assert len(words("en")) > 100
    assert places(words(language)) == places(words("en"))


def test_no_word_is_left_over() -> None:
    everything = OURS["index.html"] + "".join(PROGRAM.values())
    made = ("throttle_", "metric_", "subject_", "range_", "by_")  # names that are put together
    assert [name for name in words("en") if name not in everything and not name.startswith(made)] == []


def test_colours_are_the_same_by_the_switch_and_by_the_system() -> None:
    """The dark values stand twice, since a style sheet without a build step has no other way."""
    css = OURS["style.css"]
    by_switch, by_system = re.findall(r'data-theme="(?:dark|auto)"\] \{\n((?:\s+--[^\n]+\n)+)', css)
    assert by_switch.split() == by_system.split()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_colours_stand_out(theme: str) -> None:
    """Text 4.5:1 and what is drawn 3:1 against every ground that it stands on."""
    css = OURS["style.css"]
    part = css if theme == "light" else css[css.index(':root[data-theme="dark"] {\n') :]
    found: dict[str, str] = {}
    for name, value in re.findall(r"--([\w-]+): (#[0-9a-f]{6});", part):
        found.setdefault(name, value)
    for text in ("ink", "quiet", "accent", "good", "warn", "bad"):
        for ground in ("ground", "sheet"):
            assert contrast(found[text], found[ground]) >= 4.5, (text, ground)
    for text, ground in (("ink", "warn-ground"), ("warn", "warn-ground"), ("bad", "bad-ground"), ("quiet", "sunk")):
        assert contrast(found[text], found[ground]) >= 4.5, (text, ground)
    for line in (*(f"s{place}" for place in range(8)), "edge"):
        assert contrast(found[line], found["sheet"]) >= 3, line


def contrast(one: str, other: str) -> float:
    def light(colour: str) -> float:
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted((light(one), light(other)))
    return (high + 0.05) / (low + 0.05)
