"""The two stages as Lightning modules: the teacher alone, then the network that imitates it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import lightning as L
import torch
from torch import Tensor

from flora.chip import Batch
from flora.errors import ConfigError
from flora.losses.objective import Objective
from flora.losses.perceptual import Encoder
from flora.model import FLoRA, Output
from flora.model.family import Network
from flora.model.teacher import OpticalTeacher
from flora.train.experiment import Experiment, StageConfig
from flora.train.faults import detach_water, spoil
from flora.train.paths import PathMixer, cloud
from flora.train.scores import ValidationScores
from flora.train.sharpen import Critic, teacher_features, vgg_features


class Stage(L.LightningModule):
    """What both stages share: optimiser, schedule, logging of named terms, validation by event."""

    stage_config: StageConfig
    objective: Objective
    seed: int

    def configure_optimizers(self) -> Any:
        """AdamW over what is trained; linear warm-up over 5 % of the steps, then a cosine to a hundredth."""
        config = self.stage_config
        learns = [p for n, p in self.named_parameters() if p.requires_grad and not n.startswith("critic.")]
        decayed = [p for p in learns if p.ndim > 1]
        plain = [p for p in learns if p.ndim <= 1]
        groups = [
            {"params": decayed, "weight_decay": config.weight_decay},
            {"params": plain, "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(groups, lr=config.lr, betas=(0.9, 0.99))
        warm = max(1, config.steps // 20)

        def rate(step: int) -> float:
            if step < warm:
                return (step + 1) / warm
            progress = min(1.0, (step - warm) / max(1, config.steps - warm))
            return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Makes the chance of a step, such as dropout's, that of its number: checkpoints hold no generator's state."""
        torch.manual_seed(self.seed * 1_000_003 + self.global_step)

    def log_terms(self, total: Tensor, terms: dict[str, Tensor], size: int) -> None:
        """Logs the total and each named term of a training step."""
        self.log("train/total", total, prog_bar=True, batch_size=size)
        self.log_dict({f"train/{name}": value for name, value in terms.items()}, batch_size=size)

    def on_validation_epoch_start(self) -> None:
        """Starts counting afresh."""
        self.scores = ValidationScores()

    def count(self, output: Output, batch: Batch) -> None:
        """Adds one validation batch to the scores of its dataset."""
        self.scores.add(output, batch)

    def on_validation_epoch_end(self) -> None:
        """Logs scores by dataset and their mean."""
        self.log_dict(self.scores.compute())


