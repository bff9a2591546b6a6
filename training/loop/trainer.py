"""transformers' Trainer with averaged weights, held-out selection, and checkpoints that survive a kill."""

import json
import math
import shutil
import time
from pathlib import Path

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from safetensors.torch import load_file, save_file
from torch.nn import functional as F
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainerControl, TrainingArguments

from gimefive_hf.modeling_gimefive import GiMeFiveForImageClassification
from gimefive_hf.runtimes.torch_predictor import TorchPredictor
from gimefive_hf.tables import write_whole

from ..corpora.crops import Crops
from .batches import BatchMaker, PassSampler
from .checkpoints import COMPLETE, complete_checkpoints, damage, kept_best, write_digests
from .curves import draw_curves, write_curves
from .disk import clear_disk_errors
from .held_out import held_out_scores
from .settings import TrainingSettings
from .teachers import Teachers, resized

AVERAGED = "averaged.safetensors"


def learning_rate_factor(step: int, steps: int, settings: TrainingSettings) -> float:
    """Share of the peak learning rate at `step`: linear warm-up, then the schedule's shape."""
    warm_up = min(1.0, (step + 1) / settings.warmup_steps) if settings.warmup_steps else 1.0
    if settings.schedule == "wsd" and settings.fall_share:
        return min(warm_up, max(0.0, (steps - step) / (settings.fall_share * steps)))
    if settings.schedule == "cosine":
        return warm_up * (1 + math.cos(math.pi * min(1.0, step / steps))) / 2
    return warm_up


class AveragedWeights:
    """Exponential moving average of all floating-point weights and running statistics; others are copied."""

    def __init__(self, model: torch.nn.Module, decay: float):
        self.decay = decay
        self.tensors = {name: value.detach().clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: torch.nn.Module, step: int) -> None:
        """`step` counts from 0; the first steps are averaged over a shorter past."""
        decay = min(self.decay, (step + 1) / (step + 10))
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                self.tensors[name].lerp_(value, 1 - decay)
            else:
                self.tensors[name].copy_(value)


