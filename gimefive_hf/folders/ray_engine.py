"""
The batches of `gimefive score` on a Ray cluster, through Ray Data.

    score_folder(fer, "s3://bucket/photos", "scores.csv", engine=RayEngine({"model": "gimefive"}, "10.0.0.1:6379"))

Every worker reads its images from the folder or storage itself: names and scores travel, pixels do not.
"""

import json
import logging
import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

from ..recognizer import ExpressionRecognizer
from ..runtimes.backends import load_predictor
from .batches import Entry, Listed, score_batch
from .listing import ImageFolder

# A cluster that does not answer within this many seconds is an error.
CONNECT_SECONDS = 10
# Each costs the driver some bytes and a millisecond; several batches share one where there are more.
MAX_BLOCKS = 2000


@dataclass(frozen=True)
class RayEngine:
    """
    An engine of `score_folder`. A worker that dies is replaced and what it had in work is done again.

    Args:
        model: arguments of `load_predictor`, with which every worker loads the network: package and model must be
            there on every machine.
        address: HOST:PORT of the cluster's head, or "auto" for the cluster that this machine belongs to; None starts a
            Ray of this machine alone, which nobody else can reach, and stops it afterwards.
        workers: processes, of one core each; None for as many as the cluster has cores.
    """

    model: dict[str, Any] = field(default_factory=dict)
    address: str | None = None
    workers: int | None = None

    def check(self) -> None:
        """Raise ValueError at once if there is no Ray here or nobody at the address."""
        if find_spec("ray") is None:
            raise ValueError('--engine ray needs Ray: pip install ".[ray]" in a clone')
        if self.address not in (None, "auto"):
            check_answer(str(self.address))

    def __call__(
        self, recognizer: ExpressionRecognizer, folder: ImageFolder, batches: Iterable[list[Listed]], crops: bool
    ) -> Iterator[list[Entry]]:
        """
        The entries of each batch, in the order of the batches.

        Raises:
            ValueError: if there is no Ray, no cluster answers, or it fails.
        """
        # JSON, because a file's name need not be UTF-8, as Arrow's strings must.
        items = [json.dumps(batch) for batch in batches]
        if not items:
            return
        self.check()
        ray, connected = connect(self.address, self.workers)
        try:
            workers = self.workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
            results = self._dataset(items, folder, crops, min(workers, len(items)))
            for row in results.iter_rows():
                yield [tuple(entry) for entry in json.loads(row["item"])]
        except ray.exceptions.RayError as error:
            last = str(error).strip().splitlines()[-1]
            raise ValueError(f"the Ray cluster failed ({last}); the same command goes on from here") from None
        finally:
            if connected:
                ray.shutdown()

    def _dataset(self, items: list[str], folder: ImageFolder, crops: bool, workers: int) -> Any:
        import ray.data

        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        context.execution_options.preserve_order = True
        # Kept in small pieces: what a dead worker had in work is little, and results come back as they are made.
        blocks = ray.data.from_items(items, override_num_blocks=min(len(items), MAX_BLOCKS))
        return blocks.map_batches(
            BatchWorker,
            fn_constructor_kwargs={"model": self.model, "folder": folder, "crops": crops},
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=workers),
            num_cpus=1,
        )


class BatchWorker:
    """What runs in each process of the cluster: the network, loaded once, and `score_batch`."""

    def __init__(self, model: dict[str, Any], folder: ImageFolder, crops: bool):
        self.recognizer = ExpressionRecognizer(load_predictor(**model))
        self.recognizer.predictor.use_threads(1)  # Ray gives the process one core
        self.folder, self.crops = folder, crops

    def __call__(self, rows: dict[str, Any]) -> dict[str, list[str]]:
        """Batches as JSON → their entries as JSON."""
        detector = None if self.crops else self.recognizer.detector
        batches: list[list[Listed]] = [[tuple(listed) for listed in json.loads(item)] for item in rows["item"]]
        return {"item": [json.dumps(score_batch(self.recognizer, self.folder, part, detector)) for part in batches]}


def connect(address: str | None, workers: int | None = None) -> tuple[Any, bool]:
    """
    The module `ray`, connected, and whether this call did it, so that the caller must end it.

    Raises:
        ValueError: if no cluster answers.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray reads it when it starts
    import ray
    import ray.data

    if ray.is_initialized():
        return ray, False
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
    if address is None:
        with on_loopback():
            ray.init("local", num_cpus=workers, include_dashboard=False, **options)
        return ray, True
    try:
        ray.init(address, **options)
    except (ConnectionError, RuntimeError, ValueError) as error:
        last = str(error).strip().splitlines()[0]
        raise ValueError(f"no Ray cluster at {address} ({last}); `ray start` on this machine joins it to one") from None
    return ray, True


@contextmanager
def on_loopback() -> Iterator[None]:
    """
    A Ray that is started meanwhile listens on the loopback address only: it runs whatever it is sent.

    Given the address itself, Ray replaces it by one that other machines reach, and then listens on all interfaces. What
    makes it use loopback is its switch for systems on which it builds no cluster, which it reads when it is imported.
    """
    from ray._private import ray_constants

    name = ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR
    before = os.environ.get(name), ray_constants.ENABLE_RAY_CLUSTER
    os.environ[name], ray_constants.ENABLE_RAY_CLUSTER = "0", False  # for its processes, and for this one
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before[1]
        if before[0] is None:
            del os.environ[name]
        else:
            os.environ[name] = before[0]


def check_answer(address: str) -> None:
    """Raise ValueError unless something listens at HOST:PORT: Ray itself would ask for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or "/" in address:
        raise ValueError(f"--address must be HOST:PORT or auto; got {address!r}")
    try:
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except OSError as error:
        raise ValueError(f"no Ray cluster answers at {address} ({error}); start one with `ray start --head`") from None
