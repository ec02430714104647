"""Mixpanel's Engage query API on loopback: for demos, tests and authors of plugins.

    with EngageSimulator(profiles=25_000, latency=0.4) as simulator:
        ...  # point a client at simulator.base_url, user "demo", secret "demo-secret"

EngageSimulator serves from a thread, SimulatorProcess from a process of its own. Both listen on
127.0.0.1 only.
"""

from mixpanel_fetch.simulator.awkward import awkward_profiles
from mixpanel_fetch.simulator.config import SimulatorConfig
from mixpanel_fetch.simulator.engage_simulator import EngageSimulator
from mixpanel_fetch.simulator.faults import FAULT_KINDS, Fault
from mixpanel_fetch.simulator.population import RawProfile
from mixpanel_fetch.simulator.process import SimulatorProcess
from mixpanel_fetch.simulator.stats import RequestRecord, SimulatorStats
from mixpanel_fetch.simulator.synthetic import SyntheticProfiles

__all__ = [
    "FAULT_KINDS",
    "EngageSimulator",
    "Fault",
    "RawProfile",
    "RequestRecord",
    "SimulatorConfig",
    "SimulatorProcess",
    "SimulatorStats",
    "SyntheticProfiles",
    "awkward_profiles",
]
