"""
Training throughput against the paper's own loop, on the paper's network (10,478,086 parameters).

    python -m benchmarks.training [--images 512] [--threads 2] [--profile]

The paper's loop opens one JPEG at a time, transforms it with torchvision, and steps in fp32 with batches of 16. Ours is
`training.train` as it runs: uint8 tensors, augmentation of whole batches, bf16, channels-last, batches of 128, with the
averaged weights that the paper's loop does not have. Both see synthetic 64×64 JPEGs; both draw the same kinds of
augmentation. `--profile` prints where the time of our steps goes.
"""

import argparse
import io
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode
from torchvision import transforms
from transformers import TrainerCallback

from gimefive_hf import EMOTIONS
from training.corpora.crops import LABELS, Crops
from training.loop.batches import Collator, TrainingImages
from training.loop.settings import make_settings
from training.loop.trainer import ExpressionTrainer, training_arguments
from training.networks.catalogue import build_network

from .measuring import Timing, table, timed, write_results

SIDE = 64
PAPER_BATCH, OUR_BATCH = 16, 128
WARM_UP = 1  # steps of each that are not counted


def write_jpegs(folder: Path, count: int) -> list[tuple[Path, int]]:
    """Smooth random images, about as large as the corpora's files (1.5 kB)."""
    noise = np.random.default_rng(0)
    paths = []
    for number in range(count):
        coarse = Image.fromarray(noise.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        path = folder / f"{number}.jpg"
        coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(path, quality=85)
        paths.append((path, number % len(EMOTIONS)))
    return paths


class OneJpegAtATime(Dataset):
    """As in the paper's scripts: open, transform, one image at a time."""

    transform = transforms.Compose(
        [
            transforms.Resize((SIDE, SIDE)),
            transforms.Grayscale(num_output_channels=3),
            transforms.RandomHorizontalFlip(),
            transforms.RandomAffine(15, translate=(0.06, 0.06), scale=(0.85, 1.15)),
            transforms.ColorJitter(brightness=0.3, contrast=0.3),
            transforms.ToTensor(),
            transforms.Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]),
            transforms.RandomErasing(p=0.25),
        ]
    )

    def __init__(self, paths: list[tuple[Path, int]]):
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        path, label = self.paths[index]
        with Image.open(path, formats=["JPEG"]) as image:
            return self.transform(image.convert("RGB")), label


class Clock:
    """Wall and processor time between the end of the warm-up and the last step."""

    def __init__(self):
        self.step, self.start = 0, Timing(0.0, 0.0)

    def tick(self) -> None:
        self.step += 1
        if self.step == WARM_UP:
            self.start = Timing(time.perf_counter(), time.process_time())

    def stop(self) -> Timing:
        return Timing(time.perf_counter() - self.start.wall, time.process_time() - self.start.cpu)


class Ticking(TrainerCallback):
    def __init__(self, clock: Clock):
        self.clock = clock

    def on_step_end(self, args, state, control, **kwargs) -> None:
        self.clock.tick()


def papers_loop(paths: list[tuple[Path, int]], steps: int) -> Timing:
    """fp32, contiguous, Adam, batches of 16."""
    model, _ = build_network("gimefive-paper", 6)
    model.train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    loader = DataLoader(OneJpegAtATime(paths), batch_size=PAPER_BATCH, shuffle=True)
    clock = Clock()
    while clock.step < WARM_UP + steps:
        for images, labels in loader:
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(images).logits, labels)
            loss.backward()
            optimizer.step()
            loss.item()
            clock.tick()
            if clock.step == WARM_UP + steps:
                break
    return clock.stop()


def read_all(paths: list[tuple[Path, int]]) -> Crops:
    """What the cache of `training.corpora.crops` holds: grey uint8 (n, 1, side, side)."""
    arrays = [np.asarray(Image.open(io.BytesIO(path.read_bytes()), formats=["JPEG"]).convert("L")) for path, _ in paths]
    labels = torch.tensor([label for _, label in paths])
    votes = torch.zeros(len(paths), len(LABELS))
    return Crops(torch.from_numpy(np.stack(arrays))[:, None], labels, votes, [path.name for path, _ in paths], {})


