from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="no playwright: pip install playwright")
from playwright.sync_api import Browser, Page

from pipeline.commands import report
from tests.pipeline.report.browser import chromium
from tests.pipeline.report.outputs import HOSTILE, QUARANTINED, output


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder: Path = tmp_path_factory.mktemp("report")
    store, _ = output(str(folder), done=6)
    report.write(store)
    return (folder / report.NAME).as_uri()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """The open page. The test fails if it said anything on the console or asked for anything but itself."""
    said: list[str] = []
    asked: list[str] = []
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(address)
    yield opened
    opened.close()
    assert said == []
    assert [url for url in asked if not url.startswith(("data:", address))] == []


def test_it_renders_with_its_figures_and_pictures(page: Page):
    assert page.locator("figure svg").count() >= 9
    assert page.locator("#gallery .card").count() == 6
    loaded = "() => [...document.images].every(image => image.complete && image.naturalWidth > 0)"
    page.wait_for_function(loaded)
    assert page.evaluate("() => [...document.images].every(image => image.alt)")


def test_no_id_stands_twice(page: Page):
    ids = page.evaluate("() => [...document.querySelectorAll('[id]')].map(element => element.id)")
    assert len(ids) == len(set(ids))


def test_the_slider_uncovers_the_output_by_mouse_and_by_keyboard(page: Page):
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
        # Pictures that are still being laid out may take a click's place away.
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


def test_strips_and_misses_have_their_lists(page: Page):
    page.locator(".controls").get_by_text("τ strips").click()
    assert page.locator(".strip > ol li").count() == 5
    assert page.locator(".strip li.kept").count() == 2
    page.locator(".controls").get_by_text("Near misses").click()
    whys = page.locator("#gallery .why").all_inner_texts()
    assert len(whys) == 6
    assert set(whys) == {
        "below the threshold of clip_sim_dir (direction of the edit)",
        "left on the way, for what was predicted there",
        "out of the bounds of nsfw",
    }


def test_every_line_can_be_turned_to(page: Page):
    lines = page.locator("[data-lines]").nth(1)
    back, on = lines.locator("button").all()
    seen: list[str] = []
    for number in range(1, 4):
        assert lines.locator(".pager span").inner_text() == f"Page {number} of 3"
        seen += lines.locator("tbody td:first-child").all_inner_texts()
        assert (back.is_disabled(), on.is_disabled()) == (number == 1, number == 3)
        if number < 3:
            on.click()
    assert seen == [str(line) for line in range(3, 3 + QUARANTINED)]
    back.click()
    assert lines.locator("tbody td").first.inner_text() == "53"
    assert page.locator("[data-lines] .pager").first.is_hidden()


def test_a_strip_shows_where_the_model_looked_for_each_word(page: Page):
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


def test_captions_are_text_and_never_markup(page: Page):
    assert HOSTILE in page.locator("#gallery").inner_text()
    assert HOSTILE in page.locator("#failures").inner_text()
    assert page.evaluate("() => window.hurt") is None


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_sticks_out(page: Page, width: int):
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
