"""Other published tools for the same job, unmodified, on the same simulator.

``python -m benchmarks.peers`` from the project's root. Each tool is installed into a virtual
environment of its own in a temporary folder. Nothing but loopback is ever talked to, the
installation aside: the tools believe that the simulator is mixpanel.com (see ``route/``).

Left out: airbyte-source-mixpanel. It installs (a hundred packages), but waits a minute between
two pages by design: 25 pages would take 25 minutes, and measure that wait.
"""
