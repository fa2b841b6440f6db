from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from attrib import config
from attrib.benchmarks.imputers.blur import Blur
from attrib.benchmarks.imputers.mean import Mean
from attrib.errors import ConfigError, InputError, UnknownName
from attrib.methods.grad_cam import GradCAM
from attrib.settings.benchmark import read_settings

LEAST = {"methods": {"grad_cam": None}, "metrics": {"mass": None}}


@dataclass(frozen=True)
class Sized:
    size: int
    kind: Literal["a", "b"] = "a"
    on: bool = False


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"modle": {}}, "modle: unknown key; did you mean 'model'?"),
        ({"model": {"frmes": 3}}, "model.frmes: unknown key; did you mean 'frames'?"),
        ({"model": {"frames": 0}}, "model.frames: input should be greater than or equal to 1, got 0"),
        ({"model": {"dtype": "int8"}}, "model.dtype: input should be 'auto', 'float32'"),
        ({"methods": ["grad_cam"]}, "methods: input should be a valid dictionary"),
        ({"seed": -1}, "seed: input should be greater than or equal to 0, got -1"),
        ({"seed": float("nan")}, "seed: input should be a valid integer, got nan"),
        ({"seed": True}, "seed: input should be a valid integer, got True"),
        ({"seed": 2**32}, "seed: input should be less than 4294967296"),
        ({"seed": 10**5000}, "seed: input should be less than 4294967296, got an unreadable int"),
        (
            {"model": {"dtype": "floa16"}},
            "model.dtype: input should be 'auto', 'float32', 'bfloat16', 'float16' or 'float64', "
            "got 'floa16'; did you mean 'float16'?",
        ),
        (
            {"model": {"sampling": ["x" * 500] * 500}},
            "model.sampling: input should be 'uniform' or 'one_per_second', got [",
        ),
        ({"imputers": ["blurr"]}, "imputers: unknown imputer 'blurr'; did you mean 'blur'?"),
        ({"imputers": ["mean", "blur", "mean"]}, "imputers: 'mean' is named twice"),
        ({"imputers": [3]}, "imputers: expected names of imputers, got 3"),
        ({"imputers": []}, "imputers: dictionary should have at least 1 item"),
        ({"imputers": "blur"}, "imputers: input should be a valid dictionary"),
        ({"imputers": {"soft": {"imputer": "blurr"}}}, "imputers: unknown imputer 'blurr'; did you mean 'blur'?"),
        ({"imputers": {"blur": {"sigm": 1}}}, "imputers.blur.sigm: unknown key; did you mean 'sigma'?"),
        ({"imputers": {"blur": {"sigma": -1}}}, "imputers.blur: sigma: expected more than 0, got -1.0"),
        ({"data": {1: 2}}, "data.1: input should be a valid string"),
    ],
)
def test_bad_settings_are_told_with_their_path(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config.parse({**LEAST, **settings})
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"size": 1, "knd": "a"}, "here.knd: unknown key; did you mean 'kind'?"),
        ({}, "here.size: is required"),
        ({"size": "x"}, "here.size: input should be a valid integer"),
        ({"size": True}, "here.size: input should be a valid integer"),
        ({"size": 1, "kind": "c"}, "here.kind: input should be 'a' or 'b', got 'c'"),
        ({"size": 1, "on": 1}, "here.on: input should be a valid boolean"),
    ],
)
def test_bad_parameters_are_told_with_their_path(parameters: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config.make(Sized, parameters, "here")
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("label", ["", " ", "../x", "/x", "a/b", "a\\b", ".x", "a\nb", "\x1b[31m", "x" * 65, "é" * 33])
def test_labels_name_files(label: str) -> None:
    with pytest.raises(ConfigError, match="methods: expected labels of 1 to 64 printable bytes"):
        config.build("methods", label, {"method": "centre"})


@pytest.mark.parametrize("label", ["x" * 64, "é" * 32, "a.b", "a b", "[red]", "<b>"])
def test_labels_may_be_words(label: str) -> None:
    assert config.build("methods", label, {"method": "centre"}).label == label


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"name": "perception_tst", "root": "x"}, "did you mean 'perception_test'?"),
        ({"name": ["demo"]}, r"data.name: expected a name, got \['demo'\]"),
        ({}, "data.name: is required; choose one of: demo, perception_test"),
        ({"name": "perception_test", "rot": "x"}, "data.rot: unknown key; did you mean 'root'?"),
        ({"name": "perception_test", "root": "x", "split": "vald"}, "got 'vald'; did you mean 'valid'?"),
        ({"name": "perception_test", "root": "x", "limit": 0}, "data: limit: expected at least one video, got 0"),
    ],
)
def test_unknown_data_is_told_with_the_nearest(data: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        config.dataset(config.parse({**LEAST, "data": data}))


def test_a_method_is_named_by_a_text() -> None:
    with pytest.raises(ConfigError, match=r"methods.x.method: expected a name, got \[1\]"):
        config.build("methods", "x", {"method": [1]})


def test_parameters_become_fields() -> None:
    assert config.make(Sized, {"size": 3, "kind": "b", "on": True}, "here") == Sized(3, "b", True)


def test_a_label_may_name_its_method() -> None:
    entry = config.build("methods", "cam_first", {"method": "grad_cam", "layer": "blocks.0"})
    assert (entry.label, entry.name, entry.item) == ("cam_first", "grad_cam", GradCAM("blocks.0"))
    with pytest.raises(UnknownName, match="did you mean 'grad_cam'"):
        config.build("methods", "gradcam")


def test_metrics_with_an_imputer_run_once_for_each() -> None:
    settings = {**LEAST, "metrics": {"srg": None, "mass": None, "only": {"metric": "srg", "imputer": "mean"}}}
    found = config.metric_entries(config.parse(settings))
    assert [(e.label, e.parameters.get("imputer")) for e in found] == [
        ("srg", "blur"), ("srg", "mean"), ("mass", None), ("only", "mean"),
    ]  # fmt: skip


def test_a_labelled_imputer_has_parameters_of_its_own() -> None:
    metrics = {"srg": None, "only": {"metric": "srg", "imputer": "soft"}, "named": {"metric": "srg", "imputer": "mean"}}
    imputers = {"blur": None, "soft": {"imputer": "blur", "sigma": 0.2}}
    entries = config.metric_entries(config.parse({**LEAST, "metrics": metrics, "imputers": imputers}))
    assert [(entry.label, entry.parameters["imputer"], entry.item.imputer) for entry in entries] == [
        ("srg", "blur", Blur()), ("srg", "soft", Blur(0.2)), ("only", "soft", Blur(0.2)), ("named", "mean", Mean()),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("imputer", "message"),
    [
        ("maen", "metrics.srg.imputer: unknown imputer 'maen'; did you mean 'mean'?"),
        ("sof", "metrics.srg.imputer: unknown imputer 'sof'; did you mean 'soft'?"),
        (3, "metrics.srg.imputer: expected the name of an imputer, got 3"),
    ],
)
def test_a_metrics_unknown_imputer_is_refused_with_the_nearest(imputer: object, message: str) -> None:
    settings = {**LEAST, "metrics": {"srg": {"imputer": imputer}}, "imputers": {"soft": {"imputer": "blur"}}}
    with pytest.raises(ConfigError) as caught:
        config.metric_entries(config.parse(settings))
    assert str(caught.value) == message


def test_override_reads_values_as_yaml_and_leaves_the_original() -> None:
    before = {"model": {"frames": 8}, "methods": {"grad_cam": None}}
    after = config.override(before, ["model.frames=4", "methods.grad_cam.layer=blocks.0", "a.b.c=[1, x]"])
    assert after == {
        "model": {"frames": 4}, "methods": {"grad_cam": {"layer": "blocks.0"}}, "a": {"b": {"c": [1, "x"]}},
    }  # fmt: skip
    assert before == {"model": {"frames": 8}, "methods": {"grad_cam": None}}


@pytest.mark.parametrize("text", ["seed", "=3", "a..b=1", "model.frames.x=1", "seed=[1", "seed=&a [*a]", "a=!!bool x"])
def test_bad_overrides_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--set"):
        config.override({"model": {"frames": 8}}, [text])


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"a: [1", "not valid YAML"), (b"- 1", "expected a mapping"), (b"\xff\xfe\x00", "cannot be read"),
     (b"a: !!python/object/apply:os.system ['true']", "not valid YAML")],
)  # fmt: skip
def test_files_that_are_no_settings_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        config.read(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="cannot be read"):
        config.read(tmp_path / "missing.yaml")


def test_the_shipped_configurations_are_valid_and_name_everything() -> None:
    from attrib import registry

    folder = Path(config.__file__).parent.parent / "configs"
    shipped = {path.stem: config.parse(read_settings(path)) for path in folder.glob("*.yaml")}
    assert set(shipped) == {"demo", "methods", "reference", "perception_test"}
    own = {name for name in registry.names("methods") if registry.source("methods", name).startswith("attrib ")}
    for whole in (shipped["methods"], shipped["reference"]):
        assert set(whole.metrics) == set(registry.names("metrics"))
        rows = {entry.name for entry in config.method_entries(whole)}
        assert rows == own - {"captum"}  # which stands for many, and has no default
    for found in shipped.values():
        assert {entry.name for entry in config.method_entries(found)} <= own
        assert {entry.name for entry in config.metric_entries(found)} <= set(shipped["reference"].metrics)
