"""What an attack is."""

import contextlib
from dataclasses import dataclass, field
from typing import Callable, Optional

from lab import Lab


@dataclass
class Attack:
    """`work` runs in a process of its own, as nobody of the daemon's host, or as who the flags say;
    it calls `ready` once it has begun and goes on until it is ended. `prepare` stands for as long
    as the round; `check` says what is wrong, while the attack goes on."""

    name: str
    what: str
    work: Callable
    prepare: Optional[Callable[[Lab], contextlib.AbstractContextManager]] = None
    check: Optional[Callable[[Lab], Optional[str]]] = None
    root: bool = False
    stranger: bool = False
    settings: tuple = ()
    lab: dict = field(default_factory=dict)
    cpu_bar: Optional[float] = None  # share of one CPU, where the attack itself costs its leader little


def root_is_served(lab):
    """Root's own status, within a second."""
    code, output, seconds = lab.portolan("status")
    if code != 0:
        return f"root's status fails: {output.strip()[:80]}"
    return f"root's status takes {seconds:.1f} s" if seconds > 1 else None
