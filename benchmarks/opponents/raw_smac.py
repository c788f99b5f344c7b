"""SMAC's hyperparameter optimization facade (random forest, log EI) through its ask-and-tell interface.

https://automl.github.io/SMAC3/latest/advanced_usage/5_ask_and_tell/
"""

from __future__ import annotations

import copy
import logging
import tempfile
import warnings
from pathlib import Path
from typing import Any, ClassVar

from smac import HyperparameterOptimizationFacade, Scenario
from smac.initial_design import DefaultInitialDesign
from smac.main.exceptions import ConfigurationSpaceExhaustedException
from smac.runhistory import StatusType, TrialInfo, TrialValue

from benchmarks.opponents.base import FailuresAsWorst
from strategies.types import Config

logging.getLogger("smac").setLevel(logging.CRITICAL)  # its log would interleave with ours


class RawSmac(FailuresAsWorst):
    """It uses the space directly. Each config is trained once, as in its machine learning examples."""

    facade: ClassVar[Any] = HyperparameterOptimizationFacade

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._exhausted = False
        with tempfile.TemporaryDirectory(prefix="smac-") as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of ConfigSpace
            scenario = Scenario(
                copy.deepcopy(self.space),  # it seeds the space
                output_directory=Path(folder),  # it writes its settings immediately
                deterministic=True,
                seed=self.seed,
                **self._budget(),
            )
            design = self.facade.get_initial_design(scenario).select_configurations()
            self._smac = self.facade(
                scenario,
                None,  # no objective: ask and tell
                # Its own initial design, after the default config.
                initial_design=DefaultInitialDesign(scenario, n_configs=1, additional_configs=design),
                logging_level=False,
            )

    def _budget(self) -> dict[str, Any]:
        return {} if self.n_trials is None else {"n_trials": self.n_trials}

    def _ask(self) -> tuple[Config, TrialInfo] | None:
        if self._exhausted:
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy's, about means of empty arrays in its statistics
            try:
                info = self._smac.ask()
            except (ConfigurationSpaceExhaustedException, StopIteration):
                self._exhausted = True
                return None
        return self.config(dict(info.config)), info

    def _tell_loss(self, asked: TrialInfo, loss: float, failed: bool) -> None:
        # A crash needs a finite cost: with the default, infinity, the forest cannot be fitted.
        status = StatusType.CRASHED if failed else StatusType.SUCCESS
        self._smac.tell(asked, TrialValue(cost=loss, status=status), save=False)

    @property
    def exhausted(self) -> bool:
        return self._exhausted
