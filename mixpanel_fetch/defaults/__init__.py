"""The built-in plugins: ordinary ones, loaded by entry point like everyone's."""
