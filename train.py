"""Pretrain a model, evaluate it at every checkpoint, log the trajectory.

``python train.py --help`` shows how; conf/train.yaml is where to begin reading,
commands/training.py what is done.
"""

from __future__ import annotations

import hydra
from omegaconf import DictConfig

from commands.launch import launch, run_script


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def main(cfg: DictConfig) -> None:
    from commands.training import train  # heavy: help and errors come before it

    run_script(train, cfg, "continue with ckpt_path=last")


if __name__ == "__main__":
    launch(main)
