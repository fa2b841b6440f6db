"""Strict configuration: YAML and `--set a.b=c` to validated values; unknown keys are refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_type_hints

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from attrib import registry
from attrib.errors import ConfigError, InputError, UnknownName, nearest, shown
from attrib.runtime.parsing import MOST_CHARACTERS, complaint, describe_error, parse_yaml, read_text

MOST_LABEL = 64  # bytes of UTF-8: a label names files, where each byte may be quoted as three characters
Parameters = dict[str, Any]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelSection(_Section):
    """Model and sampling of its frames."""

    name: str = "demo"  # demo, a checkpoint directory, or a Hugging Face id
    device: str = "auto"  # auto: a GPU where there is one, else cpu; or as torch names it, such as cuda:1
    dtype: Literal["auto", "float32", "bfloat16", "float16", "float64"] = "auto"  # auto: the checkpoint's own on a GPU
    device_map: Literal["auto"] | None = None  # auto spreads a model over GPUs; needs attrib[accelerate]
    pixels: int | None = Field(None, ge=1, strict=True)  # of all frames of a clip; None: what the checkpoint allows
    revision: str | None = None  # commit or branch of a Hugging Face id
    offline: bool = False  # read only what is in the cache of earlier downloads
    frames: int | None = Field(None, ge=1, le=10_000, strict=True)  # None: what the model takes by default
    sampling: Literal["uniform", "one_per_second"] = "uniform"  # how frames are spread over the video


class SanitySection(_Section):
    """Sanity check by randomising the model: number of videos, and of stages for each component of the model."""

    videos: int = Field(0, ge=0, strict=True)  # 0: no check
    stages: int = Field(3, ge=1, le=100, strict=True)  # steps from the trained to the random model


class FloorsSection(_Section):
    """Behavioural floors: number of videos; each needs two or three more maps for each method."""

    videos: int = Field(0, ge=0, strict=True)  # 0: no check


class ExplainConfig(_Section):
    """Settings of one explained answer: model, frame sampling and seed."""

    model: ModelSection = ModelSection()  # the model and how it sees a video
    seed: int = Field(0, ge=0, lt=2**32, strict=True)  # of all random numbers


def _auto(value: Any) -> Any:
    return None if value == "auto" else value


class Config(ExplainConfig):
    """Settings of a benchmark run. `methods` and `metrics` map row labels to parameters; `{}` means the defaults.

    A label is the registered name, unless the parameters name it: `cam_first: {method: grad_cam, layer: blocks.0}`.
    Metrics that remove cells of the video run once for each of `imputers`: a list of names, or a mapping of labels to
    parameters as for methods, `soft: {imputer: blur, sigma: 0.2}`. 0 videos or pairs turn a check off.
    """

    data: Parameters = Field(default_factory=lambda: {"name": "demo"})  # name of the data set, and its parameters
    methods: dict[str, Parameters | None]  # rows of the tables
    metrics: dict[str, Parameters | None]  # columns of the tables
    imputers: dict[str, Parameters | None] = Field({"blur": None, "mean": None}, min_length=1)  # of removed cells
    target: str = "predicted"  # the explained scalar: predicted, correct:K, option:K or contrast:I,J
    # processes that share the samples; None or auto: one for each GPU where several are visible, else one
    workers: Annotated[int | None, BeforeValidator(_auto)] = Field(None, ge=1, le=1024, strict=True)
    overlays: int = Field(1, ge=0, strict=True)  # overlay videos for each method
    resamples: int = Field(10_000, ge=100, le=10_000_000, strict=True)  # of the bootstrap
    sanity: SanitySection = SanitySection()  # check: does the map change when the model is randomised?
    floors: FloorsSection = FloorsSection()  # check: maps that cannot show the right evidence
    null_pairs: int = Field(0, ge=0, strict=True)  # other videos on whose annotation each map is scored
    null_metrics: list[str] | None = None  # labels of metrics for that score; None: the primary metrics


Schema = TypeVar("Schema", bound=ExplainConfig)


@dataclass(frozen=True)
class Entry:
    """A label, the registered name and the object built from its parameters; a removal metric also has an imputer."""

    label: str
    name: str
    item: Any
    imputer: Entry | None = None

    @cached_property
    def parameters(self) -> dict[str, Any]:
        """The item's parameters, defaults included; `imputer` is a label."""
        own = asdict(self.item)
        return {**own, "imputer": self.imputer.label} if self.imputer else own


def read(path: Path) -> dict[str, Any]:
    """Read a YAML mapping. Raises InputError for an unreadable file, ConfigError for anything but a YAML mapping."""
    settings = parse_yaml(read_text(path, MOST_CHARACTERS + 1), str(path))
    if not isinstance(settings, dict):
        kind = "an empty file" if settings is None else type(settings).__name__
        raise ConfigError(f"{path}: expected a mapping of settings, got {kind}")
    return settings


