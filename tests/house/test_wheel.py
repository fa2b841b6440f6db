"""What pip installs is what git tracks."""

from __future__ import annotations

import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

import pytest

import attrib

from installing import build_wheel, copy_tracked, install, python, run

pytestmark = pytest.mark.slow

VERSION = attrib.__version__
PACKAGES = {"attrib": "attrib", "methods": "attrib/methods", "benchmarks": "attrib/benchmarks",
            "configs": "attrib/configs"}  # fmt: skip


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_tracked(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="module")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(checkout, tmp_path_factory.mktemp("wheel"))


def expected(checkout: Path) -> set[str]:
    """The tracked files of the four folders, where they belong once installed."""
    files = (path.relative_to(checkout) for path in checkout.rglob("*") if path.is_file())
    return {str(PurePosixPath(PACKAGES[path.parts[0]], *path.parts[1:])) for path in files if path.parts[0] in PACKAGES}


def test_the_wheel_holds_exactly_the_tracked_files(checkout: Path, wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as file:
        found = {name for name in file.namelist() if ".dist-info/" not in name}
    wanted = expected(checkout)
    assert found == wanted, f"missing: {sorted(wanted - found)}; too many: {sorted(found - wanted)}"


@pytest.mark.parametrize(
    "name",
    ["attrib/py.typed", "attrib/configs/demo.yaml", "attrib/methods/grad_cam.py",
     "attrib/benchmarks/metrics/objects/mass.py",
     "attrib/demo/checkpoint/config.json", "attrib/demo/checkpoint/model.safetensors"],
)  # fmt: skip
def test_what_is_easily_left_out_is_in(wheel: Path, name: str) -> None:
    with zipfile.ZipFile(wheel) as file:
        assert name in file.namelist()


def test_the_wheel_carries_its_licence_and_entry_points(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as file:
        info = next(name.split("/")[0] for name in file.namelist() if ".dist-info/" in name)
        assert "Apache License" in file.read(f"{info}/licenses/LICENSE").decode()
        assert "attrib = attrib.cli:main" in file.read(f"{info}/entry_points.txt").decode()


def test_installed_it_works_away_from_the_checkout(wheel: Path, tmp_path: Path) -> None:
    """Every entry point loads from the installed files, and nothing lies at the top level but attrib."""
    site = install(wheel, tmp_path / "site")
    assert {path.name for path in site.iterdir() if not path.name.endswith(".dist-info")} == {"attrib", "bin"}
    program = (
        "import pathlib, sys, attrib\n"
        "from attrib import registry\n"
        "site = pathlib.Path(sys.argv[1])\n"
        "assert list(map(pathlib.Path, attrib.__path__)) == [site / 'attrib'], attrib.__path__\n"
        "for kind in registry.KINDS:\n"
        "    for name in registry.names(kind):\n"
        "        home = sys.modules[registry.get(kind, name).__module__].__file__\n"
        "        assert pathlib.Path(home).is_relative_to(site), home\n"
        "        print(kind, name)\n"
    )
    listed = python(["-c", program, str(site)], site, tmp_path)
    assert "methods grad_cam" in listed
    assert "metrics object_auc" in listed


def test_a_package_missing_from_the_list_would_be_found(tmp_path: Path) -> None:
    """The comparison is not vacuous: leave a package out and the wheel lacks its files."""
    broken = copy_tracked(tmp_path / "broken")
    settings = (broken / "setup.cfg").read_text()
    (broken / "setup.cfg").write_text(settings.replace("    attrib.benchmarks.stats\n", "", 1))
    with zipfile.ZipFile(build_wheel(broken, tmp_path)) as file:
        assert not any(name.startswith("attrib/benchmarks/stats/") for name in file.namelist())


@pytest.fixture(scope="module")
def sdist(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    program = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"
    run([sys.executable, "-c", program, str(folder)], checkout)
    (found,) = folder.glob("*.tar.gz")
    return found


def test_an_index_would_take_both_packages(sdist: Path, wheel: Path) -> None:
    pytest.importorskip("twine", reason="twine is not installed")
    said = run([sys.executable, "-m", "twine", "check", "--strict", str(sdist), str(wheel)], sdist.parent)
    assert said.count("PASSED") == 2
    assert {sdist.name, wheel.name} == {f"attrib-{VERSION}.tar.gz", f"attrib-{VERSION}-py3-none-any.whl"}


def test_the_source_package_builds_the_same_wheel(sdist: Path, wheel: Path, tmp_path: Path) -> None:
    with tarfile.open(sdist) as file:
        file.extractall(tmp_path, filter="data")
    again = build_wheel(tmp_path / f"attrib-{VERSION}", tmp_path)
    with zipfile.ZipFile(wheel) as first, zipfile.ZipFile(again) as second:
        assert sorted(first.namelist()) == sorted(second.namelist())


def test_in_a_clean_environment_the_command_explains(wheel: Path, tmp_path: Path) -> None:
    """A new environment that has the dependencies alone: neither this checkout nor its entry points."""
    run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "clean")], tmp_path)
    (site,) = (tmp_path / "clean").glob("lib/python*/site-packages")
    install(wheel, site)
    for folder in sysconfig.get_path("purelib"), sysconfig.get_path("platlib"):
        (site / "dependencies.pth").write_text(f"{folder}\n")
    clean = {"PYTHONPATH": "", "ATTRIB_CACHE": str(tmp_path / "cache")}
    command = [str(tmp_path / "clean" / "bin" / "python"), "-m", "attrib"]
    assert run([*command, "--version"], tmp_path, **clean) == f"attrib {VERSION}\n"
    where = run([command[0], "-c", "import attrib; print(attrib.__file__)"], tmp_path, **clean)
    assert Path(where.strip()).is_relative_to(site)
    run([command[0], "-c", "from attrib.demo.generate import generate; generate('world', videos=1, seed=5)"],
        tmp_path, **clean)  # fmt: skip
    (film,) = (tmp_path / "world" / "videos").glob("*.mp4")
    asked = ["-q", "What colour is the object that moves?", "--option", "red", "--option", "blue"]
    run([*command, "explain", str(film), *asked, "--method", "grad_cam", "-O", "out"], tmp_path, **clean)
    assert (tmp_path / "out" / "grad_cam.mp4").stat().st_size > 1000
