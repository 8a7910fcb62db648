"""The secrets in notification rules: named in requests and results, written out for B2 alone.

A name is looked up among those that the secrets file has for the host of the rule's URL: a
rule cannot send a secret anywhere else.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

from b2jobs.errors import CallerError, OperatorError
from b2jobs.requests.bucket_rules import KEPT
from b2jobs_worker.secrets import SecretsFile

Rule = dict[str, Any]
_NAMED = "secret:"
_SIGNING = "hmacSha256SigningSecret"


def written_out(rules: list[Rule], there: list[Rule], secrets: SecretsFile) -> list[Rule]:
    """*rules* with their secrets; `***` is what the rule of the same name and host *there* has.

    Raises:
        CallerError: `secret_unknown`
        OperatorError: the secrets file cannot be used.
    """

    def fill(rule: Rule, where: str, value: str) -> str:
        host = _host(rule)
        if value == KEPT:
            return _kept(rule, there, where)
        known = secrets.notification(host)
        name = value.removeprefix(_NAMED)
        if name not in known:
            raise CallerError(
                "secret_unknown",
                f"The workers' secrets file has no {name!r} for notifications to {host}.",
                hint=f'Put it there, as "notifications": {{"{host}": {{"{name}": "..."}}}}.',
            )
        secret = known[name].get_secret_value()
        if where == _SIGNING and not re.fullmatch("[A-Za-z0-9]{32}", secret):
            raise OperatorError(
                "credentials_invalid",
                f"The secret {name!r} for notifications to {host} cannot sign: B2 takes 32 letters "
                "and digits.",
                hint="Put such a one into the secrets file.",
            )
        return secret

    return [_replaced(rule, fill) for rule in rules]


def named(rules: list[Rule], secrets: SecretsFile) -> list[Rule]:
    """*rules* as they may be shown: a secret by its name, or as `***`."""

    def hide(rule: Rule, _: str, value: str) -> str:
        for name, known in secrets.notification(_host(rule)).items():
            if known.get_secret_value() == value:
                return _NAMED + name
        return KEPT

    return [_replaced(rule, hide) for rule in rules]


def values(rules: list[Rule]) -> list[str]:
    """All secrets of *rules*, which are written out."""
    return [value for rule in rules for _, value in _secrets(rule)]


def _kept(rule: Rule, there: list[Rule], where: str) -> str:
    for old in there:
        if old.get("name") == rule["name"] and _host(old) == _host(rule):
            for name, value in _secrets(old):
                if name == where:
                    return value
    raise CallerError(
        "secret_unknown",
        f"The bucket's rule {rule['name']!r} has no {where} for {_host(rule)} that {KEPT} could "
        "stand for.",
        hint="Write secret:NAME, and put the secret into the workers' secrets file.",
    )


def _secrets(rule: Rule) -> Iterator[tuple[str, str]]:
    target = rule.get("targetConfiguration") or {}
    if secret := target.get(_SIGNING):
        yield _SIGNING, str(secret)
    for header in target.get("customHeaders") or ():
        yield f"header {str(header.get('name')).lower()}", str(header.get("value"))


def _replaced(rule: Rule, change: Callable[[Rule, str, str], str]) -> Rule:
    """A copy of *rule* whose secrets went through *change*."""
    made: Rule = copy.deepcopy(rule)
    target = made.get("targetConfiguration") or {}
    changed = {where: change(rule, where, value) for where, value in _secrets(rule)}
    if _SIGNING in changed:
        target[_SIGNING] = changed[_SIGNING]
    for header in target.get("customHeaders") or ():
        header["value"] = changed[f"header {str(header.get('name')).lower()}"]
    return made


def _host(rule: Rule) -> str:
    url = (rule.get("targetConfiguration") or {}).get("url", "")
    return (urlsplit(url).hostname or "").lower()