class ExpressionTrainer(Trainer):
    """
    Trains one network by `TrainingSettings`.

    Its folder holds `checkpoint-STEP/` to resume from and `best-STEP/`, the averaged weights (or, without averaging,
    the weights) of the best evaluation so far, with the image processor.
    """

    optimizer: torch.optim.Optimizer | None
    lr_scheduler: torch.optim.lr_scheduler.LRScheduler | None
    control: TrainerControl

    def __init__(
        self,
        settings: TrainingSettings,
        held_out: dict[str, Crops],
        batches: BatchMaker,
        teachers: Teachers | None = None,
        **kwargs,
    ):
        super().__init__(eval_dataset=held_out, **kwargs)
        self.settings, self.batches = settings, batches
        self.teachers = teachers.to(self.args.device) if teachers is not None else None
        self.run = Path(self.args.output_dir)
        self.averaged = AveragedWeights(self.model, settings.average_decay) if settings.average_decay else None
        self.remove_callback(PrinterCallback)  # RunCallback tells more
        self.progress = RunCallback(self)
        self.add_callback(self.progress)

    # Data, loss, optimiser

    def _get_train_sampler(self, train_dataset=None) -> PassSampler:
        return PassSampler(self.train_dataset)

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        """Cross-entropy with soft targets. Raises FloatingPointError, with advice, for a loss that is not finite."""
        if "crops" in inputs:  # staged
            inputs = self.batches.finish(inputs)
        x, targets = inputs["pixel_values"], inputs["targets"]
        if self.teachers is not None:
            with torch.autocast(x.device.type, torch.bfloat16, enabled=self.settings.bf16):
                taught = self.teachers(x, targets)
            share = self.settings.teacher_share
            targets = (1 - share) * targets + share * taught
        x = resized(x, self.model.config.image_size)
        if self.settings.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        outputs = model(pixel_values=x)
        loss = F.cross_entropy(outputs.logits.float(), targets)
        if not torch.isfinite(loss):
            resume = complete_checkpoints(self.run)
            raise FloatingPointError(
                f"the loss is {loss.item()} at step {self.state.global_step + 1}. Lower --learning-rate, lengthen "
                "--warmup-steps or set --no-bf16, with a new --out"
                + (f"; the last checkpoint before it is {resume[-1].name}" if resume else "")
            )
        return (loss, outputs) if return_outputs else loss

    def create_optimizer(self, model=None) -> torch.optim.Optimizer:
        if self.optimizer is None:
            trained = [p for p in self.model.parameters() if p.requires_grad]
            groups = [
                {"params": [p for p in trained if p.ndim > 1], "weight_decay": self.settings.weight_decay},
                {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
            ]
            kind = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam, "sgd": torch.optim.SGD}
            extra = {"momentum": 0.9, "nesterov": True} if self.settings.optimizer == "sgd" else {}
            self.optimizer = kind[self.settings.optimizer](groups, lr=self.settings.learning_rate, **extra)
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer=None):
        if self.lr_scheduler is None:
            self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(
                optimizer or self.optimizer,
                lambda step: learning_rate_factor(step, num_training_steps, self.settings),
            )
        return self.lr_scheduler

    # Evaluation

    def evaluated_model(self) -> torch.nn.Module:
        """A copy of the network with the weights that are evaluated and kept."""
        # A fresh one: a deep copy would go on calling the original through accelerate's autocast wrapper.
        model = GiMeFiveForImageClassification(self.model.config)
        model.load_state_dict(self.averaged.tensors if self.averaged is not None else self.model.state_dict())
        if self.settings.channels_last:
            model = model.to(memory_format=torch.channels_last)
        return model.to(self.args.device).eval()

    def evaluate(self, *args, **kwargs) -> dict[str, float]:
        """
        Held-out accuracy and mean recall in %, per corpus, and `eval_score`, the mean that selects. Keeps the best.

        The first process computes, the others get its figures, so that all stop at the same step.
        """
        box: list = [None]
        if self.is_world_process_zero():
            model = self.evaluated_model()
            predictor = TorchPredictor(model, self.processing_class, autocast=self.settings.bf16)
            box = [held_out_scores(predictor, self.eval_dataset, self.settings)]
            if box[0]["eval_score"] > self.kept_score():
                self.keep_best(model)
        broadcast_object_list(box)
        self.log(box[0])
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, box[0])
        return box[0]

    def kept_score(self) -> float:
        """
        Score of the weights in `best-STEP`. Minus infinity if there are none, or if their step is yet to come: a killed
        run had got further, and this one will come to the same.
        """
        best = kept_best(self.run)
        scored = [entry for entry in self.state.log_history if "eval_score" in entry]
        return max((e["eval_score"] for e in scored if best and best.name == f"best-{e['step']}"), default=-math.inf)

    def evaluate_last(self) -> None:
        """Evaluate the last step, for it is a candidate too, unless that was done and evaluated weights are kept."""
        step = self.state.global_step
        done = any("eval_score" in entry and entry["step"] == step for entry in self.state.log_history)
        box = [done and kept_best(self.run) is not None]
        broadcast_object_list(box)
        if not box[0]:
            self.evaluate()

    def keep_best(self, model) -> None:
        target = self.run / f"best-{self.state.global_step}"
        partial = self.run / f"{target.name}.partial"
        with clear_disk_errors(partial):
            model.save_pretrained(partial)
            self.processing_class.save_pretrained(partial)
            write_digests(partial)
            if target.exists():  # a killed run had got here before
                shutil.rmtree(target)
            partial.rename(target)
        for other in self.run.glob("best-*"):
            if other != target:
                shutil.rmtree(other)

    # Checkpoints

    def _save(self, output_dir=None, state_dict=None) -> None:
        """As in the Trainer, without `training_args.bin`, which is a pickle; the run has `settings.json`."""
        if self.args.should_save:
            self.model.save_pretrained(output_dir or self.args.output_dir, state_dict=state_dict)

    def _save_checkpoint(self, model, trial) -> None:
        folder = self.run / f"checkpoint-{self.state.global_step}"
        with clear_disk_errors(folder):
            if self.is_world_process_zero() and folder.exists():  # left by a killed run
                shutil.rmtree(folder)
            self.accelerator.wait_for_everyone()
            super()._save_checkpoint(model, trial)
            if self.is_world_process_zero() and self.averaged is not None:
                save_file({name: t.contiguous() for name, t in self.averaged.tensors.items()}, folder / AVERAGED)
            self.accelerator.wait_for_everyone()
            if self.is_world_process_zero():
                write_digests(folder)
                write_whole(folder / COMPLETE, json.dumps({"seconds": self.progress.seconds()}) + "\n")

    def _load_from_checkpoint(self, resume_from_checkpoint, model=None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        folder = Path(resume_from_checkpoint)
        if self.averaged is not None:
            for name, value in load_file(folder / AVERAGED).items():
                self.averaged.tensors[name].copy_(value)  # in place: they stay on their device
        self.progress.earlier_seconds = json.loads((folder / COMPLETE).read_text())["seconds"]


class RunCallback(TrainerCallback):
    """Seeds each step, averages the weights, writes curves, stops early, and says how it goes."""

    def __init__(self, trainer: ExpressionTrainer):
        self.trainer = trainer
        self.began, self.first_step, self.earlier_seconds = time.monotonic(), 0, 0.0

    def seconds(self) -> float:
        """Time spent on the run, with the sessions before as far as their work was kept."""
        return round(self.earlier_seconds + time.monotonic() - self.began, 1)

    def on_train_begin(self, args, state, control, **kwargs) -> None:
        self.began, self.first_step = time.monotonic(), state.global_step
        if state.is_world_process_zero:  # what a kill left half written or half deleted
            complete = complete_checkpoints(self.trainer.run)
            for path in self.trainer.run.glob("*.partial"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            for path in self.trainer.run.glob("checkpoint-*"):
                if path not in complete:
                    shutil.rmtree(path)
            best = kept_best(self.trainer.run)
            problem = best and damage(best)
            if best and problem:
                print(f"{best.name} is damaged ({problem}): the best evaluation from here on is kept", flush=True)
                shutil.rmtree(best)

    def on_step_begin(self, args, state, control, **kwargs) -> None:
        # Dropout draws from the global generator: make it a function of (seed, step, process).
        torch.manual_seed((args.seed * 10_000_000 + state.global_step) * 1000 + args.process_index)

    def on_step_end(self, args, state, control, **kwargs) -> None:
        trainer = self.trainer
        if trainer.averaged is not None:
            trainer.averaged.update(trainer.accelerator.unwrap_model(trainer.model), state.global_step - 1)

    def on_log(self, args, state, control, logs=None, **kwargs) -> None:
        if not state.is_world_process_zero:
            return
        if "loss" in logs:
            done = state.global_step - self.first_step
            seconds = time.monotonic() - self.began
            speed = done * self.trainer.settings.batch_size / seconds
            left = (state.max_steps - state.global_step) * seconds / done
            # The Trainer has put `logs` into its history as a copy, which the curves are made of.
            state.log_history[-1]["images_per_second"] = round(speed, 1)
            print(
                f"step {state.global_step}/{state.max_steps}  loss {logs['loss']:.4f}  {speed:.0f} images/s  "
                f"{int(left // 3600)} h {int(left % 3600 // 60):02} min left",
                flush=True,
            )
        write_curves(state.log_history, self.trainer.run)

    def on_evaluate(self, args, state, control, metrics=None, **kwargs) -> None:
        scores = [entry["eval_score"] for entry in state.log_history if "eval_score" in entry]
        if state.is_world_process_zero:
            values = "  ".join(
                f"{key.removeprefix('eval_')} {value:.2f}" for key, value in metrics.items() if key != "epoch"
            )
            print(f"step {state.global_step}/{state.max_steps}  held out: {values}", flush=True)
            draw_curves(state.log_history, self.trainer.run)
        patience = self.trainer.settings.patience
        if patience is not None and len(scores) - 1 - scores.index(max(scores)) >= patience:
            control.should_training_stop = True
            if state.is_world_process_zero:
                print(f"stopped: no better evaluation for {patience}", flush=True)


def training_arguments(
    settings: TrainingSettings, steps: int, run: Path, workers: int = 0, cpu: bool = False
) -> TrainingArguments:
    """The Trainer's arguments; raises ValueError if the batch cannot be shared among the processes."""
    processes = PartialState().num_processes
    if settings.batch_size % processes:
        raise ValueError(
            f"batch_size={settings.batch_size} cannot be shared among {processes} processes; use a multiple"
        )
    cpu = cpu or not torch.cuda.is_available()
    return TrainingArguments(
        output_dir=str(run),
        max_steps=steps,
        per_device_train_batch_size=settings.batch_size // processes,
        max_grad_norm=settings.max_gradient_norm,
        bf16=settings.bf16,
        seed=settings.seed,
        eval_strategy="steps",
        eval_steps=settings.evaluate_every,
        save_steps=settings.save_every,
        save_total_limit=2,  # while one is written, the other is whole
        logging_steps=settings.log_every,
        logging_nan_inf_filter=False,
        dataloader_num_workers=workers,
        dataloader_pin_memory=not cpu,
        remove_unused_columns=False,
        disable_tqdm=True,
        report_to="none",
        use_cpu=cpu,
        ddp_find_unused_parameters=False,
    )
