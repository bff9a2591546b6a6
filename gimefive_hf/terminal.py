"""Text for a terminal, whatever a file is called."""

import sys


def terminal_text(text: str) -> str:
    """
    `text` with control characters as escapes, such as \\r or \\x1b: a file's name must not move the cursor, break the
    line or colour what follows.
    """
    return "".join(
        character.encode("unicode_escape").decode() if ord(character) < 32 or 127 <= ord(character) < 160 else character
        for character in text
    )


def escape_what_cannot_be_printed() -> None:
    """Let standard output and error write what they have no character for as an escape instead of failing at it."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # a test's or a caller's own stream may lack it
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
