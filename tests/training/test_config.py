from __future__ import annotations

from pathlib import Path

import pytest

from vitreid.training.config import load_recipe, parse_config
from vitreid.training.errors import ConfigError


def test_changes_win() -> None:
    config = parse_config(
        "epochs = 3", ["optim.lr=0.5", "model.bnneck=after", "data.cache=true", "losses.triplet.margin=0.3"], "test"
    )
    assert (config.epochs, config.optim.lr, config.model.bnneck, config.data.cache) == (3, 0.5, "after", True)
    assert config.losses["triplet"] == {"margin": 0.3}


@pytest.mark.parametrize(
    ("text", "changes", "message"),
    [
        ("epochs = ", (), "not TOML"),
        ("epoch = 3", (), "epoch = 3: .*allowed here: seed, epochs"),
        ("[optim]\nlearning_rate = 1", (), "optim.learning_rate = 1: .*allowed here: name, lr"),
        ("epochs = 0", (), "epochs = 0: .*greater than or equal to 1"),
        ("", ("optim.lr=fast",), "optim.lr = 'fast'"),
        ("", ("optim.lr",), "write part.key=value"),
        ("", ("=1",), "write part.key=value"),
        ("seed = 1", ("seed.deep=1",), "seed is a value"),
        ("[losses]", (), "losses = {}"),
        ("", ("optim.lr=inf",), "optim.lr = inf: Input should be a finite number"),
        ("", ("seed=-1",), "seed = -1: .*greater than or equal to 0"),
        ("", ("model.std=[0.5, 0, 0.5]",), "model.std.1 = 0: .*greater than 0"),
        ("", ("augment.erase_area=[0.5, 0.1]",), "erase_area = .*the first number must not be above the second"),
    ],
)
def test_mistakes_are_named(text: str, changes: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        parse_config(text, changes, "test")
    assert "\n" not in str(caught.value)


def test_unknown_recipes_tell_where_the_known_ones_are() -> None:
    with pytest.raises(ConfigError, match="there is no recipe nothing; take one of `vitreid recipes`"):
        load_recipe("nothing")
    with pytest.raises(ConfigError, match=r"there is no recipe startr; did you mean starter\?"):
        load_recipe("startr")


def test_a_recipe_holds_what_differs_from_its_base(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text("epochs = 3\n[optim]\nlr = 0.5\nmomentum = 0.1\n[losses.triplet]\n")
    (tmp_path / "one.toml").write_text('base = "base.toml"\n[optim]\nlr = 0.25\n[losses.identity]\nweight = 2\n')
    (tmp_path / "two.toml").write_text('base = "one.toml"\nepochs = 4\n')
    config = load_recipe(str(tmp_path / "two.toml"), ["optim.momentum=0.2"])
    assert (config.epochs, config.optim.lr, config.optim.momentum) == (4, 0.25, 0.2)
    assert config.losses == {"triplet": {}, "identity": {"weight": 2}}


def test_losses_that_are_not_named_are_changed_like_others(tmp_path: Path) -> None:
    """A recipe without losses has identity and triplet; what comes on top does not take their place."""
    (tmp_path / "base.toml").write_text("epochs = 3\n")
    (tmp_path / "heir.toml").write_text('base = "base.toml"\n[losses.circle]\n')
    changes = ["losses.triplet.margin=0.3"]
    assert load_recipe(str(tmp_path / "base.toml"), changes).losses == {"identity": {}, "triplet": {"margin": 0.3}}
    heir = {"identity": {}, "triplet": {"margin": 0.3}, "circle": {}}
    assert load_recipe(str(tmp_path / "heir.toml"), changes).losses == heir
    assert parse_config("[losses.circle]", (), "test").losses == {"circle": {}}
    assert load_recipe("relation-market").losses.keys() == {"identity", "triplet", "relation_divergence"}


def test_options_fit_one_backbone_and_are_not_mixed(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text("[model]\nheight = 64\noptions = { depth = 4, num_heads = 2 }\n")
    (tmp_path / "one.toml").write_text('base = "base.toml"\n[model]\noptions = { depth = 3 }\n')
    model = load_recipe(str(tmp_path / "one.toml")).model
    assert (model.height, model.options) == (64, {"depth": 3})


def test_a_base_that_is_not_there_or_its_own(tmp_path: Path) -> None:
    (tmp_path / "one.toml").write_text('base = "two.toml"')
    with pytest.raises(ConfigError, match=r"no recipe two\.toml"):
        load_recipe(str(tmp_path / "one.toml"))
    (tmp_path / "two.toml").write_text('base = "one.toml"')
    with pytest.raises(ConfigError, match=r"one\.toml is its own base"):
        load_recipe(str(tmp_path / "one.toml"))
