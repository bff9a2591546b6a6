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
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from transformers import (
    EarlyStoppingCallback,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainingArguments,
)

from gimefive_hf.runtimes.torch_predictor import TorchPredictor
from gimefive_hf.tables import write_whole

from ..corpora.crops import Crops
from .batches import Collator, EpochSampler
from .checkpoints import COMPLETE, complete_checkpoints, damage, kept_best, write_digests
from .curves import draw_curves, write_curves
from .disk import clear_disk_errors
from .held_out import held_out_scores
from .settings import TrainingSettings
from .teachers import Teachers, resized

AVERAGED = "averaged.safetensors"
# The settings' names of transformers' schedules.
SCHEDULES = {"wsd": "warmup_stable_decay", "cosine": "cosine", "constant": "constant_with_warmup"}


def averaged_weights(model: torch.nn.Module, decay: float) -> AveragedModel:
    """Exponential moving average of weights and running statistics, over a shorter past in the first steps."""

    def update(averages, values, updates) -> None:
        rate = min(decay, int(updates) / (int(updates) + 9))
        counts = not averages[0].is_floating_point()  # of batches: copied
        get_ema_multi_avg_fn(0.0 if counts else rate)(averages, values, updates)

    averaged = AveragedModel(model, multi_avg_fn=update, use_buffers=True).eval()
    averaged.n_averaged += 1  # the first weights: of 0, the next ones would take their place
    return averaged


class ExpressionTrainer(Trainer):
    """
    Trains one network by `TrainingSettings`.

    Its folder holds `checkpoint-STEP/` to resume from and `best-STEP/`, the averaged weights (or, without averaging,
    the weights) of the best evaluation so far, with the image processor.
    """

    optimizer: torch.optim.Optimizer | None
    control: TrainerControl

    def __init__(
        self,
        settings: TrainingSettings,
        held_out: dict[str, Crops],
        batches: Collator,
        teachers: Teachers | None = None,
        **kwargs,
    ):
        super().__init__(eval_dataset=held_out, **kwargs)
        self.settings, self.batches = settings, batches
        self.teachers = teachers.to(self.args.device) if teachers is not None else None
        self.run = Path(self.args.output_dir)
        self.averaged = averaged_weights(self.model, settings.ema_decay)
        self.remove_callback(PrinterCallback)  # RunCallback tells more
        self.progress = RunCallback(self)
        self.add_callback(self.progress)
        if settings.patience is not None:
            self.add_callback(EarlyStoppingCallback(settings.patience))

    # Data, loss, optimiser

    def _get_train_sampler(self, train_dataset=None) -> EpochSampler:
        return EpochSampler(self.train_dataset)

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        """Cross-entropy with soft targets. Raises FloatingPointError, with advice, for a loss that is not finite."""
        if "crops" in inputs:  # staged
            inputs = self.batches.finish(inputs)
        x, targets = inputs["pixel_values"], inputs["targets"]
        if self.teachers is not None:
            with torch.autocast(x.device.type, torch.bfloat16, enabled=self.settings.bf16):
                said = self.teachers(x, targets)
            share = self.settings.teacher_share
            targets = (1 - share) * targets + share * said
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

    # Evaluation

    def evaluate(self, *args, **kwargs) -> dict[str, float]:
        """
        Held-out accuracy and mean recall in %, per corpus, and `eval_score`, the mean that selects. Keeps the best.

        The first process computes, the others get its figures, so that all stop at the same step.
        """
        box: list = [None]
        if self.is_world_process_zero():
            model = self.averaged.module
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
            if self.is_world_process_zero():
                averages = self.averaged.module.state_dict()
                save_file({name: value.contiguous() for name, value in averages.items()}, folder / AVERAGED)
            self.accelerator.wait_for_everyone()
            if self.is_world_process_zero():
                write_digests(folder)
                write_whole(folder / COMPLETE, json.dumps({"seconds": self.progress.seconds()}) + "\n")

    def _load_from_checkpoint(self, resume_from_checkpoint, model=None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        folder = Path(resume_from_checkpoint)
        self.averaged.module.load_state_dict(load_file(folder / AVERAGED))
        self.averaged.n_averaged.fill_(1 + int(folder.name.split("-")[1]))
        self.progress.earlier_seconds = json.loads((folder / COMPLETE).read_text())["seconds"]


class RunCallback(TrainerCallback):
    """Seeds each step, averages the weights, writes curves, and says how it goes."""

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
        trainer.averaged.update_parameters(trainer.accelerator.unwrap_model(trainer.model))

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
        if state.is_world_process_zero:
            values = "  ".join(
                f"{key.removeprefix('eval_')} {value:.2f}" for key, value in metrics.items() if key != "epoch"
            )
            print(f"step {state.global_step}/{state.max_steps}  held out: {values}", flush=True)
            draw_curves(state.log_history, self.trainer.run)

    def on_train_end(self, args, state, control, **kwargs) -> None:
        if state.global_step < state.max_steps and state.is_world_process_zero:
            print(f"stopped: no better evaluation for {self.trainer.settings.patience}", flush=True)


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
        lr_scheduler_type=SCHEDULES[settings.schedule],
        lr_scheduler_kwargs=(
            {"num_decay_steps": settings.decay_fraction * steps, "decay_type": "linear"}
            if settings.schedule == "wsd"
            else {}
        ),
        warmup_steps=settings.warmup_steps,
        bf16=settings.bf16,
        seed=settings.seed,
        eval_strategy="steps",
        eval_steps=settings.evaluate_every,
        save_steps=settings.save_every,
        save_total_limit=2,  # while one is written, the other is whole
        logging_steps=settings.log_every,
        logging_nan_inf_filter=False,
        metric_for_best_model=None if settings.patience is None else "eval_score",
        restore_callback_states_from_checkpoint=True,
        dataloader_num_workers=workers,
        dataloader_pin_memory=not cpu,
        remove_unused_columns=False,
        disable_tqdm=True,
        report_to="none",
        use_cpu=cpu,
        ddp_find_unused_parameters=False,
    )
