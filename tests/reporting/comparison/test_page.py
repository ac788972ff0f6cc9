"""The page of a comparison in a browser: it opens, draws, filters, and fits a phone."""

from __future__ import annotations

from pathlib import Path

import plotly.graph_objects as go
import pytest
from plotly.subplots import make_subplots

from reporting.gathering.gather import gather
from reporting.report import coverage
from reporting.report.page import write_report
from reporting.report.section import Chart, Grid, Section
from tests.reporting.comparison.browser import CHROMIUM, Tab, visit
from tests.reporting.comparison.made import row, training, write

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium"),
]
FACTS = {"theirs": {"family": "published"}, "other": {"family": "published"}}
DRAWN = "document.body.dataset.drawn === '3'"
BOX = "[...document.querySelectorAll('label')].find(l => l.textContent === '{}').control"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of a training run and two published encoders."""
    folder = tmp_path_factory.mktemp("comparison")
    training(folder / "runs" / "own", "mine")
    write(folder / "runs" / "a", [row("theirs", 0.2)])
    write(folder / "runs" / "b", [row("other", 0.3), row("other", 0.1, benchmark="probe/b")])
    gathered = gather([str(folder / "runs")], facts=FACTS)
    final = gathered.encoders.index[gathered.encoders["final"]]
    panels = make_subplots(1, 2, subplot_titles=["left", "right"])
    for k, name in enumerate(["mine", "theirs"]):
        panels.add_scatter(x=[0, 1], y=[k, k + 1], name=name, row=1, col=1)
    panels.add_scatter(
        x=[1, 2, 3], y=[1, 2, 3], mode="markers", row=1, col=2, hovertext=list(final)
    )
    panels.add_scatter(x=[1, 3], y=[1, 3], mode="lines", name="identity", row=1, col=2)
    bars = go.Figure(go.Bar(x=list(final), y=[0.1, 0.2, 0.3]))
    items = [Chart("panels", panels, "Lines"), Chart("bars", bars, "Bars")]
    table = gathered.heads[["name", "benchmark", "value", "ceiling"]]
    made = Section("made", "Is it <b>so</b>?", "It is.", [*items, Grid("heads", table, "Heads")])
    return write_report(gathered, [coverage.section(gathered), made], folder / "report")


def counts(selector: str) -> str:
    """Expression: how many points, bars, cells or lines are drawn in a figure."""
    return f"document.querySelectorAll('{selector}').length"


def test_it_opens_draws_and_filters(page: Path, tmp_path: Path) -> None:
    async def script(tab: Tab) -> None:
        await tab.resize(1200)
        await tab.open(page)
        await tab.until(DRAWN)
        assert await tab.run(counts("[data-figure] svg.main-svg")) >= 3
        assert await tab.run(counts("#made_bars .bars .point")) == 3
        assert await tab.run(counts("#made_panels .scatterlayer .trace")) == 4
        assert await tab.run(counts("#made_heads tbody tr:not([hidden])")) == 9
        assert await tab.run("document.querySelector('#made h2').textContent") == "Is it <b>so</b>?"
        # One encoder away: its bar, line, point and rows go, the diagonal stays.
        await tab.run(f"{BOX.format('theirs')}.click()")
        await tab.until(DRAWN)
        assert await tab.run(counts("#made_bars .bars .point")) == 2
        assert await tab.run(counts("#made_panels .scatterlayer .trace")) == 3
        assert await tab.run(counts("#made_panels .points path")) == 2 + 2
        assert await tab.run(counts("#made_heads tbody tr:not([hidden])")) == 8
        assert await tab.run("document.getElementById('shown').textContent") == (
            "2 of 3 encoders shown"
        )
        assert await tab.run(f"{BOX.format('published')}.indeterminate")
        cells = "document.querySelector('#coverage_cells .plot').data[0].z.length"
        assert await tab.run(cells) == 2
        # A family back, then everything away and back.
        await tab.run(f"{BOX.format('published')}.click()")
        await tab.until(DRAWN)
        assert await tab.run(counts("#made_bars .bars .point")) == 3
        await tab.run("document.querySelector('[data-all=no]').click()")
        await tab.until(DRAWN)
        assert await tab.run(counts("#made_bars .bars .point")) == 0
        assert await tab.run(counts("#made_heads tbody tr:not([hidden])")) == 0
        await tab.run("document.querySelector('[data-all=yes]').click()")
        await tab.until(DRAWN)
        assert await tab.run(counts("#made_bars .bars .point")) == 3
        assert tab.errors == []

    visit(tmp_path / "profile", script)


def test_it_works_by_keyboard_on_a_phone(page: Path, tmp_path: Path) -> None:
    async def script(tab: Tab) -> None:
        await tab.resize(360)
        await tab.open(page)
        await tab.until(DRAWN)
        wide = "document.documentElement.scrollWidth"
        assert await tab.run(wide) <= 360
        # Panels stand one above the other there, and beside each other on a wide screen.
        ends = "document.querySelector('#made_panels .plot').layout.xaxis2.domain"
        assert await tab.run(ends) == [0, 1]
        focused = "document.activeElement.closest('summary, label, a, button, [role=region]')"
        for _ in range(20):
            await tab.press("Tab")
            if await tab.run(f"({focused} || {{}}).tagName") == "SUMMARY":
                break
        outline = "getComputedStyle(document.activeElement).outlineStyle"
        assert await tab.run(outline) == "solid"
        await tab.press("Enter")
        assert await tab.run("document.querySelector('details.filter').open")
        for _ in range(20):
            await tab.press("Tab")
            if await tab.run(f"({focused} || {{}}).textContent") == "other":
                break
        await tab.press(" ")
        await tab.until(DRAWN)
        assert not await tab.run(f"{BOX.format('other')}.checked")
        assert await tab.run(counts("#made_bars .bars .point")) == 2
        assert await tab.run(wide) <= 360
        await tab.resize(1200)
        await tab.until(f"{DRAWN} && {ends}[0] > 0.4")
        assert tab.errors == []

    visit(tmp_path / "profile", script)


def test_a_figure_that_fails_would_be_noticed(tmp_path: Path) -> None:
    async def script(tab: Tab) -> None:
        await tab.open(broken)
        await tab.run("1")
        assert any("mistake" in error for error in tab.errors)

    broken = tmp_path / "broken.html"
    broken.write_text("<script>throw new Error('mistake')</script>")
    visit(tmp_path / "profile", script)
