"""Expected content of a gallery after any operations, computed without one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

CAMERAS = (None, "c1", "c2")
PERSONS = (None, "7", "8")


@dataclass(frozen=True)
class Known:
    """One item; everything about it follows from its number."""

    number: int
    camera_id: str | None
    person_id: str | None
    seq: int


@dataclass(frozen=True)
class State:
    """A gallery at one point of its history."""

    items: Mapping[int, Known] = field(default_factory=dict)
    deleted: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    """seq -> id and number of the item that went then."""
    erased: tuple[tuple[int, ...], ...] = ()
    """The ids that each erasure took, in order."""
    backups: Mapping[str, State] = field(default_factory=dict)
    """What each backup holds, by its name."""
    last_seq: int = 0
    last_id: int = 0
    numbers: int = 0
    """How many different images there were."""


@dataclass(frozen=True)
class Operation:
    """Something that is done to a gallery."""

    kind: str
    given: dict[str, Any] = field(default_factory=dict)


def then(state: State, operation: Operation) -> State:
    """The state after an operation."""
    effect = EFFECTS.get(operation.kind)
    return state if effect is None else effect(state, **operation.given)


def plan(state: State, kind: str, random: Random) -> Operation | None:
    """An operation of this kind that can be done now; None: there is none."""
    return PLANS[kind](state, random)


def _add(state: State, numbers: list[int], camera_id: str | None, person_id: str | None) -> State:
    here = {known.number for known in state.items.values()}
    items, last_id, last_seq = dict(state.items), state.last_id, state.last_seq
    for number in numbers:
        if number not in here:
            last_id, last_seq = last_id + 1, last_seq + 1
            items[last_id] = Known(number, camera_id, person_id, last_seq)
            here.add(number)
    most = max(state.numbers, *(number + 1 for number in numbers))
    return replace(state, items=items, last_id=last_id, last_seq=last_seq, numbers=most)


def _update(state: State, item_id: int, camera_id: str | None, person_id: str | None) -> State:
    seq = state.last_seq + 1
    changed = replace(state.items[item_id], camera_id=camera_id, person_id=person_id, seq=seq)
    return replace(state, items={**state.items, item_id: changed}, last_seq=seq)


def _delete(state: State, item_id: int) -> State:
    return _without(state, [item_id])


def _erase(state: State, ids: list[int]) -> State:
    return replace(_without(state, ids), erased=(*state.erased, tuple(ids)))


def _without(state: State, ids: list[int]) -> State:
    gone = {state.last_seq + place: (item_id, state.items[item_id].number) for place, item_id in enumerate(ids, 1)}
    left = {item_id: known for item_id, known in state.items.items() if item_id not in ids}
    return replace(state, items=left, deleted={**state.deleted, **gone}, last_seq=state.last_seq + len(ids))


def _backup(state: State, name: str) -> State:
    return replace(state, backups={**state.backups, name: state})


def _drop_backup(state: State, name: str) -> State:
    return replace(state, backups={key: kept for key, kept in state.backups.items() if key != name})


def _restore(state: State, name: str) -> State:
    gone = {item_id for item_id, _ in state.deleted.values()}
    items = {item_id: known for item_id, known in state.backups[name].items.items() if item_id not in gone}
    return replace(state, items=items, last_seq=state.last_seq + 1)


def _plan_add(state: State, random: Random) -> Operation:
    fresh = [state.numbers + place for place in range(random.randint(1, 6))]
    known = random.sample([item.number for item in state.items.values()], min(2, len(state.items)))
    numbers = fresh + (known + fresh[:1] if random.random() < 0.3 else [])
    return Operation("add", {"numbers": numbers} | _labels(random))


def _labels(random: Random) -> dict[str, str | None]:
    return {"camera_id": random.choice(CAMERAS), "person_id": random.choice(PERSONS)}


def _of_an_item(kind: str, **more: Callable[[Random], Any]) -> Callable[[State, Random], Operation | None]:
    def planned(state: State, random: Random) -> Operation | None:
        if not state.items:
            return None
        labels = _labels(random) if kind == "update" else {}
        return Operation(kind, {"item_id": random.choice(sorted(state.items))} | labels)

    return planned


def _plan_erase(state: State, random: Random) -> Operation | None:
    if not state.items:
        return None
    ids = random.sample(sorted(state.items), random.randint(1, min(4, len(state.items))))
    return Operation("erase", {"ids": sorted(ids)})


def _plan_patches(state: State, random: Random) -> Operation | None:
    """Patches are derived of images, as snapshots are of embeddings: no part of the state."""
    if not state.items:
        return None
    ids = random.sample(sorted(state.items), random.randint(1, len(state.items)))
    return Operation("store_patches", {"found": {item_id: state.items[item_id].number for item_id in ids}})


def _of_a_backup(kind: str) -> Callable[[State, Random], Operation | None]:
    def planned(state: State, random: Random) -> Operation | None:
        return Operation(kind, {"name": random.choice(sorted(state.backups))}) if state.backups else None

    return planned


EFFECTS: dict[str, Callable[..., State]] = {
    "add": _add,
    "update": _update,
    "delete": _delete,
    "erase": _erase,
    "backup": _backup,
    "drop_backup": _drop_backup,
    "restore": _restore,
}
"""What changes the rows, or what is beside them; the other operations change what is derived from them."""

PLANS: dict[str, Callable[[State, Random], Operation | None]] = {
    "add": _plan_add,
    "update": _of_an_item("update"),
    "delete": _of_an_item("delete"),
    "erase": _plan_erase,
    "store_patches": _plan_patches,
    "backup": lambda state, random: Operation("backup", {"name": f"{random.getrandbits(32):08x}"}),
    "drop_backup": _of_a_backup("drop_backup"),
    "restore": _of_a_backup("restore"),
    "snapshot": lambda state, random: Operation("snapshot"),
    "rebuild": lambda state, random: Operation("rebuild"),
    "purge": lambda state, random: Operation("purge"),
    "reopen": lambda state, random: Operation("reopen"),
}
