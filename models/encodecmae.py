"""EnCodecMAE: predict the codes of masked frames from the visible ones.

Pepino, Riera, Ferrer (2023), arXiv 2309.07391; reference habla-liaa/encodecmae.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pytorch_lightning as pl
import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from pytorch_lightning.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from models.chunks import encode_in_chunks
from models.encoder import Frames
from models.frontend import FrontEnd
from models.masking import gap_mask
from models.optim import Optimisation, build_optimiser, take_settings
from models.targets import Target
from models.transformer import SinusoidalPositions, Transformer, initialise

VALIDATION_SEED = 1234
FIT_BATCHES = 200
"""Most batches of audio that a target may ask for; k-means takes what it needs."""


@dataclass(frozen=True)
class Masking:
    """Share of frames hidden from the encoder, frames of one gap, and what fills their place."""

    share: float = 0.5
    gap: int = 15
    token: Literal["zeros", "learned"] = "zeros"


class EncodecMAE(pl.LightningModule):
    """Masked autoencoder over frames of audio; it is also an Encoder (models/encoder.py).

    front end -> Linear -> positions -> visible frames -> encoder -> Linear -> masked slots ->
    positions -> decoder -> one head per codebook. The loss is
    ``w L_masked + (1 - w) L_visible``, each the mean over its frames of the cross-entropies
    weighted by codebook; padding counts nowhere.

    Parameters
    ----------
    frontend : FrontEnd
    encoder, decoder : Transformer
    target : Target
    masking : Masking
    optimisation : Optimisation
    masked_weight : float
        Share ``w`` of the masked frames in the loss.
    chunk_frames : int
        Frames encoded together in feature extraction (300 is 4 s).
    name : str
    seed : int
        Of the masks; a batch's mask depends on seed, batch index and rank alone, so that a resumed
        run draws the same.
    """

    def __init__(
        self,
        frontend: FrontEnd,
        encoder: Transformer,
        decoder: Transformer,
        target: Target,
        masking: Masking,
        optimisation: Optimisation,
        masked_weight: float = 0.9,
        chunk_frames: int = 300,
        name: str = "encodecmae",
        seed: int = 42,
    ) -> None:
        super().__init__()
        self.frontend = frontend
        self.embed = nn.Linear(frontend.dim, encoder.dim)
        self.encoder_positions = SinusoidalPositions(encoder.dim)
        self.encoder = encoder
        self.bridge = nn.Linear(encoder.dim, decoder.dim)
        self.decoder_positions = SinusoidalPositions(decoder.dim)
        self.decoder = decoder
        self.head = nn.Linear(decoder.dim, target.codebooks * target.codebook_size)
        learned = masking.token == "learned"
        self.mask_token = nn.Parameter(torch.empty(decoder.dim)) if learned else None
        self.initialise()
        self.target = target
        self.masking = masking
        self.optimisation = optimisation
        self.masked_weight = masked_weight
        self.chunk_frames = chunk_frames
        self.name, self.seed = name, seed
        self.step: int | None = None
        self.sample_rate = frontend.sample_rate
        self.layers = tuple(f"encoder.{i}" for i in range(len(encoder.layers)))

    # ---- the model ---------------------------------------------------------------------------

    @torch.no_grad()
    def initialise(self) -> None:
        """Draw every trained weight; front end and target stay."""
        for module in (self.embed, self.encoder, self.bridge, self.decoder, self.head):
            module.apply(initialise)
        for positions in (self.encoder_positions, self.decoder_positions):
            nn.init.ones_(positions.scale)
        if self.mask_token is not None:
            nn.init.normal_(self.mask_token, std=0.02)

    def forward_encoder(
        self, frames: Float[Tensor, "b n f"], valid: Bool[Tensor, "b n"], mask: Bool[Tensor, "b n"]
    ) -> tuple[Float[Tensor, "b v d"], Int[Tensor, "b v"], Bool[Tensor, "b v"]]:
        """Encode the visible frames only; also their places and which of them are real."""
        x = self.encoder_positions(self.embed(frames))
        hidden = mask | ~valid
        # A clip of n frames hides floor(share * n), so no clip shows more than a full one does.
        seen = frames.shape[1] - int(frames.shape[1] * self.masking.share)
        ids_keep = hidden.int().argsort(dim=1, stable=True)[:, :seen]
        kept = ~hidden.gather(1, ids_keep)
        x = x.gather(1, ids_keep[..., None].expand(-1, -1, x.shape[2]))
        return self.bridge(self.encoder(x, kept)), ids_keep, kept

    def forward_decoder(
        self,
        latent: Float[Tensor, "b v d"],
        ids_keep: Int[Tensor, "b v"],
        kept: Bool[Tensor, "b v"],
        valid: Bool[Tensor, "b n"],
    ) -> Float[Tensor, "b n q k"]:
        """Put the encoded frames back in their places and predict every frame's codes."""
        latent = latent * kept[..., None]
        x = latent.new_zeros(*valid.shape, latent.shape[2])
        x = x.scatter(1, ids_keep[..., None].expand_as(latent), latent)
        if self.mask_token is not None:
            filled = torch.zeros_like(valid).scatter(1, ids_keep, kept)
            x = torch.where(filled[..., None], x, self.mask_token.to(x.dtype))
        x = self.decoder(self.decoder_positions(x), valid)
        return rearrange(self.head(x), "b n (q k) -> b n q k", q=self.target.codebooks)

    def forward_loss(
        self,
        logits: Float[Tensor, "b n q k"],
        codes: Int[Tensor, "b n q"],
        mask: Bool[Tensor, "b n"],
        valid: Bool[Tensor, "b n"],
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss, and its parts: masked, visible, and per codebook on masked frames."""
        entropy = cross_entropy(logits.float().flatten(0, 2), codes.flatten(), reduction="none")
        entropy = entropy.view(codes.shape)
        # no matrix product: autocast would take that in bfloat16
        weighted = (entropy * self.target.weights).sum(-1)
        masked, visible = mask & valid, ~mask & valid
        parts = {
            "loss_masked": mean_where(weighted, masked),
            "loss_visible": mean_where(weighted, visible),
        }
        right = (logits.detach().argmax(-1) == codes).float()
        for q in range(codes.shape[2]):
            parts[f"accuracy/q{q}"] = mean_where(right[..., q], masked)
            parts[f"perplexity/q{q}"] = mean_where(entropy[..., q].detach(), masked).exp()
        loss = self.masked_weight * parts["loss_masked"]
        return loss + (1 - self.masked_weight) * parts["loss_visible"], parts

    def forward(
        self, audio: Tensor, lengths: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss and its parts for one batch, the mask drawn from ``generator``."""
        # What is frozen works in full precision: in bfloat16 the codes would be others.
        with torch.no_grad(), torch.autocast(audio.device.type, enabled=False):
            frames = self.frontend(audio)
            codes = self.target(audio)
        n = min(frames.shape[1], codes.shape[1])
        frames, codes = frames[:, :n], codes[:, :n]
        count = self.frontend.frames(lengths).clamp_max(n)
        valid = torch.arange(n, device=audio.device) < count[:, None]
        mask = gap_mask(count, n, self.masking.share, self.masking.gap, generator)
        logits = self.forward_decoder(*self.forward_encoder(frames, valid, mask), valid)
        return self.forward_loss(logits, codes, mask, valid)

    # ---- training ----------------------------------------------------------------------------

    def on_fit_start(self) -> None:
        """Fetch or fit what is frozen: the codec's weights, the k-means codes."""
        self.frontend.prepare()
        self.target.prepare(self.trainer.datamodule.sample_batches(FIT_BATCHES))  # type: ignore[attr-defined]

    def on_train_start(self) -> None:
        """Go on by the settings of this run, where the checkpoint was saved with others."""
        steps = int(self.trainer.estimated_stepping_batches)
        fresh, _ = build_optimiser(self, self.optimisation, steps)
        (restored,), (config,) = self.trainer.optimizers, self.trainer.lr_scheduler_configs
        take_settings(restored, config.scheduler, fresh)  # type: ignore[arg-type]

    def _generator(self, *numbers: int) -> torch.Generator:
        """A generator that depends on these numbers alone, so that a resumed run draws alike."""
        seed = 0
        for number in (self.seed, *numbers):
            seed = (seed * 1_000_003 + number + 1) % (2**63)
        return torch.Generator(self.device).manual_seed(seed)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        generator = self._generator(batch_idx, self.global_rank)
        loss, parts = self(batch["audio"], batch["lengths"], generator)
        self._log("train", loss, parts)
        return loss

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        generator = self._generator(VALIDATION_SEED, batch_idx, self.global_rank)
        loss, parts = self(batch["audio"], batch["lengths"], generator)
        self._log("val", loss, parts, batch_size=len(batch["audio"]), sync_dist=True)

    def _log(self, split: str, loss: Tensor, parts: dict[str, Tensor], **kwargs: object) -> None:
        self.log(f"{split}/loss", loss.detach(), prog_bar=True, **kwargs)  # type: ignore[arg-type]
        rows = {f"{split}/{name}": value.detach() for name, value in parts.items()}
        self.log_dict(rows, **kwargs)  # type: ignore[arg-type]

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        gradients = [p.grad for p in self.parameters() if p.grad is not None]
        self.log("train/grad_norm", torch.nn.utils.get_total_norm(gradients))
        self.log("train/lr", optimizer.param_groups[0]["lr"])

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        steps = int(self.trainer.estimated_stepping_batches)
        optimiser, schedule = build_optimiser(self, self.optimisation, steps)
        return {
            "optimizer": optimiser,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    # ---- the Encoder contract ----------------------------------------------------------------

    @torch.no_grad()
    def encode(self, audio: Tensor, lengths: Tensor) -> dict[str, Frames]:
        """Unmasked features of every encoder layer, in chunks of ``chunk_frames`` frames."""
        values, count = encode_in_chunks(
            self._encode_chunk, self.frontend, audio, lengths, self.chunk_frames
        )
        rate, offset = self.frontend.rate, self.frontend.offset
        return {
            layer: Frames(value, count, rate, offset)
            for layer, value in zip(self.layers, values, strict=True)
        }

    def _encode_chunk(self, audio: Tensor, valid: Bool[Tensor, "b n"]) -> list[Tensor]:
        x = self.encoder_positions(self.embed(self.frontend(audio)))
        return self.encoder.hidden_states(x, None if bool(valid.all()) else valid)


def mean_where(values: Float[Tensor, "b n"], chosen: Bool[Tensor, "b n"]) -> Float[Tensor, ""]:
    """Mean over the chosen frames of the whole batch; zero if there is none."""
    return (values * chosen).sum() / chosen.sum().clamp_min(1)
