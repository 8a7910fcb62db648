"""Methods of a default client as functions of a module, typed and documented as the methods are."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import iscoroutinefunction, signature
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

C = TypeVar("C")
P = ParamSpec("P")
T = TypeVar("T")


def function(method: Callable[Concatenate[C, P], T], client: Callable[[], C]) -> Callable[P, T]:
    """*method* of what *client* returns when the function is called."""

    def call(*arguments: Any, **options: Any) -> Any:
        return getattr(client(), method.__name__)(*arguments, **options)

    async def awaited(*arguments: Any, **options: Any) -> Any:
        return await call(*arguments, **options)

    made = wraps(method)(awaited if iscoroutinefunction(method) else call)
    parameters = list(signature(method).parameters.values())[1:]  # without self
    made.__signature__ = signature(method).replace(parameters=parameters)  # type: ignore[attr-defined]  # inspect's
    return cast("Callable[P, T]", made)
