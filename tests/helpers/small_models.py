"""Small real models for every kind of user data, trained in a second or two, and their examples."""

import json

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits

from automl.data.ingest.prepare import prepare
from automl.data.ingest.request import Request
from automl.deployment.model_card import ModelDraft, write_card
from automl.tasks.user_data import own_task

TEMPERATURE = 1.7


def trained(run, family, epochs=2, **change):
    """Trains on the data that lie in a run's folder and leaves ``model/`` beside them; gives the run's folder."""
    task = own_task(run / "data", family, None)
    config = {
        name: value.item() if hasattr(value, "item") else value
        for name, value in dict(task.space.get_default_configuration()).items()
    }
    checkpoint = run / f"training-{family}-{len(list(run.iterdir()))}"
    list(task.train(config | change, seed=0, epochs=epochs, checkpoint=checkpoint, device="cpu"))
    task.export(checkpoint, run / "model")
    card(run / "model", task)
    return run


def card(model, task):
    """Classes are told at a temperature, as after calibration."""
    kept = ModelDraft("single", "a small one", temperature=TEMPERATURE, scores={"accuracy": 0.5})
    about = {"strategy": "random", "seed": 0, "n_trials": 1, "started": "today", "versions": {"torch": "2"}}
    write_card(model, task, kept, {"sha256": "0" * 64, "train": 1, "valid": 1, "test": 1}, about, None)


def table(run, *, classes):
    """Patients with gaps, a clinic, a date of admission."""
    frame = load_breast_cancer(as_frame=True).frame if classes else load_diabetes(as_frame=True).frame
    frame = frame.iloc[:400, [0, 1, 2, 3, -1]].copy()
    frame.columns = ["a", "b", "c", "d", "outcome"]
    rng = np.random.default_rng(0)
    frame.loc[rng.random(len(frame)) < 0.1, "a"] = np.nan
    frame["clinic"] = rng.choice(["Bath", "Café", "Århus"], len(frame))
    frame.loc[rng.random(len(frame)) < 0.1, "clinic"] = None
    frame["admitted"] = pd.date_range("2020-01-01", periods=len(frame)).strftime("%d.%m.%Y")
    if classes:
        frame["outcome"] = frame["outcome"].map({0: "ill", 1: "well"})
    run.mkdir(parents=True)
    frame.to_csv(run / "patients.csv", index=False)
    prepare(Request(str(run / "patients.csv"), "outcome"), run / "data")
    return frame


def texts(run):
    """Reviews with a verdict."""
    rng = np.random.default_rng(0)
    fill = ["the", "film", "was", "plot", "actors", "it", "scene", "music", "Café", "I", "saw", "in", "town"]
    rows = []
    for i in range(240):
        words = list(rng.choice(fill, rng.integers(5, 30)))
        words.insert(int(rng.integers(len(words))), ("awful", "superb")[i % 2])
        rows.append((" ".join(words), ("bad", "good")[i % 2]))
    frame = pd.DataFrame(rows, columns=["body", "verdict"])
    run.mkdir(parents=True)
    frame.to_csv(run / "reviews.csv", index=False)
    prepare(Request(str(run / "reviews.csv"), "verdict", text="body"), run / "data")
    return frame


def molecules(run):
    """Chains on rings, and how long they are."""
    rings = ["c1ccccc1", "c1ccncc1", "C1CCCCC1", "c1ccoc1", "c1ccsc1", "C1CCNCC1", "c1ccc2ccccc2c1", "C1CCOC1"]
    rows = [
        (rings[i % len(rings)] + "C" * (1 + i // 8 % 6) + ("", "O", "N")[i % 3], 1.0 + i // 8 % 6) for i in range(144)
    ]
    frame = pd.DataFrame(rows, columns=["smiles", "pIC50"]).drop_duplicates("smiles")
    run.mkdir(parents=True)
    frame.to_csv(run / "compounds.csv", index=False)
    prepare(Request(str(run / "compounds.csv"), "pIC50"), run / "data")
    return frame


def pictures(run):
    """Digits 0, 1 and 7 of odd sizes, a folder each; gives that of the folders."""
    digits = load_digits()
    for number, (image, label) in enumerate(zip(digits.images[:500], digits.target[:500], strict=True)):
        if label in (0, 1, 7):
            folder = run / "photos" / {0: "zero", 1: "one", 7: "seven"}[label]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray((image * 15).astype(np.uint8)).resize((20 + number % 3, 18)).save(folder / f"{number}.png")
    prepare(Request(str(run / "photos")), run / "data")
    return run / "photos"


def waves(run, *, ragged):
    """Two channels, slow or fast; gives the sequences."""
    rng = np.random.default_rng(0)
    lines, sequences = ["@data"], []
    for i in range(120):
        steps = np.arange(rng.integers(20, 41) if ragged else 30)
        wave = np.stack([np.sin(steps * (0.3 + 0.5 * (i % 2)) + rng.random() * 6) for _ in range(2)]).astype(np.float32)
        lines.append(":".join([",".join(map(str, channel)) for channel in wave.tolist()] + [("slow", "fast")[i % 2]]))
        sequences.append(wave)
    run.mkdir(parents=True)
    (run / "waves.ts").write_text("\n".join(lines) + "\n")
    prepare(Request(str(run / "waves.ts")), run / "data")
    return sequences


def sales(run):
    """A weekly rhythm with noise."""
    n, rng = 300, np.random.default_rng(0)
    frame = pd.DataFrame({"date": pd.date_range("2022-01-01", periods=n).strftime("%Y-%m-%d")})
    frame["volume"] = (50 + 10 * np.sin(np.arange(n) * 2 * np.pi / 7) + rng.normal(size=n)).round(3)
    frame["price"] = rng.normal(size=n).round(3)
    run.mkdir(parents=True)
    frame.to_csv(run / "sales.csv", index=False)
    prepare(Request(str(run / "sales.csv"), "volume", time="date", horizon=2), run / "data")
    return frame


def pairs(run):
    """Words in two languages."""
    words = {"the": "el", "dog": "perro", "cat": "gato", "sees": "ve", "a": "un", "man": "hombre", "house": "casa"}
    rng, found = np.random.default_rng(0), {}
    while len(found) < 120:
        chosen = [str(word) for word in rng.choice(list(words), rng.integers(2, 6))]
        found[" ".join(chosen)] = " ".join(words[word] for word in chosen)
    frame = pd.DataFrame({"en": list(found), "es": list(found.values())})
    run.mkdir(parents=True)
    frame.to_csv(run / "pairs.csv", index=False)
    prepare(Request(str(run / "pairs.csv"), source="en", into="es"), run / "data")
    return frame


def as_json(frame):
    """Rows as a client has them: null for what is missing."""
    return json.loads(frame.to_json(orient="records"))
