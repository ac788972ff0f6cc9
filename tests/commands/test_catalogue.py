"""``list=benchmarks`` and ``list=encoders``: what there is, and what is known of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from commands.building import build_benchmarks
from commands.catalogue import (
    LISTS,
    benchmark_entries,
    built_facts,
    encoder_entries,
    show,
    with_all_benchmarks,
)
from commands.data_facts import TABLE as BENCHMARK_TABLE
from commands.data_facts import read_table as read_benchmark_table
from commands.facts import TABLE, read_table
from commands.folders import CONF
from reporting.listing import BenchmarkEntry
from tests.composing import config, options


def entries(tmp_path: Path, *names: str) -> dict[str, BenchmarkEntry]:
    chosen = [f"paths.data='{tmp_path}'", f"benchmark=[{','.join(names)}]"]
    found = benchmark_entries(config(tmp_path, *chosen, script="probe"))
    return {entry.name: entry for entry in found}


def test_every_yaml_is_listed_and_says_what_it_asks(tmp_path: Path) -> None:
    cfg = with_all_benchmarks(["name=test", f"paths.data='{tmp_path}'", "manifest=mine.csv"])
    listed = {f"{kind}/{name}" for kind, group in cfg.benchmark.items() for name in group}
    assert listed == set(options("benchmark", "*/*.yaml"))
    assert cfg.paths.data == str(tmp_path)
    assert cfg.manifest == "mine.csv"
    for name in listed:
        assert (CONF / "benchmark" / f"{name}.yaml").read_text().startswith("# "), name


def test_what_is_missing_is_described_by_its_yaml(tmp_path: Path) -> None:
    found = entries(tmp_path, "probe/esc50", "probe/maestro", "eeg/alice", "probe/hear")
    esc50 = found["probe/esc50"]
    assert esc50.asks.startswith("Which of fifty kinds of environmental sounds it is.")
    assert (esc50.stimuli, esc50.licence) == (2000, "CC-BY-NC-3.0")
    assert esc50.source == "https://hearbenchmark.com/hear-tasks.html"
    assert esc50.missing == (
        f"no task_metadata.json at {tmp_path}/hear/tasks/esc50-*-full/task_metadata.json: get it "
        "from https://hearbenchmark.com/hear-tasks.html and set ENTRAIN_DATA to the folder that "
        "holds hear/tasks/esc50-*-full"
    )
    assert found["probe/maestro"].stimuli == 185
    alice = found["eeg/alice"]  # its yaml says nothing of its data, the table does
    assert (alice.stimuli, alice.licence) == (84, "CC BY 4.0")
    assert alice.source.startswith("https://doi.org/")
    assert "brennan2019" in alice.missing
    assert found["probe/hear"].missing.startswith("hear is not set")


def test_generated_data_are_always_there(tmp_path: Path) -> None:
    (entry,) = entries(tmp_path, "probe/simulated_vowel").values()
    assert entry.stimuli == 480
    assert (entry.source, entry.licence, entry.missing) == ("generated", "CC0-1.0", "")
    assert entry.simulated


def test_the_list_looks_where_a_setting_says(tmp_path: Path) -> None:
    benchmark, setting = "fmri/nh2015_components", "fmri.nh2015_components.responses.root"
    chosen = [f"benchmark=[{benchmark}]", f"benchmark.{setting}='{tmp_path}/mine'"]
    (entry,) = benchmark_entries(config(tmp_path, *chosen, script="probe"))
    assert f"no stim*.wav at {tmp_path}/mine/wav/stim*.wav" in entry.missing
    assert entry.missing.endswith("set benchmark.fmri.nh2015_components.responses.root")


def test_own_data_are_read_for_the_list(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(1600), 16_000)
    (tmp_path / "mine.csv").write_text("path,label\n" + "a.wav,x\n")
    chosen = ["benchmark=[probe/manifest]", f"manifest='{tmp_path}/mine.csv'"]
    (entry,) = benchmark_entries(config(tmp_path, *chosen, script="probe"))
    assert entry.missing.endswith("mine.csv has one class, x: at least two are needed")


def test_the_table_names_benchmarks_that_exist() -> None:
    known = set(options("benchmark", "*/*.yaml"))
    assert set(read_benchmark_table(BENCHMARK_TABLE)) <= known


def check_agreement(root: Path, folder: Path) -> None:
    """What the list says of every benchmark that can be built is what it says itself."""
    own = ["name=test", f"paths.data='{root}'", f"paths.cache='{folder}'"]
    cfg = with_all_benchmarks(own)
    benchmarks, failures = build_benchmarks(cfg)
    assert {"fmri/simulated", "eeg/simulated", "probe/simulated_vowel"} <= set(benchmarks)
    listed = {entry.name: entry for entry in benchmark_entries(cfg)}
    for name, made in benchmarks.items():
        built, entry = built_facts(made), listed[name]
        assert entry.missing == "", name
        assert (entry.licence, entry.source) == (built.licence, built.source), name
        assert entry.stimuli == built.stimuli, name
    assert all(listed[failure.benchmark].missing for failure in failures)


def test_the_list_agrees_with_benchmarks_that_are_built(tmp_path: Path) -> None:
    check_agreement(tmp_path, tmp_path)


@pytest.mark.data
def test_the_list_agrees_with_data_that_are_read(tmp_path: Path, data: Path) -> None:
    check_agreement(data, tmp_path)


def test_other_lists_are_asked_for_by_name(tmp_path: Path) -> None:
    cfg = config(tmp_path, "list=benchmark", script="probe")
    with pytest.raises(ValueError, match="list=benchmark: expected one of benchmarks, encoders"):
        show(cfg)


def test_a_list_without_a_name_is_that_of_encoders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    for name in ("benchmarks", "encoders"):
        monkeypatch.setitem(LISTS, name, lambda cfg, name=name: shown.append(name))
    show(config(tmp_path, "list=true", script="probe"))
    assert shown == ["encoders"]


@pytest.mark.long
def test_every_encoder_is_listed_as_its_yaml_describes_it() -> None:
    found = {entry.name: entry for entry in encoder_entries()}
    runnable, table = options("encoder"), read_table(TABLE)
    assert list(found) == [*runnable, *(name for name in table if name not in runnable)]
    assert all(found[name].what for name in table)
    base = found["wav2vec2_base"]
    assert base.what.startswith("wav2vec 2.0 base, self-supervised on read speech: 12 layers")
    assert (base.layers, base.licence) == (("hidden_states",), "Apache-2.0")
    assert base.source == "https://arxiv.org/abs/2006.11477"
    assert base.sample_rate == 16_000
    assert base.verified is False
    assert base.kind == "wav2vec2; contrastive; 94 M; speech, 960 h"
    assert found["qwen2_audio_7b"].kind == "qwen_audio; language model; 637 M; all"
    assert found["logmel"].kind == "baseline"
    assert found["checkpoint"].kind == ""
    assert found["dac_44khz"].layers == ("re:block\\.[2-9]", "conv2")
    assert found["mimi"].layers[-2:] == ("encoder_transformer.layers.*", "downsample")
    vggish = found["vggish"]
    assert vggish.what.startswith("VGGish, supervised on YouTube's labels: 6 convolutions")
    assert vggish.missing.startswith("pip install torchvggish")
    assert (vggish.layers, vggish.sample_rate) == (("features.*", "embeddings.*"), 16_000)
    assert all(bool(entry.missing) == (name not in runnable) for name, entry in found.items())
    for own in ("logmel", "checkpoint", "random"):  # two wait for a file: nothing is built
        entry = found[own]
        assert (entry.layers, entry.source, entry.verified) == ((), "", None)


def listed(folder: Path, *options: str) -> str:
    """What probe.py writes, without any data."""
    done = subprocess.run(
        [sys.executable, "probe.py", *options, f"output_dir={folder}"],
        cwd=CONF.parent,
        capture_output=True,
        text=True,
        env={"ENTRAIN_DATA": str(folder), "PATH": ""},
        check=True,
    )
    return done.stdout


def test_the_command_lists_those_that_are_chosen(tmp_path: Path) -> None:
    text = listed(tmp_path, "list=benchmarks", "benchmark=[probe/esc50,probe/simulated_vowel]")
    assert "1 of 2 benchmarks can be scored here." in text
    assert "probe/esc50: no task_metadata.json at" in text
    assert not (tmp_path / "scores.jsonl").exists()


def test_the_command_lists_all(tmp_path: Path) -> None:
    text = listed(tmp_path, "list=benchmarks")
    assert [name for name in options("benchmark", "*/*.yaml") if name not in text] == []


def test_the_command_lists_encoders(tmp_path: Path) -> None:
    text = listed(tmp_path, "list=encoders")
    assert [name for name in options("encoder") if name not in text] == []
