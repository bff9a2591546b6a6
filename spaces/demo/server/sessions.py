"""What Gradio remembers of its visitors, cut down to what the page needs: no photo, no result, and not for long."""

import datetime
import time
from copy import copy
from typing import Any

from gradio.state_holder import SessionState, StateHolder

# Sessions beyond this many push out the one that was used least recently; Gradio keeps 10,000.
CAPACITY = 64
IDLE_SECONDS = 600
CLOSED_SECONDS = 30
# An answer that nobody fetches goes after this many seconds, or when there are so many newer ones.
UNREAD_SECONDS = 60
MAX_UNREAD = 64


class Session(SessionState):
    """A session without the copies of every value sent and shown that Gradio keeps for its links to past runs."""

    def __init__(self, blocks: Any) -> None:
        self.blocks_config = copy(blocks.default_config)
        self.config_values: dict[int, Any] = {}
        self.state_data: dict[int, Any] = {}
        self._state_ttl: dict[int, Any] = {}
        self.is_closed = False
        self.STATE_TTL_WHEN_CLOSED = CLOSED_SECONDS

    def __setitem__(self, key: int, value: Any) -> None:
        super().__setitem__(key, value)
        self.config_values.clear()

    def _update_config(self, key: int) -> None:
        pass

    def _update_value_in_config(self, key: int, value: Any) -> None:
        pass


class Sessions(StateHolder):
    """At most `CAPACITY` sessions, each forgotten when its page is closed or has been silent for long."""

    def set_blocks(self, blocks: Any) -> None:
        super().set_blocks(blocks)
        self.capacity = CAPACITY

    def __getitem__(self, session_id: str) -> SessionState:
        if session_id not in self.session_data:
            self.session_data[session_id] = Session(self.blocks)
        return super().__getitem__(session_id)

    def delete_all_expired_state(self) -> None:
        """Gradio calls this once a second."""
        super().delete_all_expired_state()
        now = datetime.datetime.now()
        for key, used in list(self.time_last_used.items()):
            session = self.session_data.get(key)
            limit = CLOSED_SECONDS if session is None or session.is_closed else IDLE_SECONDS
            if (now - used).total_seconds() > limit:
                with self.lock:
                    self.session_data.pop(key, None)
                    self.time_last_used.pop(key, None)


class UnreadAnswers:
    """Drops the messages of sessions without an event at work or in the queue: their page is closed, or never asked."""

    def __init__(self, queue: Any) -> None:
        self.queue = queue
        self.since: dict[str, float] = {}

    def sweep(self, alive: set[str], now: float | None = None) -> None:
        """To be called in the event loop's thread, now and then, with the ids of the events that live."""
        now = time.monotonic() if now is None else now
        pending, ids = self.queue.pending_messages_per_session, self.queue.pending_event_ids_session
        quiet = [session for session in {*pending, *ids} if not alive & ids.get(session, set())]
        self.since = {session: self.since.get(session, now) for session in quiet}
        unread = [session for session in quiet if session in pending and pending[session].qsize()]
        too_many = sorted(unread, key=self.since.__getitem__)[:-MAX_UNREAD]
        for session in {*too_many, *(name for name in quiet if self.since[name] < now - UNREAD_SECONDS)}:
            pending.pop(session, None)
            ids.pop(session, None)
            del self.since[session]
