"""What a server tells Prometheus, one sample at a time."""

from server.metrics import Metrics


def sample(metrics: Metrics, name: str) -> float:
    """The value of a sample, which is named with its labels: `chorus_lease_state{state="live"}`."""
    lines = metrics.text().decode().splitlines()
    (value,) = [line.rpartition(" ")[2] for line in lines if line.startswith(f"{name} ")]
    return float(value)
