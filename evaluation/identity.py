"""What the features of an encoder depend on, as one hash; or why that cannot be known."""

from __future__ import annotations

import hashlib
import struct
import sys
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from functools import cache, partial
from pathlib import Path, PurePath
from types import BuiltinFunctionType, FunctionType

import numpy as np
import soundfile
import torch
import torchaudio
from torch import Tensor, nn

from models.encoder import Encoder

ROOT = Path(__file__).parents[1]
CODE = (
    "evaluation/features.py",
    "evaluation/pooling.py",
    "datamodules/stimuli.py",
    "datamodules/sound_files.py",
    "models/**/*.py",
)
"""Source that decides what features are made of a sound."""
WITHOUT_EFFECT = ("training", "name", "step", "settings")
"""Attributes of an encoder that its features do not depend on, or that are hashed by themselves."""
IN_EVERY_MODULE, ITS_PARTS = frozenset(vars(nn.Module())), ("_parameters", "_buffers", "_modules")
"""Attributes of every module, of which these and the hooks of the forward pass have an effect."""


class UnknownIdentityError(ValueError):
    """Something in an encoder may change its features in a way that no hash can tell."""


def identity(encoder: Encoder) -> str:
    """SHA-256 over all that decides the features of an encoder but the device.

    That is: its class and those of its parts with their source, the source of ``models/`` and of
    the extraction, versions of torch and of the decoder, sample rate and layers, every parameter
    and buffer (also those that a state dict leaves out), and every other attribute. The name and
    the step of the encoder are left out: they change no feature.

    Attributes that can be hashed are numbers, text, arrays, modules, functions of a module, and
    containers and objects of these. Anything else, such as a random generator, a lambda or a hook
    of unknown effect, is an error, unless the encoder has an attribute ``settings`` that says in
    plain values what the rest does; ``settings = None`` says that it cannot be told, as of an
    encoder that draws random numbers.

    Raises
    ------
    UnknownIdentityError
        Names the attribute.
    """
    vouched = hasattr(encoder, "settings")
    settings = getattr(encoder, "settings", None)
    if vouched and settings is None:
        raise UnknownIdentityError(f"{encoder.name} has settings = None")
    description = _Description(forgiving=vouched)
    description.add((_code(), torch.__version__, torchaudio.__version__), "code")
    description.add((soundfile.__libsndfile_version__, sys.version_info[:2]), "code")
    description.add((encoder.sample_rate, tuple(encoder.layers), settings), "settings")
    description.add_object(encoder, "encoder", WITHOUT_EFFECT)
    return description.digest.hexdigest()


def settings_hash(*values: object) -> str:
    """SHA-256 over all that can be told of some values; what cannot be hashed is passed over."""
    description = _Description(forgiving=True)
    for number, value in enumerate(values):
        description.add(value, str(number))
    return description.digest.hexdigest()


@cache
def _code() -> str:
    digest = hashlib.sha256()
    for path in sorted(file for pattern in CODE for file in ROOT.glob(pattern)):
        digest.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


