"""What Tab completes in a shell: a script for the shell, and the answers to what it asks.

The script that `mp completion` prints calls ``mp`` with :data:`VARIABLE` set at each Tab.
"""

VARIABLE = "_MP_COMPLETE"
"""Says that a shell asks, and which: ``bash_complete``."""
