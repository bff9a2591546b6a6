"""Speaking to the Hub: a repository filled with the files of a folder, and every refusal as one line."""

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled, RepositoryNotFoundError
from huggingface_hub.utils import logging

# What the client's own client raises where nobody answers: httpx2's error in huggingface_hub 2.4, httpx's before.
NO_ANSWER = tuple(import_module(name).HTTPError for name in ("httpx2", "httpx") if find_spec(name) is not None)

T = TypeVar("T")

# Answers that may be others a moment later: too many requests, and the server's own troubles.
PASSING = (429, 500, 502, 503, 504)
WAITS = (1.0, 4.0, 15.0)  # seconds before each further try, or as many as the Hub asks for
LONGEST_WAIT = 300  # seconds: the Hub counts requests in windows of five minutes


@contextmanager
def one_line(repo: str) -> Iterator[None]:
    """Make what the client raises a ValueError that says what to do."""
    try:
        yield
    except OfflineModeIsEnabled as error:
        raise ValueError("the Hub cannot be asked while HF_HUB_OFFLINE is set") from error
    except HFValidationError as error:
        raise ValueError(f"{error}; give the repository as USER/NAME") from error
    except HfHubHTTPError as error:
        code = status(error)
        hint = "; set HF_TOKEN to a token that may write there" if code in (401, 403, 404) else ""
        hint = hint or ("; the same command goes on later" if code in PASSING else "")
        reason = " ".join((error.server_message or str(error).splitlines()[0]).split()).rstrip(".")
        raise ValueError(f"the Hub refused {repo} ({code or 'no answer'}): {reason}{hint}") from error
    except (OSError, RuntimeError, *NO_ANSWER) as error:  # the second: a file that did not go up
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(f"the Hub was not reached for {repo} ({reason}); the same command goes on") from error


@contextmanager
def quiet_client() -> Iterator[None]:
    """Without the client's own lines about every further try: a refusal is one line in the end."""
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


def status(error: HfHubHTTPError) -> int | None:
    """The answer's number; None if there was no answer."""
    return None if error.response is None else error.response.status_code


def patiently(action: Callable[..., T], *args: Any, **options: Any) -> T:
    """Call, and call again after a while if the Hub said that it is busy."""
    for wait in (*WAITS, None):
        try:
            return action(*args, **options)
        except HfHubHTTPError as error:
            asked = asked_wait(error)
            if wait is None or status(error) not in PASSING or asked > LONGEST_WAIT:
                raise
        time.sleep(max(wait, asked))
    raise AssertionError("unreachable")


def asked_wait(error: HfHubHTTPError) -> float:
    """Seconds that an answer asks to wait for, by `Retry-After`; 0 if it says nothing."""
    text = "" if error.response is None else error.response.headers.get("Retry-After", "")
    return float(text) if text.isdigit() else 0.0


def fill(
    api: HfApi, repo: str, folder: Path, kind: str = "model", private: bool = False, sdk: str | None = None
) -> str:
    """
    Make `repo` hold exactly the files of `folder`; returns the commit's address. What is there already, the same, is
    not sent again, so that a call that was cut off is finished by the next one.

    Raises:
        ValueError: if the Hub refuses, or if the repository is there but of another kind, or public when `private` was
            asked for, or the reverse.
    """
    with one_line(repo), quiet_client():
        patiently(api.create_repo, repo, repo_type=kind, private=private, exist_ok=True, space_sdk=sdk)
        try:
            there = patiently(api.repo_info, repo, repo_type=kind)
        except RepositoryNotFoundError:
            raise ValueError(f"the Hub has {repo}, but as no {kind}: rename that one first, or delete it") from None
        if bool(there.private) != private:
            asked, found = ("private", "public") if private else ("public", "private")
            raise ValueError(f"{repo} is there and is {found}; {asked} was asked for: change one of the two first")
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", "It seems that you are about to commit a data file"
            )  # results, in a Space
            done = patiently(
                api.upload_folder,
                repo_id=repo,
                repo_type=kind,
                folder_path=folder,
                commit_message=f"Publish {repo.split('/')[-1]}",
                delete_patterns="*",
            )
        return done.commit_url


def listing(title: str, folder: Path) -> str:
    """What would go up, one line a file."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = [f"{path.stat().st_size:>12,}  {path.relative_to(folder).as_posix()}" for path in files]
    total = sum(path.stat().st_size for path in files)
    return "\n".join([title, *lines, f"{total:>12,}  bytes in {len(files)} files"])
