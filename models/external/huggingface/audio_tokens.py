"""Language-model layers of audio language models, at the positions of audio tokens alone.

The model is given what its template puts before a sound, then one placeholder for each frame of
its audio tower, after that tower's pooling, and nothing behind it: text decoders look back only,
so that features of audio do not depend on what would follow. Tower and decoder run in one pass.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from models.external.clips import External, Take
from models.external.huggingface.families import window_samples
from models.external.huggingface.hub import Loaded, load, load_tokeniser, redraw
from models.external.layouts import layout
from models.external.taps import matching, tap_layers

DECODER = "language_model."
LAYERS = ("audio_tower.layers.*", "language_model.layers.*")


@dataclass(frozen=True)
class Joint:
    """How the audio tower of a type of model is joined to its decoder.

    Parameters
    ----------
    pooled : int
        Frames of the tower (50 Hz) that make one audio token.
    mask : str or None
        Name under which the model takes the mask of what is no padding; None where it makes
        tokens of padding, too.
    prompt : str or tuple of int
        What its template puts between the beginning of the user's turn and a sound; as token ids
        where the tokeniser is of a package of its own.
    """

    pooled: int
    mask: str | None
    prompt: str | tuple[int, ...]


JOINTS: dict[str, Joint] = {
    "qwen2_audio": Joint(2, "feature_attention_mask", "<|audio_bos|>"),
    "audioflamingo3": Joint(2, "input_features_mask", "<|im_start|>user\n"),
    "glmasr": Joint(4, "input_features_mask", "<|user|>\n<|begin_of_audio|>"),
    "voxtral": Joint(4, None, (1, 3, 25)),  # <s>[INST][BEGIN_AUDIO]
}
"""By ``model_type`` of the config; all of them hear with Whisper's extractor and encoder."""


