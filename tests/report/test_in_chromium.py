"""The page as a browser shows it: sorted, filtered, small or dark, and never more than text."""

from __future__ import annotations

import http.server
import json
import threading

import pytest
from axe_core_python.selenium import Axe
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from mixpanel_fetch.reading import PropertySummary
from mixpanel_fetch.report.text import visible

SCHEMES = ("light", "dark")
WIDTHS = (320, 360, 920, 1280)

PROPERTIES = [
    PropertySummary(
        "plan", 25_000, {"string": 25_000}, 9, top=(('"free"', 20_000), ('"pro"', 400))
    ),
    PropertySummary("Email", 24_310, {"string": 24_310}, 24_000, top=(('"a@example.com"', 2),)),
    PropertySummary("age 9", 1_000, {"number": 990, "null": 10}, 1_200, False, top=(("10", 60),)),
    PropertySummary("age 10", 900, {"number": 880, "string": 20}, 100, top=(("9", 50), ("31", 7))),
    PropertySummary("tags", 3, {"array": 2, "object": 1}, 3, top=(('["x"]', 2),)),
    PropertySummary("gone", 1, {"null": 1}, 0),
]
AS_GIVEN = [each.name for each in PROPERTIES]
ORDERS = {  # by column: header, whether it counts down at first, the names in ascending order
    0: ("Property", False, ["age 9", "age 10", "Email", "gone", "plan", "tags"]),
    1: ("Coverage", True, ["gone", "tags", "age 10", "age 9", "Email", "plan"]),
    3: ("Distinct", True, ["gone", "tags", "plan", "age 10", "age 9", "Email"]),
}
HOSTILE = [
    "<script>window.pwned = 1</script>",
    "</style><script>window.pwned = 1</script>",
    "</script><script>window.pwned = 1</script>",
    '"onmouseover="window.pwned = 1" x="',
    "'><img src=x onerror='window.pwned = 1'>",
    "<svg onload=window.pwned=1>",
    "</td></tr></table><h1>",
    "<!--",
    "]]>",
    "{{ 7 * 7 }}",
    "{% raw %}",
    "&lt;b&gt;&amp;",
    "javascript:window.pwned=1",
    "a\u2028b\u2029c",
    "\u202egnp.exe\u2066",
    "a\0b",
    "half \ud800",
    "x" * 10_000_000,
    "no break " + "y" * 5_000,
    "\u0939\u093f\u0928\u094d\u0926\u0940 \u05e9\u05dc\u05d5\u05dd \U0001f469\u200d\U0001f4bb",
]


@pytest.fixture
def opened(chromium, tmp_path):
    """Open a page; afterwards nothing was asked of a network and nothing was complained about."""

    def open_page(page, *, width=1280, scheme="light"):
        path = tmp_path / "report.html"
        path.write_text(page, encoding="utf-8")
        emulate(chromium, width, scheme)
        chromium.get(path.as_uri())
        return chromium

    open_page("<!doctype html><title>empty</title>")
    for kind in ("browser", "performance"):
        chromium.get_log(kind)  # what was before is not the page's
    yield open_page
    assert chromium.get_log("browser") == []
    assert all(url.startswith(("file:", "data:")) for url in requests_of(chromium))


def emulate(browser, width, scheme):
    features = [
        {"name": "prefers-color-scheme", "value": scheme},
        {"name": "prefers-reduced-motion", "value": "reduce"},  # clicks do not wait for scrolling
    ]
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def requests_of(browser):
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]


def names(browser, table="property-table"):
    return browser.execute_script(
        "return Array.from(document.getElementById(arguments[0]).tBodies[0].rows)"
        ".filter(row => row.offsetParent !== null).map(row => row.cells[0].textContent)",
        table,
    )


def headers(browser):
    return browser.find_elements("css selector", "#property-table thead th")


def open_everything(browser):
    browser.execute_script("for (const e of document.querySelectorAll('details')) e.open = true")


@pytest.fixture
def full_page(summary_of, run_of, page_of):
    """A page with everything on it that a page may have."""
    runs = [
        run_of("partial", missing=(3, 7, 8, 9)),
        run_of(hours=30),
        run_of("suspended", missing=range(0, 25, 2), rows=None, hours=60),
        run_of("aborted", missing=range(25), rows=None, hours=90),
    ]
    return page_of(summary_of(PROPERTIES), runs)


@pytest.mark.parametrize("column", ORDERS)
def test_a_header_sorts_by_its_column_and_turns_the_order(column, opened, full_page):
    browser = opened(full_page)
    label, down_first, ascending = ORDERS[column]
    header = headers(browser)[column]
    if column == 1:  # that is how the page comes
        assert header.get_attribute("aria-sort") == "descending"
        assert names(browser) == AS_GIVEN
        headers(browser)[0].find_element("tag name", "button").click()
    button = header.find_element("tag name", "button")
    assert button.text == label
    for down in (down_first, not down_first):
        button.click()
        assert names(browser) == (ascending[::-1] if down else ascending)
        assert header.get_attribute("aria-sort") == ("descending" if down else "ascending")
        assert [h.get_attribute("aria-sort") is None for h in headers(browser)].count(False) == 1


