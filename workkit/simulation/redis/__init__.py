"""The server of a simulated world: fakeredis or a real one, in virtual time."""
