"""The comparison through the real config: report, errors in one line, exit codes, W&B."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import torch
from omegaconf import DictConfig, OmegaConf

from commands.comparing import compare, facts_of_checkpoints, facts_of_encoders, facts_of_file
from commands.errors import explain
from reporting.gathering.gather import gather
from reporting.gathering.origins import FACTS
from reporting.report.page import write_report
from reporting.report.section import Grid, Section
from tests.composing import composed
from tests.reporting.comparison.made import row, training, write
from tests.wandb_files import finished


def config(folder: Path, *overrides: str) -> DictConfig:
    own = [f"runs=[{folder}/runs]", f"output_dir={folder}/report"]
    return composed(folder / "report", *own, *overrides, config="compare")


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Folder with a training run and a probe."""
    training(tmp_path / "runs" / "own", "mine")
    write(tmp_path / "runs" / "probe", [row("theirs", 0.3), row("logmel", 0.1)])
    return tmp_path


def test_a_report_is_written(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    compare(config(runs))
    folder = runs / "report"
    page = (folder / "index.html").read_text()
    assert len(page) < 8 * 2**20
    assert "https://" not in page.split("</script>", 1)[1]
    assert "What was gathered?" in page
    heads = pd.read_csv(folder / "tables" / "headlines.csv")
    assert len(heads) == 3 * 2 + 2
    encoders = pd.read_csv(folder / "tables" / "encoders.csv", index_col="name")
    assert encoders.loc["logmel", "control"]
    assert not encoders.loc["theirs", "control"]
    for picture in ("coverage_cells",):
        assert (folder / "figures" / f"{picture}.png").stat().st_size > 5000
    assert "What was gathered?" in capsys.readouterr().out


@pytest.mark.long
def test_a_section_that_fails_is_named_and_the_others_stay(runs: Path) -> None:
    cfg = config(runs)
    cfg.sections = {"broken": {"_target_": "builtins.int", "_partial_": True}, **cfg.sections}
    with pytest.raises(SystemExit) as caught:
        compare(cfg)
    assert caught.value.code == 1
    page = (runs / "report" / "index.html").read_text()
    assert "This section failed: TypeError" in page
    assert "What was gathered?" in page


def test_cells_and_notes_of_the_page(runs: Path) -> None:
    made = gather([f"{runs}/runs"])
    table = pd.DataFrame(
        {
            "scores": ["a", "b"],
            "r": [".71 (.44 … .87)", "–"],
            "step": pd.array([2000, None], dtype="Int64"),
            "control": [True, False],
            "pick": ["theirs", "mine"],
        }
    )
    few, many = ([f"note {k}" for k in range(count)] for count in (2, 9))
    sections = [
        Section("few", "One?", "Yes.", [Grid("made", table, "Made")], few),
        Section("many", "Two?", "No.", [], many),
    ]
    text = write_report(made, sections, runs / "report").read_text()
    text = text.split("<main")[1].split("</main>")[0]
    assert ">.71\N{NO-BREAK SPACE}(.44\N{NO-BREAK SPACE}…\N{NO-BREAK SPACE}.87)</td>" in text
    assert ">2,000</td>" in text
    assert ">yes</td>" in text
    # A row is its own encoder's, not that of an encoder that it mentions.
    assert "data-owner" not in text
    assert "<details open><summary>Notes</summary>" in text
    assert "<details><summary>9 notes: what is missing, doubtful or left out</summary>" in text
    assert text.count("<li>note") == 11


@pytest.mark.long
@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["runs=[nowhere]"], "no scores.jsonl in nowhere"),
        (["include.encoder=[nobody]"], "no score is left"),
        (["facts=nothing.csv"], "no file nothing.csv: check facts="),
        (["runs=nowhere"], "no scores.jsonl in nowhere"),
        (["include.benchmark=nothing/*"], "no score is left"),
        (["~sections.colour"], "there is no setting sections.colour to leave out"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(runs: Path, overrides: list[str], words: str) -> None:
    with pytest.raises(Exception, match=r".*") as caught:
        compare(config(runs, *overrides))
    line = explain(caught.value)
    assert words in line
    assert "\n" not in line


@pytest.mark.long
def test_facts_are_read_from_yaml_and_csv(runs: Path) -> None:
    known = facts_of_encoders()
    assert all(set(facts) <= set(FACTS) for facts in known.values())
    path = runs / "facts.csv"
    path.write_text("encoder,family,hours,control\ntheirs,published,960,True\nmine,own,,\n")
    facts = facts_of_file(path)
    assert facts["theirs"] == {"family": "published", "hours": 960.0, "control": True}
    compare(config(runs, f"facts={path}"))
    table = pd.read_csv(runs / "report" / "tables" / "encoders.csv", index_col="name")
    assert tuple(table.loc["theirs", ["family", "hours", "control"]]) == ("published", 960, True)
    assert table.loc["mine step 10", "hours"] == pytest.approx(0.1)
    path.write_text("encoder,colour\nx,red\n")
    with pytest.raises(ValueError, match="has the columns encoder, colour: expected encoder and"):
        facts_of_file(path)
    for content in ("", "encoder,hours\nx,many\n"):
        path.write_text(content)
        with pytest.raises(ValueError, match=r"facts\.csv is no csv of facts \(.*docs/compare"):
            facts_of_file(path)


def test_a_checkpoint_says_what_it_was_trained_on(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    origin = {"data_fingerprint": "abc", "git_revision": "def", "config": {}}
    weights = {
        "encoder.a": torch.zeros(3, 4),
        "encoder.b": torch.zeros(5),
        "decoder.a": torch.ones(9),
    }
    for step in (0, 2):
        content = {"entrain": origin, "state_dict": weights, "global_step": step}
        torch.save(content, folder / f"step_{step:08d}.ckpt")
    assert facts_of_checkpoints(tmp_path) == {
        "checkpoint": {step: str(folder / f"step_{step:08d}.ckpt") for step in (0, 2)},
        "parameters": 17,
        "data_fingerprint": "abc",
        "revision": "def",
    }
    (folder / "step_00000009.ckpt").write_text("incomplete")
    assert set(facts_of_checkpoints(tmp_path)) == {"checkpoint"}
    assert facts_of_checkpoints(tmp_path / "nothing") == {}


@pytest.mark.long
def test_an_offline_run_of_wandb_can_be_read_back(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(runs / "no-netrc"))
    compare(config(runs, "logger=wandb"))
    found = finished(runs / "report")
    # What was logged becomes summary where the run is sent to.
    items = [i for one in found for i in (*one.summary.update, *one.history.item)]
    summary = {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}
    assert summary["mine/fmri/a/r2/best_optimistic"] == summary["mine/fmri/a/r2/final"] > 0.3
    assert 0.1 < summary["mine/fmri/a/r2/area"] < summary["mine/fmri/a/r2/best_optimistic"]
    assert "mine/probe/b/r2/area" in summary
    assert summary["answers/coverage"].startswith("20 scores of 3 encoders")
    assert summary["tables/scores/nrows"] == 8
    assert summary["tables/lineage/nrows"] == 5
    assert summary["figures/coverage_cells/_type"] == "plotly-file"
    settings = {
        item.key: json.loads(item.value_json)
        for record in found
        for item in (*record.config.update, *record.run.config.update)
    }
    assert settings["runs"] == [f"{runs}/runs"]
    (artifact,) = [one.artifact for one in found if one.artifact.type == "scores"]
    names = {entry.path for entry in artifact.manifest.contents}
    assert {"index.html", "tables/headlines.csv", "figures/coverage_cells.png"} <= names
    origins = json.loads(artifact.metadata)["lineage"]
    assert [one["fingerprint"] for one in origins][:3] == ["own 0", "own 5", "own 10"]


def test_the_config_composes_as_it_is(tmp_path: Path) -> None:
    cfg = composed(tmp_path, "runs=[x]", "output_dir=out", config="compare")
    content = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(content, dict)
    assert next(iter(content["sections"])) == "coverage"
    with pytest.raises(Exception, match="runs") as caught:
        compare(composed(tmp_path, "output_dir=out", config="compare"))
    assert explain(caught.value) == "runs is not set: give runs=…"
