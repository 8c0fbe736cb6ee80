"""The logic of clients and tools as steps, without I/O.

A function here returns a `Step`: a generator that yields round trips, receives the replies, and
returns a result. A thread, an event loop or the simulator carries it out.
"""
