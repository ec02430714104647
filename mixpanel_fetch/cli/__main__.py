"""``python -m mixpanel_fetch.cli``: the same as ``mp``."""

from mixpanel_fetch.cli import main

main()
