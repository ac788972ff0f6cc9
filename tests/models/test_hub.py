"""Loading models of transformers: what goes wrong, and what is said of it."""

from __future__ import annotations

import json
import pickle
import shutil
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from commands.folders import CONF
from models.external.huggingface import places
from models.external.huggingface.model import HuggingFace, load_huggingface
from tests.models.test_huggingface import clips


def test_without_transformers_one_line_says_what_to_install(monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ModuleNotFoundError, match="pip install transformers==") as error:
        load_huggingface("facebook/wav2vec2-base")
    wanted = str(error.value).rpartition(" ")[2]
    for file in ("pyproject.toml", "requirements.txt"):
        assert wanted in (CONF.parent / file).read_text()


def test_without_the_hub_one_line_says_how_to_use_a_folder() -> None:
    with pytest.raises(FileNotFoundError, match="hf download facebook/none --local-dir") as error:
        load_huggingface("facebook/none")
    assert "encoder.path=FOLDER" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_hub_whose_name_is_not_known_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*where: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr("models.external.huggingface.places.getproxies", dict)
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert places.place("facebook/none", None, False)["local_files_only"]
    monkeypatch.setattr(
        "models.external.huggingface.places.getproxies", lambda: {"https": "elsewhere"}
    )
    assert not places.place("facebook/none", None, False)["local_files_only"]


def test_a_path_that_is_none(tmp_path: Path, saved: Callable[[str], Path]) -> None:
    with pytest.raises(
        FileNotFoundError, match=f"no folder at {tmp_path}/none: check encoder.path"
    ):
        load_huggingface(f"{tmp_path}/none")
    file = saved("HubertModel") / "model.safetensors"
    with pytest.raises(FileNotFoundError, match=r"has no config\.json, expected a folder"):
        load_huggingface(str(tmp_path))
    with pytest.raises(ValueError, match=r"is a file: give the folder that save_pretrained made"):
        load_huggingface(str(file))


@pytest.fixture
def copied(saved: Callable[[str], Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved("HubertModel"), tmp_path / "copied"))


def test_a_truncated_file_is_named(copied: Path) -> None:
    file = copied / "model.safetensors"
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(ValueError, match=f"weights in {copied} cannot be read"):
        load_huggingface(str(copied))


class Attack:
    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.place,))


def test_code_in_a_pickle_is_not_run(copied: Path, tmp_path: Path) -> None:
    (copied / "model.safetensors").unlink()
    with (copied / "pytorch_model.bin").open("wb") as file:
        pickle.dump({"weight": Attack(tmp_path / "ran")}, file)
    with pytest.raises(ValueError, match=f"weights in {copied} cannot be read"):
        load_huggingface(str(copied))
    torch.save({"weight": Attack(tmp_path / "ran")}, copied / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"cannot be read: .*it would call getattr, which is"):
        load_huggingface(str(copied))
    assert not (tmp_path / "ran").exists()


def test_pickled_weights_are_read_where_there_are_no_safetensors(copied: Path) -> None:
    encoder = load_huggingface(str(copied))
    (copied / "model.safetensors").unlink()
    torch.save(encoder.model.state_dict(), copied / "pytorch_model.bin")
    again = load_huggingface(str(copied))
    audio, lengths = clips(16_000, (1.0,))
    one, other = (e.encode(audio, lengths)["hidden_states[2]"].values for e in (encoder, again))
    torch.testing.assert_close(one, other)


def test_a_config_that_is_not_known_is_named(copied: Path) -> None:
    (copied / "config.json").write_text('{"model_type": "banana"}')
    with pytest.raises(ValueError, match=r"copied is of model_type banana, which transformers \d"):
        load_huggingface(str(copied))
    (copied / "config.json").write_text('{"model_type": "wav2')
    with pytest.raises(OSError, match=r"not a valid JSON file: save or download the model again"):
        load_huggingface(str(copied))


def test_weights_of_another_model_are_refused(copied: Path, saved: Callable[[str], Path]) -> None:
    shutil.copy(saved("WhisperModel") / "model.safetensors", copied)
    with pytest.raises(ValueError, match=r"has 1% of the weights of HubertModel.*missing are"):
        load_huggingface(str(copied))


def test_code_that_comes_with_a_model_is_not_run(copied: Path) -> None:
    config = json.loads((copied / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "code.Mine", "AutoModel": "code.M"}}
    (copied / "config.json").write_text(json.dumps(config))
    (copied / "code.py").write_text("raise SystemExit('ran')")
    with pytest.raises(ValueError, match=r"code of its own, which is not run: read it, then give"):
        load_huggingface(str(copied))
    with pytest.raises(
        ValueError, match=r"give encoder.revision=COMMIT of code that you have read"
    ):
        load_huggingface("someone/model", trust_remote_code=True)


def test_settings_that_do_not_fit(saved: Callable[[str], Path]) -> None:
    folder = str(saved("HubertModel"))
    with pytest.raises(ValueError, match=r"sample_rate=24000 Hz, but .* takes audio at 16000 Hz"):
        load_huggingface(folder, sample_rate=24_000)
    with pytest.raises(ValueError, match=r"there are: .*encoder.layers.\* \(2\)"):
        load_huggingface(folder, layers="layers.*")
    with pytest.raises(ValueError, match="has no class Hubrt"):
        load_huggingface(folder, model_class="Hubrt")
    with pytest.raises(ValueError, match="dtype=float33: expected float32"):
        load_huggingface(folder, dtype="float33")
    with pytest.raises(ValueError, match=r"no module nothing: .* inside it are feature_extractor"):
        load_huggingface(folder, submodule="nothing")
    with pytest.raises(ValueError, match=r"no method nothing: check encoder\.method"):
        load_huggingface(folder, method="nothing")
    with pytest.raises(ValueError, match=r"gives no hidden states .* inside it are"):
        load_huggingface(str(saved("DacModel")), layers="hidden_states")


def test_audio_is_given_as_it_is_without_an_extractor(copied: Path) -> None:
    for file in copied.glob("*processor_config.json"):
        file.unlink()
    with pytest.raises(ValueError, match=r"has no feature extractor: give encoder.sample_rate"):
        load_huggingface(str(copied))
    encoder = load_huggingface(str(copied), sample_rate=16_000)
    assert isinstance(encoder, HuggingFace)
    audio, lengths = clips(16_000, (1.0,))
    direct = encoder.model(audio, output_hidden_states=True).hidden_states[2]
    torch.testing.assert_close(encoder.encode(audio, lengths)["hidden_states[2]"].values, direct)
