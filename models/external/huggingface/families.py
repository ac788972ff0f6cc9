"""What has to be known of a family of models in transformers to take features from its towers."""

from __future__ import annotations

from dataclasses import dataclass

HIDDEN_STATES = "hidden_states"


@dataclass(frozen=True)
class Family:
    """How models of one type are run.

    Parameters
    ----------
    submodule : str
        What is run of the loaded model, a dotted name; all of it by default.
    method : str
        What is called of it.
    layers : str or dict from pattern to layout
        ``hidden_states``, or patterns of modules.
    layout : str
        Of hidden states.
    mask : str or None
        Name under which the model takes the mask of what is no padding; None where it has none
        that it uses.
    masked : bool
        Whether the mask is given for clips without padding too.
    packed : bool
        Whether clips lie one after the other, without a batch axis.
    channel : bool
        Whether audio is given as it is, (batch, 1, samples), past the feature extractor.
    offset : float or None
        Centre of frame 0 in seconds, where counting frames cannot tell it: towers that are
        padded to a fixed length.
    """

    submodule: str = ""
    method: str = "__call__"
    layers: str | dict[str, str] = HIDDEN_STATES
    layout: str = "btd"
    mask: str | None = "attention_mask"
    masked: bool = False
    packed: bool = False
    channel: bool = False
    offset: float | None = None


# Mel frames of Whisper are centred on multiples of the hop, and so are those of its strided
# convolution, which is padded by one frame on either side.
TOWER = Family(mask=None, offset=0.0)

FAMILIES: dict[str, Family] = {
    "whisper": Family("encoder", mask=None, offset=0.0),
    "qwen2_audio_encoder": TOWER,
    "qwen2_audio": Family("audio_tower", mask=None, offset=0.0),
    "voxtral_encoder": TOWER,
    "voxtral": Family("audio_tower", mask=None, offset=0.0),
    "audioflamingo3_encoder": Family(mask="input_features_mask", masked=True, offset=0.0),
    "audioflamingo3": Family("audio_tower", mask="input_features_mask", masked=True, offset=0.0),
    "glmasr_encoder": TOWER,
    "qwen2_5_omni_audio_encoder": Family(layers={"layers.*": "packed"}, packed=True, offset=0.0),
    "audio-spectrogram-transformer": Family(layout="patches", mask=None),
    "clap": Family("audio_model", layout="folded", mask=None),
    "clap_audio_model": Family(layout="folded", mask=None),
    "encodec": Family("encoder", layers={r"re:layers\.(6|9|12|13|15)": "bdt"}, mask=None),
    "dac": Family(
        "encoder",
        layers={"re:block\\.[2-9]": "bdt", "conv2": "bdt"},
        mask=None,
        channel=True,
    ),
    "mimi": Family(
        "encoder",
        layers={
            r"re:encoder_seanet\.layers\.(6|9|12|14)": "bdt",
            "encoder_transformer.layers.*": "btd",
            "downsample": "bdt",
        },
        mask="padding_mask",
    ),
    "granite_speech": Family("encoder", layers={"layers.*": "btd"}, mask=None),
    "moonshine": Family("encoder"),
    "speech_to_text": Family("encoder"),
    # Two frames of 25 ms, 10 ms apart, are one: padding to an even number of them is on one side.
    "wav2vec2-bert": Family(offset=0.0175),
    "seamless_m4t_v2": Family("speech_encoder"),
}
"""By ``model_type`` of the config; every other model is run whole, for its hidden states."""


def family(model_type: str) -> Family:
    """What is known of a type of model, or what holds for most."""
    return FAMILIES.get(model_type, Family())


def grid(config: object) -> dict[str, int]:
    """Sizes that the layouts ``patches`` and ``folded`` need, from the config of the tower."""
    if hasattr(config, "frequency_stride"):  # AST: tokens of class and of distillation come first
        bins, patch = config.num_mel_bins, config.patch_size  # type: ignore[attr-defined]
        return {"rows": (bins - patch) // config.frequency_stride + 1, "skip": 2}
    return {"folds": config.spec_size // config.num_mel_bins}  # type: ignore[attr-defined]


def patch_times(config: object) -> tuple[float, float] | None:
    """Rate (Hz) and centre of the first (s) of the patches of an AST; None for other models.

    A patch holds 16 frames of 25 ms, which are 10 ms apart.
    """
    if not hasattr(config, "frequency_stride"):
        return None
    half = (config.patch_size - 1) / 2  # type: ignore[attr-defined]
    return 100 / config.time_stride, 0.0125 + 0.010 * half  # type: ignore[attr-defined]


def window_samples(extractor: object) -> int | None:
    """Fixed length in samples to which a feature extractor pads every clip, if it does."""
    kind = type(extractor).__name__
    if kind == "WhisperFeatureExtractor":
        return int(extractor.n_samples)  # type: ignore[attr-defined]
    if kind == "ASTFeatureExtractor":
        return int(extractor.max_length * 0.010 * extractor.sampling_rate)  # type: ignore[attr-defined]
    if kind == "ClapFeatureExtractor":
        return int(extractor.nb_max_samples)  # type: ignore[attr-defined]
    return None
