"""Check a request to explain one answer: its texts, names and settings, before torch is imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attrib import config, models
from attrib.errors import ConfigError, InputError
from attrib.types.question import check_options

if TYPE_CHECKING:
    from attrib.model import VideoModel


def check(options: Sequence[str], answer: str | None, by_words: bool, target: str) -> None:
    """Raise InputError for arguments of `explain` that exclude each other or are empty."""
    check_options(options)
    if options and answer is not None:
        raise InputError("options, answer: expected one of the two, got both")
    if options and by_words:
        raise InputError("words: apply to free answers only; leave the options out")
    check_target(options, target)
    if answer is not None and not answer.strip():
        raise InputError("answer: the text is empty")


def check_target(options: Sequence[str], target: str) -> None:
    """Raise InputError for a target other than the default when the question has no options."""
    if not options and target != "predicted":
        raise InputError(f"target {target!r}: applies to options only; name them with --option")


def labelled(methods: Any) -> dict[str, Any] | None:
    """Return the methods by row label: parameters, None or a Method object. None stands for the default methods.

    Raises InputError for no method at all, UnknownName and ConfigError for a bad label or name.
    """
    if methods is None:
        return None
    if not isinstance(methods, Mapping):
        methods = dict.fromkeys([methods] if isinstance(methods, str) else methods)
    if not methods:
        raise InputError("methods: expected at least one, got none")
    for label, parameters in methods.items():
        if isinstance(parameters, Mapping | None):
            config.registered("methods", label, parameters)
    return dict(methods)


def explain_settings(
    model: str | VideoModel, settings: Mapping[str, Any] | None, options: Mapping[str, str] | None = None
) -> config.ExplainConfig:
    """Parse the settings of one answer; `model` names the model.

    `options`: as for `config.parse_explain`. Raises ConfigError if the settings name another model, and InputError if
    there can be no model of that name.
    """
    parsed = config.parse_explain(settings or {}, options)
    if not isinstance(model, str):
        return parsed
    if "name" in parsed.model.model_fields_set and parsed.model.name != model:
        raise ConfigError(f"model.name: expected {model!r} (given by --model), got {parsed.model.name!r}")
    models.check_name(model)
    return parsed.model_copy(update={"model": parsed.model.model_copy(update={"name": model})})