class TeacherModule(Stage):
    """Trains the optical teacher to give back the picture from a spoilt one, and to map water from it."""

    def __init__(self, teacher: OpticalTeacher, experiment: Experiment) -> None:
        super().__init__()
        assert experiment.teacher is not None
        self.teacher = teacher
        self.stage_config = experiment.teacher
        self.objective = Objective(experiment.teacher.objective, stage="teacher")
        self.seed = experiment.seed
        self.train()

    def spoil(self, batch: Batch, step: int) -> tuple[Tensor, Tensor]:
        """Hides parts under cloud and drops NIR from half of the samples, to teach what goes together.

        Returns:
            Optical image, (B, 4, H, W), reflectance, and its validity, bool.
        """
        chance = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        count, (height, width) = len(batch), batch.sar.shape[-2:]
        device = batch.optical.device
        hidden = cloud(count, (height, width), chance, device)
        hidden &= (torch.rand(count, generator=chance) < 0.3).to(device).view(-1, 1, 1, 1)
        keep = torch.ones(count, 4, 1, 1, dtype=torch.bool)
        keep[:, 3, 0, 0] = torch.rand(count, generator=chance) < 0.5
        return batch.optical, batch.optical_valid & ~hidden & keep.to(device)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """One step."""
        optical, valid = self.spoil(batch, self.global_step)
        loss = self.objective(self.teacher(optical, valid), batch)
        self.log_terms(loss.total, loss.terms, len(batch))
        total: Tensor = loss.total
        return total

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Scores the teacher on clear images."""
        seen = batch.optical_valid[:, :3].all(dim=1)
        self.count(self.teacher(batch.optical, batch.optical_valid), _labels_where(batch, seen))


def _labels_where(batch: Batch, seen: Tensor) -> Batch:
    """Gives the batch with water labels left out where `seen`, (B, H, W), is False."""
    return replace(batch, water_valid=batch.water_valid & seen)


class JointModule(Stage):
    """Trains radar to the latent, with the frozen teacher beside it, on the path that inference uses.

    Each sample is shown radar alone, radar with the same day's image, or radar with an old one (see `PathMixer`).
    """

    def __init__(self, model: Network, experiment: Experiment) -> None:
        super().__init__()
        self.model = model
        self.stage_config = experiment.joint
        self.faults, self.seed = experiment.faults, experiment.seed
        teacher = model.teacher if isinstance(model, FLoRA) else None
        weights = experiment.joint.objective.weights.active()
        self.distils = any(name.startswith("distill") for name in weights)
        self._refuse_untaught(experiment, teacher, weights)
        encode: Encoder | None = None
        if "perceptual" in weights:
            by_vgg = experiment.joint.objective.perceptual_by == "vgg"
            encode = vgg_features() if by_vgg else teacher_features(teacher) if teacher is not None else None
        self.objective = Objective(experiment.joint.objective, stage="joint", encode=encode)
        self.critic = Critic(seed=experiment.seed) if "adversarial" in weights else None
        self.mixer = PathMixer(experiment.paths, experiment.seed)
        if teacher is not None:
            teacher.requires_grad_(self.faults.open_teacher)
        if isinstance(model, FLoRA):
            if model.predictor is not None:
                model.predictor.requires_grad_(experiment.train_predictor)
            if self.faults.detached_water:
                detach_water(model.water_decoder)
        self.train()  # Lightning keeps the modes that it finds

    @staticmethod
    def _refuse_untaught(
        experiment: Experiment, teacher: OpticalTeacher | None, weights: dict[str, float]
    ) -> None:
        """Refuses terms that need a teacher which is not there, or has learnt nothing."""
        by_teacher = experiment.joint.objective.perceptual_by == "teacher"
        taught = [
            name for name in weights if name.startswith("distill") or (name == "perceptual" and by_teacher)
        ]
        if taught and (teacher is None or (experiment.teacher is None and experiment.initial is None)):
            raise ConfigError(
                f"joint.objective has {', '.join(taught)}, which distils or compares by a teacher, but there is no "
                "teacher; add a teacher stage or set them to 0."
            )

    def train(self, mode: bool = True) -> JointModule:
        """Keeps the teacher's statistics frozen."""
        super().train(mode)
        if isinstance(self.model, FLoRA) and not self.faults.open_teacher:
            self.model.teacher.eval()
        return self

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """One step."""
        step = self.global_step
        batch = spoil(batch, self.faults, torch.Generator().manual_seed(self.seed * 1_000_003 + step))
        batch = self.mixer.recolour(batch, step, self.stage_config.steps)
        optical, valid = self.mixer(batch, step, self.stage_config.steps)
        output = self.model(batch.sar, batch.sar_valid, optical, valid)
        taught = self.taught(batch, output) if self.distils else None
        scores = self.judged(output, batch)
        loss = self.objective(output, batch, taught, scores, self._left_out(step), (optical, valid))
        self.log_terms(loss.total, loss.terms, len(batch))
        total: Tensor = loss.total
        return total

    def _left_out(self, step: int) -> tuple[str, ...]:
        """Names the terms that wait until colours are about right."""
        warm = step >= self.stage_config.sharp_from * self.stage_config.steps
        return () if warm else ("adversarial", "perceptual")

    def judged(self, output: Output, batch: Batch) -> Tensor | None:
        """Lets the discriminator learn from the step's pictures, and gives its scores of them; None while it waits."""
        if self.critic is None or self._left_out(self.global_step):
            return None
        self.critic.learn(output, batch)
        return self.critic.judge(output, batch)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Stores the state of the discriminator's optimiser, which Lightning does not know of."""
        if self.critic is not None:
            checkpoint["critic_optimizer"] = self.critic.optimizer.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restores it."""
        if self.critic is not None:
            self.critic.optimizer.load_state_dict(checkpoint["critic_optimizer"])

    @torch.no_grad()
    def taught(self, batch: Batch, output: Output) -> Output:
        """Gives what the teacher makes of the true image; its picture is not asked for: the student's stands there."""
        assert isinstance(self.model, FLoRA)
        levels = self.model.teacher.encode(batch.optical, batch.optical_valid)
        water = self.model.teacher.water_decoder(levels)
        return Output(output.optical.detach(), output.optical_spread.detach(), water, latent=levels)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Scores radar alone, always: the path that users take."""
        self.count(self.model(batch.sar, batch.sar_valid), batch)
