"""What a search found: importance, effects, sentences, figures and the report."""