class _Description:
    """A hash that is fed with values of many kinds, each told apart from every other.

    Parameters
    ----------
    forgiving : bool
        Pass over what cannot be hashed.
    """

    def __init__(self, forgiving: bool) -> None:
        self.digest = hashlib.sha256()
        self.forgiving = forgiving
        self._seen: dict[int, int] = {}
        self._alive: list[object] = []  # what is seen must not make room for another of its id

    def add(self, value: object, where: str) -> None:
        """Feed one value; ``where`` names it in errors."""
        kind = next((add for types, add in self._kinds() if isinstance(value, types)), None)
        if kind is not None:
            self._mark(type(value).__qualname__)
            kind(value, where)
        elif _plain_object(value):
            self.add_object(value, where)
        elif self.forgiving:
            self._mark("passed over")
        else:
            raise UnknownIdentityError(f"{where} is a {type(value).__qualname__}")

    def add_object(self, value: object, where: str, leave: Iterable[str] = ()) -> None:
        """Feed the class of an object and what it holds, once."""
        if id(value) in self._seen:
            return self._mark(f"seen {self._seen[id(value)]}")
        self._seen[id(value)] = len(self._seen)
        self._alive.append(value)
        for kind in type(value).__mro__[:-1]:
            self._source(kind, where)
        for name, held in sorted(vars(value).items()):
            of_torch = isinstance(value, nn.Module) and name in IN_EVERY_MODULE
            if name in leave or (of_torch and not name.startswith(("_forward", *ITS_PARTS))):
                continue
            self._mark(name)
            # The keys of hooks count up through the life of a process.
            hooks = of_torch and name.startswith("_forward")
            self.add(list(held.values()) if hooks else held, f"{where}.{name}")
        return None

    def _kinds(self) -> list[tuple[tuple[type, ...], Callable]]:
        return [
            ((nn.Module,), self.add_object),
            ((type(None), bool, int, float, complex, str, bytes), self._text),
            ((PurePath, torch.dtype), self._text),
            ((Enum,), self._text),
            ((torch.device,), lambda value, where: self._text(value.type, where)),
            ((Tensor,), self._tensor),
            ((np.ndarray, np.generic), self._array),
            ((tuple, list), self._items),
            ((Mapping,), lambda value, where: self._items(value.items(), where)),
            ((set, frozenset), lambda value, where: self._items(sorted(value, key=repr), where)),
            ((partial,), self._partial),
            ((FunctionType, BuiltinFunctionType, type), self._source),
        ]

    def _mark(self, text: str) -> None:
        data = text.encode()
        self.digest.update(struct.pack("<q", len(data)) + data)

    def _text(self, value: object, where: str) -> None:
        self._mark(repr(value))

    def _items(self, values: Iterable[object], where: str) -> None:
        values = list(values)
        self._mark(str(len(values)))
        for number, value in enumerate(values):
            self.add(value, f"{where}[{number}]")

    def _tensor(self, value: Tensor, where: str) -> None:
        if value.layout != torch.strided or value.is_quantized:
            raise UnknownIdentityError(f"{where} is a tensor of layout {value.layout}")
        self._mark(f"{value.dtype} {tuple(value.shape)}")
        whole = value.detach().cpu().resolve_conj().resolve_neg().contiguous()
        self.digest.update(whole.view(-1).view(torch.uint8).numpy())

    def _array(self, value: np.ndarray, where: str) -> None:
        value = np.asarray(value)
        if value.dtype.hasobject:
            raise UnknownIdentityError(f"{where} is an array of objects")
        self._mark(f"{value.dtype.str} {value.shape}")
        self.digest.update(value.tobytes())

    def _partial(self, value: partial, where: str) -> None:
        self._items((value.func, value.args, value.keywords), where)

    def _source(self, value: Callable, where: str) -> None:
        """A class or function by its name and the source or version of where it is from."""
        name, home = value.__qualname__, sys.modules.get(value.__module__ or "")
        found: object = home
        for part in name.split("."):
            found = getattr(found, part, None)
        known = found is value or getattr(torch, value.__name__, None) is value
        if isinstance(value, FunctionType | BuiltinFunctionType) and not known:
            if not self.forgiving:
                raise UnknownIdentityError(f"{where} is the function {name}, made in place")
            return
        self._mark(f"{value.__module__}.{name} {_version(value.__module__ or '', where)}")


@cache
def _version(module: str, where: str) -> str:
    """What tells one state of a module's source from another."""
    top = module.split(".")[0]
    if top in sys.stdlib_module_names:
        return ""
    version = str(getattr(sys.modules.get(top), "__version__", ""))
    file = getattr(sys.modules.get(module), "__file__", None)
    if file and file.endswith(".py"):
        return f"{version} {hashlib.sha256(Path(file).read_bytes()).hexdigest()}"
    if not version:
        raise UnknownIdentityError(f"{where} is of {module}, which has no source file")
    return version


def _plain_object(value: object) -> bool:
    """Whether all that an object holds is in its attributes: written in Python, without slots."""
    classes = type(value).__mro__[:-1]
    written = all(kind.__flags__ & (1 << 9) for kind in classes)
    return (
        written and hasattr(value, "__dict__") and not any("__slots__" in vars(k) for k in classes)
    )
