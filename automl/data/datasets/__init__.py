"""The built-in data sets, one file a source."""
