"""The published fMRI protocols, end to end on arrays in their authors' layout."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import RidgeCV
from torch import Tensor

from alignment.rsa import compare, rdm, zscore
from datamodules.brain import norman_haignere2015
from datamodules.stimuli import ResponseSet
from evaluation.features import Features
from evaluation.fmri.layer_contributions import LayerContributions
from evaluation.fmri.pepino2025 import Pepino2025
from evaluation.fmri.similarity import Similarity
from evaluation.fmri.tuckute2023 import Tuckute2023
from evaluation.rows import Score
from evaluation.summaries import depth_rows
from tests.datamodules.upstream import write_nh2015, write_sounds
from tests.evaluation.fmri.test_response_alignment import normal, responses

N, VOXELS, DIM, NOISE = 165, 60, 12, 1.0
SUBJECTS = np.arange(VOXELS) // 20
LAYERS = ("shallow", "planted", "deep")


@pytest.fixture(scope="module")
def features() -> dict[str, Features]:
    return {name: Features(normal(k, N, DIM).float()) for k, name in enumerate(LAYERS)}


@pytest.fixture(scope="module")
def measured(
    tmp_path_factory: pytest.TempPathFactory, features: dict[str, Features]
) -> ResponseSet:
    """Three scans of voxels that follow the planted layer: signal variance 1, noise variance 1."""
    root = tmp_path_factory.mktemp("brain")
    names = write_sounds(root / "sounds")
    x = features["planted"].values.double()
    signal = x @ normal(7, DIM, VOXELS)
    signal = (signal - signal.mean(0)) / signal.std(0)
    scans = signal[..., None] + NOISE**0.5 * normal(8, N, VOXELS, 3)
    folder = root / "NH2015"
    write_nh2015(folder, names, scans.numpy(), SUBJECTS, np.arange(N)[::-1])
    return norman_haignere2015.voxels(root / "sounds", folder, unpickle=True)


def value(rows: list[Score], **wanted: object) -> float:
    found = [r for r in rows if all(getattr(r, key) == v for key, v in wanted.items())]
    assert len(found) == 1, f"{len(found)} rows of {wanted}"
    return found[0].value


def whole(rows: list[Score], metric: str, layer: str, target: str = "") -> float:
    return value(rows, metric=metric, layer=layer, subject="", target=target)


@pytest.mark.long
def test_tuckute_recovers_the_planted_layer_and_the_noise_free_score(
    measured: ResponseSet, features: dict[str, Features]
) -> None:
    rows = Tuckute2023("fmri/x", measured, chunk=7).score(features)
    raw, corrected = (whole(rows, metric, "planted") for metric in ("r2", "r2_corrected"))
    # The mean of three scans has reliability 3/4; twelve weights from 83 sounds are near exact.
    assert raw == pytest.approx(0.75, abs=0.06)
    assert corrected == pytest.approx(1.0, abs=0.06)
    assert whole(rows, "r2_corrected", "selected") == pytest.approx(corrected, abs=0.03)
    for layer in ("shallow", "deep"):
        assert whole(rows, "r2", layer) < 0.05
    assert {row.subject for row in rows} == {"", "0", "1", "2"}
    assert {row.target for row in rows} == {"", "Primary", "Lateral", "Posterior", "Anterior"}
    assert {row.n for row in rows} == {N}
    group = next(
        r for r in rows if r.layer == "planted" and r.metric == "r2" and not r.subject + r.target
    )
    people = [
        r.value
        for r in rows
        if r.layer == "planted" and r.metric == "r2" and r.subject and not r.target
    ]
    assert group.value == pytest.approx(np.mean(people))
    assert group.ci_low is not None
    assert group.ci_high is not None
    assert group.ci_low <= group.value <= group.ci_high


@pytest.mark.long
def test_depth_is_the_place_of_the_planted_layer(
    measured: ResponseSet, features: dict[str, Features]
) -> None:
    rows = Tuckute2023("fmri/x", measured, voxelwise=True).score(features)
    for region in ("", "Primary", "Lateral"):
        assert whole(rows, "best_depth", "selected", region) == 0.5
    # Every participant has its best layer in the middle everywhere.
    (beyond,) = [r for r in rows if r.metric == "depth_beyond_primary" and not r.subject]
    assert (beyond.value, beyond.p) == (0, 1)
    scores = [r for r in rows if r.metric == "voxel_r2_corrected"]
    assert [(r.subject, r.target) for r in scores] == list(
        zip(measured.subjects or (), measured.targets, strict=True)
    )
    assert {r.value for r in rows if r.metric == "voxel_depth"} == {0.5}
    people = [r.value for r in rows if r.metric == "r2_corrected" and r.layer == "selected"]
    assert np.median([r.value for r in scores]) == pytest.approx(np.median(people), abs=0.02)


def test_depth_is_compared_with_that_of_primary_cortex() -> None:
    """Ten participants whose other regions lie deeper than Primary, by twice as much in one."""
    targets = 10 * 3
    y = responses(
        normal(0, 60, targets),
        subjects=tuple(str(i // 3) for i in range(targets)),
        regions=("Primary", "Lateral", "Anterior") * 10,
    )
    depth = torch.tensor([0.25, 0.5, 1.0] * 10) + torch.arange(10).repeat_interleave(3) / 100
    rows = list(depth_rows("fmri/x", y, depth.double()))
    assert whole(rows, "best_depth", "selected", "Anterior") == pytest.approx(1.045)
    (beyond,) = [r for r in rows if r.metric == "depth_beyond_primary" and not r.subject]
    assert beyond.value == pytest.approx(0.5)
    assert beyond.p == pytest.approx(2 / 2**10)


@pytest.mark.long
def test_permutations_give_every_row_of_a_component_its_p(measured: ResponseSet) -> None:
    features = {name: Features(normal(k, 60, DIM)) for k, name in enumerate(LAYERS)}
    planted = features["planted"].values @ normal(3, DIM, 1)
    y = components(torch.cat([planted + normal(4, 60, 1), normal(5, 60, 2)], 1))
    rows = Pepino2025("fmri/x", y, permutations=99).score(features)
    plain = Pepino2025("fmri/x", y).score(features)
    assert [replace(row, p=None) for row in rows] == plain
    p = {(row.layer, row.target): row.p for row in rows}
    assert p["planted", "target0"] == p["selected", "target0"] == 0.01
    others = [q for (layer, target), q in p.items() if layer == "deep" or target != "target0"]
    assert min(others) > 0.01
    assert np.median(others) > 0.2
    with pytest.raises(ValueError, match="permutations are for targets"):
        Pepino2025("fmri/x", measured, permutations=99)


@pytest.mark.long
def test_permutations_of_similarity_are_of_the_mean_over_participants(
    measured: ResponseSet, features: dict[str, Features]
) -> None:
    rows = Similarity("fmri/x", measured, permutations=20).score(features)
    plain = Similarity("fmri/x", measured).score(features)
    assert [replace(row, p=None) for row in rows] == plain
    p = {r.layer: r.p for r in rows if r.metric == "rsa" and not r.subject}
    assert p["planted"] == p["selected"] == 1 / 21
    assert p["deep"] is not None
    assert p["deep"] > 0.1
    assert {r.p for r in rows if r.metric == "rsa_halves" or r.subject} == {None}


@pytest.mark.long
def test_layers_contribute_what_was_planted(
    measured: ResponseSet, features: dict[str, Features]
) -> None:
    rows = LayerContributions("fmri/x", measured, n_candidates=4).score(features)
    joint = whole(rows, "r2", "selected")
    assert joint == pytest.approx(0.75, abs=0.06)
    assert whole(rows, "r2", "planted") == pytest.approx(joint, abs=0.02)
    assert whole(rows, "r2_added", "planted") > joint - 0.05
    assert whole(rows, "r2_share", "planted") == pytest.approx(joint, abs=0.05)
    for metric in ("r2_added", "r2_share"):
        assert abs(whole(rows, metric, "deep")) < 0.02
        assert {r.layer for r in rows if r.metric == metric} == set(LAYERS)


@pytest.mark.slow
def test_choosing_among_layers_of_noise(measured: ResponseSet) -> None:
    """Splits share sounds, so that the held-out choice overstates noise too, but less."""
    noise = {f"layer.{k}": Features(normal(100 + k, N, 5)) for k in range(15)}
    held = Tuckute2023("fmri/x", measured).score(noise)
    best = Tuckute2023("fmri/x", measured, selection="best").score(noise)
    nested = Pepino2025("fmri/x", measured).score(noise)
    alone = np.mean([whole(held, "r2", layer) for layer in noise])
    assert alone < 0.005
    assert whole(held, "r2", "selected") < 0.8 * whole(best, "r2", "selected") < 0.03
    # Inner folds hold other sounds than the outer one: nothing is gained by choosing.
    assert whole(nested, "r2", "selected") < 0.01


@pytest.mark.long
def test_voxels_in_another_order_score_alike(
    measured: ResponseSet, features: dict[str, Features]
) -> None:
    order = torch.randperm(VOXELS, generator=torch.Generator().manual_seed(0))
    pick = order.tolist()
    assert measured.scans is not None
    assert measured.subjects is not None
    shuffled = ResponseSet(
        measured.stimuli,
        measured.values[:, order],
        tuple(measured.targets[i] for i in pick),
        measured.folds,
        measured.provenance,
        scans=measured.scans[:, order],
        subjects=tuple(measured.subjects[i] for i in pick),
    )
    plain = ResponseSet(
        measured.stimuli,
        measured.values,
        measured.targets,
        measured.folds,
        measured.provenance,
        scans=measured.scans,
        subjects=measured.subjects,
    )
    for build in (Tuckute2023, Pepino2025, Similarity):
        a, b = (build("fmri/x", r).score(features) for r in (plain, shuffled))
        for one, other in zip(a, b, strict=True):
            assert (one.metric, one.layer, one.subject) == (
                other.metric,
                other.layer,
                other.subject,
            )
            if one.layer != "selected":  # halves are drawn voxel by voxel
                assert one.value == pytest.approx(other.value, abs=1e-9)


@pytest.mark.long
def test_pepino_recovers_the_planted_layer(
    measured: ResponseSet, features: dict[str, Features]
) -> None:
    rows = Pepino2025("fmri/x", measured).score(features)
    assert whole(rows, "r2", "selected") == pytest.approx(0.75, abs=0.06)
    assert whole(rows, "r2", "planted") == pytest.approx(whole(rows, "r2", "selected"), abs=1e-6)
    assert whole(rows, "r2", "deep") < 0.03


@pytest.mark.long
def test_similarity_chooses_the_planted_layer_and_has_two_ceilings(
    measured: ResponseSet, features: dict[str, Features]
) -> None:
    rows = Similarity("fmri/x", measured).score(features)
    for metric in ("rsa", "rsa_halves"):
        planted, selected = (whole(rows, metric, layer) for layer in ("planted", "selected"))
        assert planted == pytest.approx(selected, abs=1e-9)
        assert planted > 0.5
        assert abs(whole(rows, metric, "deep")) < 0.1
        (top,) = {
            r.ceiling for r in rows if r.metric == metric and r.layer == "deep" and not r.subject
        }
        assert top is not None
        assert 0.3 < top < 1
    pearson = whole(rows, "ceiling_pearson", "responses")
    (spearman,) = {
        r.ceiling for r in rows if r.metric == "rsa_halves" and r.layer == "deep" and not r.subject
    }
    assert pearson != spearman


@pytest.mark.long
def test_similarity_ceiling_is_one_participant_by_the_others(measured: ResponseSet) -> None:
    rows = Similarity("fmri/x", measured).score({"layer": Features(normal(1, N, 3))})
    brains = torch.stack([rdm(zscore(measured.values[:, 20 * k : 20 * k + 20])) for k in range(3)])
    for k in range(3):
        expected = compare(brains[k], brains[[j for j in range(3) if j != k]].mean(0))
        (row,) = [
            r for r in rows if r.metric == "rsa" and r.subject == str(k) and r.layer == "layer"
        ]
        assert row.ceiling == pytest.approx(float(expected))


def components(values: Tensor) -> ResponseSet:
    return responses(values)


@pytest.mark.long
@pytest.mark.parametrize("build", [Tuckute2023, Pepino2025])
def test_components_have_a_row_each_and_the_response_itself_scores_one(build: type) -> None:
    y = normal(0, 60, 3)
    rows = build("fmri/x", components(y)).score(
        {"itself": Features(y), "noise": Features(normal(1, 60, 3))}
    )
    rows = [row for row in rows if row.metric == "r2"]
    assert {(r.layer, r.target) for r in rows} == {
        (layer, f"target{i}") for layer in ("itself", "noise", "selected") for i in range(3)
    }
    for row in rows:
        if row.layer != "noise":
            assert row.value > 0.999
        else:
            assert row.value < 0.2


@pytest.mark.parametrize("build", [Tuckute2023, Pepino2025, Similarity])
def test_a_constant_response_scores_nothing_or_says_so(build: type) -> None:
    y = normal(0, 60, 3)
    y[:, 1] = 2.0
    rows = build("fmri/x", components(y)).score({"layer": Features(normal(1, 60, 4))})
    assert all(row.value == 0 for row in rows if row.target == "target1")


def test_the_variant_of_feather_is_scikit_learn_split_by_split(
    features: dict[str, Features],
) -> None:
    """Seed 3882, negative correlations squared, the largest median over splits of any layer."""
    x = {name: Features(f.values[:60].double()) for name, f in features.items()}
    y = components(x["planted"].values @ normal(3, DIM, 2) + 6 * normal(4, 60, 2))
    variant = Tuckute2023(
        "fmri/x", y, (-6, 6, 13), seed=3882, n_splits=4, selection="best", square_negative=True
    )
    rows = variant.score(x)
    alphas, brain = np.logspace(6, -6, 13), y.values.numpy()
    for target in range(2):
        medians = []
        for layer in x.values():
            found = []
            for train, test in zip(variant.splits.train, variant.splits.test, strict=True):
                fit = RidgeCV(alphas).fit(layer.values[train].numpy(), brain[train, target])
                guess = fit.predict(layer.values[test].numpy())
                found.append(np.corrcoef(guess, brain[test, target])[0, 1] ** 2)
            medians.append(np.median(found))
        got = whole(rows, "r2", "selected", f"target{target}")
        assert got == pytest.approx(max(medians), abs=1e-8)


@pytest.mark.long
def test_the_original_quirks_can_be_had(
    measured: ResponseSet, features: dict[str, Features]
) -> None:
    rows = Tuckute2023(
        "fmri/x",
        measured,
        seed=3882,
        square_negative=True,
        clip_reliability=False,
        selection="best",
    ).score(features)
    assert whole(rows, "r2", "selected") >= max(whole(rows, "r2", layer) for layer in LAYERS) - 1e-9
    faithful = Similarity("fmri/x", measured, faithful=True).score(features)
    assert whole(faithful, "rsa", "selected") > 0.5
