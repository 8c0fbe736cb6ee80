"""Bindings to frameworks, one package each. Each needs its framework; nothing else imports them."""
