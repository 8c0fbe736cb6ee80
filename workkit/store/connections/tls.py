"""Finds the TLS setting that cannot work; OpenSSL's errors name neither setting nor file."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, Final

from workkit.core.showing import shown
from workkit.errors import InvalidOption

__all__ = ["check_tls", "fault_of_files"]

#: Settings that name a file.
_FILES: Final = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")


def check_tls(settings: Mapping[str, Any]) -> None:
    """Refuse values that no connection can use; files are read when a connection is made.

    Raises:
        InvalidOption: The message names the setting.
    """
    for name in (*_FILES, "ssl_ca_path"):
        path = settings.get(name)
        if path is not None and not isinstance(path, (str, PathLike)):
            raise InvalidOption(f"redis has the {name} {shown(path)}, which is not a path")
    if settings.get("ssl_keyfile") and not settings.get("ssl_certfile"):
        raise InvalidOption("redis has an ssl_keyfile, which needs ssl_certfile, its certificate")
    version, ciphers = settings.get("ssl_min_version"), settings.get("ssl_ciphers")
    if version is None and not ciphers:
        return
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if version is not None:
        known = {each.name: int(each) for each in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)}
        try:
            context.minimum_version = version
        except (ValueError, TypeError, OverflowError):
            names = " or ".join(f"{number} ({name})" for name, number in known.items())
            raise InvalidOption(
                f"redis has the ssl_min_version {shown(version)}; it must be a number of Python's "
                f"ssl.TLSVersion, such as {names}"
            ) from None
    if ciphers:
        try:
            context.set_ciphers(ciphers)
        except (ssl.SSLError, TypeError, ValueError):
            raise InvalidOption(
                f"redis has the ssl_ciphers {shown(ciphers)}, which names no cipher of OpenSSL"
            ) from None


def fault_of_files(settings: Mapping[str, Any]) -> str:
    """Say what is wrong with the files that TLS needs; "" if they can be used."""
    for name in _FILES:
        if path := settings.get(name):
            try:
                Path(path).read_bytes()
            except OSError as error:
                return f"cannot read {path}, the file of {name}: {error.strerror or error}"
    folder = settings.get("ssl_ca_path")
    if folder and not Path(folder).is_dir():
        return f"{folder}, the value of ssl_ca_path, is not a folder"
    return _unusable(settings)


def _unusable(settings: Mapping[str, Any]) -> str:
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if authorities := settings.get("ssl_ca_certs"):
        try:
            context.load_verify_locations(cafile=authorities)
        except ssl.SSLError:
            return f"{authorities}, the file of ssl_ca_certs, has no certificates in PEM format"
    own, key = settings.get("ssl_certfile"), settings.get("ssl_keyfile")
    if own:
        try:
            # Without a password here, OpenSSL would ask at the terminal for that of the key.
            context.load_cert_chain(own, key, settings.get("ssl_password") or "")
        except ssl.SSLError:
            needs = "" if key else ", or the key is in another file, which ssl_keyfile names"
            return (
                f"{own}, the file of ssl_certfile, and its private key cannot be used: one of them "
                f"is not in PEM format, they do not match, or ssl_password is wrong{needs}"
            )
    return ""
