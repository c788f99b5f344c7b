"""The user's own data as a task: several model families in one space, on arrays prepared once."""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from automl.data.datasets.registry import load_data
from automl.data.ingest.encoder import Views
from automl.data.splits import check_train_size
from automl.data.targets import Labels
from automl.errors import UserError
from automl.metrics import METRICS, is_defined
from automl.models import NETWORKS
from automl.models.lags import LAGS
from automl.tasks.supervised import Supervised
from automl.tasks.user_pairs import OwnPairs, own_pairs

SCALES = ((100_000, 5), (20_000, 10), (0, 20))  # minimum number of training examples, epochs of a full training

# The families for each kind of data: the default, what a practitioner would start with, then the others by cost.
CHOICES = {
    "table": ("gradient_boosting", "linear", "random_forest", "mlp"),
    "text": ("linear", "cnn", "rnn", "transformer"),
    "molecules": ("random_forest", "gradient_boosting", "mlp", "cnn", "rnn", "transformer"),
    "images": ("cnn", "random_forest", "mlp", "backbone"),
    "sequences": ("cnn", "random_forest", "rnn", "transformer"),
    "pairs": ("transformer", "rnn"),
    "series": ("linear", "gradient_boosting", "random_forest", "mlp", "cnn", "rnn", "transformer"),
}


@dataclass(frozen=True)
class OwnData(Supervised):
    """Data in a folder, in one view or several: molecules are tokens for a network and fingerprints for a forest."""

    views: Views = field(default_factory=Views)  # of the data
    n_train: int = 0  # size of the training set

    def prepared(self, train_size: int | None) -> Self:
        if train_size is not None:
            splits = load_data(self.data_of(""), None)
            check_train_size(train_size, splits.n_classes, len(splits.y_train))
        return replace(self, train_size=train_size)

    def check_metric(self) -> None:
        """UserError if the metric is undefined on the validation or test set."""
        if METRICS[self.metric].is_relative:
            splits = load_data(self.data_of(""), self.train_size)
            check_is_defined(self.metric, {"validation set": splits.y_valid, "test set": splits.y_test})

    def data_of(self, family: str) -> str:
        """The folder of the arrays that a family reads; for an empty name, of the usual ones."""
        return str(Path(self.data) / self.views.of(family))

    def examples_per_epoch(self, config: Mapping[str, Any]) -> int:
        return self.train_size or self.n_train

    def prepare(self) -> None:
        from automl.training.base import train  # noqa: F401

    def baseline(self) -> dict[str, Any] | None:
        """The score of a prediction without a model; the practitioner's baseline is the default config."""
        from automl.tasks.baselines.constant import score_without_model

        start = time.perf_counter()
        splits = load_data(self.data_of(""), self.train_size)
        found = score_without_model(splits, Path(self.data), self.metric, "train")
        return found | {"seconds": time.perf_counter() - start}

    def export_rest(self, out: Path) -> None:
        copy_encoder(self.data, out)


def check_is_defined(metric: str, targets: Mapping[str, Labels]) -> None:
    """UserError if the metric is undefined on one of the sets. ``targets``: (n,), by the name of the set."""
    for name, y in targets.items():
        if len(y) and not is_defined(metric, y):
            raise UserError(
                f"{metric} is undefined on the {name}, whose targets are all equal; choose another metric, or "
                "split the data in another way"
            )


def copy_encoder(data: str, out: Path) -> None:
    """Write the encoder that turns raw rows into those of the prepared data in a folder."""
    shutil.copytree(Path(data) / "encoder", out, dirs_exist_ok=True)


