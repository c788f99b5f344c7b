"""Recorded trainings of one task as arrays, and predictions for configs between them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist
from scipy.special import expit, logit

from benchmarks.suites.interpolation import Interpolation, cross_validated, fit
from strategies._ladder import rank_correlation
from strategies.encoding import Encoding
from strategies.features import Features

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

    from strategies.types import Config

GOOD_RANKS = 0.9  # rank correlation below which the model is not used


@dataclass(frozen=True)
class Recording:
    """``losses``, ``tests`` (losses on the test set) and ``seconds`` have the shape (n_configs, n_seeds, n_epochs).

    They are NaN after a training failed; ``errors``, (n_configs, n_seeds), has the messages.
    """

    configs: list[Config]
    losses: np.ndarray
    tests: np.ndarray
    seconds: np.ndarray
    errors: np.ndarray

    @classmethod
    def of(cls, frame: pd.DataFrame, max_epochs: int, metric: str, maximize: bool) -> Recording:
        """From the table of ``benchmarks.experiments.record``."""
        texts = frame.groupby("number")["config"].first().sort_index()
        frame = frame.assign(number=texts.index.get_indexer(pd.Index(frame["number"])))
        n_configs, n_seeds = len(texts), frame["seed"].max() + 1
        trained = frame[frame["error"].isna()]
        place = (trained["number"].to_numpy(), trained["seed"].to_numpy(), trained["epoch"].to_numpy() - 1)

        def array(values: Any) -> np.ndarray:
            result = np.full((n_configs, n_seeds, max_epochs), np.nan)
            result[place] = values
            return result

        worse = trained[metric] - trained[f"test_{metric}"]
        errors = np.full((n_configs, n_seeds), None, dtype=object)
        failed = frame[frame["error"].notna()]
        errors[failed["number"].to_numpy(), failed["seed"].to_numpy()] = failed["error"].to_numpy()
        return cls(
            [json.loads(text) for text in texts],
            array(trained["loss"]),
            array(trained["loss"] + (worse if maximize else -worse)),
            array(trained["seconds"]),
            errors,
        )

    @cached_property
    def good(self) -> np.ndarray:
        """Indices of the configs without a failed training."""
        return np.flatnonzero(np.isfinite(self.losses).all(axis=(1, 2)))

    @cached_property
    def epoch_seconds(self) -> np.ndarray:
        """Mean seconds per epoch of the good configs, from the fastest training: other load only adds time."""
        return np.asarray(self.seconds[self.good].mean(axis=2).min(axis=1))

    def warped(self, values: np.ndarray) -> np.ndarray:
        """Logits of losses in (0, 1), so that small differences between good configs get more weight."""
        return np.asarray(logit(np.clip(values, 0.002, 0.998)))

    def unwarped(self, values: np.ndarray) -> np.ndarray:
        """The inverse of ``warped``."""
        return np.asarray(expit(values))


def describe(recording: Recording, space: ConfigurationSpace) -> dict[str, Any]:
    """Facts about a recording: its size, its cost, and how well a model predicts unseen configs."""
    encoding = Encoding(space)
    owner = Features(encoding).hyperparameter
    good = recording.good
    X = features_of(encoding, [recording.configs[i] for i in good])
    final = recording.warped(recording.losses[good, :, -1]).mean(axis=1)
    predicted = cross_validated(X, final, owner)
    correlation = rank_correlation(predicted, final)
    n_configs, n_seeds, _ = recording.losses.shape
    between = [
        rank_correlation(recording.losses[good, i, -1], recording.losses[good, j, -1])
        for i in range(n_seeds)
        for j in range(i)
    ]
    best = np.argsort(final)[: len(final) // 4]
    errors = np.abs(recording.unwarped(predicted) - recording.unwarped(final))
    return {
        "n_configs": n_configs,
        "n_seeds": n_seeds,
        "n_failed": int((recording.errors != None).sum()),  # noqa: E711
        "training_hours": round(float(np.nansum(recording.seconds)) / 3600, 2),
        "rank_correlation": round(correlation, 3),
        "rank_correlation_in_the_best_quarter": round(rank_correlation(predicted[best], final[best]), 3),
        "rank_correlation_between_seeds": round(float(np.mean(between)), 3) if between else None,
        "median_error": round(float(np.median(errors)), 4),
        "interpolated": correlation >= GOOD_RANKS,
        "theta": {
            "loss": rounded(fit(X, final, owner)),
            "seconds": rounded(fit(X, np.log(recording.epoch_seconds), owner)),
        },
    }


def features_of(encoding: Encoding, configs: Sequence[Config]) -> np.ndarray:
    """The features of configs for the Gaussian process, shape (n, D)."""
    return Features(encoding).features(np.array([encoding.encode(config) for config in configs]))


def rounded(theta: np.ndarray) -> list[float]:
    """Four digits, to keep the file readable."""
    return [float(f"{t:.4g}") for t in theta]


class CurveModel:
    """Trainings of any config: predicted by the model or, if it ranks too badly, by the nearest recorded one.

    The model is used at the recorded configs as well, since a raw mean of two trainings among smoothed neighbours would
    reward luck.
    """

    def __init__(self, recording: Recording, facts: dict[str, Any], space: ConfigurationSpace) -> None:
        self._recording = recording
        self._encoding = Encoding(space)
        self._interpolated = facts["interpolated"]
        self._X = features_of(self._encoding, recording.configs)
        theta = {name: np.array(values) for name, values in facts["theta"].items()}
        owner = Features(self._encoding).hyperparameter
        self._lengths = np.exp(theta["loss"][owner])
        good = recording.good
        curves = np.concatenate([recording.losses[good], recording.tests[good]], axis=2)
        mean = recording.warped(curves).mean(axis=1)
        self._curve = Interpolation.of(self._X[good], mean, theta["loss"], owner)
        seconds = np.log(recording.epoch_seconds)[:, None]
        self._seconds = Interpolation.of(self._X[good], seconds, theta["seconds"], owner)

    def training(self, config: Config, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, str | None]:
        """Losses, test losses and seconds of each epoch, NaN from a failure on, and the error."""
        record = self._recording
        n_seeds = record.losses.shape[1]
        which = seed % n_seeds
        x = features_of(self._encoding, [config])
        (near,), (between,) = self._nearest(x)
        if not between:
            place = (near, which)
            return record.losses[place], record.tests[place], record.seconds[place], record.errors[place]
        # The noise of the nearest config, corrected for the bias with few seeds.
        own = record.warped(np.concatenate([record.losses[near], record.tests[near]], axis=1))
        noise = (own[which] - own.mean(axis=0)) * np.sqrt(n_seeds / max(1, n_seeds - 1))
        losses, tests = np.split(record.unwarped(self._curve(x)[0] + noise), 2)
        return losses, tests, np.full(len(losses), float(np.exp(self._seconds(x)[0, 0]))), None

    def final_losses(self, configs: Sequence[Config]) -> np.ndarray:
        """The final losses, averaged over seeds, shape (n_configs,); 1 if the nearest trainings all failed."""
        x = features_of(self._encoding, configs)
        near, between = self._nearest(x)
        finals = self._recording.losses[near, :, -1]
        worked = np.isfinite(finals)
        recorded = np.where(worked, finals, 0.0).sum(axis=1) / np.maximum(1, worked.sum(axis=1))
        result = np.where(worked.any(axis=1), recorded, 1.0)
        if between.any():
            losses, _ = np.split(self._curve(x[between]), 2, axis=1)
            result[between] = self._recording.unwarped(losses[:, -1])
        return result

    def _nearest(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The indices of the recorded configs nearest to features (m, D), and whether to use the model, (m,)."""
        near = cdist(x / self._lengths, self._X / self._lengths).argmin(axis=1)
        # Where the nearest trainings failed, so does this one.
        return near, self._interpolated & np.isfinite(self._recording.losses[near]).all(axis=(1, 2))
