"""What the OpenAPI document says that FastAPI cannot see: bodies that are read by hand, streams, refusals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from wire import EventType, ExecuteRequest, Refusal, WireEvent

if TYPE_CHECKING:
    from fastapi import FastAPI

_COMPONENTS = "#/components/schemas/"
_REFUSALS = {
    400: "no JSON, another protocol, or an unknown event id",
    401: "token missing or wrong",
    403: "not allowed without a token",
    404: "not known on this boot",
    409: "the id exists with another body",
    410: "it ran, and its answer is no longer kept",
    413: "the body is too large",
    415: "the body is not JSON",
    422: "a field does not fit, or the bytes are not those of their name",
    424: "blobs are missing; PUT them first",
    429: "all places are taken",
    503: "this worker refuses to run code, or is draining",
    507: "the blob store is full",
}
_GATE = (401, 403, 503)


def model(name: str) -> dict[str, Any]:
    """A reference to a model of the protocol."""
    return {"$ref": _COMPONENTS + name}


STREAM = {
    "text/event-stream": {
        "schema": {
            "type": "object",
            "description": "one event of the stream; comment lines keep it alive",
            "required": ["id", "event", "data"],
            "properties": {
                "id": {"type": "string", "pattern": "^[0-9]+$"},
                "event": {"type": "string", "enum": list(get_args(EventType))},
                "data": {
                    "type": "string",
                    "contentMediaType": "application/json",
                    "contentSchema": model("WireEvent"),
                },
            },
        }
    }
}
LAST_EVENT_ID = {
    "name": "Last-Event-ID",
    "in": "header",
    "schema": {"type": "integer", "minimum": 0},
    "description": "the last event that was seen; the stream goes on after it",
}


def refusals(*codes: int) -> dict[int | str, dict[str, Any]]:
    """The documented refusals of a route: these, and those of the gate in front of every route."""
    return {code: {"model": Refusal, "description": _REFUSALS[code]} for code in sorted({*codes, *_GATE})}


def body_of(media_type: str, schema: dict[str, Any]) -> dict[str, Any]:
    """The description of a body that the route reads itself."""
    return {"requestBody": {"required": True, "content": {media_type: {"schema": schema}}}}


def describe(app: FastAPI) -> None:
    """Add the models that only bodies and streams name."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        schemas = document["components"]["schemas"]
        for extra in (ExecuteRequest, WireEvent):
            schema = extra.model_json_schema(ref_template=_COMPONENTS + "{model}")
            schemas.update(schema.pop("$defs", {}))
            schemas[extra.__name__] = schema
        return document

    app.openapi = openapi  # type: ignore[method-assign]