def test_types_sort_with_the_conflicts_together(opened, full_page):
    browser = opened(full_page)
    headers(browser)[2].find_element("tag name", "button").click()
    assert (
        names(browser)
        == ["tags", "age 10", "gone", "age 9", "plan", "Email"][:2] + names(browser)[2:]
    )
    assert set(names(browser)[:2]) == {"tags", "age 10"}


def test_a_column_without_a_value_sorts_last_in_both_orders(opened, full_page):
    browser = opened(full_page)
    button = headers(browser)[4].find_element("tag name", "button")
    for order in (["tags", "age 9", "age 10", "Email", "plan"],) * 2:
        button.click()
        assert names(browser)[-1] == "gone"
        assert set(names(browser)[:-1]) == set(order)


def test_runs_sort_by_duration_and_rows_with_the_unknown_last(opened, full_page):
    browser = opened(full_page)
    button = browser.find_element("css selector", "#history-table th:nth-child(6) button")
    for _ in range(2):
        button.click()
        found = names(browser, "history-table")
        assert {name.split()[-1] for name in found[-2:]} == {"run-60", "run-90"}


def test_the_keyboard_reaches_and_works_all_that_a_mouse_does(opened, full_page):
    browser = opened(full_page)
    press = lambda *keys: ActionChains(browser).send_keys(*keys).perform()  # noqa: E731
    focused = lambda: browser.switch_to.active_element  # noqa: E731
    press(Keys.TAB)
    assert focused().text == "Skip to the content"
    assert focused().rect["x"] >= 0  # to be seen once it has the focus
    press(Keys.ENTER)
    assert focused().get_attribute("id") == "content"

    browser.find_element("id", "filter").click()
    press(Keys.TAB)
    assert focused().text == "Property"
    press(Keys.ENTER)
    assert names(browser) == ORDERS[0][2]
    press(" ")
    assert names(browser) == ORDERS[0][2][::-1]
    assert focused().text == "Property"
    style = browser.execute_script(
        "const s = getComputedStyle(document.activeElement);"
        " return [s.outlineStyle, s.outlineWidth]"
    )
    assert style == ["solid", "3px"]

    press(Keys.TAB * 5)
    assert focused().tag_name == "summary"
    press(Keys.ENTER)
    assert focused().find_element("xpath", "..").get_attribute("open") is not None


def test_top_values_open_below_the_most_frequent_one(opened, full_page):
    browser = opened(full_page)
    details = browser.find_element("css selector", "#property-table details")
    items = details.find_elements("tag name", "li")
    assert not items[0].is_displayed()
    details.find_element("tag name", "summary").click()
    assert [item.text for item in items] == ['"free" 20,000', '"pro" 400']


def test_the_filter_keeps_what_matches_by_name_or_type(opened, full_page):
    browser = opened(full_page)
    field = browser.find_element("id", "filter")
    words = browser.find_element("id", "filter-words")
    for text, kept, told in (
        ("AGE", {"age 9", "age 10"}, "2 of 6 properties"),
        ("mixed", {"age 10", "tags"}, "2 of 6 properties"),
        ("nothing like it", set(), "0 of 6 properties"),
        ("  ", set(AS_GIVEN), ""),
    ):
        field.clear()
        field.send_keys(text)
        assert set(names(browser)) == kept
        assert words.text == told


def test_what_is_filtered_stays_filtered_when_it_is_sorted(opened, full_page):
    browser = opened(full_page)
    browser.find_element("id", "filter").send_keys("age")
    headers(browser)[0].find_element("tag name", "button").click()
    assert names(browser) == ["age 9", "age 10"]


def test_without_scripts_all_is_there_and_no_control_is_dead(chromium, opened, full_page):
    chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser = opened(full_page)
        assert len(browser.find_elements("css selector", "#property-table tbody tr")) == 6
        assert browser.find_elements("tag name", "button") == []
        assert not browser.find_element("id", "filter").is_displayed()
        browser.find_element("css selector", "#property-table summary").click()
        assert browser.find_element("css selector", "#property-table li").is_displayed()
    finally:
        chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


SHAPE = """return Array.from(document.querySelectorAll('*'),
    e => [e.localName, ...Array.from(e.attributes, a => a.name).sort()].join(' '))"""


