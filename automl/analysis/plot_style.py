"""The common style of a report's figures: colours, axes, layout, buttons, as plain Plotly dicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from automl.analysis.formatting import chosen
from automl.study.trial import Trial

Figure = dict[str, Any]
Trace = dict[str, Any]

INK, GREY, FAINT, CHOSEN, FAILED = "#1f2933", "#52606d", "#b8c4ce", "#0072b2", "#b03a00"
COLOURS = (
    "#0072b2",
    "#e69f00",
    "#009e73",
    "#cc79a7",
    "#56b4e9",
    "#7a5195",
    "#8c6d1f",
)  # Okabe and Ito, and two darker ones
FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'
MANY_TRIALS = 150  # from this number of trials, markers are smaller


def axis(title: str, **more: Any) -> dict[str, Any]:
    """The common axis, updated with ``more``."""
    look = {
        "gridcolor": "#e4e9ee",
        "zeroline": False,
        "linecolor": "#9aa5b1",
        "ticks": "outside",
        "tickcolor": "#9aa5b1",
    }
    return {**look, "title": {"text": title, "standoff": 8}, "automargin": True, **more}


def layout(**more: Any) -> dict[str, Any]:
    """The common layout, updated with ``more``."""
    look = {
        "font": {"family": FONT, "size": 13, "color": INK},
        "paper_bgcolor": "#ffffff",
        "plot_bgcolor": "#ffffff",
        "hoverlabel": {
            "align": "left",
            "bgcolor": "#ffffff",
            "bordercolor": "#9aa5b1",
            "font": {"family": FONT, "size": 12, "color": INK},
        },
        "hovermode": "closest",
        "autosize": True,
        "margin": {"l": 58, "r": 16, "t": 44, "b": 56},
    }
    return {**look, **more}


def buttons(labelled: list[dict[str, Any]]) -> dict[str, Any]:
    """A row of buttons above the figure."""
    place = {"x": 0, "xanchor": "left", "y": 1.0, "yanchor": "bottom", "pad": {"b": 8}}
    look = {"bgcolor": "#ffffff", "bordercolor": "#9aa5b1", "font": {"size": 12}, "showactive": True}
    return {"type": "buttons", "direction": "right", "buttons": labelled, "active": 0, **place, **look}


def is_best(trial: Trial, summary: Mapping[str, Any]) -> bool:
    """Whether the trial is the chosen one."""
    return summary["best"] is not None and trial.number == chosen(summary)["trial"]
