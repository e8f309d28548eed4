from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="no playwright: pip install playwright")
from playwright.sync_api import Browser, Page

from pipeline.report.page import write_report
from pipeline.report.template import REPORT
from tests.pipeline.report.browser import chromium
from tests.pipeline.report.outputs import HOSTILE, QUARANTINED, output


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder: Path = tmp_path_factory.mktemp("report")
    store, _ = output(str(folder), done=6)
    write_report(store)
    return (folder / REPORT).as_uri()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """The open page. The test fails if it logs to the console or requests anything but itself."""
    logged: list[str] = []
    requested: list[str] = []
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    opened.on("console", lambda message: logged.append(message.text))
    opened.on("pageerror", lambda error: logged.append(str(error)))
    opened.on("request", lambda request: requested.append(request.url))
    opened.goto(address)
    yield opened
    opened.close()
    assert logged == []
    assert [url for url in requested if not url.startswith(("data:", address))] == []


def test_the_page_renders_its_charts_and_pictures(page: Page):
    assert page.locator("figure svg").count() >= 9
    assert page.locator("#gallery .card").count() == 6
    loaded = "() => [...document.images].every(image => image.complete && image.naturalWidth > 0)"
    page.wait_for_function(loaded)
    assert page.evaluate("() => [...document.images].every(image => image.alt)")


def test_every_id_is_unique(page: Page):
    ids = page.evaluate("() => [...document.querySelectorAll('[id]')].map(element => element.id)")
    assert len(ids) == len(set(ids))


def test_the_slider_follows_mouse_and_keyboard(page: Page):
    box = page.locator(".compare").first
    slider, edited = box.locator("input"), box.locator(".edited")

    def clip() -> str:
        return str(edited.evaluate("element => getComputedStyle(element).clipPath"))

    assert "50%" in clip()
    slider.focus()
    page.keyboard.press("End")
    assert "100%" in clip()
    page.keyboard.press("Home")
    assert "100%" not in clip()
    area = box.bounding_box()
    assert area is not None

    def clicked() -> bool:
        # A picture that is still loading may move the slider under the click.
        box.click(position={"x": 0.75 * area["width"], "y": area["height"] / 2}, force=True)
        return 70 <= int(slider.input_value()) <= 80

    assert any(clicked() for _ in range(5))


def test_search_and_filters_narrow_the_gallery(page: Page):
    cards = page.locator("#gallery .card")
    page.fill("#search", "BLUE make")
    assert cards.count() == 2
    page.fill("#search", "no such word")
    assert cards.count() == 0
    page.fill("#search", "")
    page.select_option("#kind", "kind1")
    assert cards.count() == 3


def test_strips_and_misses_are_listed(page: Page):
    page.locator(".controls").get_by_text("τ strips").click()
    assert page.locator(".strip > ol li").count() == 5
    assert page.locator(".strip li.kept").count() == 2
    page.locator(".controls").get_by_text("Near misses").click()
    whys = page.locator("#gallery .why").all_inner_texts()
    assert len(whys) == 6
    assert set(whys) == {
        "below the threshold of clip_sim_dir (direction of the edit)",
        "stopped early, because it was predicted to miss a threshold",
        "out of the bounds of nsfw",
    }


def test_the_pager_reaches_every_line(page: Page):
    lines = page.locator("[data-table]").nth(1)
    previous, following = lines.locator("button").all()
    seen: list[str] = []
    for number in range(1, 4):
        assert lines.locator(".pager span").inner_text() == f"Page {number} of 3"
        seen += lines.locator("tbody td:first-child").all_inner_texts()
        assert (previous.is_disabled(), following.is_disabled()) == (number == 1, number == 3)
        if number < 3:
            following.click()
    assert seen == [str(line) for line in range(3, 3 + QUARANTINED)]
    previous.click()
    assert lines.locator("tbody td").first.inner_text() == "53"
    assert page.locator("[data-table] .pager").first.is_hidden()


def test_a_strip_shows_the_attention_map_of_each_word(page: Page):
    page.locator(".controls").get_by_text("τ strips").click()
    rows = page.locator(".maps ol")
    assert rows.count() == 2
    assert [row.inner_text().split() for row in rows.all()] == [["a", "ball", "<b>"], ["a", "blue", "ball"]]
    assert page.locator(".maps li.changed").all_inner_texts() == ["<b>", "blue"]
    assert page.locator(".maps p").all_inner_texts() == ["in the source", "in the edit, τ 0.4"]
    page.wait_for_function(
        "() => [...document.images].every(image => image.complete && image.naturalWidth > 0)"
    )
    assert rows.first.locator("img").first.get_attribute("alt") == "a, in the source"


def test_captions_are_never_markup(page: Page):
    assert HOSTILE in page.locator("#gallery").inner_text()
    assert HOSTILE in page.locator("#failures").inner_text()
    assert page.evaluate("() => window.hurt") is None


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_overflows_the_viewport(page: Page, width: int):
    page.set_viewport_size({"width": width, "height": 800})
    page.locator(".controls").get_by_text("τ strips").click()
    assert page.evaluate("() => document.documentElement.scrollWidth") == width


def test_light_and_dark_follow_the_system(page: Page):
    paper = "() => getComputedStyle(document.body).backgroundColor"
    figure = "() => getComputedStyle(document.querySelector('figure svg text')).fill"
    seen = {}
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        seen[scheme] = (page.evaluate(paper), page.evaluate(figure))
    assert seen["light"] == ("rgb(251, 251, 249)", "rgb(89, 98, 108)")
    assert seen["dark"] == ("rgb(20, 23, 27)", "rgb(162, 171, 181)")