def our_loop(paths: list[tuple[Path, int]], steps: int, folder: Path, profile: bool = False) -> Timing:
    """`training.train`'s trainer, without evaluation and checkpoints."""
    never = 10 * (WARM_UP + steps)
    settings = make_settings(
        {
            "steps": WARM_UP + steps,
            "batch_size": OUR_BATCH,
            "save_every": never,
            "evaluate_every": never,
            "log_every": never,
        },
        "benchmark",
    )
    model, processor = build_network(settings.network, settings.classes)
    images = TrainingImages({"raf-db": read_all(paths)}, settings, length=(WARM_UP + steps) * OUR_BATCH)
    arguments = training_arguments(settings, WARM_UP + steps, folder, cpu=True)
    arguments.eval_strategy, arguments.save_strategy = "no", "no"
    clock = Clock()
    batches = Collator(images, processor, SIDE)
    trainer = ExpressionTrainer(
        settings,
        {},
        batches,
        model=model.to(memory_format=torch.channels_last),
        args=arguments,
        train_dataset=images,
        data_collator=batches,
        processing_class=processor,
        callbacks=[Ticking(clock)],
    )
    if not profile:
        trainer.train()
        return clock.stop()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as record:
        trainer.train()
        timing = clock.stop()
    print(record.key_averages().table(sort_by="self_cpu_time_total", row_limit=18, max_name_column_width=45))
    return timing


def gigaflops_per_image() -> float:
    """Floating-point operations of one training image, forward and backward, in 10⁹."""
    model, _ = build_network("gimefive-paper", 6)
    with FlopCounterMode(display=False) as counter:
        model(torch.randn(2, 3, SIDE, SIDE)).logits.sum().backward()
    return counter.get_total_flops() / 2 / 1e9


def sustained_product(dtype: torch.dtype, side: int = 1536, repeats: int = 15) -> float:
    """GFLOP/s of matrix products per processor second, over all repeats: single ones are too short to be timed so."""
    a = torch.randn(side, side).to(dtype)
    a @ a
    return 2 * side**3 * repeats / timed(lambda: [a @ a for _ in range(repeats)]).cpu / 1e9


def arithmetic(cpu: dict[str, float]) -> str:
    """How near both loops are to what one core can compute, which bounds the ratio."""
    flops = gigaflops_per_image()
    peak = {"paper": sustained_product(torch.float32), "ours": sustained_product(torch.bfloat16)}
    bound = peak["ours"] / (flops * cpu["paper"])
    return (
        f"One image takes {flops:.2f} GFLOP. Per core, the paper's loop computes {flops * cpu['paper']:.0f} GFLOP/s in "
        f"fp32, where a plain matrix product reaches {peak['paper']:.0f}; ours {flops * cpu['ours']:.0f} GFLOP/s in "
        f"bf16, where one reaches {peak['ours']:.0f}. On this processor no loop in bf16 can be more than {bound:.1f} "
        "times as fast as the paper's."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=512, help="images that each loop trains on, after the warm-up")
    parser.add_argument("--repeats", type=int, default=2, help="times that both loops run, in turn")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--profile", action="store_true", help="only our loop, and where its time goes")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        paths = write_jpegs(folder, 512)
        if args.profile:
            timing = our_loop(paths, args.images // OUR_BATCH, folder / "run", profile=True)
            print(f"{args.images / timing.wall:.1f} images/s under the profiler")
            return
        timings: dict[str, list[Timing]] = {"paper": [], "ours": []}
        for _ in range(args.repeats):  # in turn: what disturbs one disturbs the other
            timings["paper"].append(papers_loop(paths, args.images // PAPER_BATCH))
            timings["ours"].append(our_loop(paths, args.images // OUR_BATCH, folder / "run"))
    wall = {name: args.images / min(t.wall for t in values) for name, values in timings.items()}
    cpu = {name: args.images / min(t.cpu for t in values) for name, values in timings.items()}
    names = {
        "paper": f"the paper's loop (one JPEG at a time, fp32, batch {PAPER_BATCH})",
        "ours": f"`training.train` (uint8 cache, batch augmentation, bf16, channels-last, batch {OUR_BATCH})",
    }
    rows = [[names[name], f"{wall[name]:.1f}", f"{cpu[name]:.1f}"] for name in names]
    rows.append(["ratio", f"{wall['ours'] / wall['paper']:.2f}", f"{cpu['ours'] / cpu['paper']:.2f}"])
    text = table(["training the 10,478,086-parameter network", "images/s", "images per processor second"], rows)
    note = f"Best of {args.repeats} runs in turn, {args.images} images each after {WARM_UP} steps of warm-up."
    path = write_results(
        "training",
        "Training throughput against the paper's loop",
        f"python -m benchmarks.training --images {args.images} --repeats {args.repeats} --threads {args.threads}",
        [note, text, arithmetic(cpu)],
    )
    print(f"{text}\n\nwritten to {path}")


if __name__ == "__main__":
    main()
