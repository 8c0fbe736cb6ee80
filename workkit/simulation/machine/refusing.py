"""What handlers cannot do in a simulation, since it would not be the same in every run."""

from __future__ import annotations

import sys
from typing import Any, Final, NamedTuple

from workkit.core.current import RUNNING
from workkit.errors import WorkkitError
from workkit.simulation.machine.host import Host
from workkit.simulation.machine.inside import HERE

__all__ = ["KINDS", "NotSimulated", "listen", "refuse"]


class NotSimulated(WorkkitError):
    """A handler does something real, whose time and result do not come from the seed."""


class _RealKind(NamedTuple):
    """A kind of real thing.

    Attributes:
        does: What a handler does with it.
        instead: What it can do in a simulation.
    """

    does: str
    instead: str


#: Kinds of real things, by the names under which `Simulation.allow` lets them pass.
KINDS: Final = {
    "sockets": _RealKind(
        "opens a real connection",
        "give the handler a fake client, such as one that a lifespan of the test yields",
    ),
    "subprocesses": _RealKind(
        "starts a process", "replace the function that starts it, and let time pass with sim.sleep"
    ),
    "threads": _RealKind("starts a thread", "use tasks of asyncio, or asyncio.to_thread"),
    "loops": _RealKind(
        "makes an event loop",
        "make the handler async, or call asyncio.run, which uses the loop of the pool",
    ),
}
#: The events of Python's audit hooks that show them.
_EVENTS: Final = {
    "socket.connect": "sockets",
    "socket.bind": "sockets",
    "socket.sendto": "sockets",
    "socket.sendmsg": "sockets",
    "socket.getaddrinfo": "sockets",
    "socket.gethostbyname": "sockets",
    "socket.gethostbyaddr": "sockets",
    "subprocess.Popen": "subprocesses",
    "os.exec": "subprocesses",
    "os.fork": "subprocesses",
    "os.forkpty": "subprocesses",
    "os.posix_spawn": "subprocesses",
    "os.system": "subprocesses",
    "_thread.start_new_thread": "threads",  # from Python 3.12 on
    "_thread.start_joinable_thread": "threads",
}
_listens = False


def refuse(host: Host, kind: str, detail: str = "") -> None:
    """Refuse a real thing to the code that runs on a host, unless it is allowed there.

    Raises:
        NotSimulated: It is not allowed. The call that runs the world raises it as well.
    """
    world = host.world
    if kind in world.allowed or not host.name:  # a planned call belongs to the test
        return
    real = KINDS[kind]
    payload = RUNNING.get()
    who = f"the handler of {payload.name!r}" if payload is not None else f"code on {host.name}"
    error = NotSimulated(
        f"{who} {real.does}{detail and f' ({detail})'}, whose time and result do not come from "
        f"the seed. Instead, {real.instead}; or let it pass with Simulation(allow=[{kind!r}])"
    )
    world.refused = world.refused or error
    raise error


def listen() -> None:
    """Watch what Python does from now on; handlers of worlds only are refused anything."""
    global _listens  # noqa: PLW0603 - Python keeps a hook for ever, so there is one
    if not _listens:
        _listens = True
        sys.addaudithook(_on_event)


def _on_event(event: str, arguments: tuple[Any, ...]) -> None:
    host = HERE.host
    if host is not None and (kind := _EVENTS.get(event)) is not None:
        shown = " ".join(str(each) for each in arguments[:2] if isinstance(each, (str, tuple)))
        refuse(host, kind, shown)
