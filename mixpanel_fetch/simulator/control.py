"""The control path: how another process reads the counts and scripts the faults."""

from __future__ import annotations

import msgspec

from mixpanel_fetch.simulator.faults import Fault
from mixpanel_fetch.simulator.messages import JSON_TYPE, Answer, json_answer
from mixpanel_fetch.simulator.service import EngageService
from mixpanel_fetch.simulator.stats import Traffic

CONTROL_PREFIX = "/_simulator/"


def control(
    method: str, path: str, body: bytes, service: EngageService, traffic: Traffic
) -> Answer:
    """Answer a request to the control path.

    `GET /_simulator/stats` gives a SimulatorStats, `POST /_simulator/reset` forgets what was
    counted, `POST /_simulator/faults` takes a JSON array of Faults to put in force.
    """
    action = path.removeprefix(CONTROL_PREFIX)
    if (method, action) == ("GET", "stats"):
        return Answer(200, traffic.snapshot().to_json(), {"Content-Type": JSON_TYPE})
    if (method, action) == ("POST", "reset"):
        traffic.reset()
        return json_answer(200, {"status": "ok"})
    if (method, action) == ("POST", "faults"):
        try:
            faults = msgspec.json.decode(body, type=list[Fault])
        except msgspec.DecodeError as error:
            return json_answer(400, {"error": str(error)})
        service.set_faults(faults)
        return json_answer(200, {"status": "ok"})
    return json_answer(404, {"error": f"there is no {method} {path}"})
