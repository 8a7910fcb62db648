"""The JSON body of a call, read field by field; what is wrong is B2's bad_request."""

from __future__ import annotations

from typing import Any

from b2emulator.errors import bad_request

Json = dict[str, Any]
MAX_INTEGER = 2**53
"""What B2's JSON, and every client's, can tell from its neighbours."""


def digits(text: str, name: str, high: int) -> int:
    """A number in a header or a query: ASCII digits, at most *high*."""
    if not (text.isascii() and text.isdigit()) or len(text.lstrip("0")) > 18 or int(text) > high:
        raise bad_request(f"{name} must be a number up to {high}: {text[:40]}")
    return int(text)


def is_integer(value: object, low: int, high: int) -> bool:
    """Whether *value* is a whole JSON number in *low*..*high*; true is none."""
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


class Params:
    """Typed access to the fields of a request."""

    def __init__(self, fields: Json) -> None:
        self.fields = fields

    def has(self, name: str) -> bool:
        return self.fields.get(name) is not None

    def text(self, name: str) -> str:
        value = self.optional_text(name)
        if value is None:
            raise bad_request(f"required field {name} is missing")
        return value

    def optional_text(self, name: str) -> str | None:
        value = self.fields.get(name)
        if value is not None and not isinstance(value, str):
            raise bad_request(f"{name} must be a string")
        return value

    def number(self, name: str, default: int | None, low: int, high: int) -> int:
        """A whole number in *low*..*high*; text digits are taken too, as GET sends them."""
        value = self.fields.get(name)
        if value is None and default is not None:
            return default
        if value is None:
            raise bad_request(f"required field {name} is missing")
        if isinstance(value, str):
            value = digits(value, name, high)
        if isinstance(value, bool) or not isinstance(value, int):
            raise bad_request(f"{name} must be a number")
        if not low <= value <= high:
            raise bad_request(f"{name} is out of range: it must be in {low} to {high}")
        return value

    def flag(self, name: str) -> bool | None:
        value = self.fields.get(name)
        if value is not None and not isinstance(value, bool):
            raise bad_request(f"{name} must be true or false")
        return value

    def object(self, name: str) -> Json | None:
        value = self.fields.get(name)
        if value is not None and not isinstance(value, dict):
            raise bad_request(f"{name} must be an object")
        return value

    def texts(self, name: str) -> list[str] | None:
        value = self.fields.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            raise bad_request(f"{name} must be a list of strings")
        return value

    def objects(self, name: str) -> list[Json] | None:
        value = self.fields.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
            raise bad_request(f"{name} must be a list of objects")
        return value
