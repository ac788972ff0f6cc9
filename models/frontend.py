"""Front ends: audio samples in, one feature vector per frame out."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from models.codec import EncodecWeights


class FrontEnd(nn.Module):
    """Frames of features from audio.

    Attributes
    ----------
    dim : int
        Features per frame.
    sample_rate : int
        Hz of the audio it takes.
    window, hop : int
        Samples that one frame covers, and samples from one frame to the next.
    """

    dim: int
    sample_rate: int
    window: int
    hop: int

    @property
    def rate(self) -> float:
        """Frames per second."""
        return self.sample_rate / self.hop

    @property
    def offset(self) -> float:
        """Centre of frame 0 in seconds."""
        return self.window / 2 / self.sample_rate

    def frames(self, samples: Int[Tensor, " batch"]) -> Int[Tensor, " batch"]:
        """Frames that lie wholly inside ``samples`` samples, at least one."""
        return 1 + (samples.clamp_min(self.window) - self.window) // self.hop

    def samples(self, frames: int) -> int:
        """Samples that ``frames`` frames cover."""
        return self.window + (frames - 1) * self.hop

    def prepare(self) -> None:
        """Fetch what the front end needs before its first use (nothing by default)."""


class LogMel(FrontEnd):
    """Kaldi-style log-mel spectrogram, computed on the device.

    Each frame: remove its mean, pre-emphasise with .97 (first sample replicated), multiply by a
    symmetric Hann window, zero-pad to a power of two, take the power spectrum, apply triangular
    filters that are linear in mel = 1127 ln(1 + f/700), take the log above 1.19e-7; then
    ``(x - mean) / std``. No padding at the edges: 1 + floor((T - window) / hop) frames.

    The default is the published front end of EnCodecMAE (habla-liaa/encodecmae,
    configs/features/mel.gin): 256 bands, frames of 637 samples every 318, 300 frames in 4 s.
    Bands narrower than one FFT bin are constant, as in the original.

    Parameters
    ----------
    bands : int
    window_ms, hop_ms : float
        Length and shift of the analysis frames (ms), cut down to whole samples.
    low, high : float
        Edges of the filter bank (Hz); ``high = 0`` is half the sample rate.
    mean, std : float
        Fixed normalisation of the log energies.
    """

    FLOOR = 1.1920928955078125e-07
    taper: Tensor
    filters: Tensor

    def __init__(
        self,
        bands: int = 256,
        sample_rate: int = 24000,
        window_ms: float = 26.56,
        hop_ms: float = 13.28,
        low: float = 20.0,
        high: float = 0.0,
        mean: float = -6.12,
        std: float = 4.82,
    ) -> None:
        super().__init__()
        self.dim = bands
        self.sample_rate = sample_rate
        self.window = int(sample_rate * window_ms * 1e-3)
        self.hop = int(sample_rate * hop_ms * 1e-3)
        self.mean, self.std = mean, std
        self.fft_size = 2 ** math.ceil(math.log2(self.window))
        self.register_buffer("taper", torch.hann_window(self.window, periodic=False), False)
        filters = mel_filters(bands, self.fft_size, sample_rate, low, high or sample_rate / 2)
        self.register_buffer("filters", filters, False)

    @torch.autocast("cuda", enabled=False)
    @torch.autocast("cpu", enabled=False)
    def forward(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch frames dim"]:
        audio = nn.functional.pad(audio, (0, max(0, self.window - audio.shape[1])))
        frames = audio.unfold(1, self.window, self.hop)
        frames = frames - frames.mean(-1, keepdim=True)
        previous = torch.cat([frames[..., :1], frames[..., :-1]], -1)
        spectrum = torch.fft.rfft((frames - 0.97 * previous) * self.taper, n=self.fft_size)
        power = spectrum.real.square() + spectrum.imag.square()
        energy = power @ self.filters
        return (energy.clamp_min(self.FLOOR).log() - self.mean) / self.std


def mel_filters(
    bands: int, fft_size: int, sample_rate: int, low: float, high: float
) -> Float[Tensor, "bins bands"]:
    """Triangular filters, linear in mel = 1127 ln(1 + f/700), without normalisation."""

    def mel(hertz: Tensor) -> Tensor:
        return 1127.0 * torch.log1p(hertz / 700.0)

    edge = mel(torch.tensor([low, high], dtype=torch.float64))
    corners = torch.linspace(float(edge[0]), float(edge[1]), bands + 2, dtype=torch.float64)
    bins = mel(torch.arange(fft_size // 2 + 1, dtype=torch.float64) * sample_rate / fft_size)
    rising = (bins[:, None] - corners[:-2]) / (corners[1:-1] - corners[:-2])
    falling = (corners[2:] - bins[:, None]) / (corners[2:] - corners[1:-1])
    filters = torch.minimum(rising, falling).clamp_min(0)
    filters[-1] = 0  # Kaldi leaves out the bin at half the sample rate
    return filters.float()


class EncodecFrontEnd(FrontEnd):
    """The frozen EnCodec 24 kHz encoder before its quantiser: 128 features at 75 Hz.

    Parameters
    ----------
    codec : EncodecWeights
        Share the instance with the target so that the encoder is held once.
    scale : float
        Factor on the features.
    """

    def __init__(self, codec: EncodecWeights, scale: float = 1.0) -> None:
        super().__init__()
        self.codec = codec
        self.scale = scale
        self.dim, self.sample_rate = codec.dim, codec.sample_rate
        self.window = self.hop = codec.hop

    def prepare(self) -> None:
        self.codec.load()

    def forward(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch frames dim"]:
        return self.codec.features(audio) * self.scale