def own_task(folder: Path, model: str | None, metric: str | None) -> OwnData | OwnPairs:
    """The task on the prepared data in a folder, over the requested model families."""
    from automl.data.ingest.prepare import Facts
    from automl.space.parse import load_space

    facts = Facts.read(folder)
    families = choose_families(facts.kind, model or "auto")
    if facts.kind == "pairs":
        return own_pairs(folder, families, facts.name, facts.n_train, facts.length, facts.metric(metric))
    form = space_of_families(
        families,
        classes=facts.target_kind == "classes",
        tokens=tuple(family for family in families if facts.views.of(family) == "tokens"),
        length=facts.length,
        imbalanced=facts.imbalanced,
        ragged=facts.ragged,
        pictures=facts.kind == "images",
        of_series=facts.kind == "series",
    )
    return OwnData(
        facts.name,
        str(folder),
        None,
        load_space(form),
        full_training(facts.n_train),
        facts.metric(metric),
        views=facts.views,
        n_train=facts.n_train,
    )


def choose_families(kind: str, asked: str) -> tuple[str, ...]:
    """The families of `--model`: `auto` means all that suit the kind of data. UserError for one that does not.

    `auto` includes backbones only if the weights of one are on this machine.
    """
    fitting = CHOICES[kind]
    if asked == "auto":
        return tuple(name for name in fitting if name != "backbone" or pretrained())
    names = tuple(dict.fromkeys(name.strip() for name in asked.split(",")))
    for name in names:
        if name not in fitting:
            raise UserError(f"--model {name!r} does not suit {kind}; choose auto or some of: {', '.join(fitting)}")
    check_backbone(names)
    return names


def check_backbone(names: tuple[str, ...]) -> None:
    """Raise UserError if backbones are among the families but their weights are not on this machine."""
    if "backbone" in names and not pretrained():
        from automl.models.backbone import ARCHITECTURES, how_to_get

        raise UserError(
            f"--model backbone needs weights of {' or '.join(ARCHITECTURES)} on this machine; "
            f"{how_to_get(ARCHITECTURES[0])}"
        )


def pretrained() -> tuple[str, ...]:
    """The backbones whose weights are on this machine."""
    from automl.models.backbone import on_disk

    return on_disk()


def full_training(n_train: int) -> int:
    """Epochs of a full training on ``n_train`` examples."""
    return next(epochs for least, epochs in SCALES if n_train >= least)


