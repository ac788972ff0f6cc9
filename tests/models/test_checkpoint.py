"""A checkpoint is read without running anything in it, and rebuilt only from our own classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from models.checkpoint import check_shapes, read_checkpoint
from models.encodecmae import EncodecMAE
from models.external.checkpoint import build, load_checkpoint
from models.external.weights import read_weights

STACK = {"_target_": "models.transformer.Transformer", "layers": 2, "dim": 16, "heads": 2}
MEL = {"_target_": "models.frontend.LogMel", "bands": 16, "sample_rate": 8000}
CONFIG: dict[str, Any] = {
    "_target_": "models.encodecmae.EncodecMAE",
    "name": "little",
    "frontend": MEL,
    "encoder": {**STACK, "hidden": 32},
    "decoder": {**STACK, "hidden": 32},
    "target": {
        "_target_": "models.targets.KMeansTarget",
        "frontend": MEL,
        "codebooks": 2,
        "size": 8,
        "weights": [0.6, 0.4],
    },
    "masking": {"_target_": "models.encodecmae.Masking"},
    "optimisation": {"_target_": "models.optim.Optimisation", "betas": [0.9, 0.95]},
}


class Bomb:
    """Unpickling it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def saved(folder: Path, **changes: Any) -> Path:
    torch.manual_seed(0)
    model = build(CONFIG)
    content = {
        "entrain": {"config": {"model": CONFIG}},
        "state_dict": model.state_dict(),
        "global_step": 7,
    }
    path = folder / "step.ckpt"
    torch.save(content | changes, path)
    return path


def test_a_saved_model_comes_back_the_same(tmp_path: Path) -> None:
    path = saved(tmp_path)
    model = load_checkpoint(path)
    assert (model.name, model.step, model.training) == ("little", 7, False)
    torch.manual_seed(0)
    original = build(CONFIG)
    audio, lengths = torch.randn(2, 4000), torch.tensor([4000, 1500])
    expected = original.encode(audio, lengths)
    for layer, frames in model.encode(audio, lengths).items():
        assert torch.equal(frames.values, expected[layer].values)
    assert load_checkpoint(path, name="mine").name == "mine"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no checkpoint at .*absent\.ckpt: check"):
        read_checkpoint(tmp_path / "absent.ckpt")


def test_a_folder_is_no_checkpoint_and_one_inside_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"is a folder, expected .* step_00000100\.ckpt"):
        read_checkpoint(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "last.ckpt").touch()
    with pytest.raises(FileNotFoundError, match=r"a folder.* such as .*checkpoints/last\.ckpt"):
        read_checkpoint(tmp_path)


def test_what_a_refused_file_would_call_is_named_and_nothing_is_advised(tmp_path: Path) -> None:
    path = tmp_path / "evil.ckpt"
    torch.save({"entrain": Bomb(tmp_path / "executed")}, path)
    for read in (read_checkpoint, read_weights):
        with pytest.raises(ValueError, match=r"it would call \S+, which is refused") as caught:
            read(path)
        assert "weights_only" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04broken"])
def test_a_file_of_another_kind_is_no_checkpoint(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.ckpt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"notes\.ckpt cannot be read as a checkpoint"):
        read_checkpoint(path)


@pytest.mark.parametrize("content", [{"state_dict": {}}, [1, 2], torch.zeros(2)])
def test_a_foreign_torch_file_is_no_checkpoint(tmp_path: Path, content: object) -> None:
    path = tmp_path / "foreign.ckpt"
    torch.save(content, path)
    with pytest.raises(ValueError, match=r"foreign\.ckpt is no checkpoint of train\.py"):
        read_checkpoint(path)


@pytest.mark.parametrize("load", [read_checkpoint, load_checkpoint])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_malicious_pickle_is_refused_and_not_run(tmp_path: Path, load, zipped: bool) -> None:
    mark, path = tmp_path / "executed", tmp_path / "evil.ckpt"
    content = {"entrain": Bomb(mark)}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ValueError, match=r"evil\.ckpt cannot be read"):
        load(path)
    assert not mark.exists()
    torch.load(path, weights_only=False)
    assert mark.exists(), "the bomb was a dud: this test proves nothing"


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "torch.load",
        "builtins.eval",
        "subprocess.Popen",
        "models.encodecmae.torch",
        "models.encodecmae.torch.load",
        "models.checkpoint.torch",
        "models.checkpoint.Path",
        "models.checkpoint.read_checkpoint",
        "models.encodecmae.Tensor",
        "models.encodecmae.Nothing",
        "models.nothing.Thing",
        "models.codec.EncodecModel",
        "models.external.checkpoint.importlib",
        "models",
        "models.",
        "xmodels.encodecmae.Masking",
        "datamodules.pretraining.audio.Corpus",
        "",
    ],
)
def test_only_classes_of_models_are_built(target: str) -> None:
    with pytest.raises(ValueError, match="refused to build"):
        build({"_target_": target})


def test_a_foreign_target_is_refused_however_deep(tmp_path: Path) -> None:
    deep = {**CONFIG, "extra": [{"inner": {"_target_": "os.system", "command": "true"}}]}
    path = saved(tmp_path, entrain={"config": {"model": deep}})
    with pytest.raises(ValueError, match=r"refused to build os\.system"):
        load_checkpoint(path)


def test_values_without_a_target_are_left_as_they_are() -> None:
    plain = {"a": [1, {"b": None}], "c": "text"}
    assert build(plain) == plain


def test_another_class_than_a_model_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, entrain={"config": {"model": STACK}})
    with pytest.raises(ValueError, match="holds a Transformer, expected an EncodecMAE"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"head.bias": torch.zeros(3)}, r"head\.bias is \(3,\), this config expects \(16,\)"),
        ({"head.bias": None}, r"head\.bias is nothing, this config expects \(16,\)"),
        ({"tail.bias": torch.zeros(3)}, r"tail\.bias is \(3,\), this config expects nothing"),
    ],
)
def test_weights_that_do_not_fit_are_named(
    tmp_path: Path, change: dict[str, torch.Tensor | None], complaint: str
) -> None:
    model: EncodecMAE = build(CONFIG)
    state = {k: v for k, v in {**model.state_dict(), **change}.items() if v is not None}
    check_shapes("whole.ckpt", model.state_dict(), model)
    with pytest.raises(ValueError, match=complaint):
        load_checkpoint(saved(tmp_path, state_dict=state))
