"""Updates of a trained model with new data: drift tests, fine-tuning with replay, a small search, promotion."""

N_SEARCH = 2  # new configs that an update trains by default
TOLERANCE = 0.01  # allowed loss on old data, as a fraction of the metric's scale
