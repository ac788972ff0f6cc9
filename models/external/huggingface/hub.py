"""Loading models of the transformers library, and what to say where that fails."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from models.checkpoint import find_refused_call
from models.external.huggingface.places import explained, load_transformers, place

log = logging.getLogger(__name__)

MATCHED = 0.98
"""Share of a model's numbers that must be in its file."""


@dataclass(frozen=True)
class Loaded:
    """A model in evaluation mode, its config and its feature extractor, if it has one.

    Parameters
    ----------
    name : str
        Last part of the path or id, in small letters.
    settings : dict
        In plain values what was loaded, but for weights.
    spread : bool
        The model lies where ``device_map`` says, and is not to be moved.
    """

    name: str
    model: Any
    config: Any
    extractor: Any
    sample_rate: int
    settings: dict[str, object]
    spread: bool = False


def load(
    path: str,
    revision: str | None = None,
    model_class: str | None = None,
    trust_remote_code: bool = False,
    dtype: str = "float32",
    sample_rate: int | None = None,
    device_map: str | dict[str, int | str] | None = None,
) -> Loaded:
    """Load from a folder or from the hub; nothing that comes with the model is executed.

    Safetensors are taken before pickles, of which weights alone are read. With ``device_map``
    parts of the model are spread over devices as accelerate does.

    Raises
    ------
    ModuleNotFoundError
        Without transformers, or with ``device_map`` without accelerate: says what to install.
    FileNotFoundError
        If there is no such folder, or the hub does not answer.
    ValueError
        If a file is damaged or would execute code, or weights do not belong to the model.
    """
    transformers = load_transformers()
    if device_map is not None and importlib.util.find_spec("accelerate") is None:
        raise ModuleNotFoundError(
            f"device_map={device_map} needs the package accelerate: pip install accelerate, or "
            "leave encoder.device_map out"
        )
    if not isinstance(getattr(torch, dtype, None), torch.dtype):
        raise ValueError(f"dtype={dtype}: expected float32, bfloat16 or float16")
    where = place(path, revision, trust_remote_code)
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()  # what matters is reported here
    try:
        config = transformers.AutoConfig.from_pretrained(path, **where)
        chosen = _class(transformers, config, model_class)
        model = _weights(chosen, path, where, dtype, device_map)
        extractor = _extractor(transformers, path, where)
    except (OSError, ValueError, ImportError) as error:
        raise explained(error, path) from error
    rate = getattr(extractor, "sampling_rate", None) or sample_rate
    if rate is None:
        raise ValueError(f"{path} has no feature extractor: give encoder.sample_rate in Hz")
    if sample_rate not in (None, rate):
        raise ValueError(f"sample_rate={sample_rate} Hz, but {path} takes audio at {rate} Hz")
    settings = {
        "transformers": transformers.__version__,
        "class": type(model).__name__,
        "config": repr(config.to_diff_dict()),
        "extractor": repr(None if extractor is None else extractor.to_dict()),
        "dtype": dtype,
    }
    name = path.rstrip("/").rpartition("/")[2].lower()
    return Loaded(name, model.eval(), config, extractor, rate, settings, device_map is not None)


def redraw(model: Any) -> None:
    """Reinitialise all weights of a model as the library initialises a new one."""
    model.load_state_dict(type(model)(model.config).state_dict())


def load_tokeniser(path: str, revision: str | None, text: str) -> list[int]:
    """Token ids of a text, without any that a tokeniser adds around it.

    Raises
    ------
    ValueError
        If there is no tokeniser that can be read, or its tokens are not the text.
    """
    mend = "give the prompt as token ids, encoder.prompt=[…]"
    try:
        tokeniser = load_transformers().AutoTokenizer.from_pretrained(
            path, **place(path, revision, False)
        )
        found = list(tokeniser(text, add_special_tokens=False)["input_ids"])
        back = tokeniser.decode(found)
    except (OSError, ValueError, ImportError, KeyError) as error:
        said = " ".join(str(error).split())[:200]
        raise ValueError(f"the tokeniser of {path} cannot be read ({said}): {mend}") from error
    if "".join(back.split()) != "".join(text.split()):  # one is made up where there are no files
        raise ValueError(f"the tokeniser of {path} makes {back!r} of the prompt {text!r}: {mend}")
    return found


