"""Write commands for the wire, and name scripts by their hash."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from hiredis import pack_command

from workkit.errors import ServerRefused
from workkit.store.handshake import lacks
from workkit.store.round_trip import Command
from workkit.store.scripts import Script

__all__ = ["by_source", "packed", "plain", "unknown_script"]


def packed(commands: Sequence[Command], lacking: Collection[str]) -> bytes:
    """Write commands in the form of the wire protocol.

    The connection's own packer is slower: it checks every argument for types that our arguments
    never have.

    Args:
        commands: The commands.
        lacking: Commands that the server lacks.
    """
    if len(commands) == 1:
        only: bytes = pack_command(plain(commands[0], lacking))
        return only
    return b"".join([pack_command(plain(command, lacking)) for command in commands])


def plain(command: Command, lacking: Collection[str]) -> Command:
    """Name a script by its hash, or by its source for a server that lacks EVALSHA."""
    script = command[0]
    if not isinstance(script, Script):
        return command
    if "EVALSHA" in lacking:
        return ("EVAL", script.source, *command[1:])
    return ("EVALSHA", script.sha, *command[1:])


def by_source(command: Command) -> Command:
    """Name a script by its source, for a server that does not know its hash."""
    return ("EVAL", command[0].source, *command[1:])


def unknown_script(command: Command, reply: ServerRefused, lacking: set[str]) -> bool:
    """Tell whether a script did not run, but would run if its source were sent.

    Args:
        command: The command.
        reply: The error reply.
        lacking: Commands that the server lacks; EVALSHA is added if the server lacks it.
    """
    if not isinstance(command[0], Script):
        return False
    if "EVALSHA" not in lacking and lacks(reply, "EVALSHA"):
        lacking.add("EVALSHA")
        return True
    return reply.code == "NOSCRIPT"
