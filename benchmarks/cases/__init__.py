"""The cases, in the order in which they run. A new one is a module with a CASE, listed here."""

from benchmarks.cases import latency, memory, startup, steady, throughput, transforms

CASES = {
    module.CASE.name: module.CASE
    for module in (latency, throughput, steady, memory, startup, transforms)
}
