"""A trained model kept current as new data come: drift, continued training with replay, a small search, promotion."""

SEARCHED = 2  # new configs that an update tries, if nothing else is said
TOLERANCE = 0.01  # how much worse a new model may be on old data, as a share of the metric's scale
