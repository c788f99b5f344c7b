"""Models in use: prediction, model cards, ensembles, ONNX, the HTTP service."""