def test_hostile_names_and_values_make_no_element_and_run_nothing(
    opened, summary_of, run_of, page_of
):
    def page(words):
        properties = [
            PropertySummary(
                word, 9, {"string": 4, "number": 5}, 2, top=((word, 5), (f"{word}!", 4))
            )
            for word in words
        ]
        table = words[0]
        runs = [run_of("partial", missing=(1,), table=table)]
        return page_of(summary_of(properties, table=table), runs, destination="".join(words[:9]))

    browser = opened(page(["x"] * len(HOSTILE)))
    harmless = browser.execute_script(SHAPE)
    browser = opened(page(HOSTILE))
    assert browser.execute_script(SHAPE) == harmless
    open_everything(browser)
    for element in browser.find_elements("css selector", "#property-table tbody th"):
        ActionChains(browser).move_to_element(element).perform()
    assert browser.execute_script("return window.pwned === undefined")
    shown = names(browser)
    assert shown[:-3] == [visible(word) for word in HOSTILE[:-3]]
    assert len(shown[-3]) < 1_000
    assert browser.title == f"{HOSTILE[0]} \u2013 mixpanel-fetch report"
    assert browser.execute_script("return document.compatMode") == "CSS1Compat"


@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_is_never_wider_than_the_screen(width, opened, summary_of, run_of, page_of):
    long = "without_any_break_" * 12
    properties = [
        PropertySummary(
            f"{long}{n}",
            24_000,
            {"string": 1_234, "number": 567_890},
            10**9,
            top=((f'"{long}"', 8),),
        )
        for n in range(5)
    ]
    runs = [run_of("partial", missing=range(0, 400, 2), pages=400, table=long)]
    page = page_of(
        summary_of(properties, table=long), runs, destination=f"duckdb:////{long}/{long}"
    )
    browser = opened(page, width=width)
    open_everything(browser)
    inside, outside = browser.execute_script(
        "const e = document.documentElement; return [e.scrollWidth, e.clientWidth]"
    )
    assert inside <= outside <= width


CONTRAST = """
const parts = color => color.match(/[\\d.]+/g).map(Number);
const luminance = rgb => { const [r, g, b] = rgb.map(v => v / 255)
  .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
const behind = e => { for (; e; e = e.parentElement) {
  const c = parts(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] === 1) return c; }
  throw new Error('nothing behind it'); };
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = {};
for (let node; node = walker.nextNode();) {
  const e = node.parentElement;
  const text = node.data.trim().slice(0, 30);
  if (!text || !e.getClientRects().length || e.closest('script, style, title, desc')) continue;
  const style = getComputedStyle(e);
  const front = parts(e.closest('svg') ? style.fill : style.color);
  const [dark, light] = [front, behind(e)].map(c => luminance(c.slice(0, 3))).sort((a, b) => a - b);
  found[`${e.localName}: ${text}`] = (light + 0.05) / (dark + 0.05);
}
return found;"""


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", [360, 1280])
def test_all_text_stands_out_from_what_is_behind_it(width, scheme, opened, full_page):
    browser = opened(full_page, width=width, scheme=scheme)
    open_everything(browser)
    found = browser.execute_script(CONTRAST)
    assert len(found) > 80
    assert {text: ratio for text, ratio in found.items() if ratio < 4.5} == {}


def test_dark_is_dark(opened, full_page):
    grounds = []
    for scheme in SCHEMES:
        browser = opened(full_page, scheme=scheme)
        grounds.append(
            browser.execute_script("return getComputedStyle(document.body).backgroundColor")
        )
    assert grounds[0] != grounds[1]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", [360, 1280])
def test_axe_finds_no_barrier(width, scheme, opened, full_page):
    browser = opened(full_page, width=width, scheme=scheme)
    open_everything(browser)
    violations = Axe().run(browser)["violations"]
    assert [(each["id"], each["nodes"][0]["html"]) for each in violations] == []


@pytest.mark.parametrize("width", [360, 1280])
def test_a_table_stays_a_table_for_those_who_hear_it(width, chromium, opened, full_page):
    opened(full_page, width=width)
    tree = chromium.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    roles = [node["role"]["value"] for node in tree if not node["ignored"]]
    assert roles.count("table") == 3
    assert roles.count("columnheader") == 5 + 5 + 7
    assert roles.count("rowheader") == 6 + 2 + 4


def test_served_over_http_it_asks_for_itself_alone(chromium, opened, full_page):
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "text/html")  # without a charset: the page has one
            self.end_headers()
            self.wfile.write(full_page.encode())

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            chromium.get(f"http://127.0.0.1:{server.server_port}/report")
            assert chromium.find_element("tag name", "h1").text == "profiles"
            assert len(requests_of(chromium)) in {1, 2}  # the page, and its icon inside of it
        finally:
            server.shutdown()
            thread.join()
    assert asked == ["/report"]


def test_2000_properties_sort_and_filter(opened, summary_of, many_properties, page_of):
    browser = opened(page_of(summary_of(many_properties(2_000))))
    headers(browser)[0].find_element("tag name", "button").click()
    browser.find_element("id", "filter").send_keys("199")
    assert [name[-4:] for name in names(browser)] == [
        "0199",
        "1199",
        *(f"{n}" for n in range(1990, 2000)),
    ]
