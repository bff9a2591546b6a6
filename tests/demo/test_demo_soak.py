"""The demo under 32 clients: right answers, no file left, no memory that grows."""

import pytest

from tests.conftest import make_tiny_checkpoint


@pytest.mark.slow  # two minutes of load
def test_32_clients_leave_nothing(tmp_path):
    from benchmarks.demo_soak import running_demo, soak

    with running_demo(str(make_tiny_checkpoint(tmp_path))) as (url, pid, folder):
        result = soak(url, pid, folder, clients=32, seconds=60, warm_seconds=60)
    assert result.failures == []
    assert result.left == []
    assert all(result.seconds[kind] for kind in ("photo", "clip", "cancelled", "aborted upload", "attack"))
    assert result.after - result.warm < 50
