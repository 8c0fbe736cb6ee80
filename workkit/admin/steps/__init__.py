"""What enqueuers, clients and tools say to Redis: logic as steps, without I/O.

A function here returns a `Step`: it yields exchanges, is resumed with the replies, and returns a
result. Who carries it out (a thread, an event loop, the simulator) is not its business.
"""
