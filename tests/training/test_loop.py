"""Training runs: interrupted ones end as uninterrupted ones do, and nothing is lost or half-written."""

from __future__ import annotations

import multiprocessing
import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from vitreid.training.checkpoint import Checkpoint
from vitreid.training.config import TrainConfig, parse_config
from vitreid.training.datasets import Split, read_dataset
from vitreid.training.distributed import World
from vitreid.training.errors import CheckpointError, ConfigError, DataError, Diverged, WorkerDied
from vitreid.training.loader import Batch
from vitreid.training.loop import Trainer
from vitreid.training.records import check_output
from vitreid.training.reid_task import ReIDTask, reid_trainer
from vitreid.training.task import Progress

CPU = torch.device("cpu")


class Silent:
    """Hears everything, says nothing; interrupts a run at a step, as Ctrl-C does."""

    def __init__(self, interrupt: tuple[int, int] | None = None) -> None:
        self.interrupt = interrupt
        self.steps: list[Progress] = []

    def step(self, progress: Progress) -> None:
        self.steps.append(progress)
        if (progress.epoch, progress.step) == self.interrupt:
            raise KeyboardInterrupt

    def epoch(self, record: dict[str, Any]) -> None:
        assert record["loss"] > 0


def trainer(config: TrainConfig, people: Path) -> Trainer[ReIDTask]:
    return reid_trainer(config, read_dataset("market1501", people), "people", CPU)


def weights(path: Path) -> dict[str, torch.Tensor]:
    return load_file(path / "last" / "model.safetensors")


@pytest.mark.slow
@pytest.mark.parametrize("interrupt", [(2, 1), (3, 2)])
def test_an_interrupted_run_ends_as_an_uninterrupted_one(
    config: TrainConfig, people: Path, tmp_path: Path, interrupt: tuple[int, int]
) -> None:
    whole = trainer(config, people)
    whole.run(tmp_path / "whole", Silent())

    stopped = trainer(config, people)
    with pytest.raises(KeyboardInterrupt):
        stopped.run(tmp_path / "parts", Silent(interrupt))
    torch.manual_seed(99)  # a new process has another random state
    resumed = trainer(config, people)
    resumed.resume(tmp_path / "parts")
    assert len(resumed.history) == interrupt[0] - 1
    resumed.run(tmp_path / "parts", Silent())

    assert resumed.history == whole.history
    for name, value in weights(tmp_path / "whole").items():
        torch.testing.assert_close(weights(tmp_path / "parts")[name], value, rtol=0, atol=0)


def test_workers_change_nothing(config: TrainConfig, people: Path, tmp_path: Path) -> None:
    one = config.model_copy(update={"epochs": 1})
    two = one.model_copy(update={"data": one.data.model_copy(update={"workers": 2})})
    histories = []
    for name, variant in (("one", one), ("two", two)):
        run = trainer(variant, people)
        run.run(tmp_path / name, Silent())
        histories.append(run.history)
    assert histories[0] == histories[1]


@pytest.mark.slow
def test_training_learns(config: TrainConfig, people: Path, tmp_path: Path) -> None:
    run = trainer(config.model_copy(update={"epochs": 20, "evaluate_every": 20}), people)
    run.run(tmp_path / "run", Silent())
    assert run.history[-1]["loss"] < run.history[0]["loss"] * 0.9


def test_best_and_last_are_checkpoints(config: TrainConfig, people: Path, tmp_path: Path) -> None:
    run = trainer(config, people)
    best = Checkpoint.open(run.run(tmp_path / "run", Silent()))
    last = Checkpoint.open(tmp_path / "run" / "last")
    assert best.metrics["scores"]["mAP"] == max(record["mAP"] for record in run.history)
    assert (last.metrics["epoch"], last.metrics["seed"], last.cameras) == (3, 3, ("c1", "c2"))
    assert last.metrics["persons"] == [f"{i:04d}" for i in range(1, 9)]
    assert Checkpoint.open(tmp_path / "run").path == tmp_path / "run" / "best"
    assert last.config == config


def test_progress_counts_down(config: TrainConfig, people: Path, tmp_path: Path) -> None:
    seen = Silent()
    trainer(config, people).run(tmp_path / "run", seen)
    assert [(p.epoch, p.step) for p in seen.steps] == [(e, s) for e in (1, 2, 3) for s in (1, 2)]
    assert seen.steps[-1].left_s == 0
    assert all(p.images_per_s > 0 for p in seen.steps)


