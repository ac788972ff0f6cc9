"""Any audio model of the transformers library as an encoder, from a folder or from the hub."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from models.external.clips import External, Take
from models.external.hooks import Layers, layouts
from models.external.huggingface.families import (
    HIDDEN_STATES,
    family,
    grid,
    patch_times,
    window_samples,
)
from models.external.huggingface.hub import Loaded, load, redraw
from models.external.layouts import layout as named_layout
from models.external.taps import tap_layers


class HuggingFace(External):
    """A model of transformers, with its own feature extractor.

    Layers are ``hidden_states[i]``, 0 the embedding, or modules by pattern: their raw output.
    The two differ in the last layer of most pre-norm models, whose last hidden state is
    normalised. What is known of the family (:mod:`models.external.huggingface.families`) stands
    where a setting is left out.

    Parameters
    ----------
    loaded : Loaded
        Of :func:`models.external.huggingface.hub.load`.
    submodule : str, optional
        What is run of the model, a dotted name.
    method : str, optional
        What is called of it.
    layers : str, sequence or mapping, optional
        ``hidden_states`` or patterns, as for :class:`models.external.hooks.Hooked`.
    layout : str, optional
        Of layers without one of their own.
    """

    def __init__(
        self,
        loaded: Loaded,
        name: str,
        submodule: str | None = None,
        method: str | None = None,
        layers: Layers | None = None,
        layout: str | None = None,
        batching: str = "auto",
        window_seconds: float | None = None,
        max_seconds: float | None = 30.0,
        rate: float | None = None,
        offset: float | None = None,
        batch_seconds: float = 120.0,
        overlap_seconds: float = 0.0,
    ) -> None:
        kind = family(loaded.config.model_type)
        extractor, sample_rate = loaded.extractor, loaded.sample_rate
        if fixed := window_samples(extractor):
            most = fixed / sample_rate
            if kind.packed:  # the extractor cuts off what is longer
                max_seconds = min(most, max_seconds or most)
            else:
                window_seconds = window_seconds or most
        within = kind.submodule if submodule is None else submodule
        tower = _tower(loaded.model, within)
        config = getattr(tower, "config", loaded.config)
        if (patches := patch_times(config)) is not None:
            rate, offset = rate or patches[0], patches[1] if offset is None else offset
        offset = kind.offset if offset is None else offset
        super().__init__(
            name,
            sample_rate,
            {},
            batching,
            window_seconds,
            max_seconds,
            rate,
            offset,
            batch_seconds,
            overlap_seconds,
        )
        self.kind, self.extractor = kind, extractor
        self.model, self.tower, self.spread = loaded.model, tower, loaded.spread
        self.method = method or kind.method
        if not callable(getattr(tower, self.method, None)):
            raise ValueError(
                f"{type(tower).__name__} has no method {self.method}: check encoder.method"
            )
        self.accepted = tuple(inspect.signature(self._call()).parameters)
        wanted: Any = kind.layers if layers is None else layers
        how = layout or kind.layout
        self.hidden = wanted == HIDDEN_STATES
        if self.hidden:
            sizes = grid(config) if how in ("patches", "folded") else {}
            arrange = named_layout(how, **sizes)
            names: list[str] = []
            self.run([self._noise(self._first())], False, lambda name, _: names.append(name))
            self.layouts = dict.fromkeys(names, arrange)
        else:
            self.layouts = layouts(tower, wanted, how)
        self.settings = {
            **loaded.settings,
            "submodule": within,
            "method": self.method,
            "layers": repr(wanted),
            "layout": how,
        }
        self.dry_run()
        self.settings["batching"] = self.batching

    def initialise(self) -> None:
        """Draw new initial weights."""
        redraw(self.model)

    def run(self, clips: Sequence[Tensor], padded: bool, take: Take) -> None:
        with warnings.catch_warnings():  # what the library says to its own authors
            warnings.simplefilter("ignore")
            self._run(clips, padded, take)

    def _run(self, clips: Sequence[Tensor], padded: bool, take: Take) -> None:
        if self.hidden:
            for i, output in enumerate(self._hidden_states(clips, padded)):
                take(f"{HIDDEN_STATES}[{i}]", output.detach())
            return
        with tap_layers(self.tower, list(self.layouts), take):
            self._call()(**self._inputs(clips, padded))

    def _call(self) -> Any:
        return self.tower.forward if self.method == "__call__" else getattr(self.tower, self.method)

    def _hidden_states(self, clips: Sequence[Tensor], padded: bool) -> Sequence[Tensor]:
        inputs = self._inputs(clips, padded)
        try:
            output = self.tower(**inputs, output_hidden_states=True, return_dict=True)
        except TypeError as error:
            raise ValueError(self._no_hidden_states(str(error))) from error
        found = getattr(output, HIDDEN_STATES, None)
        if not found:
            raise ValueError(self._no_hidden_states("it returns none"))
        return found

    def _no_hidden_states(self, why: str) -> str:
        names = [name for name, _ in self.tower.named_children()]
        return (
            f"{type(self.tower).__name__} gives no hidden states for audio ({why}): give "
            f"encoder.layers=PATTERN or encoder.submodule=NAME; inside it are {', '.join(names)}"
        )

    # ---- from clips to what the model takes ------------------------------------------------------

    def _inputs(self, clips: Sequence[Tensor], padded: bool) -> dict[str, Tensor]:
        """Arguments of the model: what its feature extractor makes of the clips."""
        if self.kind.packed:
            return self._packed(clips)
        made = self._extracted(clips, padded)
        main = next((key for key in ("input_features", "input_values") if key in made), None)
        if main is None:
            raise ValueError(f"{type(self.extractor).__name__} made {list(made)}: no known input")
        mask = next((made[key] for key in ("attention_mask", "padding_mask") if key in made), None)
        values = self._on_device(made[main])
        first = main if main in self.accepted else self.accepted[0]
        inputs = {first: values}
        wanted = self.kind.mask
        if wanted in self.accepted and mask is not None:
            inputs[str(wanted)] = mask.to(self.device)
        if "is_longer" in self.accepted:  # CLAP: the extractor draws at random which clip is
            inputs["is_longer"] = torch.zeros(len(clips), 1, dtype=torch.bool, device=self.device)
        return inputs

    def _extracted(self, clips: Sequence[Tensor], padded: bool) -> dict[str, Tensor]:
        if self.extractor is None or self.kind.channel:
            values = nn.utils.rnn.pad_sequence(list(clips), batch_first=True)
            values = values[:, None] if self.kind.channel else values
            inside = [torch.ones(len(clip), dtype=torch.long) for clip in clips]
            mask = nn.utils.rnn.pad_sequence(inside, batch_first=True)
            return {"input_values": values} | ({"attention_mask": mask} if padded else {})
        asked: dict[str, object] = {"sampling_rate": self.sample_rate, "return_tensors": "pt"}
        parameters = inspect.signature(self.extractor.__call__).parameters
        if self.window is None and "padding" in parameters:
            asked["padding"] = True
        masked = self.kind.mask and (padded or self.kind.masked or self.kind.packed)
        if masked and "return_attention_mask" in parameters:
            asked["return_attention_mask"] = True
        if not any(one.kind is one.VAR_KEYWORD for one in parameters.values()):
            asked = {key: value for key, value in asked.items() if key in parameters}
        found = self.extractor([clip.cpu().numpy() for clip in clips], **asked)
        made = {key: value for key, value in found.items() if isinstance(value, Tensor)}
        for i, clip in enumerate(clips):  # some divide silence by its deviation
            if not clip.any():
                for values in filter(torch.is_floating_point, made.values()):
                    torch.nan_to_num_(values[i], nan=0.0, posinf=0.0, neginf=0.0)
        return made

    def _packed(self, clips: Sequence[Tensor]) -> dict[str, Tensor]:
        """Frames of all clips one after the other, and how many each has.

        Each clip is extracted alone: beside a longer one it may get a frame more.
        """
        spectrograms = []
        for clip in clips:
            made = self._extracted([clip], False)
            spectrograms.append(made["input_features"][0, :, made["attention_mask"][0].bool()])
        lengths = torch.tensor([one.shape[1] for one in spectrograms], device=self.device)
        return {
            "input_features": self._on_device(torch.cat(spectrograms, 1)),
            "feature_lens": lengths,
        }

    def _on_device(self, values: Tensor) -> Tensor:
        first = next(self.model.parameters())
        return values.to(device=first.device, dtype=first.dtype)


def _tower(model: nn.Module, name: str | None) -> Any:
    """The part of a model that is run."""
    try:
        return model.get_submodule(name or "")
    except AttributeError as error:
        inside = ", ".join(part for part, _ in model.named_children())
        raise ValueError(
            f"{type(model).__name__} has no module {name}: check encoder.submodule; inside it are "
            f"{inside}"
        ) from error


def load_huggingface(
    path: str,
    revision: str | None = None,
    model_class: str | None = None,
    trust_remote_code: bool = False,
    dtype: str = "float32",
    device_map: str | dict[str, int | str] | None = None,
    sample_rate: int | None = None,
    name: str | None = None,
    **settings: Any,
) -> HuggingFace:
    """The encoder of a folder that ``save_pretrained`` made, or of a model on the hub.

    Parameters
    ----------
    path : str
        A folder, or an id such as ``facebook/wav2vec2-base``.
    revision : str, optional
        Commit of the hub; the newest by default.
    model_class : str, optional
        Such as ``WhisperForConditionalGeneration``; ``AutoModel`` by default.
    trust_remote_code : bool
        Run code that comes with the model; of the hub only with a revision.
    dtype : str
        Of the weights: ``float32``, ``bfloat16`` or ``float16``; features are float32.
    device_map : str or dict, optional
        Such as ``auto``: parts of the model on several devices, which needs accelerate.
    sample_rate : int, optional
        Hz, where the model has no feature extractor.
    settings
        Of :class:`HuggingFace`.
    """
    loaded = load(path, revision, model_class, trust_remote_code, dtype, sample_rate, device_map)
    return HuggingFace(loaded, name or loaded.name, **settings)
