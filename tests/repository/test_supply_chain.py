"""What is installed and shipped is what was tested: locks with digests, bundled files by theirs, an honest audit."""

import hashlib
import re
import runpy
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement

REPO = Path(__file__).parents[2]
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}$")


def locked(path: Path) -> list[tuple[Requirement, list[str]]]:
    """The requirements of a lock file, each with its digests."""
    entries: list[tuple[Requirement, list[str]]] = []
    for line in path.read_text().splitlines():
        text = line.strip().removesuffix("\\").strip()
        if not text or text.startswith("#"):
            continue
        if line.startswith(" "):
            entries[-1][1].append(text)
        else:
            entries.append((Requirement(text), []))
    return entries


def pins(path: Path) -> list[Requirement]:
    lines = (line.split("#")[0].strip() for line in path.read_text().splitlines())
    return [Requirement(line) for line in lines if line]


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


LOCKS = {"requirements.lock": ["requirements.txt"]}
LOCKS["requirements-test.lock"] = ["requirements.txt", "requirements-test.txt"]


@pytest.mark.parametrize(("lock", "sources"), LOCKS.items())
def test_the_lock_has_every_requirement_with_digests(lock, sources):
    entries = locked(REPO / lock)
    assert len(entries) > 100
    for requirement, hashes in entries:
        assert requirement.url is None, requirement
        assert [str(clause).startswith("==") for clause in requirement.specifier] == [True], requirement
        assert hashes, requirement
        assert all(HASH.match(text) for text in hashes), requirement
    here = {canonical(r.name): r for r, _ in entries if r.marker is None or Marker(str(r.marker)).evaluate()}
    for wanted in (pin for source in sources for pin in pins(REPO / source)):
        assert here[canonical(wanted.name)].specifier == wanted.specifier, f"{wanted}: run `make lock`"


def test_locks_name_no_host():
    for lock in LOCKS:
        assert not re.search(r"https?://|file:|--(extra-)?index-url|--find-links", (REPO / lock).read_text())


def test_both_locks_agree():
    """What runs for a user is what the tests ran with."""
    tested = {(r.name, str(r.specifier)): hashes for r, hashes in locked(REPO / "requirements-test.lock")}
    for requirement, hashes in locked(REPO / "requirements.lock"):
        assert tested[requirement.name, str(requirement.specifier)] == hashes


def test_bundled_files_are_as_they_were_stored():
    """`sha256sum --check` in the package's folder says the same."""
    package = REPO / "gimefive_hf"
    listed = dict(reversed(line.split("  ", 1)) for line in (package / "SHA256SUMS").read_text().splitlines())
    deciding = [path for path in package.rglob("*") if path.suffix in (".safetensors", ".onnx", ".tflite")]
    deciding += package.rglob("*config.json")
    assert sorted(listed) == sorted(str(path.relative_to(package)) for path in deciding), (
        "run python -m training.checkpoints.sums"
    )
    for name, digest in listed.items():
        assert hashlib.sha256((package / name).read_bytes()).hexdigest() == digest, (
            f"{name}: run python -m training.checkpoints.sums"
        )


def report(*packages: dict) -> dict:
    return {"dependencies": list(packages)}


def test_an_audit_that_asked_nobody_does_not_say_that_all_is_well():
    verdict = runpy.run_path(str(REPO / ".ci" / "audit.py"))["verdict"]
    flaw = {"id": "CVE-1", "fix_versions": ["2"]}
    fine, bad = {"name": "a", "version": "1", "vulns": []}, {"name": "b", "version": "1", "vulns": [flaw]}
    unknown = {"name": "c", "skip_reason": "not found"}
    nobody = "SKIPPED: the database of vulnerabilities cannot be had here; no package was checked"
    assert verdict(report(unknown)) == (0, nobody)
    some = "1 packages checked, 0 known vulnerabilities\nnot in the database: c"
    assert verdict(report(fine, unknown)) == (0, some)
    code, text = verdict(report(fine, bad))
    assert code == 1
    assert "b 1: CVE-1, mended in 2" in text
