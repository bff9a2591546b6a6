"""Which names this server answers to: a page on another name, made to point here, gets nothing (DNS rebinding)."""

import ipaddress
import os
from collections.abc import Iterable
from urllib.parse import urlsplit

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
EVERY_ADDRESS = frozenset({"0.0.0.0", "::"})


class Hosts:
    """
    The trusted host names, in lower case and without ports.

    Loopback names always are; so is the name the server listens on, what the user adds (`--allow-host`, or the
    environment's GIMEFIVE_ALLOWED_HOSTS with commas), and a Space's own name. A server that listens on every address
    also answers to addresses in figures, which no other page can be made to share.
    """

    def __init__(self, host: str = "127.0.0.1", allowed: Iterable[str] = ()) -> None:
        own = host.strip("[]").lower()
        self.everywhere = own in EVERY_ADDRESS
        extra = os.environ.get("GIMEFIVE_ALLOWED_HOSTS", "").split(",")
        spaces = os.environ.get("SPACE_HOST", "").split(",")
        names = {bare(name.strip()) for name in (*allowed, *extra, *spaces) if name.strip()}
        self.added = names - {""}
        self.names = LOOPBACK | self.added | ({own} - EVERY_ADDRESS)

    def trusts(self, host: str | None) -> bool:
        """Whether a Host header (name, or name:port) names this server."""
        name = bare(host or "")
        return name in self.names or (self.everywhere and is_address(name))

    def trusts_origin(self, origin: str | None, host: str) -> bool:
        """Whether a page of this Origin may use the server: its own page, or one of a name that the user added."""
        if origin is None:
            return True
        parts = urlsplit(origin)
        return parts.scheme in ("http", "https") and (
            parts.netloc.lower() == host.lower() or bare(origin) in self.added
        )


def bare(host: str) -> str:
    """The name in "name:port", "[::1]:7860" or "http://name:port", or "" where there is none."""
    try:
        return urlsplit(host if "://" in host else f"//{host}").hostname or ""
    except ValueError:
        return ""


def is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
