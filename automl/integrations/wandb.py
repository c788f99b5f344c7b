"""Weights & Biases: one run per trial and one for the final, in a group named like the run's folder.

The project is ``WANDB_PROJECT``, else the task. With ``WANDB_MODE=offline`` everything is in the folder's ``wandb/``.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.errors import UserError
from automl.integrations.tracker import FINAL, Snapshot, TrackedRun, Tracker

if TYPE_CHECKING:
    import wandb

    from automl.tuning.final_evaluation import Role

# No terminal output, which would disturb the tuner's, and no statistics of this process, which does not train.
QUIET = {"silent": True, "console": "off", "disable_git": True, "x_disable_stats": True}


class WeightsAndBiases(Tracker):
    name = "wandb"

    def __init__(self) -> None:
        import wandb

        mode = wandb.setup(wandb.Settings(**QUIET)).settings.mode
        if mode not in ("offline", "disabled") and not wandb.login(prompt=False, verify=False):
            raise UserError("not logged in to W&B; log in with: wandb login, or set WANDB_MODE=offline")
        self._wandb = wandb
        self._trials: dict[int, wandb.Run] = {}
        self._n_epochs: dict[int, int] = {}

    def open(self, run: TrackedRun) -> None:
        self._run = run
        self._folder = run.folder / "wandb"
        self._folder.mkdir(exist_ok=True)
        self._file = self._folder / "done.txt"  # a line for each finished trial: its id, and whether it failed
        self._file.touch()
        lines = [line.split() for line in self._file.read_text(encoding="utf-8").splitlines() if line]
        self._done = {words[0] for words in lines}
        self._failed = {words[0] for words in lines if words[1:] == ["failed"]}

    def write(self, trial: Snapshot) -> None:
        if trial.number not in self._trials:
            run_id = self._id_of(trial)
            if run_id in self._done:
                return
            self._trials[trial.number] = self._begin(run_id, trial)
        run, known = self._trials[trial.number], self._n_epochs[trial.number]
        for epoch in range(known + 1, len(trial.losses) + 1):
            run.log(trial.epoch(epoch), step=epoch)
        self._n_epochs[trial.number] = max(known, len(trial.losses))
        if run.summary.get("state") != trial.state:
            run.summary["state"] = trial.state
            if trial.error is not None:
                run.summary["error"] = trial.error
        if trial.state in FINAL:
            run.tags = (*(run.tags or ()), trial.state)
            run.finish(exit_code=int(trial.state == "failed"))
            del self._trials[trial.number]
            self._done.add(run.id)
            is_failed = trial.state == "failed"
            if is_failed:
                self._failed.add(run.id)
            with self._file.open("a", encoding="utf-8") as file:
                file.write(f"{run.id}{' failed' * is_failed}\n")

    def _id_of(self, trial: Snapshot) -> str:
        """The run id of a trial; a new one if the trial failed and is retried."""
        run_id, n = f"{self._run.id}-{trial.number}", 1
        while run_id in self._failed and trial.state != "failed":
            n += 1
            run_id = f"{self._run.id}-{trial.number}-{n}"
        return run_id

    def write_best(self, best: Snapshot, loss: float, n_trials: int) -> None:
        pass  # W&B itself sorts the trials of a group by loss

    def write_final(self, chosen: int, means: Mapping[Role, Mapping[str, float]], kept: Role) -> None:
        run = self._open(f"{self._run.id}-final", "final", {"trial": chosen, "kept": kept}, [])
        for role, scores in means.items():
            run.summary.update({f"{role}_{name}": value for name, value in scores.items()})
        run.finish()

    def close(self, *, interrupted: bool) -> None:
        for run in self._trials.values():  # paused ones are still open, since an offline run cannot be continued
            run.finish()

    def _begin(self, run_id: str, trial: Snapshot) -> wandb.Run:
        tags = [] if trial.arm is None else [trial.arm]
        run = self._open(run_id, f"trial {trial.number}", trial.config, tags)
        run.config.update({"trial": trial.number, "seed": trial.seed, "strategy": self._run.strategy})
        self._n_epochs[trial.number] = max(0, run.starting_step - 1) if run.resumed and not run.offline else 0
        return run

    def _open(self, run_id: str, name: str, config: Mapping[str, Any], tags: list[str]) -> wandb.Run:
        """A run of the group; offline, it is rewritten and replaces the leftovers of an interrupted run."""
        run = self._wandb.init(
            project=os.environ.get("WANDB_PROJECT", self._run.task),
            group=self._run.name,
            name=name,
            id=run_id,
            dir=self._run.folder,
            config=dict(config),
            tags=tags,
            resume=None if os.environ.get("WANDB_MODE") == "offline" else "allow",
            reinit="create_new",
            settings=self._wandb.Settings(**QUIET),
        )
        if run.offline:
            for before in self._folder.glob(f"offline-run-*-{run_id}"):
                if before != Path(run.dir).parent:
                    shutil.rmtree(before)
        return run