@pytest.mark.parametrize("precision", ["bf16", "fp16", "fp32"])
def test_other_optimisers_and_precisions(people: Path, tmp_path: Path, precision: str) -> None:
    text = f"""
epochs = 1
precision = "{precision}"
[model]
backbone = "vit_tiny_patch16_224"
options = {{ embed_dim = 24, depth = 1, num_heads = 2 }}
stem = "conv"
height = 64
width = 32
bnneck = "after"
[data]
identities_per_batch = 2
images_per_identity = 2
workers = 0
cache = true
[optim]
name = "sgd"
bias_lr_mult = 2.0
decay_bias_and_norm = true
[losses.identity]
label_smoothing = 0.1
[losses.triplet]
margin = 0.3
"""
    run = trainer(parse_config(text, (), "test"), people)
    run.run(tmp_path / "run", Silent())
    assert Checkpoint.open(tmp_path / "run").load_model().bnneck == "after"


@pytest.mark.parametrize(("precision", "computed"), [("auto", "fp32"), ("fp16", "fp16"), ("fp32", "fp32")])
def test_a_run_says_what_it_computed_in(
    config: TrainConfig, people: Path, tmp_path: Path, precision: str, computed: str
) -> None:
    run = trainer(config.model_copy(update={"precision": precision, "epochs": 1}), people)
    run.run(tmp_path / "run", Silent())
    last = Checkpoint.open(tmp_path / "run" / "last")
    assert last.config.precision == precision
    assert (last.metrics["precision"], last.metrics["device"]) == (computed, "cpu")


def test_auto_stays_what_it_was_when_a_run_goes_on(config: TrainConfig, people: Path, tmp_path: Path) -> None:
    """As when a run of a GPU, or of a recipe that once said fp16, goes on with `auto` on a CPU."""
    half, auto = (config.model_copy(update={"precision": precision}) for precision in ("fp16", "auto"))
    with pytest.raises(KeyboardInterrupt):
        trainer(half, people).run(tmp_path / "run", Silent((2, 1)))
    run = trainer(auto, people)
    assert (run.precision, run.scaler.is_enabled()) == ("fp32", False)
    run.resume(tmp_path / "run")
    assert (run.precision, run.scaler.is_enabled()) == ("fp16", True)
    run.run(tmp_path / "run", Silent())
    assert Checkpoint.open(tmp_path / "run" / "last").metrics["precision"] == "fp16"


def test_a_loss_that_is_no_number_stops_the_run(config: TrainConfig, people: Path, tmp_path: Path) -> None:
    run = trainer(config, people)
    with pytest.raises(KeyboardInterrupt):
        run.run(tmp_path / "run", Silent((2, 1)))
    with torch.no_grad():
        run.task.network.necks[0].classifier.weight.fill_(torch.nan)
    with pytest.raises(Diverged, match="the loss is nan at step 1 of 2 in epoch 2; epoch 1 is kept in last/"):
        run.run(tmp_path / "run", Silent())
    assert Checkpoint.open(tmp_path / "run" / "last").metrics["epoch"] == 1


def test_weights_that_are_no_numbers_are_not_kept(config: TrainConfig, people: Path, tmp_path: Path) -> None:
    """The last step of an epoch spoils them, so no loss has told."""
    run = trainer(config, people)

    def spoil() -> None:
        with torch.no_grad():
            run.task.network.necks[0].classifier.weight.fill_(torch.inf)

    with pytest.raises(Diverged, match="the weights contain NaN or Inf after the last step in epoch 2"):
        run.run(tmp_path / "run", Saboteur((2, 2), spoil))
    kept = Checkpoint.open(tmp_path / "run" / "last")
    assert kept.metrics["epoch"] == 1
    assert all(value.isfinite().all() for value in kept.load_model().state_dict().values())


class Saboteur(Silent):
    """Does something at a step."""

    def __init__(self, at: tuple[int, int], act: Callable[[], object]) -> None:
        super().__init__()
        self.at, self.act = at, act

    def step(self, progress: Progress) -> None:
        super().step(progress)
        if (progress.epoch, progress.step) == self.at:
            self.act()


def with_data(config: TrainConfig, **changes: Any) -> TrainConfig:
    return config.model_copy(update={"data": config.data.model_copy(update=changes)})


