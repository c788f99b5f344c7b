"""The figure of the GPU memory used by the trainings of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from automl.analysis import plot_style
from automl.analysis.plot_style import COLOURS, Figure, Trace

GIB = 2**30


def memory_curve(spans: Sequence[Mapping[str, Any]]) -> Figure:
    """For each card, the sum of its trainings' memory peaks over the run's seconds, and the card's total memory.

    ``spans``: as in summary.json: card, start, end, peak and total.
    """
    traces: list[Trace] = []
    for i, card in enumerate(sorted({span["card"] for span in spans})):
        own = [span for span in spans if span["card"] == card]
        steps = sorted([(s["start"], s["peak"], 1) for s in own] + [(s["end"], -s["peak"], -1) for s in own])
        used, n, x, y, text = 0, 0, [0.0], [0.0], ["no training"]
        for at, change, one in steps:
            used, n = used + change, n + one
            x.append(at)
            y.append(used / GIB)
            text.append(f"{n} training{'s' * (n != 1)}")
        line = {"shape": "hv", "width": 2, "color": COLOURS[i % len(COLOURS)]}
        traces.append({"mode": "lines", "name": f"cuda:{card}", "x": x, "y": y, "text": text, "line": line})
        has = own[0]["total"] / GIB
        whole = {"dash": "dash", "width": 1.4, "color": line["color"]}
        look = {"mode": "lines", "name": f"cuda:{card} has {has:.1f} GiB", "hoverinfo": "skip", "line": whole}
        traces.append({**look, "x": [0.0, x[-1]], "y": [has, has]})
    layout = plot_style.layout(
        xaxis=plot_style.axis("seconds since the start"),
        yaxis=plot_style.axis("GiB at the peaks of the trainings", rangemode="tozero"),
        showlegend=True,
    )
    return {"data": traces, "layout": layout}
