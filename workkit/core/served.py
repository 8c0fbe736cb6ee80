"""How the server of consoles for browsers names the namespaces to the processes that it starts.

The arguments of a process can be read by all users of a machine; its environment only by its own.
"""

from __future__ import annotations

from typing import Final

__all__ = ["SERVED_PLACE", "SERVED_PLACES"]

#: The variable with all places: title, URL of the server and namespace of each, as JSON.
SERVED_PLACES: Final = "WORKKIT_SERVED_PLACES"
#: The variable with the number of the place that a console shows, from 1; "" for the list.
SERVED_PLACE: Final = "WORKKIT_SERVED_PLACE"