class AudioTokens(External):
    """Layers of the audio tower and of the text decoder of one model.

    A frame of a decoder layer is an audio token, the mean or the stack of ``pooled`` frames of
    the tower; its time is that of their middle. Only whole tokens of a clip are kept.

    Parameters
    ----------
    loaded : Loaded
        Of :func:`models.external.huggingface.hub.load`.
    prompt : sequence of int
        Token ids before the audio.
    layers : sequence of str
        Patterns; those that begin with ``language_model.`` are of the decoder.
    """

    def __init__(
        self,
        loaded: Loaded,
        name: str,
        prompt: Sequence[int],
        layers: Sequence[str] = LAYERS,
        batching: str = "auto",
        max_seconds: float | None = 30.0,
        batch_seconds: float = 120.0,
        overlap_seconds: float = 0.0,
    ) -> None:
        joint, window = joint_of(loaded.config), window_samples(loaded.extractor)
        if window is None:
            raise ValueError(f"{name} hears with {type(loaded.extractor).__name__}, not Whisper's")
        most = window / loaded.sample_rate
        super().__init__(
            name,
            loaded.sample_rate,
            {},
            batching,
            max_seconds=min(most, max_seconds or most),
            offset=0.0,  # as of every tower in models/external/huggingface/families.py
            batch_seconds=batch_seconds,
            overlap_seconds=overlap_seconds,
        )
        self.joint, self.model, self.extractor = joint, loaded.model, loaded.extractor
        self.spread = loaded.spread
        self.prompt, self.audio = tuple(prompt), int(loaded.config.audio_token_id)
        if self.audio in self.prompt:
            raise ValueError(f"the prompt of {name} has an audio token: give what stands before it")
        names = [module for module, _ in matching(self.model, list(layers))]
        self.layouts = dict.fromkeys(names, layout("packed"))
        self.settings = {**loaded.settings, "prompt": self.prompt, "layers": tuple(names)}
        self.dry_run()
        self.settings["batching"] = self.batching

    def initialise(self) -> None:
        """Draw new initial weights."""
        redraw(self.model)

    def run(self, clips: Sequence[Tensor], padded: bool, take: Take) -> None:
        made = self._extracted(clips)
        tower, tokens = self._lengths(made["attention_mask"])
        inputs = self._inputs(made, tokens)

        def keep(layer: str, output: Tensor) -> None:
            first, counts = 0, tower
            if layer.startswith(DECODER):
                first, counts = len(self.prompt), tokens
            parts = [one[first : first + n] for one, n in zip(output, counts, strict=True)]
            take(layer, torch.cat(parts))

        with warnings.catch_warnings(), tap_layers(self.model, list(self.layouts), keep):
            warnings.simplefilter("ignore")  # what the library says to its own authors
            self.model(**inputs, use_cache=False)

    def _count(self, samples: int) -> dict[str, int]:
        """As the model counts, without running it: it refuses any other number of tokens."""
        tower, tokens = self._lengths(self._extracted([self._noise(samples)])["attention_mask"])
        return {k: (tokens if k.startswith(DECODER) else tower)[0] for k in self.layers}

    def _extracted(self, clips: Sequence[Tensor]) -> dict[str, Tensor]:
        waves = [clip.cpu().numpy() for clip in clips]
        asked = {"sampling_rate": self.sample_rate, "return_tensors": "pt"}
        return dict(
            self.extractor(waves, padding="max_length", return_attention_mask=True, **asked)
        )

    def _lengths(self, mask: Tensor) -> tuple[list[int], list[int]]:
        """Frames of the tower and audio tokens of every clip, from its spectrogram's frames."""
        tower = (mask.sum(1) - 1) // 2 + 1  # a convolution of stride 2, padded by one
        return tower.tolist(), (tower // self.joint.pooled).tolist()

    def _inputs(self, made: Mapping[str, Tensor], tokens: Sequence[int]) -> dict[str, Tensor]:
        """Arguments of the model; clips with fewer tokens are padded behind them."""
        given = list(tokens)
        if self.joint.mask is None:
            given = self._lengths(torch.ones_like(made["attention_mask"]))[1]
        texts = [torch.tensor([*self.prompt, *[self.audio] * n]) for n in given]
        inside = [torch.ones_like(text) for text in texts]
        pad, first = nn.utils.rnn.pad_sequence, next(self.model.parameters())
        inputs = {
            "input_ids": pad(texts, batch_first=True),
            "attention_mask": pad(inside, batch_first=True),
            "input_features": made["input_features"].to(first.dtype),
        }
        if self.joint.mask is not None:
            inputs[self.joint.mask] = made["attention_mask"]
        return {key: value.to(first.device) for key, value in inputs.items()}


def joint_of(config: Any) -> Joint:
    """How a model's tower and decoder are joined.

    Raises
    ------
    ValueError
        For types of models that are not known: names those that are.
    """
    if config.model_type not in JOINTS:
        raise ValueError(
            f"audio tokens of model_type {config.model_type} are not known, only those of "
            f"{', '.join(JOINTS)}: encoder=huggingface runs its audio tower"
        )
    return JOINTS[config.model_type]


def load_audio_tokens(
    path: str,
    revision: str | None = None,
    prompt: str | Sequence[int] | None = None,
    layers: Sequence[str] | None = None,
    dtype: str = "float32",
    device_map: str | dict[str, int | str] | None = None,
    sample_rate: int | None = None,
    name: str | None = None,
    **settings: Any,
) -> AudioTokens:
    """The encoder of an audio language model, from a folder or from the hub.

    Parameters
    ----------
    path : str
        A folder that ``save_pretrained`` made, or an id such as ``Qwen/Qwen2-Audio-7B``.
    revision : str, optional
        Commit of the hub; the newest by default.
    prompt : str or sequence of int, optional
        Text or token ids before the audio; of its family by default. Text needs the tokeniser in
        the folder.
    layers : sequence of str, optional
        Patterns within the model; all layers of tower and decoder by default.
    dtype : str
        Of the weights: ``float32``, ``bfloat16`` or ``float16``; features are float32.
    device_map : str or dict, optional
        Such as ``auto``: parts of the model on several devices, which needs accelerate.
    sample_rate : int, optional
        Hz that the model is expected to hear.
    settings
        Of :class:`AudioTokens`.
    """
    loaded = load(path, revision, dtype=dtype, sample_rate=sample_rate, device_map=device_map)
    words = joint_of(loaded.config).prompt if prompt is None else prompt
    if isinstance(words, str):
        words = load_tokeniser(path, revision, words)
    return AudioTokens(loaded, name or loaded.name, words, tuple(layers or LAYERS), **settings)
