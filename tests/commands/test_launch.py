"""What the scripts share: run folders, errors on one line, benchmarks that cannot be built."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from commands.building import build, build_benchmarks, build_loggers, to_plain
from commands.errors import explain
from commands.folders import CONF, job_folder, run_folder, sweep_folder
from commands.launch import run_script
from tests.composing import composed


def explained(*overrides: str, group: str = "", config: str = "train") -> str:
    """What the user is told of an override, or of building a group that it has changed."""
    try:
        cfg = composed(Path("nowhere"), "name=test", *overrides, config=config)
        build(cfg[group])
    except Exception as error:
        return explain(error)
    raise AssertionError(f"{overrides} is no error")


@pytest.mark.parametrize(
    ("override", "missing", "near"),
    [
        ("model=tinny", "model/tinny", "model=tiny"),
        ("model/target=kmean", "model/target/kmean", "model/target=kmeans"),
        ("suite=trajektory", "suite/trajektory", "suite=trajectory"),
        ("+experiment=demmo", "experiment/demmo", "experiment=demo"),
        (
            "benchmark=[fmri/nh2015_component]",
            "benchmark/fmri/nh2015_component",
            "benchmark=fmri/nh2015_components",
        ),
        (
            "benchmark=[probe/simulated_vowels]",
            "benchmark/probe/simulated_vowels",
            "benchmark=probe/simulated_vowel",
        ),
    ],
)
def test_what_does_not_exist_is_named_with_what_is_near(
    override: str, missing: str, near: str
) -> None:
    text = explained(override)
    assert text.startswith(f"there is no {missing} in conf/: did you mean {near}")
    assert "\n" not in text


@pytest.mark.parametrize(
    ("key", "near"),
    [
        ("modle", "did you mean model? "),
        ("max_step", "did you mean max_steps or trainer.max_steps? "),
        ("trainer.max_step", "did you mean trainer.max_steps or max_steps? "),
        ("batch_size", "did you mean data.batch_size? "),
        ("model.colour", ""),
    ],
)
def test_a_setting_that_does_not_exist_is_named_with_what_is_near(key: str, near: str) -> None:
    rest = f"--cfg job shows all of them, +{key}=… adds a new one"
    assert explained(f"{key}=3") == f"there is no setting {key}: {near}{rest}"


@pytest.mark.parametrize(
    ("override", "said"),
    [
        (
            "metrics={laag: paper}",
            "there is no setting {}.metrics.laag: did you mean {}.metrics.lag",
        ),
        (
            "metrics=[hsic]",
            "{}.metrics holds settings of its own, got a list: give {}.metrics.NAME=[",
        ),
        ("lags={first: 0}", "{}.lags is a list, got settings by name: give {}.lags=["),
    ],
)
def test_a_value_of_another_kind_is_named(override: str, said: str) -> None:
    name = "benchmark.ecog.nh2022_time"
    own = ("benchmark=[ecog/nh2022_time]", "suite=none", "output_dir=x")
    text = explained(f"{name}.{override}", *own, config="probe")
    assert text.startswith(said.format(name, name))


def test_all_options_are_offered_where_none_is_near() -> None:
    text = explained("data=zzzzzzzz")
    assert (
        text
        == "there is no data/zzzzzzzz in conf/: did you mean data=audio, pretrain_mix, synthetic?"
    )


def test_encoders_with_a_name_near_the_one_given_are_offered() -> None:
    expected = "there is no encoder/wav2vec2_bas in conf/: did you mean encoder=wav2vec2_base, "
    for override in ("encoder=wav2vec2_bas", "encoder@reference=wav2vec2_bas"):
        text = explained(override, "output_dir=x", group="encoder", config="probe")
        assert text.startswith(expected)


def test_a_value_that_must_be_given_is_named() -> None:
    text = explained("encoder=checkpoint", "output_dir=x", group="encoder", config="probe")
    assert text == "encoder.path is not set: give encoder.path=…"
    text = explained("data=audio", group="data")
    assert text.startswith("data.source.corpora.audio.path is not set: give data.source.")


def test_a_value_that_others_refer_to_is_named_itself() -> None:
    cfg = composed(Path("nowhere"), "name=test", "data=audio")
    with pytest.raises(OmegaConfBaseException) as caught:
        to_plain(cfg)
    assert explain(caught.value) == "paths.audio is not set: give paths.audio=…"


def test_what_hydra_wraps_is_told_without_the_wrapping(tmp_path: Path) -> None:
    text = explained(
        "encoder=precomputed",
        f"encoder.path={tmp_path}/none.npz",
        "output_dir=x",
        group="encoder",
        config="probe",
    )
    assert text == f"no features at {tmp_path}/none.npz: check encoder.path"
    text = explained("+model.encoder.colour=blue", group="model")
    assert text.endswith("got an unexpected keyword argument 'colour'")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_told_with_the_mend() -> None:
    text = explained("trainer=gpu", group="trainer")
    assert text.startswith("no GPU is found here: choose trainer=cpu")


@pytest.mark.parametrize("slip", ["model.encoder=[", "demo", "benchmark=[fmri/simulated,"])
def test_a_slip_of_the_pen_is_told_in_one_line(slip: str) -> None:
    text = explained(slip)
    assert text.startswith(f"cannot read {slip} (")
    assert "expected NAME=VALUE, in quotes" in text
    assert "\n" not in text


def test_errors_without_a_text_give_their_kind() -> None:
    assert explain(MemoryError()) == "MemoryError"
    assert explain(KeyError("speaker")) == "missing key 'speaker'"
    assert explain(ValueError("two\n   lines")) == "two lines"
    assert explain(PermissionError(13, "Permission denied", "/a/b")).startswith("/a/b: permission")
    read_only = OSError(30, "Read-only file system", "/a/b")
    assert explain(read_only) == "/a/b: read-only file system: give another folder or file"
    assert explain(FileNotFoundError("no file x: check facts=")) == "no file x: check facts="
    wrapped = HydraException("Error in call to target")
    wrapped.__cause__ = ValueError("165 rows but 160")
    assert explain(wrapped) == "165 rows but 160"


def test_an_error_in_a_script_is_one_line_and_exit_code_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def script(cfg: object) -> None:
        raise ValueError("a [bold] reason " + "that is long " * 20)

    monkeypatch.delenv("ENTRAIN_TRACEBACK", raising=False)
    with pytest.raises(SystemExit) as exit:
        run_script(script, OmegaConf.create({}))
    assert exit.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: a [bold] reason that is long")
    monkeypatch.setenv("ENTRAIN_TRACEBACK", "1")
    with pytest.raises(SystemExit):
        run_script(script, OmegaConf.create({}))
    assert "Traceback" in capsys.readouterr().err


def test_an_interrupted_run_says_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    def script(cfg: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as exit:
        run_script(script, OmegaConf.create({}), "go on with [ckpt_path=last]")
    assert exit.value.code == 130
    assert capsys.readouterr().err == "interrupted: go on with [ckpt_path=last]\n"


def test_a_new_run_gets_a_folder_of_its_own(tmp_path: Path) -> None:
    for ckpt_path in (None, "elsewhere/step_00000100.ckpt"):
        folder = Path(run_folder(str(tmp_path), "base", ckpt_path))
        assert folder.parent == tmp_path / "base"
        assert re.fullmatch(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d", folder.name)


def test_last_is_the_newest_run_that_has_a_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no checkpoint in .*base/\*/checkpoints: give"):
        run_folder(str(tmp_path), "base", "last")
    for day in ("2026-01-01_00-00-00", "2026-02-01_00-00-00", "2025-12-31_00-00-00"):
        (tmp_path / "base" / day / "checkpoints").mkdir(parents=True)
        (tmp_path / "base" / day / "checkpoints" / "last.ckpt").touch()
    (tmp_path / "base" / "2026-03-01_00-00-00").mkdir()  # crashed before its first checkpoint
    folder = run_folder(str(tmp_path), "base", "last")
    assert Path(folder).name == "2026-02-01_00-00-00"


def test_a_benchmark_that_cannot_be_built_leaves_the_others(tmp_path: Path) -> None:
    cfg = composed(
        tmp_path,
        "name=test",
        f"paths.data={tmp_path}",
        "benchmark=[probe/fsdd,probe/simulated_vowel]",
    )
    benchmarks, failures = build_benchmarks(cfg)
    assert list(benchmarks) == ["probe/simulated_vowel"]
    (failure,) = failures
    assert failure.benchmark == "probe/fsdd"
    assert "no manifest at" in failure.error
    assert "ENTRAIN_DATA" in failure.error


def test_optional_benchmarks_are_left_out_where_their_data_are_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    where = f"paths.data={tmp_path}"
    cfg = composed(tmp_path, "name=test", where, "suite=trajectory")
    assert {"eeg/alice", "eeg/ds004408"} <= set(cfg.optional)
    benchmarks, failures = build_benchmarks(cfg)
    assert not benchmarks
    assert {f.benchmark for f in failures} == {
        f"{kind}/{name}" for kind, group in cfg.benchmark.items() for name in group
    } - set(cfg.optional)
    for name in ("eeg/alice", "eeg/ds004408"):
        assert re.search(f"skipped {name}: .*ENTRAIN_DATA", caplog.text)
    # Data that are there and wrong are no reason to be silent.
    (tmp_path / "brain" / "brennan2019").mkdir(parents=True)
    (tmp_path / "brain" / "brennan2019" / "AliceChapterOne-EEG.csv").write_text("not a table")
    cfg = composed(tmp_path, "name=test", where, "benchmark=[eeg/alice]", "optional=[]")
    _, (failure,) = build_benchmarks(cfg)
    assert failure.benchmark == "eeg/alice"


@pytest.mark.long
def test_full_takes_the_full_form(tmp_path: Path) -> None:
    made = [
        build_benchmarks(
            composed(tmp_path, "name=test", "benchmark=[eeg/simulated]", f"full={full}")
        )[0]["eeg/simulated"]
        for full in ("false", "true")
    ]
    assert [len(b.analyses.plain) for b in made] == [2, 15]  # type: ignore[attr-defined]


def test_loggers_are_given_the_id_of_the_run(tmp_path: Path) -> None:
    cfg = composed(tmp_path, "name=test", "logger=csv")
    assert len(build_loggers(cfg, "abcd")) == 1
    cfg.logger = {
        "late": {
            "_target_": "pytorch_lightning.loggers.CSVLogger",
            "_partial_": True,
            "save_dir": str(tmp_path),
        }
    }
    with pytest.raises(TypeError, match="run_id"):
        build_loggers(cfg, "abcd")
    assert build_loggers(OmegaConf.create({"logger": None}), "abcd") == []


@pytest.mark.slow
def test_a_wrong_option_on_the_command_line_is_one_line(tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "HYDRA_FULL_ERROR"}
    done = subprocess.run(
        [sys.executable, "train.py", "model=nonsense", f"paths.runs={tmp_path}"],
        cwd=CONF.parent,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: there is no model/nonsense in conf/: did you mean model=")
    assert done.returncode == 1
    assert not done.stdout
    assert not list(tmp_path.iterdir())


def test_a_sweep_has_one_folder_however_often_it_is_run() -> None:
    overrides = ["encoder=logmel", "suite=quick"]
    assert sweep_folder("runs", "encoders", overrides) == "runs/sweep-encoders"
    assert sweep_folder("runs", "mine", [*overrides, "output_dir='a b'"]) == "a b"


def test_a_job_has_the_folder_of_its_encoder() -> None:
    same = ["encoder=logmel", "suite=quick", "benchmark=[probe/fsdd]", "device=cpu", "again=true"]
    assert job_folder("logmel", [*same, "paths.runs=elsewhere", "logger=csv"]) == "logmel"


def test_jobs_of_one_encoder_with_other_settings_have_other_folders() -> None:
    settings = [
        ["encoder.path=a/step.ckpt"],
        ["encoder.path=b/step.ckpt"],
        ["full=true"],
        ["+encoder.seed=1"],
        ["encoder@encoder.of=logmel"],
        ["+benchmark.fmri.simulated.responses.n_sounds=30"],
    ]
    names = [job_folder("mine", ["encoder=mine", *some]) for some in settings]
    assert len({*names, "mine"}) == 7
    assert names[0].startswith("mine,path=step.ckpt,")
    assert job_folder("mine", ["full=true", "a=1"]) == job_folder("mine", ["a=1", "full=true"])
    long = job_folder("mine", [f"encoder.path='/a/{'b c' * 200}'"])
    assert len(long) < 90
    assert not set("/' ") & set(long)