@pytest.mark.slow
def test_a_worker_that_dies_costs_one_epoch(config: TrainConfig, people: Path, tmp_path: Path) -> None:
    def kill() -> None:
        multiprocessing.active_children()[0].kill()

    run = trainer(with_data(config, workers=2, samples_per_epoch=160), people)
    with pytest.raises(WorkerDied, match=r"worker.*go on with --resume") as caught:
        run.run(tmp_path / "run", Saboteur((2, 1), kill))
    assert "\n" not in str(caught.value)
    assert Checkpoint.open(tmp_path / "run" / "last").metrics["epoch"] == 1
    assert not multiprocessing.active_children()  # the worker that lived has ended, too
    resumed = trainer(with_data(config, samples_per_epoch=160), people)
    resumed.resume(tmp_path / "run")
    resumed.run(tmp_path / "run", Silent())
    assert len(resumed.history) == 3


@pytest.mark.parametrize(
    "told",
    [
        RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. "),
        ConnectionResetError(104, "Connection reset by peer"),
        EOFError(),
    ],
)
def test_the_end_of_a_worker_has_one_name(config: TrainConfig, people: Path, told: Exception) -> None:
    loader = trainer(config, people).task.loader
    with pytest.raises(WorkerDied, match=r"^(a )?DataLoader worker .*\w.*; .*go on with --resume"), loader.working():
        raise told


def test_another_error_is_not_the_end_of_a_worker(config: TrainConfig, people: Path) -> None:
    with pytest.raises(RuntimeError, match="shapes differ"), trainer(config, people).task.loader.working():
        raise RuntimeError("shapes differ")


@pytest.mark.parametrize("workers", [0, 2])
def test_a_image_that_breaks_stops_the_run_in_one_line(
    config: TrainConfig, people: Path, tmp_path: Path, workers: int
) -> None:
    shutil.copytree(people, tmp_path / "data")
    run = trainer(with_data(config, workers=workers), tmp_path / "data")
    broken = tmp_path / "data" / "bounding_box_train" / "0003_c1s1_000001_00.jpg"
    with pytest.raises(DataError, match=r"0003_c1s1_000001_00\.jpg: is damaged.*`vitreid data check`") as caught:
        run.run(tmp_path / "run", Saboteur((1, 2), lambda: broken.write_bytes(broken.read_bytes()[:400])))
    assert "\n" not in str(caught.value)
    assert Checkpoint.open(tmp_path / "run" / "last").metrics["epoch"] == 1


@pytest.mark.parametrize("part", ["bounding_box_train", "query", "bounding_box_test"])
def test_a_missing_image_is_found_before_the_first_step(
    config: TrainConfig, people: Path, tmp_path: Path, part: str
) -> None:
    shutil.copytree(people, tmp_path / "data")
    split = read_dataset("market1501", tmp_path / "data")
    gone = sorted((tmp_path / "data" / part).iterdir())[0]
    gone.unlink()
    with pytest.raises(DataError, match=f"{gone.name} is missing, and 1 of 32 images.*`vitreid data check`"):
        reid_trainer(config, split, "people", CPU)


@pytest.mark.slow
def test_an_epoch_is_kept_whose_scoring_fails(config: TrainConfig, people: Path, tmp_path: Path) -> None:
    whole = trainer(config, people)
    whole.run(tmp_path / "whole", Silent())
    shutil.copytree(people, tmp_path / "data")
    run = trainer(config, tmp_path / "data")
    gone = tmp_path / "data" / "query" / "0010_c1s1_000001_00.jpg"
    with pytest.raises(DataError, match=gone.name):
        run.run(tmp_path / "run", Saboteur((2, 2), gone.unlink))
    last = Checkpoint.open(tmp_path / "run" / "last")
    assert last.metrics["epoch"] == 2
    assert "mAP" not in last.metrics["history"][-1]
    shutil.copy(people / "query" / gone.name, gone)
    resumed = trainer(config, tmp_path / "data")
    resumed.resume(tmp_path / "run")
    resumed.run(tmp_path / "run", Silent())
    assert resumed.history == whole.history  # the second epoch is scored, too


