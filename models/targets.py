"""What the model predicts: discrete codes of each frame, frozen during training."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence

import torch
from einops import rearrange
from jaxtyping import Float, Int
from pytorch_lightning.utilities import rank_zero_only
from rich.progress import track
from torch import Tensor, nn

from models.codec import EncodecWeights
from models.frontend import LogMel

PUBLISHED_WEIGHTS = (
    0.22407463, 0.1759858, 0.14499009, 0.12150037, 0.10315603, 0.08831368, 0.07608274, 0.06589669,
)  # fmt: skip
"""Weights of the eight EnCodec codebooks in the loss (habla-liaa/encodecmae, EncodecMAE)."""


class Target(nn.Module):
    """Codes of every frame.

    Attributes
    ----------
    codebooks, codebook_size : int
    weights : tensor of shape (codebooks,)
        Share of each codebook in the loss; they sum to one.
    """

    codebooks: int
    codebook_size: int
    weights: Tensor
    fitted: Tensor

    def __init__(self, codebooks: int, size: int, weights: Sequence[float] | None) -> None:
        super().__init__()
        self.codebooks, self.codebook_size = codebooks, size
        share = torch.ones(codebooks) if weights is None else torch.tensor(list(weights))
        if len(share) != codebooks:
            raise ValueError(f"{len(share)} codebook weights for {codebooks} codebooks")
        self.register_buffer("weights", share / share.sum(), persistent=False)
        self.register_buffer("fitted", torch.tensor(False))

    def prepare(self, batches: Iterable[dict[str, Tensor]]) -> None:
        """Fit or fetch what the codes need, once; a restored checkpoint is left as it is."""

    def forward(
        self, audio: Float[Tensor, "batch samples"]
    ) -> Int[Tensor, "batch frames codebooks"]:
        """Codes of each frame of ``audio``."""
        raise NotImplementedError

    def digest(self) -> str:
        """SHA-256 over every buffer and parameter: equal before and after training."""
        digest = hashlib.sha256()
        for name, value in sorted(self.state_dict().items()):
            digest.update(name.encode() + value.detach().cpu().numpy().tobytes())
        return digest.hexdigest()


class EncodecTarget(Target):
    """Residual codes of the published EnCodec codec, the targets of EnCodecMAE.

    Parameters
    ----------
    codec : EncodecWeights
    weights : sequence of float, optional
        Loss weight of each codebook; the published ones for eight codebooks by default.
    """

    def __init__(self, codec: EncodecWeights, weights: Sequence[float] | None = None) -> None:
        books = len(codec.layers)
        if weights is None and books == len(PUBLISHED_WEIGHTS):
            weights = PUBLISHED_WEIGHTS
        super().__init__(books, codec.codebook_size, weights)
        self.codec = codec

    def prepare(self, batches: Iterable[dict[str, Tensor]]) -> None:
        self.codec.load()
        self.fitted.fill_(True)

    def forward(self, audio: Tensor) -> Tensor:
        return self.codec.codes(audio)


class SpectralTarget(Target):
    """Codes made from standardised log-mel frames, with ``context`` frames on each side.

    Parameters
    ----------
    frontend : LogMel
    codebooks, size : int
    context : int
        A code describes ``2 * context + 1`` neighbouring frames (edges repeat).
    components : int, optional
        Principal components kept of those frames; all of them by default.
    whiten : float
        Components are divided by ``std ** whiten``: 0 keeps their size, 1 makes them equal.
    fit_frames : int
        Frames of the training corpus used for the statistics and the fit.
    seed : int
    """

    center: Tensor
    projection: Tensor
    codebook: Tensor

    def __init__(
        self,
        frontend: LogMel,
        codebooks: int,
        size: int,
        weights: Sequence[float] | None = None,
        context: int = 0,
        components: int | None = None,
        whiten: float = 0.0,
        fit_frames: int = 60_000,
        seed: int = 0,
    ) -> None:
        super().__init__(codebooks, size, weights)
        self.frontend = frontend
        self.context, self.whiten = context, whiten
        self.fit_frames, self.seed = fit_frames, seed
        width = frontend.dim * (2 * context + 1)
        if components is not None and components > width:
            raise ValueError(f"{components} components, but the frames have {width} values")
        self.dim = components or width
        self.register_buffer("center", torch.zeros(width))
        self.register_buffer("projection", torch.zeros(width, self.dim))
        self.register_buffer("codebook", torch.zeros(codebooks, size, self.dim))

    def features(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch frames dim"]:
        """Standardised, projected log-mel frames."""
        return (self._stack_frames(audio) - self.center) @ self.projection

    def _stack_frames(self, audio: Tensor) -> Tensor:
        frames = self.frontend(audio)
        if self.context == 0:
            return frames
        padded = nn.functional.pad(
            frames.transpose(1, 2), (self.context, self.context), mode="replicate"
        )
        windows = padded.unfold(2, 2 * self.context + 1, 1)
        return rearrange(windows, "batch band frame lag -> batch frame (lag band)")

    @torch.no_grad()
    def prepare(self, batches: Iterable[dict[str, Tensor]]) -> None:
        if self.fitted:
            return
        frames = self._draw_frames(batches)
        self._fit_projection(frames)
        self._fit_codebooks((frames - self.center) @ self.projection)
        self.fitted.fill_(True)

    def _draw_frames(self, batches: Iterable[dict[str, Tensor]]) -> Tensor:
        """Frames of the corpus that lie inside their clips, in a seeded random order."""
        device = self.center.device
        found: list[Tensor] = []
        for batch in batches:
            stacked = self._stack_frames(batch["audio"].to(device))
            count = self.frontend.frames(batch["lengths"].to(device))
            found.append(stacked[torch.arange(stacked.shape[1], device=device) < count[:, None]])
            if sum(map(len, found)) >= 4 * self.fit_frames:
                break
        frames = torch.cat(found)
        if len(frames) < self.codebook_size:
            raise ValueError(
                f"{len(frames)} frames of audio cannot give {self.codebook_size} codes: "
                "use more audio or a smaller model.target.size"
            )
        generator = torch.Generator().manual_seed(self.seed)
        order = torch.randperm(len(frames), generator=generator)[: self.fit_frames]
        return frames[order.to(device)]

    def _fit_projection(self, frames: Tensor) -> None:
        """Standardise each band, rotate to principal components, whiten them in part."""
        self.center.copy_(frames.mean(0))
        scale = frames.std(0)
        scale = torch.where(scale > 1e-4, 1 / scale.clamp_min(1e-4), 0.0)
        z = ((frames - self.center) * scale).double()
        variance, axes = torch.linalg.eigh(z.T @ z / len(z))
        variance, axes = variance.flip(0)[: self.dim], axes.flip(1)[:, : self.dim]
        axes = axes * axes.sum(0).sign()  # eigenvectors have no sign of their own
        gain = variance.clamp_min(1e-3).pow(-self.whiten / 2)
        self.projection.copy_(scale[:, None] * (axes * gain).float())

    def _fit_codebooks(self, features: Tensor) -> None:
        raise NotImplementedError

    @torch.no_grad()
    def forward(self, audio: Tensor) -> Tensor:
        residual = self.features(audio)
        codes = []
        for book in self.codebook:
            index = nearest(residual.flatten(0, 1), book).view(residual.shape[:2])
            residual = residual - book[index]
            codes.append(index)
        return torch.stack(codes, -1)


class KMeansTarget(SpectralTarget):
    """Residual k-means on log-mel frames: each codebook quantises what the last ones left.

    Fitted once on frames of the training corpus, deterministic for a seed, and kept in the
    checkpoint. The default wherever no codec weights are at hand.

    Parameters
    ----------
    iterations : int
        Lloyd iterations of each codebook.
    """

    def __init__(self, *args: object, iterations: int = 20, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.iterations = iterations

    def _fit_codebooks(self, features: Tensor) -> None:
        residual = features
        hidden = getattr(rank_zero_only, "rank", 0) not in (None, 0)  # every rank fits the same
        for q in track(range(self.codebooks), "Fitting k-means targets", disable=hidden):
            book = kmeans(residual, self.codebook_size, self.iterations, self.seed + q)
            self.codebook[q] = book
            residual = residual - book[nearest(residual, book)]


class RandomProjectionTarget(SpectralTarget):
    """Random-projection quantiser (Chiu et al. 2022, BEST-RQ), one projection per codebook.

    ``code_q = argmin_k || unit(P_q x) - c_qk ||`` with fixed random ``P_q`` and unit-length
    random codes. Nothing is learned but the bands' mean and standard deviation: the rotation to
    all principal components is as good as any to a random projection.

    Parameters
    ----------
    code_dim : int
        Width of the random codes.
    """

    random: Tensor

    def __init__(self, *args: object, code_dim: int = 16, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.register_buffer("random", torch.zeros(self.codebooks, self.dim, code_dim))
        self.register_buffer("codebook", torch.zeros(self.codebooks, self.codebook_size, code_dim))

    def _fit_codebooks(self, features: Tensor) -> None:
        generator = torch.Generator().manual_seed(self.seed)
        bound = math.sqrt(6 / (self.dim + self.random.shape[-1]))
        uniform = torch.rand(self.random.shape, generator=generator)
        self.random.copy_((2 * uniform - 1) * bound)
        codes = torch.randn(self.codebook.shape, generator=generator)
        self.codebook.copy_(nn.functional.normalize(codes, dim=-1))

    @torch.no_grad()
    def forward(self, audio: Tensor) -> Tensor:
        features = self.features(audio)
        codes = [
            nearest(nn.functional.normalize((features @ matrix).flatten(0, 1), dim=-1), book).view(
                features.shape[:2]
            )
            for matrix, book in zip(self.random, self.codebook, strict=True)
        ]
        return torch.stack(codes, -1)


def nearest(points: Float[Tensor, "n dim"], book: Float[Tensor, "k dim"]) -> Int[Tensor, " n"]:
    """Index of the closest row of ``book`` in Euclidean distance."""
    return (book.square().sum(1) - 2 * points @ book.T).argmin(1)


def kmeans(
    points: Float[Tensor, "n dim"], k: int, iterations: int, seed: int
) -> Float[Tensor, "k dim"]:
    """Lloyd's algorithm from a seeded draw of points; an empty cluster takes a random point."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(points), generator=generator).to(points.device)
    book = points[order[:k]].clone()
    for _ in range(iterations):
        index = nearest(points, book)
        count = torch.bincount(index, minlength=k)
        total = torch.zeros_like(book).index_add_(0, index, points)
        spare = torch.randint(len(points), (k,), generator=generator).to(points.device)
        book = torch.where(count[:, None] > 0, total / count[:, None].clamp_min(1), points[spare])
    return book
