"""Where classes are now that older runs and checkpoints name by an earlier place."""

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


def with_moved(config: Any) -> Any:
    """A stored config in which every ``_target_`` has its present place."""
    if isinstance(config, dict):
        return {
            key: _present(value) if key == "_target_" else with_moved(value)
            for key, value in config.items()
        }
    if isinstance(config, list):
        return [with_moved(value) for value in config]
    return config


def _present(target: Any) -> Any:
    module, _, name = str(target).rpartition(".")
    return f"{MOVED[module]}.{name}" if module in MOVED else target
