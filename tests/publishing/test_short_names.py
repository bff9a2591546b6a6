"""The bundled names in transformers' own functions: what they take, and what they say to the rest."""

import subprocess
import sys

import pytest
from transformers import AutoImageProcessor, AutoModelForImageClassification, pipeline

from gimefive_hf import GiMeFiveForImageClassification, resolve_checkpoint


def test_the_auto_classes_take_the_folder_of_a_short_name():
    folder = resolve_checkpoint("gimefive-paper")
    assert isinstance(AutoModelForImageClassification.from_pretrained(folder), GiMeFiveForImageClassification)
    assert AutoImageProcessor.from_pretrained(folder).size == {"height": 64, "width": 64}


def test_a_short_name_itself_is_none_of_theirs():
    """If this fails, transformers has got a way to resolve names: use it, and drop `resolve_checkpoint` from README."""
    for load in (
        lambda: pipeline("image-classification", model="gimefive"),
        lambda: AutoModelForImageClassification.from_pretrained("gimefive"),
    ):
        with pytest.raises(OSError, match=r"find them in the cached files|not a valid model identifier"):
            load()


@pytest.mark.slow  # a process of its own imports torch and transformers
def test_our_package_may_be_imported_first():
    """What is installed is not "custom code": without a flag transformers asks, for the sake of a video processor."""
    code = """import gimefive_hf
folder = gimefive_hf.resolve_checkpoint("gimefive-paper")
from transformers import pipeline
print(type(pipeline("image-classification", model=folder, trust_remote_code=False).model).__module__)"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.stdout.split() == ["gimefive_hf.modeling_gimefive"], done.stderr