def test_a_disk_that_fills_keeps_the_last_checkpoint(config: TrainConfig, people: Path, tmp_path: Path) -> None:
    run = trainer(config, people)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))

    try:
        with pytest.raises(
            CheckpointError, match=r"(best|last) cannot be written \(.*File too large.*--resume"
        ) as caught:
            run.run(tmp_path / "run", Saboteur((2, 1), fill))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "\n" not in str(caught.value)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["best", "last"]
    resumed = trainer(config, people)
    resumed.resume(tmp_path / "run")
    assert len(resumed.history) == 1
    resumed.run(tmp_path / "run", Silent())
    assert len(Checkpoint.open(tmp_path / "run" / "last").metrics["history"]) == 3


def test_queries_that_nobody_answers_are_reported_before_the_first_step(config: TrainConfig, people: Path) -> None:
    split = read_dataset("market1501", people)
    one_camera = [tuple(s for s in part if s.camera == "c1") for part in (split.train, split.query, split.gallery)]
    with pytest.raises(DataError, match="none of the 4 queries has an image of its person by another camera"):
        reid_trainer(config, Split(*one_camera), "people", CPU)
    reid_trainer(config, Split(one_camera[0], (), ()), "people", CPU)  # nothing to score is no fault


def test_held_back_persons_choose_the_best_epoch(config: TrainConfig, people: Path) -> None:
    held = config.model_copy(update={"data": config.data.model_copy(update={"holdout_persons": 3})})
    run = trainer(held, people)
    assert len(run.task.persons) == 5
    asked = {sample.person for sample in run.task.split.query}
    assert len(asked) == 3
    assert not asked & set(run.task.persons)


def test_a_run_of_another_recipe_is_not_resumed(config: TrainConfig, people: Path, tmp_path: Path) -> None:
    trainer(config.model_copy(update={"epochs": 1}), people).run(tmp_path / "run", Silent())
    other = trainer(config.model_copy(update={"epochs": 2, "seed": 4}), people)
    with pytest.raises(CheckpointError, match="epochs, seed"):
        other.resume(tmp_path / "run")


def test_a_run_goes_on_with_other_workers(config: TrainConfig, people: Path, tmp_path: Path) -> None:
    run = trainer(config, people)
    with pytest.raises(KeyboardInterrupt):
        run.run(tmp_path / "run", Silent((2, 1)))
    other = config.model_copy(update={"threads": 1, "data": config.data.model_copy(update={"cache": True})})
    resumed = trainer(other, people)
    resumed.resume(tmp_path / "run")
    assert len(resumed.history) == 1


def test_outputs_are_not_overwritten(config: TrainConfig, people: Path, tmp_path: Path) -> None:
    trainer(config.model_copy(update={"epochs": 1}), people).run(tmp_path / "run", Silent())
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").touch()
    with pytest.raises(ConfigError, match="--resume"):
        check_output(tmp_path / "run", resume=False)
    with pytest.raises(ConfigError, match="no run of ours"):
        check_output(tmp_path / "photos", resume=False)
    with pytest.raises(ConfigError, match="no run to resume"):
        check_output(tmp_path / "nothing", resume=True)
    check_output(tmp_path / "nothing", resume=False)
    check_output(tmp_path / "run", resume=True)


def test_data_without_training_images(config: TrainConfig, people: Path) -> None:
    split = read_dataset("market1501", people)
    with pytest.raises(DataError, match="no training images"):
        reid_trainer(config, split.__class__((), split.query, split.gallery), "people", CPU)


def test_gradients_of_several_batches_make_one_step(config: TrainConfig, people: Path) -> None:
    """Two batches accumulated move the weights by the mean of their gradients, once."""
    part = config.optim.model_copy(update={"accumulate": 2, "name": "sgd", "momentum": 0.0, "clip_norm": None})
    data = config.data.model_copy(update={"samples_per_epoch": 16})
    options = dict(config.model.options) | {"drop_path_rate": 0.0, "proj_drop_rate": 0.0}
    still = config.model.model_copy(update={"options": options})
    run = trainer(config.model_copy(update={"optim": part, "data": data, "model": still}), people)
    before = run.task.network.backbone.cls_token.detach().clone()
    batches = list(run.task.loader.epoch(1)[1])
    assert len(batches) == 2
    for batch in batches:
        run._backward(batch, 2)
    gradient = run.task.network.backbone.cls_token.grad
    assert gradient is not None
    expected = before - 0.5 * gradient
    run._step(0.5)
    torch.testing.assert_close(run.task.network.backbone.cls_token.detach(), expected, atol=1e-6, rtol=1e-5)
    assert run.task.network.backbone.cls_token.grad is None


