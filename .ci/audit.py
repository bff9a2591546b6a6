"""
Known vulnerabilities of the packages in a lock file, by pip-audit.

    python .ci/audit.py requirements-test.lock

Exit code 1 if there are some. pip-audit itself says "No known vulnerabilities found" when it could ask nobody; here
that is said for what it is: nothing was checked.
"""

import json
import subprocess
import sys


def verdict(report: dict) -> tuple[int, str]:
    """Exit code and text for what pip-audit reports in JSON."""
    packages = report["dependencies"]
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    known = [(package, flaw) for package in packages for flaw in package.get("vulns", ())]
    lines = [
        f"{package['name']} {package['version']}: {flaw['id']}, mended in {' or '.join(flaw['fix_versions']) or '–'}"
        for package, flaw in known
    ]
    if len(skipped) == len(packages):
        lines.append("SKIPPED: the database of vulnerabilities cannot be had here; no package was checked")
    else:
        lines.append(f"{len(packages) - len(skipped)} packages checked, {len(known)} known vulnerabilities")
        lines += [f"not in the database: {', '.join(skipped)}"] * bool(skipped)
    return int(bool(known)), "\n".join(lines)


def main() -> int:
    options = ["--disable-pip", "--require-hashes", "--progress-spinner", "off", "--format", "json"]
    done = subprocess.run(
        [sys.executable, "-m", "pip_audit", "-r", sys.argv[1], *options], capture_output=True, text=True
    )
    try:
        report = json.loads(done.stdout)
    except ValueError:  # it says nothing in JSON when it cannot reach anybody
        reason = (done.stderr.strip().splitlines() or ["no answer"])[-1]
        print(f"SKIPPED: pip-audit could not ask for vulnerabilities ({reason}); no package was checked")
        return 0
    code, text = verdict(report)
    print(text)
    return code


if __name__ == "__main__":
    sys.exit(main())
