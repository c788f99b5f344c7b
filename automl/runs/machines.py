"""Where the trainings of a run take place: on this machine, on a Ray cluster, or on workers that connect to it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.errors import UserError, install_command

if TYPE_CHECKING:
    from automl.task import Task
    from automl.tuning.executor import Executor
    from automl.tuning.remote import WorkerSettings

EXECUTORS = ("local", "ray", "tcp")
ONLY_FOR = {
    "address": ("ray",),
    "cores": ("ray",),
    "gpus": ("ray",),
    "listen": ("tcp",),
    "token_file": ("tcp",),
    "certificate": ("tcp",),
}
"""Option -> the executors that have it."""


@dataclass(frozen=True)
class Machines:
    """The machines that train, and how this one reaches them. None: not given."""

    executor: str = "local"
    address: str | None = None  # of a Ray cluster; None: this machine's
    cores: float | None = None  # reserved by a worker on a Ray cluster
    gpus: float | None = None
    listen: str | None = None  # HOST:PORT for workers to connect to
    token_file: str | None = None  # file with the secret that both sides share
    certificate: str | None = None  # PEM file with a certificate and its key

    def __post_init__(self) -> None:
        if self.executor not in EXECUTORS:
            raise UserError(f"unknown executor {self.executor!r}; choose one of: {', '.join(EXECUTORS)}")
        for name, executors in ONLY_FOR.items():
            if getattr(self, name) is not None and self.executor not in executors:
                option = "--" + name.replace("_", "-")
                raise UserError(f"{option} needs --executor {' or '.join(executors)}")
        for name, least in (("cores", 0.01), ("gpus", 0.0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise UserError(f"--{name} must be {least:g} or more, got {value:g}")
        if self.executor == "tcp" and (self.listen is None or self.token_file is None):
            raise UserError("--executor tcp needs --listen HOST:PORT and --token-file FILE")

    @property
    def is_remote(self) -> bool:
        """Whether workers may be on other machines, and may come and go."""
        return self.executor != "local"

    def n_workers(self, device: str) -> int:
        """The number of workers that fit now; 1 if unknown. UserError if there is no such cluster."""
        if self.executor != "ray":
            return 1
        _check_ray()
        from automl.tuning.ray_executor import connect, room

        connect(self.address)
        return max(1, sum(room(*self._share(device)).values()))

    def make_executor(
        self,
        task: Task,
        settings: WorkerSettings,
        *,
        max_workers: int | None,
        data: Path | None,
        say: Callable[[str], object],
    ) -> Executor:
        """The executor of a run with remote workers. ``data``: the folder that ``task.data`` names.

        UserError if there is no such cluster, or if something needed to listen is missing.
        """
        if self.executor == "tcp":
            return self._tcp(task, settings, max_workers, say)
        _check_ray()
        from automl.tuning.ray_executor import RayExecutor, connect

        connect(self.address)  # before its GPUs are known
        cores, gpus = self._share(settings.device)
        return RayExecutor(
            task, settings, address=self.address, max_workers=max_workers, cores=cores, gpus=gpus, data=data, say=say
        )

    def _tcp(
        self, task: Task, settings: WorkerSettings, max_workers: int | None, say: Callable[[str], object]
    ) -> Executor:
        from automl.tuning.tcp_executor import TcpExecutor
        from automl.tuning.tcp_protocol import read_token, run_side

        assert self.listen is not None
        assert self.token_file is not None
        certificate = None if self.certificate is None else Path(self.certificate)
        check_tls(self.listen, certificate)
        token, tls = read_token(Path(self.token_file)), run_side(certificate)
        return TcpExecutor(task, settings, listen=self.listen, token=token, tls=tls, max_workers=max_workers, say=say)

    def _share(self, device: str) -> tuple[float, float]:
        """Cores and GPUs of a worker: by default a core, and a GPU if the cluster has any."""
        from automl.tuning.ray_executor import has_gpus

        gpus = self.gpus if self.gpus is not None else float(device != "cpu" and has_gpus())
        return 1.0 if self.cores is None else self.cores, gpus


def check_tls(address: str, certificate: Path | None) -> None:
    """Raise UserError if an address that other machines can reach is used without a certificate."""
    from automl.tuning.remote import host_and_port
    from automl.tuning.tcp_protocol import is_loopback

    if certificate is None and not is_loopback(host_and_port(address)[0]):
        raise UserError(f"{address} is reached by other machines, which needs TLS: give --certificate FILE")


def machines_of(executor: str | None, **options: Any) -> dict[str, Any] | None:
    """The fields of Machines from options; None if none was given."""
    given = {name: value for name, value in options.items() if value is not None}
    if executor is None and not given:
        return None
    return asdict(Machines(executor or "local", **given))


def _check_ray() -> None:
    if importlib.util.find_spec("ray") is None:
        raise UserError(f"--executor ray needs the package ray; install it with: {install_command('ray')}")
