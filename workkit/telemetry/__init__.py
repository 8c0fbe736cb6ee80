"""What monitoring systems see of workkit: metrics and health over HTTP, and systemd.

`exporter` reads a namespace; `worker` counts what one pool does; `server` answers on a port.
"""
