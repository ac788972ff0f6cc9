"""Where classes and settings are now that older runs and checkpoints name by an earlier place."""

from __future__ import annotations

from typing import Any

MOVED = {
    "callbacks.schedule": "evaluation.schedule",
    "callbacks.tracking": "tracking.offline",
    "datamodules.audio": "datamodules.pretraining.audio",
    "datamodules.crops": "datamodules.pretraining.crops",
    "datamodules.eeg.preprocessing": "datamodules.brain.eeg.preprocessing",
    "datamodules.simulated_brain": "datamodules.simulated.brain",
    "datamodules.simulated_eeg": "datamodules.simulated.eeg",
    "datamodules.simulated_tasks": "datamodules.simulated.tasks",
    "datamodules.synthetic": "datamodules.simulated.sounds",
    "evaluation.decoding": "evaluation.time.decoding",
    "evaluation.ecog": "evaluation.time.ecog",
    "evaluation.eeg": "evaluation.time.frame_alignment",
    "evaluation.events": "evaluation.downstream.events",
    "evaluation.fmri": "evaluation.fmri.response_alignment",
    "evaluation.hear": "evaluation.downstream.hear",
    "evaluation.layer_contributions": "evaluation.fmri.layer_contributions",
    "evaluation.pepino2025": "evaluation.fmri.pepino2025",
    "evaluation.probing": "evaluation.downstream.probing",
    "evaluation.similarity": "evaluation.fmri.similarity",
    "evaluation.talkers": "evaluation.time.talkers",
    "evaluation.tuckute2023": "evaluation.fmri.tuckute2023",
    "models.external.audio_tokens": "models.external.huggingface.audio_tokens",
    "models.external.envelope": "models.external.baselines.envelope",
    "models.external.huggingface": "models.external.huggingface.model",
    "models.external.logmel": "models.external.baselines.logmel",
    "models.external.logmel64": "models.external.baselines.logmel64",
    "models.external.spectrotemporal": "models.external.baselines.spectrotemporal",
}
"""Modules by their earlier names."""
GROUPED = {
    "draws": ("surrogates", "draws"),
    "min_shift": ("surrogates", "min_shift"),
    "seed": ("surrogates", "seed"),
    "surrogates": ("surrogates", "kind"),
    "piece_seconds": ("pieces", "seconds"),
    "word_piece_seconds": ("pieces", "word_seconds"),
    "metrics": ("metrics", "plain"),
    **{
        f"{name}_metrics": ("metrics", name) for name in ("lag", "window", "map", "word", "prosody")
    },
}
"""Groups of the settings of ``FrameAlignment``, which stood one by one."""


def update_config(config: Any) -> Any:
    """A stored config in which every ``_target_`` and setting has its present place."""
    if isinstance(config, list):
        return [update_config(value) for value in config]
    if not isinstance(config, dict):
        return config
    found = {key: update_config(value) for key, value in config.items()}
    if "_target_" in found:
        found["_target_"] = _present(found["_target_"])
        if found["_target_"].endswith(".FrameAlignment"):
            return _group_settings(found)
    return found


def _present(target: Any) -> Any:
    module, _, name = str(target).rpartition(".")
    return f"{MOVED[module]}.{name}" if module in MOVED else target


def _group_settings(config: dict[str, Any]) -> dict[str, Any]:
    """Settings in their groups, of a config in which any still stands by itself."""
    given = [key for key in config if key in GROUPED and not isinstance(config[key], dict)]
    if not given or given == ["metrics"]:
        return config
    found = {key: value for key, value in config.items() if key not in given}
    for key in given:
        group, name = GROUPED[key]
        found.setdefault(group, {})[name] = config[key]
    if "metrics" in found and "lag_metrics" not in config:
        found["metrics"]["lag"] = ["rsa_spearman", "cka_debiased"]  # as it was if nothing was said
    return found
