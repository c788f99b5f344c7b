"""Show what trainings run on: ``automl doctor``."""

from __future__ import annotations

import time
from pathlib import Path

import typer

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
TASK = "digits-cnn"  # whose data need no download
NVIDIA = Path("/proc/driver/nvidia/version")
GIB = 2**30


@app.command()
def show_devices() -> None:
    """Show torch's build, the GPU driver, the memory of each GPU, and the seconds of a training on each device."""
    import torch
    from rich.table import Table

    from automl.cli.console import literal_console
    from automl.devices import has_driver, n_cards

    console = literal_console()
    built = f"CUDA {torch.version.cuda}" if torch.version.cuda else "the CPU only"
    built = f"ROCm {torch.version.hip}" if torch.version.hip else built
    console.print(f"torch {torch.__version__}, built for {built}", markup=False, soft_wrap=True)
    console.print(f"driver: {driver()}", markup=False, soft_wrap=True)
    if has_driver() and not n_cards():
        console.print(
            "there is a driver, but torch finds no GPU: install a build of torch that supports it", soft_wrap=True
        )
    table = Table(box=None)
    for header in ("device", "name", "free", "memory", "bfloat16", f"seconds of {TASK}"):
        table.add_column(header, no_wrap=True, justify="left" if header in ("device", "name") else "right")
    table.add_row("cpu", f"{torch.get_num_threads()} threads", "", "", "", f"{seconds('cpu'):.2f}")
    for card in range(n_cards()):
        name = f"cuda:{card}"
        table.add_row(name, *facts(card), f"{seconds(name):.2f}")
    console.print(table)


def driver() -> str:
    """The GPU driver, in words."""
    from automl.devices import has_driver

    if NVIDIA.is_file():
        return " ".join(NVIDIA.read_text(encoding="utf-8").splitlines()[0].split())
    return "found, of unknown version" if has_driver() else "none"


def facts(card: int) -> tuple[str, str, str, str]:
    """Name, free memory, memory, and whether bfloat16 is native, of a card."""
    import torch

    from automl.models.device import has_bfloat16

    device = torch.device("cuda", card)
    free, total = torch.cuda.mem_get_info(device)
    native = "native" if has_bfloat16(device) else "emulated: float32 is used"
    return torch.cuda.get_device_name(device), f"{free / GIB:.1f} GiB", f"{total / GIB:.1f} GiB", native


def seconds(device: str) -> float:
    """The seconds of a full training of the default configuration, loading and start-up excluded."""
    from automl.tasks.registry import load_task
    from strategies.encoding import Encoding

    task = load_task(TASK)
    task.prepare()
    task.warm_up(device)
    start = time.perf_counter()
    for _ in task.train(Encoding(task.space).default, seed=0, epochs=task.max_epochs, checkpoint=None, device=device):
        pass
    return time.perf_counter() - start
