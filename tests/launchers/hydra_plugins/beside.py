"""Stands in for hydra-joblib-launcher: Hydra finds it where this folder is on the path."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, run_job
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from joblib import Parallel, delayed
from omegaconf import DictConfig, open_dict

ConfigStore.instance().store(
    group="hydra/launcher",
    name="joblib",
    node={"_target_": "hydra_plugins.beside.Beside", "n_jobs": -1},
)


class Beside(Launcher):
    """Jobs in new processes, to which only what can be pickled is sent."""

    def __init__(self, n_jobs: int) -> None:
        self.n_jobs = n_jobs

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        self.sent = (hydra_context, task_function, config)

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        state = Singleton.get_state()
        jobs = enumerate(job_overrides, initial_job_idx)
        calls = (delayed(job)(i, list(given), state, *self.sent) for i, given in jobs)
        return Parallel(n_jobs=self.n_jobs, backend="loky")(calls)


def job(
    number: int,
    overrides: list[str],
    state: Any,
    context: HydraContext,
    function: TaskFunction,
    config: DictConfig,
) -> JobReturn:
    Singleton.set_state(state)
    whole = context.config_loader.load_sweep_config(config, overrides)
    with open_dict(whole):
        whole.hydra.job.id = whole.hydra.job.num = number
    return run_job(function, whole, "hydra.sweep.dir", "hydra.sweep.subdir", context)
