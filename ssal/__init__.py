"""ssal trains image classifiers from very few labels."""

__version__ = "0.1.0"