def override(settings: Mapping[str, Any], assignments: Iterable[str]) -> dict[str, Any]:
    """Return a copy of `settings` with each `a.b=c` applied; c is YAML. Raises ConfigError for another form."""
    result = _copy(settings)
    for text in assignments:
        path, equals, value = text.partition("=")
        keys = path.split(".")
        if not equals or not all(keys):
            raise ConfigError(f"--set {text!r}: expected the form a.b=value")
        section = result
        for key in keys[:-1]:
            if section.get(key) is None:
                section[key] = {}
            section = section[key]
            if not isinstance(section, dict):
                raise ConfigError(f"--set {text!r}: {key!r} is a value, not a section")
        section[keys[-1]] = parse_yaml(value, f"--set {text!r}")
    return result


def _copy(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _copy(value) if isinstance(value, Mapping) else value for key, value in settings.items()}


def parse(settings: Mapping[str, Any]) -> Config:
    """Validate a benchmark's settings. Raises ConfigError in one line: path, expectation, nearest valid key."""
    if isinstance(settings.get("imputers"), list):
        settings = {**settings, "imputers": imputer_section(settings["imputers"])}
    config = _parsed(Config, settings)
    if "imputers" in config.model_fields_set:
        imputer_entries(config)
    return config


def imputer_section(names: Sequence[Any]) -> dict[str, None]:
    """Mapping form of a list of imputers: each name without parameters. Raises ConfigError for a bad list."""
    for index, name in enumerate(names):
        if not isinstance(name, str):
            raise ConfigError(f"imputers: expected names of imputers, got {shown(name)}")
        if name in names[:index]:
            raise ConfigError(f"imputers: {name!r} is named twice")
    return dict.fromkeys(names)


def parse_explain(settings: Mapping[str, Any], options: Mapping[str, str] | None = None) -> ExplainConfig:
    """Validate the settings of one explained answer. Raises ConfigError as `parse`, for benchmark settings too.

    `options`: names of the caller's own options, such as `--target`, that replace a setting; the message names them.
    """
    for key in settings:
        if key in Config.model_fields and key not in ExplainConfig.model_fields:
            if options and key in options:
                raise ConfigError(f"{key}: is an option of its own; use {options[key]}")
            choices = ", ".join(sorted(ExplainConfig.model_fields))
            raise ConfigError(f"{key}: applies to benchmarks, not to one answer; choose one of: {choices}")
    return _parsed(ExplainConfig, settings)


def _parsed(schema: type[Schema], settings: Mapping[str, Any]) -> Schema:
    try:
        return schema.model_validate(settings)
    except ValidationError as error:
        raise ConfigError(_message(schema, error)) from None


def _message(schema: type[ExplainConfig], error: ValidationError) -> str:
    # A misspelt key is reported before the missing required one that it was meant to be.
    first = min(error.errors(include_url=False), key=lambda detail: detail["type"] != "extra_forbidden")
    if first["type"] != "extra_forbidden":
        return describe_error(first)
    *sections, key = first["loc"]
    section: Any = schema
    for name in sections:
        section = section.model_fields[name].annotation
    return f"{'.'.join(map(str, first['loc']))}: unknown key; {nearest(str(key), section.model_fields)}"


def build(
    kind: registry.Kind,
    label: str,
    parameters: Mapping[str, Any] | None = None,
    imputers: Mapping[str, Entry] | None = None,
) -> Entry:
    """Build the registered object that a label and its parameters name. Raises UnknownName and ConfigError.

    A removal metric's `imputer` is a label of `imputers`, or the name of a registered imputer.
    """
    name, given = registered(kind, label, parameters)
    cls = registry.get(kind, name)
    imputer = _imputer(cls, given.get("imputer"), imputers or {}, f"{kind}.{label}") if removes(cls) else None
    if imputer:
        given["imputer"] = imputer.item
    return Entry(label, name, make(cls, given, f"{kind}.{label}"), imputer)


def registered(kind: registry.Kind, label: str, parameters: Any) -> tuple[str, Parameters]:
    """Return the registered name that a label and its parameters name, and the other parameters. Loads nothing.

    Raises UnknownName and ConfigError.
    """
    if not _names_a_file(label):
        what = f"expected labels of 1 to {MOST_LABEL} printable bytes, without slash and not starting with a dot"
        raise ConfigError(f"{kind}: {what}, got {shown(label)}")
    if not isinstance(parameters, Mapping | None):
        raise ConfigError(f"{kind}.{label}: expected a mapping of parameters, got {shown(parameters)}")
    given = dict(parameters or {})
    name = given.pop(kind[:-1], label)
    if not isinstance(name, str):
        raise ConfigError(f"{kind}.{label}.{kind[:-1]}: expected a name, got {shown(name)}")
    registry.check(kind, name)
    return name, given


