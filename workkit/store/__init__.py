"""The one package that talks to Redis: keys, scripts, typed round trips and connections.

`keys` builds every key. `lua/` holds every script; its README explains the keyspace. The modules of
`calls/` are named as the scripts that they call, and return typed round trips. `connections/` opens
connections and sends round trips over them, for threads and for asyncio.
"""
