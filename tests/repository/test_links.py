"""Every link in every text of the repository that points into it leads somewhere."""

import re
import subprocess
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"(?<!\\)\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^)\s]+)\)")


def texts() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    # cards are read on the Hub, where their neighbours are others
    return [ROOT / name for name in listed.split() if not name.startswith(("cards/", "gimefive_hf/checkpoints/"))]


def anchors(text: str) -> set[str]:
    """GitHub's names of the headings."""
    titles = re.findall(r"^#+ +(.+?) *$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", t)).lower().replace(" ", "-")
        for t in titles
    }


def test_links_lead_somewhere():
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone")
    broken = []
    for path in texts():
        for link in LINK.findall(re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)):
            if re.match(r"[a-z]+:", link):
                continue
            file, _, anchor = link.partition("#")
            target = (path.parent / unquote(file)).resolve() if file else path
            if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target.read_text())):
                broken.append(f"{path.relative_to(ROOT)}: {link}")
    assert not broken, "\n".join(broken)
