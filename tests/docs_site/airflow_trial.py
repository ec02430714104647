"""Runs the DAG of docs/recipes once, all in this process, and prints what became of its tasks.

``python airflow_trial.py``, where Airflow is; its home and the settings are in the environment.
"""

from __future__ import annotations

import json
from datetime import timedelta

from airflow_dag import mixpanel_profiles

dag = mixpanel_profiles()
for task in dag.tasks:
    task.partial_kwargs["retry_delay"] = timedelta(0)
run = dag.test()
print(
    json.dumps(
        {
            "pools": {task.task_id: task.partial_kwargs["pool"] for task in dag.tasks},
            "tries": {
                f"{one.task_id}/{one.map_index}": [str(one.state), one.try_number]
                for one in run.get_task_instances()
            },
            "state": str(run.state),
        }
    )
)