def space_of_families(
    families: tuple[str, ...],
    *,
    classes: bool,
    tokens: tuple[str, ...] = (),
    length: int = 0,
    imbalanced: bool = False,
    ragged: bool = False,
    pictures: bool = False,
    of_series: bool = False,
) -> dict[str, Any]:
    """One conditional space, in the short form: `model`, and the hyperparameters of each family conditional on it.

    ``tokens``: the families that read tokens. ``length``: of the longest sequence or text. ``imbalanced``: include
    class weights. ``ragged``: examples differ in length. ``pictures``: include image augmentation. ``of_series``:
    examples are windows of a series.
    """
    form: dict[str, Any] = {"model": {"choice": list(families), "default": families[0]}}

    def add(members: Collection[str], entries: Mapping[str, Any], prefix: str = "") -> None:
        active = [family for family in families if family in members]
        for name, entry in entries.items() if active else ():
            parents = {f"{prefix}{parent}": value for parent, value in entry.get("when", {}).items()}
            form[prefix + name] = {**entry, "when": {"model": active} | parents}

    add(NETWORKS, TRAINING)
    networks = tuple(family for family in tokens if family in NETWORKS)
    add(networks, {"embedding": {"ordinal": [16, 32, 64, 128], "default": 64}})
    if networks and length > 64:
        lengths = [step for step in (64, 128, 256) if step < length]
        add(networks, {"length": {"ordinal": [*lengths, length], "default": min(128, length)}})
    if pictures:
        add(NETWORKS, {"augment": {"float": [0.0, 1.0], "default": 0.2}})
    if classes and imbalanced:
        add(families, {"class_weight": {"float": [0.0, 1.0], "default": 0.0}})
    if of_series:
        add(families, LAGS)
    for family in families:
        own = dict(OF_FAMILY[family])
        if family == "backbone":
            found = pretrained()
            own["architecture"] = {"choice": list(found), "default": found[0]}
        if family in tokens:
            own |= OF_TOKENS.get(family, {})
        elif family == "cnn" and not ragged:
            own["pooling"] = {"choice": ["flatten", "max", "mean"], "default": "flatten"}
        elif family == "transformer":
            patches = [patch for patch in PATCHES if patch == 1 or patch * 4 <= length]
            own["patch"] = {"ordinal": patches, "default": patches[len(patches) // 2]}
        add((family,), own, f"{family}_")
    return form


TRAINING = {
    "lr": {"float": [1e-4, 3e-2], "log": True, "default": 1e-3},
    "optimizer": {"constant": "adamw"},
    "weight_decay": {"float": [1e-6, 1e-1], "log": True, "default": 1e-2},
    "batch_size": {"ordinal": [32, 64, 128, 256], "default": 64},
    "schedule": {"choice": ["cosine", "one-cycle"], "default": "one-cycle"},
    "warmup": {"float": [0.0, 0.3], "default": 0.1, "when": {"schedule": "cosine"}},
    "dropout": {"float": [0.0, 0.5], "default": 0.1},
    "clip_norm": {"float": [0.1, 10.0], "log": True, "default": 1.0},
}

PATCHES = (1, 2, 4, 8, 16)  # sequence steps per Transformer token
TREES = {"int": [30, 600], "log": True, "default": 100}
OF_FAMILY: dict[str, dict[str, Any]] = {
    "gradient_boosting": {  # the defaults are scikit-learn's
        "trees": TREES,
        "learning_rate": {"float": [0.01, 0.5], "log": True, "default": 0.1},
        "leaves": {"int": [4, 127], "log": True, "default": 31},
        "min_samples_leaf": {"int": [1, 100], "log": True, "default": 20},
        "l2": {"float": [1e-6, 10.0], "log": True, "default": 1e-6},
        "features": {"float": [0.2, 1.0], "default": 1.0},
    },
    "random_forest": {
        "trees": TREES,
        "features": {"float": [0.05, 1.0], "log": True, "default": 0.3},
        "min_samples_leaf": {"int": [1, 30], "log": True, "default": 1},
    },
    "linear": {"c": {"float": [1e-4, 1e3], "log": True, "default": 1.0}},
    "mlp": {
        "width": {"ordinal": [32, 64, 128, 256, 512], "default": 128},
        "layers": {"int": [1, 4], "default": 2},
        "norm": {"choice": ["batch", "none"], "default": "batch"},
    },
    "cnn": {
        "width": {"ordinal": [16, 32, 64, 96], "default": 32},
        "layers": {"int": [1, 4], "default": 2},
        "kernel_size": {"ordinal": [3, 5, 7], "default": 3},
        "norm": {"choice": ["batch", "group", "none"], "default": "batch"},
        "downsample": {"constant": "max"},
        "pooling": {"choice": ["max", "mean"], "default": "max"},
    },
    "backbone": {
        "tuned": {"choice": ["head", "all"], "default": "all"},
        "side": {"ordinal": [64, 96, 128], "default": 64},
    },
    "rnn": {
        "cell": {"choice": ["gru", "lstm"], "default": "gru"},
        "bidirectional": {"choice": [True, False], "default": True},
        "width": {"ordinal": [16, 32, 64, 128], "default": 64},
        "layers": {"int": [1, 2], "default": 1},
        "summary": {"choice": ["last", "mean", "max"], "default": "mean"},
    },
    "transformer": {
        "width": {"ordinal": [32, 64, 128], "default": 64},
        "layers": {"int": [1, 3], "default": 2},
        "heads": {"ordinal": [1, 2, 4, 8], "default": 4},
    },
}
OF_TOKENS: dict[str, dict[str, Any]] = {
    # On unit-length rows, as TF-IDF gives them, scikit-learn's default of 1 regularises too strongly.
    "linear": {"ngrams": {"int": [1, 2], "default": 2}, "c": {"float": [1e-2, 1e4], "log": True, "default": 10.0}},
}
