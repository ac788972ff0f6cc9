"""What the table of encoders says, whose word counts, and what is said of a table with slips."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hydra.errors import MissingConfigException
from omegaconf import OmegaConf

from commands import facts
from commands.building import build_encoder
from commands.errors import explain
from commands.facts import COLUMNS, TABLE, cannot_run, facts_of, not_runnable, read_table
from commands.folders import CONF
from tests.composing import config, options


def test_the_table_is_read_with_its_types() -> None:
    known = facts_of("wav2vec2_base")
    assert (known["parameters"], known["hours"], known["verified"]) == (94_371_712, 960, False)
    assert known["source"] == "https://arxiv.org/abs/2006.11477"
    assert "hours" not in facts_of("qwen2_audio_7b")
    assert facts_of("nobody") == {}


def test_a_yaml_of_ones_own_wins() -> None:
    said = OmegaConf.create({"_target_": "x", "hours": 5, "family": None, "verified": True})
    known = facts_of("wav2vec2_base", said)
    assert (known["hours"], known["family"], known["verified"]) == (5, "wav2vec2", True)
    assert facts_of("mine", said) == {"hours": 5, "verified": True}


def test_what_cannot_run_has_no_yaml_and_says_how_to_have_features(tmp_path: Path) -> None:
    gone = not_runnable()
    assert not {*gone} & {*options("encoder")}
    assert all({"what", "sample_rate", "layers", "features"} <= {*row} for row in gone.values())
    runnable = {name: row for name, row in read_table(TABLE).items() if name not in gone}
    assert {*runnable} <= {*options("encoder")}
    assert not any({"what", "features"} & {*row} for row in runnable.values())
    assert cannot_run("logmel") is cannot_run("nobody") is None
    for chosen in ("encoder=vggish", "encoder@reference=vggish"):
        with pytest.raises(MissingConfigException) as error:
            config(tmp_path, chosen, script="probe")
        assert explain(error.value) == (
            "vggish cannot run here: make its features elsewhere (pip install torchvggish, whose "
            "waveform_to_examples makes the spectrograms it takes), and give them as "
            "encoder=precomputed encoder.path=FILE.npz"
        )


def test_what_was_never_tried_is_said_when_it_is_built(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = ",".join(COLUMNS)
    row = "mine,x,all,none,,,,,no,,,,"
    monkeypatch.setattr(facts, "TABLE", write(tmp_path, head, row))
    for said, warned in (({}, True), ({"verified": True}, False), ({"name": "other"}, False)):
        caplog.clear()
        build_encoder(OmegaConf.create({"_target_": "builtins.dict", **said}), "mine")
        assert ("mine is not verified" in caplog.text) == warned


def write(folder: Path, *lines: str) -> Path:
    path = folder / f"{len(list(folder.iterdir()))}.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_slips_in_the_table_are_named_with_their_line(tmp_path: Path) -> None:
    head, good = ",".join(COLUMNS), "a,x,all,none,1,0.5,,,yes,,,,"
    assert read_table(write(tmp_path, head, good))["a"]["hours"] == 0.5
    slips = {
        "a,x,all,none,1,5,,,yes,,,,": "line 3: got the encoder 'a', expected a name that stands",
        "b,x": "line 3: got the encoder 'b', .* and 13 cells: put quotes around text",
        "b,x,all,none,1,5,MIT, or so,no,,,,,": "line 3: .* and 13 cells",
        "b,x,all,none,many,5,,,no,,,,": "line 3: parameters is many, expected a number such as",
        "b,x,all,none,1,5,,,false,,,,": "line 3: verified is false, expected yes, no or nothing",
    }
    for line, said in slips.items():
        with pytest.raises(ValueError, match=said):
            read_table(write(tmp_path, head, good, line))
    with pytest.raises(ValueError, match="has the columns encoder, family: expected encoder, fam"):
        read_table(write(tmp_path, "encoder,family"))


@pytest.mark.long
def test_the_table_is_read_without_what_is_slow_to_import() -> None:
    code = (
        "import sys; from commands.facts import facts_of; facts_of('logmel'); "
        "assert not {'torch', 'pandas', 'hydra'} & {*sys.modules}"
    )
    subprocess.run([sys.executable, "-c", code], cwd=CONF.parent, check=True)


def test_bases_of_families_are_no_encoders() -> None:
    """``encoder=glob(*)`` takes the files of the folder: bases lie in one of their own."""
    assert not list((CONF / "encoder").glob("_*.yaml"))
    assert [path.name for path in (CONF / "encoder").iterdir() if path.is_dir()] == ["_family"]
