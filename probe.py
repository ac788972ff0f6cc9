"""Evaluate any encoder as checkpoints are evaluated in training.

``python probe.py --help`` shows how; conf/probe.yaml is where to begin reading, commands/scoring.py
what is done. What is heavy is imported when it is needed, so that help and errors come at once.
"""

from __future__ import annotations

import hydra
from omegaconf import DictConfig

from commands.launch import launch, run_script
from commands.sweep import in_sweep, report_sweep, run_job


def stand_alone(cfg: DictConfig) -> None:
    """Watch a run, or list what there is: neither is a job of a sweep."""
    if in_sweep():
        raise ValueError(
            "watch= and list= stand alone: leave -m out, and start one watch for each run"
        )
    if cfg.watch:
        from commands.scoring import device_of
        from commands.watching.watch import watch

        watch(cfg, device_of(cfg.device))
    else:
        from commands.catalogue import show

        show(cfg)


@hydra.main(version_base="1.3", config_path="conf", config_name="probe")
def main(cfg: DictConfig) -> None:
    if cfg.watch or cfg.list:
        run_script(stand_alone, cfg)
        return
    from commands import scoring

    if in_sweep():
        run_job(scoring.run_check if cfg.check else scoring.run_probe, cfg)
    else:
        goes_on = f"output_dir={cfg.output_dir} continues where it stopped"
        run_script(scoring.check if cfg.check else scoring.score_or_exit, cfg, goes_on)


if __name__ == "__main__":
    with report_sweep():
        launch(main)
