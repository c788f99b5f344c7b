"""scikit-learn's global settings, which are the user's."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def usual_settings() -> Iterator[None]:
    """Let estimators fit and predict in the same way whatever ``sklearn.set_config`` was called with.

    Frames as ``transform_output`` cannot hold sparse columns, and metadata routing changes how pipelines take weights.
    """
    import sklearn

    with sklearn.config_context(transform_output="default", enable_metadata_routing=False):
        yield
