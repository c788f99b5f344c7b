"""The tools that trials can be written to, one file each; automl.tracking chooses them."""
