"""
Build the page that reads expressions in the browser: what `spaces/live` holds, bundled, with the package's models.

    python -m spaces.build_live                 # into build/live, which any static host can serve
    python -m spaces.build_live --serve         # and open it at http://127.0.0.1:7870
"""

import argparse
import gzip
import hashlib
import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gimefive_hf.faces.networks import MODELS_DIR
from gimefive_hf.faces.onet import FILE as ONET_FILE
from gimefive_hf.publishing.licence import LICENSE_FILE, LICENSE_TEXT

from .live_facts import facts, model_folder
from .serve_live import PORT, serve

LIVE = Path(__file__).parent / "live"
PACKAGES = LIVE / "node_modules"
FOLDER = Path(__file__).parents[1] / "build" / "live"
PAGES = ("index.html", "privacy.html", "style.css", "icon.svg", "README.md")


def install() -> None:
    """Install the pinned npm packages, unless they are there. Raises ValueError with what to do."""
    lock = hashlib.sha256((LIVE / "package-lock.json").read_bytes()).hexdigest()
    done = PACKAGES / ".installed"
    if done.is_file() and done.read_text() == lock:
        return
    if shutil.which("npm") is None:
        raise ValueError("npm is not installed, which the page is built with (Debian: apt-get install nodejs npm)")
    run(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"])
    done.write_text(lock)


def run(command: list[str], text: str | None = None) -> str:
    """What a program of Node in `LIVE` makes of a text. Raises ValueError with what it wrote if it fails."""
    done = subprocess.run(command, input=text, cwd=LIVE, capture_output=True, text=True)
    if done.returncode:
        raise ValueError(f"{Path(command[0]).name} failed:\n{done.stdout}{done.stderr}".rstrip())
    return done.stdout


def build(folder: Path = FOLDER) -> Path:
    """Write the whole page into `folder`, which is emptied first, and return it. Raises ValueError if a part lacks."""
    install()
    model = model_folder()
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "files").mkdir(parents=True)
    for name in PAGES:
        shutil.copy(LIVE / name, folder)
    shutil.copyfile(LICENSE_TEXT, folder / LICENSE_FILE)
    bundle("start", folder, "--format=esm")
    bundle("worker", folder, "--format=iife", "--log-override:empty-import-meta=silent")
    with ThreadPoolExecutor() as threads:  # zlib lets go of the interpreter
        packing = [threads.submit(pack, *item, folder) for item in sources(model, folder / "worker.js").items()]
    files = [done.result() for done in packing]
    (folder / "worker.js").unlink()
    identity = hashlib.sha256(json.dumps([facts(model), files]).encode())
    for name in (*PAGES, "start.js"):
        identity.update((folder / name).read_bytes())
    name = identity.hexdigest()[:12]
    manifest = {"build": name, "facts": facts(model), "files": files}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    shell = json.dumps(["./", "index.html", "privacy.html", "style.css", "icon.svg", "start.js", "manifest.json"])
    bundle("service-worker", folder, "--format=iife", f"--define:BUILD={json.dumps(name)}", f"--define:SHELL={shell}")
    return folder


def sources(model: Path, worker: Path) -> dict[str, Path]:
    """The files that the page loads itself, by the name it knows them under."""
    litert, onnx = PACKAGES / "@litertjs" / "core" / "wasm", PACKAGES / "onnxruntime-web" / "dist"
    return {
        "worker.js": worker,
        # browsers with relaxed SIMD take the first build of LiteRT, the others the second
        "litert-relaxed.js": litert / "litert_wasm_internal.js",
        "litert-relaxed.wasm": litert / "litert_wasm_internal.wasm",
        "litert-compat.js": litert / "litert_wasm_compat_internal.js",
        "litert-compat.wasm": litert / "litert_wasm_compat_internal.wasm",
        "onnxruntime.wasm": onnx / "ort-wasm-simd-threaded.wasm",
        "detector.tflite": MODELS_DIR / "face_detection_short_range.tflite",
        "mesh.tflite": MODELS_DIR / "face_landmark.tflite",
        "onet.onnx": MODELS_DIR / ONET_FILE,
        "expressions.onnx": model / "model.onnx",
    }


def bundle(name: str, folder: Path, *options: str) -> None:
    """Bundle `src/NAME.ts` into one script."""
    esbuild = str(PACKAGES / ".bin" / "esbuild")
    target = ["--target=es2022,chrome108,firefox113,safari16.4", f"--outfile={folder / f'{name}.js'}"]
    run([esbuild, f"src/{name}.ts", "--bundle", "--minify", "--log-level=warning", *target, *options])


def pack(name: str, path: Path, folder: Path) -> dict[str, str | int]:
    """Compress a file into `folder`, named by its content, whatever the host does about compression; its entry."""
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    packed = gzip.compress(data, 9, mtime=0)
    target = folder / "files" / f"{digest[:12]}.bin"
    target.write_bytes(packed)
    return {"name": name, "path": f"files/{target.name}", "bytes": len(packed), "sha256": digest}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--serve", action="store_true", help="serve it on loopback until interrupted")
    parser.add_argument("--port", type=int, default=PORT, help=f"with --serve (default: {PORT})")
    args = parser.parse_args(argv)
    try:
        folder = build()
        print(f"built the page in {folder.parent.name}/{folder.name}")
        if args.serve:
            serve(folder, args.port)
    except ValueError as error:
        print(f"build_live: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