def check_names(settings: Mapping[str, Any]) -> None:
    """Raise UnknownName or ConfigError for a name in a benchmark's raw settings that is not registered. Loads nothing.

    `parse` does not: a run whose plug-ins are no longer installed can still be read.
    """
    for kind in ("methods", "metrics"):
        section = settings.get(kind)
        for label, parameters in section.items() if isinstance(section, Mapping) else ():
            if isinstance(label, str) and isinstance(parameters, Mapping | None):
                registered(kind, label, parameters)
    data = settings.get("data")
    if isinstance(data, Mapping) and isinstance(data.get("name"), str):
        registry.check("datasets", data["name"])


def removes(cls: Any) -> bool:
    """Tell whether a metric removes cells of the video: it has a parameter `imputer: Imputer`."""
    return is_dataclass(cls) and get_type_hints(cls).get("imputer") is _imputer_type()


def _imputer_type() -> type:
    from attrib.imputer import Imputer  # needs torch

    return Imputer


def _imputer(cls: Any, given: Any, known: Mapping[str, Entry], path: str) -> Entry:
    """Imputer that a metric's parameter names, by default that of the metric class."""
    if given is None:
        default = cls.imputer
        name = registry.snake_case(type(default).__name__)
        return Entry(name, name, default)
    if not isinstance(given, str):
        raise ConfigError(f"{path}.imputer: expected the name of an imputer, got {shown(given)}")
    if given in known:
        return known[given]
    if given not in registry.names("imputers"):
        choices = {*known, *registry.names("imputers")}
        raise ConfigError(f"{path}.imputer: unknown imputer {given!r}; {nearest(given, choices)}")
    return build("imputers", given)


def _names_a_file(label: str) -> bool:
    size = len(label.encode(errors="replace"))
    return label.isprintable() and bool(label.strip()) and size <= MOST_LABEL and not re.search(r"[/\\]|^\.", label)


def make(cls: Callable[..., Any], parameters: Mapping[str, Any], path: str) -> Any:
    """Build an instance of the dataclass `cls` from validated fields. Raises ConfigError, which names `path`."""
    kind: Any = cls
    if not (isinstance(kind, type) and is_dataclass(kind)):
        raise ConfigError(f"{path}: expected a dataclass, got {cls!r}")
    hints, known = get_type_hints(kind, include_extras=True), {field.name: field for field in fields(kind)}
    for key in parameters:
        if key not in known:
            raise ConfigError(f"{path}.{key}: unknown key; {nearest(str(key), known)}")
    for name, field in known.items():
        if field.default is MISSING and field.default_factory is MISSING and name not in parameters:
            raise ConfigError(f"{path}.{name}: is required")
    values = {key: _validated(hints[key], value, f"{path}.{key}") for key, value in parameters.items()}
    try:
        return cls(**values)
    except (ValueError, ArithmeticError, InputError) as error:
        raise ConfigError(f"{path}: {error}") from error


def _validated(hint: Any, value: Any, path: str) -> Any:
    try:
        return TypeAdapter(hint).validate_python(value, strict=isinstance(value, bool) or hint is bool)
    except ValidationError as error:
        raise ConfigError(complaint(error, path)) from None


def method_entries(config: Config) -> list[Entry]:
    """Rows of the benchmark: its methods."""
    return [build("methods", label, given) for label, given in config.methods.items()]


def metric_entries(config: Config) -> list[Entry]:
    """Columns of the benchmark; a removal metric has one for each imputer, unless it names its own."""
    entries, imputers = [], imputer_entries(config)
    for label, given in config.metrics.items():
        entry = build("metrics", label, given, imputers)
        parameters = given or {}
        repeats = entry.imputer is not None and "imputer" not in parameters
        variants = [{**parameters, "imputer": name} for name in imputers] if repeats else [parameters]
        entries += [build("metrics", label, variant, imputers) for variant in variants]
    return entries


def imputer_entries(config: Config) -> dict[str, Entry]:
    """Imputers of the benchmark by label. Raises ConfigError for an unknown imputer or a bad parameter."""
    try:
        for label, given in config.imputers.items():
            registered("imputers", label, given)  # all names, before any is loaded
        return {label: build("imputers", label, given) for label, given in config.imputers.items()}
    except UnknownName as error:
        raise ConfigError(f"imputers: {error}") from None


def dataset(config: Config) -> Any:
    """Data set of the benchmark: an iterable of samples. Raises UnknownName and ConfigError."""
    given = dict(config.data)
    name = given.pop("name", "")
    if not isinstance(name, str):
        raise ConfigError(f"data.name: expected a name, got {shown(name)}")
    if not name:
        raise ConfigError(f"data.name: is required; choose one of: {', '.join(registry.names('datasets'))}")
    return make(registry.get("datasets", name), given, "data")
