"""A Dask cluster on this machine, to be run as a service: each worker is a process.

It is asked with ``{"workers": …, "threads": …}`` and answers with ``{"address": …, "pids": […]}``,
the scheduler's address and the workers' processes, once all of them are there.
"""

from __future__ import annotations

import json
import os
import sys


def serve(workers: int, threads: int) -> None:
    """Run the cluster until stdin ends."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=workers,
            threads_per_worker=threads,
            processes=True,
            dashboard_address="127.0.0.1:0",
        ) as cluster,
        Client(cluster) as client,
    ):
        pids = list(client.run(os.getpid).values())
        print(json.dumps({"address": cluster.scheduler_address, "pids": pids}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    serve(**json.loads(sys.stdin.readline()))
