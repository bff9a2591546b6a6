"""
The explorer: every stored result of GiMeFive, with intervals and denominators.

    gimefive explorer        # or: streamlit run spaces/explorer/app.py
"""

from pathlib import Path

import streamlit as st

PAGES = {
    "overview": ("Overview", "🏠"),
    "cross_dataset": ("Cross-dataset", "🔀"),
    "compare": ("Model against model", "⚖️"),
    "classes": ("Confusion and classes", "🔲"),
    "calibration": ("Calibration", "🎯"),
    "robustness": ("Robustness", "🌫️"),
    "fairness": ("Fairness", "👥"),
    "attention": ("Attention", "👁️"),
    "training": ("Training curves", "📈"),
    "failures": ("Failures", "❌"),
    "try_it": ("Try it", "📷"),
}


def main() -> None:
    st.set_page_config(page_title="GiMeFive explorer", page_icon="🙂", layout="wide")
    folder = Path(__file__).parent
    pages = [
        st.Page(folder / f"page_{name}.py", title=title, icon=icon, url_path=name, default=name == "overview")
        for name, (title, icon) in PAGES.items()
    ]
    st.navigation(pages).run()


main()