def test_accumulated_gradients_are_those_of_one_batch(config: TrainConfig, people: Path) -> None:
    """A set-up in which images do not affect each other: identity loss, and necks with fixed statistics."""
    options = {"embed_dim": 24, "depth": 2, "num_heads": 2}
    still = config.model.model_copy(update={"options": options})
    run = trainer(config.model_copy(update={"model": still, "losses": {"identity": {}}}), people)
    run.task.network.eval()
    batches = list(run.task.loader.epoch(1)[1])
    for batch in batches:
        run._backward(batch, len(batches))
    apart = {name: each.grad.clone() for name, each in run.task.network.named_parameters() if each.grad is not None}
    run.optimiser.zero_grad()
    run._backward(Batch(*(torch.cat(parts) for parts in zip(*batches, strict=True))))
    assert len(batches) > 1
    assert {"backbone.cls_token", "necks.0.classifier.weight"} < apart.keys()
    for name, parameter in run.task.network.named_parameters():
        if name in apart:
            torch.testing.assert_close(parameter.grad, apart[name], atol=1e-6, rtol=1e-4)


def test_an_epoch_that_ends_within_a_step(config: TrainConfig, people: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The batches that are left count as much in their step as others do in theirs."""
    part = config.optim.model_copy(update={"accumulate": 3})
    run = trainer(with_data(config, samples_per_epoch=5 * 8).model_copy(update={"optim": part}), people)
    backward, seen = run._backward, list[int | str]()

    def watched(batch: Batch, together: int, **at: int) -> dict[str, torch.Tensor]:
        seen.append(together)
        return backward(batch, together, **at)

    monkeypatch.setattr(run, "_backward", watched)
    monkeypatch.setattr(run, "_step", lambda lr: seen.append("step"))
    run._train_epoch(1, Silent())
    assert seen == [3, 3, 3, "step", 2, 2, "step"]


def test_the_moving_average_is_what_is_kept(config: TrainConfig, people: Path, tmp_path: Path) -> None:
    part = config.optim.model_copy(update={"ema": 0.9})
    run = trainer(config.model_copy(update={"optim": part, "epochs": 1}), people)
    expected = {name: value.clone() for name, value in run.task.network.state_dict().items()}
    step = run._step

    def watched(lr: float) -> None:
        step(lr)
        for name, value in run.task.network.state_dict().items():
            if value.is_floating_point():
                # The first update takes the network as it is.
                expected[name] = value.clone() if not seen else 0.9 * expected[name] + 0.1 * value
        seen.append(lr)

    seen: list[float] = []
    run._step = watched
    best = Checkpoint.open(run.run(tmp_path / "run", Silent()))
    kept = best.load_model().state_dict()
    for name in ("backbone.cls_token", "necks.0.classifier.weight", "necks.0.norm.running_mean"):
        torch.testing.assert_close(kept[name], expected[name])
    assert not torch.equal(kept["backbone.cls_token"], run.task.network.state_dict()["backbone.cls_token"])


def test_persons_that_processes_cannot_share(config: TrainConfig, people: Path) -> None:
    split = read_dataset("market1501", people)
    with pytest.raises(ConfigError, match=r"data\.identities_per_batch = 4 cannot be shared by 3 processes"):
        reid_trainer(config, split, "people", torch.device("cpu"), World(0, 3))


def test_a_run_goes_on_without_the_weights_that_it_began_with(
    config: TrainConfig, people: Path, tmp_path: Path
) -> None:
    trainer(config.model_copy(update={"epochs": 1}), people).run(tmp_path / "start", Silent())
    part = config.model.model_copy(update={"weights": str(tmp_path / "start")})
    losses = {"identity": {}, "relation_divergence": {"top": 3}}
    config = config.model_copy(update={"model": part, "losses": losses})
    run = trainer(config, people)
    with pytest.raises(KeyboardInterrupt):
        run.run(tmp_path / "run", Silent((2, 1)))
    shutil.rmtree(tmp_path / "start")
    resumed = reid_trainer(config, read_dataset("market1501", people), "people", CPU, fresh=False)
    resumed.resume(tmp_path / "run")
    assert resumed.task.start_variances == run.task.start_variances
    assert resumed.task.notes == []
    resumed.run(tmp_path / "run", Silent())
    assert len(resumed.history) == 3
