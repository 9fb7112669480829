"""What a process has measured of itself, as its tests need it: one value, often many times."""

from prometheus_client import REGISTRY


def sample(name: str, **labels: str) -> float | None:
    """Return the value of one sample; None if there is none.

    `REGISTRY.get_sample_value` would make the samples of all metrics for it, each time.
    """
    for metric in REGISTRY.restricted_registry([name]).collect():
        for each in metric.samples:
            if each.labels == labels:
                return float(each.value)
    return None
