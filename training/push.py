"""
Push a checkpoint to the Hugging Face Hub: model, processor, their code, card, ONNX files, what was measured on it.

    python -m training.push runs/flagship/model USER/NAME --dry-run          # only lists what would go
    HF_TOKEN=… python -m training.push runs/flagship/model USER/NAME --private --card card.md

The pushed repository loads without this project: `AutoModelForImageClassification.from_pretrained("USER/NAME",
trust_remote_code=True)`. `model.push_to_hub("USER/NAME")` and `gimefive train --push-to USER/NAME` push the same.
"""

import sys
from pathlib import Path

from gimefive_hf.publishing.models import push

from .script import Script


def main(argv: list[str] | None = None) -> int:
    parser = Script("training.push", __doc__)
    parser.add_argument("checkpoint", type=Path, help="folder of the checkpoint")
    parser.add_argument("repo", help="USER/NAME on the Hub")
    parser.add_argument("--private", action="store_true", help="make the repository private")
    parser.add_argument("--card", type=Path, help="model card; by default the checkpoint's README.md, else a short one")
    parser.add_argument("--also", type=Path, nargs="+", default=[], help="further files, such as results and curves")
    parser.add_argument("--dry-run", action="store_true", help="only list the files")
    return parser.run(
        lambda args: print(push(args.checkpoint, args.repo, args.private, args.card, args.also, args.dry_run)), argv
    )


if __name__ == "__main__":
    sys.exit(main())
