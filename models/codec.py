"""The published EnCodec 24 kHz codec, frozen: features and codes, never trained."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from pickle import UnpicklingError

import torch
from encodec import EncodecModel
from encodec.quantization.core_vq import VectorQuantization
from jaxtyping import Float, Int
from torch import Tensor, nn

URL = "https://dl.fbaipublicfiles.com/encodec/v0/encodec_24khz-d7cc33bc.th"


class CodecWeightsError(RuntimeError):
    """EnCodec's weights are neither in the cache, nor downloadable, nor given as a file."""


class EncodecWeights(nn.Module):
    """EnCodec's encoder and residual quantiser in evaluation mode, without gradients.

    Built empty; :meth:`load` fills it from a file or through the ordinary download, unless the
    state of a checkpoint has filled it already.

    Parameters
    ----------
    weights : str or path, optional
        A state dict of ``encodec_24khz``. Without it the published file is fetched once into
        torch's hub cache. ``"random"`` keeps the random encoder and draws random codebooks: for
        tests of the plumbing only.
    codebooks : int
        How many of the 32 residual codebooks are kept (8 of them are 6 kbit/s).
    """

    layers: Sequence[VectorQuantization]
    loaded: Tensor

    def __init__(self, weights: str | Path | None = None, codebooks: int = 8) -> None:
        super().__init__()
        self.weights = weights
        with warnings.catch_warnings():  # encodec 0.1.1 uses the older weight_norm
            warnings.simplefilter("ignore", FutureWarning)
            codec = EncodecModel.encodec_model_24khz(pretrained=False)
        self.encoder = codec.encoder
        self.layers = nn.ModuleList(codec.quantizer.vq.layers[:codebooks])  # type: ignore[assignment]
        self.register_buffer("loaded", torch.tensor(False))
        self.sample_rate, self.hop, self.dim = codec.sample_rate, int(codec.encoder.hop_length), 128
        self.codebook_size = codec.quantizer.bins
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> EncodecWeights:
        """Stay in evaluation mode: encodec's quantiser updates its codebooks when training."""
        return super().train(False)

    def load(self) -> None:
        """Fill in the published weights once.

        Raises
        ------
        CodecWeightsError
            If they are not to be had; the message names both ways to provide them.
        """
        if self.loaded:
            return
        if self.weights == "random":
            self._draw_codebooks()
            return
        state = self._read()
        keys = {k.replace("quantizer.vq.layers.", "layers."): v for k, v in state.items()}
        own = self.state_dict()
        wanted = {k: v for k, v in keys.items() if k in own} | {"loaded": torch.tensor(True)}
        wrong = sorted(k for k in own if k not in wanted or wanted[k].shape != own[k].shape)
        if wrong:
            raise CodecWeightsError(
                f"{self.weights or URL} is not a state dict of encodec_24khz: "
                f"{len(wanted.keys() & own.keys()) - 1} of {len(own) - 1} entries are there, "
                f"{wrong[0]} is missing or of another shape"
            )
        self.load_state_dict(wanted)

    def _read(self) -> dict[str, Tensor]:
        path = None if self.weights is None else Path(self.weights)
        if path is not None and not path.is_file():
            raise CodecWeightsError(f"no EnCodec weights at {path}: {self._ways()}")
        try:
            if path is not None:
                return torch.load(path, map_location="cpu", weights_only=True)
            return torch.hub.load_state_dict_from_url(
                URL, map_location="cpu", check_hash=True, weights_only=True, progress=True
            )
        except (OSError, EOFError, RuntimeError, UnpicklingError) as error:
            reason = str(error).splitlines()[0]
            raise CodecWeightsError(
                f"EnCodec weights could not be read from {path or URL} ({reason}): {self._ways()}"
            ) from error

    @staticmethod
    def _ways() -> str:
        return (
            f"either run once with a network so that {Path(URL).name} is cached, "
            "or download it and set model.target.codec.weights=FILE; "
            "model/target=kmeans needs no weights"
        )

    def _draw_codebooks(self) -> None:
        generator = torch.Generator().manual_seed(0)
        for layer in self.layers:
            codebook = torch.randn(layer.codebook.shape, generator=generator)
            layer.codebook.copy_(codebook * 0.1)
        self.loaded.fill_(True)

    @torch.no_grad()
    @torch.autocast("cuda", enabled=False)
    @torch.autocast("cpu", enabled=False)
    def features(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch frames dim"]:
        """Encoder output before the quantiser, 75 frames a second."""
        # EnCodec puts up to six frames, reflected, before the first one. Those that a shorter clip
        # lacks come from zeros, as they do beside longer clips.
        short = max(0, 8 * self.hop - audio.shape[1])
        frames = max(1, audio.shape[1] // self.hop)
        audio = nn.functional.pad(audio, (0, short))
        return self.encoder(audio[:, None]).transpose(1, 2)[:, :frames]

    @torch.no_grad()
    @torch.autocast("cuda", enabled=False)
    @torch.autocast("cpu", enabled=False)
    def codes(self, audio: Float[Tensor, "batch samples"]) -> Int[Tensor, "batch frames books"]:
        """Indices of the residual codebooks, by ``encode`` alone (it never updates them)."""
        residual = self.features(audio).transpose(1, 2)
        books = []
        for layer in self.layers:
            index = layer.encode(residual)
            residual = residual - layer.decode(index)
            books.append(index)
        return torch.stack(books, -1)
