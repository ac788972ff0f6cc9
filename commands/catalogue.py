"""What there is to choose from: ``python probe.py list=benchmarks``, or ``list=encoders``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict

from commands.data_facts import DataFacts, data_facts, missing_data
from commands.facts import facts_of, not_runnable
from commands.folders import CONF
from reporting.listing import BenchmarkEntry, EncoderEntry, print_benchmarks, print_encoders

if TYPE_CHECKING:
    from evaluation.benchmark import Benchmark


def show(cfg: DictConfig) -> None:
    """Print the list that ``cfg.list`` names; with ``list=true`` that of the encoders."""
    wanted = "encoders" if cfg.list is True else cfg.list
    if wanted not in LISTS:
        raise ValueError(f"list={cfg.list}: expected one of {', '.join(LISTS)}")
    LISTS[wanted](cfg)


def list_benchmarks(cfg: DictConfig) -> None:
    """Every benchmark, or those that were chosen by name or as a suite."""
    own = list(HydraConfig.get().overrides.task) if HydraConfig.initialized() else []
    chosen = any(override.split("=")[0] in ("benchmark", "suite") for override in own)
    print_benchmarks(list(benchmark_entries(cfg if chosen else with_all_benchmarks(own))))


def list_encoders(cfg: DictConfig) -> None:
    """Every encoder, as its yaml and the table of facts describe it."""
    print_encoders(list(encoder_entries()))


LISTS: dict[str, Callable[[DictConfig], None]] = {
    "benchmarks": list_benchmarks,
    "encoders": list_encoders,
}


def with_all_benchmarks(overrides: Sequence[str] = ()) -> DictConfig:
    """The config of probe.py with these overrides and every benchmark of ``conf/``."""
    files = sorted((CONF / "benchmark").glob("*/[!_]*.yaml"))
    names = ",".join(f"{file.parent.name}/{file.stem}" for file in files)
    return _compose([*overrides, f"benchmark=[{names}]"])


def _compose(overrides: Sequence[str]) -> DictConfig:
    """The config of probe.py, within a run of Hydra or outside one."""
    running = GlobalHydra.instance().is_initialized()
    with nullcontext() if running else initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("probe", list(overrides))


def encoder_entries() -> Iterator[EncoderEntry]:
    """One entry for each encoder, first those that run here.

    That is one for each yaml of ``conf/encoder``, then one for each row of ``conf/encoders.csv``
    that has none. Nothing is built, so no weights are needed.
    """
    for name, said in encoder_configs():
        what = _first_comment(f"encoder/{name}")
        layers = _patterns(said.get("layers"))
        yield _encoder_entry(name, what, said.get("sample_rate"), layers, facts_of(name, said))
    for name, row in not_runnable().items():
        layers = tuple(row.get("layers", "").split())
        missing = row.get("features", "make its features elsewhere")
        yield _encoder_entry(
            name, row.get("what", ""), row.get("sample_rate"), layers, row, missing
        )


def _encoder_entry(
    name: str,
    what: str,
    sample_rate: int | None,
    layers: tuple[str, ...],
    facts: Mapping[str, Any],
    missing: str = "",
) -> EncoderEntry:
    return EncoderEntry(
        name,
        what,
        sample_rate,
        layers,
        facts.get("licence", ""),
        facts.get("source", ""),
        facts.get("verified"),
        _kind(facts),
        missing,
    )


def _kind(facts: Mapping[str, Any]) -> str:
    """By what an encoder can be compared with others, in a line."""
    if facts.get("trained_on") in (None, "none"):
        return str(facts.get("family", ""))
    parameters, hours = facts.get("parameters"), facts.get("hours")
    size = f"{parameters / 1e6:,.0f} M" if parameters else ""
    heard = facts["trained_on"] + (f", {hours:,} h" if hours else "")
    parts = (facts.get("family"), facts.get("objective"), size, heard)
    return "; ".join(part for part in parts if part)


def encoder_configs() -> Iterator[tuple[str, DictConfig]]:
    """Name and composed config of each yaml of ``conf/encoder``."""
    names = sorted(file.stem for file in (CONF / "encoder").glob("[!_]*.yaml"))
    every = _compose([f"+encoder@every.{name}={name}" for name in names]).every
    return ((name, every[name]) for name in names)


def _patterns(layers: Any) -> tuple[str, ...]:
    """Layers of a yaml, which may be one pattern, several, or a layout for each."""
    return (layers,) if isinstance(layers, str) else tuple(layers or ())


def benchmark_entries(cfg: DictConfig) -> Iterator[BenchmarkEntry]:
    """One entry for each benchmark of the config, by what is known of its data and its files.

    One of which nothing is known beforehand is built as for scoring; it may give several.
    """
    for kind, group in cfg.benchmark.items():
        for name, config in group.items():
            whole, asks = f"{kind}/{name}", _first_comment(f"benchmark/{kind}/{name}")
            facts = data_facts(whole, config)
            missing = "" if facts is None else missing_data(whole, config, facts, cfg.paths.data)
            if facts is None or (facts.own and not missing):
                yield from _built_entries(cfg, kind, name, asks)
            else:
                yield _entry(whole, asks, facts, missing)


def _entry(name: str, asks: str, facts: DataFacts, missing: str = "") -> BenchmarkEntry:
    simulated = facts.simulated
    return BenchmarkEntry(
        name, asks, facts.stimuli, facts.licence, facts.source, missing, simulated
    )


def _built_entries(cfg: DictConfig, kind: str, name: str, asks: str) -> Iterator[BenchmarkEntry]:
    """Entries of one benchmark by what it says of its data once it is built."""
    from commands.building import build_benchmarks  # heavy, and seldom needed

    alone = deepcopy(cfg)
    with open_dict(alone):
        alone.benchmark = {kind: {name: cfg.benchmark[kind][name]}}
    benchmarks, failures = build_benchmarks(alone)
    for whole, made in benchmarks.items():
        yield _entry(whole, asks, built_facts(made))
    said = OmegaConf.to_container(cfg.benchmark[kind][name])
    licence, source = (next(_values(said, key), "") for key in ("licence", "source"))
    for failure in failures:
        yield BenchmarkEntry(failure.benchmark, asks, None, licence, source, failure.error)


def built_facts(made: Benchmark) -> DataFacts:
    """What a built benchmark says of its data, be they responses, a task or a recording."""
    found = (getattr(part, "provenance", None) for part in (made, *vars(made).values()))
    provenance = next((one for one in found if one is not None), None)
    count = None if made.stimuli is None else len(made.stimuli)
    licence, source = (getattr(provenance, key, "") for key in ("licence", "source"))
    return DataFacts(count, licence, source, ())


def _values(config: Any, key: str) -> Iterator[Any]:
    """Every value of that key in a config, outer ones first."""
    if isinstance(config, dict) and config.get(key) is not None:
        yield config[key]
    for child in config.values() if isinstance(config, dict) else ():
        yield from _values(child, key)


def _first_comment(option: str) -> str:
    """The first line of a yaml: what a benchmark asks, what an encoder is."""
    file = CONF / f"{option}.yaml"
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    return lines[0].lstrip("# ") if lines and lines[0].startswith("#") else ""
