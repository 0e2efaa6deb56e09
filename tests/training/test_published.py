"""The recipes of published results have the settings of their sources, key by key.

`SOURCES` holds what the source's own file or paper says, in its own words; `READ` says a recipe's value in those words.
Where the two differ, `DIFFERENT` has the reason; nothing else may differ, and nothing in it may be the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from vitreid.training.config import ModelConfig, TrainConfig, load_recipe, recipe_files

Settings = Mapping[str, Any]
OWN = ("cuhk03-small", "cuhk03-tiny", "cuhk03-fine", "starter")  # recipes of ours, which follow nobody
PUBLISHED = sorted(name for name in recipe_files() if not name.startswith(OWN))


def loss(config: TrainConfig, name: str, key: str, default: object) -> Any:
    return config.losses.get(name, {}).get(key, default)


# In the words of damo-cv/TransReID and of those who built on it.
READ: dict[str, Callable[[TrainConfig], Any]] = {
    "MODEL.TRANSFORMER_TYPE": lambda c: c.model.backbone.partition(".")[0],
    "MODEL.PRETRAIN_PATH": lambda c: (
        "jx_vit_base_p16_224" if c.model.weights == "timm" else Path(c.model.weights).stem.partition("-")[0]
    ),
    "MODEL.STRIDE_SIZE": lambda c: c.model.stride or 16,
    "MODEL.STEM_CONV": lambda c: c.model.stem == "ics",
    "MODEL.DROP_PATH": lambda c: c.model.options.get("drop_path_rate", 0.0),
    "MODEL.DROP_OUT": lambda c: c.model.options.get("proj_drop_rate", 0.0),
    "MODEL.ATT_DROP_RATE": lambda c: c.model.options.get("attn_drop_rate", 0.0),
    "MODEL.GEM_POOLING": lambda c: c.model.pool != "cls",
    "MODEL.ABS_POS": lambda c: (c.model.position, c.model.position_at) == ("1d", "stem"),
    "MODEL.REL_POS": lambda c: c.model.relative == "bias",
    "MODEL.SIE_CAMERA": lambda c: c.model.sie in ("camera", "both"),
    "MODEL.SIE_VIEW": lambda c: c.model.sie in ("view", "both"),
    "MODEL.SIE_COE": lambda c: c.model.sie_scale,
    "MODEL.JPM": lambda c: c.model.jpm is not None,
    "MODEL.SHIFT_NUM": lambda c: c.model.jpm.roll + 1 if c.model.jpm else 5,  # its roll is one less than it says
    "MODEL.SHUFFLE_GROUP": lambda c: c.model.jpm.groups if c.model.jpm else 2,
    "MODEL.DEVIDE_LENGTH": lambda c: c.model.jpm.parts if c.model.jpm else 4,
    "weight of the whole in losses with JPM": lambda c: 0.5 if c.model.jpm and c.model.jpm.reduction == "code" else 1,
    "MODEL.IF_LABELSMOOTH": lambda c: "on" if loss(c, "identity", "label_smoothing", 0) else "off",
    "MODEL.ID_LOSS_WEIGHT": lambda c: loss(c, "identity", "weight", 1.0),
    "MODEL.TRIPLET_LOSS_WEIGHT": lambda c: loss(c, "triplet", "weight", 1.0),
    "MODEL.NO_MARGIN": lambda c: loss(c, "triplet", "margin", None) is None,
    "features of the triplets": lambda c: (loss(c, "triplet", "bnneck", "before"), loss(c, "triplet", "unit", False)),
    "other losses": lambda c: sorted(c.losses.keys() - {"identity", "triplet"}),
    "INPUT.SIZE": lambda c: [c.model.height, c.model.width],
    "INPUT.PIXEL_MEAN": lambda c: list(c.model.mean),
    "INPUT.PIXEL_STD": lambda c: list(c.model.std),
    "INPUT.PROB": lambda c: c.augment.flip,
    "INPUT.PADDING": lambda c: c.augment.pad,
    "INPUT.RE_PROB": lambda c: c.augment.erase,
    "area of RE": lambda c: [round(share, 3) for share in c.augment.erase_area],
    "DATALOADER.SAMPLER": lambda c: {"random_identity": "softmax_triplet"}.get(c.data.sampler, c.data.sampler),
    "DATALOADER.NUM_INSTANCE": lambda c: c.data.images_per_identity,
    "SOLVER.IMS_PER_BATCH": lambda c: c.data.identities_per_batch * c.data.images_per_identity * c.optim.accumulate,
    "SOLVER.OPTIMIZER_NAME": lambda c: c.optim.name.upper(),
    "SOLVER.MAX_EPOCHS": lambda c: c.epochs,
    "SOLVER.BASE_LR": lambda c: c.optim.lr,
    "SOLVER.BIAS_LR_FACTOR": lambda c: c.optim.bias_lr_mult,
    "SOLVER.LARGE_FC_LR": lambda c: c.optim.backbone_lr_mult != 1,
    "SOLVER.MOMENTUM": lambda c: c.optim.momentum,
    "SOLVER.WEIGHT_DECAY": lambda c: c.optim.weight_decay,
    "SOLVER.WEIGHT_DECAY_BIAS": lambda c: c.optim.weight_decay if c.optim.decay_bias_and_norm else 0,
    "SOLVER.WARMUP_EPOCHS": lambda c: c.optim.warmup_epochs,
    "share of the rate in warm-up's beginning": lambda c: c.optim.warmup_lr_ratio,
    "share of the rate at the end": lambda c: c.optim.min_lr_ratio,
    "rate in epoch 1": lambda c: "first step of the warm-up" if c.optim.schedule == "cosine_by_epoch" else "other",
    "clipping": lambda c: c.optim.clip_norm,
    "mixed precision": lambda c: c.precision in ("fp16", "auto"),
    "SOLVER.EVAL_PERIOD": lambda c: c.evaluate_every,
    "TEST.NECK_FEAT": lambda c: c.model.bnneck,
    "DATASETS.NAMES": lambda c: c.data.dataset,
}
RELATIONS: dict[str, Callable[[TrainConfig], Any]] = {
    "SOLVER.LOSS_RATIO": lambda c: loss(c, "relation_divergence", "weight", 1.0),
    "SOLVER.COMB_INDEX": lambda c: loss(c, "relation_divergence", "top", 5),
    "SOLVER.REPLACEMENT": lambda c: (
        loss(c, "relation_divergence", "pairs", "permutations") == "combinations_with_replacement"
    ),
    "row that chooses the patches": lambda c: loss(c, "relation_divergence", "patch_query", "cls"),
    "divergence": lambda c: loss(c, "relation_divergence", "divergence", "js"),
}
BASE: Settings = {
    "MODEL.TRANSFORMER_TYPE": "vit_base_patch16_224",
    "MODEL.PRETRAIN_PATH": "jx_vit_base_p16_224",
    "MODEL.STRIDE_SIZE": 16,
    "MODEL.STEM_CONV": False,
    "MODEL.DROP_PATH": 0.1,
    "MODEL.DROP_OUT": 0.0,
    "MODEL.ATT_DROP_RATE": 0.0,
    "MODEL.GEM_POOLING": False,
    "MODEL.ABS_POS": True,
    "MODEL.REL_POS": False,
    "MODEL.SIE_CAMERA": False,
    "MODEL.SIE_VIEW": False,
    "MODEL.SIE_COE": 3.0,
    "MODEL.JPM": False,
    "MODEL.SHIFT_NUM": 5,
    "MODEL.SHUFFLE_GROUP": 2,
    "MODEL.DEVIDE_LENGTH": 4,
    "weight of the whole in losses with JPM": 1,
    "MODEL.IF_LABELSMOOTH": "off",
    "MODEL.ID_LOSS_WEIGHT": 1.0,
    "MODEL.TRIPLET_LOSS_WEIGHT": 1.0,
    "MODEL.NO_MARGIN": True,
    "features of the triplets": ("before", False),
    "other losses": [],
    "INPUT.SIZE": [256, 128],
    "INPUT.PIXEL_MEAN": [0.5, 0.5, 0.5],
    "INPUT.PIXEL_STD": [0.5, 0.5, 0.5],
    "INPUT.PROB": 0.5,
    "INPUT.PADDING": 10,
    "INPUT.RE_PROB": 0.5,
    "area of RE": [0.02, 0.333],
    "DATALOADER.SAMPLER": "softmax_triplet",
    "DATALOADER.NUM_INSTANCE": 4,
    "SOLVER.IMS_PER_BATCH": 64,
    "SOLVER.OPTIMIZER_NAME": "SGD",
    "SOLVER.MAX_EPOCHS": 120,
    "SOLVER.BASE_LR": 0.008,
    "SOLVER.BIAS_LR_FACTOR": 2,
    "SOLVER.LARGE_FC_LR": False,
    "SOLVER.MOMENTUM": 0.9,
    "SOLVER.WEIGHT_DECAY": 1e-4,
    "SOLVER.WEIGHT_DECAY_BIAS": 1e-4,
    "SOLVER.WARMUP_EPOCHS": 5,
    "share of the rate in warm-up's beginning": 0.01,
    "share of the rate at the end": 0.002,
    "rate in epoch 1": "first step of the warm-up",
    "clipping": None,
    "mixed precision": True,
    "SOLVER.EVAL_PERIOD": 120,
    "TEST.NECK_FEAT": "before",
    "DATASETS.NAMES": "market1501",
}
JPM: Settings = {"MODEL.JPM": True, "weight of the whole in losses with JPM": 0.5}
TRANSREID: Settings = BASE | JPM | {"MODEL.SIE_CAMERA": True}
DEIT: Settings = {"MODEL.PRETRAIN_PATH": "deit_base_distilled_patch16_224", "INPUT.RE_PROB": 0.8}
VERI: Settings = BASE | {"INPUT.SIZE": [256, 256], "DATASETS.NAMES": "veri776"}
VIEWS: Settings = {"MODEL.SIE_CAMERA": True, "MODEL.SIE_VIEW": True}
SSL: Settings = BASE | {
    "MODEL.TRANSFORMER_TYPE": "vit_small_patch16_224",
    "MODEL.PRETRAIN_PATH": "vit_small_cfs_lup",
    "SOLVER.BASE_LR": 4e-4,
    "SOLVER.WARMUP_EPOCHS": 20,
    "rate in epoch 1": "a hundredth, as the schedule steps when an epoch ends",
}
SSL_BASE: Settings = SSL | {
    "MODEL.TRANSFORMER_TYPE": "vit_base_patch16_224",
    "MODEL.PRETRAIN_PATH": "vit_base_ics_cfs_lup",
    "MODEL.STEM_CONV": True,
    "INPUT.SIZE": [384, 128],
}
RELATION: Settings = SSL_BASE | {
    "rate in epoch 1": "first step of the warm-up",
    "MODEL.REL_POS": True,
    "other losses": ["relation_divergence"],
    "SOLVER.EVAL_PERIOD": 10,
    "SOLVER.REPLACEMENT": True,
    "row that chooses the patches": "person",
    "divergence": "half of KL(mean, anchor) + KL(mean, positive)",
}
# In the words of JDAI-CV/fast-reid: configs/Base-bagtricks.yml over fastreid/config/defaults.py.
READ_FAST: dict[str, Callable[[TrainConfig], Any]] = {
    "MODEL.BACKBONE.DEPTH": lambda c: {"resnet50.tv_in1k": "50x"}[c.model.backbone],
    "MODEL.BACKBONE.PRETRAIN": lambda c: c.model.weights == "timm",
    "HEADS.POOL_LAYER and last stride": lambda c: ("GlobalAvgPool", 1),  # all that our ResNets can: test_trial.py
    "LOSSES.NAME": lambda c: sorted(c.losses),
    "LOSSES.CE.EPSILON": lambda c: loss(c, "identity", "label_smoothing", 0),
    "smoothing is shared by": lambda c: "all classes",
    "LOSSES.TRI.MARGIN": lambda c: loss(c, "triplet", "margin", None),
    "LOSSES.TRI.NORM_FEAT": lambda c: loss(c, "triplet", "unit", False),
    "NECK_FEAT, of the triplets": lambda c: loss(c, "triplet", "bnneck", "before"),
    "LOSSES.SCALE": lambda c: [loss(c, name, "weight", 1.0) for name in ("identity", "triplet")],
    "side of the BNNeck at test": lambda c: c.model.bnneck,
    "INPUT.SIZE": lambda c: [c.model.height, c.model.width],
    "MODEL.PIXEL_MEAN": lambda c: list(c.model.mean),
    "MODEL.PIXEL_STD": lambda c: list(c.model.std),
    "INPUT.FLIP.PROB": lambda c: c.augment.flip,
    "INPUT.PADDING.SIZE": lambda c: c.augment.pad,
    "INPUT.REA.PROB": lambda c: c.augment.erase,
    "INPUT.REA.VALUE": lambda c: "noise",
    "DATALOADER.SAMPLER_TRAIN": lambda c: c.data.sampler,
    "DATALOADER.NUM_INSTANCE": lambda c: c.data.images_per_identity,
    "SOLVER.IMS_PER_BATCH": lambda c: c.data.identities_per_batch * c.data.images_per_identity * c.optim.accumulate,
    "SOLVER.OPT": lambda c: c.optim.name,
    "SOLVER.MAX_EPOCH": lambda c: c.epochs,
    "SOLVER.BASE_LR": lambda c: c.optim.lr,
    "SOLVER.BIAS_LR_FACTOR": lambda c: c.optim.bias_lr_mult,
    "SOLVER.HEADS_LR_FACTOR": lambda c: 1 / c.optim.backbone_lr_mult,
    "SOLVER.WEIGHT_DECAY": lambda c: c.optim.weight_decay,
    "SOLVER.WEIGHT_DECAY_NORM and _BIAS": lambda c: c.optim.weight_decay if c.optim.decay_bias_and_norm else 0,
    "SOLVER.SCHED": lambda c: {"steps": "MultiStepLR, to a tenth"}.get(c.optim.schedule, c.optim.schedule),
    "SOLVER.STEPS": lambda c: list(c.optim.falls),
    "SOLVER.WARMUP_FACTOR": lambda c: c.optim.warmup_lr_ratio,
    "SOLVER.WARMUP_ITERS": lambda c: f"{c.optim.warmup_epochs:g} epochs",
    "SOLVER.AMP": lambda c: c.precision in ("fp16", "auto"),
    "TEST.EVAL_PERIOD": lambda c: c.evaluate_every,
}
BAG_OF_TRICKS: Settings = {
    "MODEL.BACKBONE.DEPTH": "50x",
    "MODEL.BACKBONE.PRETRAIN": True,
    "HEADS.POOL_LAYER and last stride": ("GlobalAvgPool", 1),
    "LOSSES.NAME": ["identity", "triplet"],
    "LOSSES.CE.EPSILON": 0.1,
    "smoothing is shared by": "the other classes",
    "LOSSES.TRI.MARGIN": 0.3,
    "LOSSES.TRI.NORM_FEAT": False,
    "NECK_FEAT, of the triplets": "before",
    "LOSSES.SCALE": [1.0, 1.0],
    "side of the BNNeck at test": "after",
    "INPUT.SIZE": [256, 128],
    "MODEL.PIXEL_MEAN": [0.485, 0.456, 0.406],
    "MODEL.PIXEL_STD": [0.229, 0.224, 0.225],
    "INPUT.FLIP.PROB": 0.5,
    "INPUT.PADDING.SIZE": 10,
    "INPUT.REA.PROB": 0.5,
    "INPUT.REA.VALUE": "the mean of all images",
    "DATALOADER.SAMPLER_TRAIN": "NaiveIdentitySampler",
    "DATALOADER.NUM_INSTANCE": 4,
    "SOLVER.IMS_PER_BATCH": 64,
    "SOLVER.OPT": "adam",
    "SOLVER.MAX_EPOCH": 120,
    "SOLVER.BASE_LR": 3.5e-4,
    "SOLVER.BIAS_LR_FACTOR": 1,
    "SOLVER.HEADS_LR_FACTOR": 1,
    "SOLVER.WEIGHT_DECAY": 5e-4,
    "SOLVER.WEIGHT_DECAY_NORM and _BIAS": 5e-4,
    "SOLVER.SCHED": "MultiStepLR, to a tenth",
    "SOLVER.STEPS": [40, 90],
    "SOLVER.WARMUP_FACTOR": 0.1,
    "SOLVER.WARMUP_ITERS": "2000 steps",
    "SOLVER.AMP": True,
    "TEST.EVAL_PERIOD": 30,
}
SOURCES: dict[str, Settings] = {
    "bot-resnet50": BAG_OF_TRICKS,
    "transreid-baseline": BASE,
    "transreid-jpm": BASE | JPM,
    "transreid-sie": BASE | {"MODEL.SIE_CAMERA": True},
    "transreid": TRANSREID,
    "transreid-384": TRANSREID | {"INPUT.SIZE": [384, 128]},
    "transreid-stride12": TRANSREID | {"MODEL.STRIDE_SIZE": 12},
    "transreid-stride12-384": TRANSREID | {"MODEL.STRIDE_SIZE": 12, "INPUT.SIZE": [384, 128]},
    "transreid-stride11": TRANSREID | {"MODEL.STRIDE_SIZE": 11, "DATASETS.NAMES": "occluded"},
    "transreid-deit-stride12": TRANSREID | DEIT | {"MODEL.STRIDE_SIZE": 12},
    "transreid-deit-stride11": TRANSREID | DEIT | {"MODEL.STRIDE_SIZE": 11, "DATASETS.NAMES": "occluded"},
    "transreid-veri-baseline": VERI,
    "transreid-veri": VERI | JPM | VIEWS | {"MODEL.SHIFT_NUM": 8, "SOLVER.BASE_LR": 0.01},
    "transreid-veri-jpm": VERI | JPM | {"MODEL.SHIFT_NUM": 8, "SOLVER.BASE_LR": 0.01},  # a row of a table, without file
    "transreid-veri-sie": VERI | VIEWS | {"SOLVER.BASE_LR": 0.01},  # the same
    "transreid-ssl-small": SSL,
    "transreid-ssl-small-ics": SSL | {"MODEL.STEM_CONV": True, "MODEL.PRETRAIN_PATH": "vit_small_ics_cfs_lup"},
    "transreid-ssl-base-384": SSL_BASE,
    "transreid-ssl-base-384-short": SSL_BASE
    | {"SOLVER.MAX_EPOCHS": 30, "SOLVER.EVAL_PERIOD": 30, "SOLVER.WARMUP_EPOCHS": "not told"},
    "personvit-small": SSL | {"MODEL.PRETRAIN_PATH": "the checkpoint of its pre-training"},
    "personvit-base": SSL
    | {
        "MODEL.TRANSFORMER_TYPE": "vit_base_patch16_224",
        "MODEL.PRETRAIN_PATH": "the checkpoint of its pre-training",
        "SOLVER.WARMUP_EPOCHS": "5 for Market-1501, 20 for the others",
    },
    "relation-market": RELATION | {"SOLVER.WARMUP_EPOCHS": 5, "SOLVER.LOSS_RATIO": 1.0, "SOLVER.COMB_INDEX": 5},
    "relation-occluded": RELATION | {"SOLVER.LOSS_RATIO": 0.5, "SOLVER.COMB_INDEX": 10, "DATASETS.NAMES": "occluded"},
}
LATE = {"rate in epoch 1": "one epoch of 120 at a hundredth of the rate is an oversight, not a setting"}
OWN_FILE = {"MODEL.PRETRAIN_PATH": "the file has no published name; the recipe's is a place-holder"}
BETTER = {
    "SOLVER.EVAL_PERIOD": "the last epoch counts, as with the others; scoring more often would choose by the test",
    "SOLVER.REPLACEMENT": "the bias is not symmetric, and a pair of a patch with itself says nothing of two",
    "row that chooses the patches": "an image's own class token is known at test, too",
    "divergence": "theirs has its arguments turned round, so it has no bound; a Jensen-Shannon divergence was meant",
}
DIFFERENT: dict[str, dict[str, str]] = {
    "bot-resnet50": {
        "smoothing is shared by": "torch's way: 0.1 / 751 of a class more, which no score shows",
        "INPUT.REA.VALUE": "one way to erase for all recipes; noise is TransReID's",
        "DATALOADER.SAMPLER_TRAIN": "the same draws, but an epoch ends with its round: 182 batches of Market, not 202",
        "SOLVER.WARMUP_ITERS": "time is counted in epochs; 10 of theirs are 2,020 steps",
        "TEST.EVAL_PERIOD": "the last epoch counts",
    },
    "transreid-ssl-small": LATE,
    "transreid-ssl-small-ics": LATE,
    "transreid-ssl-base-384": LATE,
    "transreid-ssl-base-384-short": LATE | {"SOLVER.WARMUP_EPOCHS": "a quarter, as the epochs are"},
    "personvit-small": LATE | OWN_FILE,
    "personvit-base": LATE | OWN_FILE | {"SOLVER.WARMUP_EPOCHS": "one recipe for all its data sets"},
    "relation-market": BETTER,
    "relation-occluded": BETTER,
}
# What no source has, so that it must be absent; and what does not change what is learned.
NEUTRAL: dict[str, dict[str, Any]] = {
    "augment": dict.fromkeys(("scale", "rotate", "brightness", "contrast", "saturation", "channel_jitter"), 0),
    "data": {"samples_per_epoch": None, "holdout_persons": 0, "cache": False},
    "optim": {"frozen_blocks": 0, "ema": None},
    "model": {"zero_cls": False, "weights_grid": None},
}


def read(config: TrainConfig) -> dict[str, Any]:
    readers = READ_FAST if config.model.backbone.startswith("resnet") else READ
    more = RELATIONS if "relation_divergence" in config.losses else {}
    return {key: reader(config) for key, reader in (readers | more).items()}


def test_every_published_recipe_has_its_source() -> None:
    assert sorted(SOURCES) == PUBLISHED
    assert len(SOURCES) == 23
    assert DIFFERENT.keys() <= SOURCES.keys()


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_settings_of_the_source(name: str) -> None:
    config = load_recipe(name)
    found, expected, reasons = read(config), SOURCES[name], DIFFERENT.get(name, {})
    assert found.keys() == expected.keys()
    different = {key: (found[key], expected[key]) for key in found if found[key] != expected[key]}
    assert different.keys() == reasons.keys(), different
    for part, values in NEUTRAL.items():
        held = getattr(config, part)
        assert {key: getattr(held, key, value) for key, value in values.items()} == values
    if config.model.backbone.startswith("resnet"):
        of_network = {"backbone", "weights", "mean", "std", "bnneck", "height", "width"}
        assert config.model.model_dump(exclude=of_network) == ModelConfig().model_dump(exclude=of_network)
