"""TensorBoard: one folder per trial in the run's ``tensorboard/``, with its curves and hparams."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from automl.integrations.tracker import FINAL, Snapshot, TrackedRun, Tracker

if TYPE_CHECKING:
    from automl.tuning.final_evaluation import Role
    from strategies.types import Config

    Entry = tuple[int, Any]  # a step and a Summary


class TensorBoard(Tracker):
    name = "tensorboard"

    def __init__(self) -> None:
        import tensorboard.summary.writer.record_writer  # noqa: F401  (fails here if it is missing)

        self._n_epochs: dict[int, int] = {}
        self._states: dict[int, str] = {}

    def open(self, run: TrackedRun) -> None:
        self._folder = run.folder / "tensorboard"
        # On resume, everything is rewritten from the study, so that nothing is duplicated.
        shutil.rmtree(self._folder, ignore_errors=True)

    def write(self, trial: Snapshot) -> None:
        from torch.utils.tensorboard.summary import scalar, text

        n_epochs = len(trial.losses)
        known = self._n_epochs.get(trial.number)
        entries: list[Entry] = []
        if known is None:
            known = 0
            entries.append((0, _session_start(trial.config)))
        for epoch in range(known + 1, n_epochs + 1):
            entries.extend((epoch, scalar(name, value)) for name, value in trial.epoch(epoch).items())
        if self._states.get(trial.number) != trial.state:
            state = trial.state if trial.error is None else f"{trial.state}: {trial.error}"
            entries.append((n_epochs, text("state", state)))
            if trial.state in FINAL:
                entries.append((n_epochs, _session_end(failed=trial.state == "failed")))
        self._append(f"{trial.number:04d}", entries)
        self._n_epochs[trial.number] = max(known, n_epochs)
        self._states[trial.number] = trial.state

    def write_best(self, best: Snapshot, loss: float, n_trials: int) -> None:
        pass  # TensorBoard itself sorts trials by loss

    def write_final(self, chosen: int, means: Mapping[Role, Mapping[str, float]], kept: Role) -> None:
        from torch.utils.tensorboard.summary import scalar, text

        for role, scores in means.items():
            self._append(f"final-{role}", [(0, scalar(name, value)) for name, value in scores.items()])
        self._append(f"final-{kept}", [(0, text("kept", "by the run, in best.yaml and in its model"))])

    def close(self, *, interrupted: bool) -> None:
        pass  # no file is open

    def _append(self, name: str, entries: Iterable[Entry]) -> None:
        # Not with torch's SummaryWriter: it starts a thread and a file each time a trial continues, and TensorBoard
        # reads files of the same second in the wrong order.
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.record_writer import RecordWriter

        folder = self._folder / name
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "events.out.tfevents.automl").open("ab") as file:
            records = RecordWriter(file)
            if file.tell() == 0:
                records.write(Event(wall_time=time.time(), file_version="brain.Event:2").SerializeToString())
            for step, summary in entries:
                records.write(Event(wall_time=time.time(), step=step, summary=summary).SerializeToString())


def _session_start(config: Config) -> Any:
    from torch.utils.tensorboard.summary import hparams

    # Without the experiment entry, which would describe this trial only: TensorBoard infers it from the sessions,
    # including hyperparameters that only some trials have.
    _, start, _ = hparams(dict(config), {})
    return start


def _session_end(*, failed: bool) -> Any:
    """As the summary of torch's ``hparams``, which has no failure status."""
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams.api_pb2 import Status
    from tensorboard.plugins.hparams.metadata import SESSION_END_INFO_TAG, create_summary_metadata
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo

    status = Status.Value("STATUS_FAILURE" if failed else "STATUS_SUCCESS")
    content = HParamsPluginData(session_end_info=SessionEndInfo(status=status, end_time_secs=time.time()))
    return Summary(value=[Summary.Value(tag=SESSION_END_INFO_TAG, metadata=create_summary_metadata(content))])