def _class(transformers: ModuleType, config: Any, name: str | None) -> Any:
    """The class of a name, or AutoModel where it knows the config, or the one that saved it."""
    if name is None and type(config) in transformers.AutoModel._model_mapping:
        return transformers.AutoModel
    if name is None and getattr(config, "auto_map", None):
        return transformers.AutoModel
    name = name or next(iter(getattr(config, "architectures", None) or []), "")
    home = type(config).__module__.replace(".configuration_", ".modeling_")
    for module in (transformers, importlib.import_module(home)):
        if name and hasattr(module, name):
            return getattr(module, name)
    raise ValueError(
        f"transformers {transformers.__version__} has no class {name or 'for this model'} "
        f"(model_type {config.model_type}): give encoder.model_class"
    )


def _weights(
    chosen: Any, path: str, where: dict[str, Any], dtype: str, device_map: Any
) -> nn.Module:
    """The model with its weights; safetensors, or else pickled weights and nothing but weights."""
    options = {**where, "dtype": dtype, "output_loading_info": True, "weights_only": True}
    options |= {} if device_map is None else {"device_map": device_map}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                model, info = chosen.from_pretrained(path, use_safetensors=True, **options)
            except OSError as error:
                if "safetensors" not in str(error):
                    raise
                model, info = chosen.from_pretrained(path, use_safetensors=False, **options)
    except (OSError, ImportError):
        raise
    except Exception as error:
        first = " ".join(str(error).split()).partition(". ")[0]
        said = find_refused_call(error) or f"{type(error).__name__}: {first}"
        raise ValueError(
            f"the weights in {path} cannot be read: they are damaged, not those of this class, or "
            f"hold more than weights, which is not executed ({said}): download again, save as "
            "safetensors, or give encoder.model_class"
        ) from error
    _check_keys(model, info, path)
    return model


def _check_keys(model: nn.Module, info: dict[str, Any], path: str) -> None:
    """Report what does not match; too little of it is an error."""
    missing = sorted(info["missing_keys"])
    strange = sorted(info["unexpected_keys"])
    odd = sorted(str(key[0]) for key in info["mismatched_keys"])
    state = model.state_dict()
    total = sum(value.numel() for value in state.values())
    lacking = sum(state[key].numel() for key in {*missing, *odd} if key in state)
    share = 1 - lacking / max(1, total)
    if missing or odd:
        log.warning(
            "%s lacks %d of the weights of %s, which are drawn at random: %s",
            path,
            len(missing) + len(odd),
            type(model).__name__,
            ", ".join([*missing, *odd][:5]),
        )
    if strange:
        log.info(
            "%s has %d weights that %s does not use: %s",
            path,
            len(strange),
            type(model).__name__,
            ", ".join(strange[:5]),
        )
    if share < MATCHED:
        raise ValueError(
            f"{path} has {share:.0%} of the weights of {type(model).__name__}, expected at least "
            f"{MATCHED:.0%}: missing are {', '.join([*missing, *odd][:3])}, …; give "
            "encoder.model_class of the model that was saved"
        )


def _extractor(transformers: ModuleType, path: str, where: dict[str, Any]) -> Any:
    """The feature extractor, or None where the model comes without one."""
    files = ("preprocessor_config.json", "processor_config.json")
    if Path(path).is_dir() and not any((Path(path) / file).is_file() for file in files):
        log.info("%s has no feature extractor: audio is given as it is", path)
        return None
    return transformers.AutoFeatureExtractor.from_pretrained(path, **where)
