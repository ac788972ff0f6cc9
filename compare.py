"""Compare training runs and probes: answers, tables and figures as one page.

``python compare.py --help`` shows how; conf/compare.yaml is where to begin reading,
commands/comparing.py what is done.
"""

from __future__ import annotations

import hydra
from omegaconf import DictConfig

from commands.launch import launch, run_script


@hydra.main(version_base="1.3", config_path="conf", config_name="compare")
def main(cfg: DictConfig) -> None:
    from commands.comparing import compare  # heavy: help and errors come before it

    run_script(compare, cfg)


if __name__ == "__main__":
    launch(main)
