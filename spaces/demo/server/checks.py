"""What the JSON of a call may hold: known endpoints, plain values, and files where a component takes one."""

import inspect
import json
import re
from typing import Any

import gradio as gr

from .uploads import NotAnUploadError, safe_name

MAX_VALUES = 64
MAX_EVENT_DATA = 4096
SESSION = re.compile(r"[\w-]{1,64}")
FILE_COMPONENTS = (gr.Image, gr.Video, gr.File)


class RequestError(ValueError):
    """A request that the demo does not take, with the HTTP status of the answer. Its text tells nothing of the disk."""

    def __init__(self, message: str, status: int = 422) -> None:
        super().__init__(message)
        self.status = status


def check_call(blocks: Any, match: re.Match[str], body: dict[str, Any]) -> dict[str, Any]:
    """The body with nothing in it but what the endpoint takes. Raises RequestError."""
    if match["v2"]:
        return check_named(find_endpoint(blocks, match["v2"]), body)
    if match["name"]:
        function = find_endpoint(blocks, match["name"])
    elif match["event"]:
        event = blocks._queue.event_ids_to_events.get(match["event"])
        if event is None:
            raise RequestError("Not found.", 404)
        function = event.fn
    else:
        function = find_function(blocks, body.get("fn_index"))
    checked: dict[str, Any] = {"data": check_values(inputs_of(function, body.get("data")), body["data"])}
    checked |= check_context(body)
    if not (match["name"] or match["event"]):
        checked["fn_index"] = function._id
        if "session_hash" not in checked:
            raise RequestError("Expected a session.", 400)
    return checked


def check_context(body: dict[str, Any]) -> dict[str, Any]:
    """The parts of a call that say where it comes from."""
    context: dict[str, Any] = {}
    session, trigger, event_data = body.get("session_hash"), body.get("trigger_id"), body.get("event_data")
    if session is not None:
        if not isinstance(session, str) or not SESSION.fullmatch(session):
            raise RequestError("Expected a session.", 400)
        context["session_hash"] = session
    if type(trigger) is int and 0 <= trigger < 1 << 31:
        context["trigger_id"] = trigger
    if event_data is not None and len(json.dumps(event_data)) <= MAX_EVENT_DATA and not names_file(event_data):
        context["event_data"] = event_data
    return context


def find_endpoint(blocks: Any, name: str) -> Any:
    """The public endpoint of this name: the page's own events cannot be called by the names of their functions."""
    for function in blocks.fns.values():
        if function.api_name == name and function.api_visibility == "public":
            return function
    raise RequestError("Not found.", 404)


def find_function(blocks: Any, index: object) -> Any:
    if type(index) is not int or index not in blocks.fns:
        raise RequestError("Not found.", 404)
    return blocks.fns[index]


def inputs_of(function: Any, data: object) -> list[Any]:
    """The components that the values are for; callers by name leave out those that only the page knows."""
    shown = [block for block in function.inputs if not block.skip_api]
    for components in (function.inputs, shown):
        if isinstance(data, list) and len(data) == len(components) <= MAX_VALUES:
            return list(components)
    raise RequestError(f"Expected `data` as a list of {len(shown)} values.")


def check_values(components: list[Any], values: list[Any]) -> list[Any]:
    return [check_value(component, value) for component, value in zip(components, values, strict=True)]


def check_value(component: Any, value: Any) -> Any:
    """The value if it is a plain one; a file as Gradio takes it. Raises RequestError."""
    if value is None or isinstance(value, (bool, int, float, str)):
        # a string in the place of a file is a path or an address to Gradio
        if isinstance(component, FILE_COMPONENTS) and value is not None:
            raise RequestError(str(NotAnUploadError()), 400)
        return value
    if not isinstance(component, FILE_COMPONENTS):
        raise RequestError(f"Expected a plain value for {component.label or 'this input'}.")
    return check_file(value)


def check_file(value: Any) -> dict[str, Any]:
    """A picture as a data URL, or a path that the ledger has yet to know. Raises RequestError."""
    if not isinstance(value, dict):
        raise RequestError(str(NotAnUploadError()), 400)
    path, url, name = value.get("path"), value.get("url"), value.get("orig_name")
    kept: dict[str, Any] = {"path": None, "meta": {"_type": "gradio.FileData"}}
    if isinstance(name, str):
        kept["orig_name"] = safe_name(name)
    if isinstance(path, str) and path:
        return kept | {"path": path}
    if isinstance(url, str) and url.startswith("data:image/"):
        return kept | {"url": url}
    raise RequestError(str(NotAnUploadError()), 400)


def check_named(function: Any, body: dict[str, Any]) -> dict[str, Any]:
    """The same for values by the names of the function's parameters."""
    parameters = list(inspect.signature(function.fn).parameters.values())[: len(function.inputs)]
    components = dict(zip([parameter.name for parameter in parameters], function.inputs, strict=True))
    if unknown := sorted(set(body) - set(components)):
        raise RequestError(f"No such parameter: {unknown[0][:40]!r}; expected {', '.join(components)}.")
    for parameter in parameters:
        if parameter.default is parameter.empty and parameter.name not in body:
            raise RequestError(f"Expected a value for {parameter.name}.")
    return {name: check_value(components[name], value) for name, value in body.items()}


def claimed_paths(checked: dict[str, Any]) -> list[str]:
    """The uploads that a checked call names."""
    values = checked["data"] if isinstance(checked.get("data"), list) else checked.values()
    return [value["path"] for value in values if isinstance(value, dict) and value.get("path")]


def names_file(value: Any) -> bool:
    """Whether an address or a path stands anywhere in it."""
    if isinstance(value, dict):
        return bool({"path", "url", "meta"} & set(value)) or any(names_file(part) for part in value.values())
    return isinstance(value, list) and any(names_file(part) for part in value)
