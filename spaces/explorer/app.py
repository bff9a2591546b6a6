"""
The explorer: every stored result of GiMeFive, with intervals and denominators.

    gimefive explorer        # or: streamlit run spaces/explorer/app.py
"""

from pathlib import Path

import streamlit as st

PAGES = {
    "overview": ("Overview", ":material/home:"),
    "paper_table": ("The paper's table", ":material/table_chart:"),
    "cross_dataset": ("Cross-dataset", ":material/grid_on:"),
    "compare": ("Model against model", ":material/balance:"),
    "classes": ("Confusion and classes", ":material/apps:"),
    "labels": ("The labels", ":material/label:"),
    "calibration": ("Calibration", ":material/target:"),
    "robustness": ("Robustness", ":material/blur_on:"),
    "fairness": ("Fairness", ":material/groups:"),
    "attention": ("Attention", ":material/visibility:"),
    "training": ("Training curves", ":material/show_chart:"),
    "failures": ("Failures", ":material/close:"),
    "try_it": ("Try it", ":material/photo_camera:"),
}


def main() -> None:
    st.set_page_config(page_title="GiMeFive explorer", page_icon="🙂", layout="wide")
    folder = Path(__file__).parent
    pages = [
        st.Page(folder / f"page_{name}.py", title=title, icon=icon, url_path=name, default=name == "overview")
        for name, (title, icon) in PAGES.items()
    ]
    st.navigation(pages, expanded=True).run()


main()
