"""The one package that talks to Redis: keys, scripts, typed exchanges, and what carries them.

`keys` builds every key; `lua/` holds every script, and its README the legend of the keyspace;
`dispatching`, `enqueuing`, `due`, `pools`, `queues`, `reading` and `mending` turn them into typed
exchanges; `link` and `aio` carry exchanges over connections that `target` opens.
"""
