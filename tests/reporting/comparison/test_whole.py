"""All sections on what was gathered from folders, and their figures and tables in a browser."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from omegaconf import OmegaConf

from commands.building import build
from commands.folders import CONF
from reporting.gathering.gather import gather
from reporting.gathering.gathered import Gathered
from reporting.report.page import write_report
from reporting.report.section import Chart, Section
from tests.reporting.comparison.browser import CHROMIUM, Tab, visit
from tests.reporting.comparison.made import facts_of_study, study

MENTIONS = """[...document.querySelectorAll('[data-figure]')].filter(plot =>
  JSON.stringify(plot.data.filter(trace => trace.visible !== false)).includes('{0}'))
  .map(plot => plot.closest('figure').id)"""
ROWS = """[...document.querySelectorAll('tbody tr:not([hidden])')].filter(row =>
  [...row.cells].slice(0, 2).some(cell => cell.textContent.startsWith('{0}'))).length"""
BOX = "[...document.querySelectorAll('label')].find(l => l.textContent === '{}').control.click()"
COUNT = "[...document.querySelectorAll('[data-figure]')].map(plot => plot.data.length).join()"
WIDTHS = """Object.fromEntries([...document.querySelectorAll('[data-figure]')].map(plot =>
  [plot.closest('figure').id, [plot.clientWidth, plot.parentElement.tabIndex]]))"""
EVERY_ROW = "document.querySelectorAll('tbody tr:not([hidden])').length"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Gathered, list[Section], Path]:
    folder = tmp_path_factory.mktemp("whole")
    made = gather([str(study(folder / "runs"))], facts=facts_of_study(), controls=["logmel"])
    said = OmegaConf.load(CONF / "compare.yaml").sections
    sections = [build(config)(made, seed=0) for config in said.values()]
    return made, sections, write_report(made, sections, folder / "report")


def test_seeds_that_were_gathered_are_one_encoder(
    whole: tuple[Gathered, list[Section], Path],
) -> None:
    (emergence,) = (section for section in whole[1] if section.key == "emergence")
    assert "r2 of mine has made half of its rise" in emergence.answer
    assert "n = 2 runs" in emergence.answer
    (note,) = (note for note in emergence.notes if "seed" in note)
    assert note.startswith("mine: 2 runs of this name")
    assert "mine (seed1) step 40, mine (seed2) step 40" in note
    table = pd.read_csv(whole[2].parent / "tables" / "emergence_emergence_table.csv")
    assert set(table["encoder"]) == {"mine"}
    assert set(table["runs"]) == {2}


def test_every_section_answers_and_every_figure_has_a_png(
    whole: tuple[Gathered, list[Section], Path],
) -> None:
    _, sections, page = whole
    names = {path.stem for path in (page.parent / "figures").glob("*.png")}
    for section in sections:
        assert "Not enough" not in section.answer
        assert "nan" not in f"{section.answer} {section.notes}".lower()
        charts = [item for item in section.items if isinstance(item, Chart)]
        assert charts
        assert {f"{section.key}_{chart.key}" for chart in charts} <= names
    text = page.read_text().split('<main id="answers">')[1].split("</main>")[0]
    assert ">nan<" not in text.lower()


@pytest.mark.long
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_a_hidden_encoder_is_hidden_everywhere(
    whole: tuple[Gathered, list[Section], Path], tmp_path: Path
) -> None:
    async def script(tab: Tab) -> None:
        await tab.resize(1200)
        await tab.open(whole[2])
        number = len(await tab.run("[...document.querySelectorAll('[data-figure]')].map(p => 1)"))
        drawn = f"document.body.dataset.drawn === '{number}'"
        await tab.until(drawn, 120)
        before = await tab.run(COUNT), await tab.run(EVERY_ROW)
        shown = await tab.run(MENTIONS.format("model 3"))
        kinds = {name.split("_")[0] for name in shown}
        assert kinds == {"coverage", "better", "depth", "drivers"}
        assert "emergence_emergence_steps" in await tab.run(MENTIONS.format("mine"))
        assert await tab.run(ROWS.format("model 3")) > 0
        assert await tab.run(ROWS.format("mine")) > 20
        await tab.run(BOX.format("model 3"))
        await tab.until(drawn, 120)
        assert await tab.run(MENTIONS.format("model 3")) == []
        assert await tab.run(ROWS.format("model 3")) == 0
        # The mean over two seeds goes with the second of them.
        await tab.run(BOX.format("mine (seed1)"))
        await tab.until(drawn, 120)
        assert "emergence_emergence_half" in await tab.run(MENTIONS.format("mine"))
        await tab.run(BOX.format("mine (seed2)"))
        await tab.until(drawn, 120)
        assert await tab.run(MENTIONS.format("mine")) == []
        assert await tab.run(ROWS.format("mine")) == 0
        await tab.run("document.querySelector('[data-all=yes]').click()")
        await tab.until(drawn, 120)
        assert (await tab.run(COUNT), await tab.run(EVERY_ROW)) == before
        await tab.resize(360)
        await tab.until(drawn, 120)
        assert await tab.run("document.documentElement.scrollWidth") <= 360
        # What would be crowded there is wide and moves below its window; the rest fits.
        widths = await tab.run(WIDTHS)
        assert widths["better_better_scatter_1"] == [704, 0]
        assert widths["depth_depth_ranks"] == [704, 0]
        assert widths["emergence_emergence_steps"][0] < 360
        assert widths["emergence_emergence_steps"][1] == -1
        await tab.resize(1200)
        await tab.until(f"{drawn} && {WIDTHS}.better_better_scatter_1[0] > 900", 120)
        assert tab.errors == []

    visit(tmp_path / "profile", script)
