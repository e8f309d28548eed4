from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="no playwright: pip install playwright")
from playwright.sync_api import Browser, Page

from pipeline.report.page import write_report
from pipeline.report.template import REPORT
from stages.candidates.selection import sample_key
from stages.records import UnitResult
from stages.storage.heartbeat import keep_heartbeat
from tests.pipeline.report.browser import chromium
from tests.pipeline.report.outputs import HOSTILE, QUARANTINED, commit_units, output


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[UnitResult]]:
    """The address of a report, and the units that it is of."""
    folder: Path = tmp_path_factory.mktemp("report")
    store, results = output(str(folder), done=6)
    write_report(store)
    return (folder / REPORT).as_uri(), results


@pytest.fixture(scope="module")
def address(made: tuple[str, list[UnitResult]]) -> str:
    return made[0]


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
    assert page.locator("figure svg").count() >= 5
    assert page.locator("#gallery .card").count() == 6
    loaded = "() => [...document.images].every(image => image.complete && image.naturalWidth > 0)"
    page.wait_for_function(loaded)
    assert page.evaluate("() => [...document.images].every(image => image.alt)")


def test_every_id_is_unique(page: Page):
    ids = page.evaluate("() => [...document.querySelectorAll('[id]')].map(element => element.id)")
    assert len(ids) == len(set(ids))


def test_the_slider_follows_mouse_and_keyboard(page: Page):
    page.locator(".controls").get_by_text("Slider").click()
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


def test_side_by_side_comes_first(page: Page):
    pairs = page.locator("#gallery .beside")
    assert pairs.count() == 6
    assert page.locator("#gallery .compare").count() == 0
    assert pairs.first.locator("em").all_inner_texts() == ["input", "output"]
    first, second = (half.bounding_box() for half in pairs.first.locator("img").all())
    assert first is not None
    assert second is not None
    assert first["x"] + first["width"] <= second["x"]
    assert first["y"] == second["y"]
    page.locator(".controls").get_by_text("Slider").click()
    assert (pairs.count(), page.locator("#gallery .compare").count()) == (0, 6)
    page.locator(".controls").get_by_text("Side by side").click()
    assert pairs.count() == 6


def test_every_card_has_its_key(page: Page, made: tuple[str, list[UnitResult]]):
    keys = {sample_key(candidate) for result in made[1] for candidate in result.candidates}
    assert set(page.locator("#gallery .key").all_inner_texts()) <= keys
    for name in ("τ strips", "Near misses", "Worst rejected"):
        page.locator(".controls").get_by_text(name).click()
        count = page.locator("#gallery .card").count()
        shown = page.locator("#gallery .key").all_inner_texts()
        assert len(shown) == count > 0
        assert set(shown) <= keys


def test_a_filtered_view_can_be_sent(page: Page, browser: Browser, address: str):
    page.locator(".controls").get_by_text("Worst rejected").click()
    page.locator(".controls").get_by_text("Slider").click()
    page.fill("#search", "make & blue=#")
    page.fill("#search", "make blue")
    page.select_option("#tau", "0.8")
    cards = page.locator("#gallery .card").all_inner_texts()
    assert len(cards) == 2
    other = browser.new_page()
    other.goto(page.url)
    assert other.locator("#gallery .card").all_inner_texts() == cards
    assert other.locator("#gallery .compare").count() == 2
    assert other.input_value("#search") == "make blue"
    other.close()
    page.goto(f"{address}#list=near&kind=kind1")
    assert page.locator("#gallery .card").count() == 3
    assert page.input_value("#search") == "", "the address holds the whole view"


def test_an_address_of_other_values_is_harmless(page: Page, address: str):
    page.goto(f"{address}#list=none&kind=no-kind&page=99&toString=1&a=<b>")
    assert page.locator("#gallery .card").count() == 6
    page.locator("nav").get_by_text("Funnel").click()
    assert page.url == f"{address}#funnel"
    assert page.locator("#gallery .card").count() == 6


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
    assert page.locator("#gallery .beside").count() == 6
    whys = page.locator("#gallery .why").all_inner_texts()
    assert len(whys) == 6
    assert set(whys) == {
        "below the threshold of clip_sim_dir (direction of the edit): 0.100 < 0.2",
        "below the threshold of clip_sim_dir (direction of the edit): 0.070 < 0.2",
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


def test_a_live_page_loads_itself_again_while_the_run_lives(browser: Browser, tmp_path: Path):
    store, results = output(str(tmp_path), done=3)
    address = (tmp_path / REPORT).as_uri()
    with keep_heartbeat(store, lambda: 1.0):
        write_report(store)
        page = browser.new_page()
        page.clock.install()
        page.goto(address)
        assert page.locator("#live").is_visible()
        page.locator(".controls").get_by_text("Near misses").click()
        page.locator("h1").click()
        assert page.locator("#gallery .card").count() == 3
        commit_units(store, results[3:5])
        write_report(store)
        with page.expect_navigation():
            page.clock.run_for(25_000)
        assert page.locator("#gallery .card").count() == 5, "of the new page, with the choice of the old one"
        page.focus("#search")
        page.clock.run_for(25_000)
        assert page.locator("#gallery .card").count() == 5
        commit_units(store, results[5:])
        write_report(store)
    page.goto(address)
    assert page.locator("#live").count() == 0
    page.close()


def test_reloading_ends_if_no_new_page_is_written(browser: Browser, tmp_path: Path):
    store, _ = output(str(tmp_path), done=3)
    with keep_heartbeat(store, lambda: 1.0):
        write_report(store)
    page = browser.new_page()
    page.clock.install()
    page.goto((tmp_path / REPORT).as_uri())
    reloads = 0
    while page.locator("#live").is_visible():
        with page.expect_navigation():
            page.clock.run_for(25_000)
        reloads += 1
        assert reloads <= 40
    assert reloads == 30
    page.close()
