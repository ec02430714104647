"""For authors of plugins, and for programs that embed: what their tests need."""
