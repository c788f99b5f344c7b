"""A trained model kept current as new data come: drift, continued training with replay, a small search, promotion."""
