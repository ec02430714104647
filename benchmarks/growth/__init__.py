"""Cost as the work grows: more profiles, more projects. ``python -m benchmarks.growth``."""
