"""Writes patients.csv and new_patients.csv: the diabetes table of scikit-learn, with the troubles of real files."""

import numpy as np
from sklearn.datasets import load_diabetes

rng = np.random.default_rng(0)
table = load_diabetes(as_frame=True, scaled=False).frame.rename(columns={"target": "progression"})
table.insert(0, "id", range(1, len(table) + 1))
table.insert(len(table.columns) - 1, "clinic", rng.choice(["Genève", "Málaga", "Tromsø", "Zürich"], len(table)))
table["sex"] = table["sex"].map({1: "a", 2: "b"})  # the source does not say which is which
table.loc[rng.random(len(table)) < 0.1, "bmi"] = np.nan
new = table.sample(3, random_state=0)
table = table.drop(new.index)
new = new.drop(columns="progression")
new.iloc[0, new.columns.get_loc("bmi")] = np.nan
new.iloc[1, new.columns.get_loc("clinic")] = "Reykjavík"
for rows, name in ((table, "patients.csv"), (new, "new_patients.csv")):
    rows.to_csv(name, sep=";", decimal=",", encoding="cp1252", index=False)
