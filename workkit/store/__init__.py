"""The one package that talks to Redis: keys, scripts, typed exchanges and connections.

`keys` builds every key. `lua/` holds every script; its README explains the keyspace. The modules of
`calls/` are named as the scripts that they call, and return typed exchanges. `connections/` opens
connections and sends exchanges over them, for threads and for asyncio.
"""
